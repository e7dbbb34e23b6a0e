"""What softmax and other weights do not do."""

import vesalius as vs
from false_friends.claims import equal, wrong


@wrong
def a_factor_passes_through_softmax():
    @equal
    def claim(w: "", s: "m") -> "m":
        """softmax_m(w·s) = w·softmax_m(s)"""
        return vs.softmax(w * s, over="m"), w * vs.softmax(s, over="m")

    return claim


@wrong
def softmax_over_one_axis_is_softmax_over_the_other():
    @equal
    def claim(s: "i j") -> "i j":
        """softmax_i(s) = softmax_j(s)"""
        return vs.softmax(s, over="i"), vs.softmax(s, over="j")

    return claim


@wrong
def softmax_ignores_a_shift_along_its_axis():
    @equal
    def claim(s: "m", c: "m") -> "m":
        """softmax_m(s + c_m) = softmax_m(s)"""
        return vs.softmax(s + c, over="m"), vs.like(vs.softmax(s, over="m"), c)

    return claim


@wrong
def sigmoid_weights_ignore_a_shift():
    @equal
    def claim(s: "m", v: "m", c: "") -> "":
        """Σ_m σ(s + c)·v = Σ_m σ(s)·v"""
        mixed = vs.contract(vs.sigmoid(s), v, over="m")
        return vs.contract(vs.sigmoid(s + c), v, over="m"), vs.like(mixed, c)

    return claim


@wrong
def relu_weights_ignore_a_shift():
    @equal
    def claim(s: "m", v: "m", c: "") -> "":
        """Σ_m relu(s + c)·v = Σ_m relu(s)·v"""
        mixed = vs.contract(vs.relu(s), v, over="m")
        return vs.contract(vs.relu(s + c), v, over="m"), vs.like(mixed, c)

    return claim


@wrong
def a_mask_multiplies_the_weights():
    @equal
    def claim(s: "m", keep: "m bool") -> "m":
        """softmax_m(s where kept, −∞ elsewhere) = softmax_m(s) where kept, 0 elsewhere"""
        inside = vs.where(keep, s, float("-inf"))
        return vs.softmax(inside, over="m"), vs.where(keep, vs.softmax(s, over="m"), 0.0)

    return claim


@wrong
def a_key_bias_vanishes_under_sigmoid():
    @equal
    def claim(q: "c", k: "m c", b: "c", v: "m") -> "":
        """Σ_m σ(q·(k_m + b))·v_m = Σ_m σ(q·k_m)·v_m"""
        plain = vs.contract(vs.sigmoid(vs.contract(q, k, over="c")), v, over="m")
        shifted = vs.sigmoid(vs.contract(q, k + b, over="c"))
        return vs.contract(shifted, v, over="m"), vs.like(plain, vs.sum(b, "c"))

    return claim


@wrong
def a_key_bias_vanishes_before_a_rotation():
    def turned(x, y):
        angle = vs.to_float(vs.iota("m"))
        return x * vs.cos(angle) - y * vs.sin(angle), x * vs.sin(angle) + y * vs.cos(angle)

    def scores(p, q, x, y):
        x, y = turned(x, y)
        return vs.softmax(p * x + q * y, over="m")

    @vs.diagram
    def left(p: "", q: "", x: "m", y: "m", a: "", b: "") -> "m":
        return scores(p, q, x + a, y + b)

    @vs.diagram
    def right(p: "", q: "", x: "m", y: "m", a: "", b: "") -> "m":
        return scores(p, q, x, y)

    return left, right


@wrong
def a_bias_moves_through_a_softcap():
    @equal
    def claim(s: "m", b: "m") -> "m":
        """softmax_m(tanh(s) + b) = softmax_m(tanh(s + b))"""
        return vs.softmax(vs.tanh(s) + b, over="m"), vs.softmax(vs.tanh(s + b), over="m")

    return claim


@wrong
def a_symmetric_distance_is_a_difference_of_positions():
    @vs.diagram
    def left(s: "i j", slope: "") -> "i j":
        distance = vs.to_float(vs.abs(vs.iota("i") - vs.iota("j")))
        return vs.softmax(s - slope * distance, over="j")

    @vs.diagram
    def right(s: "i j", slope: "") -> "i j":
        distance = vs.to_float(vs.iota("i") - vs.iota("j"))
        return vs.softmax(s - slope * distance, over="j")

    return left, right
