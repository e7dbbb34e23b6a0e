"""How boxes are written that read at places known only at run time, and the Fourier transform."""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.compile.layout import gather_groups
from vesalius.compile.scope import Here, Operand
from vesalius.compile.text import ANY, Term, apply, index, method
from vesalius.compile.views import permuted


def gather(here: Here) -> list[Term]:
    """An embedding, a slice for positions that are counted, `index_select` or `torch.gather`.

    An index outside the table raises on a CPU, in torch or before; on a GPU torch asserts.
    """
    table, places = here.operand(0), here.operand(1)
    (axis,) = here.box.bound
    shared, free, own = gather_groups(here.box, [table.axes, places.axes])
    if shared:
        made = (*shared, *free, *own)
        return [permuted(_along(here, table, places, shared, free, own), made, here.out())]
    at = table.axes.index(axis)
    made = (*table.axes[:at], *free, *table.axes[at + 1 :])
    return [permuted(_select(here, table, places, at), made, here.out())]


def _select(here: Here, table: Operand, places: Operand, at: int) -> Term:
    """Every entry of the index reads a whole slice of the table."""
    counted = here.scope.diagram.nodes[here.scope.diagram.owner[here.node.src[1]]]
    rank = len(places.axes)
    if counted.box.kind.name == "iota":
        stop = here.size(places.axes[0]).at(ANY)
        return index(table.term, ", ".join([":"] * at + [f":{stop}"]))
    if at == 0 and len(table.axes) == 2 and table.dtype == "float":
        return apply("F.embedding", places.term, table.term, heavy=True)
    flat = places.term if rank == 1 else method(places.term, "flatten()", cost=0)
    term = method(table.term, f"index_select({at}, {flat.at(ANY)})", heavy=True)
    if rank == 0:
        return method(term, f"squeeze({at})", cost=0)
    if rank > 1:
        lengths = ", ".join(here.size(a).at(ANY) for a in places.axes)
        return method(term, f"unflatten({at}, ({lengths}))", cost=0)
    return term


def _along(
    here: Here,
    table: Operand,
    places: Operand,
    shared: Sequence[int],
    free: Sequence[int],
    own: Sequence[int],
) -> Term:
    """`torch.gather`, or whole slices of the table where it has axes of its own.

    It needs no lengths: those of tubes are not known where a kernel cuts them into parts.
    """
    (axis,) = here.box.bound
    at = len(shared)
    rows = permuted(table.term, table.axes, (*shared, axis, *own))
    picks = permuted(places.term, places.axes, (*shared, *free))
    if not free:
        picks = method(picks, f"unsqueeze({at})", cost=0)
    elif len(free) > 1:
        picks = method(picks, f"flatten({at})", cost=0)
    if own:
        term = apply(here.scope.program.helper("taken"), rows, picks, str(at), heavy=True)
    else:
        term = apply("torch.gather", rows, str(at), picks, heavy=True)
    if not free:
        return method(term, f"squeeze({at})", cost=0)
    if len(free) > 1:
        lengths = [here.size(a).at(ANY) for a in free]
        return method(term, f"unflatten({at}, ({', '.join(lengths)}))", cost=0)
    return term


def topk(here: Here) -> list[Term]:
    """Values and places, as a stable sort has them: the first of equal entries comes first."""
    x = here.operand(0)
    at = x.axes.index(here.box.bound[0])
    count = here.size(here.box.inner).at(ANY)
    order = (str(-1 if at == len(x.axes) - 1 else at), str(here.box["largest"]))
    first = apply(here.scope.program.helper("first_sorted"), x.term, count, *order, heavy=True)
    bases = [here.scope.bases[wire] for wire in here.node.wires]
    values, places = here.scope.block.let_all(first, bases)
    made = tuple(here.box.inner if a == here.box.bound[0] else a for a in x.axes)
    return [permuted(values, made, here.out(0)), permuted(places, made, here.out(1))]


def fourier(here: Here) -> list[Term]:
    """The transform of a pair of real tensors."""
    out = here.out()
    parts = [here.full(here.operand(port, "float"), out) for port in (0, 1)]
    extra = ["inverse=True"] if here.box["inverse"] else []
    at = str(out.index(here.box.bound[0]))
    call = apply(here.scope.program.helper("fourier"), *parts, at, *extra, heavy=True)
    bases = [here.scope.bases[wire] for wire in here.node.wires]
    return here.scope.block.let_all(call, bases, here.scope.comment(here.node.first))
