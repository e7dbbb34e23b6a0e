"""Colours. A theme is a table; every colour is also a CSS variable that a page may set.

light   for screens and slides          print   greys, for paper
dark    for dark pages                   safe    told apart by colour-blind readers too
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for; `tubes` by depth, outermost first."""

    paper: str
    ink: str  # outlines and text
    wire: str
    axis: str  # names of axes
    box: str
    dark: str  # learned boxes
    light: str  # text on them
    fold: str  # named boxes
    frame: str
    tubes: tuple[str, ...]
    tube_text: str
    sleeve: str  # around strings, where a tube has no region of its own
    along: str  # the name of its axis
    lit: str  # what goes, what is pointed at
    fresh: str  # what comes, marked as with a broad pen


THEMES = {
    "light": Theme(
        paper="#ffffff",
        ink="#1d2733",
        wire="#37475a",
        axis="#46566a",
        box="#ffffff",
        dark="#26384f",
        light="#ffffff",
        fold="#e3e9f1",
        frame="#9aa8b8",
        tubes=("#eef3fa", "#dfe9f6", "#cfdef1", "#bfd3ec"),
        tube_text="#6f8db3",
        sleeve="#f8e8cb",
        along="#8f5a00",
        lit="#d9480f",
        fresh="#b9e6bd",
    ),
    "dark": Theme(
        paper="#14181d",
        ink="#e6ebf1",
        wire="#a9b8c8",
        axis="#a7b5c4",
        box="#20272f",
        dark="#c9d8ea",
        light="#10151b",
        fold="#2d3844",
        frame="#5c6b7a",
        tubes=("#1b222b", "#222c38", "#2a3746", "#324255"),
        tube_text="#7f9dc2",
        sleeve="#5a4722",
        along="#e8bd6a",
        lit="#ff922b",
        fresh="#1f5a36",
    ),
    "print": Theme(
        paper="#ffffff",
        ink="#000000",
        wire="#000000",
        axis="#333333",
        box="#ffffff",
        dark="#222222",
        light="#ffffff",
        fold="#e4e4e4",
        frame="#777777",
        tubes=("#f2f2f2", "#e6e6e6", "#d9d9d9", "#cccccc"),
        tube_text="#666666",
        sleeve="#d4d4d4",
        along="#000000",
        lit="#b30000",
        fresh="#c9c9c9",
    ),
    "safe": Theme(
        paper="#ffffff",
        ink="#111111",
        wire="#333333",
        axis="#444444",
        box="#ffffff",
        dark="#00436b",
        light="#ffffff",
        fold="#fdf0d5",
        frame="#8a8a8a",
        tubes=("#e8f3fa", "#cfe6f5", "#b3d8ef", "#93c7e8"),
        tube_text="#00618f",
        sleeve="#f6d9a8",
        along="#8a4f00",
        lit="#d55e00",
        fresh="#9fd6f5",
    ),
}


def colours(theme: Theme) -> dict[str, str]:
    """The colours of a theme by the names that they have in style sheets."""
    named = {
        name.replace("_", "-"): value
        for name, value in vars(theme).items()
        if isinstance(value, str)
    }
    named.update({f"tube-{k}": colour for k, colour in enumerate(theme.tubes)})
    return named
