"""Strategies for what a diagram is run on: sizes, inputs, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType

MAGNITUDES = (1.0, 0.0, 2.0**-10, 2.0**-40)


@st.composite
def sizes_for(draw: st.DrawFn, diagram: Diagram, largest: int = 4) -> dict[str, int]:
    """A value for each size variable, from 1 to `largest`; shrinks to 1."""
    return {name: draw(st.integers(1, largest)) for name in diagram.size_variables}


@st.composite
def inputs_for(
    draw: st.DrawFn, diagram: Diagram, sizes: Mapping[str, int], magnitudes: bool = False
) -> list[Any]:
    """Numpy arrays for the inputs of a diagram, at these sizes.

    Floats are multiples of 1/4 up to 4 in magnitude, so that sums and products of a few are
    exact in float64; with `magnitudes`, some inputs are scaled down, to zero even. Integers
    lie between -3 and 3.
    """
    arrays = []
    for type_ in diagram.input_types.values():
        array = draw(_array(type_, sizes))
        if magnitudes and type_.dtype == "float":
            array = array * draw(st.sampled_from(MAGNITUDES))
        arrays.append(array)
    return arrays


@st.composite
def parameters_for(draw: st.DrawFn, diagram: Diagram, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Numpy arrays for the parameters of a diagram, by name; values as `inputs_for`, halved."""
    return {name: draw(_array(type_, sizes)) / 2 for name, type_ in diagram.parameters.items()}


@st.composite
def _array(draw: st.DrawFn, type_: ArrayType, sizes: Mapping[str, int]) -> Any:
    """Small arrays entry by entry, so that they shrink; large ones from a seed."""
    import numpy as np

    shape = tuple(length.at(sizes) for length in type_.axes.values())
    count = int(np.prod(shape))
    if count <= 4:
        flat = draw(st.lists(st.integers(-16, 16), min_size=count, max_size=count))
        numbers = np.array(flat, dtype=np.int64)
    else:
        numbers = np.random.default_rng(draw(st.integers(0, 999))).integers(-16, 17, count)
    if type_.dtype == "bool":
        return (numbers % 2 == 1).reshape(shape)
    if type_.dtype == "int":
        return (numbers % 7 - 3).reshape(shape)
    return (numbers / 4).reshape(shape)
