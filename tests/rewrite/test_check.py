"""Checking: what is true is accepted, on the best evidence there is, and said plainly."""

import math
import sys
import types
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.errors import TypeClash
from vesalius.diagrams.meaning.field import acceptance
from vesalius.rewrite.apply import apply
from vesalius.rewrite.check import assert_rule, check
from vesalius.rewrite.checking.compare import compare
from vesalius.rewrite.checking.exact import complexity, exact
from vesalius.rewrite.checking.instances import host, instances
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.checking.sampled import sampled
from vesalius.rewrite.derivation import Derivation, Step, derive
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rule import anyfunction, many, rule
from vesalius.rewrite.rules import RULES, SCHEMAS
from vesalius.rewrite.schema import schema
from vesalius.rewrite.verdict import weakest
from vesalius.rewrite.witness import Witness

# -- rules that hold ----------------------------------------------------------------------------


@rule("equal")
def distribute(ws: many(""), x: "j", y: "j") -> "":
    """Σ_j w·(x_j + y_j) = w·Σ_j x_j + w·Σ_j y_j"""
    left = vs.contract(ws, x + y, over="j")
    return left, vs.contract(ws, x, over="j") + vs.contract(ws, y, over="j")


@rule("equal")
def split_softmax(s: "m", t: "k", v: "m", u: "k") -> "":
    """attention over two sets of keys from attention over each"""
    e, f = vs.sum(vs.exp(s), "m"), vs.sum(vs.exp(t), "k")
    joined = vs.concat(s, t, over=("m", "k"), into="a")
    values = vs.concat(v, u, over=("m", "k"), into="a")
    one = vs.contract(vs.softmax(s, over="m"), v, over="m")
    other = vs.contract(vs.softmax(t, over="k"), u, over="k")
    whole = vs.contract(vs.softmax(joined, over="a"), values, over="a")
    return whole, (e * one + f * other) / (e + f)


@rule("equal")
def normalise_late(p: "m", v: "m") -> "":
    """Σ_m (p_m/Σp)·v_m = (Σ_m p_m·v_m)/Σp"""
    total = vs.sum(p, "m")
    return vs.contract(p / total, v, over="m"), vs.contract(p, v, over="m") / total


@rule("equal")
def stable_softmax(s: "m") -> "m":
    """softmax = exp(s − max s) / Σ exp(s − max s)"""
    e = vs.exp(s - vs.max(s, "m"))
    return vs.softmax(s, over="m"), e / vs.sum(e, "m")


@rule("equal")
def fold_scale(q: "c", k: "c") -> "":
    """(q·k)/√c = (q/√c)·k"""
    scale = 1 / vs.sqrt(vs.size("c"))
    return scale * vs.contract(q, k, over="c"), vs.contract(scale * q, k, over="c")


@rule("equal")
def any_function_of_a_choice(f: anyfunction, c: "bool", x: "", y: "") -> "":
    """f(x if c else y) = f(x) if c else f(y)"""
    return f(vs.where(c, x, y)), vs.where(c, f(x), f(y))


@rule("equal")
def largest_of_two(x: "", y: "") -> "":
    """max(x, y) = (x + y + |x − y|)/2"""
    return vs.maximum(x, y), (x + y + vs.abs(x - y)) * Fraction(1, 2)


@rule("equal")
def circle(x: "") -> "":
    """cos² + sin² = 1, times x"""
    return x * (vs.power(vs.cos(x), 2) + vs.power(vs.sin(x), 2)), x


@rule("equal")
def softplus_is_odd_up_to_x(x: "") -> "":
    """softplus(x) − softplus(−x) = x: no tier but floats knows softplus"""
    return vs.softplus(x) - vs.softplus(-x), x


HOLDING = {
    "exact": [
        distribute,
        split_softmax,
        normalise_late,
        stable_softmax,
        fold_scale,
        any_function_of_a_choice,
        circle,
    ],
    "rational": [largest_of_two],
    "sampled": [softplus_is_odd_up_to_x],
}


