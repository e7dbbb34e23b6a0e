"""The floor: what a device takes at the least for a function, however it is written.

Every product has to be made, every exponential (or other series) taken, every input read and the
output written; backward, each product gives two, and inputs are read and their gradients written.
Whichever takes longest is the floor: the others may run at the same time. How long they take is
measured beside the other sides: one square product of matrices, exponentials of what stays near,
a copy of what does not. Nothing reaches it; it says how much there is to win.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch

Sizes = Mapping[str, int]
Timer = Callable[[Callable[[], object]], float]

SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied
NEAR, FAR = 1 << 17, {"cpu": 1 << 24, "cuda": 1 << 28}  # entries
UNITS, CLOCK = 16, 1_980_000  # series that a multiprocessor of a GPU takes in a cycle; cycles in ms


class Least(NamedTuple):
    """What has to be done: floating-point operations of products, series; batches are counted."""

    products: float = 0.0
    series: float = 0.0


def every_pair(sizes: Sizes) -> float:
    """All pairs count."""
    return sizes["n"] * sizes["m"]


def earlier(sizes: Sizes) -> float:
    """Keys up to the query."""
    return sizes["n"] * (sizes["n"] + 1) / 2


def within(reach: int) -> Callable[[Sizes], float]:
    """Keys up to the query, less than `reach` away."""

    def pairs(sizes: Sizes) -> float:
        most = min(reach, sizes["n"])
        return most * (most + 1) / 2 + (sizes["n"] - most) * most

    return pairs


@dataclass(frozen=True)
class OfPairs:
    """Two products and some series for each pair that counts; further products for each query."""

    pairs: Callable[[Sizes], float] = every_pair
    series: float = 1.0
    places: Callable[[Sizes], float] = lambda sizes: 0.0  # of a table, times each query
    tubes: str = "b h"

    def __call__(self, sizes: Sizes) -> Least:
        heads = prod(sizes[axis] for axis in self.tubes.split())
        pairs = self.pairs(sizes)
        products = pairs * (sizes["c"] + sizes["e"]) + sizes["n"] * self.places(sizes) * sizes["c"]
        return Least(2 * heads * products, heads * pairs * self.series)


PAIRS, CAUSAL = OfPairs(), OfPairs(earlier)


def of_additive(sizes: Sizes) -> Least:
    """A series for each channel of each pair, and its sum; one head."""
    pairs = sizes["b"] * every_pair(sizes)
    return Least(2 * pairs * (sizes["c"] + sizes["e"]), pairs * (sizes["c"] + 1))


def of_states(sizes: Sizes) -> Least:
    """Keys times values into a state, and queries times it."""
    heads, positions = sizes["b"] * sizes["h"], sizes["n"]
    return Least(
        4.0 * heads * positions * sizes["c"] * sizes["e"], 2 * heads * positions * sizes["c"]
    )


def of_sums(sizes: Sizes) -> Least:
    """Weights of all pairs, times values and their sum; one head."""
    return Least(4.0 * sizes["b"] * every_pair(sizes) * sizes["e"], every_pair(sizes))


def of_traffic(sizes: Sizes) -> Least:
    """What is read and written alone."""
    return Least()


class Floor:
    """The floor of one function on one device, forward or forward and backward."""

    def __init__(self, least: Least, moved: float, dtype: torch.dtype, device: str) -> None:
        self.least, self.moved, self.device = least, moved, device
        self.dtype = dtype

    def seconds(self, clock: Timer) -> float:
        """What it takes at the rates that the device has now."""
        amounts = (self.least.products, self.least.series, self.moved)
        units = (self._product, self._series, self._copy)
        return max(a / rate(clock) for a, rate in zip(amounts, units, strict=True) if a)

    def _filled(self, entries: int) -> torch.Tensor:
        return torch.full((entries,), 0.5, dtype=self.dtype, device=self.device)

    def _product(self, clock: Timer) -> float:
        side = SIDE[self.device]
        x = self._filled(side * side).view(side, side)
        return 2.0 * side**3 / clock(lambda: x @ x)

    def _series(self, clock: Timer) -> float:
        if self.device == "cuda":  # an operator of torch's is bound by what it moves
            chip = torch.cuda.get_device_properties(0)
            return UNITS * chip.multi_processor_count * 1e3 * getattr(chip, "clock_rate", CLOCK)
        x = torch.full((NEAR,), 0.5)
        y = torch.empty_like(x)
        return NEAR / clock(lambda: torch.exp(x, out=y))

    def _copy(self, clock: Timer) -> float:
        x, y = (self._filled(FAR[self.device]) for _ in range(2))
        return 2.0 * x.numel() * x.element_size() / clock(lambda: y.copy_(x))


def elapsed(run: Callable[[], object]) -> float:
    """The shortest of some runs, by the wall's clock."""
    return _shortest(run, time.perf_counter)


def computing(run: Callable[[], object]) -> float:
    """The shortest of some runs, by the seconds that this process computes."""
    return _shortest(run, time.process_time)


def _shortest(run: Callable[[], object], clock: Callable[[], float]) -> float:
    found = []
    for _ in range(4):
        start = clock()
        run()
        found.append(clock() - start)
    return min(found)
