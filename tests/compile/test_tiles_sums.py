"""Sums inside a tile over what has more axes than rows and columns."""

import re

import pytest
import torch

import vesalius as vs
from vesalius.compile.tiles import run


@vs.diagram
def additive_scores(q: "b n a", k: "b m a", v: "b m e", w: "a") -> "b n e":
    scores = vs.contract(w, vs.tanh(q + k), over="a")
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def test_rows_times_columns_times_hidden_units_lie_in_one_order():
    """Sums over rows, over columns and over both read that array as it lies, and copy nothing."""
    source = vs.to_torch(additive_scores).source
    assert source.count("quick_tanh(q[:, :, None] + k[:, None])") == 2
    assert re.search(r"d_w = (\w+)\.flatten\(\) @ (\w+)\.flatten\(0, 2\)", source)
    assert re.search(r"d_k = \((\w+) \* (\w+)\[\.\.\., None\]\)\.sum\(1\) \* w", source)
    assert re.search(r'd_q = torch\.einsum\("brca,brc->bra", \w+, \w+\) \* w', source)


@vs.diagram
def weighted_sums(q: "b n a u", k: "b m a u", v: "b m e", w: "a u") -> "b n e":
    """Scores of two hidden axes: sums over both, over one of several, and over neither."""
    x = vs.tanh(q + k)
    scores = vs.contract(w, x, over="a u") + vs.contract(w * x, vs.sum(x, "u"), over="a u")
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


SIZES = [
    {"b": 2, "n": 5, "m": 7, "a": 4, "u": 3, "e": 6},
    {"b": 1, "n": 41, "m": 1, "a": 1, "u": 5, "e": 2},
    {"b": 2, "n": 1, "m": 30, "a": 5, "u": 1, "e": 1},
]


@pytest.mark.parametrize("sizes", SIZES)
def test_sums_with_weights_over_any_axes(sizes, monkeypatch):
    monkeypatch.setattr(run, "room", lambda device: 100)
    module = vs.to_torch(weighted_sums, dtype=torch.float64)
    assert "Tiles(" in module.source
    assert re.search(r"\* \w+\[.*\]\)\.sum\(", module.source)
    generator = torch.Generator().manual_seed(0)
    found = []
    shapes = [[s.at(sizes) for s in t.axes.values()] for t in weighted_sums.input_types.values()]
    inputs = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]
    for function in (module, weighted_sums.evaluate):
        given = [x.clone().requires_grad_() for x in inputs]
        y = function(*given)
        found.append([y, *torch.autograd.grad(y.square().sum(), given)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
