"""Extraction: an e-node for each class that is needed, so that the whole costs least.

What several boxes read is made once and paid once, so the cheapest way to each class, taken by
itself, need not be the cheapest together. The cheapest ways by themselves are where it starts;
then single choices are changed while that helps; then branch and bound proves the best, or
stops at a bound of steps or time with the best so far. At equal cost what the diagram had is kept.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from vesalius.rewrite.search.egraph import EGraph, ENode

Selection = dict[int, ENode]

STEPS = 200_000  # how many choices branch and bound looks at


class Option(NamedTuple):
    """An e-node that a class may be, its price, and the classes that it reads."""

    price: int
    node: ENode
    below: tuple[int, ...]


class Extraction:
    """The choices that an e-graph leaves for some classes, at a price for each e-node."""

    def __init__(
        self,
        graph: EGraph,
        roots: Iterable[int],
        price: Callable[[ENode], int],
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.graph = graph
        self.go_on = go_on
        self.options: dict[int, list[Option]] = {}
        self._index: dict[int, int] = {}
        self.roots = [graph.find(root)[0] for root in roots]
        self._collect(price)
        self._alone = self._cheapest_alone()
        self._prune()
        self.proved = False

    # -- what there is to choose ------------------------------------------------------------------

    def _collect(self, price: Callable[[ENode], int]) -> None:
        todo = list(self.roots)
        while todo:
            group = todo.pop()
            if group in self.options:
                continue
            found = self.options[group] = []
            for node, _ in self.graph.members(group):
                below = tuple(dict.fromkeys(self.graph.find(g)[0] for g in node.src))
                if group not in below:
                    found.append(Option(price(node), node, below))
                    todo += below

    def _cheapest_alone(self) -> dict[int, int]:
        """For each class the least price of a way to it, when nothing is shared (Knuth 1977)."""
        readers: dict[int, list[tuple[int, int]]] = {}
        missing: dict[tuple[int, int], int] = {}
        heap: list[tuple[int, int]] = []
        for group, options in self.options.items():
            for k, option in enumerate(options):
                missing[group, k] = len(option.below)
                for below in option.below:
                    readers.setdefault(below, []).append((group, k))
                if not option.below:
                    heapq.heappush(heap, (option.price, group))
        known: dict[int, int] = {}
        while heap:
            price, group = heapq.heappop(heap)
            if group in known:
                continue
            known[group] = price
            for above, k in readers.get(group, ()):
                missing[above, k] -= 1
                if not missing[above, k] and above not in known:
                    option = self.options[above][k]
                    total = option.price + sum(known[below] for below in option.below)
                    heapq.heappush(heap, (total, above))
        return known

    def _prune(self) -> None:
        """Drop what is no way to anything, and what another option is never worse than."""
        for group, options in self.options.items():
            able = [o for o in options if all(below in self._alone for below in o.below)]
            able.sort(key=lambda o: (self._total(o), o.node.number))
            kept: list[Option] = []
            for option in able:
                below, several = set(option.below), len(option.node.seats) > 1
                if several or not any(
                    o.price <= option.price and below.issuperset(o.below) for o in kept
                ):
                    kept.append(option)
            self.options[group] = kept
        self._must = self._needed_anyway()

    def _total(self, option: Option) -> int:
        return option.price + sum(self._alone[below] for below in option.below)

    def _needed_anyway(self) -> dict[int, int]:
        """For each class, as a bit mask, the classes that are on every way to it."""
        groups = [group for group in self.options if group in self._alone]
        self._index = {group: k for k, group in enumerate(groups)}
        self._groups = groups
        everything = (1 << len(groups)) - 1
        must = dict.fromkeys(groups, everything)
        order = sorted(groups, key=lambda group: self._alone[group])
        changed = True
        while changed:
            changed = False
            for group in order:
                common = everything
                for option in self.options[group]:
                    ways = 0
                    for below in option.below:
                        ways |= must[below]
                    common &= ways
                common |= 1 << self._index[group]
                if common != must[group]:
                    must[group] = common
                    changed = True
        # A box of several outputs is paid once for all of them.
        self._least = [min(o.price // len(o.node.seats) for o in self.options[g]) for g in groups]
        return must

    # -- choosing ---------------------------------------------------------------------------------

    def best(self) -> Selection:
        """The best selection found; `proved` says whether it is the best there is."""
        chosen = {group: options[0] for group, options in self.options.items() if options}
        incumbent = self._used(chosen)
        assert incumbent is not None
        incumbent = self._improved(chosen, incumbent)
        incumbent = self._bound(incumbent)
        return {group: option.node for group, option in incumbent.items()}

    def _used(self, chosen: Mapping[int, Option]) -> dict[int, Option] | None:
        """The part of a choice that the roots need; None when it reads itself."""
        found: dict[int, Option] = {}
        state: dict[int, bool] = {}
        stack = [(root, False) for root in self.roots]
        while stack:
            group, done = stack.pop()
            if done:
                state[group] = True
                continue
            if group in state:
                if not state[group]:
                    return None
                continue
            state[group] = False
            option = found[group] = chosen[group]
            stack.append((group, True))
            stack += [(below, False) for below in option.below if not state.get(below)]
        return found

    @staticmethod
    def price(used: Mapping[int, Option]) -> int:
        """What a selection costs: each e-node once."""
        return sum({option.node: option.price for option in used.values()}.values())

    def _improved(
        self, chosen: dict[int, Option], incumbent: dict[int, Option]
    ) -> dict[int, Option]:
        """Change one choice at a time as long as that makes the whole cheaper."""
        least = self.price(incumbent)
        better = True
        while better:
            better = False
            for group in list(incumbent):
                if not self.go_on():
                    return incumbent
                old = chosen[group]
                for option in self.options[group]:
                    if option is old:
                        continue
                    chosen[group] = option
                    used = self._used(chosen)
                    if used is not None and self.price(used) < least:
                        least, incumbent, old, better = self.price(used), used, option, True
                    chosen[group] = old
        return incumbent

    def _bound(self, incumbent: dict[int, Option]) -> dict[int, Option]:
        """Branch and bound from an incumbent: depth first, the likeliest option first."""
        least = self.price(incumbent)
        steps = 0
        stack: list[Iterator[tuple[dict[int, Option], int, int]]] = [
            iter([({}, 0, self._mask(self.roots))])
        ]
        groups = self._groups
        while stack:
            state = next(stack[-1], None)
            if state is None:
                stack.pop()
                continue
            chosen, price, pending = state
            steps += 1
            if steps > STEPS:
                return incumbent
            if not steps % 256 and not self.go_on():
                return incumbent
            if price + self._rest(chosen, pending) >= least:
                continue
            if not pending:
                least, incumbent = price, chosen
                continue
            group = min(
                (groups[k] for k in _bits(pending)), key=lambda g: (len(self.options[g]), g)
            )
            stack.append(self._branches(chosen, price, pending, group))
        self.proved = True
        return incumbent

    def _branches(
        self, chosen: dict[int, Option], price: int, pending: int, group: int
    ) -> Iterator[tuple[dict[int, Option], int, int]]:
        rest = pending & ~(1 << self._index[group])
        for option in self.options[group]:
            if not any(self._reaches(chosen, below, group) for below in option.below):
                fresh = self._mask(below for below in option.below if below not in chosen)
                paid = len(option.node.seats) > 1 and any(
                    other.node is option.node for other in chosen.values()
                )
                total = price if paid else price + option.price
                yield {**chosen, group: option}, total, rest | fresh

    def _reaches(self, chosen: Mapping[int, Option], start: int, goal: int) -> bool:
        seen, todo = set(), [start]
        while todo:
            group = todo.pop()
            if group == goal:
                return True
            if group not in seen and group in chosen:
                seen.add(group)
                todo += chosen[group].below
        return False

    def _mask(self, groups: Iterable[int]) -> int:
        mask = 0
        for group in groups:
            mask |= 1 << self._index[group]
        return mask

    def _rest(self, chosen: Mapping[int, Option], pending: int) -> int:
        """At least this much is still to be paid."""
        needed = 0
        for k in _bits(pending):
            needed |= self._must[self._groups[k]]
        needed &= ~self._mask(chosen)
        return sum(self._least[k] for k in _bits(needed))


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
