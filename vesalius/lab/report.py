"""What a tour says of what it found: rows of a table, figures as JSON, and the page."""

from __future__ import annotations

import platform
from math import isfinite, log
from typing import TYPE_CHECKING, Any

import torch

from vesalius.diagrams.drawing.picture import draw
from vesalius.diagrams.drawing.svg import slug, svg
from vesalius.diagrams.expressions import size_text
from vesalius.lab import page
from vesalius.lab.exhibits import ROWS, Exhibit, written

if TYPE_CHECKING:
    from vesalius.lab.tour import Tour

HEAD = ("mechanism", "boxes", "weights", "FLOPs", "predicted", "measured", "f64", "f32")
NUMBERS = (1, 2, 4, 5, 6, 7)


def bits(nats: float) -> str:
    """A loss or an entropy per character, in nats and in bits."""
    return f"{nats:.3f} nats ({nats / log(2):.3f} bits)"


def duration(seconds: float) -> str:
    """A time with two or three digits.

    >>> duration(0.00123)
    '1.23 ms'
    """
    return f"{1e6 * seconds:.0f} µs" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"


def caption(tour: Tour) -> str:
    """What the numbers of the table are measured at."""
    settings, threads = tour.settings, tour.machine.threads
    return (
        f"{ROWS} passages of {min(settings.context, tour.reading.rows.shape[1] - 1)} characters, "
        f"width {settings.width}, {settings.heads} heads, float32, "
        f"{threads} thread{'s' * (threads > 1)}"
    )


def row(one: Exhibit) -> list[str]:
    """A row of the table under `HEAD`."""
    worst = list(one.checks.values())
    return [
        one.label,
        str(one.boxes),
        f"{one.parameters:,}",
        size_text(one.leading),
        duration(one.predicted),
        duration(one.seconds),
        f"{max(check.double for check in worst):.0e}",
        f"{max(check.single for check in worst):.0e}",
    ]


# -- figures --------------------------------------------------------------------------------------


def figures(tour: Tour) -> dict[str, Any]:
    """All numbers of a tour, for machines. Losses are in nats per character, times in seconds."""
    reading, history, settings = tour.reading, tour.history, tour.settings
    return {
        "software": {"python": platform.python_version(), "torch": torch.__version__},
        "passed": tour.status == 0,
        "checked": tour.checked,
        "learned": tour.learned,
        "interrupted": tour.interrupted,
        "seconds": tour.seconds,
        "settings": {
            name: getattr(settings, name)
            for name in ("steps", "seed", "layers", "width", "heads", "context", "batch")
        },
        "text": {
            "name": reading.name,
            "characters": len(reading.text),
            "alphabet": len(reading.alphabet),
            "held_out_characters": len(reading.held_out),
            "unigram_entropy": reading.unigram,
            "bigram_entropy": reading.bigram,
            "bigram_entropy_held_out": reading.bigram_held_out,
        },
        "machine": {
            "products_per_second": tour.machine.products,
            "function_values_per_second": tour.machine.functions,
            "bytes_per_second": tour.machine.bytes,
            "seconds_per_call": tour.machine.call,
            "threads": tour.machine.threads,
        },
        "mechanisms": [_figures_of(one) for one in tour.everything],
        "training": {
            "steps": history.step,
            "seconds": history.seconds,
            "held_out_loss": _finite(tour.final),
            "first_below_the_bar": history.first_below(reading.bigram),
            "losses": [[step, _finite(loss)] for step, loss in history.training],
            "held_out_losses": [[step, _finite(loss)] for step, loss in history.held_out],
        },
        "sample": tour.samples,
    }


def _figures_of(one: Exhibit) -> dict[str, Any]:
    return {
        "name": one.mechanism.name,
        "options": dict(one.options),
        "boxes": one.boxes,
        "parameters": one.parameters,
        "flops": str(one.flops),
        "leading": str(one.leading),
        "predicted_seconds": one.predicted,
        "measured_seconds": one.seconds,
        "differences": {
            when: {"float64": _finite(check.double), "float32": _finite(check.single)}
            for when, check in one.checks.items()
        },
    }


