"""The rule library, a file a family. `RULES` holds every rule by name, `SCHEMAS` every schema.

Rules are named after what they say. A rule's docstring is the law in symbols; where the law
is due to a paper, it is cited; where a side is undefined or overflows, the docstring says
where. Each rule is followed by its worked example, a piece of a mechanism in which it is found.
"""

from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules import (
    arithmetic,
    axes,
    channels,
    exponentials,
    folds,
    functions,
    fusion,
    hoisting,
    interpolation,
    inverses,
    kernels,
    learners,
    limits,
    linearity,
    masks,
    mechanisms,
    named,
    nesting,
    normalisers,
    places,
    positions,
    recurrences,
    reindexing,
    scans,
    softmaxes,
    sums,
    weights,
)
from vesalius.rewrite.rules.examples import centre as _  # noqa: F401  the file enters examples
from vesalius.rewrite.rules.worked import EXAMPLES
from vesalius.rewrite.schema import Schema

FAMILIES = (
    sums,
    nesting,
    arithmetic,
    exponentials,
    functions,
    softmaxes,
    normalisers,
    masks,
    channels,
    axes,
    places,
    positions,
    reindexing,
    linearity,
    recurrences,
    folds,
    scans,
    fusion,
    hoisting,
    named,
    weights,
    learners,
    limits,
    interpolation,
    inverses,
    kernels,
    mechanisms,
)

RULES: dict[str, Rule] = {
    value.name: value
    for module in FAMILIES
    for value in vars(module).values()
    if isinstance(value, Rule)
}

SCHEMAS: dict[str, Schema] = {
    value.name: value
    for module in FAMILIES
    for value in vars(module).values()
    if isinstance(value, Schema)
}

__all__ = ["EXAMPLES", "FAMILIES", "RULES", "SCHEMAS"]
