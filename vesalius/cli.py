"""The `vesalius` command: each verb is a function, listed in `--help` in the order of this file.

What a verb needs is imported inside it, so that `vesalius --help` answers at once.
"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vesalius.diagrams.graph import Diagram
    from vesalius.rewrite.derivation import Derivation

app = typer.Typer(
    help="Attention mechanisms as typed string diagrams.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: with rich it takes three times as long to appear
    pretty_exceptions_enable=False,
)

Source = Annotated[
    str, typer.Argument(metavar="NAME|FILE.json", help="A mechanism, or a diagram in a file.")
]
Options = Annotated[
    str,
    typer.Option(
        "--with",
        metavar="KEY=VALUE,...",
        help="Options and sizes of a mechanism: --with causal,heads=8,d=512.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def tour(
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text to learn from; one is built in.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")] = Path("out"),
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = 800,
    seed: Annotated[int, typer.Option(min=0, help="Where all random numbers come from.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in DIR.")
    ] = False,
) -> None:
    """Build, check, measure and train, on a text."""
    from vesalius.lab.tour import Settings, take

    settings = Settings(text=text, out=out, steps=steps, seed=seed, threads=threads, resume=resume)
    raise typer.Exit(take(settings))


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the mechanisms of the catalogue."""
    from vesalius import anatomy

    if json:
        _print_json([_entry(mechanism) for mechanism in anatomy.CATALOGUE])
        return
    from rich.table import Table

    columns = "name", "mechanism", "paper", "causal", "cacheable", "checked against", "options"
    table = Table(*columns, box=None, pad_edge=False)
    for mechanism in anatomy.CATALOGUE:
        paper = mechanism.paper
        table.add_row(
            mechanism.name,
            mechanism.title,
            f"{paper.year} {f'arXiv:{paper.arxiv}' if paper.arxiv else ''}".rstrip(),
            _claim(mechanism.causal),
            _claim(mechanism.cacheable),
            mechanism.check,
            " ".join(mechanism.options),
        )
    _print_table(table)


@app.command()
def show(source: Source, options: Options = "", json: AsJson = False) -> None:
    """Show a diagram: boxes, types, cost."""
    from vesalius.anatomy.mechanism import initial

    diagram = _diagram(source, options)
    mechanism = _mechanism(source)
    if json:
        entry = {} if mechanism is None else _entry(mechanism)
        _print_json({**entry, **_described(diagram)})
        return
    if mechanism is not None:
        paper = mechanism.paper
        where = f", arXiv:{paper.arxiv}" if paper.arxiv else ""
        print(mechanism.title)
        print(f"  {mechanism.formula}")
        print(f"  {paper.authors}: {paper.title} ({paper.year}{where})\n")
        for slot, part in mechanism.anatomy.items():
            print(f"  {slot.replace('_', ' '):13} {part}")
        print(f"  {'causal':13} {_claim(mechanism.causal)}")
        print(f"  {'cacheable':13} {_claim(mechanism.cacheable)}")
        print(f"  {'checked':13} against {mechanism.check}\n")
    print(diagram)
    print("\nparameters")
    starts = initial(diagram)
    for name, type_ in diagram.parameters.items():
        print(f"  {name} : {type_}{f', {starts[name]} at first' if name in starts else ''}")
    if not diagram.parameters:
        print("  none")
    print(f"\n{diagram.cost()}")


@app.command()
def cost(
    source: Source,
    at: Annotated[
        str, typer.Option(metavar="SIZE=NUMBER,...", help="Sizes: --at n=1024,c=64.")
    ] = "",
    options: Options = "",
    json: AsJson = False,
) -> None:
    """Show what a diagram costs.

    As polynomials in the sizes, or as numbers with --at.
    """
    diagram = _diagram(source, options)
    sizes = {name: _number("--at", name, value) for name, value in _pairs("--at", at).items()}
    if json:
        _print_json({"sizes": sizes, "cost": _cost(diagram, sizes)})
    elif sizes:
        print(_numbers(_cost(diagram, sizes)))
    else:
        print(diagram.cost())


