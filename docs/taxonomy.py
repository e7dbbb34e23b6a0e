"""The taxonomy's map and tables, made whenever the documentation is built."""

from __future__ import annotations

from collections.abc import Iterator

from rules import escaped


def table() -> str:
    """The map, what reaches softmax attention, and what stands in the way of the others."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    import vesalius as vs

    found = vs.taxonomy.reached()
    yield f"```{{raw}} html\n{vs.taxonomy.draw().svg()}\n```\n"
    yield f"{found}.\n"
    yield "| mechanism | grade | by |\n|---|---|---|"
    for chains in (found.promised, found.siblings):
        for name, chain in chains.items():
            grade = "siblings" if chain.grade.name == "variant" else str(chain.grade)
            steps = ", ".join(f"`{escaped(step.name)}`" for step in chain) or "it is one"
            yield f"| [{name}](mechanisms/{name}.md) | {grade} | {steps} |"
    yield "\n| mechanism | what stands in the way |\n|---|---|"
    for name, why in found.obstructions.items():
        yield f"| [{name}](mechanisms/{name}.md) | {escaped(why)} |"
