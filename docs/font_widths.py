"""Measure the faces that pictures are set in; prints the table that the package ships.

    python docs/font_widths.py > vesalius/diagrams/drawing/widths.json

Needs fontTools and the Liberation and DejaVu fonts, when a character is added only: drawing
itself reads the table and looks at no font. Liberation Sans and Serif have the metrics of
Helvetica, Arial and Times; characters that they lack are measured in DejaVu, which is what a
browser falls back to.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict

from fontTools.ttLib import TTFont

FONTS = "/usr/share/fonts/truetype"
FACES = {
    "sans": ("liberation/LiberationSans-Regular.ttf", "dejavu/DejaVuSans.ttf"),
    "italic": ("liberation/LiberationSerif-Italic.ttf", "dejavu/DejaVuSerif-Italic.ttf"),
}
RANGES = [
    (0x20, 0x7F),  # Latin
    (0xA0, 0x180),
    (0x1D2C, 0x1D6B),  # letters raised and lowered
    (0x370, 0x400),  # Greek
    (0x400, 0x460),  # Cyrillic
    (0x2010, 0x2040),  # dashes, quotes, primes
    (0x2070, 0x20A0),  # figures raised and lowered
    (0x2100, 0x2150),  # letter-like
    (0x2190, 0x2200),  # arrows
    (0x2200, 0x2300),  # operators
    (0x2308, 0x230C),
    (0x25A0, 0x2600),
    (0x27E6, 0x27F0),
]


def widths(files: tuple[str, ...]) -> dict[str, str]:
    """Characters by width in thousandths of the font size."""
    groups: defaultdict[int, list[str]] = defaultdict(list)
    fonts = [TTFont(f"{FONTS}/{name}") for name in files]
    for start, end in RANGES:
        for code in range(start, end):
            for font in fonts:
                glyph = font.getBestCmap().get(code)
                if glyph is not None:
                    units = font["head"].unitsPerEm
                    groups[round(font["hmtx"][glyph][0] * 1000 / units)].append(chr(code))
                    break
    return {str(width): "".join(groups[width]) for width in sorted(groups)}


if __name__ == "__main__":
    table = {face: widths(files) for face, files in FACES.items()}
    json.dump(table, sys.stdout, ensure_ascii=True, indent=0, separators=(",", ":"))
    print()
