"""Sums over the past as loops: prefix sums, causal linear attention, decay, gates, delta rules.

A causal mask between two factors has rank 1 below its diagonal, so what a query needs of the past
fits in one state (Transformers are RNNs, arXiv 2006.16236). Decays and gates change the state on
the way. Loops read one position at a time; the masked forms read all at once.
"""

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked

LOW = float("-inf")


def causal(x: Wire) -> Wire:
    """x where m ≤ n, 0 elsewhere."""
    return vs.where(vs.iota("m:n") <= vs.iota("n"), x, 0.0)


# -- prefix sums ----------------------------------------------------------------------------------


@diagram
def running(total: "", x: "") -> ("", ""):  # type: ignore[syntax]
    total = total + x
    return total, total


@rule("equal")
def prefix_sum_as_loop(x: "m:n") -> "n":
    """Σ_{m ≤ n} x_m: S_n = S_(n−1) + x_n"""
    _, sums = vs.scan(running, over="n", states=[0.0], sequences=[x.rename(m="n")])
    return vs.sum(causal(x), "m"), sums


@worked(prefix_sum_as_loop)
def denominators_of_causal_kernels(a: "m:n h") -> "n h":
    return vs.sum(vs.where(vs.iota("m:n") <= vs.iota("n"), a, 0.0), "m")


@rule("equal")
def weighted_prefix_sum_as_loop(x: "m:n", ys: many("m:n")) -> "n":
    """Σ_{m ≤ n} x_m·y_m, with weights that do not depend on n: S_n = S_(n−1) + x_n·y_n"""
    terms = vs.contract(x, ys).rename(m="n")
    _, sums = vs.scan(running, over="n", states=[0.0], sequences=[terms])
    return vs.contract(causal(x), ys, over="m"), sums


@worked(weighted_prefix_sum_as_loop)
def running_means(k: "m:n e", v: "m:n e") -> "n e":
    weights = vs.where(vs.iota("m:n") <= vs.iota("n"), vs.exp(k), 0.0)
    return vs.contract(weights, v, over="m")


@diagram
def largest(top: "", x: "") -> ("", ""):  # type: ignore[syntax]
    top = vs.maximum(top, x)
    return top, top


@rule("equal")
def prefix_maximum_as_loop(x: "m:n") -> "n":
    """max_{m ≤ n} x_m: M_n = max(M_(n−1), x_n)"""
    seen = vs.iota("m:n") <= vs.iota("n")
    _, tops = vs.scan(largest, over="n", states=[LOW], sequences=[x.rename(m="n")])
    return vs.max(vs.where(seen, x, LOW), "m"), tops


@worked(prefix_maximum_as_loop)
def stabilisers_of_causal_scores(s: "m:n h") -> "n h":
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.max(vs.where(seen, s, LOW), "m")


@rule("equal")
def sum_between_by_prefix_sums(g: "l:n") -> "n m:n":
    """Σ_{m < l ≤ n} g_l = C_n − C_m where m ≤ n, C the prefix sums; −∞ elsewhere

    The logarithm of a forget gate between two positions (Forgetting Transformer, arXiv
    2503.02130): C_n is a bias of queries, which softmax ignores, C_m one of keys.
    """
    n, m, place = vs.iota("n"), vs.iota("m:n"), vs.iota("l:n")
    between = vs.sum(vs.where((m < place) & (place <= n), g, 0.0), "l")
    _, c = vs.scan(running, over="n", states=[0.0], sequences=[g.rename(l="n")])
    return (
        vs.where(m <= n, between, LOW),
        vs.where(m <= n, c - c.rename(n="m"), LOW),
    )


@worked(sum_between_by_prefix_sums)
def forgetting_scores(q: "n c", k: "m:n c", gate: "l:n") -> "n m:n":
    n, m, place = vs.iota("n"), vs.iota("m:n"), vs.iota("l:n")
    inside = (m < place) & (place <= n)
    between = vs.sum(vs.where(inside, vs.log(vs.sigmoid(gate)), 0.0), "l")
    return vs.contract(q, k, over="c") + vs.where(m <= n, between, LOW)


# -- linear attention -----------------------------------------------------------------------------


