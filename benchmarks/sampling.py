"""How one number is taken, the same way in this interpreter and in every peer's.

Standard library only: the peers' interpreters import this file too.
"""

from __future__ import annotations

import gc
import math
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

Kind = Literal["time", "cpu", "memory", "value"]

SHORTEST_SAMPLE = 0.002
"""Seconds: anything shorter is repeated on fresh inputs until one sample lasts this long."""

LONGEST_PREPARATION = 0.25
"""Seconds that may go into preparing the fresh inputs of one repeated sample."""

LARGEST_BATCH = 200


class WrongResultError(Exception):
    """The measured code returned something that its own check refuses."""


@dataclass(frozen=True)
class Operation:
    """Something to measure.

    ``prepare`` makes fresh arguments, outside the measurement; ``run`` takes them and is
    measured; ``finish`` belongs to the measurement (waiting for a device); ``check`` looks at the
    result afterwards. Results are thrown away outside the measurement.
    """

    run: Callable[..., Any]
    prepare: Callable[[], tuple[Any, ...]] = tuple
    check: Callable[[Any], object] | None = None
    finish: Callable[[], object] | None = None


@dataclass(frozen=True)
class Measurement:
    """One sample: its value (per run), and what it took to get it."""

    value: float
    batch: int = 1
    preparation: float = 0.0

    @property
    def next_batch(self) -> int:
        """How many runs the following samples should put together; 1 unless this was short."""
        if self.value * self.batch >= SHORTEST_SAMPLE:
            return self.batch
        wanted = math.ceil(SHORTEST_SAMPLE / max(self.value, 1e-9))
        affordable = LONGEST_PREPARATION / max(self.preparation / self.batch, 1e-9)
        return max(1, min(wanted, int(affordable), LARGEST_BATCH))


@contextmanager
def collector(enabled: bool) -> Iterator[None]:
    """Collect everything first, then keep the garbage collector on or off meanwhile."""
    before = gc.isenabled()
    gc.collect()
    (gc.enable if enabled else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


def measure(
    operation: Operation,
    kind: Kind = "time",
    *,
    collect: bool = False,
    batch: int = 1,
    running: Callable[[], object] | None = None,
) -> Measurement:
    """Take one sample.

    ``time`` is wall-clock seconds, ``cpu`` the seconds that this process computed, ``memory`` the
    peak of Python's allocations in bytes, and ``value`` whatever number the operation returns.
    ``running`` is called when the preparation is over and the measurement about to begin.
    """
    batch = batch if kind in ("time", "cpu") else 1
    start = time.perf_counter()
    inputs = [operation.prepare() for _ in range(batch)]
    preparation = time.perf_counter() - start
    with collector(collect):
        if running is not None:
            running()
        value, result = _MEASURES[kind](operation, inputs)
    if operation.check is not None and not operation.check(result):
        raise WrongResultError(f"the result is not what it should be: {str(result)[:200]}")
    return Measurement(value, batch, preparation)


def _seconds(
    clock: Callable[[], float], operation: Operation, inputs: list[tuple[Any, ...]]
) -> tuple[float, Any]:
    run, finish, results = operation.run, operation.finish, []
    start = clock()
    for arguments in inputs:
        results.append(run(*arguments))
    if finish is not None:
        finish()
    return (clock() - start) / len(inputs), results[-1]


def _memory(operation: Operation, inputs: list[tuple[Any, ...]]) -> tuple[float, Any]:
    tracemalloc.start()
    try:
        result = operation.run(*inputs[0])
        if operation.finish is not None:
            operation.finish()
        return float(tracemalloc.get_traced_memory()[1]), result
    finally:
        tracemalloc.stop()


def _value(operation: Operation, inputs: list[tuple[Any, ...]]) -> tuple[float, Any]:
    result = operation.run(*inputs[0])
    return float(result), result


_MEASURES: dict[Kind, Callable[[Operation, list[tuple[Any, ...]]], tuple[float, Any]]] = {
    "time": partial(_seconds, time.perf_counter),
    "cpu": partial(_seconds, time.process_time),
    "memory": _memory,
    "value": _value,
}