@pytest.mark.parametrize(
    ("mark", "known"), [(mark, known) for mark, rules in HOLDING.items() for known in rules]
)
def test_a_true_rule_is_accepted_with_the_mark_it_deserves(mark, known):
    verdict = check(known)
    assert verdict, str(verdict)
    assert verdict.mark == mark
    assert verdict.counterexample is None
    assert_rule(known)


# Equal rules of the library on which no exact tier decides: they are about order.
WEAKER = {
    "rational": {
        "largest_is_the_maximum",
        "maximum_in_two",
        "maximum_of_concat",
        "maximum_of_merged",
        "maximum_of_negatives",
        "maximum_of_shift",
        "prefix_maximum_as_loop",
        "relu_is_a_maximum",
        "root_of_product",
        "sum_in_sorted_order",
        "two_relus_are_linear",
        "two_relus_are_the_absolute",
    },
    "sampled": {
        "all_of_the_largest",
        "log_of_reciprocal",
        "log_of_sigmoid",
        "mask_as_places",
        "softmax_in_sorted_order",
        "unfold_softplus",
    },
}


@pytest.mark.parametrize("known", RULES.values(), ids=RULES.keys())
def test_every_rule_of_the_library_keeps_its_promise(known):
    verdict = check(known)
    assert verdict, str(verdict)
    if known.grade.name == "equal":
        weaker = [mark for mark, names in WEAKER.items() if known.name in names]
        assert [verdict.mark] == (weaker or ["exact"])


def test_an_equal_rule_is_tried_in_every_tier_and_through_the_engine():
    verdict = check(RULES["unfold_softmax"])
    assert [tier.name for tier in verdict.tiers] == ["finite field", "floats", "engine"]
    assert all(tier.outcome == "equal" for tier in verdict.tiers)
    assert all(tier.trials > 5 for tier in verdict.tiers)
    assert verdict.trials == sum(tier.trials for tier in verdict.tiers)


def test_the_same_seed_gives_the_same_verdict():
    assert str(check(normalise_late, seed=3)) == str(check(normalise_late, seed=3))


def test_a_rule_that_fails_raises_with_its_counterexample():
    @rule("equal")
    def wrong(x: "j") -> "":
        """Σ x² = (Σ x)²"""
        total = vs.sum(x, "j")
        return vs.contract(x, x, over="j"), total * total

    with pytest.raises(AssertionError, match=r"(?s)FAILS, exact.*def left.*assert torch.allclose"):
        assert_rule(wrong)


def test_without_explanation_no_counterexample_is_looked_for():
    @rule("equal")
    def wrong(x: "") -> "":
        return vs.exp(x), x

    assert check(wrong).counterexample is not None
    quick = check(wrong, explain=False)
    assert not quick
    assert quick.counterexample is None


# -- what holds in a narrower sense ---------------------------------------------------------------


def test_an_empty_axis_is_noted_and_not_held_against_a_rule():
    @rule("equal")
    def mean_of_shift(s: "m", b: "") -> "":
        """the weights of a softmax sum to 1, if there are any"""
        return vs.contract(vs.softmax(s, over="m"), over="m") * b, vs.like(b, vs.sum(s, "m"))

    verdict = check(mean_of_shift)
    assert verdict
    assert set(verdict.notes) == {
        "the sides differ where m is empty",
        "the sides differ where s is all −∞",
    }


def test_a_value_at_special_points_only_is_noted():
    @rule("equal")
    def cancelled(x: "", y: "") -> "":
        """x·y/y = x, where y is not zero"""
        return x * y / y, vs.like(x, y)

    verdict = check(cancelled)
    assert verdict
    assert any("special points" in note for note in verdict.notes)


