"""What is folded into a glyph: it says exactly what its nodes compute."""

import math
import random
import re
from fractions import Fraction

import pytest
import torch
from drawing_samples import norm

import vesalius as vs
from vesalius.diagrams.drawing.sketch import Glyph, sketch
from vesalius.diagrams.drawing.text import plain
from vesalius.diagrams.expressions import number_text


def glyphs(diagram: vs.Diagram, **options) -> list[Glyph]:
    """The glyphs that compute something, in order."""
    ends = ("input", "output")
    return [g for g in sketch(diagram, **options).glyphs if g.look not in ends]


def labels(diagram: vs.Diagram) -> list[str]:
    return [plain(glyph.label) for glyph in glyphs(diagram)]


KNOWN = {
    "sqrt": lambda x: x**0.5,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "tanh": math.tanh,
}


def value(label: str, x: float) -> float:
    """What the function that a label stands for makes of x, as a reader takes it."""
    words = label.replace("−", "-").replace("·", "*").replace("²", "**2").replace("×", "*")
    words = re.sub(r"√(\w+)", r"√(\1)", words)
    if words in ("√", "-", "elu", "tanh"):
        words += "(x)"
    elif words[0] in "+-*" and "x" not in words:  # a sum or a product with a number
        words = f"x {words}"
    elif "x" not in words:  # a scaling, such as `1/√c`
        words = f"({words})*x"
    return eval(words.replace("√", "sqrt"), KNOWN, {"x": x})  # labels of this file alone


STEPS = {
    "add": lambda x, c: x + c,
    "scale": lambda x, c: x * c,
    "divide": lambda x, c: x / c,
    "reciprocal": lambda x, c: 1 / x,
    "root": lambda x, c: vs.sqrt(x),
    "square": lambda x, c: x * x,
    "elu": lambda x, c: vs.elu(x),
    "tanh": lambda x, c: vs.tanh(x),
    "take from": lambda x, c: c - vs.tanh(x),
}


