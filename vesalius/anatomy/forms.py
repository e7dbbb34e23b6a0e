"""Sums over keys whose weights are products of features: three forms that compute one function.

    Σ_m (Σ_c φq[n,c]·φk[m,c])·v[m,e]  =  Σ_c φq[n,c]·(Σ_m φk[m,c]·v[m,e])

The left side has a weight for each query and key; the right one sums what knows nothing of queries
first. Along positions that sum is a state, which grows as positions come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import Part, diagram_of, explicit, mask_inputs
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import among
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire

Form = Literal["weights", "state", "scan"]
Features = Callable[[Wire, Wire], tuple[Wire, Wire]]

QKV = {"q": "n c", "k": "m c", "v": "m e"}


def chosen(name: str, form: Form | None, causal: bool) -> Form:
    """The form asked for, else the one whose cost is linear: `scan` if causal, else `state`."""
    form = form or ("scan" if causal else "state")
    if form not in get_args(Form):
        raise FormatError(among(f"{name}: the form", get_args(Form), form))
    if form != "weights" and causal != (form == "scan"):
        raise FormatError(
            f"{name}: the form {form!r} is {'' if form == 'scan' else 'not '}causal; "
            f"write form={'scan' if causal else 'state'!r} or form='weights'"
        )
    return form


def of_features(
    name: str, stands: Mapping[str, Part], features: Features, least: float | None = None
) -> Callable[..., Diagram]:
    """The builder of a mechanism whose weights are products of features, divided by their sum.

    `features` makes those of q and of k, along the axis `c`; `stands["similarity"]` is their
    product. `least` is what the divisor is at least, if that is said.
    """

    def build(*, causal: bool = False, padding: bool = False, form: Form | None = None) -> Diagram:
        """One of three forms that compute the same function.

        `weights` has a weight for each query and key, as the formula does: n·m of them. `state`
        first sums what the keys say, which is possible when every query sees the same keys. `scan`
        carries these sums along the positions, which makes it causal. Without a form, the one
        whose cost is linear: `scan` if causal, else `state`.
        """
        form = chosen(name, form, causal)
        if form == "weights":
            return explicit(name, QKV, "n e", stands)(causal=causal, padding=padding)

        def body(q: Wire, k: Wire, v: Wire, keep: Wire | None = None) -> Wire:
            queries, keys = features(q, k)
            if keep is not None:
                keys = vs.where(keep, keys, 0.0)
            o, total = (along if causal else at_once)(queries, keys, v)
            return o / (total if least is None else vs.maximum(total, least))

        return diagram_of(name, *ports(causal, padding), body)

    return build


def ports(causal: bool, padding: bool) -> tuple[dict[str, str], str]:
    """Inputs and output; along positions, queries and keys are the same positions."""
    keys = "m:n" if causal else "m"
    inputs = {"q": "n c", "k": f"{keys} c", "v": f"{keys} e"}
    return inputs | mask_inputs(keys, padding, False), "n e"


def at_once(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire]:
    """The sum of values by their weights, and the sum of weights, of all keys."""
    return parts.dot(q, vs.contract(k, v, over="m")), parts.dot(q, vs.sum(k, "m"))


@diagram
def step(
    state: "c e", total: "c", q: "c", k: "c", v: "e"
) -> {"state": "c e", "total": "c", "o": "e", "sum": ""}:  # type: ignore[misc]
    """One position: add a key and its value, then answer a query."""
    state, total = state + k * v, total + k
    return {"state": state, "total": total, "o": parts.dot(q, state), "sum": parts.dot(q, total)}


def along(q: Wire, k: Wire, v: Wire) -> tuple[Wire, Wire]:
    """The same of the keys up to each position."""
    *_, o, total = vs.scan(
        step,
        over="n",
        states=[empty(c=k, e=v), empty(c=k)],
        sequences=[q, k.rename(m="n"), v.rename(m="n")],
    )
    return o, total


def empty(**axes: Wire) -> Wire:
    """A state before the first position: zeros, each axis as long as the wire has it."""
    return vs.expand(0.0, parts.written(**{axis: x.axes[axis] for axis, x in axes.items()}))
