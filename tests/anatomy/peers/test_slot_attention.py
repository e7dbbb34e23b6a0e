"""Slot attention against slot-attention, weights copied over, in float64."""

import pytest
import torch
from peer import peer, randn, randomised, same

import vesalius as vs

slot_attention = peer("slot_attention")


def as_ours(theirs):
    """The weights of their module, by our names."""

    def linear(name, module):
        return {name: module.weight.T, f"{name}_bias": module.bias}

    def norm(module, suffix=""):
        return {f"gain{suffix}": module.weight, f"shift{suffix}": module.bias}

    turn = {
        **linear("wq", theirs.to_q),
        **norm(theirs.norm_slots),
        **norm(theirs.norm_pre_ff, "_1"),
        **linear("up", theirs.mlp[0]),
        **linear("down", theirs.mlp[2]),
    }
    for kind, suffix in (("w", "ih"), ("u", "hh")):
        weights = getattr(theirs.gru, f"weight_{suffix}").chunk(3)
        biases = getattr(theirs.gru, f"bias_{suffix}").chunk(3)
        for gate, weight, bias in zip(("reset", "update", "new"), weights, biases, strict=True):
            turn |= {f"{kind}_{gate}": weight.T, f"{kind}_{gate}_bias": bias}
    return {
        "mean": theirs.slots_mu[0, 0],
        "log_deviation": theirs.slots_logsigma[0, 0],
        **norm(theirs.norm_input),
        **linear("wk", theirs.to_k),
        **linear("wv", theirs.to_v),
        **{f"turn.{name}": weight for name, weight in turn.items()},
    }


@pytest.mark.parametrize(("slots", "turns"), [(4, 3), (1, 1), (5, 2)])
def test_slot_attention(slots, turns):
    theirs = randomised(slot_attention.SlotAttention(slots, 6, iters=turns, hidden_dim=10))
    x = randn(1, 9, 6)
    torch.manual_seed(3)
    wanted = theirs(x)
    torch.manual_seed(3)  # the slots that theirs has drawn
    noise = torch.randn(1, slots, 6, dtype=torch.float64)
    ours = vs.anatomy["slot_attention"](turns=turns, a=6, d=6, c=6, e=6, hidden=10)
    same(ours.over("b", parameters=False), (x, noise), as_ours(theirs), wanted)
