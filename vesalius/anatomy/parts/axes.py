"""The axes of a wire as they are written for parameters and new axes."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire


def axes_of(x: Wire, names: str) -> str:
    """Some axes of x with their sizes, for a parameter that is to meet them: `h c`"""
    return written(**{axis: x.axes[axis] for axis in names.split()})


def written(**sizes: Size) -> str:
    """Axes with their sizes: `h:8 c`"""
    return " ".join(ArrayType(sizes).words())


def counted(axis: str, length: Size) -> Wire:
    """0, 1, … along a new axis of this length"""
    return vs.iota(written(**{axis: length}))


def index(x: Wire, axis: str) -> Wire:
    """0, 1, … along an axis of x"""
    return counted(axis, x.axes[axis])
