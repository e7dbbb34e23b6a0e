"""Running means by exponential weights: what overflows as a quotient of two sums.

    Σ_{m ≤ n} exp(level[m])·v[m] / Σ_{m ≤ n} exp(level[m])

The weights may fade from position to position, and the present may have a level of its own, as in
RWKV (arXiv 2305.13048). Both sums are brought to the largest exponent so far, as a softmax is to
the largest of all; it cancels. So keys of any size are served, where exp(89) is too large for
float32 already. Where the sums are read by queries over their channels (efficient attention,
arXiv 1812.01243), they stay a state. It is taken wherever it can stand, whatever it costs.
"""

from __future__ import annotations

import math
from collections.abc import KeysView, Mapping, Sequence

import vesalius.diagrams.verbs as vs
from vesalius.compile.kernels.fast_weights import work_of
from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.kernels.recurrence import of_recurrence
from vesalius.compile.ratios import Mean, Weighted, mean
from vesalius.compile.roofline import Call, Work
from vesalius.compile.scope import Here
from vesalius.compile.text import Term, apply
from vesalius.compile.views import permuted
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Builder, Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size

NAME = "exponential_means"
FADING, NOW, READ = "fading", "now", "read"


def define(variant: str) -> Diagram:
    """Two running sums and their quotient. A variant says what there is beside values."""
    return _read() if variant == READ else _means(variant)


def _means(variant: str) -> Diagram:
    ports = ["level", "v", *(word for word in ("decay", "now") if _has(variant, word))]
    step = Builder("step")
    total, mix = step.input("total", ""), step.input("mix", "")
    now = {name: step.input(name, "") for name in ports}
    with step:
        weight = vs.exp(now["level"])
        kept = vs.exp(now["decay"]) if "decay" in now else vs.constant(1.0)
        after = kept * total + weight, kept * mix + weight * now["v"]
        if "now" in now:
            own = vs.exp(now["now"])
            out = (mix + own * now["v"]) / (total + own)
        else:
            out = after[1] / after[0]
        body = step.diagram(total=after[0], mix=after[1], out=out)
    builder = Builder(NAME)
    given = [builder.input(name, "n") for name in ports]
    with builder:
        *_, out = vs.scan(body, over="n", states=[0.0, 0.0], sequences=given)
        return builder.diagram(mean=out)


def _has(variant: str, port: str) -> bool:
    return {"decay": FADING, "now": NOW}[port] in variant.split()


def _read() -> Diagram:
    step = Builder("step")
    total, mix = step.input("total", "c"), step.input("mix", "c e")
    q, k, v = step.input("q", "c"), step.input("k", "c"), step.input("v", "e")
    with step:
        weight = vs.exp(k)
        total, mix = total + weight, mix + weight * v
        body = step.diagram(total=total, mix=mix, o=vs.contract(q / total, mix, over="c"))
    builder = Builder(NAME)
    given = [builder.input("q", "n c"), builder.input("k", "n c"), builder.input("v", "n e")]
    with builder:
        start = [vs.expand(0.0, "c"), vs.expand(0.0, "c e")]
        *_, o = vs.scan(body, over="n", states=start, sequences=given)
        return builder.diagram(o=o)


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """The rewriting of a quotient of sums of exponentials; an empty reason where there is none."""
    opened = place.open(place.use)
    factors = [one for use in opened.uses for one in _factors(place, use)]
    for k, one in enumerate(factors):
        below = place.applied(one, "reciprocal")
        for j, above in enumerate(factors) if below is not None else ():
            found = mean(place, above, below[0]) if j != k and below is not None else None
            if found is not None:
                rest = [use for i, use in enumerate(factors) if i not in (j, k)]
                channels = _channels(found, opened.bound)
                asked = [use for use in rest if not channels.isdisjoint(use[1])]
                if asked:
                    others = [use for use in rest if use not in asked]
                    return _Rewriting(place, opened.bound).reads(
                        found, tuple(channels), asked, others
                    )
                return _Rewriting(place, opened.bound).means(found, rest)
    return ""


def _factors(place: Place, use: Use) -> list[Use]:
    """The factors of a product entry by entry that nothing else reads."""
    if place.kind(use) is CONTRACT and not place.open(use).bound and place.single(use[0]):
        return [factor for one in place.open(use).uses for factor in _factors(place, one)]
    return [use]


def _channels(found: Mean, bound: Sequence[Label]) -> KeysView[Label]:
    """The axes over which a state is read: its exponentials have them, what is mixed has not."""
    below = found.below
    if below.fades or below.now is not None:
        return dict[Label, None]().keys()
    own = {x for use in below.weighted.exponents for x in use[1]}
    values = {x for use in found.values for x in use[1]}
    return {x: None for x in bound if x in own - values}.keys()


