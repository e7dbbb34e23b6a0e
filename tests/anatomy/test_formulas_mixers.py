"""Mixers against a loop-by-loop transcription of their papers' formulas."""

import mixer_transcriptions as paper
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vesalius as vs
from vesalius.inspect.perturb import arrays_at

lengths = st.integers(1, 4)
seeds = st.integers(0, 2**31)


def both(diagram, sizes, seed, transcription, **options):
    """Our result and that of the transcription, which takes the parameters by their names."""
    sizes = {name: sizes[name] for name in diagram.size_variables}
    own = arrays_at(diagram.parameters, sizes, seed)
    inputs = arrays_at(diagram.input_types, sizes, seed + 1)
    found = diagram.evaluate(*inputs.values(), parameters=own, sizes=sizes)
    x, *masks = inputs.values()
    options |= {"keep": masks[0].tolist()} if masks else {}
    wanted = transcription(x.tolist(), **{k: p.tolist() for k, p in own.items()}, **options)
    wanted = torch.tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


SYNTHESIZERS = (
    "synthesizer_dense",
    "synthesizer_random",
    "synthesizer_factorised",
    "synthesizer_factorised_dense",
)


@pytest.mark.parametrize("name", SYNTHESIZERS)
@given(lengths, lengths, lengths, lengths, lengths, lengths, st.booleans(), st.booleans(), seeds)
def test_synthesizers(name, n, t, d, h, e, a, causal, padding, seed):
    sizes = {"n": n * t, "k": t, "d": d, "h": h, "e": e, "a": a, "r": 2}
    diagram = vs.anatomy[name](causal=causal, padding=padding)
    masks = {"causal": causal} if padding else {"causal": causal, "keep": None}
    both(diagram, sizes, seed, getattr(paper, name), **masks)


@given(lengths, lengths, lengths, lengths, lengths, st.booleans(), seeds)
def test_dynamic_convolution(n, d, h, c, w, causal, seed):
    diagram = vs.anatomy["dynamic_convolution"](causal=causal)
    sizes = {"n": n, "d": d, "h": h, "c": c, "w": w}
    both(diagram, sizes, seed, paper.dynamic_convolution, causal=causal)


@pytest.mark.parametrize("order", [1, 2, 3])
@given(lengths, lengths, lengths, lengths, lengths, seeds)
def test_hyena(order, n, d, w, k, a, seed):
    def transcription(x, **own):
        names = ["v", *(f"x{t + 1}" for t in range(order))]
        counted = [f"_{t}" if t else "" for t in range(order + 1)]
        short = [own[f"filter{t}"] for t in counted]
        last = [own[f"filter_{order + 1 + t}"] for t in range(order)]
        waves = [(own[name], own[f"{name}_bias"]) for name in ("waves", "inner")]
        maps, biases = [own[name] for name in names], [own[f"{name}_bias"] for name in names]
        return paper.hyena(x, maps, biases, short, waves, last, own["wo"], own["wo_bias"], 5)

    sizes = {"n": n, "d": d, "w": w, "k": k, "a": a, "p": 5}
    both(vs.anatomy["hyena"](order=order), sizes, seed, transcription)


@pytest.mark.parametrize("weights", ["softmax", "laplace"])
@given(lengths, lengths, lengths, lengths, lengths, st.booleans(), st.booleans(), seeds)
def test_mega(weights, n, d, c, e, k, causal, chunked, seed):
    def transcription(x, **own):
        return paper.mega(x, own, causal, weights, 2 if chunked else len(x))

    diagram = vs.anatomy["mega"](causal=causal, weights=weights, chunked=chunked)
    sizes = {"n": 2 * n, "d": d, "c": c, "e": e, "k": k, "p": 9, "w": 2}
    both(diagram, sizes, seed, transcription)
