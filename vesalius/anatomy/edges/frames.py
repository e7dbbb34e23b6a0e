"""Attention as a frame with slots; slots are opened, and filled with what another mechanism has.

    HEADS.siblings("alibi", "−m·|j − i| in the score", similarity=sloped)

An open slot is a learner: a hole for any function of what the slot reads, and of nothing else. The
frame with some slots open is a family, which holds whatever fills them. The derivation goes up from
a mechanism to the family, whose open slots are those in which it differs from softmax attention,
and down to softmax attention: both are among the functions of the family, so they are siblings.
Neither promises anything of the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import Place, at, lemma
from vesalius.anatomy.forms import QKV
from vesalius.anatomy.mechanism import CATALOGUE, Part, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import finish_as, start
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.sizes import size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.moves import Fill, Move
from vesalius.rewrite.rules import softmaxes

PLACES = {"i": " int", "j": " int"}
"""Where a query and a key stand."""


@dataclass(frozen=True)
class Slot:
    """What a slot reads, the axes of what it makes, and what softmax attention has there.

    Axes that what it reads has beyond these are tubes: the slot does the same along them.
    """

    reads: Mapping[str, str]
    makes: str
    usual: Part

    def opened(self, name: str) -> Part:
        """A learner in its place."""
        types = map(ArrayType.parse, self.reads.values())
        bound = " ".join(dict.fromkeys(axis for type_ in types for axis in type_))

        def hole(**given: Wire) -> Wire:
            wires = (given[port] for port in self.reads)
            return vs.learner(name, *wires, binds=bound, into=self.makes)

        return hole

    def filled(self, name: str, part: Part, sizes: Mapping[str, Any]) -> Diagram:
        """A part as what fills it, at these sizes."""
        reads = {port: _at(axes, sizes) for port, axes in self.reads.items()}
        return diagram_of(name, reads, _at(self.makes, sizes), part)


def _at(axes: str, sizes: Mapping[str, Any]) -> str:
    """Axes as they are written, at sizes."""
    type_ = ArrayType.parse(axes)
    known = {name: size(value) for name, value in sizes.items()}
    found = {axis: length.substitute(known) for axis, length in type_.axes.items()}
    return " ".join(
        [*parts.written(**found).split(), *([] if type_.dtype == "float" else [type_.dtype])]
    )


@dataclass(frozen=True)
class Frame:
    """Softmax attention with its slots: `body(slots, **inputs)` puts it together.

    With nothing opened it is the mechanism `of` at `options`, or `finish` leads a derivation that
    ends there on to it. `name` tells frames apart, where two have slots of the same names.
    """

    of: str
    inputs: Mapping[str, str]
    output: str
    slots: Mapping[str, Slot]
    body: Callable[..., Wire]
    finish: Callable[[Derivation, Diagram], Derivation] | None = None
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def opened(self, *names: str, **sizes: Any) -> Diagram:
        """The family: the frame with learners in these slots. Raises `StructureError`."""
        for name in names:
            if name not in self.slots:
                known = ", ".join(self.slots)
                raise StructureError(f"a frame of {self.of} has the slots {known}, not {name!r}")
        held = {
            name: slot.opened(name) if name in names else slot.usual
            for name, slot in self.slots.items()
        }

        def body(**given: Wire) -> Wire:
            return self.body(held, **given)

        name = f"any {', '.join(names)}{self.name and f' ({self.name})'}"
        found = diagram_of(name, self.inputs, self.output, body)
        for unread in (slot for slot in names if slot not in found.learners):
            raise StructureError(f"{name}: nothing reads {unread!r} but slots that are not open")
        return found.substitute(**sizes) if sizes else found

    def fill(self, sizes: Mapping[str, Any] | None = None, **with_: Part) -> Fill:
        """The move that fills slots with parts, of these sizes where they are chosen."""
        bodies = {
            name: self.slots[name].filled(name, part, sizes or {}) for name, part in with_.items()
        }
        return Fill(bodies, "; ".join(f"{n}: {_summary(part)}" for n, part in with_.items()))

    def siblings(
        self,
        mechanism: str | Place,
        why: str,
        *special: Move,
        sizes: Mapping[str, Any] | None = None,
        **opened: Part,
    ) -> Derivation:
        """From a mechanism up to the family with these slots open, and down to softmax attention.

        `opened` are the parts with which the slots are filled to be the mechanism; `why` says in
        symbols that it is that. `special` are moves that reduce besides: parameters of the slots
        are tied, inputs are prepared. `sizes` are those of the frame, where they are chosen.
        """
        name, options = mechanism if isinstance(mechanism, tuple) else at(mechanism)
        family = self.opened(*opened, **(sizes or {}))
        up, down = (
            self.fill(sizes, **opened),
            self.fill(None, **{n: self.slots[n].usual for n in opened}),
        )
        filled = _plain(up.apply(family), f"{self.of} with the {', '.join(opened)} of {name}")
        own = derive(filled, *special)
        found = Derivation(CATALOGUE[name](**options))
        found = found if found.end == own.end else lemma(found, own.end, why)
        found = (found >> own.inverse()).back(up, family)
        whole = CATALOGUE[self.of](**self.options)
        whole = whole.substitute(**sizes_of(whole, sizes or {}))
        if self.finish is None:
            return found.reach(down, whole)
        return self.finish(found.then(down), whole)


def _summary(part: Part) -> str:
    return (inspect.getdoc(part) or "").partition("\n")[0]


def _plain(filled: Diagram, name: str) -> Diagram:
    """The diagram by this name, whose parameters are called as they are in the slots.

    Where several slots have one of one name, in all but the first the slot stands in front:
    `output.gain`.
    """
    names: dict[str, str] = {}
    for own in filled.parameters:
        plain = own.partition(".")[2] or own
        names[own] = own if plain in names.values() else plain
    return renamed(filled, names, name)


def renamed(found: Diagram, names: Mapping[str, str], name: str) -> Diagram:
    """The diagram by this name, with other names for its parameters."""
    builder, wires = start(name, found.doc, found.input_types.items())
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in wires]
    tokens = {token: token.fresh(names[token.name], {}) for token, _ in found.tokens}
    return finish_as(builder, found, builder.graft(found, uses, replace=tokens), ())


def places(q: Wire, k: Wire) -> tuple[Wire, Wire]:
    """Where the tokens along n and along m stand."""
    return parts.index(q, "n"), parts.index(k, "m")


def row(part: Part) -> Part:
    """A normaliser of the catalogue as a function of one row of scores."""

    def of_row(scores: Wire, **_: Wire) -> Wire:
        return part(scores, None)

    of_row.__doc__ = part.__doc__
    return of_row


def as_it_is(scores: Wire) -> Wire:
    """s: scores are weights"""
    return scores


# -- attention to given queries, keys and values --------------------------------------------------


def scaled(q: Wire, k: Wire, **_: Wire) -> Wire:
    """(Σ_c q·k)/√c"""
    return parts.scaled_dot(q, k)


def _attention(slots: Mapping[str, Part], q: Wire, k: Wire, v: Wire) -> Wire:
    i, j = places(q, k)
    scores = slots["similarity"](q=q, k=k, i=i, j=j)
    return parts.weighted_sum(slots["normaliser"](scores=scores), v)


ATTENTION = Frame(
    "scaled_dot_product",
    QKV,
    "n e",
    {
        "similarity": Slot({"q": "c", "k": "c", **PLACES}, "", scaled),
        "normaliser": Slot({"scores": "m"}, "m", row(parts.softmax)),
    },
    _attention,
)
"""Σ_m N(s)[m]·v[m], s = S(q, k, n, m)."""


def exponential(q: Wire, k: Wire, **_: Wire) -> Wire:
    """exp((Σ_c q·k)/√c)"""
    return vs.exp(parts.scaled_dot(q, k))


def _smoother(slots: Mapping[str, Part], q: Wire, k: Wire, v: Wire) -> Wire:
    i, j = places(q, k)
    return parts.weighted_sum(parts.row_sum(slots["kernel"](q=q, k=k, i=i, j=j), None), v)


def _folded(found: Derivation, softmax: Diagram) -> Derivation:
    return found.back(softmaxes.unfold_softmax, softmax)


SMOOTHER = Frame(
    "scaled_dot_product",
    QKV,
    "n e",
    {"kernel": Slot({"q": "c", "k": "c", **PLACES}, "", exponential)},
    _smoother,
    _folded,
)
"""Σ_m κ·v[m] / Σ_m κ, κ = κ(q, k, n, m): a kernel smoother. Tsai et al. 2019, arXiv 1908.11775."""
