"""The steps from a diagram to a module, each to be looked at."""

import re

import pytest
import torch

import vesalius as vs
from vesalius.compile import steps
from vesalius.compile.kernels import KERNELS, Target

SIZES = {"d": 8, "h": 2, "c": 4, "e": 4, "w": 2}
NAMES = ["scaled_dot_product", "multihead", "talking_heads", "relu_squared", "t5", "retnet"]


def made(name):
    diagram = vs.anatomy[name]()
    known = {k: v for k, v in SIZES.items() if k in diagram.unfold().size_variables}
    return diagram, known, steps(diagram, sizes=known)


@pytest.mark.parametrize("name", NAMES)
def test_every_step_computes_what_the_diagram_means(name) -> None:
    diagram, sizes, found = made(name)
    lengths = {**SIZES, "n": 6, "m": 5}
    inputs = [
        torch.randn([size.at(lengths) for size in type_.axes.values()], dtype=torch.float64)
        for type_ in diagram.input_types.values()
    ]
    wanted = diagram.evaluate(*inputs, sizes=sizes, seed=0)
    for step in (found.normalised, found.chosen):
        torch.testing.assert_close(step.evaluate(*inputs, sizes=sizes, seed=0), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_they_end_in_the_text_and_the_choices_of_the_module(name) -> None:
    diagram, sizes, found = made(name)
    module = vs.to_torch(diagram, sizes=sizes)
    assert (found.source, found.choices, found.chosen) == (
        module.source,
        module.explain(),
        module.chosen,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_layout_is_drawn_with_the_axes_in_order(name, tmp_path) -> None:
    _, _, found = made(name)
    layout = found.layout
    assert layout.diagram is found.chosen
    for order, type_ in zip(layout.orders, found.chosen.types, strict=True):
        assert sorted(order) == list(range(len(type_.sizes)))
    for port in found.chosen.inputs:
        assert layout.axes(port.wire) == port.axes  # inputs come as they are written
    layout.draw(tmp_path / "layout.svg")
    shown = re.sub(r"<title>.*?</title>|<[^>]*>", " ", (tmp_path / "layout.svg").read_text())
    (port,) = found.chosen.outputs
    assert " ".join(layout.axes(port.wire)) in " ".join(shown.split())


def test_the_target_is_heard() -> None:
    diagram = vs.anatomy["scaled_dot_product"]()
    found = steps(diagram, Target(forbid=tuple(KERNELS)))
    assert found.choices.kernels == []
    assert "softmax" in found.source
