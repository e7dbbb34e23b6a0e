"""Two callables on tensors: are they the same function, with the same gradient?

Compared in float64 on the example inputs and on random ones of the same shapes, at magnitudes
from 1e-4 to 1e4. Nothing is known of what they compute, so the verdict is `sampled`, and a
difference is measured against what a change of the inputs in the last place makes of each.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vesalius.diagrams.errors import TypeClash
from vesalius.rewrite.checking.draws import STYLES, floats
from vesalius.rewrite.verdict import Tier, Verdict

ROUNDS = 2  # of all styles
NUDGES = 3  # changes in the last place, to see what rounding makes of the results
SIMPLIFIED = 60  # entries that are simplified
Tensors = tuple[torch.Tensor, ...]
Function = Callable[..., Any]


@dataclass(frozen=True)
class ModuleCounterexample:
    """Inputs at which two callables differ, or with `gradient` their gradients; prints as a
    script where they can be imported."""

    left: Any
    right: Any
    inputs: Tensors
    gradient: bool = False

    def __str__(self) -> str:
        places = [_place(f) for f in (self.left, self.right)]
        modules = {place[0] for place in places if place is not None}
        lines = ["import torch", *(f"import {m}" for m in sorted(modules - {"torch"})), ""]
        for name, f, place in zip(("left", "right"), (self.left, self.right), places, strict=True):
            shown = repr(f).split("\n")[0]
            known = ".".join(place) if place is not None else f"...  # put yours here: {shown}"
            lines.append(f"{name} = {known}")
        lines += ["", "inputs = [", *(f"    {_literal(x)}," for x in self.inputs), "]"]
        called = "left(*inputs), right(*inputs)"
        if self.gradient:
            where = "vesalius.rewrite.checking.modules"
            lines.insert(1, f"from {where} import Gradient")
            called = (
                "(torch.cat([y.flatten() for y in Gradient(f)(*inputs)]) for f in (left, right))"
            )
        lines += [
            f"one, other = {called}",
            "assert torch.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True), (",
            '    f"the sides differ:\\n  left  {one.tolist()}\\n  right {other.tolist()}"',
            ")",
        ]
        return "\n".join(lines) + "\n"


def check_modules(left: Function, right: Function, inputs: Any, *, seed: int = 0) -> Verdict:
    """Whether two callables give the same tensors; `inputs` are examples. See `check`."""
    name = f"{_name(left)} = {_name(right)}"
    examples = _examples(inputs)
    sides = (_double(left), _double(right))
    try:
        examples = [tuple(map(_doubled, row)) for row in examples]
        for side in sides:
            _run(side, examples[0], seed)
    except RuntimeError:  # one of them holds tensors of its own element type
        examples, sides = _examples(inputs), (left, right)
    trials, worst = 0, 0.0
    notes: dict[str, None] = {}
    for values, ordinary in _draws(examples, seed):
        results = [_run(side, values, seed) for side in sides]
        if not trials:
            for what, side, result in zip(("left", "right"), sides, results, strict=True):
                if not _same_bits(result, _run(side, values, seed + 1)):
                    reason = f"the {what} side draws random numbers: compare in eval mode"
                    return Verdict(name, "equal", False, "outside", reason)
        trials += 1
        shapes = [[tuple(y.shape) for y in result] for result in results]
        if shapes[0] != shapes[1]:
            reason = f"the left side gives shapes {shapes[0]}, the right side {shapes[1]}"
            return _failed(name, reason, trials, None)
        error, excess, finite = _distance(sides, values, results, seed)
        if not finite and not ordinary:
            notes["only one side stays finite at a large magnitude"] = None
        elif not finite or excess > 1:
            small = _simplified(sides, values, seed)
            reason = f"they differ by {error:.1e}" if finite else "only one side is finite"
            return _failed(name, reason, trials, ModuleCounterexample(left, right, small))
        worst = max(worst, error)
    tier = Tier("floats", "equal", trials, "magnitudes 1e-16 to 1e16")
    found = _check_gradients((left, right), sides, examples, seed)
    if isinstance(found, str):
        notes[found] = None
        found = Tier("gradients", "outside", 0, found)
    elif isinstance(found, Verdict):
        return replace(found, name=name, tiers=(tier, *found.tiers))
    return Verdict(
        name, "equal", True, "sampled", "", (tier, found), notes=tuple(notes), measured=worst
    )


# -- gradients ------------------------------------------------------------------------------------


class Gradient:
    """The gradient of a weighted sum of a callable's outputs, in its inputs of floats.

    The weights are cosines of 1, 2, …, the same for all callables. An input on which nothing
    depends has the gradient 0. Raises `RuntimeError` where nothing can be differentiated.
    """

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        with torch.enable_grad():
            given = [x.detach().clone() for x in inputs]
            real = [x.requires_grad_() for x in given if x.is_floating_point()]
            total = torch.zeros((), dtype=torch.float64)
            for y in _flat(self.function(*given)):
                if y.requires_grad:
                    weights = torch.cos(torch.arange(1, y.numel() + 1, dtype=torch.float64))
                    total = total + (y.double().flatten() * weights).sum()
            found = torch.autograd.grad(total, real, allow_unused=True)
        return [torch.zeros_like(x) if g is None else g for x, g in zip(real, found, strict=True)]


def _check_gradients(
    names: Sequence[Function], sides: Sequence[Function], examples: Sequence[Tensors], seed: int
) -> Tier | Verdict | str:
    """A tier where they agree, a verdict where they don't, a reason where there is none."""
    if not any(x.is_floating_point() for row in examples for x in row):
        return "no input is of floats, so there is no gradient"
    gradients = tuple(map(Gradient, sides))
    trials = 0
    for values, ordinary in _draws(examples, seed):
        if not ordinary:  # elsewhere there are kinks, and gradients that overflow
            continue
        results = []
        for what, side in zip(("left", "right"), gradients, strict=True):
            try:
                results.append(_run(side, values, seed))
            except RuntimeError as problem:  # torch has no derivative of something inside
                return f"the {what} side has no gradient: {str(problem).splitlines()[0]}"
        trials += 1
        error, excess, finite = _distance(gradients, values, results, seed)
        if not finite or excess > 1:
            tier = Tier("gradients", "different", trials)
            reason = f"their gradients differ by {error:.1e}" if finite else "one has no gradient"
            small = _simplified(gradients, values, seed)
            shown = ModuleCounterexample(names[0], names[1], small, gradient=True)
            return Verdict("", "equal", False, "sampled", reason, (tier,), shown)
    return Tier("gradients", "equal", trials)


