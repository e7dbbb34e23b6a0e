"""The canonical spelling of what a box reads, and the symmetries that the box has.

Local axes are numbered by first occurrence, so the names of axes never matter. Two spellings
may still mean one thing: operands of a commutative box in another order, and a symmetric wire
(a Gram matrix equals its transpose) with its slots turned. The canonical spelling has the
smallest maps. It is found operand by operand: all beginnings that attain the smallest maps so
far are kept side by side, so no choice is taken back. Operands that differ only in labels of
their own are interchangeable, and one of them stands for all.

A relabelling that turns one smallest spelling into another leaves the box as it is. What it
does to the output is a symmetry of that wire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes

Label = Hashable
Use = tuple[int, tuple[Label, ...]]
Relabelling = dict[Label, Label]

WIDTH = 720  # how many beginnings are kept side by side, and symmetries of a wire remembered
EFFORT = 200_000  # how many continuations are looked at before fewer are kept

_OWN = object()  # stands for a label that no other operand carries


class Spelling(NamedTuple):
    """Operands in canonical order: maps, bound axes, and the label of each local axis.

    `symmetries` generate the relabellings of tubes and bound axes that change nothing.
    """

    uses: Sequence[Use]
    maps: tuple[Axes, ...]
    bound: Axes
    names: list[Label]
    symmetries: Sequence[Relabelling] = ()


def plain(uses: Sequence[Use], bound: Sequence[Label], bound_is_set: bool) -> Spelling:
    """The spelling of operands whose order and slots leave no choice.

    Raises `KeyError` for a bound label that no operand has.
    """
    numbers: dict[Label, int] = {}
    maps = tuple(
        [tuple([numbers.setdefault(x, len(numbers)) for x in labels]) for _, labels in uses]
    )
    local = tuple([numbers[label] for label in bound])
    return Spelling(uses, maps, tuple(sorted(local)) if bound_is_set else local, list(numbers))


def tied(uses: Sequence[Use]) -> bool:
    """Whether some wire stands twice among operands that are sorted by wire."""
    return any(a[0] == b[0] for a, b in pairwise(uses))


def canonical(
    uses: Sequence[Use],
    commutes: bool,
    turns: Mapping[int, tuple[Axes, ...]],
    bound: Sequence[Label],
    bound_is_set: bool,
) -> Spelling:
    """The smallest spelling; `turns[w]` are the permutations of slots that leave wire w alone.

    Operands of a commutative box come sorted by wire. Raises `KeyError` as `plain` does.
    """
    labels = _Labels(uses, bound, bound_is_set)
    symmetries: list[Relabelling] = []
    beginnings = [_Beginning({}, None)]
    maps: list[Axes] = []
    for group in _groups(uses, commutes):
        classes = _classes(group, labels, turns, symmetries)
        beginnings = [start._replace(taken=(0,) * len(classes)) for start in beginnings]
        options = sum(len(operands[0]) for operands in classes)
        width = max(1, min(WIDTH, EFFORT // (len(group) * options)))
        for _ in group:
            row, beginnings = _continuations(beginnings, classes, group[0][0], width)
            maps.append(row)
    forms = []
    for start in beginnings:
        local = tuple([start.numbers[label] for label in bound])
        forms.append(tuple(sorted(local)) if bound_is_set else local)
    least = min(forms)
    ends = [start for start, form in zip(beginnings, forms, strict=True) if form == least]
    names = list(ends[0].numbers)
    symmetries += [dict(zip(names, end.numbers, strict=True)) for end in ends[1:]]
    return Spelling(ends[0].uses(), tuple(maps), least, names, symmetries)


def output_turns(slots: Sequence[Label], symmetries: Sequence[Relabelling]) -> list[Axes]:
    """What relabellings do to the slots of an output, as permutations of them."""
    found = []
    for relabelling in symmetries:
        turned = [relabelling.get(label, label) for label in slots]
        if turned != list(slots) and set(turned) == set(slots):
            found.append(tuple([turned.index(label) for label in slots]))
    return found


def closure(generators: Sequence[Axes]) -> tuple[Axes, ...]:
    """All products of permutations but the identity, sorted; at most `WIDTH` of them."""
    if not generators:
        return ()
    identity = tuple(range(len(generators[0])))
    found, known = [identity], {identity}
    for one in found:  # which grows meanwhile
        for other in generators:
            product = tuple([one[i] for i in other])
            if product not in known:
                known.add(product)
                found.append(product)
        if len(found) > WIDTH:
            break
    return tuple(sorted(found[1 : WIDTH + 1]))


# -- the search ---------------------------------------------------------------------------------


class _Beginning(NamedTuple):
    """The first operands of a spelling: numbers of labels, how many of each class are taken."""

    numbers: dict[Label, int]
    last: tuple[Any, Use] | None  # the operands so far, the last one first
    taken: tuple[int, ...] = ()

    def uses(self) -> list[Use]:
        found, rest = [], self.last
        while rest is not None:
            rest, use = rest
            found.append(use)
        return found[::-1]


class _Labels:
    """Which labels belong to one operand alone, and which are bound."""

    def __init__(self, uses: Sequence[Use], bound: Sequence[Label], bound_is_set: bool) -> None:
        self.count = Counter(label for _, labels in uses for label in labels)
        self.bound = frozenset(bound)
        self.pinned = frozenset() if bound_is_set else self.bound

    def signature(self, labels: Sequence[Label]) -> tuple[Any, ...]:
        """Labels, those of this operand alone by what they are and not by which they are."""
        return tuple(
            [
                x if self.count[x] > 1 or x in self.pinned else (_OWN, x in self.bound)
                for x in labels
            ]
        )


def _groups(uses: Sequence[Use], commutes: bool) -> list[list[Use]]:
    """Operands among which the order is free: those of one wire, side by side."""
    groups: list[list[Use]] = []
    for use in uses:
        if commutes and groups and groups[-1][0][0] == use[0]:
            groups[-1].append(use)
        else:
            groups.append([use])
    return groups


Operands = list[list[tuple[Label, ...]]]  # the operands of one class; for each, its labellings


def _classes(
    group: list[Use],
    labels: _Labels,
    turns: Mapping[int, tuple[Axes, ...]],
    symmetries: list[Relabelling],
) -> list[Operands]:
    """Operands of one wire by what tells them apart; notes what exchanges those of a class."""
    classes: dict[Any, tuple[Operands, dict[Any, tuple[Label, ...]]]] = {}
    for wire, own in group:
        spelled: dict[Any, tuple[Label, ...]] = {}
        for turned in (own, *(tuple([own[i] for i in turn]) for turn in turns.get(wire, ()))):
            first = spelled.setdefault(labels.signature(turned), turned)
            if first is not turned:
                symmetries.append(dict(zip(first, turned, strict=True)))
        operands, leader = classes.setdefault(frozenset(spelled), ([], spelled))
        operands.append(list(spelled.values()))
        if leader is not spelled:
            key = next(iter(leader))
            one, other = leader[key], spelled[key]
            if one != other:
                there = dict(zip(one, other, strict=True))
                symmetries.append({**{y: x for x, y in there.items()}, **there})
    return [operands for operands, _ in classes.values()]


def _continuations(
    beginnings: list[_Beginning], classes: list[Operands], wire: int, width: int
) -> tuple[Axes, list[_Beginning]]:
    """The smallest next row of the maps, and every way to attain it."""
    best: Axes | None = None
    found: dict[Any, _Beginning] = {}
    for start in beginnings:
        for c, operands in enumerate(classes):
            at = start.taken[c]
            if at == len(operands):
                continue
            for labels in operands[at]:
                numbers = start.numbers
                fresh = [x for x in labels if x not in numbers]
                if fresh:
                    numbers = {**numbers, **{x: len(numbers) + k for k, x in enumerate(fresh)}}
                row = tuple([numbers[x] for x in labels])
                if best is not None and row > best:
                    continue
                if best is None or row < best:
                    best, found = row, {}
                taken = (*start.taken[:c], at + 1, *start.taken[c + 1 :])
                key = (tuple(numbers), taken)
                if key not in found and len(found) < width:
                    found[key] = _Beginning(numbers, (start.last, (wire, labels)), taken)
    assert best is not None
    return best, list(found.values())
