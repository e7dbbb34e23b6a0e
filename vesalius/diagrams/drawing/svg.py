"""A scene as SVG: real text, stable ids and classes, a title on everything, no script.

Colours are presentation rules first and CSS variables second, so that programs that know no
variables (many converters) show the theme, and a page can restyle all of it:
`.vesalius { --v-dark: navy }`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from vesalius.diagrams.drawing.scene import Path, Point, Region, Scene, Shape, Text, Wire
from vesalius.diagrams.drawing.text import Run, measured, run_size, width
from vesalius.diagrams.drawing.theme import THEMES, colours

SANS = "Helvetica,Arial,'Liberation Sans',sans-serif"
SERIF = "'Times New Roman',Times,'Liberation Serif',serif"
ROUNDING = 8.0  # the width of the stroke that rounds the corners of tubes


def escape(text: str) -> str:
    """A text as XML holds it; it holds no control characters."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def slug(name: str) -> str:
    """A name as an id or a class may hold it."""
    plain_ = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    return plain_ or "x"


def number(x: float) -> str:
    """A length, short and always the same."""
    text = f"{x:.1f}"
    return text[:-2] if text.endswith(".0") else text


def style(theme: str) -> str:
    """The rules of a theme; they hold inside pictures of that theme only."""
    known = colours(THEMES[theme])

    def c(name: str, prop: str = "fill") -> str:
        return f"{prop}:{known[name]};{prop}:var(--v-{name},{known[name]})"

    rules = {
        # Letters as wide as the table says, not rounded to pixels.
        "text": f"font:13px {SANS};text-rendering:geometricPrecision;{c('ink')}",
        ".i": f"font-family:{SERIF};font-style:italic",
        ".s": "font-size:74%",
        ".axes,.tick,.legend": f"font-size:12px;{c('axis')}",
        ".tick": "font-size:11px",
        ".along": c("along"),
        ".tube text": f"font-size:11px;{c('tube-text')}",
        ".sign": "font-size:18px",
        ".frame>text": f"font-size:12px;{c('axis')}",
        ".paper": c("paper"),
        ".wire path": f"fill:none;stroke-width:1.4;{c('wire', 'stroke')}",
        ".wire circle": c("wire"),
        ".wire .sleeve": f"stroke-width:7;{c('sleeve', 'stroke')}",
        ".box>rect,.scalar>rect,.dot>rect": f"{c('box')};{c('ink', 'stroke')};stroke-width:1.2",
        ".folded>rect": f"{c('fold')};{c('ink', 'stroke')};stroke-width:1.2",
        ".frame>rect": f"fill:none;{c('frame', 'stroke')};stroke-dasharray:5 3",
        ".dark>rect,.learned>rect": f"{c('dark')};{c('dark', 'stroke')}",
        ".fold": f"fill:none;{c('ink', 'stroke')}",
        ".learned .fold": c("light", "stroke"),
        ".dark>text,.learned>text": c("light"),
        ".constant polygon,.random polygon": f"{c('box')};{c('ink', 'stroke')};stroke-width:1.2",
        ".random polygon": "stroke-dasharray:2 2",
        ".parameter polygon": c("dark"),
        ".parameter>text": c("ink"),
        ".wire.lit path": f"{c('lit', 'stroke')};stroke-width:2.6",
        ".wire.lit circle,.wire.goes circle": c("lit"),
        ".goes>rect,.goes>polygon,.wire.goes>path:not(.fresh):not(.sleeve)": (
            f"{c('lit', 'stroke')};stroke-width:2.4;stroke-dasharray:5 2.5"
        ),
        ".comes>.fresh": f"fill:none;stroke-width:10;stroke-linejoin:round;stroke-dasharray:none;"
        f"{c('fresh', 'stroke')}",
    }
    for k in range(len(THEMES[theme].tubes)):
        rules[f".tube-{k} path"] = (
            f"{c(f'tube-{k}')};{c(f'tube-{k}', 'stroke')};"
            f"stroke-width:{number(ROUNDING)};stroke-linejoin:round"
        )
    scope = f".v-{theme}"
    return "".join(
        f"{','.join(f'{scope} {part}' for part in selector.split(','))}{{{body}}}\n"
        for selector, body in rules.items()
    )


