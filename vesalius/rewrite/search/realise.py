"""From a selection of e-nodes back to a diagram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vesalius.diagrams.box import Axes
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as, start
from vesalius.diagrams.sizes import Size
from vesalius.rewrite.search.egraph import EGraph, ENode

Placed = tuple[int, Axes]  # a wire, and for each of its slots the slot of the class


def realise(
    graph: EGraph, selection: Mapping[int, ENode], roots: Sequence[Use], like: Diagram
) -> Diagram:
    """The diagram of a selection, with the interface of `like`.

    `roots[j]` is the class of output j, labelled by the slots of that output's wire in `like`.
    """
    builder, inputs = start(like.name, like.doc, list(like.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in like.tokens)
    placed: dict[int, Placed] = {}
    for node in ordered(graph, selection, [group for group, _ in roots]):
        for output, wire, slots in _place(graph, builder, node, placed, [w.id for w in inputs]):
            placed[graph.seat(node, output).group] = wire, slots
    uses: list[Use] = []
    for (group, labels), port in zip(roots, like.outputs, strict=True):
        wire, slots = placed[group]
        names = dict(zip(port.slots, port.axes, strict=True))
        own = [labels[slot] for slot in slots]
        uses.append((wire, tuple([names[x] for x in own if isinstance(x, int)])))
    return finish_as(builder, like, uses, ())


def ordered(graph: EGraph, selection: Mapping[int, ENode], roots: Iterable[int]) -> list[ENode]:
    """The e-nodes of a selection that the roots need, each after what it reads."""
    found: dict[ENode, None] = {}
    entered: set[int] = set()
    stack: list[tuple[int, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        group, done = stack.pop()
        group, _ = graph.find(group)
        node = selection[group]
        if done:
            found[node] = None
        elif group not in entered:
            entered.add(group)
            stack.append((group, True))
            stack += [(below, False) for below in reversed(node.src)]
    return list(found)


def _place(
    graph: EGraph,
    builder: Builder,
    node: ENode,
    placed: Mapping[int, Placed],
    inputs: Sequence[int],
) -> list[tuple[int, int, Axes]]:
    """Put an e-node into the builder: for each output its number, the wire and the slots."""
    box = node.box
    if box.kind is INPUT:
        return [(0, inputs[box["index"]], graph.seat(node).slots)]
    uses: list[Use] = []
    hints: dict[Label, str] = {}
    for group, row in zip(node.src, box.maps, strict=True):
        wire, slots = placed[group]
        use = tuple([row[slot] for slot in slots])
        for axis, name in zip(use, builder.hints[wire], strict=True):
            hints.setdefault(axis, name)
        uses.append((wire, use))
    new: list[tuple[Label, Size]] = [(box.inner + k, size) for k, size in enumerate(box.new)]
    made = builder.add(box.kind, box.attrs, uses, box.bound, new)
    found = []
    for output, (wire, labels) in enumerate(zip(made.wires, made.labels, strict=True)):
        if made.fresh:
            builder.hints[wire] = unlike([hints.get(axis, "a") for axis in labels])
        seat = graph.seat(node, output)
        slot_of: dict[Label, int] = dict(zip(box.outs[output], seat.slots, strict=True))
        found.append((output, wire, tuple([slot_of[axis] for axis in labels])))
    return found


def unlike(names: Iterable[str]) -> tuple[str, ...]:
    """Names made different from one another."""
    from vesalius.diagrams.names import fresh_name

    taken: list[str] = []
    for name in names:
        taken.append(fresh_name(name or "a", taken))
    return tuple(taken)
