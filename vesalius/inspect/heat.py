"""How a profile looks: as a table, on the diagram, and as a page with both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vesalius.diagrams.drawing.picture import Picture, draw
from vesalius.diagrams.drawing.scene import Scene, Shape, Text
from vesalius.diagrams.drawing.svg import Panel, escape, number, panels, slug
from vesalius.diagrams.drawing.text import Run, width
from vesalius.inspect.profile import Profile, Row

LINE = 24.0  # from one line of the legend to the next, in pixels
BAR = 150.0  # the longest bar
MARGIN = 16.0


def table(profile: Profile) -> str:
    """A line for each row, what runs alone below it, and the whole."""
    head: tuple[str, ...] = (
        "",
        "time",
        "",
        "predicted",
        "",
        "memory",
        "FLOPs",
        "bytes moved",
        "kernels",
    )
    lines = [head]
    for row in profile.rows:
        lines.append(_line(profile, row, " + ".join(row.parts)))
        lines += [_line(profile, one, f"  {one.parts[0]} alone") for one in row.alone]
    whole = _line(profile, profile.whole, "the whole module")
    lines.append((whole[0], whole[1], "", whole[3], "", *whole[5:8], ""))
    wide = [max(len(line[k]) for line in lines) for k in range(len(head))]
    text = [
        "  ".join(
            cell.ljust(w) if k in (0, len(head) - 1) else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(line, wide, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([profile.title, *text])


def _line(profile: Profile, row: Row, name: str) -> tuple[str, ...]:
    measured, predicted = profile.shares(row)
    return (
        name,
        duration(row.seconds),
        f"{measured:.0%}" if row in profile.rows else "",
        duration(row.predicted),
        f"{predicted:.0%}" if row in profile.rows else "",
        f"{quantity(row.peak_bytes)}B",
        quantity(row.flops),
        f"{quantity(row.bytes_moved)}B",
        ", ".join(row.kernels),
    )


def duration(seconds: float) -> str:
    """A time with its unit, in three digits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            return f"{seconds / scale:.3g} {unit}"
    raise AssertionError


def quantity(count: float) -> str:
    """A number in three digits, with the letter of its magnitude and a space before it."""
    for letter, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {letter}"
    return f"{count:g} "


def warm(share: float) -> str:
    """The colour of a share of the time, from pale yellow to red, as costs are coloured."""
    return f"hsl({round(48 - 40 * share)} 95% {round(92 - 47 * share)}%)"


# -- on the diagram -------------------------------------------------------------------------------


def svg(profile: Profile, **options: Any) -> str:
    """The picture of the diagram with its parts numbered and warm, and the legend."""
    picture = draw(profile.diagram, **options)
    scene = picture.scene
    legend = list(_legend(profile, scene))
    wide = max(scene.size[0], *(text.box[2] + MARGIN for text in legend))
    high = scene.size[1] + LINE * (len(profile.rows) + 2.5)
    name = profile.diagram.name
    theme = picture.options.theme
    made = panels([Panel(scene, (0.0, 0.0))], legend, (wide, high), theme=theme, name=name)
    marks = [*_colours(profile, picture), *_tags(profile, scene), *_bars(profile, scene)]
    return made.replace("</svg>", "\n".join([*marks, "</svg>"]))


def _shapes(profile: Profile, scene: Scene) -> Iterator[tuple[int, Row, Shape]]:
    """Each shape of the picture that belongs to a row, with the number of the row."""
    if len(profile.diagram.nodes) and any(
        s.node >= len(profile.diagram.nodes) for s in scene.shapes
    ):
        return  # drawn folded, as it is too large to be looked at
    for k, row in enumerate(profile.rows):
        inside = set(row.nodes)
        for shape in scene.shapes:
            if inside & (shape.covers or {shape.node}):
                yield k, row, shape


def _heat(profile: Profile, row: Row) -> float:
    return row.seconds / max(one.seconds for one in profile.rows)


def _shade(profile: Profile, row: Row) -> str:
    return warm(_heat(profile, row))


def _colours(profile: Profile, picture: Picture) -> Iterator[str]:
    prefix, theme = slug(profile.diagram.name), picture.options.theme
    yield "<style>"
    for _, row, shape in _shapes(profile, picture.scene):
        here = f".v-{theme} #{prefix}-{shape.key}"
        yield f"{here}>rect{{fill:{_shade(profile, row)}}}"
        ink = "#ffffff" if _heat(profile, row) > 0.8 else "#111111"
        yield f"{here}>text{{fill:{ink}}}{here}>.fold{{stroke:{ink}}}"
    yield "</style>"


