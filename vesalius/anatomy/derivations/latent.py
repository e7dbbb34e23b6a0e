"""Multi-head latent attention: keys and values that are never made."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.rules import sums


@diagram
def latent_attention(x: "n d", y: "m d") -> "n d":
    """Keys and values of all heads come from one short latent vector for each token.

    A second, shared key carries positions; it is not compressed (DeepSeek-V2, arXiv 2405.04434).
    """
    latent = vs.linear(y, "d", "r", name="down")
    q = vs.linear(x, "d", "h c", name="wq")
    k, v = vs.linear(latent, "r", "h c", name="up_k"), vs.linear(latent, "r", "h e", name="up_v")
    place_q = vs.linear(x, "d", "h f", name="place_q")
    place_k = vs.linear(y, "d", "f", name="place_k")
    scores = parts.dot(q, k) + vs.contract(place_q, place_k, over="f")
    weights = parts.softmax(scores / vs.sqrt(vs.size("c") + vs.size("f")), None)
    return parts.join_heads(parts.weighted_sum(weights, v))


# Which of the products of products is meant: the one that makes keys, then the one of values.
KEYS, VALUES = 3, 6


@DERIVATIONS.enter("mla-to-absorbed", "Latent attention, with its projections absorbed")
def mla_to_absorbed() -> Derivation:
    """What makes the keys moves to the queries, what makes the values behind the mix.

    Then attention is over the latent vectors themselves, which all heads share: a cache holds r
    numbers a token, not h·(c + e). It pays when there are few queries.
    """
    return derive(latent_attention, (sums.reassociate, KEYS), (sums.reassociate, VALUES))
