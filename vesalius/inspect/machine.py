"""What a machine does in a second, what a diagram should take on it, and what a call takes.

The prediction is the simplest that can be wrong in an instructive way: each box costs a call, each
product, each value of a function and each byte moved costs its share, and nothing overlaps.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.cost import CostNumbers
from vesalius.diagrams.graph import SOURCES, Diagram

MOVES = frozenset(
    {"add", "compare", "negate", "abs", "sign", "relu", "leaky_relu", "floor", "where", "equal"}
    | {"less", "less_equal", "maximum", "minimum", "logical_and", "logical_or", "logical_not"}
)
"""Operations that take no longer than moving the numbers does."""


@dataclass(frozen=True)
class Machine:
    """How much a machine does in a second; `call` is in seconds.

    `products` are multiplications and additions of contractions, `functions` are values of
    functions such as exp.
    """

    products: float
    functions: float
    bytes: float
    call: float
    threads: int

    def predict(self, cost: CostNumbers, boxes: int) -> float:
        """Seconds for a diagram of this cost and so many boxes."""
        products = cost.operations.get("multiply-add", 0)
        functions = sum(
            count
            for kind, count in cost.operations.items()
            if kind != "multiply-add" and kind not in MOVES
        )
        return (
            boxes * self.call
            + products / self.products
            + functions / self.functions
            + cost.bytes_moved / self.bytes
        )


def calibrate(device: str = "cpu", dtype: torch.dtype = torch.float32) -> Machine:
    """Measure this machine, in about a second.

    On a CPU with arrays that fit its caches, on a GPU with arrays that keep all of it busy.
    """
    generator = torch.Generator().manual_seed(0)
    count = 32 if device == "cpu" else 2048
    entries = 1 << (18 if device == "cpu" else 26)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    def fastest(run: Callable[[], Any]) -> float:
        # What else runs on a machine only makes it slower.
        return together([run], device=device, pick=min)[0]

    left, right = drawn(count, 64, 96), drawn(count, 96, 64)
    flat = drawn(entries // 64).repeat(64)
    one = drawn(1)
    moved = 3 * flat.numel() * flat.element_size()
    return Machine(
        products=2 * count * 64 * 96 * 64 / fastest(lambda: torch.bmm(left, right)),
        functions=flat.numel() / fastest(lambda: torch.exp(flat)),
        bytes=moved / fastest(lambda: torch.add(flat, flat)),
        call=fastest(lambda: torch.add(one, one)),
        threads=torch.get_num_threads(),
    )


def calls(diagram: Diagram, sizes: Mapping[str, int]) -> int:
    """How many boxes run; where the length of a scan has no value, its body counts once."""
    total = 0
    for node in diagram.unfold().nodes:
        if node.box.kind is SCAN:
            length = node.box["length"]
            times = length.at(sizes) if length.variables <= set(sizes) else 1
            total += times * calls(node.box["body"], sizes)
        else:
            total += node.box.kind.name not in SOURCES
    return total


# -- measuring ------------------------------------------------------------------------------------


@torch.no_grad()
def seconds(run: Callable[[], Any], budget: float = 0.2, device: str = "cpu") -> float:
    """The median time of a call: warmed up, repeated for `budget` seconds and 5 times at least."""
    return together([run], budget, device)[0]


def together(
    runs: Sequence[Callable[[], Any]],
    budget: float = 0.2,
    device: str = "cpu",
    pick: Callable[[list[float]], float] = median,
) -> list[float]:
    """The times of several calls, medians unless one says how they are picked.

    They take turns: what disturbs one disturbs all.
    """
    for run in runs:
        run()
    taken: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter() + budget
    while len(taken[0]) < 5 or (time.perf_counter() < end and len(taken[0]) < 10_000):
        for run, times in zip(runs, taken, strict=True):
            _wait(device)
            start = time.perf_counter()
            run()
            _wait(device)
            times.append(time.perf_counter() - start)
    return [pick(times) for times in taken]


def peak_bytes(run: Callable[[], Any], device: str = "cpu") -> int:
    """The most that torch holds at once of what it takes while something runs, in bytes."""
    if device == "cuda":
        _wait(device)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        _wait(device)
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _silent(), torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


@contextmanager
def _silent() -> Iterator[None]:
    """Without what torch's profiler itself writes to standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
