"""Boxes that hold a diagram: the named box, which unfolds again, and the scan.

Bodies are closed: their parameters and random sources are lifted out and come in through
ports, so sharing stays visible outside. A nested box binds every axis that the body declares
on its inputs, port by port, and creates every axis that the body declares on its outputs;
all other axes are tubes. Each output carries the tubes of the inputs that it depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Axes, Box, Kind, Look, Site, declare
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

if TYPE_CHECKING:
    from vesalius.diagrams.derivative import Pull
    from vesalius.diagrams.wire import Wire


MAX_NESTING = 64  # how deeply bodies may hold bodies; so whatever goes inside ends


def _nesting_check(site: Site) -> None:
    body = site.box["body"]
    if body.nesting >= MAX_NESTING:
        raise StructureError(
            f"{body.name}: diagrams are nested more than {MAX_NESTING} deep; unfold some of them"
        )


def dependence(body: Diagram) -> list[int]:
    """For each output, the inputs that it depends on, as a bit mask; found once for a body."""
    known: list[int] | None = body.__dict__.get("_dependence")
    if known is not None:
        return known
    masks: list[int] = []
    for k, node in enumerate(body.nodes):
        below = [1 << k] if k < len(body.inputs) else [masks[wire] for wire in node.src]
        if node.box.kind is NAMED or node.box.kind is SCAN:
            masks.extend(union(below, ports) for ports in ports_read(node.box))
        else:
            masks.extend([union(below, range(len(below)))] * len(node.box.outs))
    known = body.__dict__["_dependence"] = [masks[port.wire] for port in body.outputs]
    return known


def union(masks: Sequence[int], ports: Iterable[int]) -> int:
    """The union of some bit masks."""
    mask = 0
    for port in ports:
        mask |= masks[port]
    return mask


def ports_read(box: Box) -> list[list[int]]:
    """For each output of a nested box, the input ports that it depends on.

    A final state depends on where it started, on all that a step reads to make it, and on all
    that the states read there depend on: the least fixed point.
    """
    masks = dependence(box["body"])
    if box.kind is SCAN:
        states = box["states"]
        masks = [mask | 1 << j if j < states else mask for j, mask in enumerate(masks)]
        before: list[int] = []
        while masks != before:
            before = masks
            masks = [m | union(before, (k for k in range(states) if m >> k & 1)) for m in before]
    return [[k for k in range(len(box.maps)) if mask >> k & 1] for mask in masks]


def port_tubes(box: Box) -> list[Axes]:
    """The tubes at each input port."""
    bound = set(box.bound)
    return [tuple(a for a in row if a not in bound) for row in box.maps]


def output_tubes(box: Box) -> list[Axes]:
    """The tubes of each output: those of the inputs that it depends on."""
    tubes = port_tubes(box)
    return [tuple(sorted({a for k in ports for a in tubes[k]})) for ports in ports_read(box)]


def _new_blocks(box: Box, lengths: list[int]) -> list[Axes]:
    """The new axes, cut into blocks of these lengths."""
    blocks, at = [], box.inner
    for length in lengths:
        blocks.append(tuple(range(at, at + length)))
        at += length
    return blocks


def _named_outs(box: Box) -> tuple[Axes, ...]:
    blocks = _new_blocks(box, [len(port.axes) for port in box["body"].outputs])
    return tuple((*t, *b) for t, b in zip(output_tubes(box), blocks, strict=True))


def body_dtypes(box: Box, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    """The element types of the body's outputs."""
    body = box["body"]
    return tuple(body.types[port.wire].dtype for port in body.outputs)


def tubed(body: Diagram, tubes: tuple[Axes, ...]) -> Diagram:
    """The body with tube axes added to its inputs; tube t is called `_t`, of size `_t`."""
    cache = body.__dict__.setdefault("_tubed", {})
    if tubes not in cache:
        from vesalius.diagrams.interface import with_tubes

        cache[tubes] = with_tubes(body, [tuple(f"_{t}" for t in row) for row in tubes])
    found: Diagram = cache[tubes]
    return found


def _arguments(algebra: Any, site: Site, inputs: list[Any], tubes: list[Axes]) -> list[Any]:
    """Inputs as the body reads them: declared axes in order, then tubes."""
    bound = list(site.box.bound)
    arranged = []
    for x, row, over in zip(inputs, site.box.maps, tubes, strict=True):
        own = [a for a in bound if a in row]
        shape = [site.sizes[a] for a in (*own, *over)]
        arranged.append(algebra.broadcast(algebra.align(x, row, [*own, *over]), shape))
    return arranged


def _tube_sizes(site: Site) -> dict[str, int]:
    return {f"_{t}": site.sizes[t] for t in site.box.tubes}


