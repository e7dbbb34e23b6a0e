"""The tour, on a small text with a small model: what it finds, writes, says and returns."""

import importlib.util
import io
import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from vesalius.anatomy import CATALOGUE
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.expressions import size_text
from vesalius.lab import corpus, exhibits, language, measure, report, tour

# By path: the tests are no package.
_spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("test_page.py"))
pages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(pages)

# After an `a` comes an `a` or a `b`, and only the character before that says which.
TEXT = "abaab" * 200


ALL = exhibits.CHOSEN
SOME = (("luong_dot", {}), ("multihead", {"causal": True}), ("linear", {"causal": True}))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Settings of a tour that takes a few seconds: of some mechanisms, none of them timed."""
    monkeypatch.setattr(exhibits, "CHOSEN", SOME)
    monkeypatch.setattr(measure, "seconds", lambda run, budget=0.2: run() is None or 1e-3)
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return tour.Settings(
        text=path, out=tmp_path / "out", steps=150, layers=1, width=16, heads=2, context=12, batch=8
    )


def take(settings):
    console = Console(file=io.StringIO(), width=100)
    status = tour.take(settings, console)
    figures = json.loads((settings.out / "tour.json").read_text())
    return status, figures, console.file.getvalue()


def test_a_tour_that_succeeds(small, monkeypatch):
    monkeypatch.setattr(exhibits, "CHOSEN", ALL)
    status, figures, said = take(small)
    assert status == 0
    assert figures["passed"]
    assert figures["checked"]
    assert figures["learned"]
    assert not figures["interrupted"]
    text = figures["text"]
    assert text["characters"] == len(TEXT)
    assert text["alphabet"] == 2
    assert text["held_out_characters"] == len(TEXT) // 10
    assert text["bigram_entropy"] == pytest.approx(corpus.bigram_entropy(TEXT))
    assert text["bigram_entropy_held_out"] == pytest.approx(corpus.bigram_entropy(TEXT[900:]))

    training = figures["training"]
    assert training["steps"] == 150 == len(training["losses"])
    assert training["held_out_loss"] < text["bigram_entropy"]
    assert training["held_out_losses"][-1] == [150, training["held_out_loss"]]
    assert training["first_below_the_bar"] <= 150
    assert set(figures["sample"]) <= set(TEXT)
    # It has learned the text: never three of one letter, and mostly pieces of it.
    assert "bb" not in figures["sample"][5:]

    rows = figures["mechanisms"]
    assert [(row["name"], row["options"]) for row in rows[:-1]] == list(ALL)
    assert rows[-1]["name"] == "language_model"
    for row in rows:
        assert row["boxes"] > 0
        assert row["predicted_seconds"] > 0
        assert row["measured_seconds"] == 1e-3
        for when in (tour.START, tour.END):
            differences = row["differences"][when]
            assert 0 <= differences["float64"] <= 1e-9
            assert 0 < differences["float32"] <= 1e-4

    assert "all agree" in said
    assert "below the text's bigram entropy" in said
    assert report.bits(text["bigram_entropy"]) in said
    assert (small.out / "checkpoint.pt").exists()


def test_the_page_shows_what_the_figures_say(small):
    _, figures, _ = take(replace(small, steps=3))
    document = (small.out / "index.html").read_text()
    tree = pages.self_contained(document, beside=os.listdir(small.out))
    for row in figures["mechanisms"]:
        title = CATALOGUE[row["name"]].title
        assert title in tree.words
        assert f"{row['parameters']:,}" in tree.words
    for one in ("bigram", "scaled_dot", "softmax", "1706.03762", "class Block", "cost of linear"):
        assert one in tree.words
    assert f"{figures['training']['held_out_loss']:.3f}" in tree.words
    assert tree.words.count("compiled to") == len(figures["mechanisms"]) + 1  # and in the caption
    assert 'polyline class="training"' in document


def test_every_diagram_is_drawn_and_has_a_page_to_open(small):
    _, figures, _ = take(replace(small, steps=1))
    tree = pages.self_contained(
        (small.out / "index.html").read_text(), beside=os.listdir(small.out)
    )
    pictures = [attrs for tag, attrs in tree.tags if "vesalius" in attrs.get("class", "").split()]
    labels = [
        " ".join([row["name"], *exhibits.written(row["options"])]) for row in figures["mechanisms"]
    ]
    assert len(pictures) == len(labels) == len(SOME) + 1
    files = [link for link in tree.links if not link.startswith("#")]
    assert len(set(files)) == len(labels)
    for label, row, file in zip(labels, figures["mechanisms"], files, strict=True):
        assert file.startswith(label.split()[0])
        opened = (small.out / file).read_text()
        assert f"<title>{row['name']}" in opened
        assert not re.search(r"""(src|href)=["'](?!#)""", opened)


