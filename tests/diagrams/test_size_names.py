"""Sizes that a diagram does not have are refused wherever sizes are given, never ignored."""

import pytest

import vesalius as vs


@vs.diagram
def layer(x: "n width") -> "n e":
    return vs.linear(x, "width", "e", name="w")


@pytest.mark.parametrize(
    "act",
    [
        lambda: vs.to_torch(layer, sizes={"width": 2, "e": 3, "widht": 2}),
        lambda: vs.to_torch(layer, sizes={"width": 2, "e": 3}, tune={"n": 4, "widht": 2}),
        lambda: vs.search(layer, at={"n": 2, "width": 2, "e": 2, "widht": 2}),
        lambda: vs.search(layer, cost=len, at={"widht": 2}),
        lambda: layer.cost().at(n=2, width=2, e=2, widht=2),
        lambda: layer.cost().leading("widht"),
        lambda: layer.cost().leading("n").leading("widht"),
        lambda: layer.substitute(widht=2),
        lambda: vs.derive(layer, vs.Choose({"widht": 2})),
        lambda: vs.profile(layer, sizes={"widht": 2}),
    ],
)
def test_a_misspelt_size_is_refused(act):
    with pytest.raises(
        vs.SizeError,
        match=r"layer.* has no size 'widht'; did you mean 'width'\? it has n, width, e",
    ):
        act()


def test_a_size_that_vanishes_from_the_cost_may_be_given():
    @vs.diagram
    def first(x: "n m") -> "n":
        return vs.sum(vs.slice(x, "m", 0, 1), "m")

    assert "m" not in first.cost().flops.variables
    assert first.cost().at(n=3, m=5).flops == first.cost().leading("n").at(n=3, m=7).flops


@pytest.mark.parametrize("heads", ["four", "2*four"])
def test_a_size_of_a_mechanism_is_a_number_or_in_its_own_sizes(heads):
    with pytest.raises(vs.FormatError, match="the size h is a number, a letter, or a formula in"):
        vs.anatomy["multihead"](heads=heads)
    assert "h" not in vs.anatomy["multihead"](heads="d").size_variables
