"""What a reader may rely on: nothing covers anything, ports in order, tubes nest."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from drawing_checks import CHECKS
from drawing_samples import attention, block

import vesalius as vs
from vesalius.diagrams.drawing.regions import clash
from vesalius.diagrams.drawing.scene import Scene, Slab, Wire
from vesalius.diagrams.drawing.sketch import sketch

VIEWS = [
    {},
    {"direction": "down"},
    {"depth": 2},
    {"labels": "all", "legend": True},
    {"depth": 1, "direction": "down", "tubes": False},
]


@pytest.fixture(params=VIEWS, ids=str)
def scene(request: pytest.FixtureRequest, diagram: vs.Diagram) -> Scene:
    view = dict(request.param)
    if diagram.name == "encoder":
        view.pop("depth", None)  # twelve open blocks show nothing that one does not
    return drawn_scene(diagram, tuple(view.items()))


@cache
def drawn_scene(diagram: vs.Diagram, view: tuple[tuple[str, object], ...]) -> Scene:
    return vs.draw(diagram, **dict(view)).scene


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_picture_is_in_order(scene: Scene, check: Callable[[Scene], None]) -> None:
    check(scene)


def test_ports_are_in_order(diagram: vs.Diagram) -> None:
    """Each string ends at its port, ports stand in the order of the box, inputs as declared."""
    drawn = sketch(diagram)
    made = vs.draw(diagram).scene
    boxes = {shape.key: shape.box for shape in made.shapes}
    wires = {wire.key: wire for wire in made.wires}
    for glyph in drawn.glyphs:
        left, top, _, bottom = boxes[glyph.key]
        dip = (bottom - top) / 2 if glyph.look in ("dot", "scalar") else 0.2  # to a circle
        if glyph.free or glyph.look == "output":
            continue
        heights = []
        for port in glyph.ins:
            wire = wires[drawn.strings[port.string].key]
            ends = [
                numbers[-1]
                for command, numbers in wire.path
                if command == "L" and -0.2 < numbers[-2] - left < dip and top < numbers[-1] < bottom
            ]
            assert ends, (glyph.key, port)
            heights.append(sorted(ends))
        for above, below in pairwise(heights):
            assert above[0] < below[-1]
    for ends in (drawn.inputs, drawn.outputs):
        tops = [boxes[drawn.glyphs[k].key][1] for k in ends]
        assert tops == sorted(tops)


@pytest.mark.parametrize("direction", ["right", "down"])
def test_strings_run_on_into_frames(direction: str) -> None:
    """A string of the picture and the string inside the frame meet in a point."""
    scene = vs.draw(block, depth=1, direction=direction).scene
    outer = {point for wire in scene.wires for point in ends(wire)}
    frames = [shape for shape in scene.shapes if shape.inner is not None]
    assert len(frames) == 3
    for frame in frames:
        x, y = frame.inner.offset
        inner = {(round(a + x, 1), round(b + y, 1)) for w in frame.inner.wires for a, b in ends(w)}
        assert len(inner & outer) == 2, frame.key


def ends(wire: Wire) -> list[tuple[float, float]]:
    """Where a string touches something."""
    return [
        (round(anchor.at[0], 1), round(anchor.at[1], 1)) for anchor in wire.anchors if anchor.edge
    ]


def test_a_parameter_that_no_box_takes_in_is_drawn_inside_its_frame() -> None:
    """Added to a string, or given back: it is no part of a linear map."""

    @vs.diagram
    def shifted(x: "n d") -> {"y": "n d", "shift": "d"}:
        shift = vs.parameter("shift", "d")
        return {"y": vs.tanh(x) + shift, "shift": shift}

    with vs.Builder("host") as builder:
        x = builder.input("x", "n d")
        y, shift = shifted.boxed(x)
        host = builder.diagram(y=y, shift=shift)
    (frame,) = [s for s in vs.draw(host, depth=1).scene.shapes if s.inner is not None]
    assert [s.look for s in frame.inner.shapes if s.points] == ["parameter"]
    assert shifted.svg().count('class="parameter learned"') == 1


def test_an_option_that_none_has_is_refused() -> None:
    for options in ({"theme": "pink"}, {"direction": "up"}, {"labels": "some"}, {"depth": -1}):
        with pytest.raises(vs.FormatError, match="draw: "):
            vs.draw(attention, **options)
    with pytest.raises(vs.FormatError, match="ends in none of"):
        vs.draw(attention, "picture.bmp")


def test_regions_clash_when_they_overlap_and_do_not_nest() -> None:
    outer = [Slab(0, 100, 0, 50, 0, 50)]
    assert not clash(outer, [Slab(20, 80, 10, 40, 10, 40)])
    assert not clash(outer, [Slab(20, 180, 60, 90, 60, 90)])
    assert clash(outer, [Slab(20, 80, 40, 70, 40, 70)])
    assert clash(outer, [Slab(20, 180, 10, 40, 10, 40)])
    # From below the other region to inside it: apart at one end, inside at the other.
    assert clash(outer, [Slab(20, 80, 60, 90, 10, 40)])
