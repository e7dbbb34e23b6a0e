"""What people try first, and what they are told."""

import numpy as np
import pytest
import torch

import vesalius as vs


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def layer(x: "n d") -> "n e":
    return vs.linear(x, "d", "e", name="w")


@pytest.mark.parametrize("make", [torch.ones, np.ones])
def test_a_diagram_called_with_arrays_says_how_they_are_computed_with(make):
    q, k, v = make((2, 3)), make((4, 3)), make((4, 5))
    with pytest.raises(vs.StructureError, match=r"attention\.evaluate\(\.\.\.\), or vs\.to_torch"):
        attention(q, k, v)


def test_inputs_are_given_in_order_or_by_name():
    q, k, v = torch.randn(2, 3), torch.randn(4, 3), torch.randn(4, 5)
    wanted = attention.evaluate(q, k, v)
    assert torch.equal(attention.evaluate(v=v, q=q, k=k), wanted)
    assert torch.equal(attention.evaluate(q, k, v=v), wanted)
    with pytest.raises(vs.StructureError, match="the input 'q' is given twice"):
        attention.evaluate(q, k, q=q)
    with pytest.raises(vs.StructureError, match=r"has 3 inputs \(q, k, v\), 2 were given"):
        attention.evaluate(q, v=v)


def test_a_parameter_that_cannot_be_drawn_is_named():
    x = torch.ones(2, 3)
    with pytest.raises(vs.SizeError, match=r"layer: the parameter 'w' .* pass parameters=\{'w'"):
        layer.evaluate(x)
    assert layer.evaluate(x, sizes={"e": 4}).shape == (2, 4)
    assert layer.evaluate(x, parameters={"w": torch.ones(3, 4)}).tolist() == [[3.0] * 4] * 2


@pytest.mark.parametrize("verb", [vs.exp, vs.relu, vs.tanh])
def test_a_function_of_entries_takes_no_axis(verb):
    with pytest.raises(vs.TypeClash, match="takes no parameters, not over, dim"):

        @vs.diagram
        def wrong(x: "n d") -> "n d":
            return verb(x, over="d", dim=1)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(vs.StructureError, match="there is no device 'cuda' here"):
        vs.to_torch(layer, sizes={"d": 3, "e": 4}, device="cuda")
