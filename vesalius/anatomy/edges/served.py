"""How softmax attention serves a mechanism: inputs are prepared, and what comes out is handed on.

    sdpa(q(x), k(x), v(x)) → finish of each token's mix

What is made of one token, before and after, reads that token and where it stands, and no other,
but where an edge says that more is read. So what tokens know of each other goes through a softmax,
and whatever computes softmax attention computes these mechanisms, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from vesalius.anatomy import parts
from vesalius.anatomy.edges.registry import lemma
from vesalius.anatomy.mechanism import CATALOGUE, diagram_of
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation, derive
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.interfaces import Prepare
from vesalius.rewrite.moves import Move

Body = Callable[..., Wire]
SEQUENCE = {"x": "n d"}


def served(
    mechanism: str,
    softmax: Mapping[str, Any],
    bodies: Mapping[str, Body],
    why: str,
    *moves: Move,
    reads: Mapping[str, str] = SEQUENCE,
    sizes: Mapping[str, Any] | None = None,
) -> Derivation:
    """From softmax attention, at these options, down to a mechanism, at `sizes`.

    `bodies` make its inputs; their arguments are among `reads`. `moves` follow. `why` says in
    symbols that this is the mechanism.
    """
    start = CATALOGUE["scaled_dot_product"](**softmax)
    found = derive(start, prepared(start.input_types, bodies, reads), *moves)
    return lemma(found, CATALOGUE[mechanism](**(sizes or {})), why)


def prepared(
    types: Mapping[str, ArrayType], bodies: Mapping[str, Body], reads: Mapping[str, str]
) -> Prepare:
    """The move that hands inputs of these types what the bodies make."""
    made = {}
    for name, body in bodies.items():
        own = {port: reads[port] for port in inspect.signature(body).parameters}
        made[name] = diagram_of(name, own, _written(types[name]), body)
    said = (f"{name} → {inspect.getdoc(body) or ''}" for name, body in bodies.items())
    return Prepare(made, ", ".join(said))


def _written(type_: ArrayType) -> str:
    axes = parts.written(**type_.axes)
    return axes if type_.dtype == "float" else f"{axes} {type_.dtype}"


def finish(reads: Mapping[str, str], output: str, body: Body) -> Finish:
    """What is made of each token's mix, the first of what is read; the docstring says what."""
    return Finish(diagram_of("output", reads, output, body), doc=inspect.getdoc(body) or "")


def unscaled(x: Wire) -> Wire:
    """√c·x: scaled products of it are products."""
    return vs.sqrt(x.axes["c"]) * x


def one_hot(place: Wire, axis: str) -> Wire:
    """1 at a place along a new axis, 0 elsewhere"""
    return vs.to_float(vs.equal(place, vs.iota(axis)))


def along_keys(x: Wire) -> Wire:
    """The same tokens, along m."""
    return x.rename(n="m")


def of_heads(o: Wire) -> Wire:
    """Σ_he o·W_o"""
    return parts.join_heads(o)


JOINED = finish({"o": "h e"}, "d", of_heads)


def values(x: Wire) -> Wire:
    """x·W_v"""
    return along_keys(vs.linear(x, "d", "h e", name="wv"))
