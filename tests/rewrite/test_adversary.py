"""An adversary's rules: wrong where checkers seldom look, right where they are easily deceived."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.residues import P, Q
from vesalius.diagrams.trace import output_port
from vesalius.rewrite.apply import apply
from vesalius.rewrite.check import check
from vesalius.rewrite.checking import instances
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.rule import anyfunction, many, rule
from vesalius.rewrite.witness import Witness

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


# -- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_refuted_by_a_script_that_fails(name: str) -> None:
    verdict = check(WRONG[name])
    assert not verdict, str(verdict)
    assert verdict.mark != "outside"
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_neither_refuted_nor_outside(name: str) -> None:
    known, mark = RIGHT[name]
    verdict = check(known)
    assert verdict, str(verdict)
    assert verdict.mark == mark


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["clipped_far_out", "true_unless_twelve_divides", "gelu_by_tanh"])
def test_no_seed_saves_a_wrong_rule(name: str, seed: int) -> None:
    assert not check(WRONG[name], seed=seed, explain=False)


def test_what_is_true_of_real_numbers_alone_is_noted_where_infinity_breaks_it() -> None:
    @rule("equal")
    def positive(s: "m") -> "m":
        return vs.sign(vs.softmax(s, over="m")), vs.like(1.0, vs.softmax(s, over="m"))

    notes = check(positive).notes
    assert "the sides differ where s holds −∞" in notes
    assert "the sides differ where s is all −∞" in notes


def test_what_breaks_on_an_empty_axis_is_noted() -> None:
    @rule("equal")
    def pooled(s: "j", b: "") -> "":
        return vs.sum(vs.softmax(s, over="j"), "j") * b, vs.like(b, vs.sum(s, "j"))

    assert "the sides differ where j is empty" in check(pooled).notes


def test_an_engine_that_is_wrong_under_tubes_alone_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sides that are equal are not enough: what is put into a diagram has to be equal there."""

    @rule("equal")
    def pull_out(w: "", x: "j") -> "":
        return vs.contract(w, x, over="j"), w * vs.sum(x, "j")

    assert check(pull_out)

    def sloppy(host: Diagram, *found: Any) -> Diagram:
        after = apply(host, *found)
        return negated(after) if after.outputs[0].axes else after

    monkeypatch.setattr("vesalius.rewrite.check.apply", sloppy)
    assert not check(pull_out, explain=False)


def negated(diagram: Diagram) -> Diagram:
    """The diagram with the sign of its first output changed."""
    builder = vs.Builder("negated")
    with builder:
        results = diagram(*(builder.input(n, t) for n, t in diagram.input_types.items()))
        wires = list(results) if isinstance(results, tuple) else [results]
        wires[0] = -wires[0]
    names = diagram.output_types.items()
    return builder.finish(
        [output_port(builder, n, t, w) for (n, t), w in zip(names, wires, strict=True)]
    )


def test_all_numbers_of_operands_are_tried() -> None:
    """Each number of each group, and each pair of numbers where there is room."""
    rows = [(a, b, c) for a in (1, 2, 0) for b in (1, 2, 0, 3) for c in (1, 2)]
    chosen = instances.covering(rows)
    assert chosen[0] == rows[0]
    assert len(chosen) <= instances.INSTANCES
    for k in range(3):
        assert {row[k] for row in chosen} == {row[k] for row in rows}


# -- other grades ---------------------------------------------------------------------------------


@vs.diagram
def scaled(x: "n d") -> "n":
    return vs.contract(x, vs.parameter("w", "d"), over="d")


@vs.diagram
def bent(x: "n d") -> "n":
    return vs.sum(vs.sin(x), "d")


def test_a_witness_does_not_see_the_inputs() -> None:
    def peeking(p: Any, sizes: Any) -> Any:
        return {"w": torch.sin(p["x"]) / p["x"]}

    verdict = check((scaled, bent), grade="reduces", witness=Witness(to_left=peeking))
    assert not verdict


def test_a_witness_has_to_serve_at_every_input_and_parameter() -> None:
    """What is fitted to one draw fails at another."""
    for value in (0.0, 1.0):

        def fixed(p: Any, sizes: Any, value: float = value) -> Any:
            return {"w": torch.full((sizes["d"],), value, dtype=torch.float64)}

        assert not check((scaled, bent), grade="reduces", witness=Witness(to_left=fixed))
        assert not check((scaled, scaled), grade="generalises", witness=Witness(to_right=fixed))


def test_a_witness_for_square_matrices_is_refused() -> None:
    @vs.diagram
    def one(x: "n d") -> "n e":
        return vs.contract(x, vs.parameter("w", "d e"), over="d")

    def transposed(p: Any, sizes: Any) -> Any:
        w = p["w"]
        return {"w": w.T if w.shape[0] == w.shape[1] else w}

    both = Witness(to_left=transposed, to_right=transposed)
    assert not check((one, one), grade="reparametrised", witness=both)


def test_a_bound_that_holds_for_small_inputs_alone_is_refused() -> None:
    @vs.diagram
    def identity(x: "n") -> "n":
        return x

    @vs.diagram
    def clipped(x: "n") -> "n":
        return vs.minimum(x, 5.0)

    bound = Grade(Relation.EQUAL, Precision.BOUND, error=0.5)
    assert not check((identity, clipped), grade=bound)
