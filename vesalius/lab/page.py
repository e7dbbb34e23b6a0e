"""The page that a tour leaves behind: one HTML file that needs nothing but a browser.

No network, no scripts. Colours are variables with a light and a dark set. Every text that comes
from outside is escaped here, by `text`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from vesalius.diagrams.drawing.theme import THEMES, colours

STYLE = """
:root { color-scheme: light dark; --ink: #1c1917; --soft: #57534e; --line: #d6d3d1;
  --paper: #fdfcfa; --panel: #f5f3ef; --one: #1d4ed8; --two: #b45309; --three: #15803d;
  --wrong: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece9e4; --soft: #a8a29e; --line: #44403c;
  --paper: #171513; --panel: #211e1b; --one: #93b4ff; --two: #f0b065; --three: #7fd39b;
  --wrong: #ff9a8f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 Georgia, "Times New Roman", serif; }
h1 { font-size: 2rem; margin: 0; } h2 { margin: 2.6rem 0 .6rem; font-size: 1.35rem; }
h3 { margin: 1.6rem 0 .4rem; font-size: 1.08rem; } p, figcaption { max-width: 46rem; }
.lead { color: var(--soft); font-style: italic; margin: .2rem 0 1.2rem; }
nav a { margin-right: 1.1rem; } a { color: var(--one); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { font-weight: 600; border-bottom-width: 2px; } .number { text-align: right; }
td.number, code, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .84rem; }
pre { background: var(--panel); padding: .8rem 1rem; overflow-x: auto; line-height: 1.45; }
pre.sample { white-space: pre-wrap; font-family: inherit; font-size: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .92rem; }
summary { cursor: pointer; padding: .35rem 0; }
details { border-bottom: 1px solid var(--line); } details[open] { padding-bottom: 1rem; }
.good { color: var(--three); } .bad { color: var(--wrong); font-weight: 600; }
svg.curve { width: 100%; height: auto; max-width: 56rem; display: block; }
svg.curve text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: var(--soft); }
svg.curve .axis { stroke: var(--line); } svg.curve polyline { fill: none; stroke-width: 1.6; }
svg.curve .training { stroke: var(--one); opacity: .55; } svg.curve .held { stroke: var(--two); }
svg.curve .bar { stroke: var(--three); stroke-dasharray: 6 4; }
svg.curve .held-text { fill: var(--two); } svg.curve .bar-text { fill: var(--three); }
svg.curve .training-text { fill: var(--one); }
"""


def picture_style() -> str:
    """The rules by which pictures of the light theme are dark on a dark page."""
    set_ = " ".join(f"--v-{name}: {value};" for name, value in colours(THEMES["dark"]).items())
    return f"@media (prefers-color-scheme: dark) {{ .vesalius {{ {set_} }} }}\n"


def text(value: object) -> str:
    """A value as text that is safe in HTML, in elements and in attributes."""
    return escape(str(value), quote=True)


def page(title: str, sections: Iterable[str]) -> str:
    """The whole document."""
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}{picture_style()}</style>\n</head>\n<body>\n"
        f"{body}\n"
        "</body>\n</html>\n"
    )


def section(anchor: str, heading: str, *parts: str) -> str:
    """A section with a heading that can be linked to."""
    inside = "\n".join(parts)
    return f'<section id="{text(anchor)}">\n<h2>{text(heading)}</h2>\n{inside}\n</section>'


def paragraph(words: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{text(words)}</p>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A list of names and values."""
    return "<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in pairs) + "</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int]) -> str:
    """A table; the columns in `numbers` stand to the right. Cells may be `Cell`s."""
    right = set(numbers)

    def row(tag: str, cells: Sequence[object]) -> str:
        inside = []
        for k, cell in enumerate(cells):
            style = 'class="number"' if k in right else ""
            content = cell.html if isinstance(cell, Cell) else text(cell)
            inside.append(f"<{tag} {style}>{content}</{tag}>".replace(" >", ">"))
        return f"<tr>{''.join(inside)}</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    head_ = row("th", head)
    return (
        f'<div class="scroll"><table>\n<thead>{head_}</thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>"
    )


class Cell:
    """The content of a cell that is HTML already."""

    def __init__(self, html: str) -> None:
        self.html = html

    @classmethod
    def verdict(cls, good: bool, words: str) -> Cell:
        """Words in the colour of success or failure."""
        return cls(verdict(good, words))

    @classmethod
    def link(cls, anchor: str, words: str) -> Cell:
        """A link to a place on the page."""
        return cls(f'<a href="#{text(anchor)}">{text(words)}</a>')


