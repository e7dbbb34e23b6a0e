"""Parts as boxes: the same diagram, in which each slot is one named box."""

import pytest

import vesalius as vs
from vesalius.anatomy.dissection import dissecting, part
from vesalius.diagrams.boxes.nested import NAMED

BUILT = [
    pytest.param(mechanism, options, id=f"{mechanism.name}{'-causal' if options else ''}")
    for mechanism in vs.anatomy
    for options in ({}, {"causal": True})
    if not options or "causal" in mechanism.options
]


def folded(diagram):
    """The names of the boxes that are folded, in order."""
    return [node.box["name"] for node in diagram.boxes if node.box.kind is NAMED]


@pytest.mark.parametrize(("mechanism", "options"), BUILT)
def test_unfolded_it_is_the_diagram_itself(mechanism, options):
    assert mechanism.dissected(**options).unfold() == mechanism(**options).unfold()


@pytest.mark.parametrize("name", ["bahdanau", "scaled_dot_product", "cosine", "spherical"])
def test_every_slot_is_one_box(name):
    mechanism = vs.anatomy[name]
    assert folded(mechanism.dissected()) == ["similarity", "normaliser", "mixing"]
    causal = folded(mechanism.dissected(causal=True))
    assert sorted(causal) == ["mask", "mixing", "normaliser", "similarity"]


def test_what_a_part_maps_over_stays_outside():
    """Softmax of the scores of queries n is a box on keys m alone, in tubes n and h."""
    dissected = vs.anatomy["multihead"].dissected()
    bodies = {
        node.box["name"]: node.box["body"] for node in dissected.boxes if node.box.kind is NAMED
    }
    assert bodies["normaliser"].input_types["scores"] == vs.ArrayType.parse("m:n")
    assert list(bodies["similarity"].input_types.values()) == [vs.ArrayType.parse("c")] * 2


def test_an_axis_that_a_part_makes_itself_is_no_tube():
    """Σ_h p·x reads as well without h in x, and is another function then."""

    @part
    def weighed(x):
        return vs.contract(x, vs.parameter("p", "h"), over="h")

    def whole(x: "n h") -> "n":
        return weighed(x) + 1

    plain = vs.diagram(whole)
    with dissecting({"weighed": "weights"}):
        dissected = vs.diagram(whole)
    assert folded(plain) == []
    assert folded(dissected) == ["weights"]
    assert dissected.unfold() == plain


def test_a_part_inside_a_part_and_one_that_makes_nothing_are_no_boxes():
    @part
    def inner(x):
        return vs.exp(x)

    @part
    def outer(x):
        return inner(x) + 1

    @part
    def nothing(x):
        return x

    with dissecting({"inner": "similarity", "outer": "normaliser", "nothing": "mask"}):

        @vs.diagram
        def both(x: "n") -> "n":
            return outer(nothing(x)) * inner(x)

    assert folded(both) == ["normaliser", "similarity"]
    assert folded(vs.anatomy["bahdanau"]()) == []
