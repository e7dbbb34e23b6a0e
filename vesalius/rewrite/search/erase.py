"""Expansions that are erased: what holds of e-nodes because diagrams never write it.

A diagram never expands an operand along an axis that another operand brings, and never
expands twice. A class may come to hold an expansion after it has been read, so both are made
good here: the box reads what the expansion repeats, and the two e-nodes are merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.search.egraph import EGraph, ENode


class Erased(NamedTuple):
    """`right` is `left` once the class that it reads is seen to be the expansion."""

    left: ENode
    expansion: ENode
    right: ENode


def erase(graph: EGraph, groups: Iterable[int]) -> list[Erased]:
    """Read through the expansions that these classes hold, and merge; returns what was done."""
    found = []
    for group in groups:
        for expansion in [n for n, _ in graph.members(group) if n.box.kind is EXPAND]:
            for reader in graph.readers(group):
                right = _read_through(graph, reader, group, expansion)
                if right is not None and graph.node(right) is not graph.node(reader):
                    found.append(Erased(reader, expansion, right))
    return found


def _read_through(graph: EGraph, reader: ENode, group: int, expansion: ENode) -> ENode | None:
    box = reader.box
    if reader is expansion or not (box.kind is EXPAND or box.kind.broadcasts):
        return None
    rows: list[Use] = list(zip(reader.src, box.maps, strict=True))
    sizes, (of, _) = graph.site(reader).sizes, graph.find(group)
    uses: list[Use] = []
    changed = False
    for use in rows:
        if graph.find(use[0])[0] != of:
            uses.append(use)
            continue
        root, repeated = _root(graph, use, expansion)
        if box.kind is EXPAND:
            new = [*_sized(repeated, sizes), *_new(reader)]
            return _merged(graph, reader, [root], (), new)
        brought = {a for other, row in rows if graph.find(other)[0] != of for a in row}
        left = _sized([a for a in repeated if a not in brought], sizes)
        if len(left) == len(repeated):
            uses.append(use)
            continue
        changed = True
        uses.append(graph.add(EXPAND, (), [root], (), left)[0] if left else root)
    return _merged(graph, reader, uses, box.bound, ()) if changed else None


def _root(graph: EGraph, use: Use, expansion: ENode) -> tuple[Use, list[Label]]:
    """What an expansion repeats, read as a use of its class is, and the axes that it adds."""
    _, labels = graph.use(use)
    own = expansion.box
    at = dict(zip(own.outs[0], graph.seat(expansion).slots, strict=True))
    root = expansion.src[0], tuple([labels[at[a]] for a in own.maps[0]])
    return root, [labels[at[a]] for a in range(own.inner, own.rank)]


def _sized(axes: Iterable[Label], sizes: Sequence[Size]) -> list[tuple[Label, Size]]:
    return [(axis, sizes[axis]) for axis in axes if isinstance(axis, int)]


def _new(node: ENode) -> list[tuple[Label, Size]]:
    return [(node.box.inner + k, size) for k, size in enumerate(node.box.new)]


def _merged(
    graph: EGraph,
    reader: ENode,
    uses: list[Use],
    bound: Iterable[Label],
    new: Iterable[tuple[Label, Size]],
) -> ENode | None:
    box = reader.box
    node, (made,) = graph.place(box.kind, box.attrs, uses, list(bound), list(new))
    graph.union(graph.output(reader), made)
    return node
