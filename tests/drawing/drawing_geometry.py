"""What the tests measure on a scene."""

from collections.abc import Iterator

from vesalius.diagrams.drawing.scene import Path, Scene, Shape, Text

Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box, slack: float = 0.0) -> bool:
    """Whether two rectangles have more than `slack` pixels in common, both ways."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return wide > slack and high > slack


def shifted(box: Box, by: tuple[float, float]) -> Box:
    return (box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1])


def scenes(scene: Scene, at: tuple[float, float] = (0.0, 0.0)) -> Iterator[tuple[Scene, tuple]]:
    """A scene and all scenes inside its frames, with where they stand."""
    yield scene, at
    for shape in scene.shapes:
        if shape.inner is not None:
            x, y = shape.inner.offset
            yield from scenes(shape.inner, (at[0] + x, at[1] + y))


def all_texts(scene: Scene) -> list[tuple[Text, Box]]:
    return [(text, shifted(text.box, at)) for one, at in scenes(scene) for text in one.texts()]


def all_shapes(scene: Scene) -> list[tuple[Shape, Box]]:
    """Glyphs that are drawn as something: not the ends, not the frames."""
    return [
        (shape, shifted(ink(shape), at))
        for one, at in scenes(scene)
        for shape in one.shapes
        if shape.look not in ("input", "output", "frame")
    ]


def ink(shape: Shape) -> Box:
    """The rectangle of what is filled: of a triangle, without its name."""
    if shape.points:
        xs, ys = zip(*shape.points, strict=True)
        return (min(xs), min(ys), max(xs), max(ys))
    return shape.box


def points(path: Path, steps: int = 12) -> Iterator[tuple[float, float]]:
    """Points along a path, close together."""
    here = (0.0, 0.0)
    for command, numbers in path:
        if command == "M":
            here = numbers[:2]
        elif command == "L":
            for k in range(steps + 1):
                t = k / steps
                yield tuple(a + (b - a) * t for a, b in zip(here, numbers, strict=True))
            here = numbers
        elif command == "C":
            p = [here, numbers[:2], numbers[2:4], numbers[4:]]
            for k in range(steps + 1):
                t = k / steps
                w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                yield tuple(sum(a * q[i] for a, q in zip(w, p, strict=True)) for i in (0, 1))
            here = numbers[4:]