def test_a_constant_in_floats_is_the_binary_fraction_that_it_is():
    @rule("equal")
    def tenths(x: "") -> "":
        return x * 0.1 + x * 0.2, x * 0.3

    @rule("equal")
    def exact_tenths(x: "") -> "":
        return x * Fraction(1, 10) + x * Fraction(2, 10), x * Fraction(3, 10)

    assert check(exact_tenths)
    verdict = check(tenths)
    assert not verdict
    assert verdict.mark == "exact"
    assert 'algebra="rational"' in str(verdict.counterexample)
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_difference_that_only_the_finite_field_sees_is_printed_in_it():
    @rule("equal")
    def nearly(x: "") -> "":
        """exp(x·(1 + 2⁻⁵⁰⁰⁰)) is exp(x) to any number of digits that is used"""
        return vs.exp(x * (1 + Fraction(1, 2**5000))), vs.exp(x)

    verdict = check(nearly)
    assert not verdict
    assert verdict.mark == "exact"
    assert 'algebra="field"' in str(verdict.counterexample)
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_rounding_and_overflow_are_not_differences():
    """exp overflows float64 at 710, and a sum of large numbers cancels."""

    @rule("equal")
    def shifted(x: "j", c: "") -> "":
        return vs.sum((x + c) - c, "j"), vs.like(vs.sum(x, "j"), c)

    for known in (RULES["exp_of_sum"], RULES["unfold_softmax"], shifted):
        pair = Pair(known.left, known.right) if known is not shifted else None
        assert check(known)
        if pair is not None:
            sample = sampled(pair, draws=20)
            assert sample.refutation is None
            assert sample.trials >= 20


def test_a_small_difference_is_not_rounding():
    @vs.diagram
    def left(x: "n") -> "n":
        return x / (vs.abs(x) + 1e-13)

    @vs.diagram
    def right(x: "n") -> "n":
        return vs.sign(x)

    verdict = check((left, right))
    assert not verdict


# -- the finite field -----------------------------------------------------------------------------


def test_the_error_bound_is_that_of_the_trials():
    verdict = check(normalise_late)
    (field,) = [tier for tier in verdict.tiers if tier.name == "finite field"]
    assert field.error is not None
    assert 0 < field.error <= 1e-9
    assert verdict.error == field.error
    pair = Pair(normalise_late.left, normalise_late.right)
    tier, _ = exact(pair)
    terms, degree = complexity(pair, {"m": 2})
    assert terms == 0  # no exponential: the bound of Schwartz and Zippel
    assert tier.error == pytest.approx(acceptance(0, degree) ** 3)


@pytest.mark.parametrize(("m", "terms"), [(2, 3), (3, 6), (4, 10)])
def test_the_exponentials_of_a_difference_are_counted(m, terms):
    """(Σ_m e^s·v)·(Σ_m e^s): the products of two of m exponentials, in either order."""
    weights = vs.softmax

    @vs.diagram
    def left(s: "m", v: "m") -> "":
        return vs.contract(weights(s, over="m"), v, over="m")

    @vs.diagram
    def right(s: "m", v: "m") -> "":
        e = vs.exp(s)
        return vs.contract(e, v, over="m") / vs.sum(e, "m")

    assert complexity(Pair(left, right), {"m": m})[0] == terms


def test_the_largest_of_places_is_known_where_exponentials_are_counted():
    """Places are integers, of which there is nothing to count."""

    @vs.diagram
    def left(s: "n m") -> "n":
        _, place = vs.topk(s, "m", "one:1")
        return vs.to_float(vs.max(place, "one")) + vs.max(s, "m")

    @vs.diagram
    def right(s: "n m") -> "n":
        _, place = vs.topk(s, "m", "one:1")
        return vs.to_float(vs.min(place, "one")) + vs.max(s, "m")

    assert complexity(Pair(left, right), {"n": 2, "m": 3})[0] == 0
    assert check((left, right))


