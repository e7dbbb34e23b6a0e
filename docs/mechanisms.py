"""The pages of the catalogue, one for each mechanism, made whenever the documentation is built.

All that stands on them follows from the entry: its diagram, its parts, what it costs, what it is
compiled to, what it is checked against, and which derivations lead to it and from it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from rules import escaped  # noqa: E402

AT = 1024
"""The number of positions at which costs are given as numbers."""
WIDTHS = {"c": 64, "e": 64, "d": 512, "h": 8, "g": 2, "f": 2048}
"""The sizes that go with it; all others are 16."""

CLAIMS = {"never": "no", "request": "on request (`causal=True`)", "always": "always"}


def pages() -> dict[str, str]:
    """A page and two pictures for each mechanism, by file name."""
    import vesalius as vs

    files = {}
    for mechanism in vs.anatomy:
        # Of a stack one layer is opened and compiled: the others are like it.
        one = {"layers": 1} if "layers" in mechanism.options else {}
        diagram = mechanism(**one)
        files[f"{mechanism.name}.md"] = "\n".join(page(mechanism, diagram, bool(one))) + "\n"
        files[f"pictures/{mechanism.name}-parts.svg"] = mechanism.dissected().svg()
        files[f"pictures/{mechanism.name}.svg"] = diagram.unfold().svg()
    return files


def table() -> str:
    """All mechanisms: what they weigh by, what they promise, what they are checked against."""
    import vesalius as vs

    lines = [
        "| mechanism | year | similarity | normaliser | causal | cacheable | checked against |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in vs.anatomy:
        stand = [first_line(m.parts[slot]) if slot in m.parts else "–" for slot in SHOWN]
        parts = [text.partition(";")[0] for text in stand]  # what hides a score stands on its page
        claims = [m.causal, m.cacheable]
        cells = [str(m.paper.year), *map(escaped, parts), *claims, m.check]
        lines.append(f"| [{m.title}](mechanisms/{m.name}.md) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


SHOWN = ("similarity", "normaliser")


def page(mechanism: Any, diagram: Any, one_layer: bool) -> Iterator[str]:
    """Formula, paper, parts, pictures, what is claimed, cost, kernels, relations, code."""
    paper = mechanism.paper
    link = f", [arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""
    yield f"# {mechanism.title}\n"
    yield f"```text\n{mechanism.formula}\n```\n"
    yield f"{escaped(paper.authors)}: *{escaped(paper.title)}*, {paper.year}{link}\n"
    yield f"```python\nvs.anatomy[{mechanism.name!r}]()\n```\n"
    if mechanism.options:
        said = ", ".join(f"`{name}={value!r}`" for name, value in mechanism.options.items())
        yield f"Options: {said}. Sizes: {', '.join(f'`{s}`' for s in mechanism.sizes(diagram))}.\n"
    yield "## Parts\n"
    yield f"![The parts](pictures/{mechanism.name}-parts.svg)\n"
    yield "| slot | part | formula |\n|---|---|---|"
    for slot, part in mechanism.parts.items():
        yield f"| {slot.replace('_', ' ')} | `{part.__name__}` | {escaped(first_line(part))} |"
    layer = ", in one layer" if one_layer else ""
    yield f"\n## All boxes{layer}\n\n![Every box](pictures/{mechanism.name}.svg)\n"
    yield "## What it keeps to\n"
    yield f"- causal: {CLAIMS[mechanism.causal]}"
    yield f"- can be cached: {CLAIMS[mechanism.cacheable]}"
    yield f"- checked against: {check(mechanism)}"
    yield from starts(mechanism, diagram)
    yield from costs(mechanism())
    yield from compiled(diagram, layer)
    yield from relations(mechanism.name)


def relations(name: str) -> Iterator[str]:
    """The edges of the taxonomy at a mechanism, and how it reaches softmax attention, or not."""
    import vesalius as vs
    from vesalius.anatomy.ends import OBSTRUCTIONS, SOFTMAX

    if name not in vs.taxonomy.mechanisms():
        return
    yield "\n## Relations\n"
    for edge in vs.taxonomy.edges():
        if name in (edge.start.mechanism, edge.end.mechanism):
            yield related(edge)
    found = vs.taxonomy.reached()
    if name in found.promised and name not in SOFTMAX:
        grade = found.promised[name].grade
        yield f"\nIt reaches [softmax attention](../taxonomy.md): **{grade}**."
    elif name in found.siblings:
        by = escaped(vs.taxonomy.told(found.siblings[name]))
        yield (
            f"\nIt is a sibling of [softmax attention](../taxonomy.md) ({by}), and neither "
            f"promises anything of the other. {escaped(OBSTRUCTIONS.get(name, ''))}"
        )
    elif name in found.obstructions:
        yield (
            "\nIt does not reach [softmax attention](../taxonomy.md) but as a variant. "
            f"{escaped(found.obstructions[name])}"
        )


def starts(mechanism: Any, diagram: Any) -> Iterator[str]:
    """How parameters start, whose values these are, and with what they are compared."""
    from vesalius.anatomy.mechanism import initial
    from vesalius.anatomy.started import started

    if not diagram.parameters:
        return
    found, origin = initial(diagram), started(mechanism.name)
    compared = f"; compared with the layers of `{origin.package}`" if origin.package else ""
    yield "\n## How it starts\n"
    yield f"From: {escaped(origin.source)}{compared}.\n"
    yield "| parameter | at first |\n|---|---|"
    for parameter, start in found.items():
        yield f"| `{parameter}` | {escaped(start)} |"
    if len(found) < len(diagram.parameters):
        rest = "all others" if found else "all"
        yield f"| {rest} | uniform within ±1/√fan |"


def related(edge: Any) -> str:
    """An edge of the taxonomy in a line, with the pages of its ends and of its derivation."""
    import vesalius as vs
    from vesalius.anatomy.derivations import DERIVATIONS
    from vesalius.rewrite.grade import Relation

    ends = " to ".join(f"[{escaped(str(e))}]({e.mechanism}.md)" for e in (edge.start, edge.end))
    apart = edge.grade.relation is Relation.UNKNOWN and not edge.varies
    by = vs.taxonomy.told(edge.derivation)
    if not by:  # equal steps, which go without saying elsewhere
        by = ", ".join(f"`{step.name}`" for step in edge.derivation)
    elif edge.name in DERIVATIONS:
        by = f"[{escaped(by)}](../derivations/{edge.name}.md)"
    else:
        by = escaped(by)
    return f"- {ends}: **{'siblings' if apart else edge.grade}**, by {by}"


def first_line(part: Any) -> str:
    """The formula of a part."""
    return (part.__doc__ or "").strip().partition("\n")[0]


def check(mechanism: Any) -> str:
    """What its tests compare it with."""
    if mechanism.check == "transcription":
        return "a transcription of the paper's formula, position by position, in the tests"
    return f"the package `{mechanism.check}`, with copied weights"


def costs(diagram: Any) -> Iterator[str]:
    """As formulas in the sizes, and at one choice of them."""
    cost = diagram.cost()
    sizes = {name: sized(name) for name in diagram.size_variables}
    words = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    yield f"\n## Cost\n\n```text\n{cost}\n```\n"
    numbers = cost.at(**sizes)
    flops, moved, peak = numbers.flops, numbers.bytes_moved, numbers.peak_bytes
    yield (
        f"At {words}: {flops / 1e6:,.1f} million FLOPs, {moved / 2**20:,.1f} MiB moved, at most "
        f"{peak / 2**20:,.1f} MiB held, {numbers.parameters:,} parameters.\n"
    )


def sized(variable: str) -> int:
    """A usual size of an axis."""
    return AT if variable in ("n", "m") else WIDTHS.get(variable, 16)


def compiled(diagram: Any, layer: str) -> Iterator[str]:
    """What the compiler makes of it on a CPU: the kernels that it takes, and the text."""
    import vesalius as vs

    module = vs.to_torch(diagram, sizes=fixed(diagram))
    yield f"## Compiled{layer}\n"
    yield f"```text\n{module.explain()}\n```\n"
    yield f"```python\n{module.source.strip()}\n```\n"


def fixed(diagram: Any) -> dict[str, int]:
    """The sizes that parameters need, and those that no input tells."""

    def variables(types: Any) -> set[str]:
        return {v for t in types.values() for s in t.axes.values() for v in s.variables}

    untold = set(diagram.size_variables) - variables(diagram.input_types)
    needed = variables(diagram.parameters) | untold
    return {name: sized(name) for name in sorted(needed)}
