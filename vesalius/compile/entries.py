"""How pointwise functions, reductions and softmax are written."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from vesalius.compile.folding import literal_term
from vesalius.compile.scope import Here
from vesalius.compile.text import (
    ANY,
    ATOM,
    BITAND,
    BITOR,
    COMPARE,
    POWER,
    PRODUCT,
    SIGN,
    SUM,
    Term,
    apply,
    chain,
    method,
)
from vesalius.compile.views import dim, permuted
from vesalius.diagrams.boxes.pointwise import Function

# -- pointwise ----------------------------------------------------------------------------------

# Inputs that may be Python numbers in calls; an operator takes a number on either side.
_NUMBERS_IN_CALLS = {"where": (1, 2), "remainder": (1,), "floor_divide": (1,)}


def pointwise(here: Here) -> list[Term]:
    """A function's own code, as it declares it, on operands that broadcast."""
    function: Function = here.box["function"]
    wanted = "float" if _wants_floats(here, function) else None
    out = here.out()
    template = None if callable(function.torch) else _parsed(function)
    numbers = _numbers_allowed(here, function, template)
    terms = []
    for port in range(function.arity):
        number = here.number(port)
        if number is not None and port in numbers:
            terms.append(number.top(here.scope.lengths))
        else:
            terms.append(here.aligned(here.operand(port, wanted), out))
    if (bounded := _bounded(here, function)) is not None:
        return [bounded]
    if function.name == "reciprocal":
        return [chain("/", PRODUCT, [Term("1"), terms[0]])]
    extra = [literal_term(value) for value in here.box["numbers"]]
    if template is None:
        place = f"FUNCTIONS[{function.name!r}].torch"
        called = here.scope.program.register(function.name, place)
        return [apply(called, *terms, *extra)]
    if function.name == "tanh" and here.scope.eager:
        return [apply(here.scope.program.helper("quick_tanh"), *terms)]
    return [_filled(here, function, template, terms, extra)]


def _bounded(here: Here, function: Function) -> Term | None:
    """`x.clamp(max=8)` for whole numbers; of floats it has another derivative at the bound."""
    side = {"minimum": "max", "maximum": "min"}.get(function.name)
    if side is None or here.dtype() != "int":
        return None
    for port in (0, 1):
        number = here.number(port)
        if number is not None and not number.below and here.number(1 - port) is None:
            operand = here.operand(1 - port)
            bound = number.top(here.scope.lengths)
            return permuted(
                method(operand.term, f"clamp({side}={bound.text})"), operand.axes, here.out()
            )
    return None


def _wants_floats(here: Here, function: Function) -> bool:
    return function.takes == "float" or (function.arity > 1 and "float" in here.site.dtypes)


def _numbers_allowed(here: Here, function: Function, template: _Template | None) -> set[int]:
    """The inputs that may be Python numbers: one operand at least stays a tensor."""
    if template is None:
        return set()
    ports = range(function.arity)
    allowed = set(_NUMBERS_IN_CALLS.get(function.name, ()) if template.call else ports)
    allowed = {p for p in allowed if (x := here.number(p)) is not None and not x.below}
    tensors = [p for p in ports if p not in allowed]
    if function.name == "where":
        tensors = [p for p in tensors if p > 0]  # the condition does not give the element type
    return allowed if tensors else allowed - {min(allowed, default=0)}


class _Template(NamedTuple):
    """A function's code: how tightly it binds, and what its arguments have to."""

    text: str
    level: int
    needs: dict[str, int]
    call: bool


@cache
def _parsed(function: Function) -> _Template:
    assert isinstance(function.torch, str)
    marks = [f"_{k}" for k in range(function.arity)]
    named = {name: f"_{name}" for name in function.parameters}
    tree = ast.parse(function.torch.format(*marks, dtype="_dtype", **named), mode="eval").body
    needs: dict[str, int] = {}
    for parent in ast.walk(tree):
        for child, level in _children(parent):
            if isinstance(child, ast.Name):
                needs[child.id] = level
    if isinstance(tree, ast.Name):
        needs[tree.id] = ANY
    return _Template(function.torch, _binding(tree), needs, isinstance(tree, ast.Call))


