"""One short measurement of a machine, for the roofline by which kernels are chosen.

`calibrate` takes some seconds and keeps what it finds (`vesalius.compile.store`); `machine_of`
reads it, or has usual numbers. Nothing is ever measured unless someone asks for it.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.compile import store
from vesalius.compile.roofline import USUAL, Machine

if TYPE_CHECKING:
    import torch

FORMAT = 1  # of what is kept
TURNS, REPETITIONS = 24, 2
CALLS = 200  # operators on hardly anything, in one run


def machine_of(device: str) -> Machine:
    """What a kind of device does in a second: as measured here, else usual numbers."""
    return _kept(key(device)) or USUAL.get(device, USUAL["cuda"])


def key(device: str) -> dict[str, Any]:
    """What a calibration holds for: the device, torch's version, and the number of threads."""
    import torch

    threads = torch.get_num_threads() if device == "cpu" else 0
    return {
        "format": FORMAT,
        "device": device,
        "name": device_name(device),
        "torch": torch.__version__,
        "threads": threads,
    }


def _kept(wanted: dict[str, Any]) -> Machine | None:
    value = store.read("machine", wanted)
    if not isinstance(value, dict) or value.keys() != set(Machine._fields):
        return None
    if not all(isinstance(x, int | float) and 0 <= x < math.inf for x in value.values()):
        return None
    rates = [x for name, x in value.items() if name not in ("call", "cache")]
    return Machine(**value) if all(rates) else None


@cache
def device_name(device: str) -> str:
    """What the maker calls a device."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def calibrate(device: str | torch.device = "cpu") -> Machine:
    """Measure a device, and keep what it does in a second for the choice of kernels.

    Takes some seconds. From then on `to_torch` chooses by these numbers on this machine, with
    this version of torch and as many threads. Raises `RuntimeError` of torch's where there is no
    such device.
    """
    import torch

    kind = torch.device(device).type
    with torch.no_grad():
        found = _measured(torch.device(device))
    store.write("machine", key(kind), found._asdict())
    return found


def _measured(device: torch.device) -> Machine:
    import torch

    on_cpu = device.type == "cpu"
    side, few, many, most = (512, 18, 22, 24) if on_cpu else (8192, 22, 25, 27)

    def filled(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.full(shape, 0.5, dtype=dtype, device=device)

    squares = [filled(side, side, dtype=d) for d in (torch.float32, torch.bfloat16, torch.float64)]
    small, middle, large = (filled(1 << power) for power in (few, many, most))
    matrix, one = filled(4, 4), filled(1)

    def calls() -> None:
        for _ in range(CALLS // 2):
            (matrix @ matrix) + one

    runs: list[tuple[Callable[[], Any], float]] = [
        *((lambda x=x: x @ x, 2.0 * side**3) for x in squares),
        (lambda: torch.where(small > 0, small.relu(), one), 3.0 * small.numel()),
        (lambda: small.exp().tanh(), 2.0 * small.numel()),
        (lambda: middle + 1, 2.0 * middle.numel() * middle.element_size()),
    ]
    *times, slow, call = _least([*(run for run, _ in runs), lambda: large + 1, calls], device)
    rates = [amount / time for (_, amount), time in zip(runs, times, strict=True)]
    written = float(large.numel() * large.element_size())
    extra = max(slow - 2 * written / rates[-1], 0.1 * slow)  # what new memory takes
    near = USUAL["cpu" if on_cpu else "cuda"].cache
    return Machine._make([*rates, written / extra, call / CALLS, near])


def _least(runs: Sequence[Callable[[], Any]], device: torch.device) -> list[float]:
    """The shortest time of each run. All take turns, so that what disturbs one disturbs all."""
    import torch

    def finish() -> None:
        if device.type != "cpu":
            torch.cuda.synchronize(device)

    best = [math.inf] * len(runs)
    for turn in range(TURNS):
        for k, run in enumerate(runs):
            for _ in range(REPETITIONS):
                finish()
                start = time.perf_counter()
                run()
                finish()
                if turn:  # the first turn warms up
                    best[k] = min(best[k], time.perf_counter() - start)
    return best
