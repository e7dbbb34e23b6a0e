"""Native sparse attention: summaries of blocks, the best blocks whole, and a window."""

from __future__ import annotations

from collections.abc import Callable

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import CATALOGUE, Mechanism, Paper, Part, diagram_of, mask_inputs
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
    "mask": parts.near_places,
    "normaliser": parts.softmax,
    "mixing": parts.weighted_sum,
    "gate": parts.gate_of_heads,
    "output": parts.join_groups,
}


def native_sparse(*, rotary: bool = False, padding: bool = False) -> Diagram:
    """Three branches with keys and values of their own; g heads of keys serve h of queries each.

    Summaries of a positions, one every o; blocks of l positions, of which each query sees t whole;
    a window of w. o divides a and l; unless said, a is l and o is a, so that nothing overlaps. The
    heads of a group select together: a block counts as the summaries do that it meets, each as
    often as they have o positions in common. A query sees the summaries of complete blocks only.

    `rotary` turns queries and keys by where they stand, also those that are summed up. With
    `padding`, blocks with a position that is not kept have no summary.
    """

    def attend(q: Wire, k: Wire, v: Wire, seen: Wire) -> tuple[Wire, Wire]:
        weights = STANDS["normaliser"](STANDS["similarity"](q, k), seen)
        return STANDS["mixing"](weights, v), weights

    def body(x: Wire, keep: Wire | None = None) -> Wire:
        def turned(y: Wire) -> Wire:
            return parts.rotary(y) if rotary else y

        def memory(branch: str) -> tuple[Wire, Wire]:
            k = vs.linear(x, "d", "g c", name=f"wk_{branch}")
            v = vs.linear(x, "d", "g e", name=f"wv_{branch}")
            return turned(k.rename(n="m")), v.rename(n="m")

        def where_kept(seen: Wire, laid: Callable[[Wire], Wire]) -> Wire:
            """What is seen and kept; `laid` brings what is along m into the axes of the keys."""
            if keep is None:
                return seen
            return seen & vs.equal(laid(vs.to_int(keep).rename(n="m")), 1)

        def summed_up(y: Wire) -> Wire:
            return vs.min(parts.overlapping(y), "a").rename(s="m")

        q = turned(vs.linear(x, "d", "g h c", name="wq"))
        k, v = (parts.overlapping(y) for y in memory("compressed"))
        k, v = STANDS["preparation"](k, "c", "k"), STANDS["preparation"](v, "e", "v")
        k, v = k.rename(s="m"), v.rename(s="m")
        summary, weights = attend(q, k, v, where_kept(parts.complete(q, k), summed_up))

        importance = parts.of_blocks(vs.mean(weights, "h").rename(m="s"))
        places = STANDS["position"](q, importance)

        def chosen_from(y: Wire) -> Wire:
            return vs.merge(vs.gather(parts.whole_blocks(y, "t"), places, over="s"), "t l", "m")

        k, v = (chosen_from(y) for y in memory("selected"))
        seen = vs.merge(parts.positions_in(places), "t l", into="m") <= parts.index(q, "n")
        chosen, _ = attend(q, k, v, where_kept(seen, chosen_from))

        def near(y: Wire) -> Wire:
            return parts.with_neighbours(parts.chunks(parts.filled(y, "m"), "m", "m"), True)

        k, v = (near(y) for y in memory("window"))
        queries = parts.chunks(parts.filled(q))
        seen = where_kept(STANDS["mask"](queries, True), near)
        local, _ = attend(queries, k, v, seen)
        local = vs.slice(parts.whole(local), "n", stop=x.axes["n"])

        branches = (("compressed", summary), ("selected", chosen), ("window", local))
        joined: Wire = STANDS["output"](
            vs.add(*(STANDS["gate"](x, name) * branch for name, branch in branches))
        )
        return joined

    inputs = {"x": "n d", **mask_inputs("n", padding, False)}
    return diagram_of("native_sparse", inputs, "n d", body)


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
        implied={"a": "l", "o": "a"},
        check="fla-core",
    )
)
