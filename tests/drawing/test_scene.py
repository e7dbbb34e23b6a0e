"""What a reader may rely on: nothing covers anything, ports in order, tubes nest."""

from functools import cache
from itertools import combinations, pairwise

import pytest
from drawing_geometry import all_shapes, all_texts, overlap, points, scenes
from drawing_samples import attention, block

import vesalius as vs
from vesalius.diagrams.drawing.scene import Region, Scene, Wire
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


def test_no_text_covers_text_or_a_box(scene: Scene) -> None:
    texts = all_texts(scene)
    for (one, a), (other, b) in combinations(texts, 2):
        assert not overlap(a, b, 0.5), (one, other)
    shapes = all_shapes(scene)
    for text, a in texts:
        for shape, b in shapes:
            if text not in shape.texts:
                assert not overlap(a, b, 0.5), (text, shape.key)


def test_labels_fit_their_boxes(scene: Scene) -> None:
    for shape, box in all_shapes(scene):
        for text in shape.texts:
            if not shape.points:
                left, _, right, _ = shape.box
                assert text.box[0] >= left + 4
                assert text.box[2] <= right - 4
        del box


def test_boxes_are_apart(scene: Scene) -> None:
    for (one, a), (other, b) in combinations(all_shapes(scene), 2):
        assert not overlap(a, b), (one.key, other.key)


def test_no_string_passes_through_a_box(scene: Scene) -> None:
    for one, _ in scenes(scene):
        boxes = [
            # A frame is entered from above through the line that holds its name.
            (shape.key, shape.box, 20.5 if shape.look == "frame" else 8.0)
            for shape in one.shapes
            if shape.look not in ("input", "output") and not shape.points
        ]
        for wire in one.wires:
            for x, y in points(wire.path):
                for key, (left, top, right, bottom), room in boxes:
                    deep = min(x - left, right - x, y - top, bottom - y)
                    # Strings touch round glyphs inside their rectangle, at its ends.
                    limit = room if key in wire.around else 0.5
                    assert deep < limit, (wire.key, key)


def test_everything_lies_in_the_picture(scene: Scene) -> None:
    wide, high = scene.size
    frame = (0.0, 0.0, wide, high)
    for _, box in [*all_texts(scene), *all_shapes(scene)]:
        assert box[0] >= frame[0]
        assert box[1] >= frame[1]
        assert box[2] <= frame[2]
        assert box[3] <= frame[3]


def spans(region: Region, u: float) -> list[tuple[float, float]]:
    """What a region covers across the flow at u."""
    found = []
    for u0, u1, a0, b0, a1, b1, *_ in region.slabs:
        if u0 < u < u1:
            t = (u - u0) / (u1 - u0)
            s = eased(t)
            found.append((a0 + (a1 - a0) * s, b0 + (b1 - b0) * s))
    return sorted(found)


def eased(t: float) -> float:
    """How far across a string is that is t of the way along: its curve, solved for t."""
    low, high = 0.0, 1.0
    for _ in range(30):
        s = (low + high) / 2
        along = 3 * 0.5 * s * (1 - s) ** 2 + 3 * 0.5 * s * s * (1 - s) + s**3
        low, high = (s, high) if along < t else (low, s)
    return 3 * low * low * (1 - low) + low**3


def test_tubes_nest_or_are_apart(scene: Scene) -> None:
    for one, _ in scenes(scene):
        for a, b in combinations(one.regions, 2):
            places = sorted({u for slab in (*a.slabs, *b.slabs) for u in slab[:2]})
            middles = [(u + v) / 2 for u, v in pairwise(places)]
            outer, inner = (a, b) if a.depth <= b.depth else (b, a)
            inside, apart = True, True
            for u in middles:
                around = spans(outer, u)
                for lo, hi in spans(inner, u):
                    inside &= any(x <= lo + 0.1 and hi <= y + 0.1 for x, y in merged(around))
                    apart &= all(hi <= x or y <= lo for x, y in around)
            assert inside or apart, (a.key, b.key)


def merged(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    result: list[tuple[float, float]] = []
    for lo, hi in found:
        if result and lo <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], hi))
        else:
            result.append((lo, hi))
    return result


def test_ports_are_in_order(diagram: vs.Diagram) -> None:
    """Each string ends at its port, ports stand in the order of the box, inputs as declared."""
    drawn = sketch(diagram)
    made = vs.draw(diagram).scene
    boxes = {shape.key: shape.box for shape in made.shapes}
    wires = {wire.key: wire for wire in made.wires}
    for glyph in drawn.glyphs:
        left, top, _, bottom = boxes[glyph.key]
        if glyph.free or glyph.look == "output":
            continue
        heights = []
        for port in glyph.ins:
            wire = wires[drawn.strings[port.string].key]
            ends = [
                numbers[-1]
                for command, numbers in wire.path
                if command == "L" and abs(numbers[-2] - left) < 0.2 and top < numbers[-1] < bottom
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


def test_an_option_that_none_has_is_refused() -> None:
    for options in ({"theme": "pink"}, {"direction": "up"}, {"labels": "some"}, {"depth": -1}):
        with pytest.raises(vs.FormatError, match="draw: "):
            vs.draw(attention, **options)
    with pytest.raises(vs.FormatError, match="ends in none of"):
        vs.draw(attention, "picture.bmp")
