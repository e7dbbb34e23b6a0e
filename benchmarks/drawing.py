"""Pictures: the SVG of a hundred boxes beside the peers', and how long thousands take.

python benchmarks/drawing.py [--quick] [--json] [--only CASE]

Layout is part of the time: every sample draws a diagram that was never drawn before. Ours labels
its wires and writes a title for everything; DisCoPy's and PyZX's are drawn by matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ours
from harness import Case, Local, Remote, Settings, Side, Target, main
from sampling import Operation

WIRES = 10
LONGEST = 20.0  # seconds that a large picture may take


def drawing(build: Callable[[], Any], n: int) -> Local:
    """Ours: all n boxes in it, or folded, with a note that says so."""

    def whole(text: str) -> bool:
        return text.count("-box-") >= n or "drawn folded" in text

    return Local(Operation(ours.svg, prepare=lambda: (build(),), check=whole))


def hundred(shape: str, build: Callable[[], Any], n: int, **arguments: int) -> Case:
    """The same shape, drawn by each."""
    workers = ("pyzx", "discopy")
    others: dict[str, Side] = {
        worker: Remote(worker, f"draw_{shape}", {"n": n} | arguments) for worker in workers
    }
    targets = (Target(0.05), *(Target(1.0, worker) for worker in workers))
    return Case(f"svg {shape} {n}", drawing(build, n), others, targets=targets)


def large(shape: str, build: Callable[[], Any], n: int) -> Case:
    """Ours alone: it ends in time."""
    return Case(f"svg {shape} {n}", drawing(build, n), targets=(Target(LONGEST),), repetitions=1)


def cases(settings: Settings) -> list[Case]:
    """All cases; a quick run has no patience for thousands of boxes."""
    n, many = 100, 2_000
    listed = [
        hundred("brick", lambda: ours.build_brick(n, WIRES), n, wires=WIRES),
        hundred("chain", lambda: ours.build_chain(n), n),
    ]
    if not settings.quick:
        listed += [
            large("chain", lambda: ours.build_chain(many), many),
            large("brick", lambda: ours.build_brick(many, WIRES), many),
        ]
    return listed


if __name__ == "__main__":
    raise SystemExit(main(__doc__ or "", cases))
