"""The order of products: which two of many factors are multiplied first.

(Σ_c q·k)·v and q·(Σ_m k·v) are one function; the first makes an array of queries × keys, the second
one of channels × channels. What is nested is read as one product of all factors, and written in the
cheapest order at the lengths that are known; where none is, channels are taken to be fewer than
positions. Linear attention is what this finds once no exponential is between its two products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.terms import Opened
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Label, Use

GAIN = 0.75  # another order is worth a rewriting where it costs at most this part


def find(place: Place) -> Found | str:
    """The product in its cheapest order, if that is cheaper than as it is written."""
    opened = place.open(place.use)
    spared: list[int] = []
    factors, over, written = _flat(place, opened, spared)
    sums = opened.bound
    alone = len(opened.uses) == 1  # a sum of a product of two: each factor is summed before
    if not sums or len(over) == len(sums) or len(factors) < (2 if alone else 3):
        return ""
    if any(_wide(opened, factor) for factor in factors):
        return ""  # what is large is there in any order
    sizes = {x: place.target.length(size) for x, size in place.sizes(factors).items()}
    path, best = _path(factors, list(place.use[1]), sizes)
    if best > GAIN * written:
        return ""
    right = place.right(use for use in factors if not place.is_number(use))
    uses = [right.copied(use) for use in factors]
    for step in path:
        taken = [uses.pop(k) for k in sorted(step, reverse=True)]
        needed = {x for _, labels in uses for x in labels} | set(place.use[1])
        summed = [_summed(right, use, taken, needed) for use in taken]
        left = dict.fromkeys(x for _, labels in summed for x in labels if x not in needed)
        uses.append(right.contract(summed, list(left)))
    return right.found(uses[0], "products in a cheaper order")._replace(spared=tuple(spared))


def _summed(right: Right, use: Use, taken: Sequence[Use], needed: set[Label]) -> Use:
    """A factor summed over what no other factor has."""
    others = {x for one in taken if one is not use for x in one[1]}
    alone = [x for x in use[1] if x not in needed and x not in others]
    return right.contract([use], alone) if alone and len(taken) > 1 else use


def _wide(opened: Opened, factor: Use) -> bool:
    """Whether a factor has an axis that is summed and one that only what it is part of has."""
    for k, use in enumerate(opened.uses):
        others = {x for one in (*opened.uses[:k], *opened.uses[k + 1 :]) for x in one[1]}
        own = set(use[1]) - others - set(opened.bound)
        summed = set(use[1]) & set(opened.bound)
        if (
            factor != use
            and own & set(factor[1])
            and summed & set(factor[1])
            and set(factor[1]) <= set(use[1])
        ):
            return True
    return False


def _flat(place: Place, opened: Opened, spared: list[int]) -> tuple[list[Use], list[Label], float]:
    """All factors of a product, what is summed over, and what it costs as it is nested.

    `spared` gets the wires of the products inside.
    """
    factors: list[Use] = []
    over = list(opened.bound)
    cost = _steps(place, opened.uses)
    for one in opened.uses:
        if place.kind(one) is CONTRACT and _only_multiplied(place, one[0]):
            spared.append(one[0])
            inner, summed, more = _flat(place, place.open(one), spared)
            factors += inner
            over += summed
            cost += more
        else:
            factors.append(one)
    return factors, over, cost


def _only_multiplied(place: Place, wire: int) -> bool:
    """Whether a product is read by products alone, which can do without it."""
    if wire in place.outputs:
        return False
    readers = [place.diagram.nodes[k] for k, _ in place.diagram.consumers[wire]]
    return all(node.box.kind is CONTRACT for node in readers) and (
        len(readers) == 1 or all(node.box.bound for node in readers)
    )


def _steps(place: Place, uses: Sequence[Use]) -> float:
    """What a product costs whose factors are multiplied in turn."""
    cost = 1.0
    for size in place.sizes(uses).values():
        cost *= place.target.length(size)
    return cost * max(len(uses) - 1, 1)


def _path(
    factors: Sequence[Use], left: Sequence[Label], sizes: dict[Label, int]
) -> tuple[list[tuple[int, ...]], float]:
    """The cheapest order of two at a time, and its cost."""
    import opt_einsum

    symbols = {label: opt_einsum.get_symbol(k) for k, label in enumerate(sizes)}
    terms = ["".join([symbols[x] for x in labels]) for _, labels in factors]
    out = "".join([symbols[x] for x in left if x in symbols])
    shapes = [tuple([sizes[x] for x in labels]) for _, labels in factors]
    path, _ = opt_einsum.contract_path(f"{','.join(terms)}->{out}", *shapes, shapes=True)
    return [tuple(step) for step in path], _cost(factors, left, sizes, path)


def _cost(
    factors: Sequence[Use],
    left: Sequence[Label],
    sizes: dict[Label, int],
    path: Sequence[Sequence[int]],
) -> float:
    cost = 0.0
    rest = [set(labels) for _, labels in factors]
    for step in path:
        taken = [rest.pop(k) for k in sorted(step, reverse=True)]
        needed = set(left).union(*rest)
        shared = [x & (needed | set().union(*(y for y in taken if y is not x))) for x in taken]
        axes = set().union(*shared)
        cost += _size(axes, sizes) * max(len(taken) - 1, 1)
        cost += sum(_size(x, sizes) for x, kept in zip(taken, shared, strict=True) if x != kept)
        rest.append(axes & needed)
    return cost


def _size(axes: Iterable[Label], sizes: dict[Label, int]) -> float:
    entries = 1.0
    for x in axes:
        entries *= sizes[x]
    return entries


ORDER = kernel(
    Kernel(
        name="product_order",
        summary="products of many factors in the order that is cheapest",
        define=None,
        root="contract",
        find=find,
    )
)
