"""Layout: an order of axes for every wire, chosen so that little has to be permuted.

Types have no order of axes; tensors have. Inputs, parameters and outputs have the order of the
interface. Between them, a box is asked two things: in which orders it gives its outputs when its
inputs come in such orders (`gives`), and in which orders it would like its inputs (`asks`). One
pass forward finds what would come by itself, one pass backward collects what is liked (of several
readers, the one that likes what comes by itself is heard), and the last pass forward decides. An
order is a tuple of axes, one for each dimension of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vesalius.compile.kernels.kernel import kernel_of
from vesalius.diagrams.box import Box
from vesalius.diagrams.graph import Diagram, Node

Order = tuple[int, ...]
Gives = Callable[[Box, list[Order], list["Order | None"]], list[Order]]
Asks = Callable[[Box, list[Order], list[Order]], list[Order | None]]


def layout(
    diagram: Diagram,
    inputs: Sequence[Order],
    outputs: Sequence[Order],
) -> list[Order]:
    """For each wire, its slots in the order of the dimensions of its tensor.

    `inputs` and `outputs` are the orders at the interface. An output may come in another order;
    it is then permuted at the end.
    """
    rules = [_rules(node) for node in diagram.nodes]
    written = _as_written(diagram)
    known = _forward(diagram, rules, inputs, [None] * len(diagram.types), written)
    wishes: list[Order | None] = [None] * len(diagram.types)
    for port, order in zip(diagram.outputs, outputs, strict=True):
        wishes[port.wire] = wishes[port.wire] or order
    wanted = {port.wire for port in diagram.outputs}
    for k in range(len(diagram.nodes) - 1, len(diagram.inputs) - 1, -1):
        node = diagram.nodes[k]
        if not node.src:
            continue
        have = [_local(row, known[w]) for w, row in zip(node.src, node.box.maps, strict=True)]
        target = [
            _local(slots, wishes[w] or known[w])
            for w, slots in zip(node.wires, node.box.outs, strict=True)
        ]
        for wire, row, liked in zip(
            node.src, node.box.maps, rules[k][1](node.box, have, target), strict=True
        ):
            if liked is None or wire in wanted:
                continue
            slots = _slots(row, liked)
            if wishes[wire] is None or slots == known[wire]:
                wishes[wire] = slots
    return _forward(diagram, rules, inputs, wishes, written)


def _as_written(diagram: Diagram) -> dict[str, int]:
    """The names of axes in the order in which they first occur: as a person would order them."""
    names = dict.fromkeys(name for row in diagram.hints for name in row)
    return {name: k for k, name in enumerate(names)}


def _forward(
    diagram: Diagram,
    rules: list[tuple[Gives, Asks]],
    inputs: Sequence[Order],
    wishes: list[Order | None],
    written: dict[str, int],
) -> list[Order]:
    orders: list[Order] = list(inputs)
    for k in range(len(diagram.inputs), len(diagram.nodes)):
        node = diagram.nodes[k]
        have = [_local(row, orders[w]) for w, row in zip(node.src, node.box.maps, strict=True)]
        liked = [
            None if (wish := wishes[w]) is None else _local(slots, wish)
            for w, slots in zip(node.wires, node.box.outs, strict=True)
        ]
        if node.box.kind.name == "contract" and liked[0] is None:
            liked = [_by_name(node, have, diagram.hints[node.first], written)]
        given = rules[k][0](node.box, have, liked)
        orders += [_slots(row, order) for row, order in zip(node.box.outs, given, strict=True)]
    return orders


def _local(row: Order, slots: Order) -> Order:
    """An order of slots as an order of the box's axes."""
    return tuple([row[slot] for slot in slots])


def _slots(row: Order, axes: Order) -> Order:
    """An order of the box's axes as an order of slots."""
    place = {axis: slot for slot, axis in enumerate(row)}
    return tuple([place[axis] for axis in axes])


def _rules(node: Node) -> tuple[Gives, Asks]:
    found = kernel_of(node.box)
    if found is not None and found[0].layout is not None:
        return found[0].layout
    return RULES.get(node.box.kind.name, (_called, _asks_called))


# -- orders -------------------------------------------------------------------------------------


