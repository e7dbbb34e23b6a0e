"""Attention by features, in all its forms, against the papers' formulas in loops."""

import kernel_transcriptions as paper
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_formulas import arrays, kept, lengths, run, same, seeds

import vesalius as vs

FORMS = [("weights", False), ("weights", True), ("state", False), ("scan", True)]
forms = pytest.mark.parametrize(("form", "causal"), FORMS)
P = 6  # the longest sequence


def diagram_of(name, form, causal, padding, **sizes):
    """One form; a scan has as many keys as queries."""
    return vs.anatomy[name](form=form, causal=causal, padding=padding, **sizes)


@forms
@given(lengths, lengths, lengths, lengths, st.booleans(), seeds)
def test_cosformer(form, causal, n, m, c, e, padding, seed):
    m = n if form == "scan" else m
    q, k, v = arrays(seed, (n, c), (m, c), (m, e))
    keep = kept(seed, m) if padding else None
    ours = run(diagram_of("cosformer", form, causal, padding, p=P), [q, k, v], keep)
    lists = [x.tolist() for x in (q, k, v)]
    same(ours, paper.cosformer(*lists, P, causal=causal, keep=keep))


@forms
@given(lengths, lengths, lengths, lengths, st.booleans(), seeds)
def test_rfa(form, causal, n, m, c, e, padding, seed):
    m = n if form == "scan" else m
    q, k, v, omega, sigma = arrays(seed, (n, c), (m, c), (m, e), (40, c), (c,))
    omega = omega / 4  # few directions that turn slowly: no sum of weights is near zero
    keep = kept(seed, m) if padding else None
    weights = {"omega": omega, "sigma": sigma / 4}
    ours = run(diagram_of("rfa", form, causal, padding), [q, k, v], keep, weights)
    lists = [x.tolist() for x in (q, k, v, *weights.values())]
    same(ours, paper.rfa(*lists, causal=causal, keep=keep))


@pytest.mark.parametrize("name", ["performer", "rfa", "cosformer", "based", "efficient"])
@pytest.mark.parametrize("causal", [False, True])
@given(lengths, lengths, seeds)
def test_the_forms_are_one_function(name, causal, n, c, seed):
    q, k, v, omega, sigma = arrays(seed, (n, c), (n, c), (n, 3), (8, c), (c,))
    keep = kept(seed, n)
    results = []
    for form in ("weights", "scan" if causal else "state"):
        diagram = diagram_of(name, form, causal, True, **({"p": P} if name == "cosformer" else {}))
        given_ = {"omega": omega / 4, "sigma": sigma / 4}
        weights = {x: given_[x] for x in diagram.parameters}
        results.append(run(diagram, [q, k, v], keep, weights))
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


def test_many_random_features_come_near_to_softmax():
    """Performer, theorem 1: an unbiased estimate, whose error falls with the root of r."""
    q, k, v, omega = (x / 2 for x in arrays(3, (5, 4), (7, 4), (7, 3), (20_000, 4)))
    exact = vs.anatomy["scaled_dot_product"]().evaluate(q, k, v)
    near, few = (
        vs.anatomy["performer"]().evaluate(q, k, v, parameters={"omega": omega[:r]})
        for r in (20_000, 50)
    )
    assert 3 * (near - exact).norm() < (few - exact).norm()
    assert (near - exact).abs().max() < 0.15
