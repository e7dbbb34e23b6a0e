"""The tour: from a text to mechanisms that are built, checked, measured, and learn to read it.

`take` does all of it and leaves a page, `index.html`, an interactive one for each diagram, the
figures, `tour.json`, and a checkpoint of the language model, from which it can go on.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from vesalius.lab import corpus, exhibits, language, measure, report
from vesalius.lab.exhibits import Activations, Exhibit
from vesalius.lab.report import bits

CHECKPOINT = "checkpoint.pt"
FAILED, INTERRUPTED = 1, 130
START, END = "at the start", "at the end"


@dataclass(frozen=True)
class Settings:
    """What a tour is of. `text` is a file; None is the text that ships with the package.

    One thread is as fast as two for arrays as small as these, far faster where other programs
    want the second, and gives the same numbers on machines with few and with many cores.
    """

    text: Path | None = None
    out: Path = Path("out")
    steps: int = 800
    seed: int = 0
    resume: bool = False
    threads: int = 1
    layers: int = 2
    width: int = 96
    heads: int = 4
    context: int = 64
    batch: int = 16

    @property
    def recipe(self) -> language.Recipe:
        """How the language model is trained."""
        return language.Recipe(
            steps=self.steps, context=self.context, batch=self.batch, seed=self.seed
        )


@dataclass
class Reading:
    """A text, its alphabet, its two parts as integers, and entropies in nats.

    `bigram` is the bar: the entropy of a character given the one before it, in the whole text.
    `bigram_held_out` is that of the part held out: what a table of pairs could reach at best
    that had been fitted to the very text on which it is tested.
    """

    name: str
    text: str
    alphabet: language.Alphabet
    training: Tensor
    held_out: Tensor
    rows: Tensor
    unigram: float
    bigram: float
    bigram_held_out: float


@dataclass
class Tour:
    """All that a tour has found."""

    settings: Settings
    reading: Reading
    machine: measure.Machine
    exhibits: list[Exhibit]
    model: Exhibit
    history: language.History = field(default_factory=language.History)
    final: float = float("inf")
    samples: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def everything(self) -> list[Exhibit]:
        """The mechanisms and the language model."""
        return [*self.exhibits, self.model]

    @property
    def checked(self) -> bool:
        """Whether every module agrees with its reference, wherever it was compared."""
        return all(check.holds for one in self.everything for check in one.checks.values())

    @property
    def learned(self) -> bool:
        """Whether the held-out loss is below the text's bigram entropy."""
        return self.final < self.reading.bigram

    @property
    def status(self) -> int:
        """The exit status: 0 when every check holds and the bar is passed."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.checked and self.learned else FAILED


def take(settings: Settings, console: Console | None = None) -> int:
    """Take the tour; returns the exit status.

    0: every check holds and the held-out loss is below the text's bigram entropy. 1: not so.
    130: interrupted; what there is has been kept.

    Raises `FormatError` for a text that cannot be read and for a checkpoint of something else.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        return _take(settings, console or Console())
    finally:
        torch.set_num_threads(threads)


def _take(settings: Settings, console: Console) -> int:
    start = time.perf_counter()
    reading = read(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    console.print(_about(reading), highlight=False, markup=False)
    machine = measure.calibrate()
    tour = Tour(settings, reading, machine, *build(settings, len(reading.alphabet)))
    optimiser = language.optimiser_for(tour.model.single, settings.recipe)
    if settings.resume:
        mark = _mark(tour)
        path = settings.out / CHECKPOINT
        tour.history = language.restore(path, mark, tour.model.single, optimiser)
        console.print(f"Going on after step {tour.history.step}, from {path}.", highlight=False)
    check(tour, START)
    time_(tour)
    console.print(_table(tour))
    _say_checks(console, tour, START)
    learn(tour, optimiser, console)
    tour.final = language.held_out_loss(tour.model.single, reading.rows)
    check(tour, END)
    _say_checks(console, tour, END)
    tour.samples = samples(tour)
    tour.seconds = time.perf_counter() - start
    _say_end(console, tour)
    write(tour)
    index = settings.out / "index.html"
    console.print(
        f"Wrote {index}; beside it tour.json, and a page to open for each diagram.", highlight=False
    )
    return tour.status


# -- the stations ---------------------------------------------------------------------------------


def read(settings: Settings) -> Reading:
    """The text, cut into what is learned from and what is held out: its last tenth."""
    if settings.text is None:
        name, whole = "Paradise Lost, by John Milton", corpus.default_text()
    else:
        name, whole = settings.text.name, corpus.load_text(settings.text)
    alphabet = language.Alphabet(whole)
    training, held_out = corpus.split(whole)
    kept = alphabet.encode(held_out)
    return Reading(
        name,
        whole,
        alphabet,
        alphabet.encode(training),
        kept,
        language.windows(kept, settings.context),
        corpus.unigram_entropy(whole),
        corpus.bigram_entropy(whole),
        corpus.bigram_entropy(held_out),
    )


def build(settings: Settings, vocabulary: int) -> tuple[list[Exhibit], Exhibit]:
    """The mechanisms that are shown, and the language model, all compiled."""
    shown = []
    for name, options in exhibits.CHOSEN:
        sizes = exhibits.sizes_for(name, options, settings.width, settings.heads)
        shown.append(exhibits.exhibit(name, options, sizes, settings.seed))
    sizes = {"d": settings.width, "h": settings.heads, "v": vocabulary, "p": settings.context}
    options = {"layers": settings.layers}
    return shown, exhibits.exhibit("language_model", options, sizes, settings.seed)


def check(tour: Tour, when: str) -> None:
    """Compare every module with the reference, on passages of the held-out text."""
    rows = _passages(tour)
    seen = Activations(tour.model.single.state_dict(), rows)
    for one in tour.exhibits:
        one.check(when, seen.inputs(one.diagram))
    tour.model.check(when, [rows])


def time_(tour: Tour) -> None:
    """Measure every module in float32, and predict what it should have taken."""
    rows = _passages(tour)
    seen = Activations(tour.model.single.state_dict(), rows)
    for one in tour.exhibits:
        one.time(seen.inputs(one.diagram), tour.machine)
    tour.model.time([rows[: exhibits.ROWS]], tour.machine)


def learn(tour: Tour, optimiser: torch.optim.Optimizer, console: Console) -> None:
    """Train until the steps are taken or the user interrupts; keep a checkpoint."""
    recipe, reading, history = tour.settings.recipe, tour.reading, tour.history
    path, mark, module = tour.settings.out / CHECKPOINT, _mark(tour), tour.model.single
    before, start = history.seconds, time.perf_counter()
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with interruptible() as stop, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=recipe.steps, completed=history.step)
        steps = language.train(module, optimiser, reading.training, reading.rows, recipe, history)
        for _ in steps:
            history.seconds = before + time.perf_counter() - start
            words = f"{_losses(history)}  bar {reading.bigram:.3f}"
            progress.update(task, completed=history.step, description=words)
            if stop.is_set() or history.looked:
                language.save(path, mark, module, optimiser, history)
            if history.looked and not console.is_terminal:
                console.print(f"step {history.step:5}  {words}", highlight=False)
            if stop.is_set():
                tour.interrupted = history.step < recipe.steps
                break
    if tour.interrupted:
        console.print(
            f"Interrupted after step {history.step} of {recipe.steps}; what there is is kept in "
            f"{path}, and `vesalius tour --resume` with the same options goes on from there.",
            highlight=False,
        )


