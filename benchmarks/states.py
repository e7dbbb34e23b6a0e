"""States that are matrices: gates for each channel, and the delta rule.

    S[n] = exp(gate[n])·S[n−1] + k[n]⊗v[n]        S[n] = S[n−1] + β·k[n]⊗(v[n] − k[n]·S[n−1])

The naive text is the loop over positions; by hand, a chunk of positions at a time. Of gates there
are two hand forms. The best is stable: chunks are cut again, so that no exponential grows (section
4.3 of arXiv 2312.06635). The other, `unguarded`, divides keys by what has faded since the chunk
began, as is often done: fast, and too large where gates are strong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from floor import of_states
from mechanisms import Mechanism, dot

import vesalius as vs

CHUNK = 64
PIECE = 4  # the fastest of 4, 8 and 16


@vs.diagram
def gated_step(s: "c e", q: "c", k: "c", v: "e", gate: "c") -> {"s": "c e", "o": "e"}:  # type: ignore[misc]
    """The state fades, k⊗v joins it, q reads it."""
    s = vs.exp(-vs.softplus(gate) / 16) * s + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def gated(q: "n c", k: "n c", v: "n e", gate: "n c") -> "n e":
    """Gated linear attention (arXiv 2312.06635)."""
    start = vs.expand(0.0, "c e")
    _, o = vs.scan(gated_step, over="n", states=[start], sequences=[q, k, v, gate])
    return o


def naive_gated(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, gate: torch.Tensor
) -> torch.Tensor:
    """The loop."""
    kept = torch.exp(-F.softplus(gate) / 16)
    state, out = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1]), []
    for t in range(q.shape[2]):
        state = kept[:, :, t, :, None] * state + k[:, :, t, :, None] * v[:, :, t, None]
        out.append((q[:, :, t, None] @ state).squeeze(-2))
    return torch.stack(out, 2)


def pairs_in_pieces(q: torch.Tensor, k: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Σ_c q[t]·k[s]·exp(level[t] − level[s]) for s ≤ t, else 0.

    Between pieces, what has faded from the keys to where the later piece begins, and from there to
    the queries, are two factors; inside a piece, all differences are made.
    """
    asked, held, late = (x.unflatten(-2, (-1, PIECE)) for x in (q, k, level))
    count = asked.shape[-3]
    faded = (late[..., :, None, :] - late[..., None, :, :]).clamp(max=0).exp()
    own = (asked[..., :, None, :] * held[..., None, :, :] * faded).sum(-1).tril()
    rows = [F.pad(own[..., 0, :, :], (0, (count - 1) * PIECE))]
    for i in range(1, count):
        start = level[..., i * PIECE - 1 : i * PIECE, :]
        old = k[..., : i * PIECE, :] * (start - level[..., : i * PIECE, :]).exp()
        new = asked[..., i, :, :] * (late[..., i, :, :] - start).exp()
        row = torch.cat([new @ old.mT, own[..., i, :, :]], -1)
        rows.append(F.pad(row, (0, (count - 1 - i) * PIECE)))
    return torch.cat(rows, -2)


def chunked_gated(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, gate: torch.Tensor
) -> torch.Tensor:
    """Chunks cut into pieces: no exponential is above 1."""
    return in_chunks(q, k, v, gate, pairs_in_pieces)


def unguarded_gated(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, gate: torch.Tensor
) -> torch.Tensor:
    """Chunks, with exponentials of both signs."""

    def pairs(q: torch.Tensor, k: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return ((q * level.exp()) @ (k * (-level).exp()).mT).tril()

    return in_chunks(q, k, v, gate, pairs)


def in_chunks(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    gate: torch.Tensor,
    pairs: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Pairs inside chunks, and states between them."""
    q, k, v, level = (x.unflatten(2, (-1, CHUNK)) for x in (q, k, v, -F.softplus(gate) / 16))
    level = level.cumsum(3)
    asked, end = q * level.exp(), level[:, :, :, -1:]
    inside = pairs(q, k, level) @ v
    written = (k * (end - level).exp()).mT @ v
    states = [torch.zeros_like(written[:, :, 0])]
    for kept, new in zip(end.exp().mT.unbind(2)[:-1], written.unbind(2)[:-1], strict=True):
        states.append(kept * states[-1] + new)
    return (inside + asked @ torch.stack(states, 2)).flatten(2, 3)


def unit(k: torch.Tensor) -> torch.Tensor:
    """Keys of length 1."""
    return k / (k * k).sum(-1, keepdim=True).sqrt()


@vs.diagram
def corrected_step(s: "c e", q: "c", k: "c", v: "e", strength: "") -> {"s": "c e", "o": "e"}:  # type: ignore[misc]
    """What the state holds at k moves towards v, q reads it."""
    s = s + vs.sigmoid(strength) * k * (v - dot(k, s))
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def corrected(q: "n c", k: "n c", v: "n e", strength: "n") -> "n e":
    """The delta rule (arXiv 2406.06484)."""
    k = k / vs.sqrt(dot(k, k))
    start = vs.expand(0.0, "c e")
    _, o = vs.scan(corrected_step, over="n", states=[start], sequences=[q, k, v, strength])
    return o


def naive_corrected(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, strength: torch.Tensor
) -> torch.Tensor:
    """The loop."""
    k, strength = unit(k), torch.sigmoid(strength)[..., None]
    state, out = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1]), []
    for t in range(q.shape[2]):
        key = k[:, :, t, None]
        change = strength[:, :, t, None] * (v[:, :, t, None] - key @ state)
        state = state + key.mT @ change
        out.append((q[:, :, t, None] @ state).squeeze(-2))
    return torch.stack(out, 2)


def chunked_corrected(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, strength: torch.Tensor
) -> torch.Tensor:
    """Chunks: a triangular system in each, then the states in turn."""
    k, strength = unit(k), torch.sigmoid(strength)[..., None]
    q, k, v, strength = (x.unflatten(2, (-1, CHUNK)) for x in (q, k, v, strength))
    system = (strength * k @ k.mT).tril(-1)
    both = torch.linalg.solve_triangular(  # no half precision
        system.float(),
        torch.cat([strength * v, strength * k], -1).float(),
        upper=False,
        unitriangular=True,
    ).to(v.dtype)
    new, old = both.split([v.shape[-1], k.shape[-1]], -1)
    state, out = torch.zeros_like(k[:, :, 0].mT @ v[:, :, 0]), []
    inside = (q @ k.mT).tril()
    for t in range(q.shape[2]):
        written = new[:, :, t] - old[:, :, t] @ state
        out.append(q[:, :, t] @ state + inside[:, :, t] @ written)
        state = state + k[:, :, t].mT @ written
    return torch.stack(out, 2).flatten(2, 3)


WIDE = ("b h n c", "b h n c", "b h n e")

STATES = [
    Mechanism(
        "gates by channel",
        gated.over("b h"),
        naive_gated,
        chunked_gated,
        (*WIDE, "b h n c"),
        others={"unguarded": unguarded_gated},
        floor=of_states,
    ),
    Mechanism(
        "delta rule",
        corrected.over("b h"),
        naive_corrected,
        chunked_corrected,
        (*WIDE, "b h n"),
        floor=of_states,
    ),
]
