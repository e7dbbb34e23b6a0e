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

# This package, and the text of compiled modules.
_OURS = (os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "<vesalius ")
# What stands between a user's call and ours: imports, and the call of an nn.Module.
_IN_BETWEEN = re.compile(r"^<frozen|importlib|torch[/\\]nn[/\\]modules[/\\]module\.py$")


class VesaliusError(Exception):
    """Base of all errors raised on purpose by this library."""

    def __init__(self, message: str) -> None:
        where = user_location()
        super().__init__(f"{message}\n  at {where}" if where else message)


class AxisError(VesaliusError):
    """An axis is unknown, missing, bound twice, captured, or left over."""


class SizeError(VesaliusError):
    """Two sizes that must agree do not, or a size has no value."""


class TypeClash(VesaliusError):
    """Two array types, or two element types, that must agree do not."""


class StructureError(VesaliusError):
    """A diagram is malformed: a cycle, a wire of another diagram, a hole left unfilled."""


class FormatError(VesaliusError):
    """A text or a JSON document is not what it claims to be."""


class Outside(VesaliusError):
    """An algebra does not contain this box, and says so instead of guessing."""


def user_location() -> str:
    """`file:line: text` of the innermost frame that is not ours, or the empty string."""
    frame = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__"))  # what a dataclass generates has no file
        ours = filename.startswith(_OURS) or module.startswith("vesalius.")
        if not ours and not _IN_BETWEEN.search(filename):
            text = linecache.getline(filename, frame.f_lineno).strip()
            name = os.path.basename(filename)
            return f"{name}:{frame.f_lineno}: {text}" if text else f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
