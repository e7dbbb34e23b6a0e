"""Pairs and strips: several diagrams in one picture, with captions, the difference lit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vesalius.diagrams.drawing.difference import changed
from vesalius.diagrams.drawing.layout import lay_out
from vesalius.diagrams.drawing.picture import Options
from vesalius.diagrams.drawing.scene import Text
from vesalius.diagrams.drawing.sketch import Sketch, sketch
from vesalius.diagrams.drawing.svg import Panel, panels
from vesalius.diagrams.drawing.text import Run, label_width, shortened
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram

BETWEEN = 34.0  # pixels between pictures; the sign stands there
CAPTION = 22.0


def strip(
    diagrams: Sequence[Diagram],
    captions: Sequence[str] = (),
    *,
    sign: str = "=",
    difference: bool = True,
    columns: int = 0,
    **options: Any,
) -> str:
    """Diagrams in a row as one SVG document, with a `sign` between neighbours.

    `captions[k]` stands under picture k. With `difference`, what changes from one picture to
    the next is lit on both sides. `columns` begins a new row after so many pictures. The
    options are those of `vs.draw`.
    """
    if not diagrams:
        raise StructureError("strip: at least one diagram")
    if len(captions) > len(diagrams):
        raise StructureError(f"strip: {len(captions)} captions for {len(diagrams)} diagrams")
    chosen = Options(**options)
    sketches = [sketch(d, chosen.depth, chosen.labels) for d in diagrams]
    scenes = [
        lay_out(s, down=chosen.direction == "down", tubes=chosen.tubes, legend=chosen.legend)
        for s in sketches
    ]
    lit: list[set[str]] = [set() for _ in diagrams]
    if difference:
        for k in range(len(diagrams) - 1):
            for side, nodes in zip((k, k + 1), changed(diagrams[k], diagrams[k + 1]), strict=True):
                lit[side] |= _keys(sketches[side], nodes)
    per_row = columns if columns > 0 else len(diagrams)
    placed: list[Panel] = []
    texts: list[Text] = []
    wide, y = 0.0, 0.0
    for start in range(0, len(diagrams), per_row):
        row = range(start, min(start + per_row, len(diagrams)))
        high = max(scenes[k].size[1] for k in row)
        x = 0.0 if start == 0 else BETWEEN
        for k in row:
            if k:
                label = (Run(sign),)
                texts.append(
                    Text((x - BETWEEN / 2, y + high / 2 + 5), "middle", label, 18.0, "sign")
                )
            placed.append(
                Panel(scenes[k], (x, y + (high - scenes[k].size[1]) / 2), frozenset(lit[k]))
            )
            across = scenes[k].size[0]
            if k < len(captions) and captions[k]:
                caption = (Run(shortened(captions[k], 80)),)
                across = max(across, label_width(caption, 12.0) + 12)
                texts.append(
                    Text((x + across / 2, y + high + 14), "middle", caption, 12.0, "legend")
                )
            x += across + BETWEEN
        wide = max(wide, x - BETWEEN)
        y += high + (CAPTION if captions else 0.0) + 6
    name = "strip-" + "-".join(dict.fromkeys(d.name for d in diagrams))
    return panels(placed, texts, (wide, y), theme=chosen.theme, name=name)


def pair(left: Diagram, right: Diagram, captions: Sequence[str] = (), **options: Any) -> str:
    """Two diagrams side by side as one SVG document, what differs lit."""
    return strip([left, right], captions, **options)


def _keys(drawn: Sketch, nodes: frozenset[int]) -> set[str]:
    """The glyphs of these nodes, and the strings that leave them for each other."""
    found = {g.key for g in drawn.glyphs if g.node in nodes or g.last in nodes}
    for string in drawn.strings:
        ends = [drawn.glyphs[string.source[0]], *(drawn.glyphs[g] for g, _ in string.targets)]
        if ends[0].key in found and any(end.key in found for end in ends[1:]):
            found.add(string.key)
    return found
