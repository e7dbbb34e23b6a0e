"""Errors that name what is wrong, where in the user's code, and what would be right.

Every error that a user can cause derives from `VesaliusError`. While a diagram is being
built, the message ends with the file and line of the first frame outside this package, so
that a traced function points at its own text and not at ours.
"""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# This package, and the text of compiled modules.
_OURS = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "<vesalius ")
# What stands between a user's call and ours: imports, the call of an nn.Module, and what numpy
# and torch do with an argument that is not theirs.
_IN_BETWEEN = re.compile(
    r"^<frozen|importlib|[/\\]numpy[/\\]"
    r"|[/\\]torch[/\\](nn[/\\]|(functional|_tensor|overrides)\.py$)"
)


_POINTED: ContextVar[str] = ContextVar("vesalius_pointed", default="")


class VesaliusError(Exception):
    """Base of all errors raised on purpose by this library; `message` is without the line."""

    def __init__(self, message: str) -> None:
        self.message = message
        where = _POINTED.get() or user_location()
        super().__init__(f"{message}\n  at {where}" if where else message)


class AxisError(VesaliusError):
    """An axis is unknown, missing, bound twice, captured, or left over."""


class SizeError(VesaliusError):
    """Two sizes that must agree do not, or a size has no value."""


class TypeClash(VesaliusError):
    """Two array types, or two element types, that must agree do not."""


class StructureError(VesaliusError):
    """A diagram is malformed: a cycle, a wire of another diagram, a hole left unfilled."""


class NoAttribute(StructureError, AttributeError):
    """A thing of this library lacks what others have, and says what to write instead."""


class FormatError(VesaliusError):
    """A text or a JSON document is not what it claims to be."""


class Outside(VesaliusError):
    """An algebra does not contain this box, and says so instead of guessing."""


@contextmanager
def pointing_at(where: str) -> Iterator[None]:
    """Let errors point at a line of the user's that has been left already."""
    token = _POINTED.set(where)
    try:
        yield
    finally:
        _POINTED.reset(token)


def location(filename: str, line: int) -> str:
    """A line of code, as errors show it: `file:line: text`."""
    text = linecache.getline(filename, line).strip()
    name = os.path.basename(filename)
    return f"{name}:{line}: {text}" if text else f"{name}:{line}"


def user_location() -> str:
    """`file:line: text` of the innermost frame that is not ours, or the empty string."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__"))  # what a dataclass generates has no file
        ours = filename.startswith(_OURS) or module.startswith("vesalius.")
        if not ours and not _IN_BETWEEN.search(filename):
            return location(filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return ""
