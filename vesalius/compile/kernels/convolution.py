"""Sums with weights by distance, through spectra: long convolutions, averages, windows, decays.

Σ_m w[n − m]·x[m] is a product of Fourier transforms, in n·log n operations and without an array of
all pairs (Hyena, arXiv 2302.10866; attention free convolution, arXiv 2105.14103). Transforms are
padded to twice the length, so that what comes later never comes round; half precision is computed
in float32. An entry is exact to the precision of the largest, not to its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.roofline import Call, Work, of_transform
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply
from vesalius.compile.toeplitz import ALL, FORWARD, ROUND, Distances, read_toeplitz
from vesalius.compile.views import permuted
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram

NAME = "convolution"


def define(variant: str) -> Diagram:
    """Σ_m h[n − m]·x[m]: over m ≤ n, round at the end, or with distances of both signs."""
    builder = Builder(NAME)
    h, x = builder.input("h", "m" if variant else "t"), builder.input("x", "m")
    with builder:
        m = vs.iota("m")
        if variant == ALL:
            read = vs.gather(h, vs.iota("n:t-m") - m + vs.size("m"), over="t")
            return builder.diagram(y=vs.contract(read, x, over="m"))
        n = vs.iota("n:m")
        read = vs.gather(h, vs.remainder(n - m, vs.size("m")), over="m")
        read = vs.where(m <= n, read, 0.0) if variant == FORWARD else read
        return builder.diagram(y=vs.contract(read, x, over="m"))


def find(place: Place) -> Found | str:
    """The rewriting of a sum by distances, or the reason why there is none."""
    found = read_toeplitz(place, place.use)
    if found is None:
        return ""
    reads = (*found.weights.reads, *found.values, *found.rest)
    right = place.right(use for use in reads if not place.is_number(use))
    distances = Distances(right, found.which, *found.lengths)
    weights = found.weights.write(distances)
    values = right.contract([right.copied(use) for use in found.values])
    rest = [right.copied(use) for use in found.rest]
    weights = _alone(right, weights, found.bound, [values, *rest])
    values = _alone(right, values, found.bound, [weights, *rest])
    weights = right.expand(_float(right, weights), {distances.label: distances.length})
    values = right.expand(_float(right, values), {found.key: found.lengths[1]})
    axis = "m" if found.which else "t"
    of_weights: dict[str, Label] = {axis: distances.label}
    arguments = [(weights, of_weights), (values, {"m": found.key})]
    result = CONVOLUTION.box(right, arguments, {"n": found.query}, found.which)
    carried = {x for use in (result, *rest) for x in use[1]}
    over = [x for x in found.bound if x in carried]
    note = f"{found.which} sums by distance, through spectra".strip()
    return right.found(right.contract([result, *rest], over), note)


def _float(right: Right, use: Use) -> Use:
    return use if right.dtype(use) == "float" else right.apply("to_float", use)


def _alone(right: Right, use: Use, bound: Sequence[Label], others: Iterable[Use]) -> Use:
    """A factor summed over what it alone has."""
    shared = {x for other in others for x in other[1]}
    return right.contract([use], [x for x in bound if x in use[1] and x not in shared])


def work(call: Call) -> list[Work]:
    """Transforms of weights, of values and of the result, and the product of spectra."""
    (weights, *_), (keys, *_) = call.lengths(0), call.lengths(1)
    length = {ALL: weights, FORWARD: 2 * keys, ROUND: keys}[call.variant]
    rows = [math.prod(call.local[a] for a in row if a in call.box.tubes) for row in call.box.maps]
    entries = float(length * (sum(rows) + call.tubes))
    return [
        Work(simple=entries * of_transform(length), moved=call.moved, fresh=call.fresh, calls=6),
        Work(simple=float(length * call.tubes)),
    ]


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`convolved(h, x)` along the last dimension; all others broadcast."""
    box, out = here.box, here.out()
    tubes = tuple(a for a in out if a < box.inner)
    parts = [
        here.aligned(here.operand(port, "float"), (*tubes, axis))
        for port, axis in enumerate(box.bound)
    ]
    extra = [] if variant == FORWARD else [f'way="{variant}"']
    term = apply(here.scope.program.helper("convolved"), *parts, *extra, heavy=True)
    return [permuted(term, (*tubes, box.inner), out)]


CONVOLUTION = kernel(
    Kernel(
        name=NAME,
        summary="sums with weights by distance, through Fourier transforms",
        define=define,
        root="contract",
        find=find,
        emit=emit,
        work=work,
    )
)
