"""Attention on graphs: the mask is an input, which node looks at which."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

VELICKOVIC = Paper(
    "Graph Attention Networks",
    "Veličković, Cucurull, Casanova, Romero, Liò, Bengio",
    2017,
    "1710.10903",
)
BRODY = Paper("How Attentive are Graph Attention Networks?", "Brody, Alon, Yahav", 2021,
              "2105.14491")  # fmt: skip


def _graph(name: str, title: str, paper: Paper, formula: str, **stands: Part) -> Mechanism:
    """Enter attention between nodes; `edges[n, m]` says that n looks at m."""
    whole: dict[str, Part] = {
        "mask": parts.neighbours,
        "normaliser": parts.softmax,
        "mixing": parts.weighted_sum,
        **stands,
    }

    def build() -> Diagram:
        def body(x: Wire, edges: Wire) -> Wire:
            q, k, v = whole["preparation"](x)
            weights = whole["normaliser"](whole["similarity"](q, k), whole["mask"](edges))
            mixed: Wire = whole["mixing"](weights, v)
            return mixed

        return diagram_of(name, {"x": "n d", "edges": "n m:n bool"}, "n h c", body)

    return CATALOGUE.enter(
        Mechanism(name, title, paper, formula, whole, build, "never", check="torch-geometric")
    )


_graph(
    "gat",
    "Graph attention",
    VELICKOVIC,
    "o[n,h,c] = Σ_m softmax_m(leaky_relu(Σ_c a[h,c]·u[n,h,c] + Σ_c b[h,c]·u[m,h,c]) where n–m)"
    "·u[m,h,c], u = x·W",
    preparation=parts.one_map,
    similarity=parts.leaky_sum,
)
_graph(
    "gat_v2",
    "Dynamic graph attention",
    BRODY,
    "o[n,h,c] = Σ_m softmax_m(Σ_c a[h,c]·leaky_relu(r[n,h,c] + l[m,h,c]) where n–m)·l[m,h,c], "
    "r = x·W_r, l = x·W_l",
    preparation=parts.two_maps,
    similarity=parts.sum_of_leaky,
)