def _tags(profile: Profile, scene: Scene) -> Iterator[str]:
    """The number of its row at the corner of each shape."""
    for k, row, shape in _shapes(profile, scene):
        x, y = number(shape.box[0]), number(shape.box[1])
        below = number(shape.box[1] + 3.5)
        said = f"{' + '.join(row.parts)}: {duration(row.seconds)}"
        yield (
            f'<g class="tag"><title>{escape(said)}</title>'
            f'<circle cx="{x}" cy="{y}" r="8" style="fill:#ffffff;stroke:#8a2b06"/>'
            f'<text x="{x}" y="{below}" text-anchor="middle" '
            f'style="font-size:10px;fill:#8a2b06">{k + 1}</text></g>'
        )


def _columns(profile: Profile) -> tuple[float, float]:
    """Where names end and where bars end."""
    names = max(
        width(f"{k + 1}  {' + '.join(r.parts)}", size=13) for k, r in enumerate(profile.rows)
    )
    return MARGIN + names + 14, MARGIN + names + 14 + BAR + 8


def _legend(profile: Profile, scene: Scene) -> Iterator[Text]:
    """A line for each row: its number and names, both times, its kernels."""
    _, after = _columns(profile)
    y = scene.size[1] + LINE

    def text(x: float, y: float, words: str, role: str = "legend") -> Text:
        return Text((x, y), "start", (Run(words),), 12, role)

    heads = f"measured (filled) and predicted (outlined), {profile.title.partition(', ')[2]}"
    yield text(MARGIN, y, heads)
    for k, row in enumerate(profile.rows):
        line = y + LINE * (k + 1)
        measured, predicted = profile.shares(row)
        yield text(MARGIN, line, f"{k + 1}  {' + '.join(row.parts)}", "name")
        said = f"{duration(row.seconds)}, {measured:.0%} (predicted {predicted:.0%})"
        kernels = f" · {', '.join(row.kernels)}" if row.kernels else ""
        yield text(after, line, f"{said} · {quantity(row.peak_bytes)}B{kernels}")
    line = y + LINE * (len(profile.rows) + 1)
    parts, whole = duration(profile.total), duration(profile.whole.seconds)
    yield text(MARGIN, line, f"the parts {parts}, the whole module {whole}")


def _bars(profile: Profile, scene: Scene) -> Iterator[str]:
    start, _ = _columns(profile)
    most = max(share for row in profile.rows for share in profile.shares(row))
    for k, row in enumerate(profile.rows):
        y = scene.size[1] + LINE * (k + 2) - 10
        measured, predicted = (max(1.0, BAR * share / most) for share in profile.shares(row))
        yield (
            f'<rect x="{number(start)}" y="{number(y)}" width="{number(measured)}" height="7" '
            f'style="fill:{_shade(profile, row)};stroke:#8a2b06;stroke-width:0.5"/>'
            f'<rect x="{number(start)}" y="{number(y + 8)}" width="{number(predicted)}" height="4" '
            f'style="fill:none;stroke:#66788c"/>'
        )


# -- as a page ------------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 15px/1.5 Helvetica, Arial, sans-serif; margin: 2em; color: #1d2733; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.2em 0.8em; text-align: right; border-bottom: 1px solid #dfe9f6; }}
th:first-child, td:first-child, th:last-child, td:last-child {{ text-align: left; }}
.alone td {{ color: #66788c; border-bottom-style: dotted; }}
.alone td:first-child {{ padding-left: 2.4em; }}
figure {{ margin: 0 0 1.5em; overflow-x: auto; }}
</style></head><body>
<h1>{title}</h1>
<figure>{picture}</figure>
<table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table>
</body></html>
"""


def html(profile: Profile, **options: Any) -> str:
    """The page: the picture, and the table below it."""
    heads = ("part", "time", "share", "predicted", "share", "memory", "FLOPs", "bytes moved",
             "kernels")  # fmt: skip
    rows: list[str] = []
    for row in profile.rows:
        rows.append(_cells(_line(profile, row, " + ".join(row.parts))))
        for one in row.alone:
            rows.append(_cells(_line(profile, one, f"{one.parts[0]} alone"), "alone"))
    rows.append(_cells(_line(profile, profile.whole, "the whole module")))
    return PAGE.format(
        title=escape(profile.title),
        picture=svg(profile, **options),
        head="".join(f"<th>{name}</th>" for name in heads),
        rows="\n".join(rows),
    )


def _cells(line: tuple[str, ...], mark: str = "") -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in line)
    return f'<tr class="{mark}">{cells}</tr>' if mark else f"<tr>{cells}</tr>"
