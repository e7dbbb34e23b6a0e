"""One harness for all benchmarks: ours here, peers in their own processes, interleaved.

A benchmark file builds a list of cases and hands it to :func:`main`::

    def cases(settings: Settings) -> list[Case]:
        return [
            Case(
                "sum of 1000",
                ours=Local(Operation(lambda: sum(range(1000)))),
                others={"numpy": Remote("numpy", "total", {"n": 1000})},
                targets=(Target(4.0, "numpy"),),
            )
        ]

    if __name__ == "__main__":
        raise SystemExit(main("Sums.", cases))

In a case every side takes its turn once a round, so whatever disturbs the machine disturbs all of
them alike; the order changes from round to round, so that none always runs in another's wake (a
warm cache, a hot chip). See ``README.md`` beside this file for the options and the columns.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import report
from peers import HOW_TO_INSTALL, START_TIMEOUT, PeerError, Pool, Request, TooSlowError, installed
from sampling import Kind, Measurement, Operation, measure

LONG_WARM_UP = 1.0
"""Seconds: a first run this long is kept as a sample instead of being thrown away."""

QUIET = 10.0
"""Seconds without a word of progress after which one is said."""

GRACE = 8.0
"""Seconds by which starting a peer may go beyond a time budget."""

LEAST_TIME = 0.3
"""Seconds that must be left before something new is begun under a time budget."""


@dataclass(frozen=True)
class Settings:
    """What the command line asks for."""

    repetitions: int = 8
    timeout: float = 60.0
    budget: float = math.inf
    quick: bool = False
    collect: bool = False
    clock: Kind = "time"
    peers: bool = True


FULL = Settings()
QUICK = Settings(repetitions=3, timeout=2.5, budget=50.0, quick=True)


class Side(Protocol):
    """One of the things compared in a case."""

    @property
    def kind(self) -> Kind:
        """What is measured."""

    @property
    def per(self) -> float:
        """What every value is divided by, such as a number of boxes."""

    def ready(self, pool: Pool, timeout: float) -> None:
        """Start what must run before a sample can be taken."""

    def sample(
        self, pool: Pool, kind: Kind, *, collect: bool, batch: int, timeout: float
    ) -> Measurement:
        """Take one sample of that kind, or raise ``TooSlowError`` after ``timeout`` seconds."""


@dataclass(frozen=True)
class Local:
    """Something measured in this interpreter: ours, or a hand-written alternative to it."""

    operation: Operation
    kind: Kind = "time"
    per: float = 1.0

    def ready(self, pool: Pool, timeout: float) -> None:
        """Nothing needs to start."""

    def sample(
        self, pool: Pool, kind: Kind, *, collect: bool, batch: int, timeout: float
    ) -> Measurement:
        """Take one sample here."""
        with alarm(timeout):
            return measure(self.operation, kind, collect=collect, batch=batch)


@dataclass(frozen=True)
class Remote:
    """An operation of a peer, measured by its worker."""

    worker: str
    operation: str
    arguments: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "time"
    per: float = 1.0

    def ready(self, pool: Pool, timeout: float) -> None:
        """Start the worker, unless it is alive."""
        pool[self.worker].start(timeout)

    def sample(
        self, pool: Pool, kind: Kind, *, collect: bool, batch: int, timeout: float
    ) -> Measurement:
        """Take one sample in the worker's process."""
        request = Request(self.operation, self.arguments, kind, collect, batch)
        return pool[self.worker].sample(request, timeout)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise ``TooSlowError`` in the block after ``seconds`` (in the main thread only).

    It rings again every second: Python drops an error that is raised while the collector calls
    back or an object dies, and the block would go on for ever.
    """
    here = threading.current_thread() is threading.main_thread()
    if not here or math.isinf(seconds) or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TooSlowError(seconds)

    start = time.monotonic()
    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        still = max(left - (time.monotonic() - start), 1e-3) if left else 0.0
        signal.setitimer(signal.ITIMER_REAL, still)  # an alarm that somebody else had set


@dataclass(frozen=True)
class Target:
    """Ours is to be at most ``at_most`` times what ``to`` is, or at most that value itself."""

    at_most: float
    to: str | None = None


@dataclass(frozen=True)
class Case:
    """One line of comparison: ours, others by name, and what we aim at."""

    name: str
    ours: Side
    others: Mapping[str, Side] = field(default_factory=dict)
    metric: str = "time"
    unit: str = "s"
    targets: tuple[Target, ...] = ()
    repetitions: int | None = None
    collect: bool | None = None


@dataclass
class Track:
    """What has been measured of one side of a case."""

    name: str
    side: Side
    samples: list[float] = field(default_factory=list)
    warm_up: float | None = None
    batch: int = 1
    spent: float = 0.0
    floor: float | None = None
    failure: str | None = None
    stopped: bool = False

    @property
    def values(self) -> list[float]:
        """The samples; the warm-up where there was time for nothing else."""
        return self.samples or [v for v in [self.warm_up] if v is not None]

    def wants(self, repetitions: int, share: float) -> bool:
        """Whether to take another sample: not after a failure, nor beyond ``share`` seconds."""
        enough = len(self.samples) >= repetitions or (bool(self.values) and self.spent > share)
        return not (self.stopped or enough)

    def stop(self, *, floor: float | None = None, failure: str | None = None) -> None:
        """Take no more samples: each lasts longer than ``floor``, or the ``failure``."""
        self.stopped = True
        self.failure = failure
        if not self.values:
            self.floor = floor

    def take(self, pool: Pool, settings: Settings, collect: bool, left: float) -> None:
        """Take one more sample; the first one only warms up, unless it was long."""
        timeout = min(settings.timeout, left)
        start = time.monotonic()
        kind = settings.clock if self.side.kind == "time" else self.side.kind
        try:
            self.side.ready(pool, min(START_TIMEOUT, left + GRACE))
            start = time.monotonic()
            sample = self.side.sample(
                pool, kind, collect=collect, batch=self.batch, timeout=timeout
            )
        except TooSlowError as error:
            self.stop(floor=error.seconds / self.side.per)
        except PeerError as error:
            self.stop(failure=str(error))
        except Exception as error:
            self.stop(failure=f"{type(error).__name__}: {error}")
        else:
            self.keep(sample)
        self.spent += time.monotonic() - start

    def keep(self, sample: Measurement) -> None:
        """Note a sample, and from it how many runs the next one is to hold."""
        value = sample.value / self.side.per
        if self.side.kind == "time":
            self.batch = max(self.batch, sample.next_batch)
        short = self.side.kind != "time" or sample.value < LONG_WARM_UP
        if self.warm_up is None and short:
            self.warm_up = value
        else:
            self.warm_up = value if self.warm_up is None else self.warm_up
            self.samples.append(value)


class Clock:
    """The time left to a run."""

    def __init__(self, budget: float) -> None:
        self.end = time.monotonic() + budget

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.end - time.monotonic()

    def share(self, cases: int, sides: int) -> float:
        """Seconds for each of the sides of one of the cases to come: twice the even share."""
        return 2 * max(0.0, self.left) / cases / sides


def run_case(
    case: Case,
    settings: Settings,
    pool: Pool,
    clock: Clock,
    cases_left: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> report.Result:
    """Measure all sides of a case, one sample each a round, until all have enough."""
    sides = {"ours": case.ours} | dict(case.others)
    if not settings.peers:
        sides = {k: s for k, s in sides.items() if not isinstance(s, Remote)}
    tracks = [Track(name, side) for name, side in sides.items()]
    wanted = case.repetitions or settings.repetitions
    share = clock.share(cases_left, len(tracks))
    collect = settings.collect if case.collect is None else case.collect
    last = time.monotonic()
    turns, shuffled = list(tracks), random.Random(0)
    for number in range(wanted + 1):
        if number:  # the first round, which warms up, goes by the order of the case
            shuffled.shuffle(turns)
        for track in turns:
            if not track.wants(wanted, share):
                continue
            if clock.left < LEAST_TIME:
                track.stop(failure=None if track.values else "no time was left for it")
                continue
            if time.monotonic() - last > QUIET:
                say(f"    round {number} of {wanted}: {track.name}")
                last = time.monotonic()
            track.take(pool, settings, collect, clock.left)
    return result(case, tracks, settings.clock)


def result(case: Case, tracks: Sequence[Track], clock: Kind = "time") -> report.Result:
    """Sum up what was measured."""
    timed = clock == "cpu" and any(track.side.kind == "time" for track in tracks)
    ours, others = tracks[0], tracks[1:]
    values = {t.name: geometric_mean(t.values) for t in tracks if t.values}
    floors = {t.name: t.floor for t in tracks if t.floor is not None and not t.values}
    ratios = {t.name: self_ratio(t.samples) for t in tracks}
    return report.Result(
        case=case.name,
        metric="cpu time" if timed else case.metric,
        unit=case.unit,
        ours=values.get(ours.name),
        others={t.name: v for t in others if (v := (values | floors).get(t.name)) is not None},
        self_ratio={name: ratio for name, ratio in ratios.items() if ratio is not None},
        repetitions={t.name: len(t.values) for t in tracks if t.values},
        lower_bounds=sorted(floors),
        errors={t.name: t.failure for t in tracks if t.failure is not None}
        | ({"ours": f"> {ours.floor:g} s"} if ours.floor is not None else {}),
        targets=[{"at_most": t.at_most, "to": t.to} for t in case.targets],
    )


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive numbers; 0 where one of them is 0 (a count)."""
    if not values or min(values) < 0:
        raise ValueError(f"no geometric mean of {list(values)}")
    if min(values) == max(values) or min(values) == 0:
        return float(min(values))
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def self_ratio(samples: Sequence[float]) -> float | None:
    """How much two interleaved halves of the same samples differ: 1 where nothing else runs.

    None for fewer than two samples or for counts of 0.
    """
    if len(samples) < 2 or min(samples) <= 0:
        return None
    return geometric_mean(samples[::2]) / geometric_mean(samples[1::2])


