"""The rule library, a file a family. `RULES` holds every rule by name."""

from vesalius.rewrite.rule import Rule
from vesalius.rewrite.rules import exponentials, kernels, softmaxes, sums

RULES: dict[str, Rule] = {
    value.name: value
    for module in (sums, exponentials, softmaxes, kernels)
    for value in vars(module).values()
    if isinstance(value, Rule)
}