@app.command("json")
def json_(
    source: Source,
    options: Options = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
) -> None:
    """Write a diagram as JSON.

    The other verbs read it: vesalius show FILE.json
    """
    document = _diagram(source, options).to_json()
    if output is None:
        print(document)
    else:
        output.write_text(document + "\n", encoding="utf-8")


@app.command()
def draw(
    source: Source,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help=".svg, .html, .tex or .dot.")
    ],
    options: Options = "",
    depth: Annotated[int, typer.Option(min=0, help="Levels of named boxes that stand open.")] = 0,
    direction: Annotated[str, typer.Option(help="right or down.")] = "right",
    theme: Annotated[str, typer.Option(help="light, dark, print or safe.")] = "light",
    labels: Annotated[str, typer.Option(help="changes, all or none.")] = "changes",
    tubes: Annotated[bool, typer.Option(help="Shade what is mapped over an axis.")] = True,
    legend: Annotated[bool, typer.Option(help="List the axes with their sizes.")] = False,
) -> None:
    """Draw a diagram."""
    from vesalius.diagrams.drawing.picture import draw

    draw(
        _diagram(source, options),
        output,
        depth=depth,
        direction=direction,
        theme=theme,
        labels=labels,
        tubes=tubes,
        legend=legend,
    )


@app.command("derive")
def derive_(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A derivation; --list says which.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help=".html, .svg, .tex or .json."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the derivations.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check every step.")] = False,
    json: AsJson = False,
) -> None:
    """Derive one mechanism from another, step by step.

    Prints the steps with their grades; into a file, draws them.
    """
    from vesalius.anatomy.derivations import DERIVATIONS

    if listed or not name:
        _print_derivations(json)
        return
    entry = DERIVATIONS.entries
    derivation = DERIVATIONS[name]
    _tell_derivation(derivation, output, check, json, f"{entry[name].title}\n{entry[name].doc}\n")


@app.command("taxonomy")
def taxonomy_(
    start: Annotated[str, typer.Argument(metavar="[FROM]", help="A mechanism.")] = "",
    end: Annotated[str, typer.Argument(metavar="[TO]", help="Another one.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=".svg or .html.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check the derivation.")] = False,
    json: AsJson = False,
) -> None:
    """Show how mechanisms follow from one another.

    With FROM and TO, the shortest chain of derivations between them; without, which mechanisms
    reach softmax attention, which slots are opened on the way, and what stands in the way of the
    others. Into a file, draws it.
    """
    from vesalius.anatomy import taxonomy

    if start and not end:
        raise typer.BadParameter("two mechanisms, or none", param_hint="TO")
    if start:
        _tell_derivation(taxonomy.path(start, end), output, check, json)
        return
    if output is not None:
        taxonomy.draw(output)
    found = taxonomy.reached()
    if json:
        _print_json(found.to_dict())
        return
    from rich.table import Table

    # Narrow enough to be read as text: the whole chain is what FROM and TO print.
    table = Table("mechanism", "grade", "steps", box=None, pad_edge=False)
    table.add_column("by", max_width=36)
    for chain in found.promised.values():
        mechanism = chain.name.partition(" → ")[0]
        table.add_row(mechanism, str(chain.grade), str(len(chain)), taxonomy.told(chain))
    for chain in found.siblings.values():
        mechanism = chain.name.partition(" → ")[0]
        table.add_row(mechanism, "siblings", str(len(chain)), taxonomy.told(chain))
    _print_table(table)
    table = Table("mechanism", box=None, pad_edge=False)
    table.add_column("why neither", max_width=78)
    for name, why in found.obstructions.items():
        table.add_row(name, why)
    print()
    _print_table(table)
    print(f"\n{found}")


@app.command("recombine")
def recombine_(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SLOT=PART,PART...]", help="Parts for a slot; else all."),
    ] = None,
    classes: Annotated[
        bool, typer.Option("--classes", help="Say which are equal, by search; takes minutes.")
    ] = False,
    json: AsJson = False,
) -> None:
    """List all mechanisms that the parts of the grammar make."""
    from vesalius import anatomy

    chosen = {}
    for pair in parts or []:
        slot, equals, names = pair.partition("=")
        if not equals:
            raise typer.BadParameter("slot=part,part", param_hint=pair)
        chosen[slot] = names.split(",")
    space = anatomy.recombine(**chosen)
    found = space.classes() if classes else ()
    if json:
        told = {"classes": [{"proved": c.proved, "unproved": c.unproved} for c in found]}
        _print_json(space.to_dict() | (told if classes else {}))
        return
    print(space)
    for one in found:
        print(" = ".join(one.proved) + "".join(f"; unproved: {name}" for name in one.unproved))


