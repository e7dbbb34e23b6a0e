"""Grades other than equal: each is shown by its witness, its bound or a counterexample."""

import math

import pytest
import torch

import vesalius as vs
from vesalius.rewrite.check import check
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.witness import Witness


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


def test_a_map_that_serves_one_way_is_tried_both_ways():
    """Half the weight does for twice the product; half of half of it does not."""

    @vs.diagram
    def once(x: "n") -> "n":
        return vs.parameter("w", "n") * x

    @vs.diagram
    def twice(x: "n") -> "n":
        return 2 * vs.parameter("w", "n") * x

    def halved(p, sizes):
        return {"w": p["w"] / 2}

    def doubled(p, sizes):
        return {"w": p["w"] * 2}

    sides = (twice, once)
    assert check(sides, grade="reparametrised", witness=Witness(halved, doubled))
    verdict = check(sides, grade="reparametrised", witness=Witness(halved, halved))
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
    broken = Witness(
        to_left=lambda p, sizes, scale: {
            name: x * math.nan for name, x in by_squares(p, sizes, scale).items()
        },
        fill={"u": four_units},
        scales=(2.0, 8.0, 32.0),
    )
    verdict = check((score, product), grade="limit", witness=broken)
    assert not verdict  # errors that are infinite do not fall
    lacking = Witness(to_left=lambda p, sizes, scale: {}, fill={"u": four_units}, scales=(2.0, 8.0))
    verdict = check((score, product), grade="limit", witness=lacking)
    assert not verdict
    assert "the parameters of to_left do not fit: nothing is said of" in verdict.reason
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
