"""Tile and skip: any score for pairs, any normaliser, in memory that is linear in both lengths.

A region of the diagram (`vesalius.compile.tiles.region`) runs on some rows at a time, in plain
PyTorch: on queries, or on keys where queries compete for them, and then what leaves are sums that
are added up. Columns that the mask hides are skipped, and backward, derived by `vs.grad` from the
region, computes each tile again. It serves whatever no kernel of PyTorch's own does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel, kernel_of
from vesalius.compile.kernels.relative_shift import SHIFT
from vesalius.compile.layout import Order, argument_orders, tube_order
from vesalius.compile.lengths import solved
from vesalius.compile.nested import function_of, results_of
from vesalius.compile.scope import Here, Operand
from vesalius.compile.terms import Axis
from vesalius.compile.text import WIDTH, Term, apply, wrapped
from vesalius.compile.tiles.body import COLUMNS, ROWS, Body, body_of, in_tubes
from vesalius.compile.tiles.distances import by_distance
from vesalius.compile.tiles.expected import has_room, share, work
from vesalius.compile.tiles.free import free_lengths
from vesalius.compile.tiles.plan import Parts, parts_of, skips
from vesalius.compile.tiles.region import Refused, Region, grow, seeds
from vesalius.compile.tiles.shifting import shifted_body
from vesalius.compile.tiles.skipping import hiding
from vesalius.compile.tiles.traces import Traces
from vesalius.compile.views import permuted
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Use
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import is_axis_name

NAME = "tiles"


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """The region that ends in a contraction over columns, or the reason why there is none."""
    found = _regions(place).get(place.index, "")
    if isinstance(found, str):
        return found
    body = body_of(place.diagram, place, found)
    shifted = _by_distance(place, found, body)
    if shifted is not None:
        return _found(place, shifted)._replace(shown=share(place, found, body))
    refused = _refusal(body.diagram)
    return refused or _found(place, body)._replace(shown=share(place, found, body))


def _by_distance(place: Place, region: Region, body: Body) -> Body | None:
    """The body in which what hangs on distances is read from tables, if there is such."""
    if not by_distance(place, region, ()):
        return None
    hides = dict(hiding(body.diagram, Traces(body.diagram)))
    shifts = by_distance(place, region, [w for w, here in body.made.items() if here in hides])
    shifted = shifted_body(place, region, shifts) if shifts else None
    return None if shifted is None or _refusal(shifted.diagram) else shifted


def _regions(place: Place) -> dict[int, Region | str]:
    """By the contraction that it was found at, each region that is part of no other, or why not."""
    model, target = place.target.model, place.target
    known: dict[Any, dict[int, Region | str]] = place.diagram.__dict__.setdefault("_regions", {})
    key = model, target.device, *(frozenset(x.items()) for x in (target.sizes, target.usual))
    if key in known:
        return known[key]
    found: dict[int, Region] = {}
    reasons: dict[int, Region | str] = {}
    for seed in seeds(place.diagram, model):
        try:
            region = grow(place.diagram, seed)
        except Refused as reason:
            reasons.setdefault(seed.node, str(reason))
            continue
        if seed.node not in found or _is_better(place, region, found[seed.node]):
            found[seed.node] = region
    whole = {
        node: region
        for node, region in found.items()
        if not any(
            set(region.nodes) < set(other.nodes) or (region.nodes == other.nodes and node < another)
            for another, other in found.items()
        )
    }
    known[key] = {**reasons, **whole}
    return known[key]


def _is_better(place: Place, one: Region, other: Region) -> bool:
    """Whether one of two regions that are found at a contraction is taken, and not the other.

    Rows that are written come before rows that are added up, where a tile has room for one.
    """
    if one.added == other.added:
        return len(other.nodes) < len(one.nodes)
    written = other if one.added else one
    fits = has_room(body_of(place.diagram, place, written).diagram, place.target)
    return fits == (written is one)


def _refusal(body: Diagram) -> str:
    """Why no code can be written for a body, or nothing."""
    if all(body.types[port.wire].dtype != "float" for port in body.inputs):
        return "nothing that it reads is a float"
    traces = Traces(body)
    if traces.rows == traces.columns:
        return "what is a query in one place is a key in another"
    told = {v for port in body.inputs for s in body.types[port.wire].sizes for v in s.variables}
    for node in body.boxes:
        kind = node.box.kind
        function = node.box["function"] if kind is POINTWISE else None
        smooth = any(body.types[wire].dtype == "float" for wire in node.wires)
        if kernel_of(node.box) == (SHIFT, ""):
            continue
        if node.src and smooth and (kind.pullback or getattr(function, "pullback", None)) is None:
            return f"{getattr(function, 'name', kind.name)} has no derivative"
    try:
        free = free_lengths(body)
    except SizeError:
        return "an array inside is as long as its columns are when they are not cut"
    given = [size for port in free.inputs for size in free.types[port.wire].sizes]
    told = {solution.variable for size in given if (solution := solved(size)) is not None}
    missing = {name for size in _sizes(free) for name in size.variables} - told
    return f"no array inside tells the size {min(missing)!r}" if missing else ""


def _sizes(body: Diagram) -> Iterator[Size]:
    """The sizes of arrays, and those that boxes hold; a body inside is told its own."""
    for type_ in body.types:
        yield from type_.sizes
    for node in body.boxes:
        yield from (value for value in node.box.attrs if isinstance(value, Size))


def _found(place: Place, body: Body) -> Found:
    """The rewriting of what leaves a region to a box of its body."""
    right = body.right or place.right([(entry.wire, ()) for entry in body.entries])
    given = [right.wires[entry.wire] for entry in body.entries]
    given += [wire for wire, _ in body.tables]
    uses: list[Use] = []
    for k, (wire, port) in enumerate(zip(given, body.diagram.inputs, strict=True)):
        uses.append((wire, tuple([(k, axis) for axis in port.axes])))
    bound = [label for _, labels in uses for label in labels]
    new = [
        (Axis(axis), length)
        for port in body.diagram.outputs
        for axis, length in body.diagram.port_type(port).axes.items()
    ]
    made = right.box(NAMED, (NAME, body.diagram, None), uses, bound, new)
    pairs = [
        ((leaving.wire, tuple([use[1][at] for at in axes])), use)
        for leaving, axes, use in zip(body.exits, body.exit_axes, made, strict=True)
    ]
    ((old, result), *others) = sorted(pairs, key=lambda pair: pair[0][0] != place.use[0])
    way = "rows at a time" if body.exits[0].row is not None else "keys at a time, added up"
    note = f"{len(body.diagram)} boxes, some {way}"
    note += "; distances along one axis" if body.tables else ""
    note += "; what the mask hides is skipped" if skips(body.diagram) else ""
    return right.found(result, note, others, of=old)


def _parts(body: Diagram) -> Parts:
    """What runs a body, made once."""
    known: Parts | None = body.__dict__.get("_parts")
    if known is None:
        known = body.__dict__["_parts"] = parts_of(body)
    return known


def accepts(body: Diagram) -> bool:
    """Whether a body is that of a region."""
    axes = {axis for port in body.inputs for axis in port.axes}
    rows = [ROWS in port.axes for port in body.outputs]
    return {ROWS, COLUMNS} <= axes and (rows == [True] or not any(rows))


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`tiles(q, k, v)`: an object with the functions of a tile, called on whole arrays."""
    box, program = here.box, here.scope.program
    tubes = tube_order(box, [here.axes(port) for port in range(len(box.maps))])
    body, names = _in_tubes(here, tubes)
    key = (NAME, body)
    if key not in program.units:
        program.units[key] = _object(here, _parts(body))  # type: ignore[assignment]
    function = program.units[key]
    orders = argument_orders(box, tubes)
    arguments = []
    for port, type_ in enumerate(body.input_types.values()):
        operand = here.operand(port, type_.dtype)
        arguments.append(permuted(operand.term, operand.axes, orders[port]))
    terms = results_of(here, apply(str(function), *arguments, heavy=True))
    found = []
    for k, (term, result) in enumerate(zip(terms, body.outputs, strict=True)):
        over = [tube for tube in tubes if names[tube] in result.axes]
        made = (*over, *(axis for axis in box.outs[k] if axis >= box.inner))
        found.append(here.full(Operand(term, made, "float"), here.out(k)))
    return found


