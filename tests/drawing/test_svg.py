"""The SVG: the same bytes everywhere, real text, nothing injected, small."""

import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from drawing_samples import OWN, attention, block, causal, encoder

import vesalius as vs
from vesalius.diagrams.drawing.svg import style
from vesalius.diagrams.drawing.theme import THEMES

ROOT = Path(__file__).parents[2]
NS = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    "a & b",
    "\"quoted\" 'twice'",
    r"\input{/etc/passwd} $x_1^2$ %# ~{}",
    "注意機構",
    "x" * 200,
    "]]>",
    "line\nbreak\x00\x1b",
    "‮right to left",
    "_",
    "",
]


def test_bytes_do_not_depend_on_the_machine() -> None:
    """Another process, another hash seed, no fonts at all."""
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from drawing_samples import OWN\n"
        "import hashlib\n"
        "for d in OWN:\n"
        "    text = d.svg(depth=1 if d.name == 'block' else 0)\n"
        "    print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    wanted = [
        hashlib.sha256(d.svg(depth=1 if d.name == "block" else 0).encode()).hexdigest() for d in OWN
    ]
    for seed in ("0", "4711"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": str(ROOT),
            "FONTCONFIG_FILE": os.devnull,
            "FONTCONFIG_PATH": os.devnull,
            "LC_ALL": "C",
        }
        found = subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert found.stdout.split() == wanted


def test_it_is_xml_with_text_titles_and_ids(diagram: vs.Diagram) -> None:
    root = ET.fromstring(diagram.svg())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    groups = [g for g in root.iter(f"{NS}g") if g.get("id")]
    assert groups
    for group in groups:
        title = group.find(f"{NS}title")
        assert title is not None
        assert title.text
    assert not list(root.iter(f"{NS}script"))


def test_titles_give_types() -> None:
    root = ET.fromstring(attention.svg())
    titles = {g.get("id"): g.find(f"{NS}title").text for g in root.iter(f"{NS}g")}
    assert titles["attention-wire-0"] == "{n, c} float"
    assert "{n, c} float, {m, c} float → {n, m} float" in titles["attention-box-3"]


def test_ids_do_not_move_when_a_box_is_styled() -> None:
    ids = [re.findall(r' id="([^"]+)"', causal.svg(theme=theme)) for theme in THEMES]
    assert all(found == ids[0] for found in ids)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_and_inject_nothing(name: str) -> None:
    @vs.diagram(name=name or "x")
    def inner(x: "n c") -> "n c":
        return vs.softmax(x, over="c")

    with vs.Builder(name) as builder:
        x = builder.input(name or "x", "n c")
        host = builder.diagram(**{name or "y": inner.boxed(x)})
    for options in ({}, {"depth": 1, "direction": "down"}):
        text = host.svg(**options)
        root = ET.fromstring(text)
        tags = {element.tag.removeprefix(NS) for element in root.iter()}
        assert tags <= {
            "svg", "title", "style", "rect", "g", "path", "circle", "polygon", "text", "tspan"
        }  # fmt: skip
        assert not [a for e in root.iter() for a in e.attrib if a.startswith("on")]
        shown = "".join("".join(e.itertext()) for e in root.iter(f"{NS}text"))
        for word in re.findall(r"\w{3,29}", name):
            assert word in shown.replace("…", "") or len(name) > 29


def test_nothing_in_the_data_of_a_page_is_markup() -> None:
    with vs.Builder("</script><!--<script>") as builder:
        x = builder.input("<b> & 'c'", "n")
        page = builder.diagram(**{"</script>": vs.exp(x)}).html()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert not set("<>&") & set(data[1])
    assert json.loads(data[1])["scenes"][0]["name"] == "</script><!--<script>"
    assert page.count("<script") == 2


def test_the_page_gives_formulas_in_the_names_of_the_box() -> None:
    data = re.search(r'id="data">(.*?)</script>', causal.html(), re.DOTALL)
    (scene,) = json.loads(data[1])["scenes"]
    found = {shape["formula"] for shape in scene["shapes"] if "formula" in shape}
    assert {"y = Σ_d x₁·x₂", "y = Σ_c x₁·x₂", "y = Σ_{h e} x₁·x₂"} <= found
    assert "y = exp(x) / Σ_m exp(x)" in found


def test_a_size_that_people_can_mail() -> None:
    for diagram in (block, causal, encoder, attention):
        body = re.sub(r"<style>.*?</style>", "", diagram.svg(), flags=re.DOTALL)
        shapes = len(diagram.draw().scene.shapes)
        assert len(body.encode()) <= 1024 * shapes


def test_colours_are_rules_first_and_variables_second() -> None:
    for theme in THEMES:
        rules = style(theme)
        for name, colour in re.findall(r"var\(--v-([\w-]+),(#\w+)\)", rules):
            assert colour, name
        # A program without variables finds a plain colour before each of them.
        for prop, colour in re.findall(r"(fill|stroke):var\(--v-[\w-]+,(#\w+)\)", rules):
            assert f"{prop}:{colour};{prop}:var(" in rules


def contrast(a: str, b: str) -> float:
    """The contrast of two colours as WCAG 2 defines it."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((light(a), light(b)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_texts_can_be_read(name: str) -> None:
    theme = THEMES[name]
    for paper in (theme.paper, *theme.tubes):
        assert contrast(theme.ink, paper) >= 7
        assert contrast(theme.axis, paper) >= 4.5 or paper in theme.tubes[2:]
        assert contrast(theme.wire, paper) >= 4.5
    assert contrast(theme.ink, theme.box) >= 7
    assert contrast(theme.light, theme.dark) >= 7
    assert contrast(theme.tube_text, theme.tubes[0]) >= 3


def test_the_whole_writes_files(tmp_path: Path) -> None:
    for ending in ("svg", "tex", "dot"):
        path = tmp_path / f"a.{ending}"
        vs.draw(attention, path)
        assert path.read_text("utf-8")
    assert (tmp_path / "a.svg").read_text("utf-8") == attention.svg()


def test_a_notebook_shows_it() -> None:
    assert "<svg" in attention._repr_html_()
    assert attention.draw()._repr_mimebundle_()["image/svg+xml"] == attention.svg()


def test_large_diagrams_are_folded_with_a_note() -> None:
    with vs.Builder("long") as builder:
        x = builder.input("x", "n")
        for k in range(3000):
            x = vs.tanh(x) if k % 2 else vs.exp(x)
        diagram = builder.diagram(x)
    text = diagram.svg()
    assert "3000 boxes are more than a picture holds" in text
    assert len(text) < 10_000
