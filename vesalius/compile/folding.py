"""Scalars that need no tensor: numbers known at once, and those that follow from sizes.

`1/√c` is `c**0.5` below a division, whatever size c has at run time. What is folded is a number
times sizes and roots of sizes, above and below a division: products of such are such again. All
else that is scalar (the logarithm of a size, say) becomes a tensor without axes, so that nothing
raises in Python what torch computes as infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from vesalius.compile.lengths import non_negative, size_term
from vesalius.compile.text import ATOM, POWER, PRODUCT, SIGN, Term
from vesalius.diagrams.box import Site
from vesalius.diagrams.sizes import ONE, Size

Real = int | float | Fraction | bool


class Factor(NamedTuple):
    """A size, or its square root."""

    size: Size
    root: bool = False

    def term(self, names: Mapping[str, str]) -> Term:
        """This factor as Python."""
        term = size_term(self.size, names)
        return Term(f"{term.at(ATOM)}**0.5", POWER) if self.root else term


class Number(NamedTuple):
    """`value · Π above / Π below`, a scalar of element type `dtype`."""

    value: Real
    dtype: str
    above: tuple[Factor, ...] = ()
    below: tuple[Factor, ...] = ()

    @property
    def literal(self) -> bool:
        """Whether no size is in it."""
        return not self.above and not self.below

    @property
    def sizes(self) -> list[Size]:
        """The sizes that it is made of."""
        return [factor.size for factor in (*self.above, *self.below)]

    def top(self, names: Mapping[str, str]) -> Term:
        """What stands above the division."""
        factors = [factor.term(names) for factor in self.above]
        if not factors:
            return literal_term(self.value)
        if self.value != 1:
            factors.insert(0, literal_term(self.value))
        if len(factors) == 1:
            return factors[0]
        return Term(" * ".join(f.at(SIGN) for f in factors), PRODUCT)


def literal_term(value: Real) -> Term:
    """A number as Python writes it."""
    if isinstance(value, bool):
        return Term(str(value))
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return literal_term(value.numerator)
        return Term(f"{value.numerator} / {value.denominator}", PRODUCT)
    if isinstance(value, float) and not math.isfinite(value):
        text = "math.nan" if math.isnan(value) else "math.inf"
        return Term(f"-{text}", SIGN) if value < 0 else Term(text)
    text = repr(value).replace("e-0", "e-")  # 1e-5
    return Term(text, SIGN if text.startswith("-") else ATOM)


# -- folding -----------------------------------------------------------------------------------------


def fold(site: Site, inputs: Sequence[Number | None], dtype: str) -> Number | None:
    """The number that a box computes, when it can be folded."""
    kind = site.box.kind.name
    if kind == "constant" and not site.box.new:
        value = site.box["value"]
        if isinstance(value, Size):
            return Number(1, dtype, (Factor(value),))
        return Number(value, dtype)
    if not inputs or any(number is None for number in inputs):
        return None
    numbers = [number for number in inputs if number is not None]
    if kind == "contract":
        return _product(numbers, dtype)
    if kind == "add":
        return _sum(numbers, dtype)
    if kind == "pointwise":
        return _pointwise(site, numbers, dtype)
    return None


def _product(numbers: Sequence[Number], dtype: str) -> Number:
    value: Real = 1
    above: tuple[Factor, ...] = ()
    below: tuple[Factor, ...] = ()
    for number in numbers:
        value = _times(value, number.value)
        above += number.above
        below += number.below
    return Number(value, dtype, above, below)


def _times(a: Real, b: Real) -> Real:
    """Exact for integers and fractions, float64 otherwise."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a) * float(b)
    return a * b


def _sum(numbers: Sequence[Number], dtype: str) -> Number | None:
    if all(number.literal for number in numbers):
        total: Real = 0
        for number in numbers:
            value = number.value
            exact = not isinstance(total, float) and not isinstance(value, float)
            total = total + value if exact else float(total) + float(value)
        return Number(total, dtype)
    size = Size({})
    for number in numbers:
        if number.below or not isinstance(number.value, int):
            return None
        product = ONE * number.value
        for factor in number.above:
            if factor.root:
                return None
            product = product * factor.size
        size = size + product
    return Number(1, dtype, (Factor(size),))


def _pointwise(site: Site, numbers: Sequence[Number], dtype: str) -> Number | None:
    function = site.box["function"]
    if all(number.literal for number in numbers):
        return _evaluated(site, numbers, dtype)
    if len(numbers) != 1:
        return None
    (x,) = numbers
    if function.name == "negate":
        return x._replace(value=-x.value, dtype=dtype)
    if function.name == "to_float" and x.dtype == "int":
        return x._replace(dtype=dtype)
    if function.name == "reciprocal" and x.value != 0:
        return Number(_inverse(x.value), dtype, x.below, x.above)
    if function.name == "sqrt" and x.value == 1 and not x.below:
        if all(not factor.root and non_negative(factor.size) for factor in x.above):
            return Number(1, dtype, tuple(Factor(f.size, True) for f in x.above))
    return None


def _inverse(value: Real) -> Real:
    return 1.0 / value if isinstance(value, float) else Fraction(1) / Fraction(value)


def _evaluated(site: Site, numbers: Sequence[Number], dtype: str) -> Number | None:
    """A function of known numbers, as the reference computes it in float64."""
    import torch

    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    function = site.box["function"]
    if callable(function.torch):
        return None  # a user's own code runs when the module does
    if function.name == "negate" and not isinstance(numbers[0].value, bool):
        return Number(-numbers[0].value, dtype)
    if function.name == "reciprocal" and numbers[0].value != 0:
        return Number(_inverse(numbers[0].value), dtype)
    kinds = {"float": torch.float64, "int": torch.int64, "bool": torch.bool}
    values: list[Any] = [
        torch.tensor(float(x.value) if x.dtype == "float" else x.value, dtype=kinds[x.dtype])
        for x in numbers
    ]
    result = TorchAlgebra().pointwise(function, site.box["numbers"], values, site.dtypes)
    return Number(result.item(), dtype)
