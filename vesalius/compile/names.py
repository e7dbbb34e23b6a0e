"""Names in emitted text: what variables, axes and classes are called.

A diagram may come from anywhere, so no name of it enters a text as it is unless it is an
identifier; comments and docstrings are cleaned. Names of variables are guesses at what a person
would write: `q` for a contraction with `wq`, `scores` for what a softmax reads.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence

from vesalius.diagrams.graph import Diagram, Node

# What emitted text itself uses.
RESERVED = frozenset({"self", "torch", "nn", "F", "math", "generator", "dtype", "device"})

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def identifier(text: str, otherwise: str = "x") -> str:
    """An identifier that resembles the text and is not a word of Python."""
    name = re.sub(r"\W", "_", text)
    if not name.isidentifier():
        name = otherwise
    return f"{name}_" if keyword.iskeyword(name) else name


def class_name(text: str) -> str:
    """`multihead_attention` as `MultiheadAttention`."""
    words = [word for word in re.split(r"[\W_]+", text) if word]
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return identifier(name, "Module")


def fresh(name: str, taken: Iterable[str]) -> str:
    """The name, with a number when it is taken."""
    used = set(taken)
    if name not in used:
        return name
    count = 2
    while f"{name}_{count}" in used:
        count += 1
    return f"{name}_{count}"


def clean(text: str) -> str:
    """A text that can stand in a comment or a docstring: one line, no quotes, no backslash."""
    line = " ".join(text.split())
    return "".join(c for c in line if c.isprintable()).replace("\\", "/").replace('"', "'")


def letters(names: Sequence[str], known: dict[str, str]) -> list[str]:
    """A letter for each axis; `known` keeps a name's letter the same throughout a text."""
    chosen: list[str] = []
    for name in names:
        letter = known.get(name, "")
        if not letter or letter in chosen:
            others = set(known.values()) | set(chosen)
            liked = [c for c in name if c in _LETTERS]
            letter = next((c for c in liked if c not in others), "")
            letter = letter or next((c for c in _LETTERS if c not in others), "")
            letter = letter or next(c for c in _LETTERS if c not in chosen)
            known.setdefault(name, letter)
        chosen.append(letter)
    return chosen


# -- what a variable would be called ----------------------------------------------------------------

_KEEP = frozenset({"split", "merge", "expand", "slice", "pad", "window", "diagonal", "concat"})
_REDUCED = {"max": "largest", "min": "smallest", "all": "mask", "any": "mask"}


def base_names(diagram: Diagram) -> list[str]:
    """For each wire, the name that its variable would like to have."""
    scores = _feeds_softmax(diagram)
    names: list[str] = [identifier(port.name) for port in diagram.inputs]
    ends = {port.wire: port.name for port in diagram.outputs if not port.name.startswith("out")}
    for node in diagram.nodes[len(names) :]:
        found = _names_of(diagram, node, names, scores)
        for wire, name in zip(node.wires, found, strict=True):
            names.append(identifier(ends.get(wire, name)))
    return names


def _names_of(diagram: Diagram, node: Node, names: list[str], scores: set[int]) -> list[str]:
    kind = node.box.kind.name
    wire = node.first
    if kind in ("parameter", "random"):
        return [node.box["token"].name.rpartition(".")[2]]
    if kind == "contract":
        return [_contracted(diagram, node, names, scores)]
    if kind == "softmax":
        return ["weights"]
    if kind in _REDUCED:
        return [_REDUCED[kind]]
    if kind == "iota":
        return ["positions"]
    if kind == "constant":
        return ["table" if diagram.types[wire].sizes else "number"]
    if kind == "topk":
        return ["values", "places"]
    if kind == "fourier":
        return ["real", "imaginary"]
    if kind in ("named", "scan"):
        return _of_body(diagram, node, names)
    if diagram.types[wire].dtype == "bool":
        return ["mask"] * len(node.wires)
    if wire in scores and kind != "gather":
        return ["scores"]
    if kind in ("add", "pointwise", *_KEEP):
        return [_inherited(diagram, node, names)]
    if kind == "gather":
        table = _parameter_name(diagram, node.src[0])
        return ["x" if table else names[node.src[0]]]
    return ["y"] * len(node.wires)


def _contracted(diagram: Diagram, node: Node, names: list[str], scores: set[int]) -> str:
    weights = [name for wire in node.src if (name := _parameter_name(diagram, wire))]
    if not node.box.bound:
        return "scores" if node.first in scores else _inherited(diagram, node, names)
    if len(weights) == 1 and len(node.src) == 2:
        return _projected(weights[0])
    if node.first in scores:
        return "scores"
    if len(node.src) == 1:
        return "total"
    return "out" if any(names[wire] == "weights" for wire in node.src) else "y"


def _projected(weight: str) -> str:
    """`q` for `wq`, `up` for `w_up`; `y` when nothing is left."""
    rest = re.sub(r"^[wW]_?", "", weight)
    return rest if rest[:1].isalpha() and rest != weight else weight if len(weight) > 1 else "y"


def _parameter_name(diagram: Diagram, wire: int) -> str:
    box = diagram.nodes[diagram.owner[wire]].box
    if box.kind.name == "parameter":
        return str(box["token"].name.rpartition(".")[2])
    return ""


def _inherited(diagram: Diagram, node: Node, names: list[str]) -> str:
    """The name of the operand that has the shape of the result, the earliest computed first."""
    rank = len(diagram.types[node.first].sizes)
    for wire in node.src:
        size, dtype = len(diagram.types[wire].sizes), diagram.types[wire].dtype
        if size == rank and dtype != "bool" and not _parameter_name(diagram, wire):
            return names[wire] if names[wire] not in ("positions", "table", "number") else "x"
    return "y"


def _of_body(diagram: Diagram, node: Node, names: list[str]) -> list[str]:
    """The body's own names for its outputs; a lone output is called as what it was made from."""
    ports = [port.name for port in node.box["body"].outputs]
    if len(ports) == 1 and ports[0] == "out" and node.src:
        source = node.src[0]
        same = len(diagram.types[source].sizes) == len(diagram.types[node.first].sizes)
        return [names[source] if same else "y"]
    return [identifier(port) for port in ports]


def _feeds_softmax(diagram: Diagram) -> set[int]:
    """The wires that reach a softmax through scaling, adding and pointwise functions alone."""
    found: set[int] = set()
    for node in reversed(diagram.nodes):
        kind = node.box.kind.name
        reached = any(wire in found for wire in node.wires)
        if kind == "softmax":
            found.update(node.src)
        elif reached and (kind in ("add", "pointwise") or kind == "contract" and not node.box.bound):
            rank = len(diagram.types[node.first].sizes)
            found.update(w for w in node.src if len(diagram.types[w].sizes) == rank)
    return found
