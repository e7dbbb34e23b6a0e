"""TikZ: compiles with a plain LaTeX, hostile labels included; says what the scene says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from drawing_samples import attention, block, causal

import vesalius as vs
from vesalius.diagrams.drawing.tikz import escape

LATEX = shutil.which("pdflatex")


def compile_(text: str, folder: Path) -> None:
    (folder / "picture.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [LATEX, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "picture.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1500:]
    assert (folder / "picture.pdf").stat().st_size > 1000


needs_latex = [
    pytest.mark.slow,
    pytest.mark.skipif(
        LATEX is None and not os.environ.get("CI"),
        reason="NO LATEX: no pdflatex on the path; that TikZ compiles is not tested here",
    ),
]


@pytest.mark.parametrize(
    "options", [{}, {"direction": "down", "theme": "print"}, {"depth": 1}], ids=str
)
@pytest.mark.parametrize("diagram", [attention, causal, block], ids=lambda d: d.name)
@pytest.mark.usefixtures("tmp_path")
class TestCompiles:
    pytestmark = needs_latex

    def test_it_compiles(self, diagram: vs.Diagram, options: dict, tmp_path: Path) -> None:
        compile_(diagram.tikz(**options), tmp_path)


HOSTILE = r"\input{/etc/passwd} $x_1^2$ %# ~{} & <b> | \" ' ` 注意 é ∮ " + "x" * 100


class TestHostile:
    pytestmark = needs_latex

    def test_hostile_labels_compile(self, tmp_path: Path) -> None:
        with vs.Builder(HOSTILE) as builder:
            x = builder.input(HOSTILE[:25], "n c")
            y = builder.input(HOSTILE[20:48], "m c")
            boxed = attention.fold(HOSTILE[40:70]).boxed(x, y, y.rename(c="e"))
            text = builder.diagram(**{"注意 $": boxed}).tikz(legend=True)
        compile_(text, tmp_path)


def test_every_special_character_is_escaped() -> None:
    assert escape(r"\{}$&#%_^~") == (
        r"\textbackslash{}\{\}\$\&\#\%\_\textasciicircum{}\textasciitilde{}"
    )
    assert escape("1/√c") == r"1/\ensuremath{\surd}c"
    assert escape("注") == r"\vesaliuschar{注}{U+6CE8}"


def test_it_draws_every_shape_and_string() -> None:
    text = causal.tikz()
    scene = causal.draw().scene
    assert text.count(r"\draw[vs-wire]") == len(scene.wires)
    assert len(re.findall(r"\\node\[", text)) == len(list(scene.texts()))
    assert r"\begin{document}" not in causal.tikz(standalone=False)
