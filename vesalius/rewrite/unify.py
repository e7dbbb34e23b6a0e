"""What the size variables of a pattern stand for, and which sizes they leave no room for."""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import substitute as of_diagram
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.pattern import Pattern

Sizes = Mapping[str, Size]


def bind_size(sizes: Sizes, wanted: Size, actual: Size) -> Sizes | None:
    """Let a size variable of the pattern stand for a size of the host; None where it may not.

    A formula is left for later, when its variables are known.
    """
    name = wanted.variable
    if name is None:
        return sizes if wanted.variables or wanted == actual else None
    known = sizes.get(name)
    if known is None:
        return {**sizes, name: actual}
    return sizes if known == actual else None


def bind_axes(
    pattern: Pattern,
    host: Diagram,
    nodes: Mapping[int, int],
    axes: Mapping[tuple[int, int], int],
    sizes: Sizes,
) -> Sizes | None:
    """Let size variables stand for the sizes of axes; None where the host's sizes are others.

    `axes` sends (pattern node, local axis) to a local axis of the host node.
    """
    known = sizes
    later: list[tuple[Size, Size]] = []
    for node, k in nodes.items():
        lengths = host.site(host.nodes[k]).sizes
        for axis, wanted in enumerate(pattern.sizes[node]):
            actual = lengths[axes[node, axis]]
            bound = bind_size(known, wanted, actual)
            if bound is None:
                return None
            known = bound
            if wanted.variable is None:
                later.append((wanted, actual))
    for wanted, actual in later:
        solved = _solved(known, wanted, actual)
        if solved is None:
            return None
        known = solved
    for node in pattern.late:
        ours, theirs = pattern.left.nodes[node].box, host.nodes[nodes[node]].box
        for mine, other in zip(ours.attrs, theirs.attrs, strict=True):
            if isinstance(mine, Size) and mine.substitute(known) != other:
                return None
            if isinstance(mine, Diagram) and of_diagram(mine, known) != other:
                return None
    return known


def _solved(sizes: Sizes, wanted: Size, actual: Size) -> Sizes | None:
    """The sizes with the one variable of a formula that is not known, if it is of degree 1."""
    unknown = [name for name in wanted.variables if name not in sizes]
    if not unknown:
        return sizes if wanted.substitute(sizes) == actual else None
    if len(unknown) > 1 or wanted.degree(unknown[0]) != 1:
        return None
    (name,) = unknown
    try:
        zero, one = (wanted.substitute({**sizes, name: k}) for k in (0, 1))
        grown = {**sizes, name: (actual - zero) / (one - zero)}
        return grown if wanted.substitute(grown) == actual else None
    except SizeError:
        return None