def test_many_exponentials_have_no_bound_and_it_says_so():
    @vs.diagram
    def left(s: "i j k") -> "":
        return vs.sum(vs.softmax(vs.softmax(s, over="i"), over="j"), "i j k") / vs.size("i*k")

    verdict = check((left, left.rename()))
    assert verdict.error == 0.0  # one diagram

    @vs.diagram
    def right(s: "i j k") -> "":
        e = vs.exp(s)
        return vs.sum(vs.softmax(e / vs.sum(e, "i"), over="j"), "i j k") / vs.size("i*k")

    tier, _ = exact(Pair(left, right))
    assert tier.outcome == "equal"
    assert tier.error is None
    assert "too many" in tier.reason


def test_what_the_field_does_not_contain_is_taken_for_any_function():
    @vs.diagram
    def left(x: "n m", y: "n") -> "n":
        return vs.relu(vs.max(x, "m")) * (y + y)

    @vs.diagram
    def right(x: "n m", y: "n") -> "n":
        return 2 * vs.relu(vs.max(x, "m")) * y

    verdict = check((left, right))
    assert verdict.mark == "exact"
    assert verdict


def test_two_exponentials_on_a_path_are_equal_where_the_inner_ones_are():
    @vs.diagram
    def left(s: "n m", t: "m") -> "m":
        return vs.softmax(vs.contract(vs.softmax(s, over="n"), t, over="n") + 1, over="m")

    @vs.diagram
    def right(s: "n m", t: "m") -> "m":
        e = vs.exp(vs.contract(vs.softmax(s, over="n"), t, over="n"))
        return e / vs.sum(e, "m")

    verdict = check((left, right))
    assert verdict
    assert verdict.mark == "exact"


def test_the_field_says_outside_when_it_cannot_decide():
    tier, difference = exact(Pair(circle.left, circle.right))
    assert tier.outcome == "outside"
    assert "cos, sin" in tier.reason
    assert difference is None


def test_a_symmetric_function_may_swap_its_arguments():
    @vs.diagram
    def left(x: "n", y: "n") -> "n":
        return vs.maximum(x + 0, y)

    @vs.diagram
    def right(x: "n", y: "n") -> "n":
        return vs.maximum(y, x)

    assert check((left, right)).mark == "exact"


# -- pairs of diagrams ----------------------------------------------------------------------------


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


def test_the_order_of_inputs_and_of_axes_does_not_matter():
    @vs.diagram
    def turned(v: "e m", k: "c m", q: "c n") -> "e n":
        e = vs.exp(vs.contract(k, q, over="c"))
        return vs.contract(e, v, over="m") / vs.sum(e, "m")

    verdict = check((attention, turned))
    assert verdict, str(verdict)
    assert verdict.mark == "exact"


def test_interfaces_that_differ_are_a_reason():
    @vs.diagram
    def more(q: "n c", k: "m c", v: "m e", w: "m e") -> "n e":
        return attention(q, k, v + w)

    @vs.diagram
    def summed(q: "n c", k: "m c", v: "m e") -> "n":
        return vs.sum(attention(q, k, v), "e")

    for other, reason in ((more, "4"), (summed, "the output 'out'")):
        verdict = check((attention, other))
        assert not verdict
        assert reason in verdict.reason
        assert verdict.counterexample is None


def test_parameters_of_one_name_are_one():
    @vs.diagram
    def left(x: "n d") -> "n e":
        return vs.linear(x, "d", "e", name="w", bias=True)

    @vs.diagram
    def right(x: "n d") -> "n e":
        w, b = vs.parameter("w", "d e"), vs.parameter("w_bias", "e", init="zeros")
        return b + vs.contract(w, x, over="d")

    @vs.diagram
    def without(x: "n d") -> "n e":
        return vs.contract(vs.parameter("w", "d e"), x, over="d")

    assert check((left, right))
    assert not check((left, without))  # a parameter that starts at zero need not stay there