@app.command("optimise")
def optimise_(
    source: Source,
    at: Annotated[str, typer.Option(metavar="SIZE=NUMBER,...", help="Sizes: --at n=4096,c=64.")],
    cost: Annotated[
        str, typer.Option(metavar="COST", help="flops, bytes, peak, time, or flops=1,bytes=20.")
    ] = "flops",
    options: Options = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help=".html, .svg, .tex or .json."),
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="How large the e-graph may become.")] = 5000,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to search.")] = 10.0,
    depth: Annotated[int, typer.Option(min=0, help="How many rules one upon the other.")] = 2,
    json: AsJson = False,
) -> None:
    """Optimise a diagram by equal rules, at sizes.

    Prints costs before and after and the derivation, which is checked; into a file, draws it.
    Interrupted, it tells the best so far.
    """
    from vesalius.inspect.optimise import as_json, completed, optimise, told

    diagram = _diagram(source, options)
    sizes = {name: _number("--at", name, value) for name, value in _pairs("--at", at).items()}
    mechanism = _mechanism(source)
    opened = diagram.unfold()
    _check_names(opened, sizes)
    sizes = completed(opened, sizes, {} if mechanism is None else mechanism.implied)
    found = optimise(diagram, sizes, _weights(cost), nodes=nodes, seconds=seconds, depth=depth)
    if output is not None and output.suffix.lower() == ".json":
        output.write_text(found.to_json() + "\n", encoding="utf-8")
    elif output is not None:
        found.film().save(output)
    if json:
        _print_json(as_json(found, sizes))
    else:
        print(told(found, sizes))


@app.command("calibrate")
def calibrate_(
    device: Annotated[str, typer.Option(help="What is measured: cpu or cuda.")] = "cpu",
    json: AsJson = False,
) -> None:
    """Measure this machine once, for the choice of kernels, which is better then.

    Takes some seconds, best with nothing else running, and is kept for other runs.
    """
    from vesalius.compile.machine import calibrate, key
    from vesalius.compile.roofline import told

    found = calibrate(device)
    if json:
        _print_json({**key(device), **found._asdict()})
    else:
        print(told(found))


@app.command("verify")
def verify_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Rules, schemas, derivations.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Where all random numbers come from.")] = 0,
    json: AsJson = False,
) -> None:
    """Verify every rule, schema and derivation of the library, or those that are named.

    The exit code is 1 when one fails. Interrupted, it tells what it found so far.
    """
    from vesalius.inspect.verify import claims, counted, verify

    wanted = claims(names or [])
    results = []
    try:
        with _progress(len(wanted), quiet=json) as advance:
            for result in verify(wanted, seed):
                results.append(result)
                advance(result.name)
    except KeyboardInterrupt:
        print(f"interrupted after {len(results)} of {len(wanted)}", file=sys.stderr)
    if json:
        _print_json(_verified(results))
    else:
        _print_results(results)
        print(counted(results))
    complete = len(results) == len(wanted)
    raise typer.Exit(0 if complete and all(result.ok for result in results) else 1)


