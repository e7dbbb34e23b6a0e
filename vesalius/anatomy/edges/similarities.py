"""Mechanisms that differ from softmax attention in the similarity alone: it is opened.

A score may read a token, another one, and where the two stand.
"""

from __future__ import annotations

import math

from vesalius.anatomy import parts
from vesalius.anatomy.edges.heads import HEADS, queries_and_keys
from vesalius.anatomy.edges.registry import edge
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation


def sloped(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(x·W_q)·(y·W_k)/√c − 2^(−8(h+1)/|h|)·|j − i|"""
    q, k = queries_and_keys(x, y)
    slope = vs.exp((parts.index(q, "h") + 1) * (-8 * math.log(2)) / q.axes["h"])
    return parts.scaled_dot(q, k) - slope * vs.abs(j - i)


@edge("alibi", "multihead")
def alibi_and_multihead() -> Derivation:
    """A penalty for distance is nothing that tokens alone can say: positions are no inputs."""
    return HEADS.siblings("alibi", "−m·|j − i| in the score", similarity=sloped)


def jointly_normed(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """q̂·k̂/√c, each divided by its root mean square over all heads"""
    q, k = queries_and_keys(x, y)
    q, k = (parts.rms_norm(z, over="h c", gain=gain) for z, gain in ((q, "q_gain"), (k, "k_gain")))
    return parts.scaled_dot(q, k)


@edge("joint_qk_norm", "multihead")
def joint_norm_and_multihead() -> Derivation:
    """A norm of projections is no projection."""
    return HEADS.siblings("joint_qk_norm", "norms in the score", similarity=jointly_normed)


def _read(table: Wire, i: Wire | None, j: Wire) -> Wire:
    """table[i, j]"""
    row = table if i is None else vs.gather(table, i, over="n")
    return vs.gather(row, j, over="m")


def dense(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(relu(x·W + b)·U + c)[j]"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))
    scores = vs.contract(hidden, vs.parameter("scores", "h a m:n", fan="a"), over="a")
    return _read(scores + vs.parameter("scores_bias", "h m:n"), None, j)


@edge("synthesizer_dense", "multihead")
def dense_and_multihead() -> Derivation:
    """A score of one token and of the place of the other, not of two tokens."""
    return HEADS.siblings("synthesizer_dense", "what each place gets, read at m", similarity=dense)


def tabled(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """R[i, j]"""
    return _read(vs.parameter("scores", "h n m:n", fan="m"), i, j)


@edge("synthesizer_random", "multihead")
def random_and_multihead() -> Derivation:
    """A score of two places, whatever stands there."""
    return HEADS.siblings("synthesizer_random", "the table, read at n and m", similarity=tabled)


def factorised(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_r L[i, r]·R[j, r]"""
    left, right = vs.parameter("left", "h n r", fan="r"), vs.parameter("right", "h m:n r", fan="r")
    rows = vs.gather(left, i, over="n"), vs.gather(right, j, over="m")
    return vs.contract(*rows, over="r")


@edge("synthesizer_factorised", "multihead")
def factorised_and_multihead() -> Derivation:
    """A score of two places, of rank r."""
    return HEADS.siblings(
        "synthesizer_factorised", "both factors, read at n and m", similarity=factorised
    )


def short_rows(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """a[j mod |k|]·b[⌊j / |k|⌋]"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))

    def row(name: str, axis: str, place: Wire) -> Wire:
        weight = vs.parameter(name, f"h a {axis}", fan="a")
        made = vs.contract(hidden, weight, over="a") + vs.parameter(f"{name}_bias", f"h {axis}")
        return vs.gather(made, place, over=axis[0])

    few = vs.size("k")
    return row("short", "k", vs.remainder(j, few)) * row("coarse", "s:n/k", vs.floor_divide(j, few))


@edge("synthesizer_factorised_dense", "multihead")
def short_rows_and_multihead() -> Derivation:
    """A score of one token and of the place of the other, in two short rows."""
    return HEADS.siblings(
        "synthesizer_factorised_dense", "both rows, read at m", similarity=short_rows
    )


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
