"""Masks: which keys a query may see, as truth values."""

from __future__ import annotations

from vesalius.anatomy.parts.axes import index
from vesalius.diagrams.wire import Wire


def up_to_now(q: Wire, k: Wire) -> Wire:
    """m ≤ n: no query sees a later key"""
    return index(k, "m") <= index(q, "n")


def visible(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire | None:
    """the keys that count: those kept and, if causal, m ≤ n; None when all do"""
    masks = [mask for mask in (up_to_now(q, k) if causal else None, keep) if mask is not None]
    return masks[0] & masks[1] if len(masks) == 2 else masks[0] if masks else None
