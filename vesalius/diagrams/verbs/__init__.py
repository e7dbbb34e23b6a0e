"""The verbs with which a diagram is written: each places one box, or a few."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from vesalius.diagrams.verbs.arithmetic import (
    FUNCTION_VERBS,
    add,
    all,
    any,
    apply,
    contract,
    divide,
    max,
    mean,
    min,
    softmax,
    sum,
)
from vesalius.diagrams.verbs.indexing import fourier, gather, topk
from vesalius.diagrams.verbs.nested import learner, place_own, scan
from vesalius.diagrams.verbs.shape import (
    concat,
    diagonal,
    expand,
    like,
    merge,
    pad,
    slice,
    split,
    window,
)
from vesalius.diagrams.verbs.sources import constant, iota, linear, parameter, random, size
from vesalius.diagrams.wire import Wire

globals().update(FUNCTION_VERBS)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Wire]:
        """The verbs of pointwise functions: made from the table of functions, all of one type."""


__all__ = [
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
    "place_own",
    "random",
    "scan",
    "size",
    "slice",
    "softmax",
    "split",
    "sum",
    "topk",
    "window",
    *FUNCTION_VERBS,
]
