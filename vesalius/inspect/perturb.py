"""What outputs depend on, found out by changing inputs: causality, and stability under growth.

Arrays that run along positions are those with an axis of size n or m. A diagram *leaks* where an
output moves although only later positions were changed; it *grows* where outputs move although
positions were only appended, so that nothing that was computed for them can be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.types import ArrayType

if TYPE_CHECKING:
    from torch import Tensor

    from vesalius.anatomy.mechanism import Mechanism

POSITIONS = frozenset({"n", "m"})
LONGEST = 8
SIZES = {
    "d": 8,
    "h": 4,
    "g": 2,
    "c": 4,
    "e": 6,
    "a": 4,
    "f": 8,
    "r": 3,
    "v": 9,
    "p": LONGEST,
    "w": 3,
    "l": 4,
    "s": 4,
}
"""Sizes that are not lengths; those that are not here are 2."""
TOLERANCE = 1e-12  # float64, relative to the largest output

Arrays = dict[str, "Tensor"]
Sizes = Mapping[str, int]


def shallow(mechanism: Mechanism, **options: Any) -> Diagram:
    """Its diagram; of a stack two layers, as through many random weights forget what they read."""
    layers = {"layers": 2} if "layers" in mechanism.options else {}
    return mechanism(**options, **layers)


def sizes_at(diagram: Diagram, n: int) -> dict[str, int]:
    """A number for every size variable of a diagram, n for its lengths."""
    return {name: n if name in POSITIONS else SIZES.get(name, 2) for name in diagram.size_variables}


def along_positions(type_: ArrayType) -> list[int]:
    """The dimensions of an array that run along positions."""
    return [k for k, size in enumerate(type_.axes.values()) if size.variables & POSITIONS]


def arrays_at(
    types: Mapping[str, ArrayType], sizes: Sizes, seed: int, scale: float = 1.0
) -> Arrays:
    """Random arrays of these types: numbers in float64, tokens, or truth values."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, type_ in types.items():
        shape = [size.at(sizes) for size in type_.axes.values()]
        if type_.dtype == "int":
            found[name] = torch.randint(sizes.get("v", 2), shape, generator=generator)
        else:
            noise = torch.randn(shape, generator=generator, dtype=torch.float64)
            found[name] = noise > -0.5 if type_.dtype == "bool" else scale * noise
    return found


def cut(arrays: Mapping[str, Tensor], types: Mapping[str, ArrayType], sizes: Sizes) -> Arrays:
    """What these sizes leave of every array that has positions: its first ones."""
    found = {}
    for name, x in arrays.items():
        lengths = [size.at(sizes) for size in types[name].axes.values()]
        for k in along_positions(types[name]):
            x = x.narrow(k, 0, lengths[k])
        found[name] = x
    return found


def change_from(diagram: Diagram, at: int, n: int, seed: int) -> list[bool]:
    """The positions of the output that move when every input changes from position `at` on."""
    import torch

    sizes = sizes_at(diagram, n)
    parameters = arrays_at(diagram.parameters, sizes, seed)
    first, other = (arrays_at(diagram.input_types, sizes, s) for s in (seed, seed + 100))
    mixed = {}
    for name, x in first.items():
        mixed[name] = x.clone()
        if x.is_floating_point():
            late = other[name]
        else:
            late = ~x if x.dtype == torch.bool else (x + 1) % sizes.get("v", 2)
        for k in along_positions(diagram.input_types[name]):
            mixed[name].narrow(k, at, n - at).copy_(late.narrow(k, at, n - at))
    return moved(run(diagram, first, parameters, n), run(diagram, mixed, parameters, n), n)


def growth_from(diagram: Diagram, n: int, longest: int, seed: int) -> list[bool]:
    """Which of the first n positions of the output move when positions are appended."""
    sizes = sizes_at(diagram, longest)
    parameters = arrays_at(diagram.parameters, sizes, seed)
    inputs = arrays_at(diagram.input_types, sizes, seed)
    fewer = sizes_at(diagram, n)
    few = (
        cut(inputs, diagram.input_types, fewer),
        cut(parameters, diagram.parameters, fewer),
    )
    return moved(run(diagram, *few, n), run(diagram, inputs, parameters, longest), n)


def run(
    diagram: Diagram, inputs: Mapping[str, Any], parameters: Mapping[str, Any], n: int
) -> Tensor:
    """The reference in float64."""
    sizes = sizes_at(diagram, n)
    found: Tensor = diagram.evaluate(*inputs.values(), parameters=parameters, sizes=sizes)
    return found


def moved(before: Tensor, after: Tensor, n: int) -> list[bool]:
    """Which of the first n positions of the outputs are not what they were."""
    scale = 1 + before.abs().max()
    places = range(min(n, len(before)))  # what stands for the whole may have fewer
    return [bool((before[i] - after[i]).abs().max() > TOLERANCE * scale) for i in places]


def leaks(diagram: Diagram, lengths: Sequence[int], seeds: Iterable[int] = range(4)) -> bool:
    """Whether an output can move that is before all that changed.

    Weights that a formula cuts off may stay so: what counts is what happens for any of the seeds.
    """
    return any(
        any(change_from(diagram, at, n, seed)[:at])
        for n in lengths
        for at in range(1, n)
        for seed in seeds
    )


def grows(diagram: Diagram, lengths: Sequence[int], seeds: Iterable[int] = range(4)) -> bool:
    """Whether an output can move when positions are appended, up to the last of the lengths."""
    *short, longest = sorted(lengths)
    return any(any(growth_from(diagram, n, longest, seed)) for n in short for seed in seeds)
