"""Decays and normalisers of a user's own: one declaration, found in any spelling, in each form."""

import math

import pytest
import torch

import vesalius as vs
from vesalius.compile.folds import Fold
from vesalius.compile.kernels import KERNELS

torch.set_num_threads(1)


# -- declarations, as a user writes them in a file ------------------------------------------------


def mix(w, v):
    return {"mix": w * v}


def mix_and_total(w, v):
    return {"mix": w * v, "total": w}


def mix_and_squares(w, v):
    return {"mix": w * v, "squares": w * w}


# Each head forgets at a rate of its own; no row weighs more than 1 in all.
FADING = Fold(
    "test_fading", mix_and_total, lambda mix, total: mix / vs.maximum(vs.abs(total), 1.0),
    level="given", rescale=lambda level, reference: vs.exp(level - reference),
)  # fmt: skip
# Levels are counted in half-lives.
HALVING = Fold(
    "test_halving", mix_and_total, lambda mix, total: mix / total,
    level="given", rescale=lambda level, reference: vs.exp(math.log(2) * (level - reference)),
)  # fmt: skip
# What is old counts less by a power of its age, which is no exponential.
AGEING = Fold(
    "test_ageing", mix, lambda mix: mix, level="given",
    rescale=lambda level, reference: vs.power(level / reference, 1.5), lowest=0.0, usual=1.0,
)  # fmt: skip
DECAYS = [FADING, HALVING, AGEING]

LENGTHS = Fold(
    "test_lengths", mix_and_squares, lambda mix, squares: mix / vs.sqrt(squares), weigh=vs.softplus
)
SHARES = Fold(
    "test_shares", mix_and_total, lambda mix, total: mix / (1 + total),
    weigh=lambda score: vs.relu(score) ** 2,
)  # fmt: skip
NORMALISERS = [LENGTHS, SHARES]

FORMS = ["chunked", "streaming", "split", "recurrent"]


@pytest.fixture(autouse=True)
def declared():
    """All folds of this file as kernels, and no longer."""
    made = [one for fold in (*DECAYS, *NORMALISERS) for one in fold.kernels(causal=True)]
    yield
    for one in made:
        del KERNELS[one.name]


# -- the same written by hand ---------------------------------------------------------------------


def dot(q, k):
    return vs.contract(q, k, over="c")


def running(x, axis):
    """The sum of all up to a place, along `axis`."""
    parts = x.rename(n="j")
    shown = vs.iota("j:n") <= (vs.iota("n") if axis == "n" else vs.iota("m:n"))
    return vs.sum(vs.where(shown, parts, 0.0), "j")


def decay_of(fold, n, m, g):
    """The decay between positions; g is a number for each position, its gate."""
    far = vs.to_float(n - m)
    if fold is FADING:
        return vs.exp(far * math.log(0.9)), vs.exp(-0.1 * vs.abs(far))
    if fold is HALVING:
        gates = vs.log(vs.sigmoid(g))
        own, other = running(gates, "n"), running(gates, "m")
        return vs.exp(own - other), vs.exp(-other + own)
    age = [1.0 + vs.to_float(x) for x in (m, n)]
    return vs.power(age[0] / age[1], 1.5), vs.power((1.0 / age[1]) * age[0], 1.5)


def result(fold, w, v, late):
    """What is made of the weights, which are divided late or first."""
    if fold is AGEING:
        return vs.contract(v, w, over="m")
    below = {
        FADING: lambda: vs.maximum(1.0, vs.abs(vs.sum(w, "m"))),
        HALVING: lambda: vs.sum(w, "m"),
        LENGTHS: lambda: vs.sqrt(vs.sum(w * w, "m")),
        SHARES: lambda: 1.0 + vs.sum(w, "m"),
    }[fold]()
    return vs.contract(w, v, over="m") / below if late else vs.contract(v, w / below, over="m")


