"""Which form is taken: of a scan a loop, sums or steps; for one query the plain products."""

import pytest
import torch

import vesalius as vs
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target
from vesalius.compile.offers import CLEARLY
from vesalius.compile.roofline import predicted

SDPA = "scaled_dot_product_attention"
ALONG = ("chunked", "recurrence", "fast_weights", "exponential_means", "cumulative_sum")


@vs.diagram
def fades(state: "", x: "", rate: "") -> {"state": "", "each": ""}:
    state = vs.exp(rate) * state + x
    return {"state": state, "each": state}


@vs.diagram
def fading(x: "n c", rate: "c") -> "n c":
    """A state for each channel: in chunks, its pairs are made for each of them."""
    return vs.scan(fades, over="n", states=[0.0], sequences=[x], captured=[rate])[1]


@vs.diagram
def remembers(state: "c e", q: "c", k: "c", v: "e", rate: "") -> {"state": "c e", "each": "e"}:
    state = vs.exp(rate) * state + k * v
    return {"state": state, "each": vs.contract(q, state, over="c")}


@vs.diagram
def retention(q: "n c", k: "n c", v: "n e", rate: "") -> "n e":
    start = vs.expand(0.0, "c e")
    return vs.scan(remembers, over="n", states=[start], sequences=[q, k, v], captured=[rate])[1]


def taken(diagram, **sizes):
    return chosen(diagram, Target(sizes=sizes))


@pytest.mark.parametrize("n", [256, 1024, 4096])
def test_states_of_channels_go_in_steps_and_states_of_matrices_in_chunks(n):
    assert taken(fading, n=n, c=64).choices.kernels == ["recurrence"]
    assert "chunked" in taken(retention, n=n, c=64, e=64).choices.kernels


def test_of_a_few_positions_a_loop_is_fastest():
    found = taken(retention, n=2, c=64, e=64).choices
    assert "a loop over positions" in str(found)
    assert "not chunked: all pairs would be made" in str(found)


@pytest.mark.parametrize("diagram", [fading, retention], ids=lambda diagram: diagram.name)
@pytest.mark.parametrize("n", [2, 64, 1024])
def test_no_form_that_is_left_is_expected_to_be_clearly_faster(diagram, n):
    sizes = {"n": n, "c": 64, "e": 64}
    best = predicted(taken(diagram, **sizes).diagram, Target(sizes=sizes))
    for forbid in (["chunked"], ["recurrence"], list(ALONG)):
        target = Target(sizes=sizes, forbid=forbid)
        other = predicted(chosen(diagram, target).diagram, target)
        assert CLEARLY * best <= other


def test_what_is_preferred_is_taken():
    prefer = Target(sizes={"n": 1024, "c": 64}, prefer=("chunked",))
    assert "chunked" in chosen(fading, prefer).choices.kernels


def test_every_form_means_the_same():
    torch.manual_seed(0)
    inputs = [torch.randn(70, 3, dtype=torch.float64), -torch.rand(3, dtype=torch.float64)]
    wanted = fading.evaluate(*inputs)
    for options in ({}, {"prefer": ["chunked"]}, {"forbid": ALONG}):
        module = vs.to_torch(fading, torch.float64, **options)
        torch.testing.assert_close(module(*inputs), wanted)


# -- one query ------------------------------------------------------------------------------------


@vs.diagram
def one_query_each(q: "e c", x: "m c", v: "m e") -> "e":
    """The keys are those of all queries, but each has values of its own: they are its tube."""
    return vs.contract(vs.softmax(vs.contract(q, x, over="c"), "m"), v, over="m")


@vs.diagram
def one_query(q: "h c", k: "h m c", v: "h m c") -> "h c":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), "m"), v, over="m")


def test_keys_are_not_repeated_for_one_query():
    text = str(taken(one_query_each, e=64, c=64, m=1024).choices)
    assert "as it is written" in text
    assert f"not {SDPA}: " in text
    assert taken(one_query, h=8, c=64, m=1024).choices.kernels == [SDPA]


@pytest.mark.parametrize("name", ["aft_simple", "dynamic_convolution"])
def test_mixing_by_channels_is_no_fused_attention(name):
    diagram = vs.anatomy[name]()
    sizes = {k: {"h": 8, "c": 8, "w": 7}.get(k, 64) for k in diagram.size_variables if k != "n"}
    assert SDPA not in vs.to_torch(diagram, sizes=sizes).explain().kernels
