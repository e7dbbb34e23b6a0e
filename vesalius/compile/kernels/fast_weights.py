"""States that are matrices: written at keys, read by queries, fading, corrected by a delta rule.

    S[n] = exp(decay[n])·S[n−1] + k[n]⊗(v[n] − erase[n]·S[n−1]),     o[n] = q[n]·S[n]

A loop goes through the positions one by one; this takes a chunk of them at a time. Inside a chunk
what is written is the solution of a triangular system, and decays are taken between two positions
at a time, so that none grows. It stands where a scan is such a recurrence
(`vesalius.compile.states`). Schlag, Irie, Schmidhuber, Linear transformers are secretly fast weight
programmers, arXiv 2102.11174; Yang et al., arXiv 2312.06635 (gates) and 2406.06484 (delta rules).
"""

from __future__ import annotations

from math import log2

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.kernel import Kernel, kernel
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply, method
from vesalius.compile.views import permuted
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram

NAME = "fast_weights"
CORRECTED, FADING, BY_CHANNELS = "corrected", "fading", "by channels"
CHUNK = 64  # positions, as in `helpers.fast_weights`


def define(variant: str) -> Diagram:
    """The scan. A variant says whether the state is corrected, and how it fades."""
    ports = {"q": "c", "k": "c", "v": "e"}
    if CORRECTED in variant:
        ports["erase"] = "c"
    if FADING in variant:
        ports["decay"] = "c" if BY_CHANNELS in variant else ""
    step = Builder("step")
    state = step.input("state", "c e")
    now = {name: step.input(name, axes) for name, axes in ports.items()}
    with step:
        change = now["v"]
        if "erase" in now:
            change = change - vs.contract(now["erase"], state, over="c")
        kept = vs.exp(now["decay"]) * state if "decay" in now else state
        after = kept + now["k"] * change
        body = step.diagram(after=after, o=vs.contract(now["q"], after, over="c"))
    builder = Builder(NAME)
    given = [builder.input(name, f"n {axes}") for name, axes in ports.items()]
    with builder:
        start = vs.expand(0.0, "c e")
        _, o = vs.scan(body, over="n", states=[start], sequences=given)
        return builder.diagram(o=o)


def emit(here: Here, variant: str) -> list[Term]:
    """`fast_weights(q, k, v, …)` along the last two dimensions; all others broadcast."""
    box, out = here.box, here.out()
    tubes = tuple(a for a in out if a < box.inner)
    bound = iter(box.bound)
    terms = []
    names = ["", "", "", *(["erase="] if CORRECTED in variant else [])]
    for port, name in enumerate(names):
        axes = (*tubes, next(bound), next(bound))
        operand = here.operand(port, "float")
        term = here.full(operand, axes) if port == 2 else here.aligned(operand, axes)
        terms.append(Term(f"{name}{term.at(0)}") if name else term)
    if FADING in variant:
        axes = (*tubes, *bound)
        term = here.aligned(here.operand(len(names), "float"), axes)
        if BY_CHANNELS not in variant:
            term = method(term, "unsqueeze(-1)", cost=0)
        terms.append(Term(f"decay={term.at(0)}"))
    program = here.scope.program
    program.helper("decayed_products")
    term = apply(program.helper(NAME), *terms, heavy=True)
    return [permuted(term, (*tubes, box.inner, box.inner + 1), out)]


def work(call: Call) -> list[Work]:
    """Products inside chunks and with states, the exponentials between pairs, and the loop."""
    length, channels = call.lengths(0)
    _, width = call.lengths(2)
    corrected, fading = CORRECTED in call.variant, FADING in call.variant
    by_channels = BY_CHANNELS in call.variant
    return work_of(length, channels, width, call.tubes, call.moved, fading, by_channels, corrected)


def work_of(
    length: int,
    channels: int,
    width: int,
    tubes: int,
    moved: float,
    fading: bool = False,
    by_channels: bool = False,
    corrected: bool = False,
) -> list[Work]:
    """The same of a state of such a shape at so many positions."""
    chunk = min(CHUNK, length)
    pairs = tubes * length * chunk
    products = pairs * (channels + width) + 2 * tubes * length * channels * width
    exponentials = pairs / 2 if fading else 0
    if by_channels:
        exponentials = tubes * length * channels * log2(chunk)
    if corrected:
        products += pairs * (2 * channels + width) + tubes * length * channels * width
        exponentials *= 2
    inside = Work(
        products=2.0 * products,
        simple=2.0 * exponentials,
        exponentials=float(exponentials),
        moved=3 * moved + 8.0 * exponentials,
        calls=40 + 20 * corrected,
    )
    state = float(tubes * channels * width)
    return [inside, Work(simple=state, calls=3 + 2 * corrected, times=length / chunk)]


FAST_WEIGHTS = kernel(
    Kernel(
        name=NAME,
        summary="states that are matrices: gates for each channel, delta rules",
        define=define,
        root="scan",
        find=lambda place: "",
        emit=emit,
        work=work,
        exponents=lambda variant: {3 + (CORRECTED in variant)} if FADING in variant else set(),
    )
)
