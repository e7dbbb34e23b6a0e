"""Pooled and recurrent attention, in all its forms, against the papers' formulas in loops."""

import pytest
import recurrent_transcriptions as paper
from hypothesis import given
from hypothesis import strategies as st
from test_formulas import arrays, kept, lengths, run, same, seeds

import vesalius as vs

FORMS = [("weights", False), ("weights", True), ("state", False), ("scan", True)]


@pytest.mark.parametrize(("form", "causal"), FORMS)
@given(lengths, lengths, st.booleans(), seeds)
def test_fastformer(form, causal, n, d, padding, seed):
    names = "wq", "wk", "wv", "aq", "ak", "wo"
    x, *weights = arrays(seed, (n, d), (d, d), (d, d), (d, d), (d,), (d,), (d, d))
    keep = kept(seed, n) if padding else None
    diagram = vs.anatomy["fastformer"](form=form, causal=causal, padding=padding)
    halves = [w / 2 for w in weights]
    ours = run(diagram, [x], keep, dict(zip(names, halves, strict=True)))
    theirs = paper.fastformer(*[w.tolist() for w in (x, *halves)], causal=causal, keep=keep)
    same(ours, theirs)


@pytest.mark.parametrize("form", ["weights", "scan"])
@given(lengths, lengths, lengths, lengths, seeds)
def test_rfa_gated(form, n, d, c, e, seed):
    names = "wq", "wk", "wv", "omega", "sigma", "wf", "wf_bias", "wo"
    shapes = (d, 2, c), (d, 2, c), (d, 2, e), (7, c), (c,), (d, 2), (2,), (2, e, d)
    x, *weights = arrays(seed, (n, d), *shapes)
    weights[3] = weights[3] / 4  # directions that turn slowly: no sum of weights is near zero
    weights[4] = weights[4] / 4
    ours = run(
        vs.anatomy["rfa_gated"](form=form), [x], None, dict(zip(names, weights, strict=True))
    )
    same(ours, paper.rfa_gated(*[w.tolist() for w in (x, *weights)]))
