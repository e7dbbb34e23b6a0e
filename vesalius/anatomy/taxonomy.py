"""The taxonomy: mechanisms, and the derivations that lead from one to another.

    vs.taxonomy.path("bahdanau", "linear")    # a derivation: replayed, checked, drawn, graded
    print(vs.taxonomy.reached())              # which mechanisms reach softmax attention, and how
    vs.taxonomy.draw("map.svg")

A node is a mechanism of the catalogue, at options and sizes where a derivation starts or ends at
some. An edge is a derivation of the registry; both of its ends are the catalogue's own diagrams.
Read backwards an edge has the inverse grade. A mechanism at chosen sizes is reached from itself at
any sizes.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from vesalius.anatomy.derivations import DERIVATIONS
from vesalius.anatomy.edges import EDGES
from vesalius.anatomy.ends import ENDS, OBSTRUCTIONS, SOFTMAX
from vesalius.anatomy.mechanism import CATALOGUE, SIZES
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.derivation import Derivation, Step
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.grade import EQUAL, Grade, Relation
from vesalius.rewrite.interfaces import Prepare, Tie
from vesalius.rewrite.moves import Choose, Fill, Restrict, Rewrite

__all__ = [
    "Edge",
    "NoPath",
    "Node",
    "Reached",
    "draw",
    "edges",
    "families",
    "mechanisms",
    "path",
    "reached",
    "told",
]


class NoPath(VesaliusError, LookupError):
    """No chain of derivations leads from one mechanism to the other."""


@dataclass(frozen=True)
class Node:
    """A mechanism at options and sizes: `Node.at("linear", causal=True)`."""

    mechanism: str
    options: tuple[tuple[str, Any], ...] = ()

    @staticmethod
    def at(mechanism: str, **options: Any) -> Node:
        """The node of a mechanism at these options and sizes. Raises `UnknownMechanism`."""
        return Node(CATALOGUE[mechanism].name, tuple(sorted(options.items())))

    @property
    def diagram(self) -> Diagram:
        """The diagram of the catalogue."""
        return _diagram(self)

    @property
    def sizes(self) -> dict[str, Any]:
        """The sizes that are chosen, by the names of their variables."""
        known = CATALOGUE[self.mechanism].options
        return {SIZES.get(name, name): value for name, value in self.options if name not in known}

    @property
    def general(self) -> Node:
        """The same with no size chosen."""
        known = CATALOGUE[self.mechanism].options
        return Node(self.mechanism, tuple(pair for pair in self.options if pair[0] in known))

    def __str__(self) -> str:
        said = [n if v is True else f"{n}={v}" for n, v in self.options]
        return f"{self.mechanism}({', '.join(said)})" if said else self.mechanism


@cache
def _diagram(node: Node) -> Diagram:
    return CATALOGUE[node.mechanism](**dict(node.options))


@dataclass(frozen=True)
class Edge:
    """A derivation between two nodes; `name` is its name in the registry, or says the sizes."""

    name: str
    start: Node
    end: Node
    derivation: Derivation = field(repr=False, compare=False)

    @property
    def grade(self) -> Grade:
        """What the derivation promises, from its start to its end."""
        return self.derivation.grade

    @property
    def varies(self) -> bool:
        """Whether some step of it is a `variant`. Going up, then down, makes none."""
        return any(step.grade.relation is Relation.UNKNOWN for step in self.derivation)

    @property
    def family(self) -> Diagram | None:
        """The diagram with open slots between its ends, if it goes up to one and down again."""
        ups = (step for step in self.derivation if step.backwards and isinstance(step.move, Fill))
        return next((step.after for step in ups), None)

    def inverse(self) -> Edge:
        """The same edge, read backwards."""
        back = self.derivation.inverse().named(f"{self.name}, backwards")
        return Edge(back.name, self.end, self.start, back)


@cache
def edges() -> tuple[Edge, ...]:
    """All edges: those of the registry, then the choices of sizes between nodes that there are."""
    found = []
    for name, ((a, at), (b, to)) in ENDS.items():
        derivation = EDGES[name] if name in EDGES.entries else DERIVATIONS[name]
        found.append(Edge(name, Node.at(a, **at), Node.at(b, **to), derivation))
    nodes = dict.fromkeys(node for edge in found for node in (edge.start, edge.end))
    for node in nodes:
        # Heads that a node has and its mechanism lacks are no size that is chosen.
        if node.sizes and {*node.sizes} <= {*node.general.diagram.size_variables}:
            derivation = Derivation(node.general.diagram).then(Choose(node.sizes))
            # What the choice implies for other sizes is a choice too: then the catalogue says so.
            if derivation.end == node.diagram:
                found.append(Edge(derivation.steps[0].name, node.general, node, derivation))
    return tuple(found)


def families() -> dict[tuple[str, str], list[Edge]]:
    """The edges that go up to a family with open slots, by its name and where they lead down to."""
    found: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges():
        if edge.family is not None:
            found.setdefault((edge.family.name, edge.end.mechanism), []).append(edge)
    return found


@cache
def _from() -> Mapping[Node, Sequence[Edge]]:
    found: dict[Node, list[Edge]] = {}
    for edge in edges():
        for one in (edge, edge.inverse()):
            found.setdefault(one.start, []).append(one)
    return found


def mechanisms() -> list[str]:
    """The mechanisms that the taxonomy is about: all but what is built around attention."""
    return [m.name for m in CATALOGUE if "feed_forward" not in m.parts]


# -- paths ----------------------------------------------------------------------------------------


def path(start: str | Node, end: str | Node, *, variants: bool = True) -> Derivation:
    """The shortest chain of derivations between two mechanisms, as one derivation.

    A name stands for the mechanism at any options. Of the chains with the fewest edges it is one
    with the fewest `variant` edges; without `variants` it has none. Raises `NoPath`.

    >>> path("scaled_dot_product", "linear").grade.name
    'variant'
    """
    found = _shortest(_nodes(start), set(_nodes(end)), variants)
    if found is None:
        without = "" if variants else " without a variant"
        raise NoPath(f"no chain of derivations leads from {start} to {end}{without}")
    return _chained(found[0], found[1]).named(f"{start} → {end}")


def _nodes(of: str | Node) -> list[Node]:
    """The nodes at which derivations start or end, of a mechanism or of one node."""
    if isinstance(of, Node):
        return [of]
    CATALOGUE[of]
    return [Node.at(of), *(node for node in _from() if node.mechanism == of and node.options)]


def _chained(start: Node, chain: Sequence[Edge]) -> Derivation:
    whole = Derivation(start.diagram)
    for edge in chain:
        whole = whole >> edge.derivation
    return whole


def _shortest(
    starts: Sequence[Node], ends: set[Node], variants: bool
) -> tuple[Node, tuple[Edge, ...]] | None:
    number = count()  # breaks ties, in the order in which the edges are listed
    waiting = [(0, 0, next(number), node, node, ()) for node in starts]
    seen: set[Node] = set()
    while waiting:
        length, bad, _, first, node, chain = heapq.heappop(waiting)
        if node in ends:
            return first, chain
        if node in seen:
            continue
        seen.add(node)
        for edge in _from().get(node, ()):
            if variants or not edge.varies:
                step = (
                    length + 1,
                    bad + edge.varies,
                    next(number),
                    first,
                    edge.end,
                    (*chain, edge),
                )
                heapq.heappush(waiting, step)  # type: ignore[misc]
    return None


# -- what reaches softmax attention ---------------------------------------------------------------


def told(chain: Derivation) -> str:
    """What a chain does, in a few words: the slots that it opens, what is prepared, tied, fixed.

    Steps that are `equal` go without saying; the derivation itself has them all.
    """
    words = dict.fromkeys(map(_word, chain))
    return "; ".join(word for word in words if word)


def _word(step: Step) -> str:
    move = step.move
    if isinstance(move, Fill):
        return f"{', '.join(move.bodies)} opened" if step.backwards else ""
    if isinstance(move, Prepare):
        prepared = any(body.inputs for body in move.bodies.values())
        return f"{', '.join(move.bodies)} {'prepared' if prepared else 'fixed'}"
    if isinstance(move, Finish):
        return f"output: {move.doc or move.body.name}"
    if isinstance(move, Tie):
        return f"{', '.join(dict.fromkeys(move.names.values()))} tied"
    if isinstance(move, Restrict):
        return move.name
    return move.name if isinstance(move, Rewrite) and step.grade != EQUAL else ""


@dataclass(frozen=True)
class Reached:
    """What reaches a mechanism: by a promise, as a sibling, or neither, and then why.

    A promise is a chain whose composite grade is no `variant`. `siblings` have a chain without
    a `variant` edge, which goes up and down: both ends relate to something between them, and to
    each other the chain promises nothing. `obstructions` says of each other one what stands in
    the way. Chains lead from the mechanism to the target.
    """

    target: str
    promised: Mapping[str, Derivation]
    siblings: Mapping[str, Derivation]
    obstructions: Mapping[str, str]

    @property
    def total(self) -> int:
        """How many mechanisms there are, the target among them."""
        return len(self.promised) + len(self.siblings) + len(self.obstructions)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON's types."""

        def written(chains: Mapping[str, Derivation]) -> dict[str, Any]:
            return {
                name: {
                    "chain": chain.name,
                    "grade": str(chain.grade),
                    "by": told(chain),
                    "steps": [step.name for step in chain],
                }
                for name, chain in chains.items()
            }

        return {
            "target": self.target,
            "mechanisms": self.total,
            "promised": written(self.promised),
            "siblings": written(self.siblings),
            "obstructions": dict(self.obstructions),
        }

    def __str__(self) -> str:
        return (
            f"{len(self.promised)} of {self.total} mechanisms reach {self.target} by a promise; "
            f"{len(self.siblings)} more are siblings of it; {len(self.obstructions)} are neither"
        )