def _in_tubes(here: Here, tubes: Order) -> tuple[Diagram, dict[int, str]]:
    """The body with the tubes of its box, and what these are called there."""
    box, shown = here.box, here.axis_names()
    body: Diagram = box["body"]
    taken = {axis for port in (*body.inputs, *body.outputs) for axis in port.axes}
    taken.update(body.size_variables)
    names: dict[int, str] = {}
    for tube in tubes:
        plain = shown[tube] if is_axis_name(shown[tube]) else "a"
        names[tube] = fresh_name(plain, {*taken, *names.values()})
    if not tubes:
        return body, names
    return in_tubes(body, [[names[t] for t in tubes if t in row] for row in box.maps]), names


def _object(here: Here, parts: Parts) -> str:
    """The text that makes a tile's object; its name."""
    program, cuts = here.scope.program, parts.cuts
    program.imported("Tiles", "vesalius.compile.tiles.run")
    fields: dict[str, object] = {"forward": function_of(program, parts.forward, "tile")}
    fields["backward"] = function_of(program, parts.backward, "tile_backward")
    if parts.shared is not None:
        fields["shared"] = function_of(program, parts.shared, "shared_by_tiles")
    if parts.seen is not None:
        fields["seen"] = function_of(program, parts.seen.diagram, "seen_columns")
        fields["seen_inputs"] = parts.seen.inputs
        fields |= {"seen_outer": parts.seen.outer} if parts.seen.outer else {}
    fields.update({name: value for name, value in vars(cuts).items() if told(name, value)})
    name = program.name("tiles")
    lines = [f"{name} = Tiles("]
    for field, value in fields.items():
        lines += [f"    # {word}" for word in SAID.get(field, ())]
        lines += [f"    {line}" for line in wrapped(f"{field}={value},", WIDTH - 4)]
    program.chunks.append("\n".join([*lines, ")"]))
    return name


SAID = {  # above a field, in the text
    "rows": [
        "for each input, the dimension that is cut into rows, and that which is cut into columns"
    ],
    "distances": ["and that of a table by distance"],
    "outer": ["heads and the like, of which some are taken at a time"],
    "rows_out": ["which dimension of a result is cut into rows; without one, tiles are added up"],
    "shapes": ["for each dimension of a result, an input and its dimension that are as long"],
    "weight": ["what else the largest array of a tile has, as dimensions of inputs"],
    "seen_inputs": ["what hides columns"],
}


def told(name: str, value: object) -> bool:
    """Whether a field is not what it is anyway."""
    usual = {"distances": None, "columns_out": None, "rows_out": 0}
    if name in usual:
        return any(dimension != usual[name] for dimension in value)  # type: ignore[attr-defined]
    return name in ("rows", "columns", "shapes") or value not in (1, ())


TILES = kernel(
    Kernel(
        name=NAME,
        summary="any scores and normaliser, some queries or some keys at a time",
        define=None,
        root="contract",
        find=find,
        emit=emit,
        accepts=accepts,
        work=work,
        spares_memory=True,
    )
)