class _Writer:
    def __init__(self, prefix: str, theme: str) -> None:
        self.prefix = prefix
        self.theme = theme
        self.goes: frozenset[str] = frozenset()
        self.comes: frozenset[str] = frozenset()
        self.depths = len(THEMES[theme].tubes)
        self.lines: list[str] = []

    def id(self, key: str, path: str) -> str:
        return f"{self.prefix}-{path}{key}"

    def scene(self, scene: Scene, path: str = "") -> None:
        for region in scene.regions:
            self.region(region, scene, path)
        for wire in scene.wires:
            self.wire(wire, scene, path)
        for shape in scene.shapes:
            self.shape(shape, path)
        for line in scene.lines:
            self.text(line)

    def open(self, key: str, classes: Sequence[str], title: str, path: str) -> None:
        marks = [*(["goes"] if path + key in self.goes else [])]
        marks += ["comes"] if path + key in self.comes else []
        self.lines.append(
            f'<g id="{self.id(key, path)}" class="{" ".join([*classes, *marks])}">'
            f"<title>{escape(title)}</title>"
        )

    def region(self, region: Region, scene: Scene, path: str) -> None:
        axes = [f"axis-{slug(scene.axes[c])}" for c in region.axes]
        depth = min(region.depth, self.depths - 1)
        classes = list(dict.fromkeys(["tube", f"tube-{depth}", *axes]))
        self.open(slug(region.key), classes, region.title, path)
        self.lines.append(f'<path d="{path_data(region.path)}"/>')
        if region.text is not None:
            self.text(region.text)
        self.lines.append("</g>")

    def wire(self, wire: Wire, scene: Scene, path: str) -> None:
        axes = dict.fromkeys(f"axis-{slug(scene.axes[c])}" for c in wire.axes)
        self.open(wire.key, ["wire", *axes], wire.title, path)
        data = path_data(wire.path)
        for a, b in (*wire.ticks, *wire.ends):
            data += f"M{number(a[0])} {number(a[1])}L{number(b[0])} {number(b[1])}"
        if wire.sleeve:
            self.lines.append(f'<path class="sleeve" d="{path_data(wire.path)}"/>')
        if path + wire.key in self.comes:
            self.lines.append(f'<path class="fresh" d="{path_data(wire.path)}"/>')
        self.lines.append(f'<path d="{data}"/>')
        for x, y in wire.dots:
            self.lines.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="3"/>')
        for text in wire.texts:
            self.text(text)
        self.lines.append("</g>")

    def shape(self, shape: Shape, path: str) -> None:
        look = {"input": "end", "output": "end"}.get(shape.look, shape.look)
        classes = [look, *(["learned"] if shape.learned and look != "dark" else [])]
        self.open(shape.key, classes, shape.title, path)
        left, top, right, bottom = shape.box
        wide, high = right - left, bottom - top
        fresh = path + shape.key in self.comes
        if shape.points:
            points = " ".join(f"{number(x)},{number(y)}" for x, y in shape.points)
            if fresh:
                self.lines.append(f'<polygon class="fresh" points="{points}"/>')
            self.lines.append(f'<polygon points="{points}"/>')
        elif look != "end":
            radius = min(wide, high) / 2 if look in ("dot", "scalar") else 4.0
            if fresh:
                self.rect(left, top, wide, high, radius, ' class="fresh"')
            self.rect(left, top, wide, high, radius)
            if look == "folded":
                above, below = number(top + 4), number(bottom - 4)
                self.lines.append(
                    f'<path class="fold" d="M{number(left + 3)} {above}V{below}'
                    f'M{number(right - 3)} {above}V{below}"/>'
                )
        for text in shape.texts:
            self.text(text)
        if shape.inner is not None:
            x, y = shape.inner.offset
            self.lines.append(f'<g transform="translate({number(x)} {number(y)})">')
            self.scene(shape.inner, f"{path}{shape.key}-")
            self.lines.append("</g>")
        self.lines.append("</g>")

    def rect(
        self, x: float, y: float, wide: float, high: float, radius: float, mark: str = ""
    ) -> None:
        self.lines.append(
            f'<rect{mark} x="{number(x)}" y="{number(y)}" width="{number(wide)}" '
            f'height="{number(high)}" rx="{number(radius)}"/>'
        )

    def text(self, text: Text) -> None:
        anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
        role = f' class="{text.role}"' if text.role in ("axes", "tick", "legend", "sign") else ""
        if any(run.text != run.text.strip() for run in text.label):
            role += ' xml:space="preserve"'  # between runs some programs lose spaces
        body = "".join(self.run(run, text.size) for run in text.label)
        self.lines.append(
            f'<text x="{number(text.at[0])}" y="{number(text.at[1])}"{anchor}{role}>{body}</text>'
        )

    def run(self, run: Run, size: float) -> str:
        """A run; where the table knows no width, the text is told how wide it may be."""
        marks = [*(["i"] if run.face == "italic" else []), *(["s"] if run.sub else [])]
        marks += ["along"] if run.along else []
        attributes = f' class="{" ".join(marks)}"' if marks else ""
        if run.sub:
            attributes += ' dy="3.5"'
        if not measured(run.text, run.face):
            wide = width(run.text, run.face, run_size(run, size))
            attributes += f' textLength="{number(wide)}" lengthAdjust="spacingAndGlyphs"'
        return f"<tspan{attributes}>{escape(run.text)}</tspan>" if attributes else escape(run.text)