def test_a_loss_above_the_bar_is_a_failure(small):
    status, figures, said = take(replace(small, steps=1))
    assert status == 1
    assert figures["checked"]
    assert not figures["learned"]
    assert not figures["passed"]
    assert "NOT below" in said
    assert "--steps 2" in said
    assert 'class="bad">Held-out loss' in (small.out / "index.html").read_text()


def test_a_module_that_computes_something_else_is_a_failure(small, monkeypatch):
    compiled = exhibits.to_torch

    def wrong(diagram, **options):
        module = compiled(diagram, **options)
        if diagram.name == "luong_dot" and options["dtype"] == torch.float32:
            forward = module.forward
            module.forward = lambda *inputs: forward(*inputs) * 1.01
        return module

    monkeypatch.setattr(exhibits, "to_torch", wrong)
    status, figures, said = take(small)
    assert status == 1
    assert figures["learned"]
    assert not figures["checked"]
    assert "WRONG: luong_dot" in said
    wrong_rows = [row["name"] for row in figures["mechanisms"] if not holds(row)]
    assert wrong_rows == ["luong_dot"]
    assert "Some compiled modules do not agree" in (small.out / "index.html").read_text()


def holds(row):
    return all(
        found["float64"] <= 1e-9 and found["float32"] <= 1e-4
        for found in row["differences"].values()
    )


def interrupt_at(step, monkeypatch):
    train = language.train

    def interrupted(*arguments):
        for history in train(*arguments):
            if history.step == step:
                os.kill(os.getpid(), signal.SIGINT)
            yield history

    monkeypatch.setattr(language, "train", interrupted)


def test_an_interrupted_tour_keeps_what_there_is_and_goes_on(small, monkeypatch):
    small = replace(small, steps=20)
    _, whole, _ = take(replace(small, out=small.out / "whole"))
    handler = signal.getsignal(signal.SIGINT)

    with monkeypatch.context() as patch:
        interrupt_at(7, patch)
        status, figures, said = take(small)
    assert status == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert figures["interrupted"]
    assert figures["training"]["steps"] == 7
    assert figures["training"]["held_out_loss"] > 0
    assert "Interrupted after step 7 of 20" in said
    assert "Interrupted after step 7 of 20" in (small.out / "index.html").read_text()

    status, figures, said = take(replace(small, resume=True))
    assert status == 1
    assert "Going on after step 7" in said
    for what in ("losses", "held_out_losses", "held_out_loss"):
        assert figures["training"][what] == whole["training"][what]
    assert figures["sample"] == whole["sample"]


def test_a_second_interrupt_ends_at_once():
    def twice():
        with tour.interruptible() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(5)
            os.kill(os.getpid(), signal.SIGINT)
            stop.wait(0.01)
        return "went on"

    with pytest.raises(KeyboardInterrupt):
        twice()


def test_going_on_with_something_else_is_refused(small):
    small = replace(small, steps=2)
    with pytest.raises(FormatError, match="no checkpoint to resume from"):
        tour.take(replace(small, resume=True), Console(file=io.StringIO()))
    take(small)
    for other in (replace(small, steps=3), replace(small, seed=1), replace(small, width=18)):
        with pytest.raises(FormatError, match="belongs to another text, seed"):
            tour.take(replace(other, resume=True), Console(file=io.StringIO()))


def test_the_seed_decides_everything(small):
    small = replace(small, steps=2)

    def found(seed):
        _, figures, _ = take(replace(small, seed=seed))
        return figures["training"]["losses"], figures["sample"]

    assert found(1) == found(1)
    assert found(1) != found(2)


def test_the_number_of_threads_is_put_back(small):
    before = torch.get_num_threads()
    _, figures, _ = take(replace(small, steps=1, threads=before + 1))
    assert figures["machine"]["threads"] == before + 1
    assert torch.get_num_threads() == before


def test_a_text_that_cannot_be_read_leaves_nothing(small):
    with pytest.raises(FormatError, match="cannot read the text"):
        tour.take(replace(small, text=small.out / "none.txt"), Console(file=io.StringIO()))
    assert not small.out.exists()


