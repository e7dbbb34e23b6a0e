"""`module.explain()`: which kernel serves which part of a diagram, and why not another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from vesalius.compile.roofline import spoken

NOTHING = (
    "no part of this diagram looks like one that a kernel serves: "
    "each box is an operation of PyTorch, or a few"
)


class Time(NamedTuple):
    """Seconds that are expected, and that were measured; None where nobody knows.

    `large` are the bytes of an array that is made, if it is much larger than all that enter and
    leave.
    """

    expected: float | None = None
    measured: float | None = None
    failed: bool = False
    large: int = 0


def told(time: Time) -> str:
    """A time for people: `1.2 ms expected, 1.3 ms measured`."""
    parts = [] if time.expected is None else [f"{spoken(time.expected)} expected"]
    if time.failed:
        parts.append("it fails")
    elif time.measured is not None:
        parts.append(f"{spoken(time.measured)} measured")
    if time.large:
        parts.append(f"with an array of {time.large / 2**20:.0f} MiB")
    return ", ".join(parts)


class Choice(NamedTuple):
    """What was decided at one place: a kernel or none, and why not the others.

    `place` is the box there and the type of its wire; `within` are the named boxes around it;
    `note` says what of the diagram went into the kernel, `seconds` what is expected there: at
    lengths that were given, usual ones else. None: the kernel does not say. `measured` is what it
    took, where it was tuned; `large` are the bytes of the largest array that it makes, if that is
    much larger than all that enter and leave.
    """

    place: str
    within: tuple[str, ...]
    kernel: str | None
    note: str
    reasons: tuple[tuple[str, str], ...]
    seconds: float | None = None
    measured: float | None = None
    large: int = 0

    def lines(self, count: int) -> Iterator[str]:
        """This choice as lines of text; `count` is how many places are like this one."""
        times = f"{count} × " if count > 1 else ""
        where = " in ".join((self.place, *reversed(self.within)))
        note = f": {self.note}" if self.note else ""
        taken = told(Time(self.seconds, self.measured, large=self.large))
        taken = taken and f"; {taken}"
        yield f"{times}{self.kernel or 'no kernel'} at {where}{note}{taken}"
        for name, reason in self.reasons:
            yield f"    not {name}: {reason}"


class Explanation(tuple[Choice, ...]):
    """The choices that were made, in the order of the diagram; printed, equal ones are counted."""

    __slots__ = ()

    @property
    def kernels(self) -> list[str]:
        """The names of the kernels that were taken, sorted, each as often as it stands."""
        return sorted(choice.kernel for choice in self if choice.kernel)

    def __str__(self) -> str:
        lines = [line for one, count in Counter(self).items() for line in one.lines(count)]
        return "\n".join(lines) or NOTHING

    __repr__ = __str__  # whoever asks in a console wants to read it

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"
