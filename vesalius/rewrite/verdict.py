"""Verdicts: what a check found, in what sense, and on what evidence.

A verdict is *marked* by the best evidence behind it:

| mark | evidence |
|---|---|
| `exact` | the same diagram; or equal in the finite field; or proved by SymPy |
| `rational` | equal at exact rationals, where there is order but no exponential |
| `sampled` | equal within rounding at random floats, nothing better applies |
| `outside` | no tier applies: nothing was checked |

A wrong thing is marked by the tier that refuted it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vesalius.rewrite.checking.modules import ModuleCounterexample
    from vesalius.rewrite.counterexample import Counterexample

Mark = Literal["exact", "rational", "sampled", "outside"]
Outcome = Literal["equal", "different", "outside", "measured"]
MARKS: tuple[Mark, ...] = ("exact", "rational", "sampled", "outside")


@dataclass(frozen=True)
class Tier:
    """What one tier found: `equal`, `different`, `outside` with the reason, or what it `measured`.

    `trials` counts evaluations of both sides; `error` bounds the probability with which sides
    that differ pass as equal, at the sizes tried, and is None where no bound is known.
    """

    name: str
    outcome: Outcome
    trials: int = 0
    reason: str = ""
    error: float | None = None

    def __str__(self) -> str:
        text = f"{self.name}: {self.outcome}"
        if self.trials:
            text += f", {self.trials} trials"
        if self.error is not None:
            text += f", wrong with probability ≤ {self.error:.0e}" if self.error else ", proved"
        return f"{text} ({self.reason})" if self.reason else text


@dataclass(frozen=True)
class Verdict:
    """The result of `check`: true when what was promised holds, as far as the mark says.

    `notes` says where the promise is narrower than it looks: empty axes, places where only
    one side is defined. `measured` is the error found where a grade allows one.
    """

    name: str
    grade: str
    ok: bool
    mark: Mark
    reason: str = ""
    tiers: tuple[Tier, ...] = ()
    counterexample: Counterexample | ModuleCounterexample | None = None
    notes: tuple[str, ...] = ()
    measured: float | None = None
    parts: tuple[Verdict, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def trials(self) -> int:
        """How many times both sides were evaluated, in all tiers together."""
        return sum(tier.trials for tier in self.tiers) + sum(part.trials for part in self.parts)

    @property
    def error(self) -> float | None:
        """The probability with which an exact verdict is wrong, where it has a bound."""
        if self.mark != "exact" or not self.ok:
            return None
        known = [tier.error for tier in self.tiers if tier.outcome == "equal"]
        bounds = [error for error in known if error is not None]
        return min(bounds) if bounds else None

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.grade}): {'holds' if self.ok else 'FAILS'}, {self.mark}"]
        if self.reason:
            lines.append(f"  {self.reason}")
        lines += [f"  {tier}" for tier in self.tiers]
        lines += [f"  note: {note}" for note in self.notes]
        for part in self.parts:
            lines += [f"  {line}" for line in str(replace(part, counterexample=None)).split("\n")]
        if self.counterexample is not None:
            lines += ["", str(self.counterexample)]
        return "\n".join(lines)


def weakest(marks: list[Mark]) -> Mark:
    """The mark that promises least; `exact` for none."""
    return max(marks, key=MARKS.index, default="exact")