def test_holes_are_outside():
    @vs.diagram
    def unknown(x: "n d") -> "n e":
        return vs.learner("u", x, binds="d", into="e")

    @vs.diagram
    def twice(x: "n d") -> "n e":
        return unknown(x) + 0

    verdict = check((unknown, twice))
    assert not verdict
    assert verdict.mark == "outside"
    assert "hole" in verdict.reason


def test_a_function_that_only_torch_knows_is_sampled():
    own = Function("bessel", torch="torch.special.i0({0})")

    @vs.diagram
    def left(x: "n m") -> "n":
        return vs.sum(own(x) * own(-x), "m")

    @vs.diagram
    def right(x: "n m") -> "n":
        return vs.sum(vs.power(own(x), 2), "m")

    @vs.diagram
    def wrong(x: "n m") -> "n":
        return vs.sum(vs.power(own(x), 2), "m") * 1.0001

    verdict = check((left, right))  # it is even, which nothing here knows
    assert verdict, str(verdict)
    assert verdict.mark == "sampled"
    assert not check((left, wrong))


def test_many_digits_know_a_value_that_one_side_lacks():
    @vs.diagram
    def left(x: "n") -> "n":
        return vs.log(x)

    @vs.diagram
    def right(x: "n") -> "n":
        return 2 * vs.log(vs.sqrt(x))

    @vs.diagram
    def wider(x: "n") -> "n":
        return vs.log(vs.abs(x))

    assert check((left, right))
    assert not check((left, wider))
    pair = Pair(left, wider)
    from vesalius.rewrite.checking.pair import Values

    assert compare(pair, Values({"n": 1}, (np.array([2.0]),))) == "equal"
    assert compare(pair, Values({"n": 1}, (np.array([-2.0]),))) == "undefined"


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(testing.diagrams(kinds=set(testing.KINDS) - {"parameter", "random"}), st.data())
def test_a_diagram_equals_itself_under_other_names(diagram, data):
    """Without sources: a parameter or a draw of another name is another one."""
    verdict = check((diagram, data.draw(testing.alpha_variants(diagram))))
    assert verdict, str(verdict)
    assert verdict.mark == "exact"


@settings(max_examples=20, deadline=None)
@given(testing.hosts(RULES["normalise_late"]))
def test_a_rule_is_found_in_its_hosts_and_keeps_their_types(before):
    for match in matches(RULES["normalise_late"], before):
        assert apply(before, match).output_types == before.output_types


def test_hosts_of_a_rule_hold_it():
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        chosen = instances(RULES["normalise_late"], rng)[1]
        found += any(
            True
            for _ in matches(RULES["normalise_late"], host(RULES["normalise_late"], chosen, rng))
        )
    assert found >= 5


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_keeps_its_promise(name):
    verdict = check(SCHEMAS[name])
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert verdict.parts


def test_a_wrong_schema_is_refuted_by_a_rule_that_it_makes():
    @schema("equal", at=[SOFTMAX])
    def twice(f):
        """softmax(x) = softmax(2·x)"""
        yield f.open().rule(lambda side: side.call(f, 2 * side[f][0]))

    verdict = check(twice, inputs=[attention])
    assert not verdict
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})
    nothing = check(SCHEMAS["prefix_of_scan"], inputs=[attention])
    assert not nothing
    assert nothing.mark == "outside"


def test_anything_else_is_refused():
    with pytest.raises(TypeClash, match="a pair of diagrams or of modules"):
        check(3)
    with pytest.raises(TypeClash, match="inputs="):
        check((torch.exp, torch.exp))


# -- modules --------------------------------------------------------------------------------------


