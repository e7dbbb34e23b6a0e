"""Tokens mixed by weights that no query and key are asked for: learned, predicted or fixed."""

from __future__ import annotations

from collections.abc import Callable

from vesalius.anatomy import parts
from vesalius.anatomy.attention import CHANNELS
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.anatomy.transformer import mlp_diagram, norm_diagram, residual
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

TAY = Paper(
    "Synthesizer: Rethinking Self-Attention in Transformer Models",
    "Tay, Bahri, Metzler, Juan, Zhao, Zheng",
    2020,
    "2005.00743",
)
LIU = Paper("Pay Attention to MLPs", "Liu, Dai, So, Le", 2021, "2105.08050")
TOLSTIKHIN = Paper(
    "MLP-Mixer: An all-MLP Architecture for Vision",
    "Tolstikhin, Houlsby, Kolesnikov, Beyer, Zhai, Unterthiner, Yung, Steiner, Keysers, Uszkoreit, "
    "Lucic, Dosovitskiy",
    2021,
    "2105.01601",
)
LEE_THORP = Paper(
    "FNet: Mixing Tokens with Fourier Transforms",
    "Lee-Thorp, Ainslie, Eckstein, Ontañón",
    2021,
    "2105.03824",
)
YU = Paper(
    "MetaFormer Is Actually What You Need for Vision",
    "Yu, Luo, Zhou, Si, Zhou, Wang, Feng, Yan",
    2021,
    "2111.11418",
)


# -- Synthesizer ----------------------------------------------------------------------------------


def _synthesizer(name: str, title: str, formula: str, similarity: Part) -> None:
    stands: dict[str, Part] = {
        "preparation": parts.values,
        "similarity": similarity,
        "mask": parts.visible,
        "normaliser": parts.softmax,
        "mixing": parts.weighted_sum,
        "output": parts.join_heads,
    }

    def build(*, causal: bool = False, padding: bool = False) -> Diagram:
        def body(x: Wire, keep: Wire | None = None) -> Wire:
            v = parts.values(x)
            kept = None if keep is None else keep.rename(n="m")
            allowed = parts.visible(x, v, causal=causal, keep=kept)
            # No score is of a pair of tokens, so that the part is called with the tokens alone.
            weights = parts.softmax(similarity(x), allowed)
            return parts.join_heads(parts.weighted_sum(weights, v))

        inputs = {"x": "n d", **({"keep": "n bool"} if padding else {})}
        return diagram_of(name, inputs, "n d", body)

    formula = f"z[n,d] = Σ_he (Σ_m softmax_m({formula})·v[h,m,e])·W_o[h,e,d], v = x·W_v"
    CATALOGUE.enter(Mechanism(name, title, TAY, formula, stands, build, implied=CHANNELS))


_synthesizer(
    "synthesizer_dense",
    "Dense Synthesizer",
    "Σ_a relu(Σ_d x[n,d]·W[d,h,a])·W[h,a,m]",
    parts.dense_scores,
)
_synthesizer(
    "synthesizer_random",
    "Random Synthesizer",
    "R[h,n,m]",
    parts.random_scores,
)
_synthesizer(
    "synthesizer_factorised",
    "Factorised random Synthesizer",
    "Σ_r R[h,n,r]·R[h,m,r]",
    parts.factorised_scores,
)
_synthesizer(
    "synthesizer_factorised_dense",
    "Factorised dense Synthesizer",
    "a[h,n,m mod |k|]·b[h,n,⌊m / |k|⌋]",
    parts.factorised_dense_scores,
)


# -- networks over the tokens ---------------------------------------------------------------------


def gmlp(*, causal: bool = False) -> Diagram:
    """A block with a learned weight for each pair of places, the mix of which gates the tokens.

    How many tokens there are is in the parameters.
    """

    def body(x: Wire) -> Wire:
        u, v = parts.two_halves(norm_diagram().boxed(x))
        v = v.rename(n="m")
        weights = parts.shown(parts.token_weights(x), parts.visible(x, v, causal=causal, keep=None))
        mixed = parts.spatial_gate(u, parts.weighted_sum(weights, v))
        return x + vs.linear(mixed, "f", "d", name="wo", bias=True)

    return diagram_of("gmlp", {"x": "n d"}, "n d", body)


def mlp_mixer() -> Diagram:
    """A network over the tokens of each channel, then one over the channels of each token.

    How many tokens there are is in the parameters.
    """
    tokens = diagram_of("tokens", {"x": "n"}, "n", parts.token_mlp)

    def body(x: Wire) -> Wire:
        return residual(residual(x, tokens.boxed, "pre"), mlp_diagram("gelu", True).boxed, "pre")

    return diagram_of("mlp_mixer", {"x": "n d"}, "n d", body)


# -- nothing learned ------------------------------------------------------------------------------


def fnet() -> Diagram:
    """The real part of the Fourier transform along the tokens and along the channels."""
    return diagram_of("fnet", {"x": "n d"}, "n d", parts.real_spectrum)


def poolformer(*, grid: bool = False) -> Diagram:
    """The mean of the neighbours, less the token itself; with `grid`, tokens are n × m of them."""

    def body(x: Wire) -> Wire:
        mean = parts.window_mean(x)
        if grid:  # a mean over a rectangle is one over rows, then over columns
            mean = parts.window_mean(mean.rename(n="m", m="n")).rename(n="m", m="n")
        return parts.less_itself(mean, x)

    axes = "n m d" if grid else "n d"
    return diagram_of("poolformer", {"x": axes}, axes, body)


def _enter(
    build: Callable[..., Diagram],
    title: str,
    paper: Paper,
    formula: str,
    stands: dict[str, Part],
    check: str,
    causal: str = "never",
) -> None:
    CATALOGUE.enter(
        Mechanism(build.__name__, title, paper, formula, stands, build, causal, check=check)
    )


_enter(
    gmlp,
    "gMLP",
    LIU,
    "z = x + (u·(Σ_m W[n,m]·v[m,f] + b[n]))·W_o, u = gelu(norm(x)·U), v = norm(gelu(norm(x)·V))",
    {
        "preparation": parts.two_halves,
        "similarity": parts.token_weights,
        "mask": parts.visible,
        "normaliser": parts.shown,
        "mixing": parts.weighted_sum,
        "gate": parts.spatial_gate,
        "norm": parts.layer_norm,
    },
    "g-mlp-pytorch",
    "request",
)
_enter(
    mlp_mixer,
    "MLP-Mixer",
    TOLSTIKHIN,
    "z = y + mlp_d(norm(y)), y = x + mlp_n(norm(x))",
    {"mixing": parts.token_mlp, "norm": parts.layer_norm, "feed_forward": parts.mlp},
    "mlp-mixer-pytorch",
)
_enter(
    fnet,
    "FNet",
    LEE_THORP,
    "z[k,l] = Re Σ_nd exp(−2πi·(k·n / |n| + l·d / |d|))·x[n,d]",
    {"mixing": parts.real_spectrum},
    "transformers",
)
_enter(
    poolformer,
    "PoolFormer",
    YU,
    "z[n,d] = mean_{|n − m| ≤ |w| / 2} x[m,d] − x[n,d]",
    {"mixing": parts.window_mean, "gate": parts.less_itself},
    "transformers",
)