def _children(node: ast.AST) -> list[tuple[ast.AST, int]]:
    """The operands of a piece of code, with how tightly each must bind there."""
    if isinstance(node, ast.Call):
        given = [(a, ANY) for a in (*node.args, *(k.value for k in node.keywords))]
        return [(node.func, ATOM), *given]
    if isinstance(node, ast.Attribute):
        return [(node.value, ATOM)]
    if isinstance(node, ast.Subscript):
        return [(node.value, ATOM), (node.slice, ANY)]
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return [(node.operand, SIGN)]
    if isinstance(node, ast.Compare):
        return [(operand, BITOR) for operand in (node.left, *node.comparators)]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        _, left, right = _OPERATORS[type(node.op)]
        return [(node.left, left), (node.right, right)]
    return [(child, ATOM) for child in ast.iter_child_nodes(node)]


# How tightly an operator binds, and what its left and its right operand need.
_OPERATORS: dict[type, tuple[int, int, int]] = {
    ast.BitOr: (BITOR, BITOR, BITAND),
    ast.BitAnd: (BITAND, BITAND, SUM),
    ast.Add: (SUM, SUM, PRODUCT),
    ast.Sub: (SUM, SUM, PRODUCT),
    ast.Mult: (PRODUCT, PRODUCT, SIGN),
    ast.Div: (PRODUCT, PRODUCT, SIGN),
    ast.FloorDiv: (PRODUCT, PRODUCT, SIGN),
    ast.Mod: (PRODUCT, PRODUCT, SIGN),
    ast.MatMult: (PRODUCT, PRODUCT, SIGN),
    ast.Pow: (POWER, ATOM, SIGN),
}


def _binding(node: ast.AST) -> int:
    """How tightly a piece of code binds; what is not known here is put into brackets."""
    if isinstance(node, (ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Constant)):
        return ATOM
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        return SIGN
    if isinstance(node, ast.Compare):
        return COMPARE
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)][0]
    return ANY


def _filled(
    here: Here, function: Function, template: _Template, terms: list[Term], extra: list[Term]
) -> Term:
    texts = [t.at(template.needs.get(f"_{k}", ATOM)) for k, t in enumerate(terms)]
    named = {
        name: value.at(template.needs.get(f"_{name}", ATOM))
        for name, value in zip(function.parameters, extra, strict=True)
    }
    dtype = here.scope.dtype().at(ATOM) if "_dtype" in template.needs else ""
    text = template.text.format(*texts, dtype=dtype, **named)
    operations = sum(t.operations for t in terms) + 1
    return Term(text.replace(" ** ", "**"), template.level, operations, any(t.heavy for t in terms))


# -- reductions ---------------------------------------------------------------------------------


def reduction(how: str) -> Callable[[Here], list[Term]]:
    """`x.amax(dims)` and the like."""

    def lower(here: Here) -> list[Term]:
        x = here.operand(0)
        dims = sorted(x.axes.index(a) for a in here.box.bound)
        text = str(dim(x.axes, x.axes[dims[0]])) if len(dims) == 1 else str(tuple(dims))
        left = tuple(a for a in x.axes if a not in here.box.bound)
        term = x.term if not dims else method(x.term, f"{how}({text})", heavy=True)
        return [permuted(term, left, here.out())]

    return lower


# -- softmax ------------------------------------------------------------------------------------


def softmax(here: Here) -> list[Term]:
    """`torch.softmax`; several axes are flattened into one, rows that are all hidden are zero."""
    x, out = here.operand(0, "float"), here.out()
    bound = [a for a in out if a in here.box.bound]
    if not bound:
        return [apply("torch.ones_like", here.aligned(x, out))]
    term, first = permuted(x.term, x.axes, out), out.index(bound[0])
    place = -1 if out[-1] == bound[-1] else first
    if len(bound) > 1:
        last = first + len(bound) - 1
        stop = "-1" if last == len(out) - 1 else str(last)
        term = method(term, f"flatten({first}, {stop})", cost=0)
    slots = [here.box.maps[0].index(a) for a in bound]
    guarded = here.scope.may_hide_all(here.node.src[0], slots)
    guard = "quick_masked_softmax" if here.scope.eager else "masked_softmax"
    if guarded:
        here.scope.program.helper("masked_softmax")
    name = here.scope.program.helper(guard) if guarded else "torch.softmax"
    term = apply(name, term, f"dim={place}", heavy=True)
    if len(bound) > 1:
        lengths = ", ".join(here.size(a).at(ANY) for a in bound)
        term = method(term, f"unflatten({place}, ({lengths}))", cost=0)
    return [term]
