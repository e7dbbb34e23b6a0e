"""Products of the spectra of real arrays, with transforms of real arrays.

F⁻¹(F(x)·F(h)) of real x and h, written with pairs of real arrays, (a + ib)·(c + id) = (ac − bd) +
i(ad + bc), takes three transforms of pairs. It is a circular convolution, which is real: its box is
that of `vesalius.compile.kernels.convolution`, and takes half the work.
"""

from __future__ import annotations

from vesalius.compile.kernels.convolution import CONVOLUTION
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.toeplitz import ROUND
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.spectral import FOURIER
from vesalius.diagrams.builder import Label, Use

Part = tuple[Use, int]  # a real array; the real (0) or the imaginary part (1) of its spectrum
Term = tuple[bool, frozenset[Part]]  # whether it is subtracted; its two factors

OTHER = "what is transformed back is no product of the spectra of two real arrays"


def find(place: Place) -> Found | str:
    """The rewriting of a product of spectra that is transformed back, or why there is none."""
    node = place.node
    imaginary = node.first + 1
    if not node.box["inverse"]:
        return ""
    if place.diagram.consumers[imaginary] or imaginary in place.outputs:
        return "the imaginary part is read"
    opened = place.open(place.use)
    (along,) = opened.bound
    real, other = (_terms(place, use, along) for use in opened.uses)
    arrays = list(dict.fromkeys(array for _, parts in real for array, _ in sorted(parts, key=_key)))
    if len(arrays) != 2:
        return OTHER
    x, h = arrays
    product = {(False, frozenset({(x, 0), (h, 0)})), (True, frozenset({(x, 1), (h, 1)}))}
    crossed = {(False, frozenset({(x, 0), (h, 1)})), (False, frozenset({(x, 1), (h, 0)}))}
    if real != product or other != crossed:
        return OTHER
    right = place.right(use for use in arrays if not place.is_number(use))
    length = {along: place.size(place.use, along)}
    arguments = [(right.expand(right.copied(use), length), {"m": along}) for use in arrays]
    result = CONVOLUTION.box(right, arguments, {"n": along}, ROUND)
    return right.found(result, "a product of the spectra of real arrays")


def _key(part: Part) -> int:
    return part[0][0]


def _terms(place: Place, use: Use, along: Label) -> set[Term]:
    """The terms of a sum of products of two parts of spectra; none if it is something else."""
    found: set[Term] = set()
    for term in place.open(use).uses if place.kind(use) is ADD else ():
        inside = place.applied(term, "negate")
        product = inside[0] if inside else term
        opened = place.open(product)
        parts = [_part(place, one, along) for one in opened.uses]
        known = frozenset(part for part in parts if part is not None)
        if opened.box.kind is not CONTRACT or opened.bound or not len(parts) == len(known) == 2:
            return set()
        found.add((inside is not None, known))
    return found


def _part(place: Place, use: Use, along: Label) -> Part | None:
    if place.kind(use) is not FOURIER:
        return None
    opened = place.open(use)
    zero = place.value(opened.uses[1]) == 0
    forward = not opened.box["inverse"] and opened.bound == (along,)
    return (opened.uses[0], use[0] - opened.node.first) if zero and forward else None


REAL_SPECTRA = kernel(
    Kernel(
        name="real_spectra",
        summary="products of the spectra of real arrays, transformed back",
        define=None,
        root="fourier",
        find=find,
    )
)
