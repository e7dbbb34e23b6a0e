"""Which of the rewritings that kernels offer are taken: the one that saves most, then the next.

A rewriting puts a right side in the place of one wire, so boxes that only that wire needs are gone.
What it saves is what those take, less what the right side takes. Two rewritings are rivals where
one would take away the wire that the other computes. This is greedy, and greedy suffices: offers
are few, most are rivals of none, and of rivals one is nearly always inside the other.

Time is not all: a rewriting that makes an array several times as large as all that enter and leave,
as one of all pairs is, gives way to one that makes none, unless that one takes much longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import cached_property
from heapq import heappop, heappush
from math import inf
from typing import NamedTuple

from vesalius.compile.explain import Time
from vesalius.compile.kernels import KERNELS, Found, Kernel, Target
from vesalius.compile.kernels.kernel import kernel_of
from vesalius.compile.roofline import WIDTHS, Call, entries, predicted, size_of
from vesalius.compile.tune import WRITTEN, names
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.graft import Replacement
from vesalius.diagrams.graph import Diagram, Node

CLEARLY = 0.75  # what comes first is left for something that takes at most this part of its time
SEVERAL = 4  # times as large as all that enters and leaves is large
LONGER = 1.5  # how much longer a kernel without large arrays may take than one that makes one


class Offer(NamedTuple):
    """A rewriting found at a box: what its right side takes, and which boxes are gone then.

    `own` is None for a kernel that does not say what it takes.
    """

    node: Node
    kernel: Kernel
    found: Found
    own: float | None
    gone: frozenset[int]
    roots: frozenset[int]

    def rivals(self, other: Offer) -> bool:
        """Whether not both can be taken."""
        apart = self.roots.isdisjoint(other.gone) and other.roots.isdisjoint(self.gone)
        return not (apart and self.roots.isdisjoint(other.roots))


class Taken(NamedTuple):
    """An offer that is taken, what it takes, and its rivals with what they take.

    Where the text as it is `written` was measured to be faster than all of them, it is the first of
    the offers that lost.
    """

    offer: Offer
    time: Time
    rivals: list[tuple[Offer, Time]]
    written: bool = False


class Market:
    """All offers for a diagram, and what they take there.

    The `text` as it is written competes, unless nobody has written it.
    """

    def __init__(self, diagram: Diagram, target: Target, text: bool = True) -> None:
        self.diagram = diagram
        self.target = target
        self.text = text
        self.offers: list[Offer] = []
        self._times: dict[int, float] = {}

    @cached_property
    def _order(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(KERNELS)}

    def offer(self, node: Node, kernel: Kernel, found: Found) -> Offer:
        """An offer, which the text as it is written has not beaten yet."""
        wires = (found.wire, *(wire for wire, _ in found.others))
        roots = frozenset([self.diagram.owner[wire] for wire in wires])
        gone = frozenset(_gone(self.diagram, found))
        return Offer(node, kernel, found, _right(found, self.target), gone, roots)

    # -- seconds ----------------------------------------------------------------------------------

    def time(self, nodes: Iterable[int]) -> float:
        """The seconds that boxes take as they are written."""
        total = 0.0
        for k in sorted(nodes):
            if k not in self._times:
                self._times[k] = predicted(self.diagram, self.target, nodes=[k]) or 0.0
            total += self._times[k]
        return total

    def seconds(self, offer: Offer, among: Sequence[Offer]) -> float | None:
        """What an offer takes, with the boxes that it leaves while another takes them away."""
        if offer.own is None:
            return None
        every = frozenset[int]().union(*(one.gone for one in among))
        return offer.own + self.time(every - offer.gone)

    def as_written(self, offer: Offer) -> float | None:
        """The seconds as it is written, where those are clearly fewer than an offer takes.

        Where the text makes something large, all lengths have to be known: what is fast at usual
        ones may need too much memory at others. Where it does not, a kernel that is there to save
        memory has to be faster.
        """
        if offer.own is None or self._first(offer) != (False, False):
            return None
        if self.target.timed is not None or not self.text:
            return None  # it is timed, or does not compete
        written = self.time(offer.gone)
        large = self._makes_more(offer)
        if written >= (CLEARLY if large or not offer.kernel.spares_memory else 1.0) * offer.own:
            return None
        types = (self.diagram.types[wire] for wire in self._made(offer))
        lengths = {name for type_ in types for size in type_.sizes for name in size.variables}
        known = lengths <= self.target.sizes.keys()
        return written if known or not large else None

    def _made(self, offer: Offer) -> list[int]:
        """The wires that are gone then."""
        return [wire for k in sorted(offer.gone) for wire in self.diagram.nodes[k].wires]

    def _makes_more(self, offer: Offer) -> bool:
        """Whether an array is made that is larger than all that enter and leave."""
        sources = {wire for k in offer.gone for wire in self.diagram.nodes[k].src}
        made = set(self._made(offer))
        left = {wire for k in offer.roots for wire in self.diagram.nodes[k].wires}
        outer, inner = (sources - made) | left, made - left
        return self._largest(inner) > self._largest(outer)

    def large(self, offer: Offer, among: Sequence[Offer]) -> int:
        """The bytes of the largest array that an offer makes, or leaves to be made, where others do
        not, also where gradients are asked for; 0 unless it is several times as large as all that
        enter and leave.
        """
        diagram, target = self.diagram, self.target
        every = frozenset[int]().union(*(one.gone for one in among))
        sources = {wire for k in every for wire in diagram.nodes[k].src}
        inside = {wire for k in every for wire in diagram.nodes[k].wires}
        roots = {
            wire
            for one in among
            for k in one.roots
            for wire in diagram.nodes[k].wires
            if not (wire in inside and _unread(diagram, wire, every) and wire not in self._outputs)
        }  # what one offer makes may be inside another
        outer = max(size_of(diagram, wire, target) for wire in (sources - inside) | roots)
        left = [wire for k in every - offer.gone for wire in diagram.nodes[k].wires]
        made = [size_of(diagram, wire, target) for wire in left if wire not in roots]
        for _, replacement in ((0, offer.found.replacement), *offer.found.others):
            body = replacement.body
            outputs = {port.wire for port in body.outputs}
            wires = (wire for node in body.boxes for wire in node.wires if wire not in outputs)
            made += [size_of(body, wire, target) for wire in wires]
            made += [self._backward(replacement, node) for node in body.boxes]
        largest = max(made, default=0)
        return largest if largest > SEVERAL * outer else 0

    def _backward(self, replacement: Replacement, node: Node) -> int:
        """The bytes of the largest array that a kernel makes where gradients are asked for."""
        found = kernel_of(node.box)
        if found is None or found[0].backward is None:
            return 0
        body, target = replacement.body, self.target
        learned = {
            port
            for port, wire in enumerate(node.src)
            for k in _ancestors(body, wire)
            if k < len(body.inputs)
            and self._learned(replacement.uses[k][0], entries(body, wire, target))
        }
        lengths = [target.length(size) for size in body.site(node).sizes]
        made = found[0].backward(Call(*found, node.box, lengths, target, 0.0, 0.0), learned)
        return made * WIDTHS.get(target.dtype, 4)

    def _learned(self, wire: int, size: int) -> bool:
        """Whether gradients are likely asked for: of a parameter, or of floats from which an array
        of this size is made; one that is given whole is a mask.
        """
        diagram, target = self.diagram, self.target
        return any(
            node.first in self._trained
            or (
                node.box.kind is INPUT
                and diagram.types[node.first].dtype == "float"
                and entries(diagram, node.first, target) < size
            )
            for node in (diagram.nodes[k] for k in _ancestors(diagram, wire))
        )

    @cached_property
    def _trained(self) -> frozenset[int]:
        """The parameters that are trained."""
        tokens = self.diagram.tokens
        return frozenset(
            node.first for token, node in tokens if isinstance(token, Parameter) and token.trainable
        )

    @cached_property
    def _outputs(self) -> frozenset[int]:
        return frozenset([port.wire for port in self.diagram.outputs])

    def _largest(self, wires: Iterable[int]) -> int:
        return max((entries(self.diagram, wire, self.target) for wire in wires), default=0)

    # -- taking -----------------------------------------------------------------------------------

    def taken(self) -> list[Taken]:
        """The offers that are taken: preferred ones first, then those that save most.

        Of rivals, an earlier kernel stays where no other is clearly faster.
        """
        rest = sorted(self.offers, key=self._rank)
        found: list[Taken] = []
        while rest:
            best = rest[0]
            rivals = [one for one in rest if one.rivals(best) and self._may_be(one, best)]
            measured = self._measured(rivals)
            if measured is None:
                good = [one for one in rivals if one is best or self._as_good(one, best)]
                first = min(good, key=lambda one: self._order[one.kernel.name])
                first = self._leaner(first, rivals)
                beaten = [one for one in rest if one.rivals(first) and one is not first]
                every = [first, *beaten]
                times = [Time(self.seconds(one, every), large=self.large(one, every))
                         for one in every]  # fmt: skip
                found.append(Taken(first, times[0], list(zip(beaten, times[1:], strict=True))))
            else:
                first = self._fastest(rivals, measured, found)
                beaten = rivals
            lost = set(map(id, beaten))
            if first.kernel.finite:
                lost.update(id(one) for one in rest if self._brings_back(one, first))
            rest = [one for one in rest if id(one) not in lost and not one.rivals(first)]
        return found

    def _leaner(self, first: Offer, rivals: Sequence[Offer]) -> Offer:
        """One that makes no large array and takes not much longer, if the first one makes one."""
        if not self.large(first, rivals):
            return first
        own = self.seconds(first, rivals)
        lean = [
            (time, k)
            for k, one in enumerate(rivals)
            if (time := self.seconds(one, rivals)) is not None and not self.large(one, rivals)
        ]
        time, k = min(lean, default=(inf, -1))
        return rivals[k] if own is not None and time <= LONGER * own else first

    def _fastest(
        self, rivals: list[Offer], measured: tuple[Time, list[Time]], found: list[Taken]
    ) -> Offer:
        """What was measured to be fastest, noted as it is taken; its offer."""
        written, times = measured
        both = list(zip(rivals, times, strict=True))
        k = min(range(len(rivals)), key=lambda k: _key(times[k]))
        if _key(written) < _key(times[k]):
            found.append(Taken(rivals[k], written, both, written=True))
        else:
            found.append(Taken(rivals[k], times[k], both[:k] + both[k + 1 :]))
        return rivals[k]

    def _measured(self, rivals: list[Offer]) -> tuple[Time, list[Time]] | None:
        """What the text took and what each rival took, where that is known."""
        timed = self.target.timed
        preferred = self._first(rivals[0]) != (False, False)
        if timed is None or (preferred and len(rivals) == 1):
            return None
        times = timed.of(self.diagram, rivals, self.target)
        if times is None:
            return None
        every = frozenset[int]().union(*(one.gone for one in rivals))
        written = Time(self.time(every), times[WRITTEN] if self.text and not preferred else None)
        return written, [
            Time(self.seconds(one, rivals), times[name], times[name] is None)
            for one, name in zip(rivals, names(rivals), strict=True)
        ]

    def _brings_back(self, offer: Offer, finite: Offer) -> bool:
        """Whether an offer reads what is gone, so that it would be computed after all."""
        found = offer.found
        reads = (
            use[0] for r in (found.replacement, *(r for _, r in found.others)) for use in r.uses
        )
        return any(self.diagram.owner[wire] in finite.gone for wire in reads)

    def _first(self, offer: Offer) -> tuple[bool, bool]:
        """Whether an offer is preferred, or there so that nothing overflows."""
        return offer.kernel.name in self.target.prefer, offer.kernel.finite

    def _may_be(self, offer: Offer, best: Offer) -> bool:
        """Whether an offer comes as much before others as the best one."""
        return self._first(offer) == self._first(best)

    def _rank(self, offer: Offer) -> tuple[bool, bool, bool, float, int]:
        """A kernel that does not say what it takes comes before those that do."""
        saved = self.time(offer.gone) - (offer.own or 0.0)
        preferred, finite = self._first(offer)
        first = not preferred, not finite, offer.own is not None
        return *first, -saved, self._order[offer.kernel.name]

    def _as_good(self, offer: Offer, best: Offer) -> bool:
        """Whether the best offer is not clearly faster than this one."""
        here, there = (self.seconds(one, [offer, best]) for one in (offer, best))
        return here is not None and there is not None and there > CLEARLY * here


def _key(time: Time) -> float:
    return inf if time.measured is None else time.measured


def _right(found: Found, target: Target) -> float | None:
    """The seconds of a right side; the replacements of several wires may share one."""
    total = 0.0
    bodies = {id(r.body): r.body for r in (found.replacement, *(r for _, r in found.others))}
    for body in bodies.values():
        own = predicted(body, target, found.shown)
        if own is None:
            return None
        total += own
    return total


def _gone(diagram: Diagram, found: Found) -> set[int]:
    """The boxes that nobody needs once a rewriting is made."""
    replaced = {found.wire, *(wire for wire, _ in found.others), *found.spared}
    reads = {use[0] for r in (found.replacement, *(r for _, r in found.others)) for use in r.uses}
    kept = reads | {port.wire for port in diagram.outputs} - replaced
    gone: set[int] = set()
    queue: list[int] = []  # boxes that may be gone, later ones first
    _push(queue, {diagram.owner[wire] for wire in replaced - reads})
    while queue:
        k = -heappop(queue)
        node = diagram.nodes[k]
        if k in gone or not all(
            wire in replaced or (wire not in kept and _unread(diagram, wire, gone))
            for wire in node.wires
        ):
            continue
        gone.add(k)
        _push(queue, {diagram.owner[wire] for wire in node.src})
    return gone


def _ancestors(diagram: Diagram, wire: int) -> set[int]:
    """The boxes that a wire comes from."""
    found: set[int] = set()
    queue = [diagram.owner[wire]]
    while queue:
        k = queue.pop()
        if k not in found:
            found.add(k)
            queue += [diagram.owner[w] for w in diagram.nodes[k].src]
    return found


def _push(queue: list[int], nodes: Iterable[int]) -> None:
    for k in nodes:
        heappush(queue, -k)


def _unread(diagram: Diagram, wire: int, gone: Set[int]) -> bool:
    return all(k in gone for k, _ in diagram.consumers[wire])
