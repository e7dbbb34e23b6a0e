"""Trained weights travel: a model is trained, and its weights go where a derivation leads.

Around the start of a derivation a small model of characters is built and trained. Then the
derivation is made again inside the model, the weights are carried along it, and the losses
before and after are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vesalius.anatomy import parts
from vesalius.compile import to_torch
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire
from vesalius.lab.language import (
    Alphabet,
    History,
    Recipe,
    held_out_loss,
    optimiser_for,
    train,
    windows,
)
from vesalius.rewrite.derivation import Derivation

CHUNK = 4  # positions in a chunk or a block
LENGTH = 16  # positions that the model sees
SIZES = {"d": 32, "h": 2, "c": 16, "e": 16, "p": LENGTH, "b": CHUNK, "w": LENGTH // CHUNK}
SIZES |= {"r": 6, "f": 4, "g": 2, "n": LENGTH}


def model_around(core: Diagram) -> Diagram:
    """A model of characters whose attention is this diagram: from tokens to logits, in batches.

    The core reads queries, keys and values of each head, or the residual stream itself as `x` and
    `y`; what else it reads becomes a parameter of each head.
    """

    @diagram(name="model")
    def model(tokens: "n int") -> "n v":
        x, table = parts.embedding(tokens)
        z = _attended(core, x)
        if "n" not in z.names:
            z = z.rename(i="n", j="d")
        into = " ".join(axis for axis in z.names if axis != "n")
        x = x + (z if into == "d" else vs.linear(z, into, "d", name="wo"))
        return vs.contract(x, table, over="d")

    return model.over("batch")


def _attended(core: Diagram, x: Wire) -> Wire:
    wanted = core.input_types
    if "x" in wanted:
        both = [x, x.rename(n="m")]
        made: Wire = core(*both[: len(wanted)])
        return made
    given: dict[str, Wire] = {}
    for name, type_ in wanted.items():
        if name in ("q", "k", "v"):
            given[name] = _projected(x, name, type_)
        else:
            axes = ArrayType({a: x.axes["n"] if a in "nm" else s for a, s in type_.axes.items()})
            words = " ".join(["h", *axes.words()]) if "n" not in type_ else " ".join(axes.words())
            given[name] = vs.parameter(name, words, init="ones" if name == "w" else "zeros")
    result: Wire = core(*(given[name] for name in wanted))
    return result


def _projected(x: Wire, name: str, type_: ArrayType) -> Wire:
    """Queries, keys or values of each head, their positions called as the core calls them."""
    *places, channel = type_
    y = vs.linear(x, "d", f"h {channel}", name=f"w{name}")
    if places == ["n"]:
        return y
    if len(places) == 1:
        return y.rename(n=places[0])
    first, second = places
    return vs.split(y, "n", f"{first} {second}:n/{first}")


def travelled(derivation: Derivation) -> Derivation:
    """The last steps of a derivation, along which a model has weights that can be trained.

    All of them, unless there are diagrams on the way that read other inputs or have holes.
    """
    diagrams = derivation.diagrams
    inputs = diagrams[-1].input_types.keys()
    first = len(derivation)
    while first and diagrams[first - 1].input_types.keys() == inputs:
        if diagrams[first - 1].learners:
            break
        first -= 1
    return derivation[first:]


@dataclass(frozen=True)
class Journey:
    """What became of a trained model: losses in nats per character, in float64."""

    derivation: Derivation
    untrained: float
    before: float
    after: float

    @property
    def change(self) -> float:
        """By how much the loss is larger after the journey."""
        return self.after - self.before


def journey(derivation: Derivation, text: str, *, steps: int = 40) -> Journey:
    """Train a model around the start of a derivation, and carry its weights to the end.

    Where a step reduces, weights travel the other way: take `derivation.inverse()`. Raises
    `NoWitness` where nothing says what the weights become.
    """
    found = derivation.inside(model_around)
    alphabet = Alphabet(text)
    tokens = alphabet.encode(text)
    sizes = {**SIZES, "v": len(alphabet)}
    held_out = windows(tokens[-40 * LENGTH :], LENGTH)
    module = to_torch(found.start, sizes=_needed(found.start, sizes), seed=0)
    untrained = held_out_loss(module, held_out)
    recipe = Recipe(steps=steps, context=LENGTH, batch=16, warm_up=5, rate=1e-2)
    history = History()
    for _ in train(module, optimiser_for(module, recipe), tokens, held_out, recipe, history):
        pass
    state = {key: value.double() for key, value in module.state_dict().items()}
    carried = found.transport(state, sizes=sizes)
    losses = []
    for end, weights in ((found.start, state), (found.end, carried)):
        there = to_torch(end, torch.float64, sizes=_needed(end, sizes))
        there.load_state_dict(weights)
        losses.append(held_out_loss(there, held_out))
    return Journey(found, untrained, *losses)


def _needed(model: Diagram, sizes: dict[str, int]) -> dict[str, int]:
    """The sizes that the parameters of a model need: the length too, where one depends on it."""
    known = {**sizes, "l": CHUNK}
    lengths = [s for type_ in model.parameters.values() for s in type_.axes.values()]
    own = {name for length in lengths for name in length.variables}
    return {
        name: known[name]
        for name in model.size_variables
        if name in known and (name != "n" or name in own)
    }
