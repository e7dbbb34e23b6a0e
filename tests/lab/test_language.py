"""The language model of characters: windows, losses, training, checkpoints, samples."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vesalius.diagrams.errors import FormatError
from vesalius.lab.language import (
    Alphabet,
    History,
    Recipe,
    fingerprint,
    held_out_loss,
    optimiser_for,
    restore,
    sample,
    save,
    train,
    windows,
)


class Bigrams(nn.Module):
    """A model that knows the character before: a table of logits."""

    def __init__(self, size):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(size, size))

    def forward(self, tokens):
        return self.table[tokens]


@given(st.text(min_size=1))
def test_an_alphabet_encodes_and_decodes(text):
    alphabet = Alphabet(text)
    assert alphabet.decode(alphabet.encode(text)) == text
    assert sorted(set(text)) == list(alphabet.characters)
    assert int(alphabet.encode(text).max()) < len(alphabet)


@given(st.integers(2, 60), st.integers(1, 20))
def test_windows_predict_each_token_once(count, length):
    tokens = torch.arange(count)
    rows = windows(tokens, length)
    predicted = rows[:, 1:].flatten().tolist()
    assert predicted == list(range(1, len(predicted) + 1))
    assert count - 1 - len(predicted) < min(length, count - 1)  # what is left makes no window
    assert torch.equal(rows[:, 1:] - 1, rows[:, :-1])


def test_windows_of_a_long_text_are_spread_over_it():
    rows = windows(torch.arange(1001), 10, most=30)
    assert len(rows) == 25
    assert rows[:, 0].tolist() == list(range(0, 1000, 40))


def test_the_loss_is_a_mean_over_characters_in_nats():
    rows = torch.randint(7, (9, 6), generator=torch.Generator().manual_seed(0))
    module = Bigrams(7)
    assert held_out_loss(module, rows, batch=4) == pytest.approx(math.log(7), abs=1e-6)
    with torch.no_grad():
        module.table.copy_(torch.randn(7, 7, generator=torch.Generator().manual_seed(1)))
    by_hand = [
        -module.table[a].log_softmax(0)[b].item() for row in rows.tolist() for a, b in pairwise(row)
    ]
    assert held_out_loss(module, rows, batch=4) == pytest.approx(
        sum(by_hand) / len(by_hand), abs=1e-6
    )


def run(module, recipe, text="abcab" * 40, history=None, optimiser=None, stop=None):
    tokens = Alphabet(text).encode(text)
    history = History() if history is None else history
    optimiser = optimiser or optimiser_for(module, recipe)
    for _ in train(module, optimiser, tokens, windows(tokens, 8), recipe, history):
        if history.step == stop:
            break
    return history, optimiser


def test_training_learns_and_looks_as_often_as_it_says():
    module, recipe = Bigrams(3), Recipe(steps=50, context=8, batch=4, rate=0.2, look_every=20)
    history, _ = run(module, recipe)
    assert [step for step, _ in history.training] == list(range(1, 51))
    assert [step for step, _ in history.held_out] == [20, 40, 50]
    assert history.training[0][1] == pytest.approx(math.log(3), abs=1e-6)
    # Of abcababcab..., only what follows b is uncertain: c or a, as often.
    assert history.held_out[-1][1] < 0.5
    bar = (history.held_out[0][1] + history.held_out[1][1]) / 2
    assert history.first_below(bar) == 40
    assert history.first_below(0.0) is None
    assert history.looked


def test_the_seed_decides_the_batches():
    recipe = Recipe(steps=5, context=8, batch=4)
    losses = [run(Bigrams(3), recipe)[0].training for _ in range(2)]
    assert losses[0] == losses[1]
    other = run(Bigrams(3), Recipe(steps=5, context=8, batch=4, seed=1))[0].training
    assert other != losses[0]


def test_the_rate_rises_then_falls():
    recipe = Recipe(steps=100, warm_up=10, rate=1.0)
    rates = [recipe.rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)


def test_resuming_takes_the_same_steps(tmp_path):
    recipe = Recipe(steps=30, context=8, batch=4, look_every=10)
    mark = fingerprint("abc", recipe, {})
    whole = Bigrams(3)
    wanted, _ = run(whole, recipe)

    half = Bigrams(3)
    history, optimiser = run(half, recipe, stop=17)
    save(tmp_path / "c.pt", mark, half, optimiser, history)
    again = Bigrams(3)
    optimiser = optimiser_for(again, recipe)
    history = restore(tmp_path / "c.pt", mark, again, optimiser)
    assert history.step == 17
    history, _ = run(again, recipe, history=history, optimiser=optimiser)
    assert history.training == wanted.training
    assert history.held_out == wanted.held_out
    assert torch.equal(again.table, whole.table)


def test_only_matrices_decay():
    module = nn.Module()
    for name in ("wq", "wq_bias", "gain", "shift"):
        module.register_parameter(name, nn.Parameter(torch.zeros(1)))
    groups = optimiser_for(module, Recipe(steps=1)).param_groups
    assert [(len(group["params"]), group["weight_decay"] > 0) for group in groups] == [
        (1, True),
        (3, False),
    ]


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    recipe, path = Recipe(steps=3), tmp_path / "c.pt"
    module = Bigrams(3)
    optimiser = optimiser_for(module, recipe)
    with pytest.raises(FormatError, match="no checkpoint to resume from"):
        restore(path, "x", module, optimiser)
    save(path, "x", module, optimiser, History())
    with pytest.raises(FormatError, match="belongs to another text"):
        restore(path, "y", module, optimiser)
    path.write_bytes(b"hello")
    with pytest.raises(FormatError, match="is not a checkpoint"):
        restore(path, "x", module, optimiser)
    marks = {
        fingerprint("a", recipe, {}),
        fingerprint("b", recipe, {}),
        fingerprint("a", Recipe(steps=4), {}),
        fingerprint("a", recipe, {"width": 3}),
    }
    assert len(marks) == 4


def test_a_sample_follows_the_model():
    module = Bigrams(3)
    with torch.no_grad():
        for a in range(3):
            module.table[a, (a + 1) % 3] = 50.0
    drawn = sample(module, torch.tensor([2]), 7, context=4)
    assert drawn.tolist() == [0, 1, 2, 0, 1, 2, 0]
    flat = [sample(Bigrams(3), torch.tensor([0]), 50, 4, seed=s).tolist() for s in (0, 0, 1)]
    assert flat[0] == flat[1] != flat[2]


def test_a_sample_reads_no_more_than_the_context():
    class Watcher(Bigrams):
        seen = 0

        def forward(self, tokens):
            self.seen = max(self.seen, tokens.shape[1])
            return super().forward(tokens)

    module = Watcher(3)
    sample(module, torch.tensor([0]), 9, context=4)
    assert module.seen == 4


@pytest.mark.parametrize("name", ["steps", "context", "batch", "look_every"])
def test_a_recipe_has_positive_numbers(name):
    with pytest.raises(FormatError, match=f"{name} is at least 1, not 0"):
        Recipe(**{"steps": 1, name: 0})
