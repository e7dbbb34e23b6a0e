"""The derivations between mechanisms, by name; each is built when it is first asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vesalius.diagrams.errors import FormatError, VesaliusError
from vesalius.diagrams.names import meant
from vesalius.rewrite.derivation import Derivation


class UnknownDerivation(VesaliusError, KeyError):
    """There is no derivation of that name."""

    __str__ = Exception.__str__  # that of `KeyError` quotes the message


@dataclass(frozen=True)
class Entry:
    """A derivation of the registry: `title` in words, `doc` what it shows, `build` makes it."""

    name: str
    title: str
    doc: str
    build: Callable[[], Derivation]


class Registry(Mapping[str, Derivation]):
    """Derivations by name, in the order in which they are entered."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._built: dict[str, Derivation] = {}

    def enter(
        self, name: str, title: str
    ) -> Callable[[Callable[[], Derivation]], Callable[[], Derivation]]:
        """Enter the decorated function, which builds a derivation; its docstring says of what."""
        if name in self.entries:
            raise FormatError(f"there is a derivation {name!r} already")

        def put(build: Callable[[], Derivation]) -> Callable[[], Derivation]:
            self.entries[name] = Entry(name, title, inspect.getdoc(build) or "", build)
            return build

        return put

    def __getitem__(self, name: str) -> Derivation:
        if name not in self._built:
            if name not in self.entries:
                why = meant(name, self.entries)
                raise UnknownDerivation(f"there is no derivation {name!r}; {why}")
            self._built[name] = self.entries[name].build().named(name)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries  # without building it

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


DERIVATIONS = Registry()
