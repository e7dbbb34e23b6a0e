"""What a user wrote on the command line, read: mechanisms, files, sizes, options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from vesalius.diagrams.graph import Diagram


def mechanism_of(source: str) -> Any:
    """The mechanism of that name; None when `source` is a file."""
    from vesalius import anatomy

    if source.endswith(".json"):
        return None
    if "." in source:
        raise typer.BadParameter(f"{source!r}: the name of a diagram in a file ends in .json")
    return anatomy.CATALOGUE[source]


def diagram_of(source: str, options: str) -> Diagram:
    """The diagram of a mechanism with these options, or of a file."""
    mechanism = mechanism_of(source)
    chosen = {name: value_of(value) for name, value in pairs("--with", options).items()}
    if mechanism is not None:
        made: Diagram = mechanism(**chosen)
        return made
    if chosen:
        raise typer.BadParameter("a diagram in a file takes no options", param_hint="--with")
    return from_file(Path(source))


def from_file(path: Path) -> Diagram:
    """The diagram in a file. Raises `FormatError`, with the name of the file."""
    from vesalius.diagrams.errors import FormatError
    from vesalius.diagrams.graph import Diagram

    try:
        return Diagram.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise FormatError(f"{path} is not a text in UTF-8") from None
    except FormatError as error:
        raise FormatError(f"{path}: {message(error)}") from None


def pairs(option: str, text: str) -> dict[str, str | None]:
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


def value_of(text: str | None) -> Any:
    """A name without a value is true; `true`, `false` and integers are themselves."""
    known = {None: True, "true": True, "false": False, "none": None}
    if text in known:
        return known[text]
    assert text is not None
    return int(text) if text.lstrip("-").isdecimal() else text


def weights(text: str) -> str | dict[str, float]:
    """The name of a cost, or the weights of several."""
    named = pairs("--cost", text)
    if len(named) == 1 and None in named.values():
        return text.strip()
    try:
        return {name: float(value or 1) for name, value in named.items()}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not flops=1,bytes=20", param_hint="--cost") from None


def sizes_of(option: str, text: str) -> dict[str, int]:
    """Sizes by name: `n=1024,c=64`."""
    return {name: number_of(option, name, value) for name, value in pairs(option, text).items()}


def number_of(option: str, name: str, text: str | None) -> int:
    """A whole number."""
    if text is None or not text.isdecimal():
        raise typer.BadParameter(f"{name} needs a number: {name}=64", param_hint=option)
    return int(text)


def completed(diagram: Diagram, sizes: dict[str, int], source: str) -> dict[str, int]:
    """The sizes, which have to be the diagram's, and those that follow from them."""
    from vesalius.inspect.optimise import completed as all_of

    check_names(diagram, sizes)
    mechanism = mechanism_of(source)
    return all_of(diagram, sizes, {} if mechanism is None else mechanism.implied)


def check_device(device: str) -> None:
    """Refuse a device that is not there."""
    import torch

    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise typer.BadParameter(f"there is no device {device!r} here", param_hint="--device")


def check_names(diagram: Diagram, sizes: dict[str, int]) -> None:
    """Refuse sizes that the diagram does not have."""
    from vesalius.diagrams.names import check_sizes

    check_sizes(diagram.name, sizes, diagram.size_variables)


def message(error: Exception) -> str:
    """What an error says, without the line of code where it was found: that is not the user's."""
    return str(error).partition("\n  at ")[0]