def test_equal_modules_pass_and_are_left_as_they_are():
    q, k, v = torch.randn(2, 5, 4), torch.randn(2, 6, 4), torch.randn(2, 6, 3)

    def by_hand(q, k, v):
        return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1) @ v

    module = torch.nn.Linear(4, 4)
    verdict = check((torch.nn.functional.scaled_dot_product_attention, by_hand), inputs=(q, k, v))
    assert verdict, str(verdict)
    assert verdict.mark == "sampled"
    assert check((module, torch.nn.Sequential(module)), inputs=[(q,), (k,)])
    assert module.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (torch.tanh, torch.sin),
        (torch.relu, torch.abs),
        (lambda x: x.clamp(max=500.0), lambda x: x),
        (lambda x: x, lambda x: x * (1 + 1e-10)),
    ],
)
def test_different_modules_fail_with_a_counterexample(left, right):
    verdict = check((left, right), inputs=torch.rand(4))
    assert not verdict
    one, other = (f(*verdict.counterexample.inputs) for f in (left, right))
    assert not torch.equal(one, other)


def test_a_counterexample_of_modules_that_can_be_imported_is_a_script():
    verdict = check((torch.tanh, torch.sin), inputs=torch.randn(3))
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_modules_that_draw_random_numbers_are_not_compared():
    verdict = check((torch.nn.Dropout(), torch.nn.Identity()), inputs=torch.ones(50))
    assert not verdict
    assert verdict.mark == "outside"
    assert "random" in verdict.reason
    assert check((torch.nn.Dropout().eval(), torch.nn.Identity()), inputs=torch.ones(50))


def test_modules_with_integer_inputs_and_their_own_precision():
    table = torch.randn(7, 3)
    tokens = torch.randint(7, (2, 5))
    module = torch.nn.Embedding(7, 3, _weight=table)
    verdict = check((module, lambda x: table.double()[x]), inputs=(tokens,))
    assert verdict, str(verdict)

    def single(x):
        return x.float() @ table.T

    def by_einsum(x):
        return torch.einsum("nc,vc->nv", x.float(), table)

    verdict = check((single, by_einsum), inputs=torch.randn(4, 3))
    assert verdict, str(verdict)


