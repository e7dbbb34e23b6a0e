"""True in a corner: at one size, one sign, one magnitude, or where two axes are one."""

import vesalius as vs
from false_friends.claims import equal, wrong


@wrong
def true_only_at_size_1_sums():
    @equal
    def claim(x: "j", y: "j") -> "":
        """Σ_j x_j·y_j = (Σ_j x_j)·(Σ_j y_j)"""
        return vs.contract(x, y, over="j"), vs.sum(x, "j") * vs.sum(y, "j")

    return claim


@wrong
def true_only_at_size_1_maximum():
    @equal
    def claim(x: "j") -> "":
        """max_j x_j = mean_j x_j"""
        return vs.max(x, "j"), vs.sum(x, "j") / vs.size("j")

    return claim


@wrong
def true_only_at_size_1_transposed_scores():
    @vs.diagram
    def left(q: "n c", k: "m:n c") -> "n m:n":
        return vs.contract(q, k, over="c")

    @vs.diagram
    def right(q: "n c", k: "m:n c") -> "n m:n":
        return vs.contract(q, k, over="c").rename(n="m", m="n")

    return left, right


@wrong
def true_only_for_non_negative_numbers_relu():
    @equal
    def claim(x: "") -> "":
        """relu(x) = x"""
        return vs.relu(x), x

    return claim


@wrong
def true_only_for_non_negative_numbers_root_of_square():
    @equal
    def claim(x: "") -> "":
        """√(x²) = x"""
        return vs.sqrt(x * x), x

    return claim


@wrong
def true_only_for_non_negative_numbers_square_of_root():
    @equal
    def claim(x: "") -> "":
        """√x·√x = x"""
        return vs.sqrt(x) * vs.sqrt(x), x

    return claim


@wrong
def true_only_for_an_even_number():
    @equal
    def claim(x: "i") -> "":
        """Σ_i (x_i + (−1)^i) = Σ_i x_i"""
        sign = vs.to_float(1 - 2 * vs.remainder(vs.iota("i"), 2))
        return vs.sum(x + sign, "i"), vs.sum(x, "i")

    return claim


@wrong
def true_only_when_two_axes_coincide():
    """Both sides agree on the diagonal i = j, which is all there is when a name is reused."""

    @vs.diagram
    def left(x: "i", y: "j:i") -> "i j:i":
        return x * y

    @vs.diagram
    def right(x: "i", y: "j:i") -> "i j:i":
        return x.rename(i="j") * y.rename(j="i")

    return left, right


@wrong
def true_only_when_two_tubes_coincide():
    """A product of sums along one tube; with a tube each, the sums are of other things."""

    @vs.diagram
    def left(x: "t", y: "u:t") -> "t u:t":
        return vs.softmax(x + y, over="t")

    @vs.diagram
    def right(x: "t", y: "u:t") -> "t u:t":
        return vs.softmax(x + y, over="u")

    return left, right


@wrong
def true_only_at_small_magnitude_clipped():
    @equal
    def claim(x: "") -> "":
        """min(x, 100) = x"""
        return vs.minimum(x, 100.0), x

    return claim


@wrong
def true_only_at_small_magnitude_clipped_exponential():
    @equal
    def claim(x: "") -> "":
        """exp(max(x, −500))·0 + x = max(x, −500)"""
        clipped = vs.maximum(x, -500.0)
        return vs.exp(clipped) * 0.0 + x, clipped

    return claim


@wrong
def true_only_near_zero():
    @equal
    def claim(x: "") -> "":
        """tanh(x) = x − x³/3"""
        return vs.tanh(x), x - vs.power(x, 3) / 3

    return claim


@wrong
def a_double_mean_forgets_its_length():
    @equal
    def claim(x: "i j") -> "":
        """mean_ij x = (Σ_ij x) / i"""
        return vs.mean(x, "i j"), vs.sum(x, "i j") / vs.size("i")

    return claim
