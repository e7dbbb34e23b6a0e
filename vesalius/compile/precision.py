"""Which floats are computed wider than a module's own type: positions, exponents, choices.

Positions are exact as integers, but bfloat16 does not tell 256 from 257, and an angle that is off
by one turns a rotary embedding into noise. What is computed from them alone, such as angles, waves
and distances, is therefore computed in float32 at least, and rounded where it meets other floats.
So are waves whose frequencies are parameters, up to the last sine or exponential.

A running sum of logarithms of gates grows with the length, its rounding with it, and an exponential
makes a factor of that. Exponents that hold such a sum, gates that are multiplied along an axis, and
all that either is made of entry by entry are computed so, too; and what a router chooses by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set

from vesalius.compile.kernels.kernel import kernel_of
from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.indexing import TOPK
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.boxes.shape import CONCAT, EXPAND, MERGE, PAD, SLICE, SPLIT
from vesalius.diagrams.boxes.sources import CONSTANT, INPUT, IOTA, PARAMETER, RANDOM
from vesalius.diagrams.graph import Diagram, Node

_OPAQUE = frozenset({NAMED, SCAN, INPUT, PARAMETER, RANDOM})
_GIVEN = frozenset({PARAMETER, RANDOM, CONSTANT})
_ARITHMETIC = frozenset({POINTWISE, ADD, CONTRACT})
_ENTRYWISE = frozenset({POINTWISE, ADD, EXPAND, PAD, SLICE, SPLIT, MERGE, CONCAT})
_SUMS = frozenset({"cumulative_sum", "recurrence"})  # along one axis, else entry by entry
# Functions that show the rounding of what is large.
_SENSITIVE = frozenset(["exp", "sin", "cos", "floor", "sigmoid", "tanh", "softplus", "erf"])


def exponents(box: Box) -> Set[int]:
    """The inputs of a kernel's box that it is handed in float32 at least."""
    found = kernel_of(box)
    if found is None or found[0].exponents is None:
        return frozenset()
    return found[0].exponents(found[1])


def wide_floats(diagram: Diagram) -> frozenset[int]:
    """The wires of floats that are computed in float32 at least, and rounded for all others."""
    exact = exact_floats(diagram)
    wide = exact | _waves(diagram, exact) | _routes(diagram)
    wide |= _made(diagram, _exponents(diagram), _entrywise)
    constant = set[int]()
    for node in diagram.nodes:  # and what is made of such alone, as 1 − gate
        floats = _floats(diagram, node.src)
        if node.box.kind is CONSTANT or (floats and constant.issuperset(floats)):
            constant.update(node.wires)
        elif _entrywise(node) and floats and all(x in wide or x in constant for x in floats):
            wide |= {*_floats(diagram, node.wires)}
    return wide


def exact_floats(diagram: Diagram) -> frozenset[int]:
    """The wires of floats that follow from integers, with numbers, alone.

    Those are left out that are whole numbers still and that nothing else is computed from.
    """
    exact: set[int] = set()
    constant: set[int] = set()  # what follows from numbers that are written down
    for node in diagram.nodes:
        if node.box.kind in _OPAQUE:
            continue
        dtypes = {wire: diagram.types[wire].dtype for wire in (*node.src, *node.wires)}
        whole = any(dtypes[wire] == "int" and wire not in constant for wire in node.src)
        floats = [wire for wire in node.src if dtypes[wire] == "float"]
        if not all(wire in exact or wire in constant for wire in floats):
            continue
        if whole or any(wire in exact for wire in floats):
            exact.update(wire for wire in node.wires if dtypes[wire] == "float")
        elif all(wire in constant for wire in node.src) and node.box.kind is not IOTA:
            constant.update(node.wires)
    for node in diagram.nodes:
        if node.first in exact and node.box.kind is POINTWISE:
            users = {diagram.nodes[user].first for user, _ in diagram.consumers[node.first]}
            if node.box["function"].name == "to_float" and users.isdisjoint(exact):
                exact.discard(node.first)
    return frozenset(exact)


# -- parts of a diagram ---------------------------------------------------------------------------


def _floats(diagram: Diagram, wires: Iterable[int]) -> list[int]:
    return [wire for wire in wires if diagram.types[wire].dtype == "float"]


def _maker(diagram: Diagram, wire: int) -> Node:
    return diagram.nodes[diagram.owner[wire]]


def _function(node: Node) -> str:
    name: str = node.box["function"].name if node.box.kind is POINTWISE else ""
    return name