@pytest.mark.parametrize("seed", range(60))
def test_a_chain_of_arithmetic_reads_as_what_it_computes(seed: int) -> None:
    chance = random.Random(seed)
    with vs.Builder("chain") as builder:
        x = builder.input("x", "")
        y = x
        for _ in range(chance.randint(1, 6)):
            y = STEPS[chance.choice([*STEPS])](y, chance.randint(2, 9))
        diagram = builder.diagram(y)
    found = glyphs(diagram)
    result = 0.7
    for glyph in found:
        result = value(plain(glyph.label), result)
    assert result == pytest.approx(vs.to_torch(diagram)(torch.tensor(0.7)).item(), rel=1e-4)
    assert set().union(*(g.covers for g in found)) == set(range(1, len(diagram.nodes)))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.5, "1/2"),
        (Fraction(1, 2), "1/2"),
        (Fraction(-3, 4), "−3/4"),
        (1 / 64, "0.01562"),
        (Fraction(1, 64), "0.01562"),
        (Fraction(1, 3), "1/3"),
        (0.1, "0.1"),
        (1e-5, "10⁻⁵"),
        (-1e-5, "−10⁻⁵"),
        (2.5e-7, "2.5·10⁻⁷"),
        (3, "3"),
        (3.0, "3"),
        (Fraction(3), "3"),
        (10**12, "10¹²"),
        (1e12, "10¹²"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_read_by_their_value(number: object, text: str) -> None:
    """Equal numbers are one constant, whatever type came first: so they are one text."""
    assert number_text(number) == text


def test_a_norm_reads_as_on_paper() -> None:
    assert labels(norm) == ["mean_d", "−", "x²", "mean_d", "1/√(x + 10⁻⁵)", "×", "gain"]


def test_a_sum_is_a_mean_only_over_its_own_length() -> None:
    @vs.diagram
    def half(x: "n d", y: "n d", z: "n d") -> {"a": "n", "b": "n", "c": "n"}:
        d, n = vs.size("d"), vs.size("n")
        total = vs.sum(z, "d")
        return {"a": vs.sum(x, "d") / d, "b": vs.sum(y, "d") / n, "c": total / d + total}

    assert sorted(labels(half)) == ["+", "1/d", "1/n", "mean_d", "Σ_d", "Σ_d"]


def test_what_is_taken_away_comes_second() -> None:
    @vs.diagram
    def minus(x: "n", y: "n") -> {"a": "n", "b": "n"}:
        return {"a": y - vs.exp(x), "b": vs.exp(y) - x}

    drawn = sketch(minus)
    for glyph in drawn.glyphs:
        if plain(glyph.label) == "−":
            sources = [drawn.glyphs[drawn.strings[p.string].source[0]] for p in glyph.ins]
            assert [plain(s.label) for s in sources] in (["y", "exp"], ["exp", "x"])
            assert not glyph.free
    assert labels(minus).count("−") == 2


def test_a_negation_that_others_read_stays_a_box() -> None:
    @vs.diagram
    def shared(x: "n", y: "n") -> {"a": "n", "b": "n"}:
        z = -x
        return {"a": y + z, "b": vs.exp(z)}

    assert labels(shared) == ["−", "+", "exp"]


def test_axes_are_one_axis_through_what_is_folded() -> None:
    """In x − mean(x) both strings, and what comes out, have the same axes."""
    drawn = sketch(norm)
    for glyph in drawn.glyphs:
        if plain(glyph.label) == "−":
            positive, _ = glyph.ins
            assert set(positive.classes) == set(glyph.outs[0].classes)
            assert set(positive.names) == {"n", "d"}


def test_the_scores_of_masked_attention_stay_level() -> None:
    """The mask comes from the side; scaling, mask and softmax are on one line."""
    scene = vs.anatomy["multihead"](causal=True).draw().scene
    kept = {}
    for shape in scene.shapes:
        name = "".join(run.text for text in shape.texts for run in text.label)
        kept[name] = (shape.box[1] + shape.box[3]) / 2
    assert kept["1/√c"] == kept["softmaxm"]


def test_no_string_has_a_bend_too_small_to_be_meant() -> None:
    for mechanism in vs.anatomy.CATALOGUE:
        diagram = mechanism()
        for wire in diagram.draw().scene.wires:
            here = (0.0, 0.0)
            for command, numbers in wire.path:
                if command == "C":
                    high, wide = abs(numbers[5] - here[1]), abs(numbers[4] - here[0])
                    assert high >= 3.0, (diagram.name, wire.key)
                    assert wide >= 20.0
                    assert high <= 4 * wide, (diagram.name, wire.key)
                here = numbers[-2:] if numbers else here


def test_a_tangled_axis_has_no_region() -> None:
    """Inside the step of causal linear attention the axis e crosses everything: it has strings."""
    diagram = vs.anatomy["linear"](causal=True)
    (frame,) = [s for s in diagram.draw(depth=1).scene.shapes if s.inner is not None]
    assert frame.inner.regions == []
    assert any(wire.sleeve for wire in frame.inner.wires)


def test_a_circle_is_met_where_the_string_arrives() -> None:
    """Bahdanau's sum: three strings bend, and the one from `u` goes level into the circle."""
    scene = vs.anatomy["bahdanau"]().draw().scene
    assert sum(piece[0] == "C" for wire in scene.wires for piece in wire.path) == 3


def texts(diagram: vs.Diagram) -> list[str]:
    """What is written in and beside the boxes."""
    shapes = diagram.draw().scene.shapes
    return ["".join(run.text for run in text.label) for shape in shapes for text in shape.texts]


def test_a_sign_stands_before_a_product() -> None:
    @vs.diagram
    def signed(x: "n") -> {"odd": "n", "even": "n", "sum": "n"}:
        return {
            "odd": vs.softplus(x) * -1.0 * 0.5,
            "even": vs.exp(x) * -2.0 * -3.0,
            "sum": vs.tanh(x) - vs.log(vs.size("n")),
        }

    found = texts(signed)
    assert {"−softplus(x)/2", "3·2·exp(x)", "tanh(x) − log(n)"} <= set(found), found
    for mechanism in vs.anatomy.CATALOGUE:
        for text in texts(mechanism()):
            assert "·(−" not in text, (mechanism.name, text)
            assert "(−1)" not in text, (mechanism.name, text)


def test_the_parameters_of_a_scan_stay_inside_it() -> None:
    turn = next(g for g in glyphs(vs.anatomy["slot_attention"]()) if "turn" in plain(g.label))
    assert turn.name == "learned"
    assert len(turn.ins) == 3  # the slots, the keys and the values
    assert "u_reset" in turn.inside
    inside = glyphs(vs.anatomy["slot_attention"](), depth=1)
    opened = next(glyph.body for glyph in inside if glyph.body is not None)
    assert {"parameter", "dark"} & {glyph.look for glyph in opened.glyphs}
    assert not any(glyph.look == "input" and "reset" in glyph.name for glyph in opened.glyphs)


def test_a_box_of_parameters_alone_shows_those_that_others_read() -> None:
    norms = [g for g in glyphs(vs.anatomy["perceiver"]()) if plain(g.label) == "norm"]
    assert [len(glyph.ins) for glyph in norms] == [1, 1, 1]
    assert all("gain" in glyph.inside and "shift" in glyph.inside for glyph in norms)


def test_powers_and_quotients_are_written_as_on_paper() -> None:
    @vs.diagram
    def powers(x: "n") -> {"cube": "n", "root": "n"}:
        whole = vs.power(vs.tanh(x), exponent=3)
        return {"cube": whole, "root": vs.power(vs.exp(x), exponent=-0.5)}

    assert {"tanh(x)³", "exp(x)^(−1/2)"} <= set(labels(powers))
    assert "x/(50·√c)" in labels(vs.anatomy["softcap"]())
