"""Choosing the best diagram out of an e-graph, for costs of both sorts.

Where the cost is a sum over boxes, `vesalius.rewrite.search.extract` finds it. Other costs (peak
memory, a function of the user's) can only be asked of whole diagrams: of all when they are few,
else of those that single changes lead to from where sums point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from vesalius.diagrams.builder import Use
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.search.egraph import EGraph, ENode
from vesalius.rewrite.search.extract import Extraction, Option, Selection
from vesalius.rewrite.search.price import Number, Price
from vesalius.rewrite.search.realise import realise

ALL = 512  # so many selections are all looked at
LOOKS = 2048  # how many diagrams a cost is asked for in all
NEW = 1 << 10  # what an e-node weighs that the diagram did not have, where costs are equal
WHOLE = 1 << 32  # what a unit of cost weighs against that
BARRED = 1 << 80  # the price of what must not be taken


class Choice:
    """What was chosen, and whether it is known to be the best there is."""

    def __init__(self, selection: Selection, proved: bool) -> None:
        self.selection = selection
        self.proved = proved


class Chooser:
    """Chooses among what an e-graph holds; `barred(node)` says what must not be taken."""

    def __init__(
        self,
        graph: EGraph,
        roots: Sequence[Use],
        first: set[ENode],
        like: Diagram,
        price: Price,
        barred: Callable[[ENode], bool],
        go_on: Callable[[], bool],
    ) -> None:
        self.graph = graph
        self.roots = roots
        self.first = first
        self.like = like
        self.price = price
        self.barred = barred
        self.go_on = go_on
        self.so_far: Choice | None = None

    def best(self) -> Choice:
        """The best selection, as far as was looked."""
        extraction = Extraction(self.graph, [g for g, _ in self.roots], self._weight, self.go_on)
        chosen = extraction.best()
        self.so_far = Choice(chosen, False)
        if self.price.additive:
            return Choice(chosen, extraction.proved)
        return self._of_wholes(extraction, chosen)

    def _weight(self, node: ENode) -> int:
        """The price of an e-node as an integer; at equal cost what was there already is kept."""
        new = node not in self.first
        if new and self.barred(node):
            return BARRED
        share = self.price.of_box(self.graph.site(node))
        whole = share * WHOLE if isinstance(share, int) else round(share * WHOLE * WHOLE)
        return whole + 1 + new * NEW

    # -- costs of whole diagrams ------------------------------------------------------------------

    def _of_wholes(self, extraction: Extraction, start: Selection) -> Choice:
        allowed = {
            group: [option for option in options if option.price < BARRED]
            for group, options in extraction.options.items()
        }
        every = _every(allowed, extraction.roots, ALL)
        if every is None:
            return Choice(self._descend(allowed, start), False)
        best, least = start, self._cost(start)
        for selection in every:
            if not self.go_on():
                return Choice(best, False)
            cost = self._cost(selection)
            if cost < least:
                best, least = selection, cost
                self.so_far = Choice(best, False)
        return Choice(best, True)

    def _cost(self, selection: Mapping[int, ENode]) -> tuple[Number, int]:
        diagram = realise(self.graph, selection, self.roots, self.like)
        return self.price.of(diagram), sum(node not in self.first for node in selection.values())

    def _descend(self, options: Mapping[int, Sequence[Option]], start: Selection) -> Selection:
        """Change one choice at a time as long as that makes the whole cheaper."""
        default = {group: row[0].node for group, row in options.items() if row}
        best, least, looks = start, self._cost(start), 0
        better = True
        while better:
            better = False
            for group in list(best):
                for option in options[group]:
                    if option.node is best.get(group):
                        continue
                    looks += 1
                    if looks > LOOKS or not self.go_on():
                        return best
                    changed = _used({**default, **best, group: option.node}, self.roots, self.graph)
                    if changed is not None and (cost := self._cost(changed)) < least:
                        best, least, better = changed, cost, True
                        self.so_far = Choice(best, False)
        return best


def _used(chosen: Mapping[int, ENode], roots: Sequence[Use], graph: EGraph) -> Selection | None:
    """The part of a choice that the roots need; None when it lacks something or reads itself."""
    found: Selection = {}
    done: dict[int, bool] = {}
    stack = [(graph.find(group)[0], False) for group, _ in roots]
    while stack:
        group, leaving = stack.pop()
        if leaving:
            done[group] = True
        elif group not in done:
            done[group] = False
            if group not in chosen:
                return None
            node = found[group] = chosen[group]
            stack.append((group, True))
            stack += [(graph.find(below)[0], False) for below in node.src]
        elif not done[group]:
            return None
    return found


def _every(
    options: Mapping[int, Sequence[Option]], roots: Sequence[int], most: int
) -> list[Selection] | None:
    """All selections; None when there are more than some number."""
    found: list[Selection] = []
    for selection in _selections(options, {}, list(roots), [most * 64]):
        if selection is None or len(found) == most:
            return None
        found.append(selection)
    return found


def _selections(
    options: Mapping[int, Sequence[Option]],
    chosen: Selection,
    todo: list[int],
    steps: list[int],
) -> Iterator[Selection | None]:
    steps[0] -= 1
    if steps[0] < 0:
        yield None
        return
    rest = [group for group in dict.fromkeys(todo) if group not in chosen]
    if not rest:
        yield chosen
        return
    group = rest[0]
    for option in options[group]:
        grown = {**chosen, group: option.node}
        if not _loops(grown, group):
            yield from _selections(options, grown, [*rest[1:], *option.below], steps)


def _loops(chosen: Selection, start: int) -> bool:
    """Whether a class reads itself through what is chosen."""
    seen: set[int] = set()
    todo = list(chosen[start].src)
    while todo:
        group = todo.pop()
        if group == start:
            return True
        if group not in seen and group in chosen:
            seen.add(group)
            todo += chosen[group].src
    return False
