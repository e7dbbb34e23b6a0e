"""The organs of attention: functions on wires that every mechanism is put together from.

Axes have the names of the literature: `n` queries, `m` keys, `c` channels of queries and keys,
`e` channels of values, `h` heads, `d` the model's channels, `a` and `f` hidden units. A part binds
only what its formula binds; heads, batches and whatever else the wires carry are tubes.

Each formula of the catalogue is written once, here. The first line of a part's docstring is its
formula as `vesalius show` prints it.
"""

from __future__ import annotations

from typing import Literal

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

# -- preparation: from the inputs to queries [n, c], keys [m, c] and values [m, e] ----------------


def given(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire, Wire]:
    """q, k and v are inputs"""
    return q, k, v


def memory(s: Wire, y: Wire) -> tuple[Wire, Wire, Wire]:
    """the keys and the values are one memory y"""
    return s, y, y


def projections(x: Wire, y: Wire, bias: bool = False) -> tuple[Wire, Wire, Wire]:
    """q = x·W_q, k = y·W_k, v = y·W_v, for each head"""
    return (
        vs.linear(x, "d", "h c", name="wq", bias=bias),
        vs.linear(y, "d", "h c", name="wk", bias=bias),
        vs.linear(y, "d", "h e", name="wv", bias=bias),
    )


# -- similarity: how much a query looks at a key --------------------------------------------------


def dot(q: Wire, k: Wire) -> Wire:
    """Σ_c q·k"""
    return vs.contract(q, k, over="c")


def scaled_dot(q: Wire, k: Wire) -> Wire:
    """(Σ_c q·k) / √c"""
    return dot(q, k) / vs.sqrt(q.axes["c"])


def bilinear(s: Wire, y: Wire) -> Wire:
    """Σ_e (Σ_c s·W)·y"""
    return vs.contract(vs.linear(s, "c", "e", name="w"), y, over="e")


def additive(s: Wire, y: Wire) -> Wire:
    """Σ_a v·tanh(Σ_d s·W + Σ_e y·U)"""
    hidden = vs.tanh(vs.linear(s, "d", "a", name="w") + vs.linear(y, "e", "a", name="u"))
    return vs.contract(hidden, vs.parameter("v", "a"), over="a")


def elu_plus_one(x: Wire) -> Wire:
    """elu(x) + 1, which is positive"""
    return vs.elu(x) + 1


def kernel(q: Wire, k: Wire) -> Wire:
    """Σ_c φ(q)·φ(k), φ = elu + 1"""
    return dot(elu_plus_one(q), elu_plus_one(k))


def softcapped_dot(q: Wire, k: Wire, cap: float = 50.0) -> Wire:
    """50·tanh((Σ_c q·k) / (50·√c))"""
    return cap * vs.tanh(scaled_dot(q, k) / cap)


def unit(x: Wire, eps: float = 1e-12) -> Wire:
    """x / √(Σ_c x² + eps)"""
    return x / vs.sqrt(vs.contract(x, x, over="c") + eps)


def cosine(q: Wire, k: Wire) -> Wire:
    """g·(Σ_c q·k) / (|q|·|k|), with a learned g"""
    return vs.parameter("g", "", init="ones") * dot(unit(q), unit(k))


# -- masks: which keys a query may see, as truth values -------------------------------------------


def positions(x: Wire, axis: str) -> Wire:
    """0, 1, … along an axis of x"""
    return vs.iota(*ArrayType({axis: x.axes[axis]}).words())


def up_to_now(q: Wire, k: Wire) -> Wire:
    """m ≤ n: no query sees a later key"""
    return positions(k, "m") <= positions(q, "n")


def visible(q: Wire, k: Wire, *, causal: bool, keep: Wire | None) -> Wire | None:
    """the keys that count: those kept and, if causal, m ≤ n; None when all do"""
    masks = [mask for mask in (up_to_now(q, k) if causal else None, keep) if mask is not None]
    return masks[0] & masks[1] if len(masks) == 2 else masks[0] if masks else None


# -- normaliser: from scores to weights; it knows what hides a score from it ----------------------


