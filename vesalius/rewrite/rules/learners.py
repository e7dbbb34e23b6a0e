"""Learners: holes that may be anything of their type become something in particular.

A learner stands for every function of its type that its network can be. A rule that fills it with
less *reduces*: what the right side computes, the left side can. The witness shows it: a small
network in the place of each learner, and a map from the weights of one side to those of the other
(universal approximation says the same of wide networks, in the limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked
from vesalius.rewrite.witness import Witness, identity, zeros

if TYPE_CHECKING:
    from torch import Tensor

    from vesalius.rewrite.matched import Match

    State = Mapping[str, Tensor]
    Sizes = Mapping[str, int]

# -- fewer inputs ---------------------------------------------------------------------------------


@diagram
def of_two(x: "d", y: "f") -> "e":
    """tanh(x·U + y·V)·O"""
    hidden = vs.linear(x, "d", "a", name="u") + vs.linear(y, "f", "a", name="v")
    return vs.linear(vs.tanh(hidden), "a", "e", name="o")


@diagram
def of_one(x: "d") -> "e":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "d", "a", name="u")), "a", "e", name="o")


def _deaf(p: State, sizes: Sizes) -> State:
    """The network of two inputs that does not hear the second."""
    v = zeros(sizes["f"], sizes["a"])
    return {"w.u": p["r.u"], "w.o": p["r.o"], "w.v": v}


@rule("reduces", witness=Witness(to_left=_deaf, fill={"w": of_two, "r": of_one}))
def drop_an_input(x: "d", y: "f") -> "e":
    """w(x, y) → r(x): zero weights for y. How contexts and recurrences are cut"""
    less = vs.learner("r", x, binds="d", into="e")
    return vs.learner("w", x, y, binds="d f", into="e"), vs.like(less, vs.sum(y, "f"))


@worked(drop_an_input)
def a_score_that_hears_the_context(x: "n d", y: "m f") -> "n m e":
    return vs.learner("score", x, y, binds="d f", into="e")


@diagram
def affine(x: "d") -> "e":
    """tanh(x·U)·O + b"""
    hidden = vs.tanh(vs.linear(x, "d", "a", name="u"))
    return vs.linear(hidden, "a", "e", name="o") + vs.parameter("b", "e")


def _mute(p: State, sizes: Sizes) -> State:
    u, o = zeros(sizes["d"], sizes["a"]), zeros(sizes["a"], sizes["e"])
    return {"w.u": u, "w.o": o, "w.b": p["c"]}


@rule("reduces", witness=Witness(to_left=_mute, fill={"w": affine}))
def learner_to_a_parameter(x: "d") -> "e":
    """w(x) → c: all weights zero but the last bias"""
    return (
        vs.learner("w", x, binds="d", into="e"),
        vs.like(vs.parameter("c", "e"), vs.sum(x, "d")),
    )


@worked(learner_to_a_parameter)
def positions_as_a_network(p: "n d") -> "n e":
    return vs.learner("bias", p, binds="d", into="e")


# -- linear maps ----------------------------------------------------------------------------------


@diagram
def with_relus(x: "d") -> "e":
    """relu(x·U)·O, with two hidden units for each channel of the output"""
    hidden = vs.relu(vs.linear(x, "d", "s:2 a:e", name="u"))
    return vs.linear(hidden, "s a", "e", name="o")


def _both_signs(p: State, sizes: Sizes) -> State:
    """relu(t) − relu(−t) = t"""
    from torch import eye, stack

    w = p["w"]
    one = eye(sizes["e"], dtype=w.dtype)
    return {"u.u": stack([w, -w], 1), "u.o": stack([one, -one])}


@rule("reduces", witness=Witness(to_left=_both_signs, fill={"u": with_relus}))
def learner_to_a_linear_map(x: "d") -> "e":
    """u(x) → x·W, exact for a network with relus: relu(t) − relu(−t) = t"""
    return vs.learner("u", x, binds="d", into="e"), vs.like(
        vs.linear(x, "d", "e", name="w"), vs.sum(x, "d")
    )


@worked(learner_to_a_linear_map)
def queries_of_any_kind(x: "n d") -> "n e":
    return vs.learner("queries", x, binds="d", into="e")


@diagram
def with_tanh(x: "d") -> "e":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "d", "a:e", name="u")), "a", "e", name="o")


def _small(p: State, sizes: Sizes, scale: float) -> State:
    """tanh(h·t)/h = t + O(h²)"""
    from torch import eye

    w = p["w"]
    return {"u.u": scale * w, "u.o": eye(sizes["e"], dtype=w.dtype) / scale}


_SMALL = Witness(to_left=_small, fill={"u": with_tanh}, scales=(1e-1, 1e-2, 1e-3))


@rule("limit", witness=_SMALL)
def smooth_learner_to_a_linear_map(x: "d") -> "e":
    """u(x) → x·W, in the limit for a network with tanh: tanh(h·t)/h = t + O(h²)"""
    return vs.learner("u", x, binds="d", into="e"), vs.linear(x, "d", "e", name="w")


@worked(smooth_learner_to_a_linear_map)
def keys_of_any_kind(y: "m d") -> "m e":
    return vs.learner("keys", y, binds="d", into="e")


# -- scores ---------------------------------------------------------------------------------------


@diagram
def with_squares(x: "d", y: "f") -> "":
    """Σ_a (x·U + y·V)²·o, with two hidden units for each channel of the inner product"""
    hidden = vs.linear(x, "d", "s:2 a:r", name="u") + vs.linear(y, "f", "s:2 a:r", name="v")
    return vs.linear(hidden * hidden, "s a", "", name="o")


def _sum_and_difference(p: State, sizes: Sizes) -> State:
    """q·k = ((q + k)² − (q − k)²)/4"""
    from torch import stack

    q, k = p["wq"], p["wk"]
    quarter = q.new_full((sizes["r"],), 0.25)
    return {"s.u": stack([q, q], 1), "s.v": stack([k, -k], 1), "s.o": stack([quarter, -quarter])}


_SQUARES = Witness(to_left=_sum_and_difference, fill={"s": with_squares})


@rule("reduces", witness=_SQUARES, free="r")
def score_to_an_inner_product(x: "d", y: "f") -> "":
    """s(x, y) → (x·Wq)·(y·Wk) of rank r, exact for a network with squares

    q·k = ((q + k)² − (q − k)²)/4. As r grows every continuous score is reached on a compact
    domain: sums of products are dense (Stone and Weierstraß).
    """
    q, k = vs.linear(x, "d", "r", name="wq"), vs.linear(y, "f", "r", name="wk")
    return vs.learner("s", x, y, binds="d f"), vs.contract(q, k, over="r")


@worked(score_to_an_inner_product)
def attention_with_any_score(x: "n d", y: "m f", v: "m e") -> "n e":
    scores = vs.learner("score", x, y, binds="d f")
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


def _best_of_rank(p: State, sizes: Sizes, scale: float) -> State:
    """The nearest table of a rank (Eckart and Young)."""
    from torch.linalg import svd

    left, values, right = svd(p["table"], full_matrices=False)
    rank = min(int(scale), len(values))
    q = p["table"].new_zeros(len(left), int(scale))
    k = p["table"].new_zeros(right.shape[1], int(scale))
    q[:, :rank] = left[:, :rank] * values[:rank]
    k[:, :rank] = right[:rank].T
    return {"q": q, "k": k}


@rule(
    "limit",
    witness=Witness(to_right=_best_of_rank, scales=(1, 2, 4), width="r"),
    replaces={"q": "table", "k": "table"},
)
def score_table_to_an_inner_product(i: "{} int", j: "{} int") -> "":
    """T[i, j] → Σ_r Q[i, r]·K[j, r]: the score of two tokens of a finite vocabulary, of rank r

    The error falls with the singular values of T, to 0 at the rank of T.
    """
    table = vs.parameter("table", "a b")
    q = vs.gather(vs.parameter("q", "a r"), i, over="a")
    k = vs.gather(vs.parameter("k", "b r"), j, over="b")
    return (
        vs.gather(vs.gather(table, i, over="a"), j, over="b"),
        vs.contract(q, k, over="r"),
    )


@worked(score_table_to_an_inner_product)
def scores_of_a_vocabulary(tokens: "n int", other: "m int") -> "n m":
    table = vs.parameter("scores", "v w")
    return vs.gather(vs.gather(table, tokens, over="v"), other, over="w")


# -- sharing --------------------------------------------------------------------------------------


def _twice(p: State, sizes: Sizes) -> State:
    return {"v.u": p["u.u"], "v.o": p["u.o"]}


@diagram
def linear_net(x: "d") -> "e":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "d", "a", name="u")), "a", "e", name="o")


@rule("reduces", witness=Witness(to_left=_twice, fill={"u": linear_net, "v": linear_net}))
def share_a_learner(x: "d", y: "d") -> ("e", "e"):  # type: ignore[syntax]
    """u(x) and v(y) → u(x) and u(y)"""
    one = vs.learner("u", x, binds="d", into="e")
    other = vs.learner("v", y, binds="d", into="e")
    return (one, other), (one, vs.learner("u", y, binds="d", into="e"))


@worked(share_a_learner)
def keys_and_values_apart(y: "m d") -> "m e":
    k = vs.learner("keys", y, binds="d", into="e")
    v = vs.learner("values", vs.tanh(y), binds="d", into="e")
    return k * v


def _repeated(p: State, sizes: Sizes) -> State:
    return {"w": p["shared"].unsqueeze(1).expand(-1, sizes["h"], -1)}


@rule("reduces", witness=Witness(to_left=_repeated))
def share_over_heads(x: "d") -> "h e":
    """x·W_h → x·W for every h: one weight for all heads, or for a group of them

    Of keys and values: multi-head attention becomes multi-query attention (arXiv 1911.02150), or
    grouped-query attention where h is the axis in a group (arXiv 2305.13245).
    """
    shared = vs.linear(x, "d", "e", name="shared")
    return vs.linear(x, "d", "h e", name="w"), vs.expand(shared, "h")


@worked(share_over_heads)
def keys_of_every_head(q: "n h c", y: "m d") -> "h n m":
    return vs.contract(q, vs.linear(y, "d", "h c", name="wk"), over="c")


@diagram
def over_positions(x: "d k") -> "e j:k":
    """tanh(x·U)·O, with weights between all positions"""
    hidden = vs.tanh(vs.linear(x, "d k", "a i:k", name="u"))
    return vs.linear(hidden, "a i", "e j:k", name="o")


def _block_diagonal(p: State, sizes: Sizes) -> State:
    """The same weights at every position, and none between positions."""
    from torch import einsum

    one = identity(sizes["k"])
    return {
        "w.u": einsum("da,ki->dkai", p["u.u"], one),
        "w.o": einsum("ae,ij->aiej", p["u.o"], one),
    }


@rule("reduces", witness=Witness(to_left=_block_diagonal, fill={"w": over_positions, "u": of_one}))
def learner_to_a_tube(x: "d k") -> "e j:k":
    """w(x) → u(x_k) for every k: one network for all positions, none between them"""
    return (
        vs.learner("w", x, binds="d k", into="e j:k"),
        vs.learner("u", x, binds="d", into="e").rename(k="j"),
    )


@worked(learner_to_a_tube)
def a_network_of_the_whole_sequence(x: "n d") -> "t:n e":
    return vs.learner("mixer", x, binds="d n", into="e t:n")


@diagram
def joint(x: "d", y: "f") -> "k:c+e":
    """tanh(x·U + y·V)·O"""
    hidden = vs.linear(x, "d", "g:a+b", name="u") + vs.linear(y, "f", "g:a+b", name="v")
    return vs.linear(vs.tanh(hidden), "g", "k:c+e", name="o")


@diagram
def alone_x(x: "d") -> "c":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "d", "a", name="u")), "a", "c", name="o")


@diagram
def alone_y(y: "f") -> "e":
    """tanh(y·U)·O"""
    return vs.linear(vs.tanh(vs.linear(y, "f", "b", name="u")), "b", "e", name="o")


def _side_by_side(p: State, sizes: Sizes) -> State:
    """Zero weights from each input to the other's units."""
    from torch import cat

    def after(x: Tensor, width: int) -> Tensor:
        return cat([x, x.new_zeros(len(x), width)], 1)

    def before(x: Tensor, width: int) -> Tensor:
        return cat([x.new_zeros(len(x), width), x], 1)

    outputs = after(p["one.o"], sizes["e"]), before(p["two.o"], sizes["c"])
    return {
        "w.u": after(p["one.u"], sizes["b"]),
        "w.v": before(p["two.u"], sizes["a"]),
        "w.o": cat(outputs),
    }


