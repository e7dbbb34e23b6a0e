"""The rule library, a file a family. `RULES` holds every rule by name, `SCHEMAS` every schema."""

from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules import (
    exponentials,
    kernels,
    linearity,
    mechanisms,
    named,
    reindexing,
    scans,
    softmaxes,
    sums,
)
from vesalius.rewrite.schema import Schema

RULES: dict[str, Rule] = {
    value.name: value
    for module in (sums, exponentials, softmaxes, kernels, mechanisms)
    for value in vars(module).values()
    if isinstance(value, Rule)
}

SCHEMAS: dict[str, Schema] = {
    value.name: value
    for module in (reindexing, linearity, scans, named)
    for value in vars(module).values()
    if isinstance(value, Schema)
}
