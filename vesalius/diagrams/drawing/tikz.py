"""A scene in TikZ: compiles with plain LaTeX, needs the packages `tikz` and nothing else.

Letters that pdfLaTeX has no font for are written as code points there and as themselves in
XeLaTeX and LuaLaTeX.
"""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.diagrams.drawing.scene import Path, Region, Scene, Shape, Text, Wire
from vesalius.diagrams.drawing.svg import ROUNDING, Panel, number
from vesalius.diagrams.drawing.text import Run, run_size
from vesalius.diagrams.drawing.theme import THEMES, colours

POINTS = 0.75  # points for a pixel
_GONE = ", draw=vs-lit, line width=1.8pt, dash pattern=on 3.75pt off 1.9pt"

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}
_SPECIAL['"'] = r"{\char34}"
_MATHS = {
    "Σ": r"\Sigma", "σ": r"\sigma", "ι": r"\iota", "ξ": r"\xi", "φ": r"\varphi", "Φ": r"\Phi",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "η": r"\eta", "θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu",
    "π": r"\pi", "ρ": r"\rho", "τ": r"\tau", "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega",
    "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Π": r"\Pi",
    "Ψ": r"\Psi", "Ω": r"\Omega", "ℓ": r"\ell", "∂": r"\partial", "∇": r"\nabla",
    "·": r"\cdot", "×": r"\times", "÷": r"\div", "−": "-", "∞": r"\infty", "√": r"\surd",
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "→": r"\to", "∧": r"\wedge", "∨": r"\vee",
    "¬": r"\neg", "∀": r"\forall", "∃": r"\exists", "⌊": r"\lfloor", "⌋": r"\rfloor",
    "⌈": r"\lceil", "⌉": r"\rceil", "…": r"\ldots", "⊙": r"\odot", "∈": r"\in", "±": r"\pm",
    "′": r"'", "≈": r"\approx", "⊒": r"\sqsupseteq", "⊑": r"\sqsubseteq", "⊆": r"\subseteq",
    "⊇": r"\supseteq", "⊂": r"\subset", "⊃": r"\supset", "⊗": r"\otimes", "⊕": r"\oplus",
    "∘": r"\circ", "∏": r"\prod", "∑": r"\sum", "∫": r"\int", "≡": r"\equiv", "∼": r"\sim",
    "≪": r"\ll", "≫": r"\gg", "←": r"\leftarrow", "↔": r"\leftrightarrow", "↦": r"\mapsto",
    "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "∥": r"\parallel", "⟨": r"\langle",
    "⟩": r"\rangle", "∅": r"\emptyset", "∪": r"\cup", "∩": r"\cap", "ζ": r"\zeta",
    "υ": r"\upsilon", "Υ": r"\Upsilon", "Ξ": r"\Xi", "ϵ": r"\epsilon", "ᵀ": r"^{T}",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵖ", "0123456789-p", strict=True))


def escape(text: str) -> str:
    """A text as LaTeX sets it."""
    found = []
    for c in text:
        if c in _SPECIAL:
            found.append(_SPECIAL[c])
        elif c in _MATHS:
            found.append(rf"\ensuremath{{{_MATHS[c]}}}")
        elif c in _RAISED:
            found.append(rf"\ensuremath{{^{{{_RAISED[c]}}}}}")
        elif c.isascii() or "\xa1" <= c <= "\xff":
            found.append(c if c.isprintable() else " ")
        else:
            found.append(rf"\vesaliuschar{{{c}}}{{U+{ord(c):04X}}}")
    return "".join(found)


def tikz(scene: Scene, *, theme: str = "print", standalone: bool = True) -> str:
    """The scene as a LaTeX document, or as a `tikzpicture` to put into one."""
    return panels([Panel(scene, (0.0, 0.0))], (), theme=theme, standalone=standalone)


def panels(scenes: Sequence[Panel], texts: Sequence[Text], *, theme: str, standalone: bool) -> str:
    """Several scenes, and texts between them, as one picture."""
    lines = _head(theme)
    lines.append(rf"\begin{{tikzpicture}}[x={POINTS}pt, y=-{POINTS}pt, line width=1.05pt]")
    writer = _Writer(lines, len(THEMES[theme].tubes))
    for panel in scenes:
        writer.goes, writer.comes = panel.goes, panel.comes
        if len(scenes) == 1:
            writer.scene(panel.scene)
            continue
        lines.append(rf"\begin{{scope}}[shift={{{_point(panel.at)}}}]")
        writer.scene(panel.scene)
        lines.append(r"\end{scope}")
    for text in texts:
        writer.text(text, "vs-ink" if text.role == "sign" else "vs-axis")
    lines.append(r"\end{tikzpicture}")
    if not standalone:
        return "\n".join(lines) + "\n"
    return "\n".join(
        [
            r"\documentclass[tikz,border=2pt]{standalone}",
            # The encoding T1 only with outlines of it: pdfLaTeX would fall back on bitmaps.
            r"\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}",
            r"\usepackage[utf8]{inputenc}",
            r"\usepackage{tikz}",
            r"\begin{document}",
            *lines,
            r"\end{document}",
            "",
        ]
    )


def _head(theme: str) -> list[str]:
    lines = [
        "% Drawn by Vesalius. In a document of your own: \\usepackage{tikz}",
        r"\ifdefined\Umathcode\def\vesaliuschar#1#2{#1}\else\def\vesaliuschar#1#2{#2}\fi",
    ]
    for name, colour in colours(THEMES[theme]).items():
        lines.append(rf"\definecolor{{vs-{name}}}{{HTML}}{{{colour[1:].upper()}}}")
    return lines


class _Writer:
    def __init__(self, lines: list[str], depths: int) -> None:
        self.lines = lines
        self.depths = depths
        self.goes: frozenset[str] = frozenset()
        self.comes: frozenset[str] = frozenset()

    def scene(self, scene: Scene, path: str = "") -> None:
        for region in scene.regions:
            self.region(region)
        for wire in scene.wires:
            self.wire(wire, path)
        for shape in scene.shapes:
            self.shape(shape, path)
        for line in scene.lines:
            self.text(line, "vs-axis")

    def region(self, region: Region) -> None:
        colour = f"vs-tube-{min(region.depth, self.depths - 1)}"
        path = " ".join(_path(part) for part in _parts(region.path))
        self.lines.append(
            rf"\path[fill={colour}, draw={colour}, line width={number(ROUNDING * POINTS)}pt, "
            rf"line join=round] {path};"
        )
        if region.text is not None:
            self.text(region.text, "vs-tube-text")

    def wire(self, wire: Wire, within: str) -> None:
        path = " ".join(_path(part) for part in _parts(wire.path))
        if wire.sleeve:
            self.lines.append(rf"\draw[vs-sleeve, line width=5pt] {path};")
        if within + wire.key in self.comes:
            self.lines.append(rf"\draw[vs-fresh, line width=7.5pt, line join=round] {path};")
        for a, b in (*wire.ticks, *wire.ends):
            path += f" {_point(a)} -- {_point(b)}"
        gone = _GONE if within + wire.key in self.goes else ""
        self.lines.append(rf"\draw[vs-wire{gone}] {path};")
        for dot in wire.dots:
            self.lines.append(rf"\fill[vs-wire] {_point(dot)} circle[radius=2.2pt];")
        for text in wire.texts:
            self.text(text, "vs-axis")

    def shape(self, shape: Shape, path: str) -> None:
        gone = _GONE if path + shape.key in self.goes else ""
        fresh = "preaction={draw=vs-fresh, solid, line width=7.5pt, line join=round}, "
        fresh = fresh if path + shape.key in self.comes else ""
        left, top, right, bottom = shape.box
        dark = shape.look == "dark" or shape.learned
        ink = "vs-light" if dark and not shape.points else "vs-ink"
        if shape.points:
            fill = "vs-dark" if dark else "vs-box"
            points = " -- ".join(_point(p) for p in shape.points)
            dashes = ", dash pattern=on 1.5pt off 1.5pt" if shape.look == "random" else ""
            self.lines.append(
                rf"\path[{fresh}fill={fill}, draw=vs-ink, line width=.9pt{dashes}{gone}] "
                rf"{points} -- cycle;"
            )
        elif shape.look not in ("input", "output"):
            fill = {"frame": "none", "folded": "vs-fold"}.get(shape.look, "vs-box")
            draw = "vs-frame, dashed" if shape.look == "frame" else "vs-ink"
            if dark:
                fill = draw = "vs-dark"
            pill = shape.look in ("dot", "scalar")
            radius = min(right - left, bottom - top) / 2 if pill else 4.0
            self.lines.append(
                rf"\path[{fresh}fill={fill}, draw={draw}, line width=.9pt, "
                rf"rounded corners={number(radius * POINTS - 0.01)}pt{gone}] "
                rf"{_point((left, top))} rectangle {_point((right, bottom))};"
            )
            if shape.look == "folded":
                for x in (left + 3, right - 3):
                    self.lines.append(
                        rf"\draw[{ink}, line width=.75pt] "
                        rf"{_point((x, top + 4))} -- {_point((x, bottom - 4))};"
                    )
        for text in shape.texts:
            self.text(text, "vs-axis" if text.role == "title" else ink)
        if shape.inner is not None:
            x, y = shape.inner.offset
            self.lines.append(rf"\begin{{scope}}[shift={{{_point((x, y))}}}]")
            self.scene(shape.inner, f"{path}{shape.key}-")
            self.lines.append(r"\end{scope}")

    def text(self, text: Text, colour: str) -> None:
        anchor = {"start": "base west", "middle": "base", "end": "base east"}[text.anchor]
        body = "".join(_run(run, text.size) for run in text.label)
        self.lines.append(
            rf"\node[{colour}, inner sep=0pt, anchor={anchor}] at {_point(text.at)} {{{body}}};"
        )


def _run(run: Run, size: float) -> str:
    points = run_size(run, size) * POINTS
    shape = r"\rmfamily\itshape" if run.face == "italic" else r"\sffamily"
    body = (
        rf"{{\fontsize{{{number(points)}}}{{{number(points * 1.2)}}}\selectfont{shape} "
        rf"{_coloured(run)}}}"
    )
    return rf"\raisebox{{-{number(3.5 * POINTS)}pt}}{{{body}}}" if run.sub else body


def _coloured(run: Run) -> str:
    text = escape(run.text)
    if not run.along:
        return text
    return rf"{'~' if text.startswith(' ') else ''}\textcolor{{vs-along}}{{{text.strip()}}}"


def _point(point: Sequence[float]) -> str:
    return f"({number(point[0])},{number(point[1])})"


def _parts(path: Path) -> list[Path]:
    """The strokes of a path, each from its start."""
    parts: list[list[tuple[str, tuple[float, ...]]]] = []
    for piece in path:
        if piece[0] == "M":
            parts.append([])
        parts[-1].append(piece)
    return [tuple(part) for part in parts]


def _path(part: Path) -> str:
    words = []
    for command, numbers in part:
        if command == "M":
            words.append(_point(numbers))
        elif command == "L":
            words.append(f"-- {_point(numbers)}")
        elif command == "C":
            one, two, end = numbers[:2], numbers[2:4], numbers[4:]
            words.append(f".. controls {_point(one)} and {_point(two)} .. {_point(end)}")
        else:
            words.append("-- cycle")
    return " ".join(words)
