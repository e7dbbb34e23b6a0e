"""Attention whose weights are products of features: linear in the number of positions."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.attention import LINEAR_PARTS
from vesalius.anatomy.forms import (
    Features,
    Form,
    chosen,
    of_features,
    ports,
)
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rules.recurrences import looped, outer

CHOROMANSKI = Paper(
    "Rethinking Attention with Performers",
    "Choromanski, Likhosherstov, Dohan, Song, Gane, Sarlós, Hawkins, Davis, Mohiuddin, Kaiser, "
    "Belanger, Colwell, Weller",
    2020,
    "2009.14794",
)
PENG = Paper(
    "Random Feature Attention",
    "Peng, Pappas, Yogatama, Schwartz, Smith, Kong",
    2021,
    "2103.02143",
)
QIN = Paper(
    "cosFormer: Rethinking Softmax in Attention",
    "Qin, Sun, Deng, Li, Wei, Lv, Yan, Kong, Zhong",
    2022,
    "2202.08791",
)
SHEN = Paper(
    "Efficient Attention: Attention with Linear Complexities",
    "Shen, Zhang, Zhao, Yi, Li",
    2018,
    "1812.01243",
)
ARORA = Paper(
    "Simple linear attention language models balance the recall-throughput tradeoff",
    "Arora, Eyuboglu, Zhang, Timalsina, Alberti, Zinsley, Zou, Rudra, Ré",
    2024,
    "2402.18668",
)


def enter(
    name: str,
    title: str,
    paper: Paper,
    formula: str,
    features: Features,
    check: str,
    least: float | None = None,
    **stands: Part,
) -> None:
    """Enter linear attention with other features."""
    all_parts = {**LINEAR_PARTS, **stands}
    build = of_features(name, all_parts, features, least)
    CATALOGUE.enter(Mechanism(name, title, paper, formula, all_parts, build, check=check))


enter(
    "performer",
    "Performer",
    CHOROMANSKI,
    "o[n,e] = Σ_m w[n,m]·v[m,e] / Σ_m w[n,m], w[n,m] = Σ_r φ(q[n])[r]·φ(k[m])[r], "
    "φ(x)[r] = exp(Σ_c ω[r,c]·x[c]/⁴√c − Σ_c x[c]²/2√c)",
    parts.exponential_features,
    "performer-pytorch",
    similarity=parts.softmax_estimate,
)
enter(
    "rfa",
    "Random feature attention",
    PENG,
    "o[n,e] = Σ_m w[n,m]·v[m,e] / Σ_m w[n,m], w[n,m] = Σ_r cos(Σ_c ω[r,c]·σ[c]·"
    "(q[n,c]/|q[n]| − k[m,c]/|k[m]|))",
    parts.waves,
    "transcription",
    similarity=parts.gaussian_estimate,
)
enter(
    "cosformer",
    "cosFormer",
    QIN,
    "o[n,e] = Σ_m w[n,m]·v[m,e] / max(Σ_m w[n,m], 10⁻⁶), "
    "w[n,m] = (Σ_c relu(q[n,c])·relu(k[m,c]))·cos(π·(n − m)/2p)",
    parts.reweighted,
    "transcription",
    least=1e-6,
    similarity=parts.near_relu,
    normaliser=parts.clamped_row_sum,
)
enter(
    "based",
    "Based attention",
    ARORA,
    "o[n,e] = Σ_m w[n,m]·v[m,e] / Σ_m w[n,m], w = 1 + s + s²/2, s[n,m] = Σ_c q[n,c]·k[m,c] / √c",
    parts.monomials,
    "fla-core",
    least=0.5,  # as a weight is: it only counts for a query that sees no key
    similarity=parts.second_order,
)


# -- efficient attention: two softmaxes, none of them over the weights -----------------------------

EFFICIENT_PARTS: dict[str, Part] = {
    "preparation": parts.given,
    "similarity": parts.by_channels,
    "mask": parts.visible,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
}


def efficient(*, causal: bool = False, padding: bool = False, form: Form | None = None) -> Diagram:
    """Each channel of the keys weighs the values once for all queries, which choose channels.

    The paper's formula normalises each channel over all keys; causal, it is over those that a
    query sees. `weights` has a weight for each query and key, `state` mixes the values for each
    channel first, `scan` carries the sums of exp(k) and of exp(k)·v along the positions.
    """
    form = chosen("efficient", form, causal)

    def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None) -> Wire:
        if form == "scan":
            keys = vs.exp(k) if keep is None else vs.where(keep, vs.exp(k), 0.0)
            return looped(
                outer, vs.softmax(q, "c") / parts.running_sum(keys.rename(m="n")), keys, v
            )
        keys = parts.softmax(k, parts.visible(q, k, causal=causal, keep=keep))
        if form == "weights":
            return parts.weighted_sum(parts.by_channels(q, keys), v)
        return parts.by_channels(q, parts.weighted_sum(keys, v))

    return diagram_of("efficient", *ports(causal, padding), body)


CATALOGUE.enter(
    Mechanism(
        "efficient",
        "Efficient attention",
        SHEN,
        "o[n,e] = Σ_c softmax_c(q)[n,c]·(Σ_m softmax_m(k)[m,c]·v[m,e])",
        EFFICIENT_PARTS,
        efficient,
        check="linear-attention-transformer",
    )
)
