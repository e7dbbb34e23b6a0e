"""Attention on graphs: the mask is an input, which node looks at which."""

from __future__ import annotations

from typing import Literal

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.anatomy.transformer import one_of
from vesalius.diagrams import verbs as vs
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


Together = Literal["concat", "mean"]


def _graph(name: str, title: str, paper: Paper, formula: str, **stands: Part) -> Mechanism:
    """Enter attention between nodes; `edges[n, m]` says that n looks at m."""
    whole: dict[str, Part] = {
        "mask": parts.neighbours,
        "normaliser": parts.softmax,
        "mixing": parts.weighted_sum,
        **stands,
    }

    def build(
        *, together: Together | None = None, loops: bool = False, elu: bool = False
    ) -> Diagram:
        """Heads are left apart, or brought `together`: channels one after the other (`concat`), or
        their `mean`, as in the last layer. `loops` lets every node look at itself, too. `elu` is
        the papers' non-linearity, of channels one after the other, or of the mean.
        """
        if together is not None:
            one_of("together", together, Together)

        def body(x: Wire, edges: Wire) -> Wire:
            q, k, v = whole["preparation"](x)
            if loops:
                places = parts.index(edges, "n"), parts.index(edges, "m")
                edges = edges | vs.equal(*places)
            weights = whole["normaliser"](whole["similarity"](q, k), whole["mask"](edges))
            mixed: Wire = whole["mixing"](weights, v)
            if together == "concat":
                mixed = vs.merge(mixed, "h c", into="e")
            elif together == "mean":
                mixed = vs.mean(mixed, "h")
            return vs.elu(mixed) if elu else mixed

        output = {"concat": "n e:h*c", "mean": "n c"}.get(together or "", "n h c")
        return diagram_of(name, {"x": "n d", "edges": "n m:n bool"}, output, body)

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