def mask_around_all(fold, q, k, v, g, n, m):
    far = vs.to_float(n - m)
    w = vs.where(far >= 0, dot(q, k) * decay_of(fold, n, m, g)[0], 0.0)
    return result(fold, w, v, late=True)


def mask_on_the_scores(fold, q, k, v, g, n, m):
    w = decay_of(fold, n, m, g)[0] * vs.where(m < n + 1, 0.5 * dot(k, q), 0.0)
    return result(fold, w, v, late=False)


def mask_on_the_decay(fold, q, k, v, g, n, m):
    w = dot(q * 0.25, k) * vs.where(n < m, 0.0, decay_of(fold, n, m, g)[1])
    return result(fold, w, v, late=True)


def triangle_of_ones(fold, q, k, v, g, n, m):
    w = dot(q, k) * vs.to_float(~(m > n)) * decay_of(fold, n, m, g)[1]
    return result(fold, w, v, late=False)


def mask_in_the_exponent(fold, q, k, v, g, n, m):
    if fold is AGEING:
        return mask_around_all(fold, q, k, v, g, n, m)
    far = vs.to_float(n - m)
    exponent = running(vs.log(vs.sigmoid(g)), "n") - running(vs.log(vs.sigmoid(g)), "m")
    exponent = -0.1 * far if fold is FADING else exponent
    w = vs.exp(vs.where(n - m >= 0, exponent, -math.inf)) * dot(q, k)
    return result(fold, w, v, late=True)


OF_DECAYS = [
    mask_around_all, mask_on_the_scores, mask_on_the_decay, triangle_of_ones, mask_in_the_exponent,
]  # fmt: skip


def weigh(fold, score):
    return vs.softplus(score) if fold is LENGTHS else vs.relu(score) ** 2


def hidden_after(fold, q, k, v, g, n, m):
    w = vs.where(vs.to_float(n - m) >= 0, weigh(fold, 0.5 * dot(k, q)), 0.0)
    return result(fold, w, v, late=True)


def hidden_before(fold, q, k, v, g, n, m):
    w = weigh(fold, vs.where(m < n + 1, dot(q, k) / 2, -math.inf))
    return result(fold, w, v, late=False)


def hidden_otherwise(fold, q, k, v, g, n, m):
    w = vs.where(n < m, 0.0, weigh(fold, dot(q * 0.5, k)))
    return result(fold, w, v, late=False)


def hidden_by_a_factor(fold, q, k, v, g, n, m):
    w = vs.to_float(n - m >= 0) * weigh(fold, dot(k, q))
    return result(fold, w, v, late=True)


OF_NORMALISERS = [hidden_after, hidden_before, hidden_otherwise, hidden_by_a_factor]

SPELLED = [(fold, body) for fold in DECAYS for body in OF_DECAYS]
SPELLED += [(fold, body) for fold in NORMALISERS for body in OF_NORMALISERS]


def self_attention(fold, body):
    """Queries and keys are one projection, read twice."""

    @vs.diagram
    def mechanism(x: "n d", v: "n e", g: "n") -> "n e":
        z = vs.sigmoid(vs.linear(x, "d", "c"))
        m = vs.iota("m:n")
        return body(fold, z, z.rename(n="m"), v.rename(n="m"), g, vs.iota("n"), m)

    mechanism.name = body.__name__
    return mechanism.over("b h", inputs=["x", "v", "g"])


def named(fold, body):
    """With a box around it, and other axes."""

    @vs.diagram
    def one(q: "n c", k: "n c", v: "n e", g: "n") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return body(fold, vs.sigmoid(q), vs.sigmoid(k), v, g, vs.iota("n"), vs.iota("m:n"))

    @vs.diagram
    def mechanism(state: "b t w", memory: "b t w", what: "b t u", g: "t") -> "b t u":
        sorts = {"t": "n", "w": "c", "u": "e"}
        inputs = [x.rename(**{y: a for y, a in sorts.items() if y in x.names})
                  for x in (state, memory, what, g)]  # fmt: skip
        return one.boxed(*inputs).rename(n="t", e="u")

    return mechanism


