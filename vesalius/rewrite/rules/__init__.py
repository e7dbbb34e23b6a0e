"""The rule library, a file a family. `RULES` holds every rule by name, `SCHEMAS` every schema.

Rules are named after what they say. A rule's docstring is the law in symbols; where the law
is due to a paper, it is cited; where a side is undefined or overflows, the docstring says
where. Each rule is followed by its worked example, a piece of a mechanism in which it is found.
"""

from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules import (
    arithmetic,
    exponentials,
    functions,
    kernels,
    linearity,
    masks,
    mechanisms,
    named,
    nesting,
    normalisers,
    reindexing,
    scans,
    softmaxes,
    sums,
)
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
    reindexing,
    linearity,
    scans,
    named,
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