class _Rewriting:
    """Writes the right side with the kernel's box in it."""

    def __init__(self, place: Place, bound: Sequence[Label]) -> None:
        self.place, self.bound = place, bound

    def means(self, found: Mean, rest: Sequence[Use]) -> Found:
        """A mean of values, times what else stands at the place."""
        below = found.below
        parts = [below.weighted, *([] if below.now is None else [below.now])]
        reads = [*found.values, *rest, *(one.use for one in below.fades)]
        right = self._reading(reads, parts)
        along = {below.position: below.length}
        v = right.expand(right.contract([self._float(x) for x in found.values]), along)
        words, others = [], []
        if below.fades:
            words.append(FADING)
            known = [one.logarithm(right, self._float(one.use)) for one in below.fades]
            others.append(right.expand(right.add(known), along))
        if below.now is not None:
            words.append(NOW)
            others.append(right.expand(self._level(below.now), along))
        level = right.expand(self._level(below.weighted), along)
        at = {"n": below.position}
        arguments = [(use, at) for use in (level, v, *others)]
        result = EXPONENTIAL_MEANS.box(right, arguments, at, " ".join(words))
        result = right.contract([result, *map(right.copied, rest)], self.bound)
        return right.found(result, NOTE)

    def reads(
        self, found: Mean, channels: Sequence[Label], queries: Sequence[Use], rest: Sequence[Use]
    ) -> Found:
        """A state whose channels are summed with queries, times what else stands at the place."""
        below = found.below
        right = self._reading([*queries, *found.values, *rest], [below.weighted])
        along: dict[Label, Size] = {below.position: below.length}
        q = right.expand(right.contract([self._float(x) for x in queries]), along)
        k = right.expand(self._level(below.weighted), along)
        v = right.expand(right.contract([self._float(x) for x in found.values]), along)
        q = right.expand(q, {x: right.size(k, x) for x in channels})
        q, channel, _ = right.as_one(q, channels)
        k, other, _ = right.as_one(k, channels)
        carried = {x for use in (q, k) for x in use[1]}
        v, width, made = right.as_one(v, [x for x in v[1] if x not in carried])
        at = {"n": below.position}
        arguments: list[tuple[Use, Mapping[str, Label]]] = [
            (q, {**at, "c": channel}), (k, {**at, "c": other}), (v, {**at, "e": width}),
        ]  # fmt: skip
        result = EXPONENTIAL_MEANS.box(right, arguments, {**at, "e": width}, READ)
        result = right.apart(result, width, made)
        over = [x for x in self.bound if x not in channels]
        return right.found(right.contract([result, *map(right.copied, rest)], over), NOTE)

    def _reading(self, uses: Sequence[Use], parts: Sequence[Weighted]) -> Right:
        uses = [*uses, *(x for one in parts for x in one.exponents)]
        uses += [use for one in parts for use, _ in one.conditions]
        self.right = self.place.right(x for x in uses if not self.place.is_number(x))
        return self.right

    def _level(self, one: Weighted) -> Use:
        right = self.right
        level = right.add([self._float(x) for x in one.exponents])
        for use, truth in one.conditions:
            shown = right.copied(use)
            shown = shown if truth else right.apply("logical_not", shown)
            level = right.apply("where", shown, level, right.number(-math.inf))
        return level

    def _float(self, use: Use) -> Use:
        here = self.right.copied(use)
        return self.right.apply("to_float", here) if self.right.dtype(here) == "int" else here


NOTE = "exponentials are brought to the largest so far"


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`exponential_means(level, v, …)` along the last dimension; all others broadcast."""
    program = here.scope.program
    for name in ("recurrent", "seen"):
        program.helper(name)
    if variant == READ:
        return _emit_read(here)
    box, out = here.box, here.out()
    tubes = tuple(a for a in out if a < box.inner)
    names = ["", "", *(f"{port}=" for port in ("decay", "now") if _has(variant, port))]
    terms = []
    for port, (axis, name) in enumerate(zip(box.bound, names, strict=True)):
        term = here.aligned(here.operand(port, "float"), (*tubes, axis))
        terms.append(Term(f"{name}{term.at(0)}") if name else term)
    term = apply(program.helper(NAME), *terms, heavy=True)
    return [permuted(term, (*tubes, box.inner), out)]


def _emit_read(here: Here) -> list[Term]:
    box, out, program = here.box, here.out(), here.scope.program
    tubes = tuple(a for a in out if a < box.inner)
    for name in ("decayed_products", "fast_weights"):
        program.helper(name)
    terms = []
    for port in range(3):
        axes = (*tubes, *box.bound[2 * port : 2 * port + 2])
        operand = here.operand(port, "float")
        terms.append(here.full(operand, axes) if port == 2 else here.aligned(operand, axes))
    term = apply(program.helper("exponential_reads"), *terms, heavy=True)
    return [permuted(term, (*tubes, box.inner, box.inner + 1), out)]


def work(call: Call) -> list[Work]:
    """Two recurrences, their exponentials, and what finds the largest so far."""
    length, *more = call.lengths(0)
    entries = float(length * call.tubes)
    if call.variant == READ:
        width = call.lengths(2)[1]
        inside = work_of(length, more[0], width, call.tubes, call.moved, True, True)
        entries *= more[0]
        return [*inside, of_recurrence(entries, call.moved, length),
                Work(simple=4 * entries, exponentials=2 * entries, calls=10)]  # fmt: skip
    steps = [of_recurrence(entries, call.moved, length)] * 2
    return [*steps, Work(simple=10 * entries, exponentials=3 * entries, calls=20)]


EXPONENTIAL_MEANS = kernel(
    Kernel(
        name=NAME,
        summary="running means by exponential weights, which do not overflow",
        define=define,
        root="contract",
        find=find,
        emit=emit,
        work=work,
        finite=True,
        exponents=lambda variant: (
            {1} if variant == READ else {0, *range(2, 2 + len(variant.split()))}
        ),
    )
)
