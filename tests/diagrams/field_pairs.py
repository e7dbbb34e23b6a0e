"""Entries of the finite-field pair, by hand."""

import numpy as np

import vesalius as vs
from vesalius.diagrams.meaning.arrays import boxed
from vesalius.diagrams.meaning.residues import FIELD


def pair(value, algebra):
    return algebra.floats(boxed(value))


def made(*entries):
    return np.array(list(entries), dtype=FIELD)


@vs.diagram
def exponential(x: "n") -> "n":
    return vs.exp(x)