@app.command("examine")
def examine_(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Mechanisms of the catalogue.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Examine mechanisms: is each what its entry says, and is it compiled to the same function?

    All of the catalogue unless some are named. The exit code is 1 when something does not hold.
    """
    from vesalius import anatomy
    from vesalius.inspect.examine import examine

    wanted = [anatomy.CATALOGUE[name].name for name in names or anatomy.names()]
    results = []
    for name in wanted:
        results.append(examine(name))
        if not json:
            print(f"{results[-1]}\n")
    if json:
        _print_json([result.as_json() for result in results])
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


@app.command("profile")
def profile_(
    source: Source,
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes", "--at", metavar="SIZE=NUMBER,...", help="Sizes: --sizes n=1024,d=512."
        ),
    ] = "",
    options: Options = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or float64.")] = "float32",
    backward: Annotated[bool, typer.Option("--backward", help="Gradients, too.")] = False,
    depth: Annotated[int, typer.Option(min=0, help="Levels of named boxes to open.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=".svg or .html.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure what each part of a diagram takes, in time and memory.

    Prints a table beside what was predicted; into a file, draws it on the diagram.
    """
    import torch

    from vesalius.inspect.profile import profile, sizes_for

    dtypes = ("float32", "bfloat16", "float16", "float64")
    if dtype not in dtypes:
        raise typer.BadParameter(f"{dtype!r} is none of {', '.join(dtypes)}", param_hint="--dtype")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise typer.BadParameter(f"there is no device {device!r} here", param_hint="--device")
    torch.set_num_threads(threads)
    given = {
        name: _number("--sizes", name, value) for name, value in _pairs("--sizes", sizes).items()
    }
    mechanism = _mechanism(source)
    chosen = {name: _value(value) for name, value in _pairs("--with", options).items()}
    diagram = _diagram(source, options) if mechanism is None else mechanism.dissected(**chosen)
    known = sizes_for(diagram, given, {} if mechanism is None else mechanism.implied)
    found = profile(
        diagram,
        sizes=known,
        device=device,
        dtype=getattr(torch, dtype),
        backward=backward,
        depth=depth,
    )
    if output is not None:
        found.save(output)
    if json:
        _print_json(found.as_json())
    else:
        print(found)


def _version(wanted: bool) -> None:
    if wanted:
        from vesalius import __version__

        print(f"vesalius {__version__}")
        raise typer.Exit


@app.callback()
def _command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# -- reading what a user wrote --------------------------------------------------------------------


def _mechanism(source: str) -> Any:
    """The mechanism of that name; None when `source` is a file."""
    from vesalius import anatomy

    return None if source.endswith(".json") else anatomy.CATALOGUE[source]


def _diagram(source: str, options: str) -> Diagram:
    mechanism = _mechanism(source)
    chosen = {name: _value(value) for name, value in _pairs("--with", options).items()}
    if mechanism is not None:
        made: Diagram = mechanism(**chosen)
        return made
    if chosen:
        raise typer.BadParameter("a diagram in a file takes no options", param_hint="--with")
    return _from_file(Path(source))


def _from_file(path: Path) -> Diagram:
    from vesalius.diagrams.errors import FormatError
    from vesalius.diagrams.graph import Diagram

    try:
        return Diagram.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not a text in UTF-8") from None
    except FormatError as error:
        raise FormatError(f"{path}: {_message(error)}") from None


def _pairs(option: str, text: str) -> dict[str, str | None]:
    """Read `a=1,b`; a name without a value has None."""
    found: dict[str, str | None] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not name.isidentifier() or (equals and not value):
            raise typer.BadParameter(f"{word!r} is not a name=value", param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name} is given twice", param_hint=option)
        found[name] = value if equals else None
    return found


def _value(text: str | None) -> Any:
    """A name without a value is true; `true`, `false` and integers are themselves."""
    known = {None: True, "true": True, "false": False, "none": None}
    if text in known:
        return known[text]
    assert text is not None
    return int(text) if text.lstrip("-").isdecimal() else text


def _weights(text: str) -> str | dict[str, float]:
    """The name of a cost, or the weights of several."""
    pairs = _pairs("--cost", text)
    if len(pairs) == 1 and None in pairs.values():
        return text.strip()
    try:
        return {name: float(value or 1) for name, value in pairs.items()}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not flops=1,bytes=20", param_hint="--cost") from None


def _number(option: str, name: str, text: str | None) -> int:
    if text is None or not text.isdecimal():
        raise typer.BadParameter(f"{name} needs a number: {name}=64", param_hint=option)
    return int(text)


# -- writing --------------------------------------------------------------------------------------


def _claim(claim: str) -> str:
    return "on request" if claim == "request" else claim


def _entry(mechanism: Any) -> dict[str, Any]:
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


def _described(diagram: Diagram) -> dict[str, Any]:
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
            "cost": _cost(diagram, {}),
        }
    }


