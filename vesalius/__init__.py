"""Vesalius: attention mechanisms as typed string diagrams.

    import vesalius as vs

Everything that a user types is here; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_VERBS = (
    "add",
    "all",
    "any",
    "apply",
    "concat",
    "constant",
    "contract",
    "diagonal",
    "divide",
    "expand",
    "fourier",
    "gather",
    "iota",
    "learner",
    "like",
    "linear",
    "max",
    "mean",
    "merge",
    "min",
    "pad",
    "parameter",
    "random",
    "scan",
    "size",
    "slice",
    "softmax",
    "split",
    "sum",
    "topk",
    "window",
    "exp",
    "log",
    "sqrt",
    "tanh",
    "sigmoid",
    "sin",
    "cos",
    "erf",
    "gelu",
    "silu",
    "softplus",
    "elu",
    "reciprocal",
    "negate",
    "power",
    "abs",
    "sign",
    "relu",
    "floor",
    "leaky_relu",
    "less",
    "less_equal",
    "equal",
    "maximum",
    "minimum",
    "logical_and",
    "logical_or",
    "logical_not",
    "floor_divide",
    "remainder",
    "where",
    "to_float",
    "to_int",
)

_PUBLIC = {
    "diagram": "vesalius.diagrams.trace",
    "Builder": "vesalius.diagrams.builder",
    "Diagram": "vesalius.diagrams.graph",
    "Wire": "vesalius.diagrams.wire",
    "Size": "vesalius.diagrams.sizes",
    "ArrayType": "vesalius.diagrams.types",
    "identity": "vesalius.diagrams.compose",
    "function": "vesalius.diagrams.boxes.pointwise",
    "box": "vesalius.diagrams.boxes.own",
    "evaluate": "vesalius.diagrams.meaning",
    "cost": "vesalius.diagrams.cost",
    "grad": "vesalius.diagrams.derivative",
    "draw": "vesalius.diagrams.drawing.picture",
    "rule": "vesalius.rewrite.rule",
    "schema": "vesalius.rewrite.schema",
    "many": "vesalius.rewrite.rule",
    "anyfunction": "vesalius.rewrite.rule",
    "check": "vesalius.rewrite.check",
    "Witness": "vesalius.rewrite.witness",
    "derive": "vesalius.rewrite.derivation",
    "search": "vesalius.rewrite.search",
    "examine": "vesalius.inspect.examine",
    "profile": "vesalius.inspect.profile",
    "Derivation": "vesalius.rewrite.derivation",
    "Fill": "vesalius.rewrite.moves",
    "Restrict": "vesalius.rewrite.moves",
    "Choose": "vesalius.rewrite.moves",
    "Unfold": "vesalius.rewrite.moves",
    "Rename": "vesalius.rewrite.interfaces",
    "Finish": "vesalius.rewrite.finish",
    "Prepare": "vesalius.rewrite.interfaces",
    "Tie": "vesalius.rewrite.interfaces",
    "Lemma": "vesalius.rewrite.lemma",
    "to_torch": "vesalius.compile",
    "VesaliusError": "vesalius.diagrams.errors",
    "AxisError": "vesalius.diagrams.errors",
    "SizeError": "vesalius.diagrams.errors",
    "TypeClash": "vesalius.diagrams.errors",
    "StructureError": "vesalius.diagrams.errors",
    "FormatError": "vesalius.diagrams.errors",
    "Outside": "vesalius.diagrams.errors",
    **dict.fromkeys(_VERBS, "vesalius.diagrams.verbs"),
}
_MODULES = {
    "anatomy": "vesalius.anatomy",
    "taxonomy": "vesalius.anatomy.taxonomy",
    "testing": "vesalius.testing",
}

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"module 'vesalius' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
