"""`vs.search`: the cheapest diagram that rules lead to, and the derivation that leads there."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.grade import EQUAL
from vesalius.rewrite.moves import Unfold
from vesalius.rewrite.refusals import RuleError
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.search.choose import Choice, Chooser
from vesalius.rewrite.search.egraph import ENode
from vesalius.rewrite.search.finite import has_exponential, overflows
from vesalius.rewrite.search.price import Number, Price
from vesalius.rewrite.search.price import price as price_of
from vesalius.rewrite.search.recover import Recovery
from vesalius.rewrite.search.saturate import SATURATED, Saturation, Stop, Watch

INTERRUPTED = "interrupted"
GRACE = 2.0  # seconds that an interrupted search takes to make something of what it has
TRIES = 4  # how many selections are tried whose derivation cannot be recovered
SATURATING, CHOOSING = 0.5, 0.8  # the shares of the time after which saturation and choice end


class Bounds(NamedTuple):
    """How far a search goes."""

    nodes: int
    seconds: float
    depth: int


@dataclass(frozen=True)
class Statistics:
    """How a search went.

    `ended` says whether it is saturated (within so many rules one upon the other, where there
    were more to take), or which bound was met. `applied` counts by rule.
    """

    ended: str
    e_nodes: int
    classes: int
    rounds: int
    seconds: float
    applied: Mapping[str, int]


@dataclass(frozen=True)
class Found(Derivation):
    """What a search found: a derivation from the diagram to the cheapest one.

    `before` and `after` are the costs of its ends. `proved` says that nothing cheaper is among
    what the rules reached; `whole`, that the derivation leads to the best that was found, and
    not only towards it. `verdict` is that of `vs.check`, None where it was not asked for.
    """

    cost: str = ""
    before: Number = 0
    after: Number = 0
    proved: bool = False
    whole: bool = True
    statistics: Statistics | None = None
    verdict: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        lines = [f"{self.cost}: {_number(self.before)} → {_number(self.after)}{self._ratio()}"]
        if self.statistics is not None:
            how = self.statistics
            lines.append(
                f"{how.ended}: {how.e_nodes} e-nodes, {how.classes} classes, {how.rounds} rounds"
            )
        if not self.whole:
            lines.append("the best that was found is not reached: this is the best on the way")
        if self.verdict is not None:
            lines.append(f"checked: {self.verdict.mark}")
        return "\n".join([*lines, super().__str__()])

    def _ratio(self) -> str:
        if not self.after or self.after == self.before:
            return ""
        return f" ({self.before / self.after:.3g}×)"


def _number(value: Number) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def search(
    diagram: Diagram,
    rules: Iterable[Rule | Schema] | None = None,
    cost: str | Mapping[str, float] | Price | Callable[[Diagram], Number] = "flops",
    *,
    at: Mapping[str, int] | None = None,
    nodes: int = 5000,
    seconds: float = 10.0,
    depth: int = 2,
    finite: bool = True,
    check: bool = True,
) -> Found:
    """The cheapest diagram that is equal to `diagram` by the rules, with the derivation.

    `rules` are of the grade `equal`; all such rules of the library when None. `cost` is `flops`,
    `bytes`, `peak` or `time` (seconds of its boxes, measured one by one) at the sizes `at`; weights
    of these, as `{"flops": 1, "bytes": 20}`; or a function of a diagram. Named boxes are opened
    first.

    Bounds: at most about `nodes` e-nodes, `seconds` in all before the check, and `depth` rules
    one upon the other (orders of evaluation not counted). When a bound is met, or the user
    interrupts, the best so far is returned, and `statistics.ended` says so. With `finite`, no
    exponential is taken that the diagram lacks and that may overflow. For FLOPs no loop is
    taken for a diagram that has none. With `check`, the derivation is checked.

    Raises `RuleError` for a rule that is not equal, `SizeError` for a size without a value or one
    that the diagram does not have, and `StructureError` when the check refutes the derivation.
    """
    a_diagram("search", diagram)
    chosen = equal_rules(rules)
    start = Derivation(diagram)
    if any(node.box.kind is NAMED and node.box["token"] is None for node in diagram.boxes):
        start = start.then(Unfold())
    price = price_of(cost, diagram, at or {})
    with _listening() as keys:
        bounds = Bounds(nodes, seconds, depth)
        found = _Search(start, chosen, price, bounds, finite, keys).run()
    if not check or not len(found):
        return found
    from vesalius.rewrite.check import check_derivation

    verdict = check_derivation(found)
    if not verdict and verdict.mark != "outside":
        raise StructureError(f"search: the derivation does not hold\n{verdict}")
    return Found(**{**vars(found), "verdict": verdict})


def equal_rules(rules: Iterable[Rule | Schema] | None = None) -> list[Rule | Schema]:
    """The rules with which a search may exchange one for another: all of the library if None."""
    if rules is None:
        from vesalius.rewrite.rules import RULES, SCHEMAS

        library: list[Rule | Schema] = [*RULES.values(), *SCHEMAS.values()]
        return [rule for rule in library if rule.grade == EQUAL]
    chosen = list(rules)
    for rule in chosen:
        if rule.grade != EQUAL:
            raise RuleError(
                f"search: {rule.name} is {rule.grade}, and only what is equal may be exchanged"
            )
    return chosen


class _Search:
    """One run of a search. Ctrl-C ends the part that it is in; the others take what there is."""

    def __init__(
        self,
        start: Derivation,
        rules: list[Rule | Schema],
        price: Price,
        bounds: Bounds,
        finite: bool,
        keys: _Keys,
    ) -> None:
        self.start = start
        self.price = price
        self.bounds = bounds
        self.keys = keys
        self.begun = time.monotonic()
        self.seconds = bounds.seconds
        self.ended = ""
        self.saturation = Saturation(start.end, rules, price.at, bounds.depth)
        self.refused: set[ENode] = set()
        # What comes out of a body was there: which of them it is, cannot be told.
        self.finite = finite and not has_exponential(start.end)
        # FLOPs do not tell that the steps of a loop wait for one another.
        scans = any(node.box.kind is SCAN for node in start.end.boxes)
        self.loopless = price.name == "flops" and not scans

    def run(self) -> Found:
        """Saturate, choose, recover the derivation."""
        before = self.price.of(self.start.start)
        best, after = self.start[:0], before
        whole = proved = False
        self._saturate()
        for _ in range(TRIES):
            choice = self._choose()
            if choice is None:
                break
            derivation, whole, obstacle = self._recover(choice)
            best, after = self._cheapest(derivation, best, after)
            if whole or obstacle is None:
                proved = whole and choice.proved
                break
            self.refused.add(obstacle)
        return Found(
            best.start,
            best.steps,
            best.name,
            self.price.name,
            before,
            after,
            proved,
            whole,
            self._statistics(),
        )

    # -- the parts, each of which may be interrupted ----------------------------------------------

    def _watch(self, share: float) -> Watch:
        return Watch(self.bounds.nodes, self.seconds * share, self.keys.pressed, self.begun)

    def _end(self, why: str) -> None:
        """Note why a part ended before its time, and how much time is left for the others."""
        if self.keys.take() or why == INTERRUPTED:
            why = INTERRUPTED
            self.seconds = min(self.seconds, time.monotonic() - self.begun + GRACE)
        if not self.ended or self.ended.startswith(SATURATED) or why == INTERRUPTED:
            self.ended = why

    def _saturate(self) -> None:
        watch = self._watch(SATURATING)
        try:
            ended = self.saturation.run(watch)
            self._end(ended if watch.goes_on() else self._late())
        except KeyboardInterrupt:
            self.saturation.graph.rebuild()
            self._end(INTERRUPTED)

    def _choose(self) -> Choice | None:
        saturation, watch = self.saturation, self._watch(CHOOSING)
        chooser = Chooser(
            saturation.graph,
            saturation.roots,
            saturation.first,
            self.start.end,
            self.price,
            self._barred,
            watch.goes_on,
        )
        try:
            found: Choice | None = chooser.best()
        except KeyboardInterrupt:
            self._end(INTERRUPTED)
            return chooser.so_far
        if not watch.goes_on():
            self._end(self._late())
        return found

    def _late(self) -> str:
        return f"{self.bounds.seconds:g} seconds are over"

    def _barred(self, node: ENode) -> bool:
        if node in self.refused or (node.box.kind is SCAN and self.loopless):
            return True
        return self.finite and overflows(self.saturation.graph, node)

    def _recover(self, choice: Choice) -> tuple[Derivation, bool, ENode | None]:
        recovery = Recovery(self.saturation, choice.selection, self._watch(1.0).check)
        whole = False
        try:
            whole = recovery.run()
        except Stop:
            self._end(self._late())
        except KeyboardInterrupt:
            self._end(INTERRUPTED)
        else:
            return self.start >> recovery.derivation, whole, recovery.obstacle
        return self.start >> recovery.derivation, False, None

    def _cheapest(
        self, derivation: Derivation, best: Derivation, least: Number
    ) -> tuple[Derivation, Number]:
        """The derivation up to the cheapest diagram on its way, or the best so far."""
        try:
            for k, diagram in enumerate(derivation.diagrams):
                cost = self.price.of(diagram)
                if cost < least:
                    best, least = derivation[:k], cost
        except KeyboardInterrupt:
            self._end(INTERRUPTED)
        return best, least

    def _statistics(self) -> Statistics:
        saturation = self.saturation
        return Statistics(
            self.ended,
            len(saturation.graph),
            sum(1 for _ in saturation.graph.groups()),
            saturation.rounds,
            time.monotonic() - self.begun,
            dict(saturation.found),
        )


class _Keys:
    """What the user has pressed: Ctrl-C asks a part to end, a second one ends it at once."""

    def __init__(self) -> None:
        self._pressed = False

    def pressed(self) -> bool:
        """Whether the user wants this part to end."""
        return self._pressed

    def take(self) -> bool:
        """As `pressed`, and forgets it."""
        was, self._pressed = self._pressed, False
        return was

    def press(self, number: int, frame: Any) -> None:
        """Called by the signal."""
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True


@contextmanager
def _listening() -> Iterator[_Keys]:
    """Listen to Ctrl-C, which only the main thread can."""
    keys = _Keys()
    if threading.current_thread() is not threading.main_thread():
        yield keys
        return
    before = signal.signal(signal.SIGINT, keys.press)
    try:
        yield keys
    finally:
        signal.signal(signal.SIGINT, before)
