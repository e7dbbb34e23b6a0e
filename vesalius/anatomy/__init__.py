"""Attention as data: the catalogue of mechanisms and the parts that they share.

    import vesalius as vs

    vs.anatomy["multihead"](heads=8, causal=True)   # a diagram
    vs.anatomy.names()                              # what there is

This module is the catalogue itself: it can be indexed by name and iterated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

# Importing a file of entries enters them.
from vesalius.anatomy import (  # noqa: F401
    attention,
    attention_free,
    convolutions,
    encoder_decoder,
    gated,
    graphs,
    heads,
    hybrids,
    indexed,
    kernels,
    latents,
    longformer,
    mixers,
    native_sparse,
    normalisers,
    patterns,
    positions,
    recurrent,
    routed,
    slots,
    transformer,
    variants,
)
from vesalius.anatomy.mechanism import CATALOGUE, Catalogue, Mechanism, Paper, UnknownMechanism
from vesalius.anatomy.recombination import Space, recombine
from vesalius.anatomy.variants import variant
from vesalius.diagrams.drawing.strips import Change, Strip, strip
from vesalius.diagrams.graph import Diagram

__all__ = [
    "CATALOGUE",
    "Catalogue",
    "Mechanism",
    "Paper",
    "Space",
    "UnknownMechanism",
    "compare",
    "names",
    "recombine",
    "variant",
]


def names() -> list[str]:
    """The names of all mechanisms, in the order of the catalogue.

    >>> "multihead" in names()
    True
    """
    return CATALOGUE.names()


def compare(a: str | Diagram, b: str | Diagram, **options: Any) -> Strip:
    """Two mechanisms side by side, what differs lit: dashed what goes, ringed what comes.

    Names stand for the mechanisms as they are by default. `options` are those of `vs.draw`.

    >>> compare("scaled_dot_product", "softcap").svg()[:4]
    '<svg'
    """
    drawn = [CATALOGUE[one]() if isinstance(one, str) else one for one in (a, b)]
    captions = [CATALOGUE[one].title if isinstance(one, str) else one.name for one in (a, b)]
    return strip(drawn, captions, [Change(sign="≠" if drawn[0] != drawn[1] else "=")], **options)


class _CatalogueModule(ModuleType):
    """A module that is indexed as the catalogue, however it has been imported."""

    def __getitem__(self, name: str) -> Mechanism:
        return CATALOGUE[name]

    def __iter__(self) -> Iterator[Mechanism]:
        return iter(CATALOGUE)

    def __len__(self) -> int:
        return len(CATALOGUE)

    def __contains__(self, name: object) -> bool:
        return name in CATALOGUE


sys.modules[__name__].__class__ = _CatalogueModule
