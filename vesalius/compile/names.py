"""Names in emitted text: what variables, axes and classes are called.

A diagram may come from anywhere, so no name of it enters a text as it is unless it is an
identifier; comments and docstrings are cleaned. Names of variables are guesses at what a person
would write: `q` for a contraction with `wq`, `scores` for what a softmax reads.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence

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


# -- what a variable would be called ------------------------------------------------------------

_KEEP = frozenset({"split", "merge", "expand", "slice", "pad", "window", "diagonal", "concat"})
_COUNTED = frozenset({"positions", "table", "number"})
_FIXED = {
    "softmax": ["weights"],
    "max": ["largest"],
    "min": ["smallest"],
    "all": ["mask"],
    "any": ["mask"],
    "iota": ["positions"],
    "constant": ["table"],
    "topk": ["values", "places"],
    "fourier": ["real", "imaginary"],
}


def base_names(diagram: Diagram, weights: Mapping[int, str]) -> list[str]:
    """For each wire, the name that its variable would like to have.

    `weights` are the wires that are parameters, with their names.
    """
    return _Guess(diagram, weights).names


class _Guess:
    def __init__(self, diagram: Diagram, weights: Mapping[int, str]) -> None:
        self.diagram = diagram
        self.weights = weights
        self.scores = _feeds_softmax(diagram)
        self.names = [identifier(port.name) for port in diagram.inputs]
        # What has no better name; not that of an input.
        self.plain = next((x for x in ("y", "z", "h") if x not in self.names), "y")
        ends = {p.wire: p.name for p in diagram.outputs if not p.name.startswith("out")}
        for node in diagram.nodes[len(self.names) :]:
            for wire, name in zip(node.wires, self._names_of(node), strict=True):
                self.names.append(identifier(ends.get(wire, name)))

    def _names_of(self, node: Node) -> list[str]:
        kind, wire = node.box.kind.name, node.first
        wire_type = self.diagram.types[wire]
        if kind in ("parameter", "random"):
            return [node.box["token"].name.rpartition(".")[2]]
        if kind == "constant" and not wire_type.sizes:
            return ["number"]
        if kind in _FIXED:
            return _FIXED[kind]
        if kind in ("named", "scan"):
            return self._of_body(node)
        if wire_type.dtype == "bool":
            return ["mask"] * len(node.wires)
        if wire in self.scores and kind != "gather":
            return ["scores"]
        if kind == "contract":
            return [self._contracted(node)]
        if kind == "gather":
            return ["x" if node.src[0] in self.weights else self.names[node.src[0]]]
        if kind in ("add", "pointwise", *_KEEP):
            return [self._inherited(node)]
        return [self.plain] * len(node.wires)

    def _contracted(self, node: Node) -> str:
        """`q` for a contraction with `wq`."""
        if not node.box.bound:
            name = self._inherited(node)
            return "mean" if name == "total" and len(node.src) == 2 else name
        weights = [self.weights[wire] for wire in node.src if wire in self.weights]
        if len(weights) == 1 and len(node.src) == 2:
            name = re.sub(r"^[wW]_?", "", weights[0])
            if name[:1].isalpha() and name != weights[0]:
                return name
            return weights[0] if len(weights[0]) > 1 else self.plain
        if len(node.src) == 1:
            return "total"
        return "out" if any(self.names[wire] == "weights" for wire in node.src) else self.plain

    def _inherited(self, node: Node) -> str:
        """The name of the operand that has the shape of the result, the first computed first."""
        types = self.diagram.types
        for wire in node.src:
            same = len(types[wire].sizes) == len(types[node.first].sizes)
            if same and types[wire].dtype != "bool" and wire not in self.weights:
                return "x" if self.names[wire] in _COUNTED else self.names[wire]
        return self.plain

    def _of_body(self, node: Node) -> list[str]:
        """The body's names for its outputs; a lone one is called as what it was made from."""
        ports = [port.name for port in node.box["body"].outputs]
        if ports == ["out"] and node.src:
            source, types = node.src[0], self.diagram.types
            same = len(types[source].sizes) == len(types[node.first].sizes)
            return [self.names[source] if same else self.plain]
        return [identifier(port) for port in ports]


def _feeds_softmax(diagram: Diagram) -> set[int]:
    """The wires that reach a softmax through scaling, adding and pointwise functions alone."""
    found: set[int] = set()
    for node in reversed(diagram.nodes):
        kind = node.box.kind.name
        reached = any(wire in found for wire in node.wires)
        if kind == "softmax":
            found.update(node.src)
        elif reached and kind in ("add", "pointwise", "contract") and not node.box.bound:
            rank = len(diagram.types[node.first].sizes)
            found.update(w for w in node.src if len(diagram.types[w].sizes) == rank)
    return found
