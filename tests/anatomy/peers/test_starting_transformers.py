"""How layers of transformers start."""

import math

import pytest
import torch
from peer import peer
from starting import exact, start

LAYERS = 4


@pytest.mark.parametrize(("d", "e"), [(8, 12), (40, 30)])
def test_rwkv(d, e):
    """Ramps over the channels, of the first layer. Their mix lies in [0, 1], ours in [−1, 1].

    `time_first` is log 0.3, more or less 1/2 by turns, in the authors' code; theirs is `ones_like`
    of that.
    """
    models = peer("transformers.models.rwkv.modeling_rwkv")
    config = models.RwkvConfig(
        hidden_size=d, attention_hidden_size=e, num_hidden_layers=LAYERS, vocab_size=5
    )
    theirs = models.RwkvModel(config).blocks[0].attention
    ours = start("rwkv", d=d, e=e)
    exact(ours["omega"], theirs.time_decay + 1)
    for letter, word in (("r", "receptance"), ("k", "key"), ("v", "value")):
        exact(ours[f"mix_{letter}"], 2 * getattr(theirs, f"time_mix_{word}").flatten() - 1)
    zigzag = [math.log(0.3) + 0.5 * ((i + 1) % 3 - 1) for i in range(e)]
    exact(ours["u"], torch.tensor(zigzag))
