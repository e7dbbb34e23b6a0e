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
from vesalius.compile.text import ATOM, POWER, PRODUCT, SIGN, Term, chain
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
    """`value · Π above / (over · Π below)`, a scalar of element type `dtype`."""

    value: Real
    dtype: str
    above: tuple[Factor, ...] = ()
    below: tuple[Factor, ...] = ()
    over: float = 1

    @property
    def literal(self) -> bool:
        """Whether no size is in it."""
        return not self.above and not self.below

    @property
    def amount(self) -> Real:
        """The number where no size is in it, else what multiplies the sizes."""
        return self.value if self.over == 1 else float(self.value) / self.over

    def top(self, names: Mapping[str, str]) -> Term:
        """What stands above the division."""
        factors = [factor.term(names) for factor in self.above]
        if not factors:
            return literal_term(self.amount)
        if self.amount != 1:
            factors.insert(0, literal_term(self.amount))
        if len(factors) == 1:
            return factors[0]
        return Term(" * ".join(f.at(SIGN) for f in factors), PRODUCT)

    def whole(self, names: Mapping[str, str]) -> Term:
        """The number as one term."""
        if self.amount == 1 and not self.above and len(self.below) == 1 and self.below[0].root:
            return Term(f"{size_term(self.below[0].size, names).at(ATOM)}**-0.5", POWER)
        below = [factor.term(names) for factor in self.below]
        return chain("/", PRODUCT, [self.top(names), *below]) if below else self.top(names)


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
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(value)  # torch takes no larger integer
    text = repr(value).replace("e-0", "e-")  # 1e-5
    return Term(text, SIGN if text.startswith("-") else ATOM)


# -- folding ------------------------------------------------------------------------------------


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
        return number_product(numbers, dtype)
    if kind == "add":
        return _sum(numbers, dtype)
    if kind == "pointwise":
        return _pointwise(site, numbers, dtype)
    return None


def number_product(numbers: Sequence[Number], dtype: str) -> Number:
    """The product of numbers as one: exact where all are."""
    value: Real = 1
    above: tuple[Factor, ...] = ()
    below: tuple[Factor, ...] = ()
    over = 1.0
    for number in numbers:
        value = _times(value, number.value)
        above += number.above
        below += number.below
        over *= number.over
    return Number(value, dtype, above, below, over)


def _times(a: Real, b: Real) -> Real:
    """Exact for integers and fractions, float64 otherwise."""
    if isinstance(a, float) or isinstance(b, float):
        return float(a) * float(b)
    return a * b


def _sum(numbers: Sequence[Number], dtype: str) -> Number | None:
    if all(number.literal for number in numbers):
        total: Real = 0
        for number in numbers:
            value = number.amount
            exact = not isinstance(total, float) and not isinstance(value, float)
            total = total + value if exact else float(total) + float(value)
        return Number(total, dtype)
    size = Size({})
    for number in numbers:
        if number.below or not isinstance(number.amount, int):
            return None
        product = ONE * number.amount
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
    if function.name == "reciprocal" and x.amount != 0:
        return _inverse(x, dtype)
    plain = x.amount == 1 and not x.below
    if function.name == "sqrt" and plain and all(_has_root(factor) for factor in x.above):
        return Number(1, dtype, tuple(Factor(f.size, True) for f in x.above))
    return None


def _has_root(factor: Factor) -> bool:
    return not factor.root and non_negative(factor.size)


def _inverse(x: Number, dtype: str) -> Number:
    """One over a number; a float stays below the division, as it was written."""
    if isinstance(x.value, float):
        return Number(x.over, dtype, x.below, x.above, x.value)
    return Number(Fraction(1) / Fraction(x.value) * x.over, dtype, x.below, x.above)


def _evaluated(site: Site, numbers: Sequence[Number], dtype: str) -> Number | None:
    """A function of known numbers, as the reference computes it in float64."""
    import torch

    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    function = site.box["function"]
    if callable(function.torch):
        return None  # a user's own code runs when the module does
    if function.name == "negate":
        return numbers[0]._replace(value=-numbers[0].value, dtype=dtype)
    if function.name == "reciprocal" and numbers[0].amount != 0:
        return _inverse(numbers[0], dtype)
    kinds = {"float": torch.float64, "int": torch.int64, "bool": torch.bool}
    values: list[Any] = [
        torch.tensor(float(x.amount) if x.dtype == "float" else x.amount, dtype=kinds[x.dtype])
        for x in numbers
    ]
    result = TorchAlgebra().pointwise(function, site.box["numbers"], values, site.dtypes)
    return Number(result.item(), dtype)
