"""How mechanisms follow from one another: derivations as values, each step with its grade.

    from vesalius.anatomy.derivations import DERIVATIONS

    DERIVATIONS["softmax-to-linear"].html()

The steps are ours. *On the Anatomy of Attention* (arXiv 2407.02423) says that such derivations
exist, from Bahdanau's attention to Vaswani's and to its linearised variant; how it draws them
has not been followed.
"""

# Importing a file of derivations enters them.
from vesalius.anatomy.derivations import (  # noqa: F401
    attention_free,
    decays,
    heads,
    latent,
    linear,
    mixers,
    normalisers,
    streams,
    vaswani,
)
from vesalius.anatomy.derivations.registry import (
    DERIVATIONS,
    Entry,
    Registry,
    UnknownDerivation,
)

__all__ = ["DERIVATIONS", "Entry", "Registry", "UnknownDerivation"]
