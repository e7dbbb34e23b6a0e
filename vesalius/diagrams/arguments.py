"""What a diagram is given for its inputs: by position or by name, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.diagrams.errors import StructureError


def arranged(
    verb: str, names: Sequence[str], args: Sequence[Any], named: Mapping[str, Any]
) -> list[Any]:
    """The arguments in the order of the inputs that are called `names`.

    Raises `StructureError`, which `verb` begins, for one too many, unknown, given twice, missing.
    """
    inputs = f"{len(names)} inputs ({', '.join(names) or 'none'})"
    if len(args) > len(names):
        raise StructureError(f"{verb} has {inputs}, {len(args)} were given")
    given = dict(zip(names, args, strict=False))
    for name, value in named.items():
        if name not in names:
            raise StructureError(f"{verb} has no input {name!r}; it has {inputs}")
        if name in given:
            raise StructureError(f"{verb}: the input {name!r} is given twice")
        given[name] = value
    missing = [name for name in names if name not in given]
    if missing:
        which = "the input" if len(missing) == 1 else "the inputs"
        said = f"{which} {', '.join(map(repr, missing))} {'is' if len(missing) == 1 else 'are'}"
        raise StructureError(f"{verb}: {said} missing; it has {inputs}")
    return [given[name] for name in names]
