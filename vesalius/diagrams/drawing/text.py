"""How wide a text is, from a table that ships with the package: no font is looked at.

The table holds the advance widths of Liberation Sans and Liberation Serif Italic, which are
those of Helvetica, Arial and Times. So a picture has the same bytes on every machine.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

SIZE = 13.0  # the font size of labels, in pixels
SYMBOL, INDEX = 3, 2  # longer names and longer indices are words
SMALL = 0.74  # subscripts, as a part of it
LONGEST = 30  # characters of a label; the whole text stands in the title


class Run(NamedTuple):
    """A piece of text in one face: `sans` or `italic`; `sub` sets it small and low.

    `along` gives it the colour of the axis that follows its strings.
    """

    text: str
    face: str = "sans"
    sub: bool = False
    along: bool = False


Label = tuple[Run, ...]


@lru_cache(maxsize=2)
def _table(face: str) -> dict[str, int]:
    text = files("vesalius.diagrams.drawing").joinpath("widths.json").read_text("utf-8")
    groups: dict[str, str] = json.loads(text)[face]
    return {character: int(width) for width, row in groups.items() for character in row}


def measured(text: str, face: str = "sans") -> bool:
    """Whether the table holds every character; other widths are estimates."""
    table = _table(face)
    return all(character in table for character in text)


@lru_cache(maxsize=8192)
def width(text: str, face: str = "sans", size: float = SIZE) -> float:
    """The width of a text in pixels."""
    table = _table(face)
    units = 0
    for character in text:
        known = table.get(character)
        units += _estimate(character) if known is None else known
    return units * size / 1000


def _estimate(character: str) -> int:
    """A full square for wide scripts and pictures, nothing for marks, 0.6 em otherwise."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Cf"):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" or character > "\uffff" else 600


def run_size(run: Run, size: float = SIZE) -> float:
    """The font size of a run in a label of this size."""
    return size * SMALL if run.sub else size


def label_width(label: Label, size: float = SIZE) -> float:
    """The width of a label in pixels."""
    return sum(width(run.text, run.face, run_size(run, size)) for run in label)


def clean(text: str) -> str:
    """A text without control characters, which no picture can show and no XML may hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def shortened(text: str, most: int = LONGEST) -> str:
    """The text, or its beginning and an ellipsis."""
    text = clean(text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def wrapped(text: str, wide: float, size: float = SIZE) -> list[str]:
    """The lines of a text that are at most so wide; a word that is wider is shortened."""
    lines: list[str] = []
    for word in clean(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, "sans", size) <= wide:
            lines[-1] = longer
        elif width(word, "sans", size) <= wide:
            lines.append(word)
        else:
            lines.append(shortened(word, max(8, int(wide / size))))
    return lines


def name_label(name: str, face: str = "sans") -> Label:
    """A name as mathematics writes it: what follows the first underscore is a subscript.

    So it is in `w_q` and `scores_2`; `feed_forward` is two words.
    """
    head, _, tail = name.partition("_")
    if not head or not tail:
        return (Run(shortened(name), face),)
    if len(head) > SYMBOL and len(tail) > INDEX:
        return (Run(shortened(name.replace("_", " "), 40), face),)
    return (Run(shortened(head), face), Run(shortened(tail), face, True))


def plain(label: Label) -> str:
    """A label as plain text."""
    return "".join(f"_{run.text}" if run.sub else run.text for run in label)