def reached(target: str | Sequence[str] = SOFTMAX, title: str = "softmax attention") -> Reached:
    """Which mechanisms reach a target by edges that are no `variant`, and how the others fail.

    The target is softmax attention unless said: alone, and with the projections of heads.
    """
    names = [target] if isinstance(target, str) else list(target)
    title = names[0] if isinstance(target, str) else title
    promised: dict[str, Derivation] = {}
    siblings: dict[str, Derivation] = {}
    obstructions: dict[str, str] = {}
    ways = _ways([node for name in names for node in _nodes(name)])
    for name in mechanisms():
        found = [way for node in _nodes(name) for way in ways.get(node, {}).items()]
        if not found:
            obstructions[name] = OBSTRUCTIONS.get(name, "no derivation has been written")
            continue
        _, chain = min(found, key=lambda way: (_weakness(way[0]), len(way[1])))
        start = chain[0].start if chain else Node.at(name)
        end = chain[-1].end if chain else start
        derivation = _chained(start, chain).named(f"{start} → {end}")
        known = siblings if derivation.grade.relation is Relation.UNKNOWN else promised
        known[name] = derivation
    return Reached(title, promised, siblings, obstructions)


def _weakness(grade: Grade) -> tuple[bool, int, bool, bool]:
    unknown = grade.relation is Relation.UNKNOWN
    return (unknown, grade.precision, grade.relation is not Relation.EQUAL, not grade.same)


def _ways(targets: Sequence[Node]) -> dict[Node, dict[Grade, tuple[Edge, ...]]]:
    """For each node and each grade that a chain from it to a target can have, a shortest chain."""
    found: dict[Node, dict[Grade, tuple[Edge, ...]]] = {node: {EQUAL: ()} for node in targets}
    waiting: list[tuple[Node, Grade]] = [(node, EQUAL) for node in targets]
    for node, grade in waiting:  # grows as it is read: breadth first
        for onwards in _from().get(node, ()):
            edge = onwards.inverse()
            if edge.varies:
                continue
            whole = edge.grade.then(grade)
            known = found.setdefault(edge.start, {})
            if whole not in known:
                known[whole] = (edge, *found[node][grade])
                waiting.append((edge.start, whole))
    return found


# -- the map --------------------------------------------------------------------------------------


def draw(file: str | Path | None = None, **options: Any) -> Any:
    """The map of all mechanisms: see `vesalius.anatomy.map`."""
    from vesalius.anatomy.map import draw

    return draw(file, **options)
