"""The operands of softmax attention: queries, keys, values, scale and masks, from any spelling.

One product of queries and keys has to be among the scores. A product more whose factors split
between queries and keys (ALiBi, a bias of low rank, a bias of the keys alone) becomes further
channels of both; what depends on the query alone is dropped, since a softmax ignores it; what does
not split is added as a mask. Factors of the queries and of the keys (norms, temperatures) go into
them, numbers into the scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right
from vesalius.compile.scores import (
    Condition,
    Factor,
    Mix,
    Scores,
    Summand,
    is_causal,
    read_mix,
    read_scores,
)
from vesalius.compile.terms import Axis
from vesalius.diagrams.boxes.shape import MERGE, SPLIT
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.sizes import ONE, Size, product, size

ALIGNMENT = 8  # widths are padded to a multiple of this when channels are added
EXACT = 256  # positions are carried by two channels, both exact in bfloat16


@dataclass
class Parts:
    """The operands of attention, read from a diagram and sorted."""

    mix: Mix
    scores: Scores
    key: Label
    query: Label | None
    tubes: frozenset[Label]  # axes of the keys or values along which everything is mapped
    main: Summand
    channels: list[Summand]  # further products that split
    dense: list[Summand]  # those that don't


def read_parts(place: Place) -> Parts | str:
    """The operands of attention at a place, or the reason why it is none of that kind."""
    mix = read_mix(place, place.use)
    if isinstance(mix, str):
        return mix
    if not place.single(mix.weights[0]):
        return "the weights are used elsewhere too"
    if len(mix.keys) != 1:
        return "the softmax is over several axes; merge them before"
    return _sorted(place, mix)


def _sorted(place: Place, mix: Mix) -> Parts | str:
    """Queries and keys told apart, and each summand put where it belongs."""
    key = mix.keys[0]
    carried = {x for use in mix.values for x in use[1]}
    free = [x for x in mix.scores[1] if x != key]
    queries = [x for x in free if x not in carried]
    scores = read_scores(place, mix.scores, [key], queries)
    alive = [s for s in scores.summands if key in s.labels or key in s.bound]
    splitting = [s for s in alive if s.bound and _sides(s, key)[0] and _sides(s, key)[1]]
    if not splitting:
        return _no_product(place, alive)

    def foreign(summand: Summand) -> int:
        return len(_labels(_sides(summand, key)[1]) & set(queries))

    main = min(splitting, key=lambda s: (foreign(s), -_width(place, s)))
    of_keys = _labels(_sides(main, key)[1])
    own = [x for x in queries if x not in of_keys]
    if queries and not own:
        return "the keys differ from query to query"
    channels: list[Summand] = []
    dense: list[Summand] = []
    for summand in alive:
        if summand is main:
            continue
        split = not _labels(_sides(summand, key)[1]) & set(own)
        (channels if split else dense).append(summand)
    query = _query(place, mix, scores, own, dense)
    tubes = frozenset(x for x in free if x != query)
    return Parts(mix, scores, key, query, tubes, main, channels, dense)


def _no_product(place: Place, alive: Sequence[Summand]) -> str:
    for summand in alive:
        for factor in summand.factors:
            box = place.node_of(factor.uses[0][0]).box
            if box.kind.name == "pointwise" and len(factor.uses) == 1:
                return f"the scores go through {box['function'].name} before the softmax"
    return "the scores hold no sum of products of queries and keys"


def _sides(summand: Summand, key: Label) -> tuple[list[Factor], list[Factor]]:
    """The factors of the queries and those of the keys."""
    queries = [f for f in summand.factors if key not in f.labels]
    return queries, [f for f in summand.factors if key in f.labels]


def _labels(factors: Sequence[Factor]) -> set[Label]:
    return {x for factor in factors for x in factor.labels}


def _width(place: Place, summand: Summand) -> int:
    sizes = place.sizes(use for factor in summand.factors for use in factor.uses)
    return place.target.length(product(sizes[x] for x in summand.bound))


def _query(
    place: Place, mix: Mix, scores: Scores, own: Sequence[Label], dense: Sequence[Summand]
) -> Label | None:
    """Which of the axes that only queries have is the kernel's; the others are tubes."""
    if len(own) < 2:
        return own[0] if own else None
    key = mix.keys[0]
    sizes = place.sizes([mix.scores])
    masked = {x for c in scores.conditions for x in c.use[1]} | {
        x for summand in dense for x in summand.labels
    }

    def rank(label: Label) -> tuple[Any, ...]:
        return (
            any(is_causal(place, c, label, key) for c in scores.conditions),
            label in masked,
            sizes[label] == sizes[key],
            sizes[label].constant is None,
            place.target.length(sizes[label]),
        )

    return max(own, key=rank)


class _Block(NamedTuple):
    """A block of channels: of the queries and of the keys, along one label."""

    queries: Use
    keys: Use
    label: Label


