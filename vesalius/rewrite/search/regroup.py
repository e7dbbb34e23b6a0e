"""Orders of evaluation: nested contractions are flattened, flat ones are taken apart again.

`x·(Σ_j y_j·z_j)` and `Σ_j (x·y_j)·z_j` differ in nesting alone. Rules for that would make every
partial nesting, exponentially many, so nesting is not left to rules. A contraction whose
operands are contractions is flattened once, all the way down, and each flat one is taken apart
into contractions of two operands: in all ways where its operands are connected in few ways (a chain
of matrices has n² connected parts), else in the one way that opt_einsum finds at given sizes.
Which of them is best is the extraction's choice, which sees what is shared. Sums likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.search.egraph import EGraph, ENode

NESTING = (CONTRACT, ADD)
OPERANDS = 32  # a contraction of more operands is not flattened further
TWICE = 6  # … where what it would be flattened into is read twice, as in a power
SPARE = 4  # how many operands more than in the diagram a rule may bring about
UNKNOWN = 64  # what a size without a value counts as, where one order has to be chosen
FEW = 8  # how many connected parts, for what is not taken apart wholly
PARTS = 24  # how many connected parts k operands may have, or k² if more, for all orders
FORMS = 4  # how many flat forms of one contraction are made


@dataclass(frozen=True)
class Flat:
    """A flat contraction or sum: its operands, labelled, and the labels summed over."""

    kind: Kind
    uses: tuple[Use, ...]
    bound: tuple[Label, ...]


def flat_of(node: ENode) -> Flat:
    """An e-node as a flat contraction, labelled by its local axes."""
    box = node.box
    return Flat(box.kind, tuple(zip(node.src, box.maps, strict=True)), box.bound)


class Regrouping:
    """Adds flat forms and orders of evaluation to an e-graph.

    `wholly` says for which e-nodes all orders are added where they are few. What holds by nesting
    alone is listed: `flattened` holds (reader, what it read, flat form), `parts` flat forms with
    their parts. `made` are the e-nodes of parts, which are not flattened again. `origin` is for
    each e-node made here the one whose nesting led to it.
    """

    def __init__(
        self,
        graph: EGraph,
        at: Mapping[str, int] | None = None,
        wholly: Callable[[ENode], bool] = lambda node: True,
    ) -> None:
        self.graph = graph
        self.at = at
        self.wholly = wholly
        self.flattened: list[tuple[ENode, ENode, ENode]] = []
        self.parts: list[tuple[ENode, Parts]] = []
        self.made: set[ENode] = set()
        self.origin: dict[ENode, ENode] = {}
        self.most = OPERANDS
        self._done: set[Any] = set()

    def run(self, nodes: Iterable[ENode], check: Callable[[], None] = lambda: None) -> None:
        """Flatten and take apart these e-nodes and what their flat forms are."""
        for node in nodes:
            check()
            if node.same is None and node.box.kind in NESTING and node not in self.origin:
                wholly = self.wholly(node)
                for form in (node, *self._flatten(node)):
                    self._take_apart(form, wholly)
        if self.most == OPERANDS:  # what rules make later has no more operands than this
            counts = [len(node.src) for node in self.graph.nodes() if node.box.kind in NESTING]
            self.most = min(OPERANDS, max(counts, default=0) + SPARE)

    # -- flattening -------------------------------------------------------------------------------

    def _flatten(self, node: ENode) -> Iterator[ENode]:
        """The flat forms of an e-node that reads nested ones."""
        graph, forms = self.graph, 0
        todo: list[tuple[ENode, frozenset[int]]] = [(node, frozenset([graph.seat(node).group]))]
        while todo and forms < FORMS:
            reader, gone = todo.pop()
            port, inner = self._nested(reader, gone)
            if not inner:
                if reader is not node:
                    forms += 1
                    yield reader
                continue
            for below in inner[:FORMS]:
                key = reader.box, reader.src, below.box, below.src
                before = len(graph.made)
                flat = self.inline(reader, port, below)
                self.origin.update(dict.fromkeys(graph.made[before:], node))
                if key not in self._done:
                    self._done.add(key)
                    self.flattened.append((reader, below, flat))
                if graph.node(flat) is not graph.node(reader):
                    todo.append((flat, gone | {reader.src[port]}))

    def _nested(self, reader: ENode, gone: frozenset[int]) -> tuple[int, list[ENode]]:
        """A port of an e-node at which nested ones come in, and these; none where it is flat.

        Classes that were flattened on the way here are left, or what reads itself has no end.
        """
        graph, kind = self.graph, reader.box.kind
        for port, group in enumerate(reader.src):
            if group in gone:
                continue
            most = self.most if reader.src.count(group) == 1 else TWICE
            inner = [
                node
                for node, _ in graph.members(group)
                if node.box.kind is kind
                and node not in self.made
                and len(reader.src) + len(node.src) - 1 <= most
                and group not in node.src
            ]
            if inner:
                flattest = max(len(node.src) for node in inner)
                return port, [node for node in inner if len(node.src) == flattest]
        return 0, []

    def inline(self, reader: ENode, port: int, below: ENode) -> ENode:
        """The reader with the operands of what it reads at a port in the place of that."""
        graph, box = self.graph, reader.box
        group, slots = graph.seat(below)
        outside: dict[int, Label] = {}
        at = dict(zip(slots, below.box.outs[0], strict=True))
        use_group, labels = graph.use((reader.src[port], box.maps[port]))
        assert use_group == group
        for slot, label in enumerate(labels):
            outside[at[slot]] = label
        inside = {a: outside.get(a, ("inner", a)) for a in range(below.box.inner)}
        uses: list[Use] = [
            use for p, use in enumerate(zip(reader.src, box.maps, strict=True)) if p != port
        ]
        for g, row in zip(below.src, below.box.maps, strict=True):
            uses.append((g, tuple([inside[a] for a in row])))
        bound = [*box.bound, *(inside[a] for a in below.box.bound)]
        node, ((made, made_labels),) = graph.place(box.kind, box.attrs, uses, bound)
        assert node is not None
        graph.union(graph.output(reader), (made, made_labels))
        return node

    # -- orders -----------------------------------------------------------------------------------

    def _take_apart(self, node: ENode, wholly: bool) -> None:
        """Add what is equal to a flat e-node and has two operands at each step."""
        key = node.box, node.src
        if len(node.src) < 2 or key in self._done:
            return
        self._done.add(key)
        before = len(self.graph.made)
        parts = Parts(self.graph, flat_of(node))
        parts.build(self.at, wholly)
        self.made.update(self.graph.made[before:])
        self.origin.update(dict.fromkeys(self.graph.made[before:], node))
        if parts.whole:
            self.parts.append((node, parts))
            self.graph.union(self.graph.output(node), parts.use[parts.full])


class Parts:
    """The parts of a flat contraction: sets of its operands, as bit masks.

    `use[S]` is the contraction of the operands in S alone, over the axes that nothing outside
    S has; `nodes[S]` are the e-nodes for it, each with the two parts that it multiplies.
    """

    def __init__(self, graph: EGraph, flat: Flat) -> None:
        self.graph = graph
        self.flat = flat
        self.full = (1 << len(flat.uses)) - 1
        self.use: dict[int, Use] = {}
        self.nodes: dict[int, list[tuple[int, int, ENode]]] = {}
        self._bound = frozenset(flat.bound)
        self._labels = [frozenset(labels) for _, labels in flat.uses]
        self._near = [self._neighbours(k) for k in range(len(flat.uses))]

    @property
    def whole(self) -> bool:
        """Whether all operands together have been made."""
        return self.full in self.use

    def _neighbours(self, k: int) -> int:
        """The operands that may be multiplied with operand k first.

        They share a summed axis, or one has all the axes of the other.
        """
        mine, found = self._labels[k], 0
        for j, other in enumerate(self._labels):
            shared = mine & other
            if j != k and (shared & self._bound or mine <= other or other <= mine):
                found |= 1 << j
        return found

    def _around(self, part: int) -> int:
        found = 0
        for k, near in enumerate(self._near):
            if part >> k & 1:
                found |= near
        return found & ~part

    def connected(self, limit: int) -> list[int] | None:
        """All parts that hang together, the small ones first; None when there are too many."""
        found = {1 << k for k in range(len(self._labels))}
        layer = list(found)
        while layer:
            grown = set()
            for part in layer:
                around = self._around(part)
                grown |= {part | 1 << k for k in range(len(self._near)) if around >> k & 1}
                if len(found) + len(grown) > limit:
                    return None
            layer = sorted(grown - found)
            found |= grown
        return sorted(found, key=lambda part: (part.bit_count(), part))

    def kept(self, part: int) -> frozenset[Label]:
        """The axes of a part that are not summed in it."""
        inside: set[Label] = set()
        outside: set[Label] = set()
        for k, labels in enumerate(self._labels):
            (inside if part >> k & 1 else outside).update(labels)
        return frozenset(label for label in inside if label not in self._bound or label in outside)

    def build(self, at: Mapping[str, int] | None, wholly: bool) -> None:
        """Make all parts, or those on one good path."""
        most = max(PARTS, len(self.flat.uses) ** 2) if wholly else FEW
        connected = self.connected(most)
        for k, use in enumerate(self.flat.uses):
            self.use[1 << k] = self._summed(1 << k, use)
        if connected is None:
            self._follow(self._path(at))
            return
        known = [part for part in connected if part in self.use]
        for size in range(2, len(self.flat.uses) + 1):
            fresh = [part for part in connected if part.bit_count() == size]
            wanted = set(fresh)
            for one in known:
                for other in known:
                    if one < other and not one & other and one | other in wanted:
                        self._join(one, other)
            known += fresh
        if not self.whole:
            self._join_rest(known)

    def _join_rest(self, known: list[int]) -> None:
        """Join parts that have nothing to do with each other, which is an outer product."""
        loose: list[int] = []
        for part in reversed(known):
            if not any(part & other for other in loose):
                loose.append(part)
        while len(loose) > 1:
            one, other = loose.pop(), loose.pop()
            self._join(min(one, other), max(one, other))
            loose.append(one | other)

    def _summed(self, part: int, use: Use) -> Use:
        """An operand, summed over the axes that it alone has."""
        alone = [label for label in use[1] if label not in self.kept(part)]
        if not alone:
            return use
        node, (made,) = self.graph.place(self.flat.kind, (), [use], alone)
        assert node is not None
        self.nodes.setdefault(part, []).append((part, 0, node))
        return made

    def _join(self, one: int, other: int) -> None:
        """Multiply two parts."""
        part = one | other
        uses = [self.use[one], self.use[other]]
        kept = self.kept(part)
        bound = dict.fromkeys(x for _, labels in uses for x in labels if x not in kept)
        node, (made,) = self.graph.place(self.flat.kind, (), uses, list(bound))
        assert node is not None
        self.nodes.setdefault(part, []).append((one, other, node))
        known = self.use.setdefault(part, made)
        if known is not made:
            self.graph.union(known, made)

    def _follow(self, path: list[tuple[int, ...]]) -> None:
        """Make the parts on a path, as opt_einsum writes it."""
        loose = [1 << k for k in range(len(self.flat.uses))]
        for step in path:
            taken = [loose.pop(k) for k in sorted(step, reverse=True)]
            while len(taken) > 1:
                one, other = taken.pop(), taken.pop()
                self._join(min(one, other), max(one, other))
                taken.append(one | other)
            loose += taken

    def _path(self, at: Mapping[str, int] | None) -> list[tuple[int, ...]]:
        from opt_einsum import contract_path, get_symbol

        names: dict[Label, str] = {}
        terms, shapes = [], []
        uses = [self.use[1 << k] for k in range(len(self.flat.uses))]
        for group, labels in uses:
            terms.append("".join(names.setdefault(x, get_symbol(len(names))) for x in labels))
            shapes.append(tuple([number(s, at) for s in self.graph.types[group].sizes]))
        result = "".join(name for label, name in names.items() if label not in self._bound)
        path, _ = contract_path(f"{','.join(terms)}->{result}", *shapes, shapes=True)
        return list(path)


def number(size: Size, at: Mapping[str, int] | None) -> int:
    """The value of a size; a variable without a value counts as `UNKNOWN`."""
    values = dict.fromkeys(size.variables, UNKNOWN)
    return size.at({**values, **(at or {})})