def _finite(value: float) -> float | None:
    """A number that JSON has; None for the others."""
    return value if isfinite(value) else None


# -- the page -------------------------------------------------------------------------------------


def index(tour: Tour) -> str:
    """The page: what was read, what was built and checked, how it learned, every diagram."""
    return page.page(
        "Vesalius: a tour",
        [
            '<header>\n<h1>A tour of attention</h1>\n<p class="lead">Andreas Vesalius opened '
            "bodies and drew what he saw. This library opens attention.</p>\n"
            '<nav><a href="#text">the text</a><a href="#mechanisms">the mechanisms</a>'
            '<a href="#learning">learning to read</a><a href="#diagrams">the diagrams</a>'
            "</nav>\n</header>\n<main>",
            _verdict(tour),
            _text(tour),
            _mechanisms(tour),
            _learning(tour),
            _diagrams(tour),
            "</main>",
        ],
    )


def _verdict(tour: Tour) -> str:
    lines = [
        page.verdict(
            tour.checked,
            "Every compiled module agrees with the float64 reference of its diagram."
            if tour.checked
            else "Some compiled modules do not agree with the reference: see the table.",
        ),
        page.verdict(
            tour.learned,
            f"Held-out loss {bits(tour.final)} per character, "
            f"{'below' if tour.learned else 'not below'} the text’s bigram entropy, "
            f"{bits(tour.reading.bigram)}.",
        ),
    ]
    if tour.interrupted:
        step, steps = tour.history.step, tour.settings.steps
        lines.append(page.verdict(False, f"Interrupted after step {step} of {steps}."))
    return "".join(f"<p>{line}</p>" for line in lines)


def _text(tour: Tour) -> str:
    reading = tour.reading
    return page.section(
        "text",
        "The text",
        page.facts(
            [
                ("text", reading.name),
                ("characters", f"{len(reading.text):,}, {len(reading.alphabet)} distinct"),
                ("held out", f"the last {len(reading.held_out):,} characters"),
                ("entropy of a character", bits(reading.unigram)),
                ("given the one before it", f"{bits(reading.bigram)}: the bar"),
                ("… in the part held out", bits(reading.bigram_held_out)),
            ]
        ),
        page.paragraph(
            "A model that predicts each character from the one before it can do no better on a "
            "text, on average, than the entropy of a character given the one before it in that "
            "text. A lower loss is due to reading further back, which is what attention does."
        ),
    )


def _mechanisms(tour: Tour) -> str:
    machine = tour.machine
    rows = []
    for k, one in enumerate(tour.everything):
        name, *rest = row(one)
        good = all(check.holds for check in one.checks.values())
        checks = [page.Cell.verdict(good, words) for words in rest[-2:]]
        rows.append([page.Cell.link(_anchor(k), name), *rest[:-2], *checks])
    return page.section(
        "mechanisms",
        "The mechanisms, checked and measured",
        page.table(HEAD, rows, NUMBERS),
        page.paragraph(
            f"At {caption(tour)}. Each diagram is compiled to a PyTorch module and compared with "
            "the meaning of the diagram, computed box by box in float64. The last two columns are "
            "the largest differences, relative to one plus the largest value, on the normalised "
            "embeddings of held-out passages, as the first attention of the language model reads "
            "them: once before it is trained, once after. The FLOPs "
            "are those of one passage, the terms of highest degree as n = m grows; all of them "
            "are with the diagrams below."
        ),
        page.paragraph(
            "The prediction adds, for the whole diagram as it is written, "
            f"{duration(machine.call)} a box, products and sums of contractions at "
            f"{machine.products / 1e9:.1f} G/s, values of functions at "
            f"{machine.functions / 1e9:.2f} G/s, and bytes at {machine.bytes / 1e9:.1f} GB/s, "
            "as just measured on this machine; nothing is taken to overlap."
        ),
    )