def _named(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    box = site.box
    tubes = port_tubes(box)
    body = tubed(box["body"], tuple(tubes))
    results = algebra.run(body, _arguments(algebra, site, inputs, tubes), _tube_sizes(site))
    # `with_tubes` reads an output as its declared axes and then its tubes.
    blocks = _new_blocks(box, [len(port.axes) for port in box["body"].outputs])
    return [
        algebra.align(y, [*block, *over], [*over, *block])
        for y, block, over in zip(results, blocks, output_tubes(box), strict=True)
    ]


def _widened(
    algebra: Any, site: Site, y: Any, declared: int, axes: Sequence[str], tubes: Axes
) -> Any:
    """A state as the next step reads it: repeated along tubes that this step did not read."""
    have = [int(name[1:]) for name in axes[declared:]]
    if have == list(tubes):
        return y
    own = [-1 - k for k in range(declared)]
    shape = [*algebra.shape(y)[:declared], *[site.sizes[a] for a in tubes]]
    return algebra.broadcast(algebra.align(y, [*own, *have], [*own, *tubes]), shape)


def _body_cost(site: Site) -> Mapping[str, Size]:
    from vesalius.diagrams.cost import operations

    box = site.box
    sizes = {f"_{t}": site.sizes[t] for t in box.tubes}
    body = tubed(box["body"], tuple(port_tubes(box)))
    return {name: size.substitute(sizes) for name, size in operations(body).items()}


NAMED = declare(
    Kind(
        name="named",
        summary="a diagram folded into one box; unfolds again",
        formula="y = f(x₁, x₂, …)",
        meaning=_named,
        outs=_named_outs,
        dtypes=body_dtypes,
        fields=(("name", "text"), ("body", "diagram"), ("token", "token")),
        cost=_body_cost,
        check=_nesting_check,
        look=Look("box", label=lambda box: box["name"]),
        derivative="the derivative of the body, which is opened",
    )
)


# -- scan -----------------------------------------------------------------------------------


def state_tubes(box: Box) -> tuple[list[Axes], list[Axes]]:
    """The tubes of each state and of each stacked output."""
    tubes, states = output_tubes(box), box["states"]
    return tubes[:states], tubes[states:]


def _scan_outs(box: Box) -> tuple[Axes, ...]:
    body, states = box["body"], box["states"]
    lengths = [len(p.axes) + (j >= states) for j, p in enumerate(body.outputs)]
    blocks = _new_blocks(box, lengths)
    final, stacked = state_tubes(box)
    return tuple((*t, *b) for t, b in zip([*final, *stacked], blocks, strict=True))


def _scan(algebra: Any, site: Site, inputs: list[Any]) -> list[Any]:
    """The reference meaning: a loop over positions. Sequences carry the time axis last."""
    box = site.box
    states, elements = box["states"], box["elements"]
    final, stacked = state_tubes(box)
    own = port_tubes(box)
    tubes = [*final, *own[states:]]
    body = tubed(box["body"], tuple(tubes))
    values = _arguments(algebra, site, inputs, tubes)
    length = algebra.integer(box["length"])
    sequences = []
    for k in range(states, states + elements):
        declared = len(box["body"].inputs[k].axes)
        sequences.append((values[k], declared))  # the time axis stands after the declared ones
    carried, captured = values[:states], values[states + elements :]
    collected: list[list[Any]] = [[] for _ in stacked]
    order = range(length - 1, -1, -1) if box["reverse"] else range(length)
    for t in order:
        now = [algebra.select(x, axis, t) for x, axis in sequences]
        results = algebra.run(body, [*carried, *now, *captured], _tube_sizes(site))
        carried = [
            _widened(algebra, site, y, len(port.axes), port_.axes, over)
            for y, port, port_, over in zip(
                results[:states], box["body"].outputs, body.outputs, final, strict=False
            )
        ]
        for row, y in zip(collected, results[states:], strict=True):
            row.append(y)
    if box["reverse"]:
        for row in collected:
            row.reverse()
    outputs = []
    lengths = [len(p.axes) for p in box["body"].outputs]
    for j, y in enumerate(carried):
        block = list(range(lengths[j]))
        outer = [lengths[j] + i for i in range(len(final[j]))]
        outputs.append(algebra.align(y, [*block, *outer], [*outer, *block]))
    for j, row in enumerate(collected):
        n, over = lengths[states + j], stacked[j]
        if row:
            y = algebra.stack(row)  # time, declared axes, tubes
            order_ = [*range(n + 1, n + 1 + len(over)), *range(n + 1)]
            outputs.append(algebra.align(y, list(range(n + 1 + len(over))), order_))
        else:
            slots = box.outs[states + j]
            dtype = body_dtypes(box, ())[states + j]
            outputs.append(algebra.empty([site.sizes[a] for a in slots], dtype))
    return outputs


def _scan_cost(site: Site) -> Mapping[str, Size]:
    from vesalius.diagrams.cost import operations

    box = site.box
    sizes = {f"_{t}": site.sizes[t] for t in box.tubes}
    final, _ = state_tubes(box)
    body = tubed(box["body"], (*final, *port_tubes(box)[box["states"] :]))
    step = operations(body)
    return {name: size.substitute(sizes) * box["length"] for name, size in step.items()}


def _scan_pullback(pull: Pull) -> Sequence[Wire | None]:
    from vesalius.diagrams.scan_derivative import scan_pullback

    return scan_pullback(pull)


SCAN = declare(
    Kind(
        name="scan",
        summary="run a body along an ordered axis, carrying states",
        formula="s[t+1], y[t] = f(s[t], x[t])",
        meaning=_scan,
        outs=_scan_outs,
        dtypes=body_dtypes,
        fields=(
            ("body", "diagram"),
            ("states", "int"),
            ("elements", "int"),
            ("length", "size"),
            ("reverse", "flag"),
            ("token", "token"),
        ),
        cost=_scan_cost,
        check=_nesting_check,
        look=Look("box", label=lambda box: f"scan {box['body'].name}"),
        derivative="the scan of the body's derivative, in reverse",
        pullback=_scan_pullback,
    )
)
