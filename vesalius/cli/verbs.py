"""The verbs that show mechanisms and what relates them, in the order in which `--help` lists them.

What a verb needs is imported inside it, so that `vesalius --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.app import AsJson, Options, Source, app
from vesalius.cli.arguments import (
    completed,
    diagram_of,
    mechanism_of,
    sizes_of,
)
from vesalius.cli.printing import (
    claim,
    cost_of,
    described,
    entry,
    numbers,
    print_derivation,
    print_derivations,
    print_json,
    print_table,
    told,
    write,
)


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
        print_json([entry(mechanism) for mechanism in anatomy.CATALOGUE])
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
            claim(mechanism.causal),
            claim(mechanism.cacheable),
            mechanism.check,
            " ".join(mechanism.options),
        )
    print_table(table)


@app.command()
def show(source: Source, options: Options = "", json: AsJson = False) -> None:
    """Show a diagram: boxes, types, cost."""
    from vesalius.anatomy.mechanism import initial

    diagram = diagram_of(source, options)
    mechanism = mechanism_of(source)
    if json:
        known = {} if mechanism is None else entry(mechanism)
        print_json({**known, **described(diagram)})
        return
    if mechanism is not None:
        paper = mechanism.paper
        where = f", arXiv:{paper.arxiv}" if paper.arxiv else ""
        print(mechanism.title)
        print(f"  {mechanism.formula}")
        print(f"  {paper.authors}: {paper.title} ({paper.year}{where})\n")
        for slot, part in mechanism.anatomy.items():
            print(f"  {slot.replace('_', ' '):13} {part}")
        print(f"  {'causal':13} {claim(mechanism.causal)}")
        print(f"  {'cacheable':13} {claim(mechanism.cacheable)}")
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

    As polynomials in the sizes, or as numbers with --at; sizes that follow from others, as m = n,
    may be left out.
    """
    diagram = diagram_of(source, options)
    sizes = sizes_of("--at", at)
    sizes = completed(diagram.unfold(), sizes, source) if sizes else {}
    if json:
        print_json({"sizes": sizes, "cost": cost_of(diagram, sizes)})
    elif sizes:
        print(numbers(cost_of(diagram, sizes)))
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
    document = diagram_of(source, options).to_json()
    if output is None:
        print(document)
    else:
        write(output, document)


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
        diagram_of(source, options),
        output,
        depth=depth,
        direction=direction,
        theme=theme,
        labels=labels,
        tubes=tubes,
        legend=legend,
    )
    told(output)


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
        print_derivations(json)
        return
    entry = DERIVATIONS.entries
    derivation = DERIVATIONS[name]
    print_derivation(derivation, output, check, json, f"{entry[name].title}\n{entry[name].doc}\n")


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
    from vesalius import anatomy
    from vesalius.anatomy import taxonomy

    if start and not end:
        start = anatomy.CATALOGUE[start].name
        raise typer.BadParameter(
            f"name two mechanisms, as {start} scaled_dot_product, or none", param_hint="[TO]"
        )
    if start:
        print_derivation(taxonomy.path(start, end), output, check, json)
        return
    if output is not None:
        taxonomy.draw(output)
        told(output)
        return
    found = taxonomy.reached()
    if json:
        print_json(found.to_dict())
        return
    from rich.table import Table

    # Narrow enough to be read as text: the whole chain is what FROM and TO print.
    table = Table(box=None, pad_edge=False)
    for heading, width in (("mechanism", 34), ("grade", 28), ("steps", 5), ("by", 36)):
        table.add_column(heading, max_width=width)
    for chain in found.promised.values():
        mechanism = chain.name.partition(" → ")[0]
        table.add_row(mechanism, str(chain.grade), str(len(chain)), taxonomy.told(chain))
    for chain in found.siblings.values():
        mechanism = chain.name.partition(" → ")[0]
        table.add_row(mechanism, "siblings", str(len(chain)), taxonomy.told(chain))
    print_table(table)
    table = Table("mechanism", box=None, pad_edge=False)
    table.add_column("why neither", max_width=78)
    for name, why in found.obstructions.items():
        table.add_row(name, why)
    print()
    print_table(table)
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
            wanted = "parts of a slot are written as similarity=dot,scaled_dot"
            raise typer.BadParameter(wanted, param_hint=repr(pair))
        chosen[slot] = names.split(",")
    space = anatomy.recombine(**chosen)
    found = space.classes() if classes else ()
    if json:
        told = {"classes": [{"proved": c.proved, "unproved": c.unproved} for c in found]}
        print_json(space.to_dict() | (told if classes else {}))
        return
    print(space)
    for one in found:
        print(" = ".join(one.proved) + "".join(f"; unproved: {name}" for name in one.unproved))
