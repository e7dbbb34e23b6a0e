"""A mechanism that differs from softmax attention in the similarity alone: it is opened.

A score may read a token, another one, and where the two stand.
"""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.edges.heads import HEADS
from vesalius.anatomy.edges.registry import edge
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation


def of_one_hash(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(x·W_q)·k/√c, k the direction of y·W_q; −10⁵ for a token itself, −∞ where no hash agrees"""
    both = vs.concat(vs.expand(x, "t:1"), vs.expand(y, "t:1"), over="t")
    made = vs.linear(both, "d", "h c", name="wq")
    (q, k), (one, other) = (
        [vs.sum(vs.slice(z, "t", t, length=1), "t") for t in (0, 1)]
        for z in (made, parts.hashes(made))
    )
    scores = parts.scaled_dot(q, parts.unit(k)) + vs.where(vs.equal(i, j), -1e5, 0.0)
    return vs.where(vs.any(vs.equal(one, other), "u"), scores, float("-inf"))


@edge("reformer", "multihead")
def hashes_and_multihead() -> Derivation:
    """Hashes are drawn once, so that whether they agree is a question about two tokens."""
    return HEADS.siblings("reformer", "a mask in the score", similarity=of_one_hash)
