"""The reference of the primitives, written from their declarations as the documentation is built.

What a primitive is stands in its declaration, and the library makes a table of these. What stands
here is an example of each box, from which the axes that it binds and makes are read off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import vesalius as vs
from vesalius.compile.lowerings import LOWERINGS, REFUSALS
from vesalius.diagrams.box import KINDS, Kind
from vesalius.diagrams.graph import Node, Port
from vesalius.diagrams.listing import local_names
from vesalius.diagrams.table import ALGEBRAS, Row, primitives_table


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


# -- the page -------------------------------------------------------------------------------------


def rows() -> dict[tuple[str, str], Row]:
    """The table of the primitives by family and name."""
    written = {name: one.text for name, one in LOWERINGS.items()}
    written |= {name: f"no: {reason}" for name, reason in REFUSALS.items()}
    return {(row.family, row.name): row for row in primitives_table(written)}


def functions() -> list[Row]:
    """The pointwise functions that the library declares."""
    return [row for (family, name), row in rows().items() if family == "function" and public(name)]


def public(name: str) -> bool:
    return name in vs.__all__


def code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words) or "–"


def cell(text: str) -> str:
    """A text inside a table, where a bar would end the cell."""
    return text.replace("|", "\\|")


def section(row: Row) -> str:
    """What there is to say about a kind."""
    kind = KINDS[row.name]
    shown = example(kind)
    wires, expression = EXAMPLES[row.name]
    results = ", ".join(f"`{type_}`" for type_ in shown.diagram.output_types.values())
    costs = [f"{name} {n}" for name, n in kind.cost(shown.diagram.site(shown.node)).items()]
    says = {
        "example": f"`{expression}`" + (f" with `{wires}`" if wires else "") + f" is {results}",
        "binds": code(shown.binds),
        "tubes": code(shown.tubes),
        "makes": code(shown.makes),
        "in general": row.types,
        "cost": code(costs),
        "derivative": row.derivative,
        **{f"in `{name}`": row.meanings[name] for name in ALGEBRAS},
        "PyTorch": row.lowering,
        "drawn as": f"{kind.look.shape}, `{kind.look(shown.node.box)}`",
        "JSON": row.json,
    }
    table = "\n".join(f"| {name} | {cell(text)} |" for name, text in says.items())
    summary = f"{row.summary[0].upper()}{row.summary[1:]}."
    return f"### {row.name}\n\n{summary}\n\n    {row.formula}\n\n| | |\n|---|---|\n{table}\n"


def function_row(row: Row) -> str:
    """A line of the table of functions."""
    cells = [
        f"`{row.summary}`",
        row.types,
        row.lowering,
        *(re.split("[:;]", row.meanings[name])[0] for name in ALGEBRAS[1:]),
        row.derivative,
        row.cost.removesuffix(" an entry"),
        row.drawing.removeprefix("box, "),
    ]
    return f"| {' | '.join(map(cell, cells))} |"


def reasons() -> str:
    """Why algebras refuse functions, wholly or in part, and which."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in functions():
        for algebra, text in row.meanings.items():
            verdict, mark, reason = text.partition("no: ")
            if mark:
                reason = re.sub(rf"\b{row.name}\b", "f", reason)
                found.setdefault((algebra, f"{verdict}no: {reason}"), []).append(f"`{row.name}`")
    return "\n".join(
        f"- `{algebra}`, {why}: {', '.join(names)}." for (algebra, why), names in found.items()
    )


def page() -> str:
    """All sections, and the table of the pointwise functions."""
    table = rows()
    sections = "\n".join(section(table["box", name]) for name in EXAMPLES)
    heads = ["function", "types", "PyTorch", *ALGEBRAS[1:], "derivative", "FLOPs", "drawn as"]
    lines = "\n".join(map(function_row, functions()))
    return (
        f"## Boxes\n\n{sections}\n## Pointwise functions\n\n"
        f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n{lines}\n\n"
        f"Where an algebra says no, or in part:\n\n{reasons()}\n"
    )
