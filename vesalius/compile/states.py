"""States that are matrices, as they are read from the body of a scan, whatever its spelling.

    S′[c] = exp(decay[c])·S[c] + key[c]·(value − Σ_c erase[c]·S[c]),     Σ_c query[c]·S′[c]

The next state is taken apart into a sum of products that are linear in the last one: what is left
of it, what is written, and what is erased, which has to stand at the key that is written. All axes
but c are tubes of this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vesalius.compile.terms import Axis, Reading, Use, Writing, Written
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.builder import Label
from vesalius.diagrams.graph import Diagram

NOT_LINEAR = "the next state is not linear in the last one"


class Fading(NamedTuple):
    """A power of a factor whose logarithm is known: an exponential, a sigmoid, or a number."""

    use: Use  # what the function is applied to
    function: str
    power: float = 1.0

    def logarithm(self, w: Writing, use: Use) -> Use:
        """Its logarithm, where `use` stands for what the function is applied to.

        That of a sigmoid is −softplus(−x), which is finite where the sigmoid underflows.
        """
        if self.function == "sigmoid":
            minus = w.apply("negate", use)
            use = w.apply("negate", w.apply("softplus", minus))
        elif self.function == "number":
            use = w.apply("log", use)
        return use if self.power == 1 else w.contract([use, w.number(self.power)])


def fading(r: Reading, factor: Use, power: float = 1.0) -> Fading | None:
    """A factor of the last state as one whose logarithm is known, if it is."""
    for function in ("exp", "sigmoid"):
        inside = r.applied(factor, function)
        if inside is not None:
            return Fading(inside[0], function, power)
    value = r.value(factor)
    if isinstance(value, float) and 0 < value < math.inf:
        return Fading(factor, "number", power)
    inside = r.applied(factor, "sqrt")
    if inside is not None:
        return fading(r, inside[0], power / 2)
    inside = r.applied(factor, "power")
    if inside is not None:
        (exponent,) = r.node_of(factor[0]).box["numbers"]
        return fading(r, inside[0], power * exponent)
    return None


class MatrixState(NamedTuple):
    """The factors of each part of a step, as wires of the body, in the labels of the next state.

    The last state fades by the product of `decays`. Nothing is corrected where `erases` is
    None; `added` says that it has the other sign. `read` is the wire of the sum over the state.
    """

    axes: tuple[Label, ...]
    channels: tuple[Label, ...]
    decays: tuple[Fading, ...]
    keys: tuple[Use, ...]
    values: tuple[Use, ...]
    erases: tuple[Use, ...] | None
    queries: tuple[Use, ...]
    read: Use
    subtracted: bool  # what is written, instead of added
    added: bool


class _Term(NamedTuple):
    """A product, times the state if it is `whole`, or times Σ_bound of `inner` factors and it."""

    factors: tuple[Use, ...]
    negative: bool = False
    whole: tuple[Label, ...] = ()
    bound: tuple[Label, ...] = ()
    inner: tuple[Use, ...] = ()
    linear: bool = False


def matrix_state(body: Diagram, depends: Sequence[int]) -> MatrixState | str:
    """The one state of a body as such a matrix, or why it is none.

    `depends` says of each wire of the body whether it depends on the state before the step.
    """
    return _Reader(body, depends).found()


class _Reader:
    def __init__(self, body: Diagram, depends: Sequence[int]) -> None:
        self.body, self.depends = body, depends
        self.r = Written(body)
        self.given, self.after = body.inputs[0], body.outputs[0]
        self.axes = tuple(Axis(name or "a") for name in body.hints[self.after.wire])
        # The slots of the state before the step, in the labels of the state after it.
        own = dict(zip(self.after.axes, self.after.slots, strict=True))
        slots = zip(self.given.axes, self.given.slots, strict=True)
        place = {slot: self.axes[own[axis]] for axis, slot in slots}
        self.before = tuple(place[k] for k in range(len(self.given.axes)))

    def found(self) -> MatrixState | str:
        """All of it, or the reason."""
        asked = self._asked()
        if isinstance(asked, str):
            return asked
        channels, queries, read = asked
        terms = self._terms((self.after.wire, self.axes))
        if isinstance(terms, str):
            return terms
        left = [one for one in terms if one.linear and not one.bound]
        erased = [one for one in terms if one.linear and one.bound]
        written = [one for one in terms if not one.linear]
        if len(left) != 1 or left[0].negative or left[0].whole != self.before:
            return NOT_LINEAR
        if len(written) != 1 or len(erased) > 1:
            return "more than one product is written into the state"
        factors = [fading(self.r, factor) for factor in left[0].factors]
        decays = tuple(factor for factor in factors if factor is not None)
        if len(decays) < len(factors):
            return "a factor of the last state is no exponential and no sigmoid"
        keys = tuple(x for x in written[0].factors if not channels.isdisjoint(x[1]))
        values = tuple(x for x in written[0].factors if channels.isdisjoint(x[1]))
        erases = self._erases(erased[0], channels, keys) if erased else None
        if isinstance(erases, str):
            return erases
        return MatrixState(
            self.axes, tuple(x for x in self.axes if x in channels), decays, keys, values,
            erases, queries, read, written[0].negative, bool(erased) and not erased[0].negative,
        )  # fmt: skip

    def _asked(self) -> tuple[set[Label], tuple[Use, ...], Use] | str:
        """Over which axes the state after the step is summed, with what, and that sum."""
        body, r = self.body, self.r
        readers = {k for k, _ in body.consumers[self.after.wire]}
        outputs = [port.wire for port in body.outputs].count(self.after.wire)
        if len(readers) != 1 or outputs != 1:
            return "the state is read in more than one way"
        node = body.nodes[readers.pop()]
        read = r.result(node)
        opened = r.open(read)
        mine = [use for use in opened.uses if use[0] == self.after.wire]
        if node.box.kind is not CONTRACT or len(mine) != 1 or not opened.bound:
            return "the state is not read by a sum over some of its axes"
        labels: dict[Label, Label] = dict(zip(mine[0][1], self.axes, strict=True))
        if not set(opened.bound) <= labels.keys():
            return "the state is not read by a sum over some of its axes"
        queries = tuple(_renamed(use, labels) for use in opened.uses if use is not mine[0])
        return {labels[x] for x in opened.bound}, queries, _renamed(read, labels)

    def _erases(
        self, term: _Term, channels: set[Label], keys: tuple[Use, ...]
    ) -> tuple[Use, ...] | str:
        """What the state is multiplied with in the sum that is taken away at the key."""
        rest = list(term.factors)
        for factor in keys:
            if factor not in rest:
                return "the state is not corrected at the key that is written"
            rest.remove(factor)
        labels = dict(zip(term.whole, self.before, strict=True))
        summed = {labels[x] for x in term.bound if x in labels}
        fixed = all(labels[x] == x for x in term.whole if x not in term.bound)
        inner = [_renamed(use, {x: labels[x] for x in term.bound if x in labels})
                 for use in term.inner]  # fmt: skip
        clash = any(not channels.isdisjoint(use[1]) for use in (*rest, *term.inner))
        if summed != channels or len(summed) < len(term.bound) or not fixed or clash:
            return "the state is corrected along other axes than it is read"
        return (*inner, *rest)

    def _terms(self, use: Use) -> list[_Term] | str:
        """A use as a sum of products that are linear in the state before the step."""
        r = self.r
        if not self.depends[use[0]]:
            return [self._times(_Term(()), (use,))]
        if use[0] == self.given.wire:
            return [_Term((), whole=use[1], linear=True)]
        opened = r.open(use)
        if r.kind(use) is ADD:
            found: list[_Term] = []
            for one in opened.uses:
                terms = self._terms(one)
                if isinstance(terms, str):
                    return terms
                found += terms
            return found
        if r.applied(use, "negate") is not None:
            terms = self._terms(opened.uses[0])
            return terms if isinstance(terms, str) else [
                one._replace(negative=not one.negative) for one in terms
            ]  # fmt: skip
        within = [one for one in opened.uses if self.depends[one[0]]]
        if r.kind(use) is not CONTRACT or len(within) != 1:
            return NOT_LINEAR
        terms = self._terms(within[0])
        if isinstance(terms, str):
            return terms
        others = tuple(one for one in opened.uses if one is not within[0])
        if not opened.bound:
            return [self._times(term, others) for term in terms]
        if len(terms) != 1 or not terms[0].linear or terms[0].bound:
            return "the state is corrected by more than a sum over it"
        (term,) = terms
        inner = (*term.factors, *others)
        return [_Term((), term.negative, term.whole, opened.bound, inner, True)]

    def _times(self, term: _Term, others: tuple[Use, ...]) -> _Term:
        """A term times further factors; −1 changes its sign, and products are taken apart."""
        for one in others:
            inside = self.r.applied(one, "negate")
            if inside is not None or self.r.value(one) == -1:
                term = self._times(term._replace(negative=not term.negative), inside or ())
            elif self.r.kind(one) is CONTRACT and not self.r.open(one).bound:
                term = self._times(term, self.r.open(one).uses)
            else:
                term = term._replace(factors=(*term.factors, one))
        return term


def _renamed(use: Use, labels: Mapping[Any, Label]) -> Use:
    return use[0], tuple([labels.get(x, x) for x in use[1]])
