"""`vs.draw`: a diagram as a picture, and a picture as SVG, HTML, TikZ or DOT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vesalius.diagrams.drawing.layout import lay_out
from vesalius.diagrams.drawing.scene import Scene
from vesalius.diagrams.drawing.sketch import LABELS, Sketch, sketch
from vesalius.diagrams.drawing.theme import THEMES
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among

DIRECTIONS = ("right", "down")
MOST = 2500  # boxes that are laid out one by one; a larger diagram is drawn folded


@dataclass(frozen=True)
class Options:
    """How a diagram is drawn; each option is independent of the others.

    `direction` is the way the strings run: `right` or `down`. `depth` is how many levels of
    named boxes stand open. `theme` is `light`, `dark`, `print` or `safe` (for colour-blind
    readers). `labels` writes axes where they change (`changes`), on every string (`all`), or
    nowhere (`none`). `tubes` shades the regions that are mapped over an axis. `legend` lists
    the axes with their sizes.
    """

    direction: str = "right"
    depth: int = 0
    theme: str = "light"
    labels: str = "changes"
    tubes: bool = True
    legend: bool = False

    def scene(self, drawn: Sketch, note: str = "") -> Scene:
        """Where everything of a sketch is, with these options."""
        down = self.direction == "down"
        return lay_out(drawn, down=down, tubes=self.tubes, legend=self.legend, note=note)

    def __post_init__(self) -> None:
        for name, known in (("direction", DIRECTIONS), ("theme", THEMES), ("labels", LABELS)):
            value = getattr(self, name)
            if value not in known:
                raise FormatError(among(f"draw: {name}", known, value))
        if not isinstance(self.depth, int) or self.depth < 0:
            raise FormatError(f"draw: depth is a number of levels from 0 on, not {self.depth!r}")


class Picture:
    """A diagram with options: shows itself in a notebook, and is written by `save`."""

    def __init__(self, diagram: Diagram, options: Options) -> None:
        self.diagram = diagram
        self.options = options

    @property
    def shown(self) -> Diagram:
        """The diagram, or when it is too large to be looked at, itself as one box."""
        return self.diagram if len(self.diagram) <= MOST else self.diagram.fold()

    @cached_property
    def scene(self) -> Scene:
        """Where everything is."""
        options, shown = self.options, self.shown
        note = ""
        if shown is not self.diagram:
            note = f"{len(self.diagram)} boxes are more than a picture holds: drawn folded"
        return options.scene(sketch(shown, options.depth, options.labels), note)

    def svg(self) -> str:
        """One SVG document: real text, ids and classes, titles, no scripts."""
        from vesalius.diagrams.drawing.svg import svg

        return svg(self.scene, theme=self.options.theme)

    def html(self) -> str:
        """One page that needs no network: hover, click, zoom, keyboard, dark mode."""
        from vesalius.diagrams.drawing.html import html

        return html(self)

    def tikz(self, *, standalone: bool = True) -> str:
        """TikZ for plain LaTeX: a document, or with `standalone=False` the picture alone."""
        from vesalius.diagrams.drawing.tikz import tikz

        return tikz(self.scene, theme=self.options.theme, standalone=standalone)

    def dot(self) -> str:
        """The graph in the language of Graphviz, for its own programs."""
        from vesalius.diagrams.drawing.dot import dot

        return dot(self.diagram, self.options.direction)

    def save(self, file: str | Path) -> Path:
        """Write the picture; the ending says what: `.svg`, `.html`, `.tex` or `.dot`."""
        return written(
            Path(file),
            {
                ".svg": self.svg,
                ".html": self.html,
                ".tex": self.tikz,
                ".tikz": lambda: self.tikz(standalone=False),
                ".dot": self.dot,
                ".gv": self.dot,
            },
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        text = self.svg()
        return {"image/svg+xml": text, "text/html": text, "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>'

    def __repr__(self) -> str:
        return f"<picture of {self.diagram!r}>"


def written(path: Path, forms: Mapping[str, Callable[[], str]]) -> Path:
    """Write a file in the form that its ending asks for."""
    form = forms.get(path.suffix.lower())
    if form is None:
        raise FormatError(
            f"draw: {path.name!r} ends in none of {', '.join(forms)}; "
            "for PNG or PDF convert the SVG"
        )
    path.write_text(form(), encoding="utf-8", newline="\n")
    return path


def draw(
    diagram: Diagram,
    file: str | Path | None = None,
    *,
    direction: str = "right",
    depth: int = 0,
    theme: str = "light",
    labels: str = "changes",
    tubes: bool = True,
    legend: bool = False,
) -> Picture:
    """Draw a diagram; with `file` also write it (`.svg`, `.html`, `.tex`, `.dot`).

    See `Options` for what the options mean. Raises `FormatError` for a value that none has.

    >>> import vesalius as vs
    >>> @vs.diagram
    ... def f(x: "n d") -> "n d":
    ...     return vs.softmax(x, over="d")
    >>> vs.draw(f).svg()[:4]
    '<svg'
    """
    a_diagram("draw", diagram)
    picture = Picture(diagram, Options(direction, depth, theme, labels, tubes, legend))
    if file is not None:
        picture.save(file)
    return picture
