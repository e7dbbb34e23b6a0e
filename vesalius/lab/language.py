"""A language model of characters: a text as integers, training, held-out loss, samples.

Losses are cross-entropies in nats per character. All randomness is drawn from the seed and the
step alone, so that training which was interrupted and resumed takes the same steps as training
which was not.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vesalius.diagrams.errors import FormatError

MOST_WINDOWS = 1000
"""So many windows of held-out text are enough to know the loss; a longer text is sampled."""


class Alphabet:
    """The characters of a text, in order of code points, and their places.

    >>> Alphabet("to be").characters
    ' beot'
    >>> Alphabet("to be").decode(Alphabet("to be").encode("be"))
    'be'
    """

    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text)))
        self._places = {character: k for k, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The places of the characters, int64, shape [len(text)]."""
        return torch.tensor([self._places[character] for character in text])

    def decode(self, places: Tensor) -> str:
        """The text that `encode` gives these places for."""
        return "".join(self.characters[k] for k in places.tolist())


@dataclass(frozen=True)
class Recipe:
    """How to train: `rate` rises for `warm_up` steps, then falls to a tenth along a cosine."""

    steps: int
    context: int = 64
    batch: int = 16
    rate: float = 3e-3
    warm_up: int = 30
    decay: float = 0.1
    look_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "context", "batch", "look_every"):
            if getattr(self, name) < 1:
                raise FormatError(f"{name} is at least 1, not {getattr(self, name)}")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


@dataclass
class History:
    """What was seen: (step, loss) of each batch and of the looks at the held-out text."""

    training: list[tuple[int, float]] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.training)

    @property
    def looked(self) -> bool:
        """Whether the held-out loss has been measured after the last step."""
        return bool(self.held_out) and self.held_out[-1][0] == self.step

    def first_below(self, bar: float) -> int | None:
        """The step after which the held-out loss was first seen below the bar."""
        return next((step for step, loss in self.held_out if loss < bar), None)


def windows(tokens: Tensor, length: int, most: int = MOST_WINDOWS) -> Tensor:
    """Consecutive windows, shape [windows, length + 1], each overlapping the next by one token.

    So every token but the first is predicted once; what is left over at the end is not. A text
    that is too short gives one shorter window. Of more than `most`, every so many-eth is taken.
    """
    length = min(length, len(tokens) - 1)
    cut = tokens.unfold(0, length + 1, length)
    return cut[:: -(-len(cut) // most)]


def loss_of(module: nn.Module, rows: Tensor) -> Tensor:
    """The mean loss of predicting each token of the rows from those before it in its row."""
    return F.cross_entropy(module(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(module: nn.Module, rows: Tensor, batch: int = 64) -> float:
    """The mean loss over all rows."""
    losses = [float(loss_of(module, part)) * len(part) for part in rows.split(batch)]
    return math.fsum(losses) / len(rows)


def train(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    tokens: Tensor,
    held_out: Tensor,
    recipe: Recipe,
    history: History,
) -> Iterator[History]:
    """Take the steps that `history` lacks; yields it after each. Stop whenever you like.

    The held-out loss is measured every `look_every` steps and after the last.
    """
    length = min(recipe.context, len(tokens) - 1)
    starts = len(tokens) - length
    offsets = torch.arange(length + 1)
    for step in range(history.step, recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        at = torch.randint(starts, (recipe.batch, 1), generator=generator)
        loss = loss_of(module, tokens[at + offsets])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        history.training.append((step + 1, float(loss.detach())))
        if (step + 1) % recipe.look_every == 0 or step + 1 == recipe.steps:
            history.held_out.append((step + 1, held_out_loss(module, held_out)))
        yield history


def optimiser_for(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; matrices decay, gains, shifts and biases do not."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in module.named_parameters():
        last = name.rpartition(".")[2]
        groups[last not in ("gain", "shift") and not last.endswith("_bias")].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": recipe.decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=recipe.rate,
        betas=(0.9, 0.98),
    )


@torch.no_grad()
def sample(
    module: nn.Module,
    start: Tensor,
    length: int,
    context: int,
    *,
    temperature: float = 0.8,
    seed: int = 0,
) -> Tensor:
    """`length` further tokens after `start`, each drawn given the last `context` before it."""
    generator = torch.Generator().manual_seed(seed)
    tokens = start
    for _ in range(length):
        logits = module(tokens[None, -context:])[0, -1].double() / temperature
        drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        tokens = torch.cat([tokens, drawn])
    return tokens[len(start) :]


# -- checkpoints ----------------------------------------------------------------------------------


def fingerprint(text: str, recipe: Recipe, model: dict[str, Any]) -> str:
    """What a checkpoint belongs to: a text, a recipe and a model."""
    parts = repr((sorted(asdict(recipe).items()), sorted(model.items())))
    return hashlib.sha256(f"{parts}\n{text}".encode()).hexdigest()


def save(
    path: Path, mark: str, module: nn.Module, optimiser: torch.optim.Optimizer, history: History
) -> None:
    """Write a checkpoint; a file that is there already is replaced at once or not at all."""
    whole = {
        "fingerprint": mark,
        "model": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "history": asdict(history),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(whole, partial)
    os.replace(partial, path)


def restore(path: Path, mark: str, module: nn.Module, optimiser: torch.optim.Optimizer) -> History:
    """Read a checkpoint back into a module and its optimiser; executes nothing from the file.

    Raises `FormatError` when there is none, or when it belongs to another text or recipe.
    """
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
        found = whole["fingerprint"]
    except OSError as error:
        raise FormatError(f"there is no checkpoint to resume from: {path}") from error
    except Exception as error:
        raise FormatError(f"{path} is not a checkpoint of a tour: {error}") from error
    if found != mark:
        raise FormatError(
            f"{path} belongs to another text, seed, number of steps or model; "
            "run without resuming to start anew"
        )
    module.load_state_dict(whole["model"])
    optimiser.load_state_dict(whole["optimiser"])
    history = whole["history"]
    return History(
        [(step, loss) for step, loss in history["training"]],
        [(step, loss) for step, loss in history["held_out"]],
        history["seconds"],
    )
