"""Drawing boxes that read at places known at run time, and the Fourier transform."""

from __future__ import annotations

from vesalius.diagrams.sizes import size
from vesalius.diagrams.wire import Wire
from vesalius.testing.drawing import LARGE, MAX_RANK, Drawer, Known, anything, draws, word
from vesalius.testing.programs import Use


@draws("gather")
def draw_gather(d: Drawer) -> bool:
    """Read a wire at the places that another names, brought into range first."""
    table = d.axis(anything)
    index = d.pick(lambda wire, known: wire.dtype == "int")
    if table is None or index is None:
        return False
    over = d.one_of(d.wires[table].names)
    length = d.wires[table].axes[over]
    (into, where), union = d.joined([table, index])
    if len(union) > MAX_RANK:
        return False
    known = Known(1, float(d.largest(length)))
    places = d.place("remainder", [Use(index), length], known)
    operands = [into, where._replace(wire=places)]
    d.place("gather", operands, d.known[table], over=into.names.get(over, over))
    return True


@draws("topk")
def draw_topk(d: Drawer) -> bool:
    """The first entries in order, and their places."""

    def ordered(wire: Wire, known: Known) -> bool:
        return wire.dtype != "bool" and (known.exact or d.exact is not None)

    w = d.axis(ordered)
    if w is None:
        return False
    axes = d.wires[w].axes
    over = d.one_of(list(axes))
    length = d.one_of([size(1), axes[over]])
    k = d.one_of([over, d.fresh(axes)])
    places = Known(1, float(d.largest(axes[over])))
    largest = not d.chance()
    known = [d.known[w], places]
    d.place("topk", [Use(w)], known, over=over, k=word(k, length), largest=largest)
    return True


@draws("fourier")
def draw_fourier(d: Drawer) -> bool:
    """The Fourier transform of one wire, or of a pair."""
    chosen = d.several(1, 2, lambda wire, known: wire.dtype == "float")
    if chosen is None:
        return False
    uses, union = d.joined(chosen)
    if not union or len(union) > MAX_RANK:
        return False
    over = d.one_of(list(union))
    bound = 2 * max(d.known[w].bound for w in chosen) * d.largest(union[over])
    if bound > LARGE:
        return False
    known = Known(None, bound, max(d.known[w].depth for w in chosen))
    d.place("fourier", uses, known, over=over, inverse=d.chance())
    return True
