"""Attention without products of queries and keys: a score for each channel, or pooled vectors."""

from __future__ import annotations

from collections.abc import Callable

from vesalius.anatomy import parts
from vesalius.anatomy.forms import Form, chosen
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    mask_inputs,
)
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

ZHAI = Paper(
    "An Attention Free Transformer",
    "Zhai, Talbott, Srivastava, Huang, Goh, Zhang, Susskind",
    2021,
    "2105.14103",
)
WU = Paper(
    "Fastformer: Additive Attention Can Be All You Need",
    "Wu, Wu, Qi, Huang, Xie",
    2021,
    "2108.09084",
)
FREE: dict[str, Part] = {
    "preparation": parts.channels,
    "mask": parts.visible,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
    "gate": parts.sigmoid_gate,
    "output": parts.project,
}


def sequence(name: str, padding: bool, body: Callable[..., Wire]) -> Diagram:
    """From a sequence to one like it; `keep` is told by the keys' positions."""

    def kept(x: Wire, keep: Wire | None = None) -> Wire:
        return body(x, None if keep is None else keep.rename(n="m"))

    return diagram_of(name, {"x": "n d", **mask_inputs("n", padding, False)}, "n d", kept)


def weighed(q: Wire, scores: Wire, x: Wire, causal: bool, keep: Wire | None) -> Wire:
    """The mean of x over m by the softmax of the scores that a query may see."""
    allowed = parts.visible(q, scores, causal=causal, keep=keep)
    return parts.weighted_sum(parts.softmax(scores, allowed), x)


def attention_free(name: str, similarity: Part) -> Callable[..., Diagram]:
    """The builder of the attention free transformer with these scores."""

    def build(*, causal: bool = False, padding: bool = False) -> Diagram:
        def body(x: Wire, keep: Wire | None) -> Wire:
            q, k, v = parts.channels(x)
            mixed = weighed(q, similarity(q, k), v, causal, keep)
            return parts.project(parts.sigmoid_gate(q, mixed))

        return sequence(name, padding, body)

    return build


def mean(q: Wire, scores: Wire, x: Wire, form: Form, causal: bool, keep: Wire | None) -> Wire:
    """The same where scores know nothing of queries, in a form: `scan` has two running sums."""
    if form != "scan":
        return weighed(q, scores, x, causal, keep)
    if keep is not None:
        scores = vs.where(keep, scores, float("-inf"))
    return parts.mean_so_far(scores.rename(m="n"), x.rename(m="n"))


def aft_simple(*, causal: bool = False, padding: bool = False, form: Form | None = None) -> Diagram:
    """Attention free without positions.

    Causal, `weights` has a weight for each query, key and channel; `scan` carries the sums of
    exp(k)·v and of exp(k) along the positions; the compiler brings both to the largest key so far.
    """
    form = chosen("aft_simple", form, causal)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.channels(x)
        mixed = mean(q, parts.keys_alone(q, k), v, form, causal, keep)
        return parts.project(parts.sigmoid_gate(q, mixed))

    return sequence("aft_simple", padding, body)


def enter(
    name: str, title: str, score: str, similarity: Part, build: Callable[..., Diagram]
) -> None:
    """Enter an attention free transformer; `score` is its formula of the scores."""
    formula = (
        f"z[n,d] = Σ_e σ(q[n,e])·(Σ_m softmax_m({score})·v[m,e])·W_o[e,d], "
        "with q = x·W_q, k = x·W_k, v = x·W_v"
    )
    stands = {"preparation": parts.channels, "similarity": similarity, **FREE}
    CATALOGUE.enter(Mechanism(name, title, ZHAI, formula, stands, build, check="aft-pytorch"))


enter(
    "aft_full",
    "Attention free transformer",
    "W[n,m] + k[m,e]",
    parts.table_and_keys,
    attention_free("aft_full", parts.table_and_keys),
)
enter(
    "aft_local",
    "Attention free transformer, local",
    "[|n − m| < w]·W[n,m] + k[m,e]",
    parts.near_table_and_keys,
    attention_free("aft_local", parts.near_table_and_keys),
)
enter(
    "aft_simple",
    "Attention free transformer, simple",
    "k[m,e]",
    parts.keys_alone,
    aft_simple,
)


# -- Fastformer -----------------------------------------------------------------------------------


def fastformer(*, causal: bool = False, padding: bool = False, form: Form | None = None) -> Diagram:
    """Queries are pooled into one vector, what they make of the keys into another.

    The paper pools over all positions; causal, it is over those so far: by weights of queries and
    keys, or, in the form `scan`, by running sums of exponentials.
    """
    form = chosen("fastformer", form, causal)

    def body(x: Wire, keep: Wire | None) -> Wire:
        q, k, v = parts.three_maps(x)

        def pooled(y: Wire, name: str) -> Wire:
            along = y.rename(n="m")
            return mean(y, parts.pooling_scores(along, name), along, form, causal, keep)

        keys = pooled(q, "q") * k
        return parts.add_query(pooled(keys, "k") * v, q)

    return sequence("fastformer", padding, body)


CATALOGUE.enter(
    Mechanism(
        "fastformer",
        "Fastformer",
        WU,
        "z[n,d] = Σ_c (k̄[c]·v[n,c])·W[c,d] + q[n,d], k̄ = Σ_m softmax_m(Σ_c a_k[c]·p[m,c] / √d)·"
        "p[m], p[m] = q̄·k[m], q̄ = Σ_m softmax_m(Σ_c a_q[c]·q[m,c] / √d)·q[m], with "
        "q = x·W_q, k = x·W_k, v = x·W_v",
        {
            "preparation": parts.three_maps,
            "similarity": parts.pooling_scores,
            "mask": parts.visible,
            "normaliser": parts.softmax,
            "mixing": parts.weighted_sum,
            "output": parts.add_query,
        },
        fastformer,
    )
)