def softmax(scores: Wire, allowed: Wire | None) -> Wire:
    """softmax over m; a hidden score is −∞, a row without any key is 0"""
    if allowed is not None:
        scores = vs.where(allowed, scores, float("-inf"))
    return vs.softmax(scores, "m")


def row_sum(scores: Wire, allowed: Wire | None) -> Wire:
    """scores / Σ_m scores; a hidden score is 0"""
    if allowed is not None:
        scores = vs.where(allowed, scores, 0.0)
    return scores / vs.sum(scores, "m")


def shown(weights: Wire, allowed: Wire | None) -> Wire:
    """weights, 0 where hidden"""
    return weights if allowed is None else vs.where(allowed, weights, 0.0)


def sigmoid(scores: Wire, allowed: Wire | None) -> Wire:
    """σ(scores − log |m|); a hidden weight is 0"""
    length = vs.log(vs.to_float(vs.constant(scores.axes["m"])))
    return shown(vs.sigmoid(scores + -1 * length), allowed)


def relu_by_length(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores) / |m|; a hidden weight is 0"""
    return shown(vs.relu(scores), allowed) / scores.axes["m"]


def squared_relu(scores: Wire, allowed: Wire | None, eps: float = 1e-6) -> Wire:
    """relu(scores)² / (Σ_m relu(scores)² + eps); a hidden weight is 0"""
    weights = shown(vs.power(vs.relu(scores), 2), allowed)
    return weights / (vs.sum(weights, "m") + eps)


def softmax_one(scores: Wire, allowed: Wire | None) -> Wire:
    """exp(scores) / (1 + Σ_m exp(scores)); a hidden weight is 0"""
    if allowed is not None:
        scores = vs.where(allowed, scores, float("-inf"))
    top = vs.maximum(vs.max(scores, "m"), 0.0)
    weights = vs.exp(scores + -1 * top)
    return weights / (vs.exp(-1 * top) + vs.sum(weights, "m"))


def spherical(scores: Wire, allowed: Wire | None, eps: float = 1e-6) -> Wire:
    """scores / √(Σ_m scores² + eps); a hidden weight is 0"""
    weights = shown(scores, allowed)
    return weights / vs.sqrt(vs.contract(weights, weights, over="m") + eps)


# -- mixing and output ----------------------------------------------------------------------------


def weighted_sum(weights: Wire, v: Wire) -> Wire:
    """Σ_m weights·v"""
    return vs.contract(weights, v, over="m")


def join_heads(o: Wire, bias: bool = False) -> Wire:
    """Σ_he o·W_o"""
    return vs.linear(o, "h e", "d", name="wo", bias=bias)


# -- what stands around attention in a transformer ------------------------------------------------


def layer_norm(x: Wire, eps: float = 1e-5) -> Wire:
    """(x − mean_d x) / √(var_d x + eps) · gain + shift"""
    centred = x - vs.mean(x, "d")
    scale = 1 / vs.sqrt(vs.mean(centred * centred, "d") + eps)
    axis = ArrayType({"d": x.axes["d"]}).words()[0]
    gain = vs.parameter("gain", axis, init="ones")
    return centred * scale * gain + vs.parameter("shift", axis, init="zeros")


Activation = Literal["relu", "gelu"]


def mlp(x: Wire, activation: Activation = "gelu", bias: bool = True) -> Wire:
    """Σ_f g(Σ_d x·W_up)·W_down, g = relu or gelu"""
    hidden = vs.linear(x, "d", "f", name="up", bias=bias)
    hidden = vs.gelu(hidden) if activation == "gelu" else vs.relu(hidden)
    return vs.linear(hidden, "f", "d", name="down", bias=bias)


def embedding(tokens: Wire) -> tuple[Wire, Wire]:
    """token[tokens] + position[n], and the table of tokens"""
    table = vs.parameter("token", "v d", init="normal", scale=0.02)
    places = vs.parameter("position", "p d", init="normal", scale=0.02)
    read = vs.gather(table, tokens, over="v")
    return read + vs.gather(places, positions(tokens, "n"), over="p"), table
