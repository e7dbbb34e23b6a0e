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

# Importing a file of entries enters them.
from vesalius.anatomy import attention, encoder_decoder, transformer, variants  # noqa: F401
from vesalius.anatomy.mechanism import CATALOGUE, Catalogue, Mechanism, Paper, UnknownMechanism

__all__ = ["CATALOGUE", "Catalogue", "Mechanism", "Paper", "UnknownMechanism", "names"]


def names() -> list[str]:
    """The names of all mechanisms, in the order of the catalogue.

    >>> "multihead" in names()
    True
    """
    return CATALOGUE.names()


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
