"""Mechanisms that a common family holds: softmax attention whose scores are of any kind.

Each edge goes up to a family whose scores and values are made by networks, and down to softmax
attention: its ends are siblings. Neither promises anything of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import at, edge, lemma
from vesalius.anatomy.edges.values import constant
from vesalius.anatomy.mechanism import CATALOGUE, Part, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.compose import finish_as, start
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.interfaces import Prepare
from vesalius.rewrite.moves import Fill

MULTIHEAD = CATALOGUE["multihead"]
PAIR = {"x": "d", "y": "d", "i": " int", "j": " int"}
"""What a score may read: a token, another one, and where the two stand."""


@diagram
def heads_of_any_score(x: "n d") -> "n d":
    """Heads of softmax attention: scores of two tokens and their places, values of a token."""
    y = x.rename(n="m")
    places = parts.index(x, "n"), parts.index(y, "m")
    score = vs.learner("score", x, y, *places, binds="d", into="h")
    value = vs.learner("value", y, binds="d", into="h e")
    return parts.join_heads(parts.weighted_sum(parts.softmax(score, None), value))


def products(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(x·W_q)·(y·W_k)/√c"""
    return parts.scaled_dot(*_queries_and_keys(x, y))


def _queries_and_keys(x: Wire, y: Wire) -> tuple[Wire, Wire]:
    return vs.linear(x, "d", "h c", name="wq"), vs.linear(y, "d", "h c", name="wk")


def values(x: Wire) -> Wire:
    """x·W_v"""
    return vs.linear(x, "d", "h e", name="wv")


def _filled(score: Part) -> Fill:
    bodies = {
        "score": diagram_of("score", PAIR, "h", score),
        "value": diagram_of("value", {"x": "d"}, "h e", values),
    }
    return Fill(bodies, (score.__doc__ or "").partition("\n")[0])


def _named(found: Diagram, names: Mapping[str, str]) -> Diagram:
    """The diagram with other names for its parameters."""
    builder, wires = start(found.name, found.doc, found.input_types.items())
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in wires]
    tokens = {token: token.fresh(names[token.name], {}) for token, _ in found.tokens}
    return finish_as(builder, found, builder.graft(found, uses, replace=tokens), ())


def _sibling(name: str, score: Part, why: str) -> Derivation:
    """From a mechanism, as heads of such scores, to multi-head attention."""
    up, down = _filled(score), _filled(products)
    spelled = up.apply(heads_of_any_score)
    plain = {own: own.rpartition(".")[2] for own in spelled.parameters}
    found = lemma(Derivation(CATALOGUE[name]()), _named(spelled, plain), why)
    return found.back(up, heads_of_any_score).then(down)


