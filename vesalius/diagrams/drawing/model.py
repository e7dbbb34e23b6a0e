"""A picture as data for the page: scenes, with the scenes that its named boxes open into."""

from __future__ import annotations

import json
from typing import Any

from vesalius.diagrams.cost import FLOPS_PER_OPERATION
from vesalius.diagrams.drawing.formula import formula
from vesalius.diagrams.drawing.layout import lay_out
from vesalius.diagrams.drawing.measure import Frame, frame_of
from vesalius.diagrams.drawing.scene import Scene, Shape, Text, Wire
from vesalius.diagrams.drawing.sketch import Sketch, sketch
from vesalius.diagrams.errors import Outside
from vesalius.diagrams.expressions import size_text
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import ZERO, Size

MOST = 400  # scenes in a page; boxes beyond stay folded


class Models:
    """Scenes as they go into a page: equal ones once, numbered."""

    def __init__(self, down: bool, tubes: bool, labels: str) -> None:
        self.down = down
        self.tubes = tubes
        self.labels = labels
        self.scenes: list[dict[str, Any]] = []
        self.known: dict[str, int] = {}

    def add(self, diagram: Diagram) -> int:
        """The number of the scene of a diagram, all named boxes folded."""
        return self._add(sketch(diagram, 0, self.labels))

    def _add(self, drawn: Sketch, frame: Frame | None = None) -> int:
        scene = lay_out(drawn, down=self.down, tubes=self.tubes, frame=frame)
        glyphs = {glyph.key: glyph for glyph in drawn.glyphs}
        model = _model(scene, drawn.diagram)
        for shape in model["shapes"]:
            glyph = glyphs[shape["key"]]
            if glyph.opens is not None and len(self.scenes) < MOST:
                around = frame_of(drawn, glyph)
                shape["body"] = self._add(glyph.opens(), around)
                shape["titled"] = around.titled
        text = json.dumps(model, sort_keys=True, ensure_ascii=False)
        found = self.known.get(text)
        if found is None:
            found = self.known[text] = len(self.scenes)
            self.scenes.append(model)
        return found


def _model(scene: Scene, diagram: Diagram) -> dict[str, Any]:
    axes = scene.axes
    return {
        "name": scene.name,
        "size": scene.size,
        "down": scene.down,
        "ins": scene.ins,
        "outs": scene.outs,
        "shapes": [_shape(shape, diagram) for shape in scene.shapes],
        "wires": [_wire(wire, axes) for wire in scene.wires],
        "regions": [
            {
                "key": region.key,
                "axes": sorted({axes[c] for c in region.axes}),
                "depth": region.depth,
                "title": region.title,
                "slabs": [list(slab) for slab in region.slabs],
                "origin": scene.origin,
                "text": _text(region.text) if region.text is not None else None,
            }
            for region in scene.regions
        ],
        "axes": _axes(scene),
    }


def _axes(scene: Scene) -> list[list[str]]:
    found: dict[tuple[str, str], None] = {}
    for wire in scene.wires:
        for c in wire.axes:
            found.setdefault((scene.axes[c], size_text(scene.sizes[c])))
    return [list(pair) for pair in found]


def _shape(shape: Shape, diagram: Diagram) -> dict[str, Any]:
    model: dict[str, Any] = {
        "key": shape.key,
        "look": shape.look,
        "box": shape.box,
        "texts": [_text(text) for text in shape.texts],
        "title": shape.title,
        "learned": shape.learned,
        "points": shape.points,
    }
    if shape.node >= 0:
        node = diagram.nodes[shape.node]
        model["formula"] = shape.formula or formula(diagram, node)
        flops = ZERO
        try:
            for k in sorted(shape.covers):
                one = diagram.nodes[k]
                for name, count in one.box.kind.cost(diagram.site(one)).items():
                    flops = flops + count * FLOPS_PER_OPERATION.get(name, 1)
        except Outside:  # a learner, which nobody knows the cost of
            return model
        model["cost"] = size_text(flops)
        model["flops"] = _terms(flops)
        model["variables"] = sorted(flops.variables)
    return model


def _wire(wire: Wire, axes: list[str]) -> dict[str, Any]:
    return {
        "key": wire.key,
        "axes": sorted({axes[c] for c in wire.axes}),
        "title": wire.title,
        "anchors": [list(anchor) for anchor in wire.anchors],
        "dots": wire.dots,
        "marks": [*wire.ticks, *wire.ends],
        "texts": [_text(text) for text in wire.texts],
        "sleeve": bool(wire.sleeve),
    }


def _text(text: Text) -> dict[str, Any]:
    return {
        "at": text.at,
        "anchor": text.anchor,
        "role": text.role,
        "runs": [[run.text, run.face == "italic", run.sub, run.along] for run in text.label],
    }


def _terms(size: Size) -> list[Any]:
    """A polynomial as numbers and names; what divides stays a pair of polynomials."""
    return [
        [
            float(coefficient),
            [
                [atom, power]
                if isinstance(atom, str)
                else [[atom.how, _terms(atom.numerator), _terms(atom.denominator)], power]
                for atom, power in monomial
            ],
        ]
        for monomial, coefficient in size.terms
    ]