def _failed(name: str, reason: str, trials: int, found: ModuleCounterexample | None) -> Verdict:
    tier = Tier("floats", "different", trials)
    return Verdict(name, "equal", False, "sampled", reason, (tier,), found)


# -- values ---------------------------------------------------------------------------------------


def _examples(inputs: Any) -> list[Tensors]:
    groups = inputs if isinstance(inputs, list) else [inputs]
    examples = []
    for group in groups:
        row = (group,) if isinstance(group, torch.Tensor) else group
        if not isinstance(row, tuple) or not all(isinstance(x, torch.Tensor) for x in row):
            raise TypeClash("check of callables: inputs= is a tuple of tensors, or a list of such")
        examples.append(row)
    if not examples:
        raise TypeClash("check of callables: inputs= holds no example")
    return examples


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return x.double() if x.is_floating_point() else x


def _draws(examples: Sequence[Tensors], seed: int) -> Iterator[tuple[Tensors, bool]]:
    """The examples, then random values of their shapes; and whether they are of size 1."""
    for example in examples:
        yield example, True
    for k, example in enumerate(examples):
        for j in range(ROUNDS * len(STYLES)):
            style = STYLES[j % len(STYLES)]
            rng = np.random.default_rng([seed, 20, k, j])
            ordinary = style.shape == "normal" and style.magnitude == 1
            yield tuple(_like(x, style, rng) for x in example), ordinary


def _like(x: torch.Tensor, style: Any, rng: np.random.Generator) -> torch.Tensor:
    if x.is_floating_point():
        return torch.as_tensor(floats(tuple(x.shape), style, rng), dtype=x.dtype)
    if x.dtype == torch.bool:
        return torch.as_tensor(rng.random(tuple(x.shape)) < 0.5)
    low, high = (int(x.min()), int(x.max())) if x.numel() else (0, 0)
    return torch.as_tensor(rng.integers(low, high + 1, tuple(x.shape)), dtype=x.dtype)


