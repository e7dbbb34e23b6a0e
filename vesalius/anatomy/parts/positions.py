"""Where things stand: positions, and what scores or vectors owe to them."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire


def index(x: Wire, axis: str) -> Wire:
    """0, 1, … along an axis of x"""
    return vs.iota(*ArrayType({axis: x.axes[axis]}).words())