def test_the_shortest_text(small):
    text = ("To be, or not to be: that is the [question]. <&> :smile: " * 6)[:300]
    small.text.write_text(text)
    status, figures, said = take(replace(small, steps=1, context=64))
    assert status == 1
    assert figures["text"]["characters"] == 300
    assert "8 passages of 29 characters" in said
    document = (small.out / "index.html").read_text()
    pages.self_contained(document, beside=os.listdir(small.out))


# -- measuring ------------------------------------------------------------------------------------


def test_differences():
    x = torch.tensor([1.0, -3.0])
    assert measure.difference(x, x) == 0
    assert measure.difference(x, x + torch.tensor([0.0, 0.5])) == pytest.approx(0.5 / 3.5)
    assert measure.difference(x[:1], x) == float("inf")
    assert measure.difference(x / 0, x) == float("inf")
    assert measure.difference(x, x * float("nan")) == float("inf")
    assert measure.difference(x[:0], x[:0]) == 0


def test_agreement_is_within_rounding_only():
    assert measure.Agreement(1e-10, 1e-5).holds
    assert not measure.Agreement(1e-8, 1e-5).holds
    assert not measure.Agreement(1e-10, 1e-3).holds
    assert not measure.Agreement(1e-10, float("nan")).holds


def test_a_prediction_adds_what_a_cost_counts():
    machine = measure.Machine(products=1e9, functions=1e6, bytes=1e3, call=2.0, threads=1)
    diagram = CATALOGUE["scaled_dot_product"]()
    cost = diagram.cost().at(n=2, m=3, c=4, e=5)
    functions = cost.operations["exp"] + cost.operations["sqrt"] + cost.operations["reciprocal"]
    wanted = 14.0 + cost.operations["multiply-add"] / 1e9 + functions / 1e6 + cost.bytes_moved / 1e3
    assert machine.predict(cost, 7) == pytest.approx(wanted)
    assert cost.operations["exp"] == 6


def test_the_machine_is_measured():
    machine = measure.calibrate()
    assert machine.products > 1e6
    assert machine.functions > 1e5
    assert machine.bytes > 1e6
    assert 0 < machine.call < 0.1
    assert machine.threads == torch.get_num_threads()


def test_boxes_are_counted_through_names_and_scans():
    block = CATALOGUE["block"](causal=True)
    flat = block.unfold()
    wanted = sum(node.box.kind.name not in ("input", "parameter", "constant", "iota")
                 for node in flat.nodes)  # fmt: skip
    assert exhibits.calls(block, {}) == wanted
    scan = CATALOGUE["linear"](causal=True)
    once, ten = exhibits.calls(scan, {}), exhibits.calls(scan, {"n": 10})
    (node,) = [node for node in scan.nodes if node.box.kind.name == "scan"]
    body = exhibits.calls(node.box["body"], {})
    assert ten - once == 9 * body
    assert body == 5  # k·v, two sums, two contractions


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("luong_dot", {}, "4·c·n²"),
        ("bahdanau", {}, "4·a·n² + 2·e·n²"),
        ("multihead", {"causal": True}, "2·c·h·n² + 2·e·h·n²"),
        ("linear", {}, "4·c·e·n"),
        ("linear", {"causal": True}, "4·c·e·n"),
        ("language_model", {"layers": 3}, "6·c·h·n² + 6·e·h·n²"),
    ],
)
def test_what_a_mechanism_costs_as_texts_grow(name, options, wanted):
    symbolic = CATALOGUE[name](**options)
    one = exhibits.Exhibit(CATALOGUE[name], options, symbolic, symbolic, None, None)
    assert size_text(one.leading) == wanted


def test_activations_are_what_the_first_attention_reads():
    model = CATALOGUE["language_model"](layers=1, heads=2, d=6, v=5, p=7)
    module = exhibits.to_torch(model.over("b"), seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    rows = torch.randint(5, (4, 7), generator=generator)
    seen = exhibits.Activations(module.state_dict(), rows)
    read = []
    module.block.norm.register_forward_hook(lambda part, given, result: read.append(result))
    module(rows)
    both = torch.cat([seen.queries, seen.memory])
    # Inside, a module orders axes as it likes.
    (inside,) = read
    inside = inside if inside.shape[0] == 4 else inside.transpose(0, 1)
    torch.testing.assert_close(both, inside, rtol=1e-5, atol=1e-5)
    cross = CATALOGUE["multihead_cross"]().over("b")
    assert seen.inputs(cross) == [seen.queries, seen.memory]
