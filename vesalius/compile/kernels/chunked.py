"""Causal sums with a state: linear attention, retention, whatever decays by an exponential.

Σ_{m ≤ n} (q·k)·v costs the square of the length if all pairs are made, and needs only the state
Σ k⊗v. A chunk of positions at a time, pairs are made inside the chunk alone and the state carries
what came before, which is a form of a fold (`vesalius.compile.folds`).
"""

from __future__ import annotations

from collections.abc import Sequence

from vesalius.compile.causal import CausalSum, float_of, read_causal, shown_of, sum_of, uses_of
from vesalius.compile.folds import Fold
from vesalius.compile.kernels.kernel import Found, Kernel, Place, Right, kernel
from vesalius.compile.roofline import stepwise
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.builder import Label, Use
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.wire import Wire

SUM, MEAN, DECAY = "", "mean", "decay"


def _mix(w: Wire, v: Wire) -> dict[str, Wire]:
    return {"mix": w * v}


def _both(w: Wire, v: Wire) -> dict[str, Wire]:
    return {"mix": w * v, "total": w}


def _same(mix: Wire) -> Wire:
    return mix


def _quotient(mix: Wire, total: Wire) -> Wire:
    return mix / total


def _decay(level: Wire, reference: Wire) -> Wire:
    return vs.exp(level - reference)


FOLDS = {
    "": Fold("sums", _mix, _same),
    "mean": Fold("means", _both, _quotient),
    "decay": Fold("decaying_sums", _mix, _same, level="given", rescale=_decay),
    "mean decay": Fold("decaying_means", _both, _quotient, level="given", rescale=_decay),
}


def define(variant: str) -> Diagram:
    """All pairs, and a triangle of zeros."""
    return FOLDS[variant].whole(causal=True)


def runs(variant: str) -> Diagram:
    """A chunk at a time."""
    return FOLDS[variant].chunked()


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """The rewriting of a causal sum, or the reason why there is none."""
    found = read_causal(place, place.use)
    if isinstance(found, str):
        return found
    if not (found.queries or found.keys or found.levels or found.references or found.mean):
        return ""  # a running sum
    if found.lengths[0] != found.lengths[1]:
        return "there are not as many keys as queries"
    for wire in found.weights:
        readers = {k for k, _ in place.diagram.consumers[wire]}
        if any(place.diagram.nodes[k].src.count(wire) > 1 for k in readers):
            return (
                "its weights are multiplied by themselves elsewhere, so all pairs are made anyway"
            )
    shared = {x for use in found.keys for x in use[1]} & {x for u in found.values for x in u[1]}
    own = {x for use in found.values for x in use[1]} - {found.key}
    carried = {x for use in (*found.queries, *found.keys) for x in use[1]}
    carried |= {x for s in (*found.levels, *found.references) for x in s.labels}
    if any(x in found.channels for x in shared):
        return "keys and values do not come apart"
    tubes = (own & carried) - set(found.channels)
    # Whoever reads the weights is a causal sum of them, and can do without as well.
    return _Rewriting(place, found, tubes).found()._replace(spared=found.weights)


class _Rewriting:
    def __init__(self, place: Place, parts: CausalSum, tubes: set[Label]) -> None:
        self.place = place
        self.parts = parts
        self.tubes = tubes
        reads = [use for use in uses_of(parts) if not place.is_number(use)]
        self.right: Right = place.right(reads)

    def found(self) -> Found:
        """The right side, with the kernel's box in it."""
        parts, right = self.parts, self.right
        one = right.number(1.0)
        shown = [shown_of(right, c) for c in parts.conditions]
        queries = self._product(parts.queries) or one
        keys = self._product([*parts.keys], shown) or one
        values = self._product(parts.values) or one
        q, channel, _ = right.as_one(
            right.expand(queries, self._along(parts.query)), parts.channels
        )
        k, other, _ = right.as_one(right.expand(keys, self._along(parts.key)), parts.channels)
        v = right.expand(values, self._along(parts.key))
        v, width, made = right.as_one(v, [x for x in v[1] if x not in {*self.tubes, parts.key}])
        arguments = [
            (q, {"n": parts.query, "c": channel}),
            (k, {"m": parts.key, "c": other}),
            (v, {"m": parts.key, "e": width}),
        ]
        words = [MEAN] if parts.mean else []
        if parts.levels or parts.references:
            words.append(DECAY)
            level = right.expand(sum_of(right, parts.levels, False), self._along(parts.key))
            reference = right.expand(
                sum_of(right, parts.references, True), self._along(parts.query)
            )
            arguments += [(level, {"m": parts.key}), (reference, {"n": parts.query})]
        result = CHUNKED.box(right, arguments, {"n": parts.query, "e": width}, " ".join(words))
        result = right.apart(result, width, made)
        rest = [right.copied(use) for use in parts.rest]
        over = [x for x in parts.bound if x in result[1] or any(x in f[1] for f in rest)]
        note = "a chunk of positions at a time, what came before as a state"
        return right.found(right.contract([result, *rest], over), note)

    def _along(self, label: Label) -> dict[Label, Size]:
        return {label: self.parts.lengths[0]}

    def _product(self, uses: Sequence[Use], also: Sequence[Use] = ()) -> Use | None:
        factors = [*(self.right.copied(use) for use in uses), *also]
        return float_of(self.right, self.right.contract(factors)) if factors else None


CHUNKED = kernel(
    Kernel(
        name="chunked",
        summary="causal sums with a state: linear attention, with or without decay",
        define=define,
        root="contract",
        find=find,
        runs=runs,
        work=stepwise,
        exponents=lambda variant: {3, 4} if DECAY in variant.split() else set(),
    )
)
