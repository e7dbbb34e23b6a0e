"""Signs, reciprocals and squares."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule
from vesalius.rewrite.rules.worked import worked


@rule("equal")
def negative_of_negative(x: "") -> "":
    """−(−x) = x"""
    return vs.negate(-x), x


@worked(negative_of_negative)
def minus_a_distance(q: "n c", k: "m c") -> "n m":
    return vs.negate(-vs.contract(q, k, over="c"))


@rule("equal")
def negative_of_sum(x: "", ys: many("")) -> "":
    """−(x + y) = −x − y"""
    return -vs.add(x, ys), -x + -vs.add(ys)


@worked(negative_of_sum)
def minus_scores(scores: "n m", bias: "n m") -> "n m":
    return -(scores + bias)


@rule("equal")
def negative_out_of_product(x: "", ys: many("")) -> "":
    """(−x)·y = −(x·y)"""
    return vs.contract(-x, ys), -vs.contract(x, ys)


@worked(negative_out_of_product)
def slope_times_distance(slope: "h", distance: "n m") -> "h n m":
    return -slope * distance


@rule("equal")
def negative_out_of_sum(x: "j", ys: many("j")) -> "":
    """Σ_j (−x_j)·y_j = −Σ_j x_j·y_j"""
    return vs.contract(-x, ys, over="j"), -vs.contract(x, ys, over="j")


@worked(negative_out_of_sum)
def score_against_minus_a_key(q: "n c", k: "m c") -> "n m":
    return vs.contract(q, -k, over="c")


@rule("equal")
def difference_with_itself(x: "") -> "":
    """x − x = 0"""
    return x - x, vs.like(0.0, x)


@worked(difference_with_itself)
def distance_to_itself(p: "n") -> "n":
    return vs.exp(p - p)


@rule("equal")
def reciprocal_of_product(x: "", ys: many("")) -> "":
    """1/(x·y) = 1/x · 1/y"""
    return vs.reciprocal(vs.contract(x, ys)), vs.reciprocal(x) * vs.reciprocal(vs.contract(ys))


@worked(reciprocal_of_product)
def cosine_denominator(q: "n c", k: "m c") -> "n m":
    lengths = [vs.sqrt(vs.contract(x, x, over="c")) for x in (q, k)]
    return vs.contract(q, k, over="c") / (lengths[0] * lengths[1])


@rule("equal")
def reciprocal_of_reciprocal(x: "") -> "":
    """1/(1/x) = x, where x ≠ 0"""
    return vs.reciprocal(vs.reciprocal(x)), x


@worked(reciprocal_of_reciprocal)
def temperature(scores: "n m", t: "n") -> "n m":
    return scores / (1 / t)


@rule("equal")
def cancel(x: "", ys: many("")) -> "":
    """x·(1/x)·y = y, where x ≠ 0"""
    return vs.contract(x, vs.reciprocal(x), ys), vs.like(vs.contract(ys), x)


@worked(cancel)
def shares_of_a_total(total: "n", scores: "n m") -> "n m":
    return vs.contract(total, vs.reciprocal(total), scores)


@rule("equal")
def cancel_in_a_sum(x: "", ys: many("j", 1), zs: many("")) -> "":
    """Σ_j x·(1/x)·y_j·z = Σ_j y_j·z, where x ≠ 0 does not depend on j"""
    rest = vs.contract(ys, zs, over="j")
    return vs.contract(x, vs.reciprocal(x), ys, zs, over="j"), vs.like(rest, x)


@worked(cancel_in_a_sum)
def scaled_queries_in_scaled_scores(q: "n c", k: "m c") -> "n m":
    scale = vs.sqrt(vs.size("c"))
    return vs.contract(q, k, scale, vs.reciprocal(scale), over="c")


@rule("equal")
def square(x: "") -> "":
    """x·x = x²"""
    return x * x, vs.power(x, 2)


@worked(square)
def squared_relu(scores: "n m") -> "n m":
    return vs.relu(scores) * vs.relu(scores)


@rule("equal")
def square_of_sum(x: "", y: "") -> "":
    """(x + y)² = x² + 2·x·y + y²: a squared distance is a sum of three products"""
    return vs.power(x + y, 2), vs.power(x, 2) + 2 * (x * y) + vs.power(y, 2)


@worked(square_of_sum)
def squared_distance_of_positions(slope: "", n_: "n", m_: "m") -> "n m":
    return slope * vs.power(n_ - m_, 2)


@rule("equal")
def squared_distance(x: "c", y: "c") -> "":
    """Σ_c (x_c − y_c)² = Σ_c x_c² − 2·Σ_c x_c·y_c + Σ_c y_c²

    Scores by distance are dot products with a bias of queries, which softmax ignores, and one of
    keys.
    """
    gap = x - y
    mixed = -2 * vs.contract(x, y, over="c")
    return (
        vs.contract(gap, gap, over="c"),
        vs.contract(x, x, over="c") + mixed + vs.contract(y, y, over="c"),
    )


@worked(squared_distance)
def scores_by_distance(q: "n c", k: "m c") -> "n m":
    gap = q - k
    return vs.softmax(-vs.contract(gap, gap, over="c"), over="m")


@rule("equal")
def difference_of_squares(x: "", y: "") -> "":
    """x² − y² = (x − y)·(x + y)"""
    return vs.power(x, 2) - vs.power(y, 2), (x - y) * (x + y)


@worked(difference_of_squares)
def difference_of_energies(q: "n c", k: "m c") -> "n m c":
    return vs.power(q, 2) - vs.power(k, 2)


@rule("equal")
def product_by_squares(x: "", y: "") -> "":
    """x·y = ((x + y)² − (x − y)²)/4: a product from a layer with squares"""
    return x * y, (vs.power(x + y, 2) - vs.power(x - y, 2)) / 4


@worked(product_by_squares)
def a_gated_value(gate: "n e", v: "n e") -> "n e":
    return gate * v
