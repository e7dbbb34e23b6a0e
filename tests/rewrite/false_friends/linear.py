"""Maps that are not linear, and what does not pass through a sum."""

import vesalius as vs
from false_friends.claims import equal, wrong


@wrong
def relu_passes_through_a_sum():
    @equal
    def claim(x: "j") -> "":
        """Σ_j relu(x_j) = relu(Σ_j x_j)"""
        return vs.sum(vs.relu(x), "j"), vs.relu(vs.sum(x, "j"))

    return claim


@wrong
def an_affine_map_passes_through_a_sum():
    @equal
    def claim(x: "j c", w: "c", b: "") -> "":
        """Σ_j (x_j·w + b) = (Σ_j x_j)·w + b"""
        each = vs.contract(x, w, over="c") + b
        return vs.sum(each, "j"), vs.contract(vs.sum(x, "j"), w, over="c") + b

    return claim


def normalised(x, axes):
    return x / vs.sqrt(vs.contract(x, x, over=axes))


@wrong
def a_norm_passes_through_a_sum():
    @equal
    def claim(x: "j c") -> "c":
        """Σ_j x_j/‖x_j‖ = (Σ_j x_j)/‖Σ_j x_j‖"""
        return vs.sum(normalised(x, "c"), "j"), normalised(vs.sum(x, "j"), "c")

    return claim


@wrong
def a_sum_of_maxima_is_a_maximum_of_sums():
    @equal
    def claim(x: "i j") -> "":
        """Σ_i max_j x = max_j Σ_i x"""
        return vs.sum(vs.max(x, "j"), "i"), vs.max(vs.sum(x, "i"), "j")

    return claim


@wrong
def a_value_bias_leaves_sigmoid_weights():
    @equal
    def claim(s: "m", y: "m", b: "") -> "":
        """Σ_m σ(s)·(y_m + b) = Σ_m σ(s)·y_m + b"""
        weights = vs.sigmoid(s)
        return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b

    return claim


@wrong
def a_value_bias_leaves_weights_with_a_sink():
    @equal
    def claim(s: "m", y: "m", b: "") -> "":
        """the same with weights exp(s) / (1 + Σ_m exp(s))"""
        e = vs.exp(s)
        weights = e / (1 + vs.sum(e, "m"))
        return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b

    return claim


@wrong
def a_value_bias_leaves_dropped_weights():
    def weights(s):
        return vs.where(vs.random("m", "bernoulli", name="keep"), vs.softmax(s, over="m"), 0.0)

    @vs.diagram
    def left(s: "m", y: "m", b: "") -> "":
        return vs.contract(weights(s), y + b, over="m")

    @vs.diagram
    def right(s: "m", y: "m", b: "") -> "":
        return vs.contract(weights(s), y, over="m") + b

    return left, right


@wrong
def an_epsilon_of_a_product_is_one_of_each_factor():
    epsilon = 1e-6

    def length(x):
        return vs.sqrt(vs.contract(x, x, over="c"))

    @equal
    def claim(q: "c", k: "c") -> "":
        """q·k / (‖q‖·‖k‖ + ε) = q/(‖q‖ + ε) · k/(‖k‖ + ε)"""
        inside = vs.contract(q, k, over="c") / (length(q) * length(k) + epsilon)
        apart = (q / (length(q) + epsilon), k / (length(k) + epsilon))
        return inside, vs.contract(*apart, over="c")

    return claim


@wrong
def heads_are_normalised_before_or_after_they_are_joined():
    @equal
    def claim(o: "h e", w: "h e") -> "":
        """(o/‖o‖)·w = Σ_h (o_h/‖o_h‖)·w_h"""
        joined = vs.contract(normalised(o, "h e"), w, over="h e")
        return joined, vs.contract(normalised(o, "e"), w, over="h e")

    return claim


@wrong
def a_mask_goes_before_a_mixing_of_heads():
    @equal
    def claim(s: "h m", p: "h", keep: "m bool") -> "m":
        """softmax_m(mask(Σ_h p_h·s_h)) = softmax_m(Σ_h p_h·mask(s_h))"""
        low = -1e4  # what stands for minus infinity
        after = vs.where(keep, vs.contract(p, s, over="h"), low)
        before = vs.contract(p, vs.where(keep, s, low), over="h")
        return vs.softmax(after, over="m"), vs.softmax(before, over="m")

    return claim
