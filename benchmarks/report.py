"""What a run prints: a table of ratios, or one JSON list."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HEADERS = ("case", "ours", "other", "its value", "ours / other", "noise", "runs", "target")
FAILED = "not measured"


@dataclass(frozen=True)
class Result:
    """What was measured in one case. ``others`` named in ``lower_bounds`` were cut short."""

    case: str
    metric: str
    unit: str
    ours: float | None
    others: Mapping[str, float] = field(default_factory=dict)
    self_ratio: Mapping[str, float] = field(default_factory=dict)
    repetitions: Mapping[str, int] = field(default_factory=dict)
    lower_bounds: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    targets: Sequence[Mapping[str, Any]] = ()

    def record(self) -> dict[str, Any]:
        """The result as one entry of the JSON list."""
        entry = {name: getattr(self, name) for name in self.__dataclass_fields__}
        entry["targets"] = [dict(t) | {"met": self.met(t)} for t in self.targets]
        return entry

    def met(self, target: Mapping[str, Any]) -> bool | None:
        """Whether a target is met; None where that was not measured.

        Against a peer that was cut short, a target can be seen to be met but not to be missed.
        """
        if self.ours is None:
            return None
        to = target["to"]
        if to is None:
            return bool(self.ours <= target["at_most"])
        if to not in self.others:
            return None
        met = bool(self.ours <= target["at_most"] * self.others[to])
        return None if to in self.lower_bounds and not met else met


@dataclass(frozen=True)
class Report:
    """All results of a run."""

    results: Sequence[Result]
    versions: Mapping[str, str]
    quick: bool
    repetitions: int

    @property
    def caption(self) -> str:
        """How to read the table."""
        versions = ", ".join(f"{k} {v}" for k, v in sorted(self.versions.items()))
        cut = "Quick run: fewer repetitions than a full one (8), and less patience. "
        cpu = any(result.metric == "cpu time" for result in self.results)
        return (
            f"{cut if self.quick else ''}Geometric means of {self.repetitions} interleaved runs "
            f"{'of computing time ' if cpu else ''}('runs' where fewer). "
            "'noise' is a side's ratio to itself, ours then the other's. "
            f"{f'Peers: {versions}.' if versions else 'No peers.'}"
        )

    @property
    def failures(self) -> list[str]:
        """What could not be measured, or not as often as wanted, and why."""
        reasons: dict[str, list[str]] = {}
        for result in self.results:
            for name, reason in result.errors.items():
                reasons.setdefault(reason, []).append(f"{result.case} ({name})")
        return [f"Failed: {', '.join(which)}: {why}" for why, which in reasons.items()]


def quantity(value: float, unit: str) -> str:
    """A value with its unit, in thousandths or thousands where that reads better.

    >>> quantity(0.00213, "s")
    '2.13 ms'
    >>> quantity(3.0, "boxes")
    '3 boxes'
    """
    head, slash, rest = unit.partition("/")
    if head == "s" and value > 0:
        for factor, prefix in ((1.0, ""), (1e3, "m"), (1e6, "µ"), (1e9, "n")):
            if value * factor >= 1 or prefix == "n":
                return f"{value * factor:.3g} {prefix}{head}{slash}{rest}"
    if head == "B" and value >= 1024:
        power = 3 if value >= 1 << 30 else 2 if value >= 1 << 20 else 1
        return f"{value / 1024**power:.3g} {' KMG'[power]}iB{slash}{rest}"
    return f"{value:,.6g} {unit}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"


def _target(result: Result, name: str | None) -> str:
    words = []
    for target in result.targets:
        if target["to"] == name:
            met = {True: "met", False: "MISSED", None: "not measured"}[result.met(target)]
            limit = f"{target['at_most']:g} ×" if name else quantity(target["at_most"], result.unit)
            words.append(f"≤ {limit}: {met}")
    return ", ".join(words)


def _noise(result: Result, *names: str) -> str:
    return " ".join(f"{result.self_ratio[n]:.2f}" for n in names if n in result.self_ratio)


def _runs(result: Result, *names: str) -> str:
    counts = {result.repetitions[n] for n in names if n in result.repetitions}
    return str(min(counts)) if counts else ""


def _other_row(result: Result, name: str) -> tuple[str, ...]:
    if name not in result.others:
        return ("", "", name, FAILED, "", "", "", _target(result, name))
    value, bound = result.others[name], name in result.lower_bounds
    cell = ("> " if bound else "") + quantity(value, result.unit)
    ratio = "–"
    if result.ours is not None and value > 0:
        ratio = ("< " if bound else "") + _ratio(result.ours / value)
    noise, runs = _noise(result, "ours", name), _runs(result, "ours", name)
    return ("", "", name, cell, ratio, noise, runs, _target(result, name))


def rows(results: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """The lines of the table: for every case ours, then one for each other."""
    for result in results:
        ours = FAILED if result.ours is None else quantity(result.ours, result.unit)
        head = (result.case, ours, "", "", "", _noise(result, "ours"), _runs(result, "ours"))
        yield (*head, _target(result, None))
        names = [*result.others, *(n for n in result.errors if n not in result.others)]
        yield from (_other_row(result, name) for name in names if name != "ours")


def plain(report: Report) -> str:
    """The table as aligned text."""
    lines = [HEADERS, *rows(report.results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADERS))]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    foot = ["", report.caption, *report.failures]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], *foot])


def _rich(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*HEADERS, box=None, header_style="bold")
    for row in rows(report.results):
        style = "red" if "MISSED" in row[-1] else "bold" if row[0] else None
        table.add_row(*map(escape, row), style=style)
    console = Console(highlight=False)
    console.print(table)
    console.print("\n".join(["", report.caption, *report.failures]), markup=False)


def write(report: Report, *, as_json: bool) -> None:
    """Print a report on standard output: JSON, a rich table on a terminal, else plain text."""
    if as_json:
        print(json.dumps([result.record() for result in report.results], ensure_ascii=False))
        return
    try:
        if not sys.stdout.isatty():
            raise ImportError
        _rich(report)
    except ImportError:
        print(plain(report))
