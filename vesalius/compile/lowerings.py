"""How each kind of box is written in PyTorch: one table, by the name of the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vesalius.compile import axes, entries, nested, products, reading, sources
from vesalius.compile.scope import Here
from vesalius.compile.text import Term
from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.errors import StructureError

Lower = Callable[[Here], list[Term]]


@dataclass(frozen=True)
class Lowering:
    """How a kind is written: `text` says it to people, `lower(here)` gives a term an output."""

    text: str
    lower: Lower


LOWERINGS: dict[str, Lowering] = {
    "parameter": Lowering("an `nn.Parameter`, or a buffer if not trainable", sources.parameter),
    "random": Lowering("`torch.randn` or `torch.rand` at each call", sources.random),
    "constant": Lowering("a Python number; a table as `torch.tensor`", sources.constant),
    "iota": Lowering("`torch.arange`", sources.iota),
    "pointwise": Lowering("the function's own code", entries.pointwise),
    "contract": Lowering(
        "`*`, `/`, `@`, `.sum` or `.mean` where they do; else `torch.einsum`, two at a time",
        products.contract,
    ),
    "add": Lowering("`+` and `-`", products.add),
    "max": Lowering("`.amax`", entries.reduction("amax")),
    "min": Lowering("`.amin`", entries.reduction("amin")),
    "all": Lowering("`.all`", entries.reduction("all")),
    "any": Lowering("`.any`", entries.reduction("any")),
    "softmax": Lowering(
        "`torch.softmax`; guarded where a whole row may be minus infinity", entries.softmax
    ),
    "expand": Lowering("`.expand`, a view; a number as `torch.full`", axes.expand),
    "split": Lowering("`.unflatten`, a view", axes.split),
    "merge": Lowering("`.flatten`", axes.merge),
    "concat": Lowering("`torch.cat`", axes.concat),
    "slice": Lowering("`x[start:stop:step]`, a view; `.flip` for a negative step", axes.slice),
    "pad": Lowering("`F.pad`", axes.pad),
    "window": Lowering("`.unfold`, a view", axes.window),
    "diagonal": Lowering("`.diagonal`, a view", axes.diagonal),
    "gather": Lowering(
        "`F.embedding`, `.index_select`, or `torch.gather` along shared tubes; a slice for "
        "positions in order",
        reading.gather,
    ),
    "topk": Lowering("`torch.max` or `torch.topk`; a stable sort among equals", reading.topk),
    "fourier": Lowering("`torch.fft.fft` or `torch.fft.ifft`", reading.fourier),
    "named": Lowering("a class, or a function where it has no parameters", nested.named),
    "scan": Lowering("a loop over positions that calls the body", nested.scan),
}

REFUSALS: dict[str, str] = {
    "input": "an input is an argument of `forward`",
    "learner": "a hole has no code until it is filled",
    "like": "it stands in rules only",
}

_OWN = Lowering("the user's function", nested.own)


def lowering(kind: Kind) -> Lowering:
    """The lowering of a kind. Raises `StructureError` where there is none."""
    found = LOWERINGS.get(kind.name)
    if found is not None:
        return found
    if kind.name in OWN:
        return _OWN
    reason = REFUSALS.get(kind.name, "it has no entry in vesalius.compile.lowerings.LOWERINGS")
    raise StructureError(f"to_torch: a box of kind {kind.name!r} cannot be compiled: {reason}")