class Twice(torch.autograd.Function):
    """Doubles, and says that its gradient is 3."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient


def test_gradients_are_compared_too():
    def right(x):
        return x + x

    verdict = check((Twice.apply, right), inputs=torch.randn(3))
    assert not verdict
    assert "gradients differ" in verdict.reason
    assert verdict.counterexample.gradient
    verdict = check((torch.nn.functional.silu, lambda x: x * x.sigmoid()), inputs=torch.randn(3))
    assert verdict
    assert [(tier.name, tier.outcome) for tier in verdict.tiers] == [
        ("floats", "equal"),
        ("gradients", "equal"),
    ]


def test_a_wrong_gradient_is_shown_by_a_script(monkeypatch):
    steps = types.ModuleType("steps")
    exec(
        "import torch\n"
        "def detached(x):\n    return x + x.detach()\n"
        "def doubled(x):\n    return 2 * x\n",
        vars(steps),
    )
    steps.detached.__module__ = steps.doubled.__module__ = "steps"
    monkeypatch.setitem(sys.modules, "steps", steps)
    verdict = check((steps.detached, steps.doubled), inputs=torch.rand(2))
    assert not verdict
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_side_without_a_gradient_is_noted():
    verdict = check((torch.Tensor.detach, torch.Tensor.clone), inputs=torch.randn(2))
    assert verdict
    assert verdict.notes[0].startswith("the left side has no gradient: ")


def test_shapes_that_differ_are_a_reason():
    verdict = check((torch.sum, torch.exp), inputs=torch.randn(3))
    assert not verdict
    assert "shapes" in verdict.reason


# -- derivations ----------------------------------------------------------------------------------


@vs.diagram
def scaled(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


def test_a_derivation_is_checked_step_by_step():
    found = derive(scaled.over("b h"), RULES["unfold_softmax"], RULES["normalise_late"])
    verdict = check(found)
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert [part.name for part in verdict.parts] == ["1. unfold_softmax", "2. normalise_late"]
    assert verdict.trials > 20


def test_a_long_derivation_is_exact_though_the_whole_is_outside():
    """Two softmaxes on a path: the whole is outside the fragment, each step is not."""

    @vs.diagram
    def two_layers(x: "n m", y: "m") -> "n m":
        first = vs.softmax(x, over="m") * y
        return vs.softmax(first, over="m")

    found = derive(two_layers, RULES["unfold_softmax"], RULES["unfold_softmax"])
    verdict = check(found)
    assert verdict, str(verdict)
    assert verdict.mark == "exact"
    assert len(verdict.parts) == 2


def test_a_wrong_step_is_found():
    @rule("equal")
    def wrong(s: "m") -> "m":
        """softmax = exp / max exp"""
        e = vs.exp(s)
        return vs.softmax(s, over="m"), e / vs.max(e, "m")

    verdict = check(derive(scaled, RULES["unfold_softmax"].inverse().inverse()))
    assert verdict
    verdict = check(derive(scaled, wrong))
    assert not verdict
    assert "step 1, wrong" in verdict.reason
    with pytest.raises(AssertionError, match="the sides differ"):
        exec(str(verdict.counterexample), {})


def test_a_step_that_does_not_replay_is_found():
    found = derive(scaled, RULES["unfold_softmax"])
    forged = Derivation(scaled, (Step(Rewrite(RULES["unfold_softmax"]), scaled, attention),))
    assert check(found)
    verdict = check(forged)
    assert not verdict
    assert "does not give what it gave" in verdict.reason


def test_a_derivation_of_variants_promises_little():
    found = derive(vs.diagram(name="kernel")(lambda_kernel), RULES["exponential_to_elu_kernel"])
    verdict = check(found)
    assert verdict
    assert verdict.grade == "variant"
    assert verdict.mark == "sampled"


def lambda_kernel(q: "n c", k: "m c") -> "n m":
    return vs.exp(vs.contract(q, k, over="c"))


# -- other grades ---------------------------------------------------------------------------------


@vs.diagram
def heads(x: "n d", y: "m d") -> "h n m":
    q = vs.linear(x, "d", "h c", name="wq")
    return vs.contract(q, vs.linear(y, "d", "h c", name="wk"), over="c")


@vs.diagram
def shared_keys(x: "n d", y: "m d") -> "h n m":
    q = vs.linear(x, "d", "h c", name="wq")
    return vs.contract(q, vs.linear(y, "d", "c", name="wk"), over="c")


def copied(p, sizes):
    wk = p["wk"]
    return {"wk": wk[:, None, :].expand(wk.shape[0], sizes["h"], wk.shape[1])}


def test_a_reduction_is_shown_by_its_witness():
    verdict = check((heads, shared_keys), grade="reduces", witness=Witness(to_left=copied))
    assert verdict, str(verdict)
    assert verdict.mark == "sampled"
    assert verdict.measured < 1e-12
    backwards = check((shared_keys, heads), grade="generalises", witness=Witness(to_right=copied))
    assert backwards, str(backwards)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, sizes: {"wk": 2 * copied(p, sizes)["wk"]},
        lambda p, sizes: {"wk": copied(p, sizes)["wk"].flip(-1)},
        lambda p, sizes: {},
    ],
)
def test_a_wrong_witness_is_refused(wrong):
    verdict = check((heads, shared_keys), grade="reduces", witness=Witness(to_left=wrong))
    assert not verdict
    assert "to_left" in verdict.reason


def test_a_grade_without_its_witness_is_not_certified():
    for given_ in (None, Witness(), Witness(to_right=copied)):
        verdict = check((heads, shared_keys), grade="reduces", witness=given_)
        assert not verdict
        assert verdict.mark == "outside"
        assert "to_left" in verdict.reason


@vs.diagram
def two_maps(x: "n d", y: "m e") -> "n m":
    q, k = vs.linear(x, "d", "c", name="wq"), vs.linear(y, "e", "c", name="wk")
    return vs.contract(q, k, over="c")


def test_a_gauge_change_is_a_reparametrisation():
    def turned(p, sizes):
        torch.manual_seed(0)
        gauge = torch.randn(sizes["c"], sizes["c"], dtype=torch.float64)
        return {"wq": p["wq"] @ gauge, "wk": p["wk"] @ torch.linalg.inv(gauge).T}

    both = Witness(to_left=turned, to_right=turned)
    assert check((two_maps, two_maps), grade="reparametrised", witness=both)
    verdict = check((two_maps, two_maps), grade="reparametrised", witness=Witness(to_left=turned))
    assert not verdict
    assert "to_right" in verdict.reason


@vs.diagram
def score(q: "n", k: "m") -> "n m":
    return vs.learner("u", q, k)


@vs.diagram
def product(q: "n", k: "m") -> "n m":
    return q * k


@vs.diagram
def four_units(q: "", k: "") -> "":
    """Σ_i w_i·gelu(a_i·q + b_i·k)"""
    a, b, w = (vs.parameter(name, "i:4") for name in "abw")
    return vs.contract(w, vs.gelu(a * q + b * k), over="i")


def by_squares(p, sizes, scale):
    """q·k as a second difference of a smooth function, at step 1/scale."""
    step = 1 / scale
    a = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64) * step
    b = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64) * step
    w = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    curvature = math.sqrt(2 / math.pi)  # of gelu at 0
    return {"u.a": a, "u.b": b, "u.w": w / (4 * step**2 * curvature)}


def test_a_limit_is_shown_by_a_family_whose_error_falls():
    family = Witness(to_left=by_squares, fill={"u": four_units}, scales=(2.0, 8.0, 32.0))
    verdict = check((score, product), grade="limit", witness=family)
    assert verdict, str(verdict)
    assert verdict.measured < 0.05
    stuck = Witness(
        to_left=lambda p, sizes, scale: by_squares(p, sizes, 2.0),
        fill={"u": four_units},
        scales=(2.0, 8.0, 32.0),
    )
    verdict = check((score, product), grade="limit", witness=stuck)
    assert not verdict
    assert "does not fall" in verdict.reason
    unfilled = Witness(to_left=by_squares, scales=(2.0, 8.0))
    assert "hole" in check((score, product), grade="limit", witness=unfilled).reason


def test_a_bound_is_measured_or_held_to():
    @vs.diagram
    def exactly(x: "n") -> "n":
        return vs.tanh(x)

    @vs.diagram
    def nearly(x: "n") -> "n":
        return vs.tanh(x) + 0.01 * vs.sin(x)

    measured = check((exactly, nearly), grade="approximates")
    assert measured
    assert 0 < measured.measured <= 0.01
    bound = Grade(Relation.EQUAL, Precision.BOUND, error=0.01)
    assert check((exactly, nearly), grade=bound)
    tight = Grade(Relation.EQUAL, Precision.BOUND, error=0.001)
    verdict = check((exactly, nearly), grade=tight)
    assert not verdict
    assert "the stated bound is 0.001" in verdict.reason


def test_a_variant_keeps_a_counterexample_and_says_when_there_is_none():
    assert check(RULES["exponential_to_elu_kernel"]).counterexample is not None

    @rule("variant")
    def really_equal(x: "", y: "") -> "":
        return vs.exp(x + y), vs.exp(x) * vs.exp(y)

    verdict = check(really_equal)
    assert verdict
    assert verdict.counterexample is None
    assert "may be equal" in verdict.notes[0]


# -- verdicts -------------------------------------------------------------------------------------


def test_a_verdict_prints_what_it_rests_on():
    text = str(check(normalise_late))
    assert text.startswith("normalise_late (equal): holds, exact\n  finite field: equal, ")
    assert "wrong with probability ≤ " in text
    assert "engine: equal" in text


def test_the_weakest_mark():
    assert weakest(["exact", "rational", "sampled"]) == "sampled"
    assert weakest(["exact", "outside", "sampled"]) == "outside"
    assert weakest([]) == "exact"
