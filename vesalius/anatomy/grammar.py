"""The grammar of recombination: which parts can stand in a slot, and which go together.

A mechanism over queries [n, c], keys [m, c] and values [m, e] is put together from six choices:

    preparation → position → similarity → mask → normaliser → (mix) → gate

Each part says what sign its scores can have, and what it asks of the others; `LAWS` are the
constraints, each with its reason. Whether a member is causal is chosen when it is built, on top of
its mask; the mix is a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import Part
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire

Triple = tuple[Wire, Wire, Wire]
Choice = Mapping[str, Part]
"""A part for each slot of the grammar."""


# -- parts that no mechanism of the catalogue has alone -------------------------------------------


def unit_vectors(q: Wire, k: Wire, v: Wire) -> Triple:
    """q/|q| and k/|k|"""
    return parts.unit(q), parts.unit(k), v


def features(q: Wire, k: Wire, v: Wire) -> Triple:
    """elu(q) + 1 and elu(k) + 1, which are positive"""
    return parts.elu_plus_one(q), parts.elu_plus_one(k), v


def scaled_queries(q: Wire, k: Wire, v: Wire) -> Triple:
    """q / √c"""
    return q / vs.sqrt(q.axes["c"]), k, v


def nowhere(q: Wire, k: Wire) -> None:
    """no positions"""


def nearness(q: Wire, k: Wire) -> Wire:
    """(m − n) / 8"""
    return (vs.to_float(parts.index(k, "m")) - vs.to_float(parts.index(q, "n"))) / 8


def recency(q: Wire, k: Wire) -> Wire:
    """m / 8"""
    return vs.to_float(parts.index(k, "m")) / 8


def exponential(q: Wire, k: Wire) -> Wire:
    """exp((Σ_c q·k) / √c)"""
    return vs.exp(parts.scaled_dot(q, k))


def ungated(o: Wire, q: Wire) -> Wire:
    """o as it is"""
    return o


def gate_of_queries(o: Wire, q: Wire) -> Wire:
    """σ(Σ_c q·W)·o"""
    return vs.sigmoid(vs.linear(q, "c", parts.axes_of(o, "e"), name="gate")) * o


# -- the grammar ----------------------------------------------------------------------------------

SLOTS: dict[str, tuple[Part, ...]] = {
    "preparation": (parts.given, unit_vectors, features, scaled_queries),
    "position": (nowhere, nearness, recency, parts.rotation),
    "similarity": (
        parts.dot,
        parts.scaled_dot,
        parts.softcapped_dot,
        parts.cosine,
        parts.kernel,
        exponential,
    ),
    "mask": (parts.visible, parts.sliding_window),
    "normaliser": (
        parts.softmax,
        parts.softmax_one,
        parts.row_sum,
        parts.sigmoid,
        parts.sigmoid_of_bias,
        parts.relu_by_length,
        parts.relu_by_sum,
        parts.squared_relu,
        parts.spherical,
        parts.sparsemax,
    ),
    "gate": (ungated, gate_of_queries),
}
"""The slots in their order, each with its parts in the order in which they are listed."""

SILENT = (parts.given, nowhere, parts.visible, ungated)
"""The parts that do nothing: a name leaves them out."""

POSITIVE = (parts.kernel, exponential)
"""The similarities that are positive whatever queries and keys are."""

BY_LENGTH = (parts.sigmoid, parts.relu_by_length)
"""The normalisers whose weights depend on how many keys there are: nothing can be cached."""


def is_positive(choice: Choice) -> bool:
    """Whether no score can be below 0."""
    products = choice["preparation"] is features and choice["similarity"] in (
        parts.dot,
        parts.scaled_dot,
    )
    bare = choice["position"] is nowhere
    bare |= choice["position"] is parts.rotation and choice["similarity"] in POSITIVE
    return bare and (products or choice["similarity"] in POSITIVE)


@dataclass(frozen=True)
class Law:
    """A constraint: what may not be, and why."""

    why: str
    broken: Callable[[Choice], bool]


LAWS: tuple[Law, ...] = (
    Law(
        "vectors that are turned are queries and keys, not features of them",
        lambda choice: (
            choice["position"] is parts.rotation
            and (choice["preparation"] is features or choice["similarity"] is parts.kernel)
        ),
    ),
    Law(
        "a window or a gate, one of them, goes around scaled dot products of what is given",
        lambda choice: (
            (choice["mask"] is not parts.visible or choice["gate"] is not ungated)
            and not (
                (choice["mask"] is parts.visible or choice["gate"] is ungated)
                and choice["preparation"] is parts.given
                and choice["similarity"] is parts.scaled_dot
            )
        ),
    ),
    Law(
        "a row that is divided by its sum has no score below 0",
        lambda choice: choice["normaliser"] is parts.row_sum and not is_positive(choice),
    ),
    Law(
        "scores that are positive already are normalised by their sum",
        lambda choice: (
            choice["normaliser"] is not parts.row_sum
            and (choice["similarity"] in POSITIVE or choice["preparation"] is features)
        ),
    ),
    Law(
        "queries are scaled once",
        lambda choice: (
            choice["preparation"] is scaled_queries and choice["similarity"] is not parts.dot
        ),
    ),
    Law(
        "vectors are brought to length 1 once",
        lambda choice: (
            choice["preparation"] is unit_vectors and choice["similarity"] is parts.cosine
        ),
    ),
    Law(
        "features are made once, and of queries and keys as they are",
        lambda choice: choice["similarity"] is parts.kernel and choice["preparation"] is features,
    ),
)


def broken(choice: Choice) -> str:
    """Why parts do not go together; empty when they do."""
    return next((law.why for law in LAWS if law.broken(choice)), "")