class Operands:
    """Writes the right side: queries, keys, values and masks for the kernel's box."""

    def __init__(self, place: Place, parts: Parts) -> None:
        self.place = place
        self.parts = parts
        self.notes: list[str] = []
        reads = [*parts.mix.values, *parts.mix.rest, *(c.use for c in parts.scores.conditions)]
        for summand in (parts.main, *parts.channels, *parts.dense):
            reads += [use for factor in summand.factors for use in factor.uses]
        self.right: Right = place.right(use for use in reads if not place.is_number(use))
        self.sizes = place.sizes([*reads, parts.mix.scores])

    def found(self, kernel: Kernel) -> Found:
        """The right side in full, with the box of a kernel that takes these operands."""
        parts, right = self.parts, self.right
        blocks = [self._block(parts.main)]
        scale = self._scale(parts.main)
        if parts.channels:
            # The further channels have scales of their own: all go into the queries.
            blocks[0] = blocks[0]._replace(queries=right.contract([blocks[0].queries, scale]))
            for summand in parts.channels:
                blocks += self._channels(summand)
            scale = right.number(1.0)
        q, k, width = self._joined(blocks)
        query = parts.query or Axis("n")
        q = right.expand(q, {query: self.sizes.get(query, ONE)})
        v, rest = self._values()
        e, v, made = self._one_axis(v, [x for x in v[1] if x != parts.key and x not in parts.tubes])
        variant, masks = self._masks(query)
        result = kernel.box(
            right,
            [
                (q, {"n": query, "c": width}),
                (k, {"m": parts.key, "c": width}),
                (v, {"m": parts.key, "e": e}),
                (scale, {}),
                *masks,
            ],
            {"n": query, "e": e},
            variant,
        )
        if made is not None:
            result = right.box(SPLIT, (), [result], [e], made)[0]
        if parts.query is None:
            result = right.box(SPLIT, (), [result], [query], [])[0]
        over = [x for x in parts.mix.bound if x in result[1] or any(x in f[1] for f in rest)]
        return right.found(right.contract([result, *rest], over), "; ".join(self.notes))

    # -- queries and keys -----------------------------------------------------------------------

    def _product(self, factors: Sequence[Factor], over: Sequence[Label] = ()) -> Use | None:
        """Factors multiplied, each as it was written; summed over labels that they carry."""
        right = self.right
        uses = [right.contract([right.copied(use) for use in f.uses], f.bound) for f in factors]
        carried = {x for use in uses for x in use[1]}
        return right.contract(uses, [x for x in over if x in carried]) if uses else None

    def _sides(self, summand: Summand) -> tuple[Use | None, Use | None, list[Label]]:
        """The product split: queries, keys, and the labels along which they are summed."""
        queries, keys = _sides(summand, self.parts.key)
        shared = _labels(queries) & _labels(keys) & set(summand.bound)
        inner = [x for x in summand.bound if x not in shared]
        joint = [x for x in summand.bound if x in shared]
        return self._product(queries, inner), self._product(keys, inner), joint

    def _block(self, summand: Summand) -> _Block:
        right = self.right
        queries, keys, labels = self._sides(summand)
        assert keys is not None, "a summand that splits has factors of the keys"
        queries = self._scaled(queries, summand) if summand is not self.parts.main else queries
        assert queries is not None
        if len(labels) == 1:
            return _Block(self._float(queries), self._float(keys), labels[0])
        label = Axis("c")
        if not labels:
            queries, keys = (right.expand(x, {label: ONE}) for x in (queries, keys))
        else:
            whole = [(label, product(self.sizes[x] for x in labels))]
            queries, keys = (right.box(MERGE, (), [x], labels, whole)[0] for x in (queries, keys))
        return _Block(self._float(queries), self._float(keys), label)

    def _scale(self, summand: Summand) -> Use:
        """The numbers of a product, with its sign, as one scalar."""
        right = self.right
        numbers = [self._float(right.copied(use)) for use in summand.numbers]
        if summand.negative:
            numbers.append(right.number(-1.0))
        return right.contract(numbers) if numbers else right.number(1.0)

    def _scaled(self, queries: Use | None, summand: Summand) -> Use:
        """The queries' side of a product with all that is scalar in it."""
        scale = self._scale(summand)
        return scale if queries is None else self.right.contract([queries, scale])

    def _channels(self, summand: Summand) -> list[_Block]:
        """Further channels; positions are split so that bfloat16 carries them exactly."""
        right = self.right
        block = self._block(summand)
        keys = _sides(summand, self.parts.key)[1]
        whole = all(self.place.dtype(use) == "int" for f in keys for use in f.uses)
        self.notes.append("a bias of low rank became channels of queries and keys")
        if not whole:
            return [block]
        positions = self._product(keys)
        assert positions is not None
        low = right.apply("remainder", positions, right.number(EXACT))
        high = right.add([positions, right.apply("negate", low)])
        return [
            _Block(block.queries, right.expand(self._float(x), {block.label: ONE}), block.label)
            for x in (high, low)
        ]

    def _joined(self, blocks: Sequence[_Block]) -> tuple[Use, Use, Label]:
        """All channels side by side, with zeros up to a width that kernels like."""
        right = self.right
        if len(blocks) == 1:
            return blocks[0]
        label = Axis("c")
        known = blocks[0]
        more = (
            sum(1 for _ in blocks[1:])
            if all(right.size(b.keys, b.label) == ONE for b in blocks[1:])
            else 0
        )
        total = right.size(known.keys, known.label).constant
        missing = -((total or 0) + more) % ALIGNMENT if more else 0
        sides = []
        for queries in (True, False):
            parts = [(b.queries if queries else b.keys, b.label) for b in blocks]
            if missing:
                zero, pad = right.number(0.0), Axis("c")
                parts.append((right.expand(zero, {pad: size(missing)}), pad))
            fresh = [_relabelled(use, own) for use, own in parts]
            sides.append(right.concat(fresh, label))
        return sides[0], sides[1], label

    # -- values ---------------------------------------------------------------------------------

    def _values(self) -> tuple[Use, list[Use]]:
        """The values, and the factors that come after the mix."""
        mix, place, right = self.parts.mix, self.place, self.right
        values, rest = list(mix.values), list(mix.rest)
        inside = set(mix.bound) - set(mix.scores[1])
        for factor in list(rest):
            shared = {x for use in values for x in use[1]} & set(factor[1]) & inside
            elsewhere = {x for use in rest if use != factor for x in use[1]}
            if not shared or shared & elsewhere or set(factor[1]) & set(mix.scores[1]):
                continue
            before = product(place.size(factor, x) for x in shared)
            after = product(place.size(factor, x) for x in factor[1] if x not in shared)
            if place.target.length(after) < place.target.length(before):
                values.append(factor)
                rest.remove(factor)
        outside = {x for use in rest for x in use[1]} | set(mix.scores[1])
        carried = {x for use in values for x in use[1]}
        over = [x for x in mix.bound if x in carried and x not in outside]
        v = right.contract([right.copied(use) for use in values], over)
        return self._float(v), [right.copied(use) for use in rest]

    def _one_axis(
        self, v: Use, labels: Sequence[Label]
    ) -> tuple[Label, Use, list[tuple[Label, Size]] | None]:
        """The values with one axis of channels, and what to split it into afterwards."""
        right = self.right
        if len(labels) == 1:
            return labels[0], v, None
        label = Axis("e")
        parts = [(x, right.size(v, x)) for x in labels]
        if not labels:
            return label, right.expand(v, {label: ONE}), parts
        whole = [(label, product(length for _, length in parts))]
        return label, right.box(MERGE, (), [v], labels, whole)[0], parts

    def _float(self, use: Use) -> Use:
        return self.right.apply("to_float", use) if self.right.dtype(use) == "int" else use

    # -- masks ----------------------------------------------------------------------------------

    def _masks(self, query: Label) -> tuple[str, list[tuple[Use, dict[str, Label]]]]:
        """The variant of the box, and what hides or shifts scores."""
        parts, right = self.parts, self.right
        words: list[str] = []
        arguments: list[tuple[Use, dict[str, Label]]] = []

        def argue(name: str, use: Use) -> None:
            pairs = (("n", query), ("m", parts.key))
            axes = {letter: label for letter, label in pairs if label in use[1]}
            words.append(f"{name}:{''.join(axes)}")
            arguments.append((use, axes))

        bias = [self._float(self._whole(summand)) for summand in parts.dense]
        causal = [c for c in parts.scores.conditions if self._is_causal(c)]
        others = [c for c in parts.scores.conditions if c not in causal]
        if causal and not others and not bias:
            words.append("causal")
            self.notes.append("causal")
        elif causal or others:
            shown = [self._truth(c) for c in (*causal[:1], *others)]
            both = shown[0]
            for one in shown[1:]:
                both = right.apply("logical_and", both, one)
            argue("shown", both)
            self.notes.append("masked")
        if bias:
            argue("bias", right.add(bias))
            self.notes.append("a bias is added as a mask")
        return " ".join(words), arguments

    def _is_causal(self, condition: Condition) -> bool:
        query = self.parts.query
        return query is not None and is_causal(self.place, condition, query, self.parts.key)

    def _truth(self, condition: Condition) -> Use:
        use = self.right.copied(condition.use)
        return use if condition.truth else self.right.apply("logical_not", use)

    def _whole(self, summand: Summand) -> Use:
        """A product that does not split, as it is."""
        written = self._product(summand.factors, summand.bound)
        if not summand.numbers and not summand.negative:
            assert written is not None
            return written
        return self._scaled(written, summand)


def _relabelled(use: Use, old: Label) -> tuple[Use, Label]:
    """A use with a label of its own in the place of one that others have too."""
    new = Axis("c")
    return (use[0], tuple(new if x == old else x for x in use[1])), new