def tensors(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


def name(x):
    return x.name if isinstance(x, Fold) else getattr(x, "__name__", "")


@pytest.mark.parametrize(("fold", "body"), SPELLED, ids=name)
def test_a_fold_is_chosen_in_any_spelling(fold, body) -> None:
    diagram = self_attention(fold, body)
    module = vs.to_torch(diagram, torch.float64, sizes={"d": 5, "c": 3})
    assert f"{fold.name}_chunked" in module.explain().kernels, module.explain()
    assert not {"tiles", "chunked"} & set(module.explain().kernels)
    parameters = dict(module.named_parameters())
    for length in (1, 70):
        inputs = tensors((2, 2, length, 5), (2, 2, length, 4), (2, 2, length), seed=length)
        expected = diagram.evaluate(*inputs, parameters=parameters)
        torch.testing.assert_close(module(*inputs), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fold", [*DECAYS, *NORMALISERS], ids=name)
def test_names_and_boxes_do_not_matter(fold) -> None:
    body = mask_around_all if fold in DECAYS else hidden_after
    diagram = named(fold, body)
    module = vs.to_torch(diagram, torch.float64)
    assert f"{fold.name}_chunked" in module.explain().kernels, module.explain()
    inputs = tensors((2, 9, 3), (2, 9, 3), (2, 9, 4), (9,))
    torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fold", [*DECAYS, *NORMALISERS], ids=name)
def test_a_fold_runs_in_each_form(fold, form) -> None:
    """Values and gradients; of each position what is seen up to it is all that counts."""
    body = mask_on_the_scores if fold in DECAYS else hidden_before
    diagram = self_attention(fold, body)
    module = vs.to_torch(diagram, torch.float64, sizes={"d": 5, "c": 3},
                         prefer=[f"{fold.name}_{form}"])  # fmt: skip
    assert f"{fold.name}_{form}" in module.explain().kernels, module.explain()
    parameters = dict(module.named_parameters())
    inputs = [x.requires_grad_() for x in tensors((2, 2, 7, 5), (2, 2, 7, 4), (2, 2, 7))]
    found, expected = module(*inputs), diagram.evaluate(*inputs, parameters=parameters)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    every = [*inputs, *parameters.values()]
    slopes = (
        torch.autograd.grad(out.square().sum(), every, allow_unused=True, materialize_grads=True)
        for out in (found, expected)
    )
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    if form == "recurrent":
        for length in range(1, 7):  # a step more each time
            step = module(*(x[:, :, :length] for x in inputs))[:, :, -1]
            torch.testing.assert_close(step, expected[:, :, length - 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fold", [*DECAYS, *NORMALISERS], ids=name)
def test_queries_and_keys_of_other_lengths(fold) -> None:
    """What needs as many keys as queries says so; the other forms are found."""
    body = mask_around_all if fold in DECAYS else hidden_after

    @vs.diagram
    def mechanism(q: "n c", k: "m c", v: "m e") -> "n e":
        n, m = vs.iota("n"), vs.iota("m")
        if fold is not HALVING:
            return body(fold, q, k, v, q, n, m)
        far = vs.to_float(n - m)
        w = vs.where(far >= 0, dot(q, k) * vs.exp(-0.2 * far), 0.0)
        return result(fold, w, v, late=True)

    diagram = mechanism.over("b")
    module = vs.to_torch(diagram, torch.float64)
    explanation = module.explain()
    state = fold in DECAYS
    assert f"{fold.name}_{'streaming' if state else 'chunked'}" in explanation.kernels, explanation
    reasons = {why for choice in explanation for name, why in choice.reasons
               if name == f"{fold.name}_chunked"}  # fmt: skip
    assert not state or reasons == {"there are not as many keys as queries"}
    inputs = [x.abs() for x in tensors((2, 6, 3), (2, 9, 3), (2, 9, 4))]
    for prefer in ([], [f"{fold.name}_split"], [f"{fold.name}_recurrent"]):
        module = vs.to_torch(diagram, torch.float64, prefer=prefer)
        assert set(prefer) <= set(module.explain().kernels)
        torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs), rtol=1e-9, atol=1e-9)


def test_masks_on_keys_and_gates_of_values() -> None:
    """What belongs to keys alone goes to them, or to the values."""

    @vs.diagram
    def mechanism(q: "n c", k: "n c", v: "n e", keep: "n bool", gate: "n") -> "n e":
        k, v, h, keep = (x.rename(n="m") for x in (k, v, gate, keep))
        far = vs.to_float(vs.iota("n") - vs.iota("m:n"))
        w = vs.where((far >= 0) & keep, dot(q, k) * vs.exp(-0.3 * far), 0.0)
        out = vs.contract(w, vs.sigmoid(h), v, over="m")
        return out / vs.maximum(vs.abs(vs.sum(w, "m")), 1.0)

    diagram = mechanism.over("b")
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == ["test_fading_chunked"], module.explain()
    q, k, v, gate = tensors((2, 9, 3), (2, 9, 3), (2, 9, 4), (2, 9))
    keep = torch.arange(18).reshape(2, 9) % 3 != 1
    expected = diagram.evaluate(q, k, v, keep, gate)
    torch.testing.assert_close(module(q, k, v, keep, gate), expected, rtol=1e-9, atol=1e-9)


def test_weights_of_scores_that_decay() -> None:
    """A function of the score and a decay, masked around both, or in the decay alone."""
    both = Fold("test_both", mix_and_total, lambda mix, total: mix / total, weigh=vs.softplus,
                level="given", rescale=FADING.rescale)  # fmt: skip
    made = both.kernels(causal=True)

    def around(far, score, decay):
        return vs.where(far >= 0, score * decay, 0.0)

    def inside(far, score, decay):
        return vs.where(far >= 0, decay, 0.0) * score

    try:
        for masked in (around, inside):

            @vs.diagram
            def mechanism(q: "n c", k: "n c", v: "n e") -> "n e":
                far = vs.to_float(vs.iota("n") - vs.iota("m:n"))
                score = vs.softplus(dot(q, k.rename(n="m")) * 0.7)
                w = masked(far, score, vs.exp(-0.2 * far))  # noqa: B023 (called at once)
                return vs.contract(w, v.rename(n="m"), over="m") / vs.sum(w, "m")

            inputs = tensors((2, 70, 3), (2, 70, 3), (2, 70, 4))
            diagram = mechanism.over("b")
            for one in made:
                module = vs.to_torch(diagram, torch.float64, prefer=one.name)
                assert module.explain().kernels == [one.name], module.explain()
                found, expected = module(*inputs), diagram.evaluate(*inputs)
                torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    finally:
        for one in made:
            del KERNELS[one.name]


@pytest.mark.parametrize("fold", NORMALISERS, ids=name)
def test_a_normaliser_without_a_mask_in_any_spelling(fold) -> None:
    """A scale on the scores or on an operand, gates of the values, one projection read twice."""
    plain = Fold(f"{fold.name}_plain", fold.sums, fold.project, weigh=fold.weigh)
    made = plain.kernels()

    @vs.diagram
    def scaled(q: "n c", k: "m c", v: "m e") -> "n e":
        return result(fold, weigh(fold, dot(k, q) / math.sqrt(3)), v, late=True)

    @vs.diagram
    def twice(q: "n c", k: "n c", v: "n e") -> "n e":
        other, gate = q.rename(n="m"), vs.sigmoid(vs.sum(k, "c")).rename(n="m")
        return result(fold, weigh(fold, 0.5 * dot(q, other)), gate * v.rename(n="m"), late=False)

    try:
        inputs = [x.abs() for x in tensors((2, 70, 3), (2, 70, 3), (2, 70, 4))]
        for diagram in (scaled.over("b"), twice.over("b")):
            for prefer in [[], *([one.name] for one in made)]:
                module = vs.to_torch(diagram, torch.float64, prefer=prefer)
                chosen = prefer or [made[0].name]
                assert module.explain().kernels == chosen, module.explain()
                found, expected = module(*inputs), diagram.evaluate(*inputs)
                torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    finally:
        for one in made:
            del KERNELS[one.name]


# -- where a fold cannot be taken ----------------------------------------------------------------


def window(q, k, v, g, n, m):
    far = vs.to_float(n - m)
    w = vs.where((far >= 0) & (far < 5), dot(q, k) * vs.exp(-0.1 * far), 0.0)
    return result(HALVING, w, v, late=True)


def window_in_the_exponent(q, k, v, g, n, m):
    far = n - m
    exponent = vs.where(far < 5, -0.1 * vs.to_float(far), -math.inf) + vs.tanh(g).rename(n="m")
    w = vs.where(far >= 0, dot(q, k) * vs.exp(exponent), 0.0)
    return result(HALVING, w, v, late=True)


def square_of_distance(q, k, v, g, n, m):
    far = vs.to_float(n - m)
    return result(HALVING, vs.where(far >= 0, dot(q, k) * vs.exp(-far * far), 0.0), v, late=True)


def rational(q, k, v, g, n, m):
    far = vs.to_float(n - m)
    w = vs.where(far >= 0, dot(q, k) / (1 + vs.relu(far)), 0.0)
    return result(HALVING, w, v, late=True)


def no_decay(q, k, v, g, n, m):
    return result(HALVING, vs.where(m <= n, dot(q, k), 0.0), v, late=True)


def other_result(q, k, v, g, n, m):
    far = vs.to_float(n - m)
    w = vs.where(far >= 0, dot(q, k) * vs.exp(-0.1 * far), 0.0)
    return vs.contract(w, v, over="m") / (2 + vs.sum(w, "m"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (window, "a mask beside the triangle depends on the query"),
        (window_in_the_exponent, "a mask beside the triangle depends on the query"),
        (square_of_distance, "an exponent does not split between query and key"),
        (rational, "a factor of queries and keys is no product: reciprocal"),
        (no_decay, "its weights do not decay"),
        (other_result, "what is made of the sums is not what the fold says"),
    ],
    ids=name,
)
def test_what_looks_like_a_fold_and_is_none(body, why) -> None:
    """Nothing of the fold is taken, values are right, and `explain()` says why."""

    @vs.diagram
    def mechanism(q: "n c", k: "n c", v: "n e", g: "n") -> "n e":
        return body(q, k.rename(n="m"), v.rename(n="m"), g, vs.iota("n"), vs.iota("m:n"))

    module = vs.to_torch(mechanism, torch.float64)
    explanation = module.explain()
    assert not any(kernel.startswith("test_halving") for kernel in explanation.kernels)
    told = {reason for choice in explanation for name, reason in choice.reasons
            if name == "test_halving_chunked"}  # fmt: skip
    assert told == {why}, explanation
    inputs = [x.abs() for x in tensors((12, 3), (12, 3), (12, 4), (12,))]
    torch.testing.assert_close(module(*inputs), mechanism.evaluate(*inputs), rtol=1e-9, atol=1e-9)


def test_sums_that_are_not_linear_have_no_state() -> None:
    squares = Fold("test_squares", mix_and_squares, LENGTHS.project)
    assert not squares.has_state
    assert all(fold.has_state for fold in DECAYS)
    whole, form = squares.whole(causal=True), squares.chunked(4)
    inputs = tensors((9, 3), (9, 3), (9, 4))
    torch.testing.assert_close(form.evaluate(*inputs), whole.evaluate(*inputs))
