"""What the command prints: tables, JSON, progress."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from vesalius.diagrams.graph import Diagram
    from vesalius.rewrite.derivation import Derivation


def claim(claim: str) -> str:
    """When a mechanism is causal, or cacheable, in words."""
    return "on request" if claim == "request" else claim


def entry(mechanism: Any) -> dict[str, Any]:
    """A mechanism of the catalogue, for JSON."""
    paper = mechanism.paper
    return {
        "name": mechanism.name,
        "title": mechanism.title,
        "formula": mechanism.formula,
        "paper": {
            "title": paper.title,
            "authors": paper.authors,
            "year": paper.year,
            "arxiv": paper.arxiv or None,
        },
        "parts": mechanism.anatomy,
        "causal": mechanism.causal,
        "cacheable": mechanism.cacheable,
        "initial": mechanism.initial,
        "check": mechanism.check,
        "options": mechanism.options,
    }


def described(diagram: Diagram) -> dict[str, Any]:
    """A diagram, for JSON."""

    def types(of: dict[str, Any]) -> dict[str, str]:
        return {name: str(type_) for name, type_ in of.items()}

    return {
        "diagram": {
            "name": diagram.name,
            "inputs": types(diagram.input_types),
            "outputs": types(diagram.output_types),
            "parameters": types(diagram.parameters),
            "boxes": len(diagram),
            "listing": str(diagram),
            "cost": cost_of(diagram, {}),
        }
    }


def print_derivation(
    derivation: Derivation, output: Path | None, check: bool, json: bool, title: str = ""
) -> None:
    """Print a derivation, or write it into a file; if asked, check it and exit with the verdict."""
    if output is not None:
        write_derivation(derivation, output)
    if json:
        print_json(derived(derivation))
    elif output is None:
        if title:
            print(title)
        print(derivation)
    if check:
        verdict = derivation.check()
        print(verdict)
        raise typer.Exit(0 if verdict else 1)


def write_derivation(derivation: Derivation, output: Path) -> None:
    """Write a derivation into a file, as JSON or as a strip of pictures."""
    if output.suffix.lower() == ".json":
        write(output, derivation.to_json())
    else:
        derivation.film().save(output)
        told(output)


def write(output: Path, text: str) -> None:
    """Write a text into a file, and say so."""
    output.write_text(text + "\n", encoding="utf-8")
    told(output)


def told(output: Path) -> None:
    """Say what has been written, and where, to whoever looks on: results are on stdout."""
    print(f"wrote {output} ({output.stat().st_size:,} bytes)", file=sys.stderr)


def print_derivations(json: bool) -> None:
    """The derivations of the library."""
    from vesalius.anatomy.derivations import DERIVATIONS

    if json:
        print_json([derived(derivation) for derivation in DERIVATIONS.values()])
        return
    from rich.table import Table

    table = Table("name", "steps", "grade", "derivation", box=None, pad_edge=False)
    for name, derivation in DERIVATIONS.items():
        grade = str(derivation.grade)
        table.add_row(name, str(len(derivation)), grade, DERIVATIONS.entries[name].title)
    print_table(table)


def derived(derivation: Derivation) -> dict[str, Any]:
    """A derivation, for JSON."""
    decisive = derivation.decisive
    return {
        "name": derivation.name,
        "grade": derivation.grade.name,
        "siblings": derivation.siblings,
        "decided_by": None if decisive is None else decisive.name,
        "steps": [
            {
                "name": step.name,
                "grade": step.grade.name,
                "law": step.move.doc,
                "source": step.move.source,
            }
            for step in derivation
        ],
    }


def cost_of(diagram: Diagram, sizes: dict[str, int]) -> dict[str, Any]:
    """The cost as formulas, or as numbers where sizes are given."""
    formulas = diagram.cost()
    if sizes:
        return dict(vars(formulas.at(**sizes)))
    peak = [str(candidate) for candidate in formulas.peak]
    return {
        "flops": str(formulas.flops),
        "bytes_moved": str(formulas.bytes_moved),
        "peak_bytes": peak[0] if len(peak) == 1 else f"max({', '.join(peak)})",
        "parameters": str(formulas.parameters),
        "operations": {name: str(count) for name, count in formulas.operations.items()},
    }


def numbers(cost: dict[str, Any]) -> str:
    """Numbers with their names, the operations last."""
    rows = [(name.replace("_", " "), count) for name, count in cost.items()]
    rows = [*rows[:-1], *((f"  {name}", count) for name, count in cost["operations"].items())]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {count:>20,}" for name, count in rows)


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on standard error; `advance(name)` says what has been done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def print_results(results: Any) -> None:
    """What was verified, and why what failed did."""
    from rich.table import Table

    table = Table("name", "grade", "verdict", box=None, pad_edge=False)
    for heading in ("trials", "seconds", "float32", "bfloat16"):
        table.add_column(heading, justify="right")
    for one in results:
        errors = ["", ""]
        if one.floats is not None:
            # How far the right side is from the exact value, at magnitude 1.
            errors = [f"{one.floats.row(dtype, 1.0).right:.0e}" for dtype in one.floats_of]
        verdict = one.verdict if one.ok else f"{one.verdict}, FAILS"
        table.add_row(
            one.name, one.grade, verdict, f"{one.trials:,}", f"{one.seconds:.1f}", *errors
        )
    print_table(table)
    for one in results:
        if not one.ok:
            print(f"\n{one.name}: {one.law}\n{one.reason}\n{one.counterexample}")


def verified(results: Any) -> dict[str, Any]:
    """What was verified, for JSON."""
    found: dict[str, Any] = {"rules": [], "schemas": [], "derivations": []}
    for one in results:
        found[f"{one.kind}s"].append(one.as_json())
    return found


def print_json(value: Any) -> None:
    """JSON, for people too."""
    print(json_format.dumps(value, indent=2, ensure_ascii=False))


def print_table(table: Any) -> None:
    """A table as wide as the terminal, or as it needs to be where there is none."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=1000)
    console.print(table)
