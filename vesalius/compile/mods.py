"""What happens to scores between the product of queries and keys and the softmax.

    scores[n, m] = f(Σ_c q[n, c]·k[m, c], n, m, what is read at n and m)     where shown, else −∞

The function is read as a tree. Its leaves are the product, positions, numbers, and *reads*: arrays
that exist already, read at the query, at the key, or along a further axis at a computed place (a
table of distances). What has to be made whole for all pairs is none of these and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vesalius.compile.scores import Condition, positive, split_condition
from vesalius.compile.terms import Opened, Reading, Writing
from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, POINTWISE
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import CONSTANT, INPUT, IOTA, PARAMETER
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import Size, variable

QUERY, KEY = "n", "m"  # what positions, and lengths, are called in a function of scores


class Refused(Exception):
    """Why scores are no function of one pair at a time."""


@dataclass(frozen=True, eq=False)
class Tree:
    """A part of the function; `dtype` is the element type of what it gives."""

    dtype: str


@dataclass(frozen=True, eq=False)
class Product(Tree):
    """The product of queries and keys, scaled."""


@dataclass(frozen=True, eq=False)
class Position(Tree):
    """The place of the query or of the key: `axis` is `QUERY` or `KEY`."""

    axis: str


@dataclass(frozen=True, eq=False)
class Constant(Tree):
    """A number, or a size in terms of the lengths `n` and `m`."""

    value: Any


@dataclass(frozen=True, eq=False)
class Read(Tree):
    """An array of the diagram, read at the places that belong to its labels.

    `places` are for labels other than tubes, the query and the key.
    """

    use: Use
    places: tuple[tuple[Label, Tree], ...] = ()


@dataclass(frozen=True, eq=False)
class Made(Tree):
    """A box applied to parts, entry by entry."""

    kind: Kind
    attrs: tuple[Any, ...]
    parts: tuple[Tree, ...]


@dataclass(frozen=True)
class Mods:
    """The function of one pair, and the conditions under which the pair counts."""

    score: Tree
    conditions: tuple[Tree, ...]

    @property
    def trees(self) -> tuple[Tree, ...]:
        """All parts."""
        return (self.score, *self.conditions)


def ends(tree: Tree) -> list[Tree]:
    """The leaves of a tree that are no numbers, each once, the product first."""
    seen: dict[int, Tree] = {}
    todo = [tree]
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            if isinstance(one, Made):
                todo += reversed(one.parts)
    found = [one for one in seen.values() if isinstance(one, (Product, Position, Read))]
    return sorted(found, key=lambda one: not isinstance(one, Product))


def reads(trees: Iterable[Tree]) -> list[Read]:
    """What trees read, those included that tell places, each once."""
    found: dict[Read, None] = {}
    for tree in trees:
        for one in ends(tree):
            if isinstance(one, Read):
                found.update(dict.fromkeys(reads(place for _, place in one.places)))
                found[one] = None
    return list(found)


# -- reading --------------------------------------------------------------------------------------


def products(r: Reading, scores: Use, queries: set[Label], keys: set[Label]) -> list[Use]:
    """The sums over channels that are reached from scores through arrays of queries and keys.

    Each with the factors around it that are no such arrays, where it always has the same ones.
    """
    found: dict[Use, Use] = {}  # by the sum with its factors, the sum alone
    seen: set[Use] = set()
    todo = [scores]

    def wide(use: Use) -> bool:
        return not (queries.isdisjoint(use[1]) or keys.isdisjoint(use[1]))

    while todo:
        use = todo.pop()
        if use in seen or not wide(use):
            continue
        seen.add(use)
        core = _core(r, use, wide)
        if core is not None:
            found[use] = core
        elif r.kind(use) in (CONTRACT, ADD, POINTWISE, EXPAND):
            todo += r.open(use).uses
    cores = list(dict.fromkeys(found.values()))
    return list(found) if len(found) == len(cores) else cores


def _core(r: Reading, use: Use, wide: Callable[[Use], bool]) -> Use | None:
    """The sum over channels in a product of it and of arrays that are not wide."""
    opened = r.open(use)
    if opened.box.kind is not CONTRACT:
        return None
    if opened.bound:
        return use
    inner = [one for one in opened.uses if wide(one)]
    return _core(r, inner[0], wide) if len(inner) == 1 else None


def read_mods(
    r: Reading,
    scores: Use,
    query: Label,
    key: Label,
    product: Callable[[Use], Sequence[Use] | None],
) -> Mods:
    """The scores as a function of one pair.

    `product(use)` says whether a sum over channels is the product of queries and keys, by the
    factors of it that remain for each pair. Raises `Refused` with the reason.
    """
    reader = _Reader(r, scores, query, key, product)
    score = reader.read(scores, clear=True)
    return Mods(score, tuple(reader.conditions))


class _Reader:
    def __init__(
        self,
        r: Reading,
        scores: Use,
        query: Label,
        key: Label,
        product: Callable[[Use], Sequence[Use] | None],
    ) -> None:
        self.r, self.query, self.key, self.product = r, query, key, product
        self.conditions: list[Tree] = []
        self.known: dict[tuple[Use, bool], Tree] = {}
        self.lengths: dict[str, Size] = {}  # what size variables are in terms of n and m
        for label, name in ((query, QUERY), (key, KEY)):
            length = r.size(scores, label).variable
            if length is not None:
                self.lengths.setdefault(length, variable(name))

    def read(self, use: Use, clear: bool = False) -> Tree:
        """A use as a tree; `clear` says that −∞ here is −∞ in the scores."""
        if (use, clear) not in self.known:
            self.known[use, clear] = self._read(use, clear)
        return self.known[use, clear]

    def _read(self, use: Use, clear: bool) -> Tree:
        r, dtype = self.r, self.r.dtype(use)
        labels = set(use[1])
        if r.is_number(use):
            return self._number(use)
        if not labels & {self.query, self.key}:
            return Read(dtype, use)
        if not {self.query, self.key} <= labels and not self._positional(use):
            return Read(dtype, use)
        opened = r.open(use)
        kind = opened.box.kind
        if kind is IOTA:
            return Position("int", QUERY if use[1][0] == self.query else KEY)
        rest = self.product(use) if kind is CONTRACT else None
        if rest is not None:
            parts = tuple(self.read(one) for one in rest)
            made = Product(dtype)
            return Made(dtype, CONTRACT, (), (made, *parts)) if parts else made
        if kind is CONTRACT and opened.bound:
            raise Refused("the scores hold several sums over products of queries and keys")
        if kind in (INPUT, PARAMETER, CONSTANT):
            return Read(dtype, use)
        if kind is GATHER:
            return self._table(opened, dtype)
        if kind is EXPAND:
            return self.read(opened.uses[0], clear)
        if kind not in (POINTWISE, ADD, CONTRACT):
            raise Refused(f"{kind.name} makes an array of all queries and keys")
        shown = self._shown(use) if clear else None
        if shown is not None:
            return shown
        inside = clear and (kind is ADD or (kind is CONTRACT and self._scaled(opened)))
        parts = tuple(self.read(one, inside) for one in opened.uses)
        if dtype == "bool" and _thresholded(parts):
            raise Refused("scores are compared with an array, and it may round them otherwise")
        if kind is ADD:  # what is left of a mask that is added
            parts = tuple(p for p in parts if not (isinstance(p, Constant) and p.value == 0))
        if kind is not POINTWISE and len(parts) == 1:
            return parts[0]
        return Made(dtype, kind, opened.box.attrs, parts)

    def _table(self, opened: Opened, dtype: str) -> Tree:
        """A read along a further axis; the table may be such a read itself."""
        table, index = opened.uses
        place = self.read(index)
        (axis,) = opened.bound
        inner = self.r.open(table)
        if inner.box.kind is GATHER and inner.bound[0] not in table[1]:
            below = _at(self._table(inner, dtype), axis, place)
            assert isinstance(below, Read)
            return below
        return Read(dtype, table, ((axis, place),))

    def _positional(self, use: Use) -> bool:
        """Whether an array follows from positions and numbers alone.

        A number may be an input: in the body of a kernel's box, sizes of the host are.
        """
        opened = self.r.open(use)
        if opened.box.kind is IOTA or (opened.box.kind is INPUT and not use[1]):
            return True
        if opened.box.kind not in (POINTWISE, ADD, CONTRACT, EXPAND) or opened.bound:
            return False
        return all(self.r.is_number(one) or self._positional(one) for one in opened.uses)

    # -- numbers ----------------------------------------------------------------------------------

    def _number(self, use: Use) -> Tree:
        """A number, made of numbers that are written down; sizes in terms of n and m."""
        dtype = self.r.dtype(use)
        opened = self.r.open(use)
        if opened.box.kind is not CONSTANT:
            parts = tuple(self._number(one) for one in opened.uses)
            if any(isinstance(part, Read) for part in parts):
                return Read(dtype, use)
            return Made(dtype, opened.box.kind, opened.box.attrs, parts)
        value = opened.box["value"]
        if isinstance(value, Size) and value.constant is None:
            if not value.variables <= self.lengths.keys():
                return Read(dtype, use)
            value = value.substitute(self.lengths)
        return Constant(dtype, value)

    # -- what hides a pair ------------------------------------------------------------------------

    def _shown(self, use: Use) -> Tree | None:
        """The score of `where(c, s, −∞)`; the condition is noted, unless it looks at scores."""
        inside = self.r.applied(use, "where")
        if inside is None:
            return None
        condition, yes, no = inside
        for score, other, truth in ((yes, no, True), (no, yes, False)):
            if self.r.value(other) == -math.inf:
                trees = [self._truth(one) for one in split_condition(self.r, condition, truth)]
                looking = [one for one in trees if _has_product(one)]
                self.conditions += [one for one in trees if one not in looking]
                tree = self.read(score, clear=True)
                for one in looking:
                    parts = (one, tree, Constant(tree.dtype, -math.inf))
                    tree = Made(tree.dtype, POINTWISE, (FUNCTIONS["where"], ()), parts)
                return tree
        return None

    def _truth(self, condition: Condition) -> Tree:
        tree = self.read(condition.use)
        if condition.truth:
            return tree
        return Made("bool", POINTWISE, (FUNCTIONS["logical_not"], ()), (tree,))

    def _scaled(self, opened: Opened) -> bool:
        """Whether all factors but one are positive numbers, so that −∞ stays what it is."""
        numbers = [one for one in opened.uses if self.r.is_number(one)]
        return len(numbers) == len(opened.uses) - 1 and all(
            positive(self.r, one) for one in numbers
        )


def _has_product(tree: Tree) -> bool:
    return any(isinstance(end, Product) for end in ends(tree))


def _thresholded(parts: Sequence[Tree]) -> bool:
    """Whether scores stand on one side and an array on another, as the least of the best does."""
    read = any(isinstance(end, Read) for part in parts for end in ends(part))
    return read and any(map(_has_product, parts))


def _at(tree: Tree, label: Label, place: Tree) -> Tree:
    """What a tree reads along a label, read at a place of it."""
    if isinstance(tree, Made):
        return replace(tree, parts=tuple(_at(part, label, place) for part in tree.parts))
    if not isinstance(tree, Read):
        return tree
    places = tuple((own, _at(inner, label, place)) for own, inner in tree.places)
    mine = ((label, place),) if label in tree.use[1] else ()
    return replace(tree, places=(*places, *mine))


# -- writing --------------------------------------------------------------------------------------


class Writer:
    """Writes trees by labels into a diagram. Override `leaf` to say what leaves become."""

    def __init__(self, writing: Writing, leaf: Callable[[Tree], Use]) -> None:
        self.writing, self.leaf = writing, leaf
        self.known: dict[int, tuple[Tree, Use]] = {}

    def write(self, tree: Tree) -> Use:
        """The use that a tree becomes."""
        if id(tree) not in self.known:
            self.known[id(tree)] = tree, self._write(tree)
        return self.known[id(tree)][1]

    def _write(self, tree: Tree) -> Use:
        if isinstance(tree, Constant):
            return self.writing.number(tree.value)
        if isinstance(tree, Made):
            parts = [self.write(part) for part in tree.parts]
            return self.writing.box(tree.kind, tree.attrs, parts)[0]
        return self.leaf(tree)