_APART = Witness(to_left=_side_by_side, fill={"w": joint, "one": alone_x, "two": alone_y})


@rule("reduces", witness=_APART)
def learner_in_two_parts(x: "d", y: "f") -> ("c", "e"):  # type: ignore[syntax]
    """the two parts of w(x, y) → u(x) and v(y)"""
    both = vs.learner("w", x, y, binds="d f", into="k:c+e")
    one = vs.slice(both, "k", 0, length="c", into="c")
    other = vs.slice(both, "k", "c", length="e", into="e")
    u = vs.learner("one", x, binds="d", into="c")
    v = vs.learner("two", y, binds="f", into="e")
    return (one, other), (vs.like(u, vs.sum(y, "f")), vs.like(v, vs.sum(x, "d")))


@worked(learner_in_two_parts)
def an_encoder_with_two_readouts(x: "n d", y: "n f") -> "n":
    both = vs.learner("encoder", x, y, binds="d f", into="k:c+e")
    key, value = vs.slice(both, "k", 0, length="c"), vs.slice(both, "k", "c", length="e")
    return vs.sum(vs.tanh(key), "k") * vs.sum(vs.exp(value), "k")


# -- what a learner swallows ----------------------------------------------------------------------


def _stretched(p: State, sizes: Sizes) -> State:
    return {"u.u": p["u.u"] * sizes["d"] ** 0.5}


