"""The reference of the primitives, written from their declarations as the documentation is built.

What a kind of box is, costs and refuses stands in its declaration and nowhere else. What stands
here is an example of each, from which the axes that it binds and makes are read off, and which
every algebra is given to evaluate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

import vesalius as vs
from vesalius.compile.lowerings import lowering
from vesalius.diagrams.box import KINDS, Kind
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.graph import Node, Port
from vesalius.diagrams.listing import local_names
from vesalius.diagrams.meaning import algebra_named
from vesalius.diagrams.types import ArrayType

WIRES = ("x", "y", "z")
ALGEBRAS = ("torch", "rational", "field", "sympy")
SIZES = {"n": 3, "m": 3, "c": 2, "d": 2, "e": 2, "h": 2, "v": 5, "i": 2, "j": 2}


@vs.diagram
def normalise(x: "c") -> "c":
    return x / vs.sum(x, "c")


@vs.diagram
def step(total: "", x: "") -> {"total": "", "so_far": ""}:
    return {"total": total + x, "so_far": total + x}


# For each kind, the wires of an example and the expression that makes a box of it, in the order of
# the page.
EXAMPLES: dict[str, tuple[str, str]] = {
    "contract": ('q: "n c", k: "m c"', 'vs.contract(q, k, over="c")'),
    "add": ('x: "n c", y: "c"', "x + y"),
    "pointwise": ('x: "n c"', "vs.exp(x)"),
    "softmax": ('x: "n m"', 'vs.softmax(x, "m")'),
    "max": ('x: "n m"', 'vs.max(x, "m")'),
    "min": ('x: "n m"', 'vs.min(x, "m")'),
    "all": ('x: "n m bool"', 'vs.all(x, "m")'),
    "any": ('x: "n m bool"', 'vs.any(x, "m")'),
    "expand": ('x: "n"', 'vs.expand(x, "c:8")'),
    "like": ('x: "c", y: "n c"', "vs.like(x, y)"),
    "split": ('x: "n d:h*c"', 'vs.split(x, "d", "h c")'),
    "merge": ('x: "n h c"', 'vs.merge(x, "h c", "d")'),
    "concat": ('x: "n c", y: "m c"', 'vs.concat(x, y, over=("n", "m"), into="t")'),
    "slice": ('x: "n c"', 'vs.slice(x, "n", 1, into="t")'),
    "pad": ('x: "n c"', 'vs.pad(x, "n", before=1, into="t")'),
    "window": ('x: "n c"', 'vs.window(x, "n", "i w:3")'),
    "diagonal": ('x: "n m:n c"', 'vs.diagonal(x, "n m", into="i")'),
    "gather": ('table: "v d", index: "n int"', 'vs.gather(table, index, over="v")'),
    "topk": ('x: "n m"', 'vs.topk(x, "m", "k:2")'),
    "fourier": ('x: "n c"', 'vs.fourier(x, over="n")'),
    "iota": ("", 'vs.iota("n")'),
    "constant": ("", 'vs.constant([[1, 2], [3, 4]], "i j")'),
    "parameter": ("", 'vs.parameter("w", "d e", fan="d")'),
    "random": ("", 'vs.random("n c", "normal")'),
    "input": ('x: "n c"', "x"),
    "learner": ('q: "n c", k: "m c"', 'vs.learner("score", q, k, binds="c")'),
    "named": ('x: "n c"', "normalise.boxed(x)"),
    "scan": ('s: "c", x: "n c"', 'vs.scan(step, over="n", states=[s], sequences=[x])'),
}


class Example(NamedTuple):
    """A box of a kind in a diagram, and the names of the axes that it binds, maps over, makes."""

    diagram: vs.Diagram
    node: Node
    binds: list[str]
    tubes: list[str]
    makes: list[str]


def primitives() -> list[Kind]:
    """The kinds that the library declares."""
    return [kind for kind in KINDS.values() if kind.name not in OWN]


def functions() -> list[Function]:
    """The pointwise functions that the library declares."""
    return [function for function in FUNCTIONS.values() if function.name in vs.__all__]


def example(kind: Kind) -> Example:
    """The example of a kind, built."""
    wires, expression = EXAMPLES[kind.name]
    with vs.Builder(kind.name) as builder:
        builder.pattern = kind.name == "like"  # elsewhere it becomes the expand that it stands for
        declared = re.findall(r'(\w+): "([^"]*)"', wires)
        given = {name: builder.input(name, type_) for name, type_ in declared}
        results = eval(expression, globals(), given)
        results = results if isinstance(results, tuple) else (results,)
        ports = [
            Port(f"out{k}", wire.id, wire.names, tuple(range(len(wire.names))))
            for k, wire in enumerate(results)
        ]
        diagram = builder.finish(ports)
    node = next(node for node in reversed(diagram.nodes) if node.box.kind is kind)
    box, names = node.box, local_names(diagram, node)
    return Example(
        diagram,
        node,
        [names[a] for a in box.bound],
        [names[a] for a in box.tubes],
        names[box.inner :],
    )


# -- what an algebra does: it is tried ------------------------------------------------------------


def given(name: str, type_: ArrayType, algebra: Any, sizes: dict[str, int], known: bool) -> Any:
    """An input: floats that an algebra knows nothing about, or if `known` fours; twos; true."""
    shape = [size.at(sizes) for size in type_.axes.values()]
    if type_.dtype == "float" and not known:
        return torch.rand(shape) if algebra.name == "torch" else algebra.arbitrary(name, shape, 1)
    value = {"float": 4.0, "int": 2, "bool": True}[type_.dtype]
    return torch.full(shape, value).tolist()


def tried(diagram: vs.Diagram, name: str, sizes: dict[str, int], known: bool = False) -> str:
    """What comes of evaluating a diagram: `yes`, a refusal in its words, or unspecified."""
    algebra = algebra_named(name)
    types = diagram.input_types.items()
    inputs = [given(port, type_, algebra, sizes, known) for port, type_ in types]
    try:
        result = diagram.evaluate(*inputs, algebra=algebra, sizes=sizes)
    except vs.VesaliusError as error:
        reason = str(error).partition("\n")[0]
        reason = reason.removeprefix(f"{diagram.name} is outside the algebra {name}: ")
        return f"no: {reason.removeprefix(f'{diagram.name}: ')}"
    hidden = getattr(algebra, "unspecified", None) or (name == "sympy" and unspecified(result))
    return "unspecified" if hidden else "yes"


def meaning(diagram: vs.Diagram, name: str) -> str:
    """Whether an algebra contains a diagram: `in part` where it does for some numbers only."""
    if name == "field" and diagram.name in ("tanh", "sigmoid", "silu"):
        return "yes, up to a second exponential"  # which sees an unspecified residue
    first = tried(diagram, name, SIZES)
    if first == "yes" or tried(diagram, name, {**SIZES, "n": 4}, known=True) != "yes":
        return first
    return re.sub(r"^(no:)?", lambda no: "in part:" if no[0] else "in part; else ", first)


def unspecified(result: Any) -> bool:
    """Whether SymPy was left with a function that it knows the name of only."""
    from sympy.core.function import AppliedUndef

    first = result[0] if isinstance(result, tuple) else result
    return any(entry.has(AppliedUndef) for entry in first.flat)


# -- the page -------------------------------------------------------------------------------------


def code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words) or "–"


def cell(text: str) -> str:
    """A text inside a table, where a bar would end the cell."""
    return text.replace("|", "\\|")


def written(kind: Kind) -> str:
    """How a kind is written in PyTorch, or why it is not."""
    try:
        return lowering(kind).text
    except vs.StructureError as error:
        return f"no: {str(error).partition(chr(10))[0].partition('compiled: ')[2]}"


def section(kind: Kind) -> str:
    """What there is to say about a kind."""
    shown = example(kind)
    wires, expression = EXAMPLES[kind.name]
    site = shown.diagram.site(shown.node)
    results = ", ".join(f"`{type_}`" for type_ in shown.diagram.output_types.values())
    costs = [f"{name} {count}" for name, count in kind.cost(site).items()]
    look = f"{kind.look.shape} {kind.look(shown.node.box)}".split()
    rows = {
        "example": f"`{expression}`" + (f" with `{wires}`" if wires else "") + f" is {results}",
        "binds": code(shown.binds),
        "tubes": code(shown.tubes),
        "makes": code(shown.makes),
        "attributes": code(name for name, _ in kind.fields),
        "cost": code(costs),
        "derivative": kind.derivative,
        **{f"in `{name}`": meaning(shown.diagram, name) for name in ALGEBRAS},
        "PyTorch": written(kind),
        "drawn as": f"{look[0]}" + (f" `{' '.join(look[1:])}`" if look[1:] else ""),
    }
    table = "\n".join(f"| {name} | {cell(text)} |" for name, text in rows.items())
    summary = f"{kind.summary[0].upper()}{kind.summary[1:]}."
    return f"### {kind.name}\n\n{summary}\n\n    {kind.formula}\n\n| | |\n|---|---|\n{table}\n"


def applied(function: Function) -> vs.Diagram:
    """A function of wires, its numbers being 2."""
    dtype = {"number": "float", "any": "float"}.get(function.takes, function.takes)
    with vs.Builder(function.name) as builder:
        dtypes = [dtype] * function.arity
        if function.name == "where":
            dtypes[0] = "bool"
        wires = [builder.input(x, f"n {t}") for x, t in zip(WIRES, dtypes, strict=False)]
        return builder.diagram(function(*wires, **dict.fromkeys(function.parameters, 2)))


def function_row(function: Function) -> str:
    """A line of the table of functions."""
    names = [*WIRES[: function.arity], *function.parameters]
    text = function.torch if isinstance(function.torch, str) else ""
    for k, name in enumerate(WIRES):
        text = text.replace(f"{{{k}}}", name)
    cells = [
        f"`{function.name}({', '.join(names)})`",
        function.symbol or function.name,
        f"{function.takes} → {function.gives}",
        f"`{re.sub('[{}]', '', text)}`" if text else "a callable",
        *(meaning(applied(function), name).partition(":")[0] for name in ALGEBRAS[1:]),
        function.derivative,
        str(function.flops),
    ]
    return f"| {' | '.join(map(cell, cells))} |"


def reasons() -> str:
    """Why algebras refuse functions, wholly or in part, and which."""
    found: dict[tuple[str, str], list[str]] = {}
    for function in functions():
        for algebra in ALGEBRAS[1:]:
            _, _, reason = meaning(applied(function), algebra).partition(": ")
            if reason:
                reason = re.sub(rf"\b{function.name}\b", "f", reason)
                found.setdefault((algebra, reason), []).append(f"`{function.name}`")
    return "\n".join(
        f"- `{algebra}`, {reason}: {', '.join(names)}."
        for (algebra, reason), names in found.items()
    )


def page() -> str:
    """All sections, and the table of the pointwise functions."""
    sections = "\n".join(section(KINDS[name]) for name in EXAMPLES)
    heads = ["function", "drawn as", "types", "PyTorch", *ALGEBRAS[1:], "derivative", "FLOPs"]
    table = "\n".join(function_row(function) for function in functions())
    return (
        f"## Boxes\n\n{sections}\n## Pointwise functions\n\n"
        f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n{table}\n\n"
        f"The reasons where an algebra says no, or yes in part:\n\n{reasons()}\n"
    )