@diagram
def outer(state: "c", q: "c", k: "c", v: "") -> ("c", ""):  # type: ignore[syntax]
    state = state + k * v
    return state, vs.contract(q, state, over="c")


def looped(body: Diagram, q: Wire, k: Wire, v: Wire, *more: Wire) -> Wire:
    """The outputs of a loop over positions whose state has the channels of the keys."""
    sequences = [q, k.rename(m="n"), v.rename(m="n"), *more]
    _, o = vs.scan(body, over="n", states=[vs.expand(0.0, "c")], sequences=sequences)
    return o


@rule("equal")
def causal_linear_attention_as_loop(q: "n c", k: "m:n c", v: "m:n") -> "n":
    """Σ_{m ≤ n} (q_n·k_m)·v_m: S_n = S_(n−1) + k_n·v_n, o_n = q_n·S_n"""
    scores = vs.contract(q, k, over="c")
    return vs.contract(causal(scores), v, over="m"), looped(outer, q, k, v)


@worked(causal_linear_attention_as_loop)
def causal_kernel_attention(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    scores = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(vs.where(vs.iota("m:n") <= vs.iota("n"), scores, 0.0), v, over="m")


@diagram
def fading(state: "c", q: "c", k: "c", v: "", decay: "") -> ("c", ""):  # type: ignore[syntax]
    state = decay * state + k * v
    return state, vs.contract(q, state, over="c")


@rule("equal")
def retention_as_loop(q: "n c", k: "m:n c", v: "m:n", rate: "") -> "n":
    """Σ_{m ≤ n} exp(r·(n − m))·(q_n·k_m)·v_m: S_n = e^r·S_(n−1) + k_n·v_n, o_n = q_n·S_n

    A decay γ = e^r per position (Retentive Network, arXiv 2307.08621).
    """
    gap = vs.to_float(vs.iota("n") - vs.iota("m:n"))
    scores = vs.contract(q, k, over="c") * vs.exp(rate * gap)
    _, o = vs.scan(
        fading,
        over="n",
        states=[vs.expand(0.0, "c")],
        sequences=[q, k.rename(m="n"), v.rename(m="n")],
        captured=[vs.exp(rate)],
    )
    return vs.contract(causal(scores), v, over="m"), o


@worked(retention_as_loop)
def retention(q: "h n c", k: "h m:n c", v: "h m:n e", rate: "h") -> "h n e":
    n, m = vs.iota("n"), vs.iota("m:n")
    scores = vs.contract(q, k, over="c") * vs.exp(rate * vs.to_float(n - m))
    return vs.contract(vs.where(m <= n, scores, 0.0), v, over="m")


@rule("equal")
def gated_linear_attention_as_loop(q: "n c", k: "m:n c", v: "m:n", c: "n") -> "n":
    """Σ_{m ≤ n} exp(C_n − C_m)·(q_n·k_m)·v_m: S_n = e^(C_n − C_(n−1))·S_(n−1) + k_n·v_n

    C are prefix sums of the logarithms of the gates (Mamba-2, arXiv 2405.21060). The difference
    is taken before the exponential, so that nothing overflows.
    """
    scores = vs.contract(q, k, over="c") * vs.exp(c - c.rename(n="m"))
    before = vs.slice(vs.pad(c, "n", 1, 0, into="t"), "t", 0, length="n", into="n")
    gate = vs.exp(c - before)
    return vs.contract(causal(scores), v, over="m"), looped(fading, q, k, v, gate)


@worked(gated_linear_attention_as_loop)
def gated_attention(q: "h n c", k: "h m:n c", v: "h m:n e", c: "h n") -> "h n e":
    scores = vs.contract(q, k, over="c") * vs.exp(c - c.rename(n="m"))
    seen = vs.iota("m:n") <= vs.iota("n")
    return vs.contract(vs.where(seen, scores, 0.0), v, over="m")


# -- blocks ---------------------------------------------------------------------------------------


@rule("equal")
def causal_linear_attention_in_blocks(q: "b i c", k: "d:b j:i c", v: "d:b j:i") -> "b i":
    """the keys before or at (b, i) = the blocks before b, by their sums, and the block b itself

    The sum of a block, Σ_j k_bj·v_bj, is added up once for all queries behind it (Flash Linear
    Attention, arXiv 2312.06635).
    """
    b, d, i, j = vs.iota("b"), vs.iota("d:b"), vs.iota("i"), vs.iota("j:i")
    before = (d < b) | (vs.equal(d, b) & (j <= i))
    scores = vs.contract(q, k, over="c")
    whole = vs.contract(vs.where(before, scores, 0.0), v, over="d j")
    state = vs.contract(vs.where(d < b, vs.contract(k, v, over="j"), 0.0), over="d")
    own_k, own_v = k.rename(d="b"), v.rename(d="b")
    inside = vs.where(j <= i, vs.contract(q, own_k, over="c"), 0.0)
    return whole, vs.contract(q, state, over="c") + vs.contract(inside, own_v, over="j")


@worked(causal_linear_attention_in_blocks)
def causal_kernel_attention_in_blocks(q: "b i c", k: "d:b j:i c", v: "d:b j:i e") -> "b i e":
    b, d, i, j = vs.iota("b"), vs.iota("d:b"), vs.iota("i"), vs.iota("j:i")
    before = (d < b) | (vs.equal(d, b) & (j <= i))
    scores = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(vs.where(before, scores, 0.0), v, over="d j")


# -- delta rules ----------------------------------------------------------------------------------


@diagram
def corrected(state: "c", q: "c", k: "c", v: "", step: "") -> ("c", ""):  # type: ignore[syntax]
    state = state + k * (step * (v - vs.contract(k, state, over="c")))
    return state, vs.contract(q, state, over="c")


@diagram
def corrections(state: "c", k: "c", v: "", step: "") -> ("c", ""):  # type: ignore[syntax]
    value = step * (v - vs.contract(k, state, over="c"))
    return state + k * value, value


@rule("equal")
def delta_rule_as_linear_attention(q: "n c", k: "n c", v: "n", step: "n") -> "n":
    """q_n·S_n = Σ_{m ≤ n} (q_n·k_m)·u_m, S_n = S_(n−1) + k_n·u_n, u_n = β_n·(v_n − k_n·S_(n−1))

    The u solve a triangular system, in blocks with matrix products (DeltaNet, arXiv 2406.06484).
    """
    empty = vs.expand(0.0, "c")
    _, o = vs.scan(corrected, over="n", states=[empty], sequences=[q, k, v, step])
    _, u = vs.scan(corrections, over="n", states=[empty], sequences=[k, v, step])
    scores = causal(vs.contract(q, k.rename(n="m"), over="c"))
    return o, vs.contract(scores, u.rename(n="m"), over="m")


@worked(delta_rule_as_linear_attention)
def delta_net(q: "h n c", k: "h n c", v: "h n e", step: "h n") -> "h n e":
    states = [vs.expand(0.0, "c")]
    _, o = vs.scan(corrected, over="n", states=states, sequences=[q, k, v, vs.sigmoid(step)])
    return o


# -- chunks ---------------------------------------------------------------------------------------


@diagram
def handed_on(state: "", x: "") -> ("", ""):  # type: ignore[syntax]
    """What came before, and with x what comes before the next."""
    return state + x, state


@rule("equal", free="l")
def causal_linear_attention_in_chunks(q: "n c", k: "m:n c", v: "m:n") -> "n":
    """Σ_{m ≤ n} (q_n·k_m)·v_m: within each chunk of l positions by its weights, before by a state

    The state S = Σ k·v of all chunks before advances once a chunk (arXiv 2312.06635).
    """
    whole = vs.contract(causal(vs.contract(q, k, over="c")), v, over="m")
    queries = vs.split(q, "n", "b:n/l i:l")
    keys, values = vs.split(k, "m", "b:n/l j:l"), vs.split(v, "m", "b:n/l j:l")
    sums = vs.contract(keys, values, over="j")
    _, before = vs.scan(handed_on, over="b", states=[0.0], sequences=[sums])
    seen = vs.iota("j:l") <= vs.iota("i:l")
    weights = vs.where(seen, vs.contract(queries, keys, over="c"), 0.0)
    o = vs.contract(queries, before, over="c") + vs.contract(weights, values, over="j")
    return whole, vs.merge(o, "b i", "n")


@worked(causal_linear_attention_in_chunks)
def causal_kernel_attention_of_any_length(q: "n c", k: "m:n c", v: "m:n e") -> "n e":
    scores = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.contract(vs.where(vs.iota("m:n") <= vs.iota("n"), scores, 0.0), v, over="m")


@diagram
def handed_on_fading(state: "", x: "", decay: "") -> ("", ""):  # type: ignore[syntax]
    """What came before, and with x what comes before the next."""
    return decay * state + x, state


@rule("equal", free="l")
def retention_in_chunks(q: "n c", k: "m:n c", v: "m:n", rate: "") -> "n":
    """Σ_{m ≤ n} exp(r·(n − m))·(q_n·k_m)·v_m: S_b = e^(r·l)·S_(b−1) + Σ_j e^(r·(l − j))·k·v

    Within chunk b by its weights, before it by e^(r·i)·q·S (Retentive Network, arXiv 2307.08621).
    For r < 0 no exponent is positive.
    """
    gap = vs.to_float(vs.iota("n") - vs.iota("m:n"))
    scores = vs.contract(q, k, over="c") * vs.exp(rate * gap)
    whole = vs.contract(causal(scores), v, over="m")
    queries = vs.split(q, "n", "b:n/l i:l")
    keys, values = vs.split(k, "m", "b:n/l j:l"), vs.split(v, "m", "b:n/l j:l")
    i, j = vs.iota("i:l"), vs.iota("j:l")
    left = vs.exp(rate * vs.to_float(-j + vs.size("l")))
    sums = vs.contract(left, keys, values, over="j")
    advance = vs.exp(rate * vs.size("l"))
    _, before = vs.scan(
        handed_on_fading, over="b", states=[0.0], sequences=[sums], captured=[advance]
    )
    fresh = vs.contract(queries, keys, over="c") * vs.exp(rate * vs.to_float(i - j))
    inside = vs.contract(vs.where(j <= i, fresh, 0.0), values, over="j")
    past = vs.exp(rate * vs.to_float(i)) * vs.contract(queries, before, over="c")
    return whole, vs.merge(past + inside, "b i", "n")


@worked(retention_in_chunks)
def retention_of_any_length(q: "h n c", k: "h m:n c", v: "h m:n e", rate: "h") -> "h n e":
    n, m = vs.iota("n"), vs.iota("m:n")
    scores = vs.contract(q, k, over="c") * vs.exp(rate * vs.to_float(n - m))
    return vs.contract(vs.where(m <= n, scores, 0.0), v, over="m")


# -- a decay for each channel, and a bonus for the present ----------------------------------------


@diagram
def decayed_with_bonus(past: "", x: "", decay: "", bonus: "") -> ("", ""):  # type: ignore[syntax]
    """The past fades and x joins it; what is read has x with its bonus instead."""
    return decay * past + x, past + bonus * x


@rule("equal")
def decay_and_bonus_as_loop(x: "m:n", rate: "", bonus: "") -> "n":
    """Σ_{m < n} exp(−(n−1−m)·w)·x_m + exp(u)·x_n: S_n = e^−w·S_(n−1) + x_n, o = S_(n−1) + e^u·x_n

    The sums of RWKV (arXiv 2305.13048), w a decay and u a bonus for the present.
    """
    n, m = vs.iota("n"), vs.iota("m:n")
    ago = vs.to_float(n - 1 - m)
    bias = vs.where(m < n, -(rate * ago), vs.where(vs.equal(m, n), bonus, LOW))
    _, sums = vs.scan(
        decayed_with_bonus,
        over="n",
        states=[0.0],
        sequences=[x.rename(m="n")],
        captured=[vs.exp(-rate), vs.exp(bonus)],
    )
    return vs.contract(vs.exp(bias), x, over="m"), sums


@worked(decay_and_bonus_as_loop)
def denominators_of_a_decay(k: "m:n e", w: "e", u: "e") -> "n e":
    n, m = vs.iota("n"), vs.iota("m:n")
    ago = vs.to_float(n - 1 - m)
    bias = vs.where(m < n, -(w * ago), vs.where(vs.equal(m, n), u, LOW))
    return vs.contract(vs.exp(bias), vs.exp(k), over="m")