def _shrunk(p: State, sizes: Sizes) -> State:
    return {"u.u": p["u.u"] / sizes["d"] ** 0.5}


_SCALED = Witness(to_left=_stretched, to_right=_shrunk, fill={"u": of_one})


@rule("reparametrised", witness=_SCALED)
def scale_into_a_learner(x: "d") -> "e":
    """u(x/√d) = u'(x): a scale before a learner is the learner's"""
    return (
        vs.learner("u", x / vs.sqrt(vs.size("d")), binds="d", into="e"),
        vs.learner("u", x, binds="d", into="e"),
    )


@worked(scale_into_a_learner)
def a_network_of_scaled_channels(x: "n d") -> "n e":
    return vs.learner("readout", x / vs.sqrt(vs.size("d")), binds="d", into="e")


def _no_heads(match: Match) -> str | None:
    """A map of many heads before or after one network is many networks."""
    for name, (_, labels) in match.sources.items():
        if not all(isinstance(label, int) for label in labels):
            return f"the weight {match.parameters[name]!r} has an axis beside those of the map"
    return None


def _first_layer(p: State, sizes: Sizes) -> State:
    return {"v.u": p["f"] @ p["u.u"], "v.o": p["u.o"]}


@diagram
def after_map(x: "g") -> "e":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "g", "a", name="u")), "a", "e", name="o")


