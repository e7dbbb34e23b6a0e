"""How boxes without inputs are written: parameters, draws, constants, positions."""

from __future__ import annotations

from typing import Any

from vesalius.compile.folding import Number, literal_term
from vesalius.compile.scope import Here, attribute
from vesalius.compile.text import ANY, COMPARE, SUM, Term, apply, method
from vesalius.compile.views import permuted
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.sizes import Size


def parameter(here: Here) -> list[Term]:
    """An attribute of the module, with the name of the parameter."""
    return [attribute(here.scope.attributes[here.node.first])]


def random(here: Here) -> list[Term]:
    """A fresh draw at each call, from `generator` when one is given."""
    scope, token = here.scope, here.box["token"]
    scope.generator = True
    lengths = [here.size(a).at(ANY) for a in here.box.outs[0]] or ["()"]
    arguments = [*lengths, "generator=generator"]
    if token.distribution == "bernoulli":
        drawn = scope.new("rand", *arguments)
        term = Term(f"{drawn.at(SUM)} < {literal_term(token.p).text}", COMPARE, 2)
    else:
        function = "randn" if token.distribution == "normal" else "rand"
        term = scope.new(function, *arguments, dtype="float")
    return [permuted(term, here.box.outs[0], here.out())]


def constant(here: Here) -> list[Term]:
    """A small table, entry by entry; numbers and sizes are folded into what reads them."""
    value, dtype = here.box["value"], here.box["dtype"]
    if not isinstance(value, tuple):
        made = here.scope.full(Number(value, dtype))
        return [made]
    lengths = [size.constant or 0 for size in here.site.new_sizes]
    scope, numbers = here.scope, _nested(list(value), lengths)
    if "-0.0" in numbers:  # it equals 0.0, and so would be taken for it
        term = scope.new("tensor", numbers, dtype=dtype)
    else:
        term = apply(
            scope.program.helper("numbers_on"), numbers, scope.dtype_of(dtype), scope.device()
        )
    if 0 in lengths[:-1]:  # nested lists cannot say how long what is empty would be
        term = method(term, f"reshape({', '.join(map(str, lengths))})")
    return [permuted(term, here.box.outs[0], here.out())]


def _nested(flat: list[Any], lengths: list[int]) -> str:
    if not lengths:
        return literal_term(flat[0]).text
    step = len(flat) // lengths[0] if lengths[0] else 0
    rows = [_nested(flat[k * step : (k + 1) * step], lengths[1:]) for k in range(lengths[0])]
    return f"({', '.join(rows)}{',' if len(rows) == 1 else ''})"


def iota(here: Here) -> list[Term]:
    """`torch.arange(n)`; there are no positions where a length such as 2·n − 1 is below zero."""
    size, length = here.site.sizes[0], here.size(0)
    if size.constant is None and _below_zero(size):
        length = apply("max", "0", length)
    return [here.scope.new("arange", length)]


def _below_zero(size: Size) -> bool:
    """Whether a length is below zero where all that it is made from is empty."""
    try:
        return size.at(dict.fromkeys(size.variables, 0)) < 0
    except SizeError:  # a quotient of nothing
        return False
