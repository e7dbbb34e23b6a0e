"""The taxonomy's map and tables, made whenever the documentation is built."""

from __future__ import annotations

from collections.abc import Iterator

from rules import escaped


def table() -> str:
    """The map, what reaches softmax attention, and what stands in the way of the others."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    import vesalius as vs
    from vesalius.anatomy.groups import GROUPS, with_one_of

    found = vs.taxonomy.reached()
    yield f'```{{raw}} html\n<div class="wide">\n{vs.taxonomy.draw().svg()}\n</div>\n```\n'
    yield f"{found}.\n"
    by_promise = len(with_one_of(found.promised))
    yield (
        f"With variants counted as one, {by_promise} of {len(GROUPS)} groups of mechanisms have "
        "one that reaches it by a promise.\n"
    )
    yield "| family | it leads down to | beside, in it |\n|---|---|---|"
    for (name, end), members in vs.taxonomy.families().items():
        links = ", ".join(linked(edge.start.mechanism) for edge in members)
        yield f"| {name} | {linked(end)} | {links} |"
    yield "\n| mechanism | grade | steps | by |\n|---|---|---|---|"
    for chains in (found.promised, found.siblings):
        for name, chain in chains.items():
            grade = "siblings" if name in found.siblings else str(chain.grade)
            start, _, end = chain.name.partition(" → ")
            between = f"{linked(name)}{escaped(start.removeprefix(name))}"
            by = escaped(vs.taxonomy.told(chain))
            yield f"| {between} | {grade} | {len(chain)}, to `{end}` | {by} |"
    yield "\n| mechanism | what stands in the way of both |\n|---|---|"
    for name, why in found.obstructions.items():
        yield f"| {linked(name)} | {escaped(why)} |"


def linked(name: str) -> str:
    """The page of a mechanism."""
    return f"[{name}](mechanisms/{name}.md)"