def samples(tour: Tour, length: int = 400) -> str:
    """What the model writes after a line break, or after the first character held out."""
    alphabet = tour.reading.alphabet
    start = "\n" if "\n" in alphabet.characters else alphabet.decode(tour.reading.held_out[:1])
    drawn = language.sample(
        tour.model.single,
        alphabet.encode(start),
        length,
        tour.settings.context,
        seed=tour.settings.seed,
    )
    return alphabet.decode(drawn)


def write(tour: Tour) -> None:
    """The figures, an interactive page for each diagram, and the page that shows them all."""
    figures = report.figures(tour)
    out = tour.settings.out
    for one in tour.everything:
        (out / report.file_name(one)).write_text(report.interactive(one), encoding="utf-8")
    text = json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "tour.json").write_text(text + "\n", encoding="utf-8")
    (out / "index.html").write_text(report.index(tour), encoding="utf-8")


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of raising; a second one raises after all."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals are handled in the main thread only
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _passages(tour: Tour) -> Tensor:
    """Passages of the held-out text: `2·ROWS` of them, again from the first when it is short."""
    rows = tour.reading.rows[:, :-1]
    return rows[torch.arange(2 * exhibits.ROWS) % len(rows)]


def _mark(tour: Tour) -> str:
    settings = tour.settings
    model = {"layers": settings.layers, "width": settings.width, "heads": settings.heads}
    return language.fingerprint(tour.reading.text, settings.recipe, model)


# -- what is said ---------------------------------------------------------------------------------


def _about(reading: Reading) -> str:
    return (
        f"{reading.name}: {len(reading.text):,} characters, {len(reading.alphabet)} distinct; "
        f"the last {len(reading.held_out):,} are held out.\n"
        f"Entropy of a character {bits(reading.unigram)}, given the one before it "
        f"{bits(reading.bigram)}: the bar."
    )


def _losses(history: language.History) -> str:
    held = f"{history.held_out[-1][1]:.3f}" if history.held_out else "–"
    return f"loss {history.training[-1][1]:.3f}  held out {held}"


def _table(tour: Tour) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=report.caption(tour))
    for k, name in enumerate(report.HEAD):
        justify: Any = "right" if k in report.NUMBERS else "left"
        table.add_column(
            name, justify=justify, no_wrap=name != "FLOPs", min_width=10 * (name == "FLOPs")
        )
    for one in tour.everything:
        table.add_row(*report.row(one))
    return table


def _say_checks(console: Console, tour: Tour, when: str) -> None:
    wrong = [one.label for one in tour.everything if not one.checks[when].holds]
    double = max(one.checks[when].double for one in tour.everything)
    single = max(one.checks[when].single for one in tour.everything)
    verdict = f"[red]WRONG: {', '.join(wrong)}[/red]" if wrong else "all agree"
    console.print(
        f"Modules against the float64 reference, on the embeddings {when}: {verdict}; "
        f"largest difference {double:.0e} in float64, {single:.0e} in float32.",
        highlight=False,
    )


def _say_end(console: Console, tour: Tour) -> None:
    reading = tour.reading
    verdict = "below" if tour.learned else "[red]NOT below[/red]"
    first = tour.history.first_below(reading.bigram)
    seen = f", first after step {first}" if first is not None else ""
    console.print(
        f"Held-out loss {bits(tour.final)}, {verdict} the text's bigram entropy "
        f"{bits(reading.bigram)}{seen}.",
        highlight=False,
    )
    if not tour.learned and not tour.interrupted:
        console.print(
            f"More steps may help: vesalius tour --steps {2 * tour.settings.steps}", highlight=False
        )
    console.print("It writes:\n", highlight=False)
    console.print(tour.samples.strip("\n"), highlight=False, markup=False, emoji=False)
    console.print(f"\n{tour.seconds:.0f} s.", highlight=False)
