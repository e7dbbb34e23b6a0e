"""Random e-graphs: small diagrams whose axes all have one size, and merges that mean nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import vesalius as vs
from vesalius.diagrams.builder import Builder, Use

POOL = ("p", "q", "r", "s")


@st.composite
def small_diagrams(draw: st.DrawFn) -> vs.Diagram:
    """Diagrams in which all axes have one size, so that everything can be renamed."""
    builder = Builder("drawn")
    wires = [builder.input(f"x{k}", " ".join(f"{a}:n" for a in draw(_AXES))) for k in range(2)]
    with builder:
        for _ in range(draw(st.integers(1, 7))):
            verb = draw(st.sampled_from(["exp", "contract", "contract", "add", "softmax", "less"]))
            x = draw(_renamed(wires))
            y = draw(_renamed(wires))
            if len(set(x.names) | set(y.names)) > 3:
                continue
            if verb == "exp":
                made = vs.exp(x)
            elif verb == "softmax" and x.names:
                made = vs.softmax(x, over=x.names[0])
            elif verb == "contract":
                both = sorted(set(x.names) | set(y.names))
                made = vs.contract(
                    x, y, over=draw(st.lists(st.sampled_from(both), unique=True)) if both else ""
                )
            elif verb == "less":
                made = vs.to_float(vs.less(x, y))
            else:
                made = x + y
            wires.append(made)
    return builder.diagram(**{f"y{k}": wire for k, wire in enumerate(wires)})


_AXES = st.sampled_from(["", "p", "pq", "pqr"])


@st.composite
def _renamed(draw: st.DrawFn, wires: list[Any]) -> Any:
    wire = draw(st.sampled_from(wires))
    names = draw(st.permutations(POOL[:3]))
    return wire.rename(**dict(zip(wire.names, names, strict=False)))


@st.composite
def merges(draw: st.DrawFn, diagram: vs.Diagram, most: int = 6) -> list[tuple[Use, Use]]:
    """Pairs of uses of wires of one type, to be taken as equal."""
    found = []
    types = diagram.types
    for _ in range(draw(st.integers(0, most))):
        one = draw(st.sampled_from(range(len(types))))
        other = draw(st.sampled_from([w for w, t in enumerate(types) if t == types[one]]))
        names = POOL[: len(types[one].sizes)]
        found.append(((one, names), (other, tuple(draw(st.permutations(names))))))
    return found


def labelled(seen: list[Use], use: Use) -> Use:
    """The use in the e-graph of a use in the diagram."""
    wire, labels = use
    group, slots = seen[wire]
    return group, tuple(labels[slot] for slot in slots)
