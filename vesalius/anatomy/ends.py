"""The ends of the taxonomy's edges, as data, and what stands in the way of the others.

For each derivation of the registry that leads between mechanisms, the mechanism and the options at
which it starts and those at which it ends. Derivations that lead to another form of the same
function (a loop, chunks) stand in the registry alone.
"""

from __future__ import annotations

from typing import Any

SOFTMAX = ("scaled_dot_product", "multihead", "multihead_cross")
"""Softmax attention: alone, and with the projections of heads."""

Place = tuple[str, dict[str, Any]]

ENDS: dict[str, tuple[Place, Place]] = {
    "additive-to-bilinear": (("bahdanau", {}), ("luong_general", {})),
    "bilinear-to-dot": (("luong_general", {"c": "e"}), ("luong_dot", {})),
    "bilinear-to-scaled-dot": (("luong_general", {"c": "e"}), ("scaled_dot_product", {"e": "c"})),
    "softmax-to-linear": (("scaled_dot_product", {}), ("linear", {})),
    "softmax-to-linear-causal": (
        ("scaled_dot_product", {"causal": True}),
        ("linear", {"causal": True, "form": "weights"}),
    ),
}

OBSTRUCTIONS: dict[str, str] = {}
"""Why a mechanism reaches softmax attention by no grade but `variant`."""