_FIRST = Witness(to_right=_first_layer, fill={"u": after_map, "v": of_one})


@rule("generalises", witness=_FIRST, conditions=(_no_heads,))
def map_into_a_learner(x: "d") -> "e":
    """u(x·F) → v(x): the first layer of v is F·U; the same functions where F has a left inverse"""
    f = vs.parameter("f", "d g")
    return (
        vs.learner("u", vs.contract(x, f, over="d"), binds="g", into="e"),
        vs.like(vs.learner("v", x, binds="d", into="e"), vs.sum(f, "d g")),
    )


@worked(map_into_a_learner)
def a_network_behind_a_map(x: "n d") -> "n e":
    return vs.learner("readout", vs.linear(x, "d", "g", name="w"), binds="g", into="e")


def _last_layer(p: State, sizes: Sizes) -> State:
    return {"v.u": p["u.u"], "v.o": p["u.o"] @ p["g"]}


@diagram
def before_map(x: "d") -> "g":
    """tanh(x·U)·O"""
    return vs.linear(vs.tanh(vs.linear(x, "d", "a", name="u")), "a", "g", name="o")


_LAST = Witness(to_right=_last_layer, fill={"u": before_map, "v": of_one})


@rule("generalises", witness=_LAST, conditions=(_no_heads,))
def learner_into_a_map(x: "d") -> "e":
    """u(x)·G → v(x): the last layer of v is O·G; the same functions where G is onto"""
    g = vs.parameter("g", "g e")
    return (
        vs.contract(vs.learner("u", x, binds="d", into="g"), g, over="g"),
        vs.like(vs.learner("v", x, binds="d", into="e"), vs.sum(g, "g e")),
    )


@worked(learner_into_a_map)
def a_network_before_a_map(x: "n d") -> "n e":
    return vs.linear(vs.learner("features", x, binds="d", into="g"), "g", "e", name="w")
