"""Pairs and strips: diagrams in a row with captions, and what changes from one to the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vesalius.diagrams.drawing.difference import changed
from vesalius.diagrams.drawing.picture import Options, written
from vesalius.diagrams.drawing.scene import Scene, Text
from vesalius.diagrams.drawing.sketch import Sketch, sketch
from vesalius.diagrams.drawing.text import Label, Run, label_width, shortened, wrapped
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram

WIDTH = 1600.0  # pixels; a picture that would go beyond begins a new row
SIGN, NAME, CAPTION = 18.0, 11.0, 12.0  # font sizes
BETWEEN = 34.0  # pixels between pictures, at the least; the sign stands there
LINE = 16.0  # between lines of a caption
NARROW = 130.0  # a caption may be this wide under a picture that is not, a rule beside one


@dataclass(frozen=True)
class Change:
    """What happens between a diagram and the next one.

    `goes` are the nodes of the first that go, `comes` the nodes of the second that come: their
    places in `diagram.nodes`. None has them found by comparing the two. The strings that run
    between marked boxes are marked with them; `gone_wires` and `come_wires` mark others, by
    their numbers. A node that is drawn as a part of a box (a number, a bias) marks that box.

    `sign` stands between the pictures, `rule` above and `grade` below it. The page also shows
    `law`, what the rule says in symbols, and `source`, where it is written.
    """

    goes: Collection[int] | None = None
    comes: Collection[int] | None = None
    sign: str = "="
    rule: str = ""
    grade: str = ""
    law: str = ""
    source: str = ""
    gone_wires: Collection[int] = ()
    come_wires: Collection[int] = ()


@dataclass(frozen=True)
class Frame:
    """A diagram of a strip: its picture, its caption, the keys of what is marked in it."""

    diagram: Diagram
    scene: Scene
    caption: str
    goes: frozenset[str]
    comes: frozenset[str]


class Strip:
    """Several diagrams as one picture: shows itself in a notebook, and is written by `save`."""

    def __init__(
        self,
        diagrams: Sequence[Diagram],
        captions: Sequence[str],
        changes: Sequence[Change],
        width: float,
        options: Options,
    ) -> None:
        self.diagrams = tuple(diagrams)
        self.captions = (*captions, *[""] * (len(diagrams) - len(captions)))
        self.changes = tuple(changes)
        self.width = width
        self.options = options
        self.name = "strip-" + "-".join(dict.fromkeys(d.name for d in diagrams))

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The pictures one by one, with what goes and what comes."""
        options = self.options
        sketches = [sketch(d, options.depth, options.labels) for d in self.diagrams]
        goes: list[frozenset[str]] = [frozenset()] * len(sketches)
        comes = list(goes)
        for k, change in enumerate(self.changes):
            gone, come = change.goes, change.comes
            if gone is None or come is None:
                found = changed(self.diagrams[k], self.diagrams[k + 1])
                gone = found[0] if gone is None else gone
                come = found[1] if come is None else come
            goes[k] = _keys(sketches[k], gone, change.gone_wires)
            comes[k + 1] = _keys(sketches[k + 1], come, change.come_wires)
        return tuple(
            Frame(diagram, options.scene(drawn), caption, *marks)
            for diagram, drawn, caption, *marks in zip(
                self.diagrams, sketches, self.captions, goes, comes, strict=True
            )
        )

    def svg(self) -> str:
        """One SVG document with all pictures."""
        from vesalius.diagrams.drawing.svg import panels

        return panels(*_placed(self), theme=self.options.theme, name=self.name)

    def html(self) -> str:
        """A page that steps through the pictures and needs no network."""
        from vesalius.diagrams.drawing.html import page

        return page(self.name, self.svg(), self.options, self.frames, self.changes)

    def tikz(self, *, standalone: bool = True) -> str:
        """TikZ for plain LaTeX: a document, or with `standalone=False` the picture alone."""
        from vesalius.diagrams.drawing.tikz import panels

        placed, texts, _ = _placed(self)
        return panels(placed, texts, theme=self.options.theme, standalone=standalone)

    def save(self, file: str | Path) -> Path:
        """Write the strip; the ending says what: `.svg`, `.html`, `.tex` or `.tikz`."""
        return written(
            Path(file),
            {
                ".svg": self.svg,
                ".html": self.html,
                ".tex": self.tikz,
                ".tikz": lambda: self.tikz(standalone=False),
            },
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>'

    def __repr__(self) -> str:
        return f"<strip of {', '.join(d.name for d in self.diagrams)}>"


def strip(
    diagrams: Sequence[Diagram],
    captions: Sequence[str] = (),
    changes: Sequence[Change] | None = None,
    *,
    width: float = WIDTH,
    **options: Any,
) -> Strip:
    """Diagrams in a row, with a sign between neighbours, what goes dashed and what comes inked.

    `captions[k]` stands under picture k. `changes[k]` is what happens between pictures k and
    k + 1; without it, neighbours are compared, and `=` stands between them. A new row begins
    where the next picture would go beyond `width` pixels. The options are those of `vs.draw`.
    Raises `StructureError` when the numbers of diagrams, captions and changes do not fit.

    >>> import vesalius as vs
    >>> from vesalius.diagrams.drawing.strips import Change, strip
    >>> @vs.diagram
    ... def before(x: "n", y: "n") -> "n":
    ...     return vs.exp(x + y)
    >>> @vs.diagram
    ... def after(x: "n", y: "n") -> "n":
    ...     return vs.exp(x) * vs.exp(y)
    >>> step = Change(rule="exponential law", grade="equal", law="exp(x+y) = exp(x)·exp(y)")
    >>> film = strip([before, after], ["one exp", "two"], [step])
    >>> "exponential law" in film.svg()
    True
    """
    if not diagrams:
        raise StructureError("strip: at least one diagram")
    if len(captions) > len(diagrams):
        raise StructureError(f"strip: {len(captions)} captions for {len(diagrams)} diagrams")
    if changes is None:
        changes = [Change()] * (len(diagrams) - 1)
    if len(changes) != len(diagrams) - 1:
        raise StructureError(f"strip: {len(changes)} changes between {len(diagrams)} diagrams")
    for k, change in enumerate(changes):
        for word, numbers, most in (
            ("goes", change.goes, len(diagrams[k])),
            ("comes", change.comes, len(diagrams[k + 1])),
        ):
            wrong = sorted(n for n in numbers or () if not 0 <= n < most)
            if wrong:
                raise StructureError(f"strip: change {k}: {word}: there is no node {wrong[0]}")
    return Strip(diagrams, captions, changes, width, Options(**options))


def pair(left: Diagram, right: Diagram, captions: Sequence[str] = (), **options: Any) -> Strip:
    """Two diagrams side by side, what differs marked: dashed what goes, inked what comes."""
    return strip([left, right], captions, **options)


def _keys(drawn: Sketch, nodes: Collection[int], wires: Collection[int]) -> frozenset[str]:
    """The glyphs of these nodes, the strings that run between them, and those of these wires."""
    chosen = frozenset(nodes)
    found = {g.key for g in drawn.glyphs if not chosen.isdisjoint(g.covers)}
    for string in drawn.strings:
        source, *ends = [string.source[0], *(g for g, _ in string.targets)]
        between = drawn.glyphs[source].key in found
        if string.wire in wires or (between and any(drawn.glyphs[g].key in found for g in ends)):
            found.add(string.key)
    return frozenset(found)


# -- where everything stands ----------------------------------------------------------------------


def _placed(film: Strip) -> tuple[list[Any], list[Text], tuple[float, float]]:
    """The panels, the texts between and under them, and the size of the whole."""
    from vesalius.diagrams.drawing.svg import Panel

    panels: list[Panel] = []
    texts: list[Text] = []
    wide, top = 0.0, 0.0
    for row in _rows(film):
        high = max(film.frames[k].scene.size[1] for k in row)
        x, lines = 0.0, 0
        for k in row:
            frame = film.frames[k]
            if k:
                room = _between(film.changes[k - 1])
                texts += _sign(film.changes[k - 1], x + room / 2, top + high / 2)
                x += room
            own, tall = frame.scene.size
            across = _across(frame)
            at = (x + (across - own) / 2, top + (high - tall) / 2)
            panels.append(Panel(frame.scene, at, frame.goes, frame.comes))
            for n, line in enumerate(_caption(frame)):
                place = (x + across / 2, top + high + CAPTION + 2 + n * LINE)
                texts.append(Text(place, "middle", line, CAPTION, "legend"))
                lines = max(lines, n + 1)
            x += across
        wide = max(wide, x)
        top += high + lines * LINE + (12.0 if lines else 6.0)
    return panels, texts, (wide, top)


def _rows(film: Strip) -> list[list[int]]:
    rows: list[list[int]] = [[]]
    x = 0.0
    for k, frame in enumerate(film.frames):
        room = _between(film.changes[k - 1]) if k else 0.0
        if rows[-1] and x + room + _across(frame) > film.width:
            rows.append([])
            x = 0.0
        rows[-1].append(k)
        x += room + _across(frame)
    return rows


def _across(frame: Frame) -> float:
    """The width of a picture with its caption."""
    return max(frame.scene.size[0], *(label_width(c, CAPTION) + 12 for c in _caption(frame)), 0.0)


def _caption(frame: Frame) -> list[Label]:
    room = max(frame.scene.size[0], NARROW)
    return [(Run(line),) for line in wrapped(frame.caption, room, CAPTION)]


def _between(change: Change) -> float:
    """The room for a sign, with the rule above it and the grade below."""
    names = [label_width(label, NAME) + 20 for label in (*_rule(change), _grade(change))]
    return max(BETWEEN, label_width((Run(change.sign),), SIGN) + 16, *names)


def _rule(change: Change) -> list[Label]:
    return [(Run(line),) for line in wrapped(change.rule, NARROW, NAME)]


def _grade(change: Change) -> Label:
    return (Run(shortened(change.grade)),)


def _sign(change: Change, x: float, y: float) -> list[Text]:
    found = [Text((x, y + 6), "middle", (Run(change.sign),), SIGN, "sign")]
    for n, label in enumerate(reversed(_rule(change))):
        found.append(Text((x, y - 14.0 - 14.0 * n), "middle", label, NAME, "tick"))
    if change.grade:
        found.append(Text((x, y + 23.0), "middle", _grade(change), NAME, "tick"))
    return found
