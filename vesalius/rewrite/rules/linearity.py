"""Linear boxes and bodies let sums and factors through.

Which boxes are linear in which of their inputs is read off the boxes (and off the bodies of
named boxes and scans): products and sums, moves of entries, the Fourier transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.shape import EXPAND
from vesalius.diagrams.boxes.sources import CONSTANT
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.linearity import linear_in
from vesalius.rewrite.schema import Opened, Part, Side, repeated, schema


@schema("equal", below=[ADD])
def linear_of_sum(f: Part) -> Iterator[Opened]:
    """f(x + y, z) = f(x, z) + f(y, z), f linear in its first input"""
    for port, zeros in _linear_ports(f):
        total = f.below(port)
        if total.kind is ADD:
            yield _opened(f, port, zeros).rule(partial(_sum, f=f, port=port, total=total))


def _sum(side: Side, f: Part, port: int, total: Part) -> tuple[Wire, ...]:
    terms = []
    for term in side[total]:
        whole = side[f]
        same = vs.to_float(term) if term.dtype == "int" else term
        whole[port] = repeated(side, same, total, total.box.tubes)
        terms.append(side.call(f, *whole))
    return tuple(vs.add(*row) for row in zip(*terms, strict=True))


@schema("equal", below=[CONTRACT])
def linear_of_multiple(f: Part) -> Iterator[Opened]:
    """f(w·x, z) = w·f(x, z), f linear in its first input, w without an axis that f binds"""
    for port, zeros in _linear_ports(f):
        product = f.below(port)
        if product.kind is not CONTRACT or product.box.bound or f.kind is CONTRACT:
            continue
        bound = {f.origin(port, axis) for axis in f.box.bound if axis in f.box.maps[port]}
        rows = list(enumerate(product.box.maps))
        out = [p for p, row in rows if bound.isdisjoint(row)]
        if out and len(out) < len(rows):
            opened = _opened(f, port, zeros)
            yield opened.rule(partial(_multiple, f=f, port=port, product=product, out=out))


def _multiple(
    side: Side, f: Part, port: int, product: Part, out: Sequence[int]
) -> tuple[Wire, ...]:
    factors, whole = side[product], side[f]
    inside = [factor for p, factor in enumerate(factors) if p not in out]
    part = vs.contract(*inside)
    part = vs.to_float(part) if part.dtype == "int" else part
    whole[port] = repeated(side, part, product, product.box.tubes)
    outside = [factors[p] for p in out]
    return tuple(vs.contract(*outside, wire) for wire in side.call(f, *whole))


def _linear_ports(f: Part) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The inputs in which a box is linear alone, with the inputs that must be zero for it.

    A scan is linear in a sequence when it starts from zero, a Fourier transform in the real part
    of what is real.
    """
    if f.kind is ADD:  # its sums are flattened, not distributed over
        return
    beside = range(f["states"]) if f.kind is SCAN else range(2) if f.kind is FOURIER else ()
    zeros = tuple(p for p in beside if _is_zero(f, p))
    for port in range(len(f.node.src)):
        if port in zeros or f.host.types[f.node.src[port]].dtype != "float":
            continue
        if linear_in(f.box, [port]):
            yield port, ()
        elif zeros and linear_in(f.box, [port], zeros):
            yield port, zeros


def _is_zero(f: Part, port: int) -> bool:
    below = f.below(port)
    if below.kind is EXPAND:
        below = below.below(0)
    return below.kind is CONSTANT and below["value"] == 0


def _opened(f: Part, port: int, zeros: Sequence[int]) -> Opened:
    opened = f.open(port, *zeros)
    for p in zeros:
        if f.below(p).kind is EXPAND:
            opened = opened.open(f.below(p), 0)
    return opened