def _double(function: Function) -> Function:
    """A copy of a module with floats in double precision; other callables as they are."""
    if isinstance(function, torch.nn.Module):
        return copy.deepcopy(function).double()
    return function


def _run(function: Function, values: Tensors, seed: int) -> list[torch.Tensor]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return list(_flat(function(*(x.clone() for x in values))))


def _flat(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _flat(value)
    elif isinstance(result, (tuple, list)):
        for value in result:
            yield from _flat(value)
    elif result is not None:
        raise TypeClash(f"check of callables: a result is a {type(result).__name__}, no tensor")


def _same_bits(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(
        torch.equal(torch.nan_to_num(x), torch.nan_to_num(y))
        for x, y in zip(one, other, strict=True)
    )


# -- distance -------------------------------------------------------------------------------------


def _distance(
    sides: Sequence[Function], values: Tensors, results: Sequence[list[torch.Tensor]], seed: int
) -> tuple[float, float, bool]:
    """The largest difference, also relative to the room for rounding; whether both are finite
    in the same places."""
    spread = [torch.zeros(y.shape, dtype=torch.float64) for y in results[0]]
    kinds = [torch.finfo(x.dtype).eps for x in values if x.is_floating_point()]
    last = max(kinds, default=2e-16)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(NUDGES):
        moved = tuple(_nudged(x, 4 * last, generator) for x in values)
        for side, known in zip(sides, results, strict=True):
            for k, (x, y) in enumerate(zip(known, _run(side, moved, seed), strict=True)):
                gap = torch.nan_to_num((x.double() - y.double()).abs(), nan=0.0, posinf=0.0)
                spread[k] = torch.maximum(spread[k], gap)
    error, excess, finite = 0.0, 0.0, True
    for x, y, width in zip(*results, spread, strict=True):
        a, b = x.double(), y.double()
        both = torch.isfinite(a) & torch.isfinite(b)
        finite = finite and bool((torch.isfinite(a) == torch.isfinite(b)).all())
        if not both.any():
            continue
        scale = torch.maximum(a.abs(), b.abs())
        largest = scale[both].max()
        room = 1e3 * width + 1e3 * last * scale + 10 * last * largest + 1e-300
        gap = (a - b).abs()
        error = max(error, float(gap[both].max()))
        excess = max(excess, float((gap / room)[both].max()))
    return error, excess, finite


def _nudged(x: torch.Tensor, by: float, generator: torch.Generator) -> torch.Tensor:
    """Each entry a little larger or smaller."""
    if not x.is_floating_point():
        return x
    signs = 2 * torch.randint(2, x.shape, generator=generator).to(x.dtype) - 1
    return x * (1 + by * signs)


def _simplified(sides: Sequence[Function], values: Tensors, seed: int) -> Tensors:
    """Entries made small integers, as long as the sides differ clearly."""

    def differs(candidate: Tensors) -> bool:
        results = [_run(side, candidate, seed) for side in sides]
        return any(
            not torch.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True)
            for x, y in zip(*results, strict=True)
        )

    if not differs(values):
        return values
    count = 0
    for k in range(len(values)):
        for place in np.ndindex(tuple(values[k].shape)):
            count += 1
            if count > SIMPLIFIED or values[k].dtype == torch.bool:
                break
            for choice in (0.0, 1.0, float(values[k][place].round())):
                changed = values[k].clone()
                changed[place] = choice
                candidate = (*values[:k], changed, *values[k + 1 :])
                if differs(candidate):
                    values = candidate
                    break
    return values


# -- names ----------------------------------------------------------------------------------------


def _name(function: Any) -> str:
    name: str = getattr(function, "__name__", type(function).__name__)
    return name


def _place(function: Any) -> tuple[str, str] | None:
    """The module and the name under which a callable can be imported, if there is one."""
    name = getattr(function, "__name__", "")
    for module in (getattr(function, "__module__", None), "torch", "torch.nn.functional"):
        if module in (None, "__main__") or not name:
            continue
        if getattr(sys.modules.get(module), name, None) is function:
            return module, name
    return None


def _literal(x: torch.Tensor) -> str:
    kind = ", dtype=torch.float64" if x.is_floating_point() else ""
    return f"torch.tensor({x.tolist()}{kind})"