def _entrywise(node: Node) -> bool:
    """Whether a box makes each entry of one of each input, or of all of them before it."""
    kind = node.box.kind
    return kind in _ENTRYWISE or (kind is CONTRACT and not node.box.bound) or is_running_sum(node)


def is_running_sum(node: Node) -> bool:
    """Whether a box is that of a kernel that adds up along an axis."""
    found = kernel_of(node.box)
    return found is not None and found[0].name in _SUMS


def _made(diagram: Diagram, wires: Iterable[int], passes: Callable[[Node], bool]) -> frozenset[int]:
    """Wires and what they are made of, as far as boxes pass."""
    found, stack = set[int](), list(wires)
    while stack:
        wire = stack.pop()
        node = _maker(diagram, wire)
        if wire not in found and passes(node):
            found.update(_floats(diagram, node.wires))
            stack += _floats(diagram, node.src)
    return frozenset(found)


# -- what is computed wide ------------------------------------------------------------------------


def _waves(diagram: Diagram, exact: Set[int]) -> frozenset[int]:
    """What follows from positions and parameters, up to the last function that is sensitive."""
    known, followed = set[int](), set(exact)  # from parameters and numbers; from positions, too
    for node in diagram.nodes:
        kind, whole = node.box.kind, diagram.types[node.first].dtype == "int"
        floats = _floats(diagram, node.src)
        if kind in (PARAMETER, CONSTANT) or (node.src and whole and known.issuperset(node.src)):
            known.update(node.wires)
        elif kind not in _OPAQUE and all(x in known or x in followed for x in floats):
            counted = kind in _ARITHMETIC and not known.issuperset(set(node.src) - {*floats})
            some = counted or not followed.isdisjoint(floats)
            (followed if some else known).update(_floats(diagram, node.wires))
    both = followed | known
    tips = [n.first for n in diagram.nodes if n.first in followed and _function(n) in _SENSITIVE]
    return _made(diagram, tips, lambda node: node.first in both and node.box.kind not in _GIVEN)


def _exponents(diagram: Diagram) -> Iterator[int]:
    """What kernels want as it is, and exponents and scores that hold a running sum."""
    sums = set[int]()
    for node in diagram.nodes:
        yield from (node.src[port] for port in exponents(node.box))
        held = sums.intersection(node.src)
        if is_running_sum(node) or (held and _entrywise(node)):
            sums.update(_floats(diagram, node.wires))
        if _function(node) in _SENSITIVE or node.box.kind is SOFTMAX:
            yield from held


def _routes(diagram: Diagram) -> frozenset[int]:
    """Scores by which is chosen, where they are products with parameters, and norms before them."""
    found = frozenset[int]()
    roots = _roots(diagram) if any(n.box.kind is TOPK for n in diagram.nodes) else {}
    for node in diagram.nodes:
        if node.box.kind is not TOPK:
            continue
        scores = _made(diagram, node.src, lambda n: _entrywise(n) or n.box.kind is SOFTMAX)
        read = {x for wire in scores for x in _maker(diagram, wire).src} | {*node.src}
        for wire in _floats(diagram, read - scores):
            product = _maker(diagram, wire)
            own = [x for x in product.src if _maker(diagram, x).box.kind not in _GIVEN]
            if product.box.kind is CONTRACT and len(own) < len(product.src):
                found |= {*scores, *product.wires, *_floats(diagram, node.wires)}
                for x in own:
                    found |= _norms(diagram, x, roots)
    return found


def _norms(diagram: Diagram, wire: int, roots: Mapping[int, int | None]) -> frozenset[int]:
    """What a wire is made of that is a function of one array, without the array."""
    root = roots[wire]
    return _made(diagram, [wire], lambda node: node.first != root and roots[node.first] == root)


def _roots(diagram: Diagram) -> dict[int, int | None]:
    """For each wire, the one that it is a function of: an array normalised is one of the array.

    None where it follows from parameters and numbers.
    """
    roots: dict[int, int | None] = {}
    for node in diagram.nodes:
        inside = {roots[x] for x in node.src} - {None}
        alone = all(roots[x] is not None or not diagram.types[x].sizes for x in node.src)
        simple = _entrywise(node) or (node.box.kind is CONTRACT and alone)
        if len(inside) == 1 and simple:
            (root,) = inside
            roots.update(dict.fromkeys(node.wires, root))
        elif inside or node.box.kind is INPUT:
            roots.update((wire, wire) for wire in node.wires)
        else:
            roots.update(dict.fromkeys(node.wires))
    return roots
