"""Pointwise functions by others: what gates, kernels and activations are made of."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules.worked import worked


@rule("equal")
def unfold_sigmoid(x: "") -> "":
    """σ(x) = 1/(1 + exp(−x))"""
    return vs.sigmoid(x), 1 / (1 + vs.exp(-x))


@worked(unfold_sigmoid)
def sigmoid_weights(scores: "n m", v: "m e") -> "n e":
    return vs.contract(vs.sigmoid(scores), v, over="m")


@rule("equal")
def complement_of_sigmoid(x: "") -> "":
    """1 − σ(x) = σ(−x): the weight of what a gate leaves out"""
    return 1 - vs.sigmoid(x), vs.sigmoid(-x)


@worked(complement_of_sigmoid)
def gated_residual(gate: "n d", x: "n d", y: "n d") -> "n d":
    return vs.sigmoid(gate) * x + (1 - vs.sigmoid(gate)) * y


@rule("equal")
def sigmoid_of_difference(x: "", y: "") -> "":
    """σ(x − y) = exp(x)/(exp(x) + exp(y)): a softmax over two"""
    return vs.sigmoid(x - y), vs.exp(x) / (vs.exp(x) + vs.exp(y))


@worked(sigmoid_of_difference)
def share_of_one_of_two_sets_of_keys(o: "n", p: "n") -> "n":
    return vs.sigmoid(o - p)


@rule("equal")
def tanh_by_sigmoid(x: "") -> "":
    """tanh(x) = 2·σ(2x) − 1"""
    return vs.tanh(x), 2 * vs.sigmoid(2 * x) - 1


@worked(tanh_by_sigmoid)
def additive_scores(s: "n a", y: "m a", v: "a") -> "n m":
    return vs.contract(vs.tanh(s + y), v, over="a")


@rule("equal")
def unfold_silu(x: "") -> "":
    """silu(x) = x·σ(x)"""
    return vs.silu(x), x * vs.sigmoid(x)


@worked(unfold_silu)
def a_gated_unit(gate: "n f", up: "n f") -> "n f":
    return vs.silu(gate) * up


@rule("equal")
def unfold_gelu(x: "") -> "":
    """gelu(x) = x·(1 + erf(x/√2))/2"""
    return vs.gelu(x), x * (1 + vs.erf(x / vs.sqrt(2))) / 2


@worked(unfold_gelu)
def hidden_units(x: "n d", up: "d f") -> "n f":
    return vs.gelu(vs.contract(x, up, over="d"))


@rule("equal")
def unfold_softplus(x: "") -> "":
    """softplus(x) = log(1 + exp x)"""
    return vs.softplus(x), vs.log(1 + vs.exp(x))


@worked(unfold_softplus)
def a_positive_step(x: "n h") -> "n h":
    return vs.softplus(x)


@rule("equal")
def log_of_sigmoid(x: "") -> "":
    """log σ(x) = −softplus(−x): the logarithm of a gate, without a product near 0"""
    return vs.log(vs.sigmoid(x)), -vs.softplus(-x)


@worked(log_of_sigmoid)
def logarithm_of_a_forget_gate(f: "h m") -> "h m":
    return vs.log(vs.sigmoid(f))


@rule("equal")
def unfold_elu(x: "") -> "":
    """elu(x) = x where x > 0, exp(x) − 1 elsewhere"""
    return vs.elu(x), vs.where(x > 0.0, x, vs.exp(x) - 1)


@worked(unfold_elu)
def features(q: "n c") -> "n c":
    return vs.elu(q) + 1


@rule("equal")
def relu_is_a_maximum(x: "") -> "":
    """relu(x) = max(x, 0)"""
    return vs.relu(x), vs.maximum(x, 0.0)


@worked(relu_is_a_maximum)
def positive_scores(q: "n c", k: "m c") -> "n m":
    return vs.relu(vs.contract(q, k, over="c"))


@rule("equal")
def two_relus_are_linear(x: "") -> "":
    """relu(x) − relu(−x) = x

    So a layer with relus holds every linear map; and a mix with signed weights is a difference
    of two mixes with weights that are not negative.
    """
    return vs.relu(x) - vs.relu(-x), x


@worked(two_relus_are_linear)
def a_layer_that_is_linear(x: "n d", w: "d e", u: "e f") -> "n f":
    hidden = vs.contract(x, w, over="d")
    return vs.contract(vs.relu(hidden) - vs.relu(-hidden), u, over="e")


@rule("equal")
def two_relus_are_the_absolute(x: "") -> "":
    """|x| = relu(x) + relu(−x)"""
    return vs.abs(x), vs.relu(x) + vs.relu(-x)


@worked(two_relus_are_the_absolute)
def absolute_distance(n_: "n", m_: "m") -> "n m":
    return vs.abs(n_ - m_)


@rule("equal")
def two_silus_are_linear(x: "") -> "":
    """silu(x) − silu(−x) = x"""
    return vs.silu(x) - vs.silu(-x), x


@worked(two_silus_are_linear)
def a_silu_layer_that_is_linear(x: "n d", w: "d e") -> "n e":
    hidden = vs.contract(x, w, over="d")
    return vs.silu(hidden) - vs.silu(-hidden)


@rule("equal")
def cosine_of_sum(x: "", y: "") -> "":
    """cos(x + y) = cos x·cos y − sin x·sin y"""
    return vs.cos(x + y), vs.cos(x) * vs.cos(y) - vs.sin(x) * vs.sin(y)


@worked(cosine_of_sum)
def cosine_of_a_distance(n_: "n", m_: "m") -> "n m":
    return vs.cos(n_ - m_)


@rule("equal")
def sine_of_sum(x: "", y: "") -> "":
    """sin(x + y) = sin x·cos y + cos x·sin y"""
    return vs.sin(x + y), vs.sin(x) * vs.cos(y) + vs.cos(x) * vs.sin(y)


@worked(sine_of_sum)
def sine_of_a_distance(n_: "n", m_: "m") -> "n m":
    return vs.sin(n_ - m_)


@rule("equal")
def cosine_of_negative(x: "") -> "":
    """cos(−x) = cos x"""
    return vs.cos(-x), vs.cos(x)


@worked(cosine_of_negative)
def cosine_of_minus_a_position(p: "n") -> "n":
    return vs.cos(-p)


@rule("equal")
def sine_of_negative(x: "") -> "":
    """sin(−x) = −sin x"""
    return vs.sin(-x), -vs.sin(x)


@worked(sine_of_negative)
def sine_of_minus_a_position(p: "n") -> "n":
    return vs.sin(-p)


@rule("equal")
def cosine_and_sine_on_a_circle(x: "") -> "":
    """cos² x + sin² x = 1"""
    cos, sin = vs.cos(x), vs.sin(x)
    return cos * cos + sin * sin, vs.like(1.0, x)


@worked(cosine_and_sine_on_a_circle)
def length_of_a_turned_unit(p: "n", q: "n c") -> "n c":
    cos, sin = vs.cos(p), vs.sin(p)
    return (cos * cos + sin * sin) * q
