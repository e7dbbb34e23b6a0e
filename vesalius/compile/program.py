"""The text as a whole: its classes and functions, and what they need from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from vesalius.compile import names
from vesalius.diagrams.box import Token
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.compile.scope import Scope


class Unit(NamedTuple):
    """A class or a function of the text: its lines, and what a call of it hands over besides."""

    name: str
    # Further arguments: what they are called, and the size variable, "dtype" or "device".
    extras: tuple[tuple[str, str], ...] = ()
    sizes: tuple[str, ...] = ()  # size variables that the constructor of a class takes


class Declared(NamedTuple):
    """A parameter of a class: its identity and the sizes of its axes, in order."""

    token: Token
    sizes: tuple[Size, ...]


class Program:
    """The text as a whole; `sizes` are the values of size variables that are fixed for good.

    `device` is the type of what it is written for, "" for any.
    """

    def __init__(self, diagram: Diagram, sizes: Mapping[str, int], device: str = "") -> None:
        self.diagram = diagram
        self.device = device
        self.sizes = dict(sizes)
        self.taken: set[str] = set(names.RESERVED)
        # Functions, classes and other lines, in the order in which they are defined.
        self.chunks: list[Scope | str] = []
        self.imports: dict[str, str] = {}  # name in the text -> the module that it is imported from
        self.units: dict[Any, Unit] = {}
        self.starts: dict[Diagram, Unit] = {}  # of initial values that are computed
        self.helpers: dict[str, None] = {}
        self.registered: dict[str, str] = {}  # name in the text -> where it is found
        self.letters: dict[str, str] = {}
        self.blank = False  # whether an empty buffer has to tell dtype and device

    def name(self, wanted: str) -> str:
        """A global name of the text, which no variable takes."""
        name = names.fresh(wanted, self.taken)
        self.taken.add(name)
        return name

    def helper(self, name: str) -> str:
        """The name of a function of `helpers`, which the text then brings along."""
        self.helpers[name] = None
        self.taken.add(name)
        return name

    def imported(self, name: str, module: str) -> str:
        """The name of something that the text imports."""
        self.imports[name] = module
        self.taken.add(name)
        return name

    def register(self, name: str, found_at: str) -> str:
        """The name of something of the user's that is looked up where the text begins."""
        for known, place in self.registered.items():
            if place == found_at:
                return known
        known = self.name(names.identifier(name))
        self.registered[known] = found_at
        return known
