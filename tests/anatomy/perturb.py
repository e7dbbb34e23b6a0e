"""Random inputs and parameters for any entry of the catalogue, at any length."""

import torch

LONGEST = 8
SIZES = {"d": 8, "h": 2, "g": 2, "c": 4, "e": 6, "a": 4, "f": 8, "v": 9, "p": LONGEST, "w": 3}
"""Sizes that are not lengths; those that are not here are 2."""


def sizes_at(diagram, n):
    """A number for every size variable of a diagram, n for its lengths."""
    return {
        name: n if name in ("n", "m") else SIZES.get(name, 2) for name in diagram.size_variables
    }


def along_positions(type_):
    """The dimensions of an array that run along positions."""
    sizes = enumerate(type_.axes.values())
    return [k for k, size in sizes if size.variables & {"n", "m"}]


def arrays_at(types, sizes, seed, scale=1.0):
    """Random arrays of these types: numbers in float64, tokens, or truth values."""
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


def cut(arrays, types, n):
    """The first n positions of every array that has positions."""
    found = {}
    for name, x in arrays.items():
        for k in along_positions(types[name]):
            x = x.narrow(k, 0, n)
        found[name] = x
    return found
