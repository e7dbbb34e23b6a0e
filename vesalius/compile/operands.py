"""Writes the operands of attention: queries, keys, values, scale and masks, for a kernel's box.

Factors of the queries and of the keys (norms, temperatures) go into them, numbers into the scale;
products that split become channels, the others a bias; several axes of keys are merged into one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vesalius.compile.attention import Parts, Split
from vesalius.compile.causal import CausalSum, read_causal
from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right
from vesalius.compile.precision import is_running_sum
from vesalius.compile.scores import Condition, Factor, Summand, is_causal
from vesalius.compile.terms import Axis
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.boxes.shape import MERGE
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import ONE, product, size

ALIGNMENT = 8  # widths are padded to a multiple of this when channels are added
EXACT = 256  # positions are carried by two channels, both exact in bfloat16


class _Block(NamedTuple):
    """A block of channels: of the queries and of the keys, along one label."""

    queries: Use
    keys: Use
    label: Label


class Operands:
    """Writes the right side: queries, keys, values and masks for the kernel's box."""

    def __init__(self, place: Place, parts: Parts, more: Sequence[Use] = ()) -> None:
        """`more` are further uses that the right side reads."""
        self.place = place
        self.parts = parts
        self.notes: list[str] = []
        reads = [*parts.mix.values, *parts.mix.rest, *(c.use for c in parts.scores.conditions)]
        reads += more
        summands = [parts.main.summand, *(s.summand for s in parts.channels), *parts.dense]
        reads += [use for s in summands for factor in s.factors for use in factor.uses]
        self.right: Right = place.right(use for use in reads if not place.is_number(use))
        self.sizes = place.sizes([*reads, parts.mix.scores])
        keys = parts.mix.keys
        self.key: Label = keys[0] if len(keys) == 1 else Axis("m")

    def found(self, kernel: Kernel) -> Found:
        """The right side in full, with the box of a kernel that takes these operands."""
        parts, right = self.parts, self.right
        # Further channels have scales of their own: then all of them go into the queries.
        together = bool(parts.channels)
        blocks = [self._block(parts.main, bare=not together)]
        scales = [] if together else self._scale(parts.main.summand)
        scale = scales[0] if scales else right.number(1.0)
        for split in parts.channels:
            blocks += self._channels(split)
        q, k, width = self._joined(blocks)
        query = parts.query or Axis("n")
        q = right.expand(q, {query: self.sizes.get(query, ONE)})
        v, rest = self._values()
        own = [x for x in v[1] if x not in parts.mix.keys and x not in parts.tubes]
        v, e, made = right.as_one(v, own)
        definition, masks = self._definition(kernel, query)
        key = self.key
        operands = [
            (q, {"n": query, "c": width}),
            (self._merged(k), {"m": key, "c": width}),
            (self._merged(v), {"m": key, "e": e}),
            (scale, {}),
            *masks,
        ]
        result = right.named(definition, operands, [{"n": query, "e": e}])[0]
        result = right.apart(result, e, made)
        if parts.query is None:
            result = right.apart(result, query, [])
        over = [x for x in parts.mix.bound if x in result[1] or any(x in f[1] for f in rest)]
        return right.found(right.contract([result, *rest], over), "; ".join(self.notes))

    def _merged(self, use: Use) -> Use:
        """A use with its keys along one axis."""
        keys = self.parts.mix.keys
        if len(keys) == 1 or set(keys).isdisjoint(use[1]):
            return use
        whole = self.right.expand(use, {x: self.sizes[x] for x in keys})
        length = product(self.sizes[x] for x in keys)
        return self.right.box(MERGE, (), [whole], keys, [(self.key, length)])[0]

    # -- queries and keys -----------------------------------------------------------------------

    def _product(
        self, factors: Sequence[Factor], over: Sequence[Label] = (), also: Sequence[Use] = ()
    ) -> Use | None:
        """Factors multiplied, each as it was written; summed over labels that they carry.

        What has fewer axes than the largest is multiplied first, `also` among it.
        """
        right = self.right
        uses = [right.contract([right.copied(use) for use in f.uses], f.bound) for f in factors]
        carried = {x for use in uses for x in use[1]}
        most = max((len(use[1]) for use in uses), default=0)
        small = [use for use in uses if len(use[1]) < most and set(over).isdisjoint(use[1])]
        if most and len(small) + len(also) > 1 and len(small) < len(uses):
            uses = [*(use for use in uses if use not in small), right.contract([*small, *also])]
        else:
            uses += also
        return right.contract(uses, [x for x in over if x in carried]) if uses else None

    def _block(self, split: Split, bare: bool = False) -> _Block:
        """The two sides of a product along one axis of channels; `bare` leaves out the scale."""
        right, labels = self.right, split.channels
        inner = [x for x in split.summand.bound if x not in labels]
        scale = [] if bare else self._scale(split.summand)
        queries = self._product(split.queries, inner, scale) or right.number(1.0)
        keys = self._product(split.keys, inner)
        assert keys is not None, "a product that splits has factors of the keys"
        queries, label, _ = right.as_one(queries, labels)
        keys, other, _ = right.as_one(keys, labels)
        keys = (keys[0], tuple(label if x is other else x for x in keys[1]))
        return _Block(self._float(queries), self._float(keys), label)

    def _scale(self, summand: Summand) -> list[Use]:
        """The numbers of a product, with its sign, as at most one scalar."""
        right = self.right
        numbers = [self._float(right.copied(use)) for use in summand.numbers]
        if summand.negative:
            numbers.append(right.number(-1.0))
        return [right.contract(numbers)] if numbers else []

    def _channels(self, split: Split) -> list[_Block]:
        """Further channels; what is large is split so that bfloat16 carries it.

        Positions are exact then, and running sums as near as numbers below 1 are.
        """
        right = self.right
        block = self._block(split)
        self.notes.append("a bias of low rank became channels of queries and keys")
        whole = not any(self.place.dtype(use) != "int" for f in split.keys for use in f.uses)
        if not whole and (split.channels or not self._sums(split.keys)):
            return [block]
        level = self._product(split.keys)
        assert level is not None, "a product that splits has factors of the keys"
        if whole:
            low = right.apply("remainder", level, right.number(EXACT))
            parts = [right.add([level, right.apply("negate", low)]), low]
        else:
            units = right.apply("floor", level)
            high = right.apply("floor", right.contract([units, right.number(1 / EXACT)]))
            high = right.contract([high, right.number(float(EXACT))])
            parts = [high, *(right.add([x, right.apply("negate", y)])
                             for x, y in ((units, high), (level, units)))]  # fmt: skip
        return [
            _Block(block.queries, right.expand(self._float(x), {block.label: ONE}), block.label)
            for x in parts
        ]

    def _sums(self, factors: Sequence[Factor]) -> bool:
        """Whether one of some factors is, entry by entry, made of a running sum."""
        place = self.place

        def holds(use: Use) -> bool:
            kind = place.kind(use)
            if kind is CONTRACT and place.open(use).bound:
                return isinstance(read_causal(place, use), CausalSum)
            if kind in (POINTWISE, ADD, CONTRACT):
                return any(holds(one) for one in place.open(use).uses)
            return kind is NAMED and is_running_sum(place.node_of(use[0]))

        return any(holds(use) for factor in factors for use in factor.uses)

    def _joined(self, blocks: Sequence[_Block]) -> tuple[Use, Use, Label]:
        """All channels side by side, with zeros up to a width that kernels like."""
        right = self.right
        if len(blocks) == 1:
            return blocks[0]
        label = Axis("c")
        more = [right.size(block.keys, block.label).constant for block in blocks]
        # The width of the main channels, where it is open, is one that kernels like.
        total = sum(width or 0 for width in more)
        missing = -total % ALIGNMENT if None not in more[1:] else 0
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
            mapped = set(factor[1]) & set(mix.scores[1])
            if not shared or shared & elsewhere or not mapped <= self.parts.tubes:
                continue
            before = product(place.size(factor, x) for x in shared)
            own = [x for x in factor[1] if x not in shared and x not in mapped]
            after = product(place.size(factor, x) for x in own)
            grows = place.target.length(after) - place.target.length(before)
            if grows < 0 or (grows == 0 and len(values) == 1 and len(rest) > 1):
                values.append(factor)
                rest.remove(factor)
        outside = {x for use in rest for x in use[1]} | set(mix.scores[1])
        carried = {x for use in values for x in use[1]}
        over = [x for x in mix.bound if x in carried and x not in outside]
        v = right.contract([right.copied(use) for use in values], over)
        return self._float(v), [right.copied(use) for use in rest]

    def _float(self, use: Use) -> Use:
        return self.right.apply("to_float", use) if self.right.dtype(use) == "int" else use

    # -- masks ----------------------------------------------------------------------------------

    def _definition(
        self, kernel: Kernel, query: Label
    ) -> tuple[Diagram, list[tuple[Use, dict[str, Label]]]]:
        """What the box stands for, and what hides or shifts scores."""
        parts, right = self.parts, self.right
        words: list[str] = []
        arguments: list[tuple[Use, dict[str, Label]]] = []

        def argue(name: str, use: Use) -> None:
            use = self._merged(use)
            pairs = (("n", query), ("m", self.key))
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
        return kernel.definition(" ".join(words)), arguments

    def _is_causal(self, condition: Condition) -> bool:
        query, keys = self.parts.query, self.parts.mix.keys
        if query is None or len(keys) > 1:
            return False
        return is_causal(self.place, condition, query, keys[0])

    def _truth(self, condition: Condition) -> Use:
        use = self.right.copied(condition.use)
        return use if condition.truth else self.right.apply("logical_not", use)

    def _whole(self, summand: Summand) -> Use:
        """A product that does not split, as it is."""
        written = self._product(summand.factors, summand.bound, self._scale(summand))
        assert written is not None, "a product that carries an axis has a factor"
        return written


def _relabelled(use: Use, old: Label) -> tuple[Use, Label]:
    """A use with a label of its own in the place of one that others have too."""
    new = Axis("c")
    return (use[0], tuple(new if x == old else x for x in use[1])), new