def path_data(path: Path) -> str:
    """A path in SVG's own words."""
    return "".join(command + " ".join(number(x) for x in numbers) for command, numbers in path)


class Panel(NamedTuple):
    """A scene in a picture of several: where it stands, the keys of what goes and what comes."""

    scene: Scene
    at: Point
    goes: frozenset[str] = frozenset()
    comes: frozenset[str] = frozenset()


def svg(scene: Scene, *, theme: str = "light", prefix: str = "") -> str:
    """A scene as one SVG document; ids begin with `prefix`, by default the diagram's name.

    A page that holds several pictures gives each a prefix of its own.
    """
    whole = [Panel(scene, (0.0, 0.0))]
    return panels(whole, (), scene.size, theme=theme, name=scene.name, prefix=prefix)


def panels(
    scenes: Sequence[Panel],
    texts: Sequence[Text],
    size: Point,
    *,
    theme: str,
    name: str,
    prefix: str = "",
) -> str:
    """Several scenes, and texts between them, as one SVG document."""
    wide, high = number(size[0]), number(size[1])
    prefix = slug(prefix or name)
    writer = _Writer(prefix, theme)
    writer.lines += [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vesalius v-{theme}" id="{prefix}" '
        f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" role="img">',
        f"<title>{escape(name)}</title>",
        f"<style>\n{style(theme)}</style>",
        f'<rect class="paper" width="{wide}" height="{high}"/>',
    ]
    for k, panel in enumerate(scenes):
        x, y = panel.at
        writer.goes, writer.comes = panel.goes, panel.comes
        if len(scenes) > 1:
            writer.prefix = f"{prefix}-{k}"
        if (x, y) != (0.0, 0.0):
            writer.lines.append(f'<g transform="translate({number(x)} {number(y)})">')
        writer.scene(panel.scene)
        if (x, y) != (0.0, 0.0):
            writer.lines.append("</g>")
    for text in texts:
        writer.text(text)
    writer.lines.append("</svg>\n")
    return "\n".join(writer.lines)