def _learning(tour: Tour) -> str:
    history, settings = tour.history, tour.settings
    first = history.first_below(tour.reading.bigram)
    training, held_out = (
        [(step, loss) for step, loss in losses if isfinite(loss)]
        for losses in (history.training, history.held_out)
    )
    figure = page.curve(page.smooth(training, 10), held_out, tour.reading.bigram, "bigram")
    return page.section(
        "learning",
        "Learning to read",
        page.paragraph(
            f"A language model of characters: {settings.layers} blocks of causal attention with "
            f"{settings.heads} heads, width {settings.width}, {tour.model.parameters:,} "
            f"parameters, compiled from its diagram. {history.step} steps of {settings.batch} "
            f"passages of {settings.context} characters took {history.seconds:.0f} s."
        ),
        f"<figure>\n{figure}\n<figcaption>Loss in nats per character: of each batch (mean of the "
        "last ten), of the held-out text, and the bar: the bigram entropy of the text."
        + (f" First below it after step {first}." if first is not None else "")
        + "</figcaption>\n</figure>",
        "<h3>What it writes</h3>",
        f'<pre class="sample">{page.text(tour.samples.strip(chr(10)))}</pre>',
    )


def _diagrams(tour: Tour) -> str:
    return page.section(
        "diagrams",
        "The diagrams",
        page.paragraph(
            "Each is drawn from what was compiled, checked and measured. Sizes are symbolic, as "
            "the mechanism is written. An axis that a box does not bind is a tube, a shaded "
            "region: the box is mapped over it. Dark boxes are learned; boxes with bars hold a "
            "diagram of their own."
        ),
        *(_diagram(_anchor(k), one) for k, one in enumerate(tour.everything)),
    )


def _diagram(anchor: str, one: Exhibit) -> str:
    """One mechanism: its picture, whence it comes, its parts, parameters, boxes and cost."""
    mechanism, diagram = one.mechanism, one.symbolic
    return (
        f'<h3 id="{anchor}">{page.text(mechanism.title)}: {page.text(one.label)}</h3>\n'
        + page.picture(
            svg(draw(diagram).scene, prefix=f"{anchor}-picture"),
            f'{page.text(mechanism.formula)} · <a href="{page.text(file_name(one))}">'
            "the same to open, point at and colour by cost</a>",
        )
        + _details(anchor, one)
    )


def _details(anchor: str, one: Exhibit) -> str:
    """What is known of a mechanism, in words and numbers."""
    mechanism, diagram = one.mechanism, one.symbolic
    paper = mechanism.paper
    source = f"{paper.authors}: {paper.title} ({paper.year})"
    if paper.arxiv:
        source += f", arXiv:{paper.arxiv}"
    chosen = f" --with {','.join(written(one.options))}" if one.options else ""
    parameters = [(name, str(type_)) for name, type_ in diagram.parameters.items()]
    return page.folded(
        f"{anchor}-details",
        "its source, parts, boxes and cost",
        page.facts(
            [
                ("formula", mechanism.formula),
                ("source", source),
                *((slot.replace("_", " "), part) for slot, part in mechanism.anatomy.items()),
                ("shown by", f"vesalius show {mechanism.name}{chosen}"),
            ]
        ),
        page.listing(str(diagram)),
        page.table(("parameter", "type"), parameters, ()) if parameters else "",
        page.listing(str(diagram.cost())),
        page.folded(f"{anchor}-source", "compiled to", page.listing(one.single.source)),
    )


def file_name(one: Exhibit) -> str:
    """The name of the interactive page of a mechanism, beside the page of the tour."""
    return f"{slug(one.label)}.html"


def interactive(one: Exhibit) -> str:
    """That page."""
    return draw(one.symbolic).html()


def _anchor(k: int) -> str:
    return f"diagram-{k}"
