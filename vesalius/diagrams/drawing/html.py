"""An interactive page in one file: no network, nothing to install, works from a disk.

Without scripts the page shows the picture as it is; with them boxes open in place, axes light
up, costs colour the boxes, and several diagrams are stepped through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from vesalius.diagrams.drawing.model import Models
from vesalius.diagrams.drawing.strips import Change, Frame
from vesalius.diagrams.drawing.svg import escape, style
from vesalius.diagrams.drawing.theme import THEMES, colours

if TYPE_CHECKING:
    from vesalius.diagrams.drawing.picture import Options, Picture


def html(picture: Picture) -> str:
    """The page of one picture."""
    diagram = picture.shown
    frame = Frame(diagram, picture.scene, "", frozenset(), frozenset())
    return page(picture.diagram.name or "diagram", picture.svg(), picture.options, [frame], ())


def page(
    title: str, svg: str, options: Options, frames: Sequence[Frame], changes: Sequence[Change]
) -> str:
    """A page that steps through frames; `svg` is what stands there without scripts."""
    models = Models(options.direction == "down", options.tubes, options.labels)
    data = {
        "frames": [
            {
                "scene": models.add(frame.diagram),
                "caption": frame.caption,
                "goes": sorted(frame.goes),
                "comes": sorted(frame.comes),
            }
            for frame in frames
        ],
        "changes": [
            {name: getattr(change, name) for name in ("sign", "rule", "grade", "law", "source")}
            for change in changes
        ],
        "scenes": models.scenes,
        "depth": options.depth,
        "theme": options.theme,
        "themes": {name: colours(theme) for name, theme in THEMES.items()},
    }
    # Nothing in a text may end the script that holds the data.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    source = files("vesalius.diagrams.drawing")
    return (
        source.joinpath("page.html")
        .read_text("utf-8")
        .replace("@TITLE@", escape(title))
        .replace("@STYLE@", _rules())
        .replace("@SCRIPT@", source.joinpath("page.js").read_text("utf-8"))
        .replace("@PICTURE@", svg)
        .replace("@DATA@", text)
    )


def _rules() -> str:
    """The rules of the pictures, on variables alone: the page sets the theme."""
    rules = style("light").replace(".v-light", ".page")
    return re.sub(r"(fill|stroke):#[0-9a-f]{6};(?=\1:var)", "", rules)
