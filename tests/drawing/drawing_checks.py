"""What must hold of every picture: each function takes a scene and asserts one thing."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from drawing_geometry import Box, all_shapes, all_texts, ink, overlap, points, scenes

from vesalius.diagrams.drawing.scene import Region, Scene, Wire


def texts_are_clear(scene: Scene) -> None:
    texts = all_texts(scene)
    for (one, a), (other, b) in combinations(texts, 2):
        assert not overlap(a, b, 0.5), (one, other)
    shapes = all_shapes(scene)
    for text, a in texts:
        for shape, b in shapes:
            if text not in shape.texts:
                assert not overlap(a, b, 0.5), (text, shape.key)


def labels_fit(scene: Scene) -> None:
    for shape, box in all_shapes(scene):
        for text in shape.texts:
            if not shape.points:
                left, _, right, _ = shape.box
                assert text.box[0] >= left + 4
                assert text.box[2] <= right - 4
        del box


def boxes_are_apart(scene: Scene) -> None:
    for (one, a), (other, b) in combinations(all_shapes(scene), 2):
        assert not overlap(a, b), (one.key, other.key)


def deepest(scene: Scene, boxes: list[Box]) -> Iterator[tuple[Wire, np.ndarray]]:
    """For each string, how deep it goes into each of these rectangles."""
    around = np.array(boxes).reshape(-1, 1, 4)
    for wire in scene.wires:
        path = np.array(list(points(wire.path)))
        if len(path) and len(boxes):
            x, y = path[:, 0], path[:, 1]
            left, top, right, bottom = np.moveaxis(around, 2, 0)
            deep = np.minimum.reduce([x - left, right - x, y - top, bottom - y])
            yield wire, deep.max(axis=1)


def strings_are_clear(scene: Scene) -> None:
    for one, _ in scenes(scene):
        shapes = [s for s in one.shapes if s.look not in ("input", "output") and not s.points]
        for wire, found in deepest(one, [shape.box for shape in shapes]):
            for shape, deep in zip(shapes, found, strict=True):
                # A frame is entered from above through the line that holds its name; strings
                # touch round glyphs inside their rectangle, at its ends.
                room = 20.5 if shape.look == "frame" else 8.0
                assert deep < (room if shape.key in wire.around else 0.5), (wire.key, shape.key)


def all_is_inside(scene: Scene) -> None:
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


def tubes_nest(scene: Scene) -> None:
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


def strings_end_on_outlines(scene: Scene) -> None:
    """Where a string begins or ends at a glyph, it touches what is drawn of it."""
    for one, _ in scenes(scene):
        boxes = {shape.key: shape for shape in one.shapes}
        for wire in one.wires:
            for anchor in wire.anchors:
                shape = boxes.get(anchor.owner)
                if not anchor.edge or shape is None or shape.look in ("input", "output"):
                    continue
                (left, top, right, bottom), (x, y) = ink(shape), anchor.at
                assert left - 0.2 <= x <= right + 0.2, (wire.key, shape.key)
                assert top - 0.2 <= y <= bottom + 0.2, (wire.key, shape.key)
                if shape.look in ("dot", "scalar"):
                    radius = min(right - left, bottom - top) / 2
                    dx = max(left + radius - x, x - right + radius, 0.0)
                    dy = max(top + radius - y, y - bottom + radius, 0.0)
                    assert (dx * dx + dy * dy) ** 0.5 <= radius + 0.5, (wire.key, shape.key)


def strings_miss_texts(scene: Scene) -> None:
    """No string runs through the letters of a text; its own axes stand beside it."""
    for one, _ in scenes(scene):
        texts = [text for text in one.texts() if text.role != "legend"]
        for wire, found in deepest(one, [text.box for text in texts]):
            for text, deep in zip(texts, found, strict=True):
                assert deep < 1.5, (wire.key, text)


CHECKS = (
    texts_are_clear,
    labels_fit,
    boxes_are_apart,
    strings_are_clear,
    strings_end_on_outlines,
    strings_miss_texts,
    all_is_inside,
    tubes_nest,
)