def is_within(part: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether `part` is `whole` with some axes left out: broadcasting then needs no permute."""
    rest = iter(whole)
    return all(axis in rest for axis in part)


def merged(orders: Sequence[Order]) -> Order | None:
    """An order that all of these are within, the longest leading; None if there is none."""
    rows = sorted((list(order) for order in orders if order), key=len, reverse=True)
    result: list[int] = []
    while rows:
        heads = (row[0] for row in rows)
        head = next((a for a in heads if not any(a in row[1:] for row in rows)), None)
        if head is None:
            return None
        result.append(head)
        rows = [rest for row in rows if (rest := [a for a in row if a != head])]
    return tuple(result)


def _without(order: Sequence[int], *axes: int) -> Order:
    return tuple(a for a in order if a not in axes)


def _in_place_of(order: Sequence[int], old: Sequence[int], new: Sequence[int]) -> Order:
    """The order with the block of axes `old` replaced by `new`; at the end if it is no block."""
    if old:
        place = list(order).index(old[0]) if old[0] in order else len(order)
        if tuple(order[place : place + len(old)]) == tuple(old):
            return (*order[:place], *new, *order[place + len(old) :])
    return (*_without(order, *old), *new)


def _restricted(order: Sequence[int], axes: Sequence[int]) -> Order:
    return tuple(a for a in order if a in axes)


# -- entry by entry -----------------------------------------------------------------------------


def aligned(have: Sequence[Order], wish: Order | None) -> Order:
    """The order in which arrays of these orders broadcast with the fewest permutes."""
    axes = {a for order in have for a in order}
    candidates: list[Order] = [wish] if wish is not None and set(wish) == axes else []
    together = merged(have)
    if together is not None:
        candidates.append(together)
    candidates += [order for order in have if len(order) == len(axes)]
    if not candidates:
        longest = max(have, key=len, default=())
        rest = dict.fromkeys(a for order in have for a in order if a not in longest)
        candidates.append((*longest, *rest))

    def permuted(candidate: Order) -> int:
        return sum(len(order) for order in have if not is_within(order, candidate))

    return min(candidates, key=permuted)


def _entrywise(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [aligned(have, wish[0])] * len(box.outs)


def _asks_entrywise(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return [_restricted(target[0], order) for order in have]


# -- contractions -------------------------------------------------------------------------------


def _contract(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    operands = [order for order in have if order]
    if not box.bound:
        return _entrywise(box, have, wish)
    if len(operands) == 1:
        return [_without(operands[0], *box.bound)]
    return [wish[0] or box.outs[0]]


def _by_name(node: Node, have: list[Order], hints: Sequence[str], written: dict[str, int]) -> Order:
    """What several operands share, then what one brings; each in the order of the names."""
    axes = node.box.outs[0]
    place = {axis: written[name] for axis, name in zip(axes, hints, strict=True)}
    return tuple(sorted(axes, key=lambda a: (sum(a in order for order in have) < 2, place[a])))


def _asks_contract(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    if not box.bound:
        return _asks_entrywise(box, have, target)
    out = target[0]
    liked: list[Order | None] = []
    for k, order in enumerate(have):
        others = {a for j, other in enumerate(have) if j != k for a in other}
        shared = _restricted(out, [a for a in order if a in others])
        rest = _without(order, *shared)
        bound = [a for a in rest if a in box.bound]
        if len(bound) != 1 or len(have) == 1:
            rest = (*_restricted(out, rest), *(a for a in box.bound if a in rest))
        liked.append((*shared, *rest))
    return liked


# -- along axes ---------------------------------------------------------------------------------


def _reduced(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [_without(have[0], *box.bound)]


def _asks_bound_last(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return [(*_without(target[0], *box.bound, *_new(box)), *box.bound)]


def _softmax(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    order = have[0]
    place = min((order.index(a) for a in box.bound), default=0)
    if set(order[place : place + len(box.bound)]) == set(box.bound):
        return [order]
    return [(*_without(order, *box.bound), *box.bound)]


def _new(box: Box) -> Order:
    return tuple(range(box.inner, box.rank))


def _expand(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    if wish[0] is not None and is_within(have[0], wish[0]):
        return [wish[0]]
    return [(*have[0], *_new(box))]


def _replaced(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    """The bound axes make way for the new ones: split, merge, slice, pad, topk."""
    return [_in_place_of(have[0], box.bound, _new(box))] * len(box.outs)


def _asks_replaced(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return [_in_place_of(target[0], _new(box), box.bound)]


def _window(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    positions, offsets = _new(box)
    return [(*_in_place_of(have[0], box.bound, (positions,)), offsets)]


def _asks_window(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    positions, offsets = _new(box)
    return [_in_place_of(_without(target[0], offsets), (positions,), box.bound)]


def _diagonal(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [(*_without(have[0], *box.bound), *_new(box))]


def concat_orders(box: Box, have: list[Order]) -> list[Order]:
    """The orders of the parts, with the joined axis in the place of each part's own."""
    (new,) = _new(box)
    own = zip(have, box.bound, strict=True)
    return [tuple(new if a == axis else a for a in order) for order, axis in own]


def _concat(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return [aligned(concat_orders(box, have), wish[0])]


def _asks_concat(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    (new,) = _new(box)
    return [
        _restricted([axis if a == new else a for a in target[0]], order)
        for order, axis in zip(have, box.bound, strict=True)
    ]


# -- reading ------------------------------------------------------------------------------------


def gather_groups(box: Box, have: list[Order]) -> tuple[Order, Order, Order]:
    """Axes that table and index share, axes of the index alone, axes of the table alone."""
    table, index = have
    shared = _restricted(table, index)
    return shared, _without(index, *shared), _without(table, *shared, *box.bound)


def _gather(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    shared, free, own = gather_groups(box, have)
    if shared:
        return [(*shared, *free, *own)]
    return [_in_place_of(have[0], box.bound, free)]


def _asks_gather(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    shared, free, own = gather_groups(box, have)
    if not shared:
        return [None, None]
    return [(*shared, *box.bound, *own), (*shared, *free)]


# -- boxes that hold a diagram, and boxes of the user's own -------------------------------------


def tube_order(box: Box, have: Sequence[Order]) -> Order:
    """The tubes of a box in the order in which its arguments bring them."""
    return aligned([_without(order, *box.bound) for order in have], None)


def output_orders(box: Box, tubes: Order) -> list[Order]:
    """For each output, its tubes and then the axes that the box makes, as it declares them."""
    return [(*_restricted(tubes, row), *(a for a in row if a >= box.inner)) for row in box.outs]


def argument_orders(box: Box, tubes: Order) -> list[Order]:
    """For each port, its tubes and then the axes that the box binds there, as it declares them."""
    return [(*_restricted(tubes, row), *_restricted(box.bound, row)) for row in box.maps]


def scan_orders(box: Box, tubes: Order) -> list[Order]:
    """For each port of a scan: its tubes, the time axis of a sequence, its declared axes."""
    states, elements = box["states"], box["elements"]
    orders = argument_orders(box, tubes)
    for k in range(states, states + elements):
        count = len(_restricted(tubes, orders[k]))
        *own, time = orders[k][count:]
        orders[k] = (*orders[k][:count], time, *own)
    return orders


def _called(box: Box, have: list[Order], wish: list[Order | None]) -> list[Order]:
    return output_orders(box, tube_order(box, have))


def _asks_called(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return list(argument_orders(box, _wanted_tubes(box, have, target)))


def _asks_scan(box: Box, have: list[Order], target: list[Order]) -> list[Order | None]:
    return list(scan_orders(box, _wanted_tubes(box, have, target)))


def _wanted_tubes(box: Box, have: list[Order], target: list[Order]) -> Order:
    """The tubes as the outputs are wanted; those that no output has as they come."""
    found = dict.fromkeys(a for order in target for a in order if a < box.inner)
    return tuple(dict.fromkeys([*found, *tube_order(box, have)]))


_ALONG = (_replaced, _asks_replaced)

RULES: dict[str, tuple[Gives, Asks]] = {
    "contract": (_contract, _asks_contract),
    "add": (_entrywise, _asks_entrywise),
    "pointwise": (_entrywise, _asks_entrywise),
    "fourier": (_entrywise, _asks_entrywise),
    "max": (_reduced, _asks_bound_last),
    "min": (_reduced, _asks_bound_last),
    "all": (_reduced, _asks_bound_last),
    "any": (_reduced, _asks_bound_last),
    "softmax": (_softmax, _asks_bound_last),
    "expand": (_expand, lambda box, have, target: [_without(target[0], *_new(box))]),
    "split": _ALONG,
    "merge": _ALONG,
    "slice": _ALONG,
    "pad": _ALONG,
    "topk": _ALONG,
    "window": (_window, _asks_window),
    "diagonal": (_diagonal, _asks_bound_last),
    "concat": (_concat, _asks_concat),
    "gather": (_gather, _asks_gather),
    "named": (_called, _asks_called),
    "scan": (_called, _asks_scan),
}
