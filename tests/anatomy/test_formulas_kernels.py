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


@given(lengths, st.integers(1, 3), st.booleans(), st.booleans(), seeds)
def test_the_two_layers_of_based(n, width, causal, padding, seed):
    """Arora et al. 2024, section 4: a Taylor series of exp over all, softmax over a window."""
    sizes = {"heads": 2, "d": 4, "r": 3, "c": 2, "e": 3, "window": width}
    ours = vs.anatomy["based_layers"](causal=causal, padding=padding, **sizes)
    shapes = {name: [s.constant for s in t.axes.values()] for name, t in ours.parameters.items()}
    weights = dict(zip(shapes, arrays(seed, *shapes.values()), strict=True))
    (x,) = arrays(seed + 1, (n, 4))
    keep = kept(seed, n) if padding else None
    found = run(ours, [x], keep, weights)

    far = torch.arange(n)[:, None] - torch.arange(n)
    seen = (far >= 0 if causal else far == far) & (True if keep is None else keep)

    for layer, norm in (("taylor", "norm"), ("window", "norm_1")):
        y = torch.nn.functional.layer_norm(
            x, (4,), weights[f"{norm}.gain"], weights[f"{norm}.shift"], 1e-5
        )
        q, k, v = (
            torch.einsum("nd,dhc->hnc", y, weights[f"{layer}.{w}"]) for w in ("wq", "wk", "wv")
        )
        s = q @ k.mT / q.shape[-1] ** 0.5
        if layer == "taylor":
            w = (1 + s + s**2 / 2) * seen
        else:
            w = s.exp() * (seen & (far.abs() < width))
        o = (w / w.sum(-1, keepdim=True)).nan_to_num() @ v  # 0 where it sees nothing
        x = x + torch.einsum("hne,hed->nd", o, weights[f"{layer}.wo"])
    torch.testing.assert_close(found, x, rtol=1e-8, atol=1e-8)
