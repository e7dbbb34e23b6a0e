"""The verbs that run diagrams, to choose, to measure or to check, in the order of `--help`.

What a verb needs is imported inside it, so that `vesalius --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vesalius.cli.app import AsJson, Options, Source, app
from vesalius.cli.arguments import (
    check_device,
    completed,
    diagram_of,
    mechanism_of,
    pairs,
    sizes_of,
    value_of,
    weights,
)
from vesalius.cli.printing import (
    print_json,
    print_results,
    progress,
    told,
    verified,
    write_derivation,
)


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
    from vesalius.inspect.optimise import as_json, optimise
    from vesalius.inspect.optimise import told as described

    diagram = diagram_of(source, options)
    sizes = completed(diagram.unfold(), sizes_of("--at", at), source)
    found = optimise(diagram, sizes, weights(cost), nodes=nodes, seconds=seconds, depth=depth)
    if output is not None:
        write_derivation(found, output)
    if json:
        print_json(as_json(found, sizes))
    else:
        print(described(found, sizes))


@app.command("calibrate")
def calibrate_(
    device: Annotated[str, typer.Option(help="What is measured: cpu or cuda.")] = "cpu",
    json: AsJson = False,
) -> None:
    """Measure this machine once, for the choice of kernels, which is better then.

    Takes some seconds, best with nothing else running, and is kept for other runs.
    """
    from vesalius.compile.machine import calibrate, key
    from vesalius.compile.roofline import told as described

    check_device(device)
    found = calibrate(device)
    if json:
        print_json({**key(device), **found._asdict()})
    else:
        print(described(found))


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
        with progress(len(wanted), quiet=json) as advance:
            for result in verify(wanted, seed):
                results.append(result)
                advance(result.name)
    except KeyboardInterrupt:
        print(f"interrupted after {len(results)} of {len(wanted)}", file=sys.stderr)
    if json:
        print_json(verified(results))
    else:
        print_results(results)
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
        print_json([result.as_json() for result in results])
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
    check_device(device)
    given = sizes_of("--sizes", sizes)
    mechanism = mechanism_of(source)
    chosen = {name: value_of(value) for name, value in pairs("--with", options).items()}
    diagram = diagram_of(source, options) if mechanism is None else mechanism.dissected(**chosen)
    known = sizes_for(diagram, given, {} if mechanism is None else mechanism.implied)
    found = profile(
        diagram,
        sizes=known,
        device=device,
        dtype=getattr(torch, dtype),
        backward=backward,
        depth=depth,
        threads=threads,
    )
    if output is not None:
        found.save(output)
        told(output)
    if json:
        print_json(found.as_json())
    else:
        print(found)
