"""Documents of different lengths in one axis, one after another: by several hands."""

from __future__ import annotations

from operator import sub

import flexible
import torch
import torch.nn.functional as F
from floor import OfPairs, Sizes
from mechanisms import Mechanism, mixed, scaled, sdpa_causal

import vesalius as vs

ENDS = (1, 2, 4, 6, 10, 12, 27, 32)  # of documents, in parts of the length of all


@vs.diagram
def documents(q: "b h n c", k: "b h n c", v: "b h n e", document: "b n int") -> "b h n e":
    k, v, theirs = (x.rename(n="m") for x in (k, v, document))
    shown = vs.equal(document, theirs) & (vs.iota("m:n") <= vs.iota("n"))
    return mixed(vs.where(shown, scaled(q, k), float("-inf")), v)


def mask(document: torch.Tensor) -> torch.Tensor:
    """Which keys a query sees: those of its own document that do not come later."""
    return (document[:, :, None] == document[:, None]).tril()[:, None]


def naive(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, document: torch.Tensor
) -> torch.Tensor:
    """The formula."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return torch.softmax(scores.masked_fill(~mask(document), -torch.inf), -1) @ v


def dense(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, document: torch.Tensor
) -> torch.Tensor:
    """The fused kernel with a mask of all pairs."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask(document))


def padded(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, document: torch.Tensor
) -> torch.Tensor:
    """Documents padded to the longest, as a batch, and back."""
    counts = torch.cat([numbers.bincount() for numbers in document])
    real = torch.arange(int(counts.max()), device=q.device) < counts[:, None]
    batch = []
    for x in (q, k, v):
        wide = x.new_zeros(*real.shape, x.shape[1], x.shape[-1])
        wide[real] = x.transpose(1, 2).flatten(0, 1)
        batch.append(wide.transpose(1, 2))
    out = sdpa_causal(*batch).transpose(1, 2)[real]
    return out.unflatten(0, document.shape).transpose(1, 2)


def each(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """The fused kernel for one document after the other."""
    made = []
    for *arrays, numbers in zip(q, k, v, document, strict=True):
        lengths = numbers.bincount().tolist()
        parts = zip(*(x[None].split(lengths, 2) for x in arrays), strict=True)
        made.append(torch.cat([sdpa_causal(*part) for part in parts], 2))
    return torch.cat(made)


def inside(sizes: Sizes) -> float:
    """Keys up to the query, of its own document."""
    ends = [end * sizes["n"] // ENDS[-1] for end in (0, *ENDS)]
    return sum(n * (n + 1) / 2 for n in map(sub, ends[1:], ends))


DOCUMENTS = Mechanism(
    "documents",
    documents,
    naive,
    each,
    ("b h n c", "b h n c", "b h n e", "b n int"),
    to_naive=1 / 1.3,
    flexible=flexible.documents,
    others={"dense": dense, "padded": padded},
    floor=OfPairs(inside),
)
