"""An adversary's rules: wrong where checkers seldom look, right where they are easily deceived."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import vesalius as vs
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.meaning.residues import P, Q
from vesalius.rewrite.rule import anyfunction, many, rule

WRONG: dict[str, Any] = {}
RIGHT: dict[str, tuple[Any, str]] = {}


def wrong(function: Callable[..., Any]) -> None:
    WRONG[function.__name__] = rule("equal")(function)


def wrong_pair(function: Callable[..., Any]) -> None:
    WRONG[function.__name__] = function()


def right(mark: str) -> Callable[[Callable[..., Any]], None]:
    def enter(function: Callable[..., Any]) -> None:
        RIGHT[function.__name__] = rule("equal")(function), mark

    return enter


# -- sizes ----------------------------------------------------------------------------------------


@wrong
def true_up_to_9_entries(x: "i") -> "":
    return vs.sum(vs.where(vs.iota("i") < 9, x, 0.0), "i"), vs.sum(x, "i")


@wrong
def true_up_to_40_entries(x: "i") -> "":
    return vs.sum(vs.where(vs.iota("i") < 40, x, 0.0), "i"), vs.sum(x, "i")


@wrong
def true_unless_twelve_divides(x: "i") -> "":
    count = vs.sum(vs.iota("i") * 0 + 1, "i")
    factor = vs.where(vs.equal(vs.remainder(count, 12), 0), 2.0, 1.0)
    return vs.sum(x, "i") * factor, vs.sum(x, "i")


@wrong
def true_for_an_odd_number(x: "i") -> "":
    sign = vs.to_float(1 - 2 * vs.remainder(vs.iota("i"), 2))
    return vs.sum(x + sign, "i"), vs.sum(x, "i") + 1


# -- magnitudes -----------------------------------------------------------------------------------


@wrong
def clipped_at_a_million(x: "") -> "":
    return vs.minimum(x, 1e6), x


@wrong
def clipped_far_out(x: "") -> "":
    return vs.minimum(x, 1e30), x


@wrong
def tiny_numbers_vanish(x: "") -> "":
    return vs.where(vs.abs(x) < 1e-12, 0.0, x), x


@wrong
def wrong_at_a_half(x: "") -> "":
    return vs.where(vs.equal(x, 0.5), x + 1, x), x


@wrong
def a_steep_tanh_is_a_sign(x: "") -> "":
    return vs.tanh(1e9 * x), vs.sign(x)


@wrong
def an_error_function_far_out_is_a_sign(x: "") -> "":
    return vs.erf(x + 20 * vs.sign(x)), vs.sign(x)


@wrong
def softplus_has_a_threshold(x: "") -> "":
    return vs.where(vs.less(20.0, x), x, vs.softplus(x)), vs.softplus(x)


@wrong
def gelu_by_sigmoid(x: "") -> "":
    return vs.gelu(x), x * vs.sigmoid(1.702 * x)


@wrong
def gelu_by_tanh(x: "") -> "":
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * vs.power(x, 3))
    return vs.gelu(x), 0.5 * x * (1 + vs.tanh(inner))


@wrong
def off_by_a_millionth(x: "j") -> "":
    return vs.sum(vs.sin(x), "j"), vs.sum(vs.sin(x), "j") * (1 + 1e-6)


@wrong
def off_in_the_last_digits(x: "j") -> "":
    return vs.sum(vs.sin(x), "j"), vs.sum(vs.sin(x), "j") * (1 + 1e-14)


@wrong_pair
def a_threshold_inside_code() -> Any:
    own = Function("own", torch="torch.where({0} > 1000000, {0}, 0*{0})")

    @vs.diagram
    def left(x: "n") -> "n":
        return own(x)

    @vs.diagram
    def right(x: "n") -> "n":
        return own(x) * 0.0

    return left, right


# -- branches -------------------------------------------------------------------------------------


@wrong
def root_of_a_square(x: "") -> "":
    return vs.sqrt(x * x * 4), 2 * x


@wrong
def root_of_a_product(x: "", y: "") -> "":
    return vs.sqrt(x * y), vs.sqrt(x) * vs.sqrt(y)


@wrong
def logarithm_of_a_product(x: "", y: "") -> "":
    return vs.log(x * y), vs.log(x) + vs.log(y)


@wrong
def triangle_equality(x: "", y: "") -> "":
    return vs.abs(x + y), vs.abs(x) + vs.abs(y)


@wrong
def strictly_less_is_less(x: "", y: "") -> "":
    return vs.where(vs.less(x, y), 1.0, 0.0), vs.where(vs.less_equal(x, y), 1.0, 0.0)


# -- the finite field -----------------------------------------------------------------------------


@wrong
def a_multiple_of_the_prime(x: "") -> "":
    return x * P, vs.like(0.0, x)


@wrong
def a_small_multiple_of_the_prime(x: "") -> "":
    return x + x * Fraction(P, 2**300), x


@wrong
def an_exponent_that_overflows(x: "") -> "":
    return vs.exp(x * Q), vs.like(1.0, x)


@wrong
def an_exponent_that_overflows_a_little(x: "") -> "":
    return vs.exp(x * (1 + Fraction(Q, 2**300))), vs.exp(x)


@wrong
def a_power_of_the_order(x: "") -> "":
    return vs.power(vs.exp(x), Q), vs.like(1.0, x)


@wrong
def fermat(x: "") -> "":
    return vs.power(x, P), x


@wrong
def a_collision_of_hashes(f: anyfunction, x: "") -> "":
    return f(x * (1 + P)), f(x)


@wrong
def a_close_collision_of_hashes(f: anyfunction, x: "") -> "":
    return f(x * (1 + Fraction(P, 2**400))), f(x)


# -- functions of which nothing is known ----------------------------------------------------------


@wrong
def functions_commute(f: anyfunction, g: anyfunction, x: "") -> "":
    return f(g(x)), g(f(x))


@wrong
def functions_are_odd(f: anyfunction, x: "") -> "":
    return f(-x), -f(x)


@wrong
def functions_vanish_at_zero(f: anyfunction, x: "") -> "":
    return f(x * 0.0), vs.like(0.0, f(x))


@wrong
def functions_are_bounded(f: anyfunction, x: "") -> "":
    return vs.minimum(f(x), 1e5), f(x)


@wrong
def functions_are_positive_on_positive_numbers(f: anyfunction, x: "") -> "":
    return vs.maximum(f(vs.abs(x)), 0.0), f(vs.abs(x))


# -- several operands, several outputs ------------------------------------------------------------


@wrong
def a_sum_is_a_product_of_one(ws: many("j"), x: "j") -> "":
    return vs.contract(vs.add(ws), x, over="j"), vs.contract(ws, x, over="j")


@wrong
def wrong_in_the_last_of_three_groups(us: many(""), ws: many(""), zs: many("")) -> "":
    left = vs.contract(us) * vs.add(ws) * vs.contract(zs)
    return left, vs.contract(us) * vs.add(ws) * vs.add(zs)


@wrong
def wrong_in_the_second_output(x: "j", y: "j") -> {"a": "", "b": ""}:
    other = vs.like(vs.contract(x, x, over="j"), vs.sum(y, "j"))
    left = vs.sum(x + y, "j"), vs.contract(x, y, over="j")
    return left, (vs.sum(x, "j") + vs.sum(y, "j"), other)


@wrong_pair
def outputs_change_places() -> Any:
    @vs.diagram
    def left(x: "n", y: "n") -> {"a": "n", "b": "n"}:
        return {"a": x + y, "b": x * y}

    @vs.diagram
    def right(x: "n", y: "n") -> {"a": "n", "b": "n"}:
        return {"a": x * y, "b": x + y}

    return left, right


# -- parameters and draws -------------------------------------------------------------------------


@wrong_pair
def a_parameter_by_another_name() -> Any:
    @vs.diagram
    def left(x: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="w")

    @vs.diagram
    def right(x: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="u")

    return left, right


@wrong_pair
def parameters_change_names() -> Any:
    @vs.diagram
    def left(x: "n d", y: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="w") + 2 * vs.linear(y, "d", "e", name="u")

    @vs.diagram
    def right(x: "n d", y: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="u") + 2 * vs.linear(y, "d", "e", name="w")

    return left, right


@wrong_pair
def a_square_parameter_is_transposed() -> Any:
    @vs.diagram
    def left(x: "n d") -> "n e:d":
        return vs.contract(vs.parameter("w", "d e:d"), x, over="d")

    @vs.diagram
    def right(x: "n d") -> "n e:d":
        return vs.contract(vs.parameter("w", "d e:d").rename(d="e", e="d"), x, over="d")

    return left, right


@wrong_pair
def dropout_is_rare() -> Any:
    @vs.diagram
    def left(x: "n") -> "n":
        return vs.where(vs.random("n", "bernoulli", name="a", p=0.999), x, 0.0)

    @vs.diagram
    def right(x: "n") -> "n":
        return x

    return left, right


# -- what is right --------------------------------------------------------------------------------


@right("exact")
def logarithm_of_an_exponential(x: "") -> "":
    return vs.log(vs.exp(x)), x


@right("exact")
def stable_logarithm(x: "j") -> "":
    m = vs.max(x, "j")
    return vs.log(vs.sum(vs.exp(x), "j")), vs.log(vs.sum(vs.exp(x - m), "j")) + m


@right("exact")
def tanh_of_tanh(x: "") -> "":
    return vs.tanh(vs.tanh(x)), 2 * vs.sigmoid(2 * vs.tanh(x)) - 1


@right("sampled")
def softplus_by_logarithm(x: "") -> "":
    """1 + exp(−10000) is 1 to any number of digits that is used."""
    return vs.softplus(x), vs.log(1 + vs.exp(x))


@right("sampled")
def a_positive_factor_leaves_relu(x: "", a: "") -> "":
    return vs.relu(vs.exp(a) * x), vs.exp(a) * vs.relu(x)


@right("rational")
def smaller_and_larger(x: "", y: "") -> "":
    return vs.maximum(x, y) + vs.minimum(x, y), x + y


@right("sampled")
def the_largest_exponential(x: "j") -> "":
    return vs.max(vs.exp(x), "j"), vs.exp(vs.max(x, "j"))


@right("exact")
def a_norm_is_a_norm(x: "c") -> "":
    n = vs.sqrt(vs.contract(x, x, over="c"))
    return vs.contract(x / n, x, over="c"), n


@right("exact")
def normalisation_ignores_a_shift(x: "c", b: "") -> "c":
    def normed(x):
        m = x - vs.mean(x, "c")
        return m * vs.power(vs.mean(m * m, "c") + 1e-5, -0.5)

    return normed(x + b), vs.like(normed(x), b)


@right("exact")
def a_rotation_keeps_products(x: "", y: "", u: "", t: "") -> "":
    """Large terms cancel."""
    c, s = vs.cos(t), vs.sin(t)
    return (x * c - y * s) * u * c + (x * s + y * c) * u * s, vs.like(x * u, y * t)


@right("rational")
def a_function_of_the_smaller(f: anyfunction, x: "", y: "") -> "":
    return f(vs.where(vs.less(x, y), x, y)), f(vs.minimum(x, y))


@right("exact")
def nine_by_halves(x: "") -> "":
    """Constants of the claim itself are no trap."""
    return vs.power(x, 9), vs.power(x, 4) * vs.power(x, 5)
