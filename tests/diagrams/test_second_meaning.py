"""Diagrams of every kind mean what a second interpreter, written apart, makes of their programs."""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreter import Context, Named, run

from vesalius import testing
from vesalius.diagrams.graph import Diagram


@st.composite
def values(draw: st.DrawFn, diagram: Diagram, sizes: dict[str, int]) -> tuple[list, dict, dict]:
    """Arrays for the inputs, the parameters and the random sources."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    randoms = {}
    for name, type_ in diagram.randoms.items():
        shape = [length.at(sizes) for length in type_.axes.values()]
        drawn = rng.integers(0, 9, shape)
        randoms[name] = drawn > 4 if type_.dtype == "bool" else drawn / 8
    inputs = draw(testing.inputs_for(diagram, sizes))
    return inputs, draw(testing.parameters_for(diagram, sizes)), randoms


@settings(max_examples=150)
@given(testing.programs(max_boxes=6), st.data())
def test_a_program_means_what_its_diagram_means(program: testing.Program, data) -> None:
    diagram = program.diagram()
    sizes = data.draw(testing.sizes_for(diagram, largest=3))
    inputs, parameters, randoms = data.draw(values(diagram, sizes))
    meant = diagram.evaluate(*inputs, sizes=sizes, parameters=parameters, randoms=randoms)
    unread = dict.fromkeys(ascii_lowercase, 2)  # the diagram drops what no output needs
    context = Context({**unread, **sizes}, {**parameters, **randoms})
    arguments = [
        Named(tuple(type_), np.asarray(x))
        for type_, x in zip(program.inputs.values(), inputs, strict=True)
    ]
    with np.errstate(all="ignore"):
        found = run(program, arguments, context)
    meant = meant if isinstance(meant, tuple) else (meant,)
    for one, other, port in zip(meant, found, diagram.outputs, strict=True):
        assert set(other.names) == set(port.axes)
        np.testing.assert_allclose(one.numpy(), other.to(port.axes), rtol=1e-9, atol=1e-9)
