"""A box in a tube is the loop over that tube, in each algebra."""

from typing import Any

import numpy as np
import pytest
import torch

from vesalius.diagrams.meaning import algebra_named

ALGEBRAS = ("torch", "rational", "field", "sympy")
TUBE = 3


def variant(given: Any, dtype: str, turn: int) -> np.ndarray:
    """Another input of the same shape; integers stay, since they may be places in a table."""
    x = np.asarray(given)
    if dtype == "bool":
        return x ^ (turn % 2 == 1)
    return x * (1 + turn) - turn if dtype == "float" else x


def in_tube(case: Any, algebra: Any, inputs: list[Any], parameters: dict[str, Any]) -> list[Any]:
    diagram = case.diagram.over("tube", random=False, parameters=bool(parameters))
    results = diagram.evaluate(
        *inputs,
        algebra=algebra,
        sizes={**case.sizes, "tube": TUBE},
        parameters=parameters or case.parameters,
        randoms=case.randoms,
    )
    return list(results) if isinstance(results, tuple) else [results]


def equal(algebra: Any, x: Any, y: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return x.shape == y.shape and torch.allclose(x.double(), y.double(), rtol=1e-13)
    return algebra.same(x, y)


def assert_loop(case: Any, name: str, tubed: list[Any], runs: list[list[Any]]) -> None:
    """Each output either carries the tube and is the loop's, or depends on no input in it."""
    algebra = algebra_named(name)
    for k, result in enumerate(tubed):
        for turn in range(TUBE):
            here = result[turn] if result.ndim > runs[turn][k].ndim else result
            here = here if isinstance(here, torch.Tensor) else np.asarray(here, result.dtype)
            assert equal(algebra, here, runs[turn][k])


@pytest.mark.parametrize("name", ALGEBRAS)
def test_inputs_in_a_tube(case, name):
    if name in case.outside:
        return
    dtypes = [type_.dtype for type_ in case.diagram.input_types.values()]
    rows = [
        [variant(x, dtype, turn) for x, dtype in zip(case.inputs, dtypes, strict=True)]
        for turn in range(TUBE)
    ]
    runs = [case.run(name, row) for row in rows]
    stacked = [np.stack(column) for column in zip(*rows, strict=True)]
    assert_loop(case, name, in_tube(case, name, stacked, {}), runs)


@pytest.mark.parametrize("name", ALGEBRAS)
def test_parameters_in_a_tube(case, name):
    """Separate weights along the tube, the inputs too."""
    if name in case.outside or not case.parameters:
        return
    rows = [
        {key: variant(value, "float", turn) for key, value in case.parameters.items()}
        for turn in range(TUBE)
    ]
    runs = []
    for row in rows:
        result = case.diagram.evaluate(*case.inputs, algebra=name, parameters=row, sizes=case.sizes)
        runs.append([result])
    stacked = {key: np.stack([row[key] for row in rows]) for key in case.parameters}
    inputs = [np.stack([np.asarray(x)] * TUBE) for x in case.inputs]
    assert_loop(case, name, in_tube(case, name, inputs, stacked), runs)