def _tell_derivation(
    derivation: Derivation, output: Path | None, check: bool, json: bool, title: str = ""
) -> None:
    """Print a derivation, or write it into a file; if asked, check it and exit with the verdict."""
    if output is not None and output.suffix.lower() == ".json":
        output.write_text(derivation.to_json() + "\n", encoding="utf-8")
    elif output is not None:
        derivation.film().save(output)
    if json:
        _print_json(_derived(derivation))
    elif output is None:
        if title:
            print(title)
        print(derivation)
    if check:
        verdict = derivation.check()
        print(verdict)
        raise typer.Exit(0 if verdict else 1)


def _print_derivations(json: bool) -> None:
    from vesalius.anatomy.derivations import DERIVATIONS

    if json:
        _print_json([_derived(derivation) for derivation in DERIVATIONS.values()])
        return
    from rich.table import Table

    table = Table("name", "steps", "grade", "derivation", box=None, pad_edge=False)
    for name, derivation in DERIVATIONS.items():
        grade = str(derivation.grade)
        table.add_row(name, str(len(derivation)), grade, DERIVATIONS.entries[name].title)
    _print_table(table)


def _derived(derivation: Derivation) -> dict[str, Any]:
    decisive = derivation.decisive
    return {
        "name": derivation.name,
        "grade": derivation.grade.name,
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


def _cost(diagram: Diagram, sizes: dict[str, int]) -> dict[str, Any]:
    """The cost as formulas, or as numbers where sizes are given."""
    formulas = diagram.cost()
    if sizes:
        _check_sizes(diagram, sizes)
        return dict(vars(formulas.at(**sizes)))
    peak = [str(candidate) for candidate in formulas.peak]
    return {
        "flops": str(formulas.flops),
        "bytes_moved": str(formulas.bytes_moved),
        "peak_bytes": peak[0] if len(peak) == 1 else f"max({', '.join(peak)})",
        "parameters": str(formulas.parameters),
        "operations": {name: str(count) for name, count in formulas.operations.items()},
    }


def _check_names(diagram: Diagram, sizes: dict[str, int]) -> None:
    from vesalius.diagrams.errors import SizeError

    known = diagram.size_variables
    for name in sizes:
        if name not in known:
            raise SizeError(f"{diagram.name} has no size {name!r}; it has {', '.join(known)}")


def _check_sizes(diagram: Diagram, sizes: dict[str, int]) -> None:
    from vesalius.diagrams.errors import SizeError

    _check_names(diagram, sizes)
    known = diagram.size_variables
    missing = [name for name in known if name not in sizes]
    if missing:
        wanted = ",".join(f"{name}=..." for name in missing)
        raise SizeError(f"{diagram.name} has more sizes: add {wanted} to --at")


def _numbers(cost: dict[str, Any]) -> str:
    """Numbers with their names, the operations last."""
    rows = [(name.replace("_", " "), count) for name, count in cost.items()]
    rows = [*rows[:-1], *((f"  {name}", count) for name, count in cost["operations"].items())]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {count:>20,}" for name, count in rows)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on standard error; `advance(name)` says what has been done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def _print_results(results: Any) -> None:
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
    _print_table(table)
    for one in results:
        if not one.ok:
            print(f"\n{one.name}: {one.law}\n{one.reason}\n{one.counterexample}")


def _verified(results: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"rules": [], "schemas": [], "derivations": []}
    for one in results:
        found[f"{one.kind}s"].append(one.as_json())
    return found


def _print_json(value: Any) -> None:
    print(json_format.dumps(value, indent=2, ensure_ascii=False))


def _print_table(table: Any) -> None:
    from rich.console import Console

    # Into a pipe or a file, lines are as long as they need to be.
    console = Console() if sys.stdout.isatty() else Console(width=1000)
    console.print(table)


def main() -> None:
    """Run the command. Errors that are the user's are one message, and the exit status 1."""
    try:
        app(prog_name="vesalius")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        from vesalius.diagrams.errors import VesaliusError

        if not isinstance(error, VesaliusError):
            raise
        _fail(_message(error))


def _message(error: Exception) -> str:
    """What an error says, without the line of code where it was found: that is not the user's."""
    return str(error).partition("\n  at ")[0]


def _fail(message: str) -> None:
    print(f"vesalius: {message}", file=sys.stderr)
    sys.exit(1)
