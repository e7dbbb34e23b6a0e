"""Attention as it stands in a diagram: which products are of queries and keys, and what is left.

One product of queries and keys has to be among the scores. A product more whose factors split
between queries and keys (ALiBi, a bias of low rank, a bias of the keys alone) can be further
channels of both; what depends on the query alone is dropped, since a softmax ignores it; what does
not split is a bias. Where a product is written flat, it is cut where the fewest channels pass from
queries to keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product as choices
from typing import Any, NamedTuple

from vesalius.compile.kernels.kernel import Place
from vesalius.compile.scores import (
    DRAWN,
    Factor,
    Mix,
    Scores,
    Summand,
    is_causal,
    read_mix,
    read_scores,
)
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER, RANDOM
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import product

FLOATING = 6  # how many factors may stand on either side of a cut before only one cut is tried


class Split(NamedTuple):
    """A product among the scores, cut into factors of the queries and factors of the keys."""

    summand: Summand
    queries: tuple[Factor, ...]
    keys: tuple[Factor, ...]

    @property
    def channels(self) -> list[Label]:
        """The axes that both sides carry and the product sums over."""
        shared = labels_of(self.queries) & labels_of(self.keys)
        return [x for x in self.summand.bound if x in shared]


@dataclass
class Parts:
    """The operands of attention, read from a diagram and sorted."""

    mix: Mix
    scores: Scores
    query: Label | None
    tubes: frozenset[Label]  # the axes of the scores along which everything is mapped
    main: Split
    channels: list[Split]  # further products that split
    dense: list[Summand]  # those that don't


def read_parts(place: Place) -> Parts | str:
    """The operands of attention at a place, or the reason why it is none of that kind."""
    mix = read_mix(place, place.use)
    if isinstance(mix, str):
        return mix
    if not place.single(mix.weights[0]):
        return "the weights are used elsewhere too"
    carried = {x for use in mix.values for x in use[1]}
    free = [x for x in mix.scores[1] if x not in mix.keys]
    queries = [x for x in free if x not in carried]
    scores = _read(place, mix, queries or free)
    alive = [s for s in scores.summands if not set(mix.keys).isdisjoint(s.labels)]
    splits = [cut(place, s, mix.keys, queries) for s in alive]
    products = [s for s in splits if s.channels]
    if not products:
        return _no_product(place, alive)

    def foreign(split: Split) -> int:
        return len(labels_of(split.keys) & set(queries))

    main = min(products, key=lambda s: (foreign(s), -_width(place, s)))
    of_keys = labels_of(main.keys)
    own = [x for x in queries if x not in of_keys]
    if queries and not own:
        return "the keys differ from query to query"
    if not own and len(mix.values) > 1 and labels_of(main.queries) & carried & set(free) - of_keys:
        if any(_drawn(place, use[0]) for use in mix.values):
            return DRAWN
        return "the weights are multiplied by factors of queries and keys"
    channels: list[Split] = []
    dense: list[Summand] = []
    for split in splits:
        if split is not main:
            if labels_of(split.keys).isdisjoint(own):
                channels.append(split)
            else:
                dense.append(split.summand)
    query = query_of(place, mix, scores, own, main, dense)
    tubes = frozenset(x for x in free if x != query)
    return Parts(mix, scores, query, tubes, main, channels, dense)


def _read(place: Place, mix: Mix, queries: Sequence[Label]) -> Scores:
    """The scores; where a causal mask hides all later keys, distances have one sign."""
    scores = read_scores(place, mix.scores, mix.keys, queries)
    ordered = [
        (query, key)
        for query in queries
        for key in mix.keys
        if any(is_causal(place, c, query, key) for c in scores.conditions)
    ]
    return read_scores(place, mix.scores, mix.keys, queries, ordered) if ordered else scores


def _no_product(place: Place, alive: Sequence[Summand]) -> str:
    """Why no summand is a product of queries and keys."""
    for summand in alive:
        for factor in summand.factors:
            inside = place.applied(factor.uses[0], "where")
            for branch in inside[1:] if inside else ():
                value = place.value(branch)
                if isinstance(value, float) and math.isfinite(value) and value < 0:
                    return (
                        f"hidden scores are {value:g}, which in a row that is hidden whole differs "
                        f"from minus infinity: write float('-inf')"
                    )
            box = place.node_of(factor.uses[0][0]).box
            if box.kind.name == "pointwise" and len(factor.uses) == 1:
                return f"the scores go through {box['function'].name} before the softmax"
    return "the scores hold no sum of products of queries and keys"


def _drawn(place: Place, wire: int, depth: int = 4) -> bool:
    """Whether an array is a random draw, or made of one by a few functions and factors."""
    node = place.diagram.nodes[place.diagram.owner[wire]]
    if node.box.kind is RANDOM:
        return True
    if depth == 0 or node.box.bound or node.box.kind not in (POINTWISE, CONTRACT):
        return False
    return any(_drawn(place, source, depth - 1) for source in node.src)


def labels_of(factors: Iterable[Factor]) -> set[Label]:
    """The axes that some of the factors carry."""
    return {x for factor in factors for x in factor.labels}


def cut(place: Place, summand: Summand, keys: Sequence[Label], queries: Sequence[Label]) -> Split:
    """The product cut where the fewest channels pass; what carries a key is on its side.

    A gain that stands on both, as in norms of queries and of keys, could go to either: where as
    few channels pass, the queries stay on theirs.
    """
    bound = set(summand.bound)
    of_keys = tuple(f for f in summand.factors if not set(keys).isdisjoint(f.labels))
    others = [f for f in summand.factors if f not in of_keys]
    floating = [f for f in others if not bound.isdisjoint(f.labels)]
    if not of_keys or not floating or len(floating) > FLOATING:
        return Split(summand, tuple(others), of_keys)
    cuts = []
    fixed = [f for f in others if f not in floating]
    for sides in choices((False, True), repeat=len(floating)):  # a factor may stand there twice
        moved = tuple(f for f, side in zip(floating, sides, strict=True) if side)
        left = (*fixed, *(f for f, side in zip(floating, sides, strict=True) if not side))
        cuts.append(Split(summand, left, (*of_keys, *moved)))

    def rank(cut: Split) -> tuple[int, int, int]:
        foreign = len(labels_of(cut.keys) & set(queries))
        return _width(place, cut), foreign, abs(len(cut.queries) - len(cut.keys))

    return min((cut for cut in cuts if cut.channels), key=rank, default=cuts[0])


def _width(place: Place, split: Split) -> int:
    """How many channels pass from queries to keys."""
    sizes = place.sizes(use for factor in split.summand.factors for use in factor.uses)
    return place.target.length(product(sizes[x] for x in split.channels))


def makes_mask(place: Place, parts: Parts) -> bool:
    """Whether a mask or a bias for all pairs has to be made, and does not exist already."""
    conditions, query = parts.scores.conditions, parts.query
    if query is not None and not parts.dense:
        causal = [is_causal(place, c, query, key) for c in conditions for key in parts.mix.keys]
        if causal == [True]:
            return False
    uses = [c.use for c in conditions]
    uses += [use for summand in parts.dense for f in summand.factors for use in f.uses]
    return not all(_given(place, parts, use) for use in uses)


def _given(place: Place, parts: Parts, use: Use) -> bool:
    """Whether an array of all queries and keys exists already."""
    return place.kind(use) in (INPUT, PARAMETER) and {parts.query, *parts.mix.keys} <= set(use[1])


def query_of(
    place: Place,
    mix: Mix,
    scores: Scores,
    own: Sequence[Label],
    main: Split,
    dense: Sequence[Summand],
) -> Label | None:
    """Which of the axes that only queries have is the kernel's; the others are tubes."""
    if len(own) < 2:
        return own[0] if own else None
    sizes = place.sizes([mix.scores])
    carried = labels_of(main.queries)
    masked = {x for c in scores.conditions for x in c.use[1]}
    masked |= {x for summand in dense for x in summand.labels}
    places = {x: k for f in main.queries for use in f.uses for k, x in enumerate(use[1])}

    def rank(label: Label) -> tuple[Any, ...]:
        causal = any(is_causal(place, c, label, key) for c in scores.conditions for key in mix.keys)
        return (
            causal,
            label in carried,
            label in masked,
            any(sizes[label] == sizes[key] for key in mix.keys),
            place.target.length(sizes[label]),
            places.get(label, 0),
        )

    return max(own, key=rank)