def sloped(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(x·W_q)·(y·W_k)/√c − 2^(−8(h+1)/|h|)·|j − i|"""
    q, k = _queries_and_keys(x, y)
    slope = vs.exp((parts.index(q, "h") + 1) * (-8 * math.log(2)) / q.axes["h"])
    return parts.scaled_dot(q, k) - slope * vs.abs(j - i)


@edge("alibi", "multihead")
def alibi_and_multihead() -> Derivation:
    """A penalty for distance is nothing that tokens alone can say: positions are no inputs."""
    return _sibling("alibi", sloped, "−m·|j − i| in the score")


def jointly_normed(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """q̂·k̂/√c, each divided by its root mean square over all heads"""
    q, k = _queries_and_keys(x, y)
    q, k = (parts.rms_norm(z, over="h c", gain=gain) for z, gain in ((q, "q_gain"), (k, "k_gain")))
    return parts.scaled_dot(q, k)


@edge("joint_qk_norm", "multihead")
def joint_norm_and_multihead() -> Derivation:
    """A norm of projections is no projection."""
    return _sibling("joint_qk_norm", jointly_normed, "norms in the score")


def _read(table: Wire, i: Wire | None, j: Wire) -> Wire:
    """table[i, j]"""
    row = table if i is None else vs.gather(table, i, over="n")
    return vs.gather(row, j, over="m")


def dense(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """(relu(x·W + b)·U + c)[j]"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))
    scores = vs.contract(hidden, vs.parameter("scores", "h a m:n", fan="a"), over="a")
    return _read(scores + vs.parameter("scores_bias", "h m:n"), None, j)


@edge("synthesizer_dense", "multihead")
def dense_and_multihead() -> Derivation:
    """A score of one token and of the place of the other, not of two tokens."""
    return _sibling("synthesizer_dense", dense, "what each place gets, read at m")


def tabled(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """R[i, j]"""
    return _read(vs.parameter("scores", "h n m:n", fan="m"), i, j)


@edge("synthesizer_random", "multihead")
def random_and_multihead() -> Derivation:
    """A score of two places, whatever stands there."""
    return _sibling("synthesizer_random", tabled, "the table, read at n and m")


def factorised(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """Σ_r L[i, r]·R[j, r]"""
    left, right = vs.parameter("left", "h n r", fan="r"), vs.parameter("right", "h m:n r", fan="r")
    rows = vs.gather(left, i, over="n"), vs.gather(right, j, over="m")
    return vs.contract(*rows, over="r")


@edge("synthesizer_factorised", "multihead")
def factorised_and_multihead() -> Derivation:
    """A score of two places, of rank r."""
    return _sibling("synthesizer_factorised", factorised, "both factors, read at n and m")


def short_rows(x: Wire, y: Wire, i: Wire, j: Wire) -> Wire:
    """a[j mod |k|]·b[⌊j / |k|⌋]"""
    hidden = vs.relu(vs.linear(x, "d", "h a", name="hidden", bias=True))

    def row(name: str, axis: str, place: Wire) -> Wire:
        weight = vs.parameter(name, f"h a {axis}", fan="a")
        made = vs.contract(hidden, weight, over="a") + vs.parameter(f"{name}_bias", f"h {axis}")
        return vs.gather(made, place, over=axis[0])

    few = vs.size("k")
    return row("short", "k", vs.remainder(j, few)) * row("coarse", "s:n/k", vs.floor_divide(j, few))


@edge("synthesizer_factorised_dense", "multihead")
def short_rows_and_multihead() -> Derivation:
    """A score of one token and of the place of the other, in two short rows."""
    return _sibling("synthesizer_factorised_dense", short_rows, "both rows, read at m")


# -- by way of a latent ---------------------------------------------------------------------------


def squeezed(x: Wire) -> Wire:
    """z = rms(x·W_down), as wide as x"""
    z = vs.linear(x.rename(n="m"), "d", "r:d", name="down")
    return parts.rms_norm(z, over="r").rename(r="d")


def wider() -> Wire:
    """W_q·√(c + u)/√c"""
    both, own = vs.sqrt(vs.size("c+u")), vs.sqrt(vs.size("c"))
    return vs.parameter("wq", "d h c", fan="d") * (both / own)


@edge(at("latent", rank="d"), at("multihead_cross", m="n"))
def latent_and_cross() -> Derivation:
    """Without its rotated channels it is attention to the latent, as a memory that was prepared."""
    fixed = {
        "wqr": constant(0.0, "d h u"),
        "wkr": constant(0.0, "d u"),
        "wq": diagram_of("wider", {}, "d h c", wider),
    }
    memory = Prepare({"y": diagram_of("squeezed", {"x": "n d"}, "m:n d", squeezed)}, "y → z")
    cross = Derivation(CATALOGUE["multihead_cross"](m="n")).then(memory)
    names = {name: name for name in cross.end.parameters} | {"wk": "up_k", "wv": "up_v"}
    found = Derivation(CATALOGUE["latent"](rank="d")).then(
        Prepare(fixed, "W_qr = W_kr = 0, W_q → W_q·√(c + u)/√c")
    )
    found = lemma(found, _named(cross.end, names), "[q ; 0]·[k ; 0]·√(c + u)/√c/√(c + u) = q·k/√c")
    return found >> cross.inverse()
