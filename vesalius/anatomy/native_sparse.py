"""Native sparse attention: summaries of blocks, the best blocks whole, and a window."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.wire import Wire

YUAN = Paper(
    "Native Sparse Attention: Hardware-Aligned and Natively Trainable Sparse Attention",
    "Yuan, Gao, Dai, Luo, Zhao, Zhang, Xie, Wei, Wang, Xiao, Wang, Ruan, Zhang, Liang, Zeng",
    2025,
    "2502.11089",
)

STANDS: dict[str, Part] = {
    "preparation": parts.compressed,
    "position": parts.selected,
    "similarity": parts.scaled_dot,
    "mask": parts.sliding_window,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
    "gate": parts.gate_of_heads,
    "output": parts.join_groups,
}


def native_sparse() -> Diagram:
    """Three branches with keys and values of their own; g heads of keys serve h of queries each.

    Blocks of l positions, of which each query sees t whole; a window of w. The blocks that are
    compressed and those that are selected are the same: they do not overlap. The heads of a group
    select together. A query sees the summaries of complete blocks only.
    """

    def body(x: Wire) -> Wire:
        q = vs.linear(x, "d", "g h c", name="wq")

        def memory(branch: str) -> tuple[Wire, Wire]:
            k = vs.linear(x, "d", "g c", name=f"wk_{branch}")
            v = vs.linear(x, "d", "g e", name=f"wv_{branch}")
            return k.rename(n="m"), v.rename(n="m")

        k, v = memory("compressed")
        k, v = parts.whole_blocks(k, "t"), parts.whole_blocks(v, "t")
        k, v = STANDS["preparation"](k, "c", "k"), STANDS["preparation"](v, "e", "v")
        k, v = k.rename(s="m"), v.rename(s="m")
        weights = STANDS["normaliser"](STANDS["similarity"](q, k), parts.complete(q, k))
        summary = STANDS["mixing"](weights, v)

        places = STANDS["position"](q, vs.mean(weights, "h").rename(m="s"))
        k, v = memory("selected")
        k, v = (vs.gather(parts.whole_blocks(y, "t"), places, over="s") for y in (k, v))
        k, v = (vs.merge(y, "t l", into="m") for y in (k, v))
        seen = vs.merge(parts.positions_in(places), "t l", into="m") <= parts.index(q, "n")
        scores = STANDS["similarity"](q, k)
        chosen = STANDS["mixing"](STANDS["normaliser"](scores, seen), v)

        k, v = memory("window")
        near = STANDS["mask"](q, k, causal=True, keep=None)
        scores = STANDS["similarity"](q, k)
        local = STANDS["mixing"](STANDS["normaliser"](scores, near), v)

        branches = (("compressed", summary), ("selected", chosen), ("window", local))
        joined: Wire = STANDS["output"](
            vs.add(*(STANDS["gate"](x, name) * branch for name, branch in branches))
        )
        return joined

    return diagram_of("native_sparse", {"x": "n d"}, "n d", body)


CATALOGUE.enter(
    Mechanism(
        "native_sparse",
        "Native sparse attention",
        YUAN,
        "z = Σ_ghe (Σ_b σ(x·W_b)[n,g,h]·softmax(q[n,g,h]·k_b / √c)·v_b)·W_o, "
        "b = summaries of blocks, the t blocks of largest summaries, the last w positions",
        STANDS,
        native_sparse,
        "always",
        check="fla-core",
    )
)