def select(cases: Sequence[Case], only: Sequence[str] | None) -> list[Case]:
    """The cases whose names are, or else contain, one of ``only``; all when that is empty."""
    if not only:
        return list(cases)
    names = {case.name for case in cases}
    chosen = [
        case
        for case in cases
        if any(want == case.name or (want not in names and want in case.name) for want in only)
    ]
    if not chosen:
        raise SystemExit(f"no case is called {' or '.join(only)}: {', '.join(sorted(names))}")
    return chosen


def run(cases: Sequence[Case], settings: Settings, say: Callable[[str], None]) -> report.Report:
    """Measure all cases."""
    pool, clock = Pool(), Clock(settings.budget)
    results = []
    try:
        for number, case in enumerate(cases):
            say(f"[{number + 1}/{len(cases)}] {case.name}")
            results.append(run_case(case, settings, pool, clock, len(cases) - number, say))
    except KeyboardInterrupt:
        say("interrupted; this is what was measured until then")
    finally:
        pool.close()
    return report.Report(results, pool.versions(), settings.quick, settings.repetitions)


def parser(title: str) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    options = argparse.ArgumentParser(description=title)
    add = options.add_argument
    add("--json", action="store_true", help="print one JSON list and nothing else")
    add("--quick", action="store_true", help="end within 60 s: fewer repetitions, less patience")
    add("--only", action="append", metavar="CASE", help="only cases called, or containing, CASE")
    add("--list", action="store_true", help="print the names of the cases")
    add("--repetitions", type=int, metavar="N", help="repetitions (8; 3 with --quick)")
    add("--timeout", type=float, metavar="S", help="patience with one run (60 s; 2.5 --quick)")
    add("--gc", action="store_true", help="leave the garbage collector on while measuring")
    add("--cpu", action="store_true", help="count the process's computing time, not the wall's")
    add("--no-peers", action="store_true", help="measure only what runs in this interpreter")
    return options


def settings_from(options: argparse.Namespace, have_peers: bool) -> Settings:
    """The settings that parsed options mean."""
    base = QUICK if options.quick else FULL
    return Settings(
        repetitions=options.repetitions or base.repetitions,
        timeout=options.timeout or base.timeout,
        budget=base.budget,
        quick=base.quick,
        collect=options.gc,
        clock="cpu" if options.cpu else "time",
        peers=have_peers and not options.no_peers,
    )


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(
    title: str,
    cases: Callable[[Settings], list[Case]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a benchmark file from the command line; 1 if something of ours could not be measured."""
    options = parser(title).parse_args(arguments)
    have_peers = installed()
    settings = settings_from(options, have_peers)
    chosen = select(cases(settings), options.only)
    if options.list:
        print("\n".join(case.name for case in chosen))
        return 0
    if not have_peers and not options.no_peers:
        say(HOW_TO_INSTALL)
    outcome = run(chosen, settings, say)
    report.write(outcome, as_json=options.json)
    return 1 if any("ours" in r.errors for r in outcome.results) else 0