def verdict(good: bool, words: str) -> str:
    """Words in the colour of success or failure."""
    return f'<span class="{"good" if good else "bad"}">{text(words)}</span>'


def listing(words: str) -> str:
    """Text whose lines and spaces are kept."""
    return f"<pre>{text(words)}</pre>"


def picture(svg: str, caption: str) -> str:
    """A picture, as wide as it is, and what stands under it; both are HTML already."""
    return (
        f'<figure>\n<div class="scroll">\n{svg}</div>\n'
        f"<figcaption>{caption}</figcaption>\n</figure>"
    )


def folded(anchor: str, heading: str, *parts: str) -> str:
    """A part that opens on a click."""
    inside = "\n".join(parts)
    return (
        f'<details id="{text(anchor)}">\n<summary>{text(heading)}</summary>\n{inside}\n</details>'
    )


# -- the loss curve -------------------------------------------------------------------------------

Points = Sequence[tuple[float, float]]


def curve(training: Points, held_out: Points, bar: float, bar_name: str) -> str:
    """Loss over steps as an SVG: the training loss, the held-out loss, and the bar."""
    width, height, left, right, top, bottom = 880, 360, 52, 150, 12, 34
    losses = [y for _, y in (*training, *held_out)] or [bar]
    low, high = min(*losses, bar), max(*losses, bar)
    pad = 0.05 * (high - low) or 0.1
    low, high = low - pad, high + pad
    steps = max([x for x, _ in (*training, *held_out)], default=1)

    def at(x: float, y: float) -> tuple[float, float]:
        across = left + (width - left - right) * x / steps
        return across, top + (height - top - bottom) * (high - y) / (high - low)

    def line(points: Points, name: str) -> str:
        joined = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in points)
        return f'<polyline class="{name}" points="{joined}"/>'

    edge, floor_ = width - right, height - bottom
    marks = []
    for value in ticks(low, high):
        _, y = at(0, value)
        marks.append(f'<line class="axis" x1="{left}" x2="{edge}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(0, steps):
        x, _ = at(value, low)
        marks.append(f'<text x="{x:.1f}" y="{floor_ + 18}" text-anchor="middle">{value:g}</text>')
    _, y = at(0, bar)
    labels = [("bar-text", f"{bar_name} {bar:.3f}", y)]
    if training:
        labels.append(("training-text", "training", at(*training[-1])[1]))
    if held_out:
        labels.append(("held-text", f"held out {held_out[-1][1]:.3f}", at(*held_out[-1])[1]))
    return (
        f'<svg class="curve" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Loss over training steps, in nats per character">\n'
        + "\n".join(marks)
        + f'\n<line class="bar" x1="{left}" x2="{edge}" y1="{y:.1f}" y2="{y:.1f}"/>\n'
        + line(training, "training")
        + "\n"
        + line(held_out, "held")
        + "\n"
        + "\n".join(
            f'<text class="{name}" x="{edge + 8}" y="{place + 4:.1f}">{text(words)}</text>'
            for (name, words, _), place in zip(
                labels, apart([place for _, _, place in labels], 15), strict=True
            )
        )
        + f'\n<text x="{edge}" y="{floor_ + 32}" text-anchor="end">step</text>\n</svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """About five round values between two.

    >>> ticks(0, 400)
    [0.0, 100.0, 200.0, 300.0, 400.0]
    """
    step = 10.0 ** floor(log10((high - low) / 4 or 1))
    step = next(
        s for s in (step, 2 * step, 2.5 * step, 5 * step, 10 * step) if (high - low) / s < 6
    )
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def apart(places: Sequence[float], distance: float) -> list[float]:
    """The places, moved down where needed so that no two are nearer than `distance`.

    >>> apart([10, 40, 12], 15)
    [10, 40, 25]
    """
    moved = list(places)
    order = sorted(range(len(places)), key=lambda k: places[k])
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + distance)
    return moved


def smooth(points: Points, width: int) -> list[tuple[float, float]]:
    """Means of the last `width` values, at most 400 of them."""
    values = [y for _, y in points]
    means = [
        (x, sum(values[max(0, k + 1 - width) : k + 1]) / min(k + 1, width))
        for k, (x, _) in enumerate(points)
    ]
    every = max(1, len(means) // 400)
    return means[::every] + ([means[-1]] if means and (len(means) - 1) % every else [])
