"""Folds: one declaration, all forms; and causal sums that run as one of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.folds import Fold
from vesalius.compile.kernels import KERNELS
from vesalius.diagrams.errors import FormatError

torch.set_num_threads(1)


# -- declarations, as a user writes them in a file ------------------------------------------------


def mix(w, v):
    return {"mix": w * v}


def mix_and_total(w, v):
    return {"mix": w * v, "total": w}


def quotient(mix, total):
    return mix / total


softmax = Fold(
    "test_softmax", mix_and_total, quotient, level="score", rescale=lambda a, b: vs.exp(a - b)
)
powers_of_two = Fold(
    "test_powers", mix_and_total, quotient, level="score",
    rescale=lambda a, b: vs.exp(0.6931471805599453 * (a - b)),
)  # fmt: skip
by_length = Fold(
    "test_by_length",
    lambda w, v: {"mix": w * v, "squares": w * w},
    lambda mix, squares: mix / vs.sqrt(squares),
    weigh=vs.softplus,
)
sums = Fold("test_sums", mix, lambda mix: mix)
means = Fold("test_means", mix_and_total, quotient)
decay = Fold(
    "test_decay", mix_and_total, quotient, level="given", rescale=lambda a, b: vs.exp(a - b)
)
# A decay by products of gates, told by the products: 0 is the level that nothing is left of.
gates = Fold(
    "test_gates", mix, lambda mix: mix, level="given", rescale=lambda a, b: a / b, lowest=0.0,
    usual=1.0,
)  # fmt: skip

FOLDS = [softmax, powers_of_two, by_length, sums, means, decay, gates]


def inputs_of(diagram, n, m, c=3, e=4, seed=0):
    """Positive, so that no total is near zero; levels grow, as those of a decay do."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"n": n, "m": m, "c": c, "e": e}
    made = []
    for port in diagram.inputs:
        shape = [diagram.types[port.wire].sizes[s].at(sizes) for s in port.slots]
        x = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1
        made.append((x / 4).cumsum(-1) if port.name in ("level", "reference") else x)
    if diagram.inputs[-1].name == "reference" and n == m:
        made[-1] = made[-2]  # queries and keys are the same positions
    return made


def forms(fold, causal):
    found = {
        "split": fold.split(3, causal),
        "streaming": fold.streaming(4, causal),
        "recurrent": fold.recurrent(causal),
    }
    return {**found, "chunked": fold.chunked(4)} if causal else found


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
@pytest.mark.parametrize("causal", [False, True])
def test_all_forms_are_one_function(fold, causal) -> None:
    whole = fold.whole(causal)
    for word, form in forms(fold, causal).items():
        assert [p.name for p in form.inputs] == [p.name for p in whole.inputs]
        module = vs.to_torch(form.over("b"), torch.float64, forbid=["tiles"])
        for n, m in ((1, 1), (4, 4), (11, 11)) if causal else ((1, 1), (3, 8), (5, 13)):
            inputs = inputs_of(whole, n, m)
            expected = whole.evaluate(*inputs)
            torch.testing.assert_close(form.evaluate(*inputs), expected, rtol=1e-10, atol=1e-10)
            many = [torch.stack([x, x]) for x in inputs]
            found = module(*many)
            torch.testing.assert_close(found[1], expected, rtol=1e-10, atol=1e-10, msg=word)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([means, decay, gates]))
def test_chunks_of_any_size(length, chunk, fold) -> None:
    whole, form = fold.whole(causal=True), fold.chunked(chunk)
    inputs = inputs_of(whole, length, length, seed=length)
    torch.testing.assert_close(form.evaluate(*inputs), whole.evaluate(*inputs))


@pytest.mark.parametrize("fold", [softmax, decay, gates], ids=lambda fold: fold.name)
def test_gradients_of_the_forms(fold) -> None:
    whole = fold.whole(causal=True)
    inputs = [x.requires_grad_() for x in inputs_of(whole, 6, 6)]
    expected = torch.autograd.grad(whole.evaluate(*inputs).square().sum(), inputs)
    for form in forms(fold, True).values():
        out = vs.to_torch(form, torch.float64, forbid=["tiles"])(*inputs)
        for one, other in zip(torch.autograd.grad(out.square().sum(), inputs), expected,
                              strict=True):  # fmt: skip
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_large_scores_and_strong_decays_do_not_overflow() -> None:
    whole = softmax.whole()
    inputs = [x.float() for x in inputs_of(whole, 5, 300)]
    inputs[0] = inputs[0] * 1e4
    expected = whole.evaluate(*(x.double() for x in inputs)).float()
    for form in (softmax.streaming(16), softmax.split(7)):
        torch.testing.assert_close(vs.to_torch(form, forbid=["tiles"])(*inputs), expected)
    whole = decay.whole(causal=True)
    q, k, v, level, _ = (x.float() for x in inputs_of(whole, 300, 300))
    level = level * 400  # the first keys are left behind by a factor e^-50000
    expected = whole.evaluate(*(x.double() for x in (q, k, v, level, level))).float()
    found = vs.to_torch(decay.chunked(16), forbid=["tiles"])(q, k, v, level, level)
    torch.testing.assert_close(found, expected)


def test_a_fold_of_a_users_own_is_found_and_runs_in_each_form() -> None:
    before = set(KERNELS)
    own = Fold("test_own", by_length.sums, by_length.project, weigh=vs.softplus)
    try:
        names = [one.name for one in own.kernels()]
        assert names == ["test_own_streaming", "test_own_split", "test_own_recurrent"]

        @vs.diagram
        def attention(query: "r d", memory: "s d", values: "s f") -> "r f":
            """The same function, spelled otherwise."""
            weights = vs.softplus(vs.contract(memory, query, over="d"))
            return vs.contract(weights / vs.sqrt(vs.sum(weights * weights, "s")), values, over="s")

        q, k, v = (torch.rand(n, 3, dtype=torch.float64) for n in (4, 300, 300))
        expected = attention.evaluate(q, k, v)
        for name in names:
            module = vs.to_torch(attention.over("b"), torch.float64, prefer=[name])
            assert module.explain().kernels == [name]
            found = module(q[None], k[None], v[None])[0]
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    finally:
        for name in set(KERNELS) - before:
            del KERNELS[name]


@pytest.mark.parametrize("names", [("top", "top_after"), ("q", "k"), ("count", "own_count")])
@pytest.mark.parametrize("level", ["score", "given", "none"])
def test_sums_may_be_called_anything(level, names) -> None:
    """Also as what the forms carry beside them."""
    one, other = names
    rescale = None if level == "none" else lambda a, b: vs.exp(a - b)
    fold = Fold(
        "own",
        sums=lambda w, v: {one: w * v, other: w},
        project=lambda **sums: sums[one] / sums[other],
        level=level,
        rescale=rescale,
    )
    whole = fold.whole(causal=True)
    inputs = [x.abs() for x in inputs_of(whole, 20, 20)]
    forms = [fold.streaming(4, causal=True), fold.split(causal=True), fold.chunked(4)]
    for form in (*forms, fold.recurrent(causal=True)):
        torch.testing.assert_close(form.evaluate(*inputs), whole.evaluate(*inputs))


def test_what_is_no_fold_is_refused() -> None:
    with pytest.raises(FormatError, match="come together"):
        Fold("x", mix, lambda mix: mix, level="score")
    with pytest.raises(FormatError, match="not weighed"):
        Fold("x", mix, lambda mix: mix, vs.relu, "score", lambda a, b: vs.exp(a - b))


# -- causal sums in any spelling ------------------------------------------------------------------


def up():
    return vs.iota("m:n") <= vs.iota("n")


def dot(q, k):
    return vs.contract(q, k, over="c")


def positive(x):
    return vs.elu(x) + 1


def sequence(body):
    """A diagram over one sequence: keys and values are read along another axis."""

    @vs.diagram
    def mechanism(q: "n c", k: "n c", v: "n e", g: "n", keep: "n bool") -> "n e":
        k, v, h = k.rename(n="m"), v.rename(n="m"), g.rename(n="m")
        return body(q, k, v, g, h, keep.rename(n="m"))

    mechanism.name = body.__name__
    return mechanism


def with_where(q, k, v, g, h, keep):
    return vs.contract(vs.where(up(), dot(q, k), 0.0), v, over="m")


def with_triangle(q, k, v, g, h, keep):
    return vs.contract(vs.to_float(up()), q, v, k, over="c m")


def turned(q, k, v, g, h, keep):
    later = vs.iota("n") < vs.iota("m:n")
    return vs.contract(v, vs.where(later, 0, dot(k, 0.3 * q)), over="m")


def weights_first(q, k, v, g, h, keep):
    w = vs.where(up(), dot(positive(q), positive(k)), 0.0)
    return vs.contract(w / vs.sum(w, "m"), v, over="m")


def divided_last(q, k, v, g, h, keep):
    w = vs.where(up(), dot(positive(q), positive(k)), 0.0)
    return vs.contract(w, v, over="m") / vs.sum(w, "m")


def padded(q, k, v, g, h, keep):
    w = vs.where(up() & keep, dot(positive(q), positive(k)), 0.0)
    return vs.contract(w, v, over="m") / (vs.sum(w, "m") + 1e-3)


def retention(q, k, v, g, h, keep):
    far = vs.to_float(vs.iota("n") - vs.iota("m:n"))
    return vs.contract(dot(q, k) * vs.where(up(), vs.exp(-0.1 * far), 0.0), v, over="m")


def forgetting(q, k, v, g, h, keep):
    lower = vs.to_float(vs.iota("j:n") <= vs.iota("n"))
    total = vs.contract(-vs.softplus(g.rename(n="j")), lower, over="j")
    gap = total - total.rename(n="m")
    w = vs.where(up(), dot(positive(q), positive(k)) * vs.exp(gap), 0.0)
    return vs.contract(w / vs.sum(w, "m"), v, over="m")


def gated_values(q, k, v, g, h, keep):
    return vs.contract(vs.where(up(), dot(q, k), 0.0), vs.sigmoid(h), v, vs.tanh(g), over="m")


def gated_weights(q, k, v, g, h, keep):
    w = vs.where(up(), 0.5 * vs.sigmoid(g) * dot(positive(q), positive(k)), 0.0)
    return vs.contract(w, v, over="m") / vs.sum(w, "m")


def mask_in_a_summand(q, k, v, g, h, keep):
    level = vs.where(up(), vs.tanh(h), -float("inf"))
    return vs.contract(dot(q, k) * vs.exp(level - vs.tanh(g)), v, over="m")


CAUSAL = [
    with_where, with_triangle, turned, weights_first, divided_last, padded, retention, forgetting,
    gated_values, gated_weights, mask_in_a_summand,
]  # fmt: skip


@pytest.mark.parametrize("body", CAUSAL, ids=lambda body: body.__name__)
@pytest.mark.parametrize("length", [1, 64, 70, 200])
def test_causal_sums_run_in_chunks(body, length) -> None:
    diagram = sequence(body).over("b h")
    module = vs.to_torch(diagram, torch.float64)
    assert "chunked" in module.explain().kernels, module.explain()
    assert "tiles" not in module.explain().kernels
    torch.manual_seed(length)
    shapes = [(length, 3), (length, 3), (length, 4), (length,)]
    inputs = [torch.randn(2, 2, *shape, dtype=torch.float64) for shape in shapes]
    keep = torch.rand(2, 2, length) > 0.2
    keep[..., 0] = True
    expected = diagram.evaluate(*inputs, keep)
    torch.testing.assert_close(module(*inputs, keep), expected, rtol=1e-9, atol=1e-9)


def test_sums_that_look_causal_and_are_not() -> None:
    @vs.diagram
    def strict(q: "n c", k: "n c", v: "n e") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return vs.contract(vs.where(vs.iota("m:n") < vs.iota("n"), dot(q, k), 0.0), v, over="m")

    @vs.diagram
    def other_lengths(q: "n c", k: "m c", v: "m e") -> "n e":
        return vs.contract(vs.where(vs.iota("m") <= vs.iota("n"), dot(q, k), 0.0), v, over="m")

    @vs.diagram
    def bent(q: "n c", k: "n c", v: "n e") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return vs.contract(vs.where(up(), vs.relu(dot(q, k)), 0.0), v, over="m")

    @vs.diagram
    def masked(q: "n c", k: "n c", v: "n e", keep: "n m:n bool") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return vs.contract(vs.where(up() & keep, dot(q, k), 0.0), v, over="m")

    for diagram in (strict, other_lengths, bent, masked):
        module = vs.to_torch(diagram, torch.float64)
        assert "chunked" not in module.explain().kernels
        inputs = [torch.randn(9, 3, dtype=torch.float64) for _ in range(3)]
        if diagram is masked:
            inputs.append(torch.rand(9, 9) > 0.5)
        torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs))


def test_a_running_sum_is_one() -> None:
    @vs.diagram
    def means(x: "n e") -> "n e":
        shown = vs.where(up(), 1.0, 0.0)
        return vs.contract(shown / vs.sum(shown, "m"), x.rename(n="m"), over="m")

    module = vs.to_torch(means, torch.float64)
    assert module.explain().kernels == ["cumulative_sum", "cumulative_sum"]
    x = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), x.cumsum(0) / torch.arange(1, 8)[:, None])


# -- scans that are sums ------------------------------------------------------------------------


def recurrent(step):
    @vs.diagram
    def mechanism(q: "n c", k: "n c", v: "n e", g: "n") -> "n e":
        start = vs.expand(0.0, "c e")
        _, out = vs.scan(step, over="n", states=[start], sequences=[q, k, v, g])
        return out

    mechanism.name = step.name
    return mechanism


@vs.diagram
def plain_step(s: "c e", q: "c", k: "c", v: "e", g: "") -> {"s": "c e", "o": "e"}:
    s = s + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def decaying_step(s: "c e", q: "c", k: "c", v: "e", g: "") -> {"s": "c e", "o": "e"}:
    s = vs.exp(-vs.softplus(g)) * s + vs.tanh(k) * v
    return {"s": s, "o": dot(q, s) + v}


@vs.diagram
def bent_step(s: "c e", q: "c", k: "c", v: "e", g: "") -> {"s": "c e", "o": "e"}:
    s = vs.tanh(s) + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def early_step(s: "c e", q: "c", k: "c", v: "e", g: "") -> {"s": "c e", "o": "e"}:
    return {"s": s + k * v, "o": dot(q, s)}


@vs.diagram
def signed_step(s: "c e", q: "c", k: "c", v: "e", g: "") -> {"s": "c e", "o": "e"}:
    s = g * s + k * v
    return {"s": s, "o": dot(q, s)}


@pytest.mark.parametrize("step", [plain_step, decaying_step], ids=lambda step: step.name)
@pytest.mark.parametrize("length", [1, 70])
def test_a_linear_recurrence_is_no_loop(step, length) -> None:
    diagram = recurrent(step).over("b")
    module = vs.to_torch(diagram, torch.float64)
    assert "chunked" in module.explain().kernels
    assert "unbind" not in module.source.partition("class ")[2]
    torch.manual_seed(0)
    inputs = [torch.randn(2, length, *more, dtype=torch.float64) for more in ([3], [3], [4], [])]
    torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("step", "why"),
    [(bent_step, "not linear"), (early_step, "before the step"), (signed_step, "no exponential")],
    ids=lambda x: getattr(x, "name", ""),
)
def test_other_recurrences_are_loops_and_say_why(step, why) -> None:
    diagram = recurrent(step)
    module = vs.to_torch(diagram, torch.float64)
    (choice,) = module.explain()
    assert choice.kernel is None
    assert choice.note == "a loop over positions"
    assert why in dict(choice.reasons)["chunked"]
    inputs = [torch.randn(5, *more, dtype=torch.float64) for more in ([3], [3], [4], [])]
    torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs))


# -- gates of any kind ----------------------------------------------------------------------------


@vs.diagram
def gated_step(h: "c", f: "c", x: "c", g: "") -> {"h": "c", "o": "c"}:
    h = vs.sigmoid(f) * h + (1 - vs.sigmoid(f)) * x
    return {"h": h, "o": vs.tanh(h) + g}


@vs.diagram
def any_gate(h: "c", f: "c", x: "c", g: "") -> {"h": "c", "o": "c"}:
    h = x + g * (h * vs.relu(f)) + g
    return {"h": h, "o": h}


@vs.diagram
def scalar_gate(h: "", f: "c", x: "c", g: "") -> {"h": "", "o": "c"}:
    h = h * g + vs.sum(x, "c")
    return {"h": h, "o": h * f}


@vs.diagram
def channel_decay(h: "c", f: "c", x: "c", g: "") -> {"h": "c", "o": "c"}:
    h = vs.exp(-vs.softplus(f)) * h + g * x
    return {"h": h, "o": h}


GATED = [gated_step, any_gate, scalar_gate, channel_decay]


def gated(step):
    @vs.diagram
    def mechanism(f: "n c", x: "n c", g: "n") -> "n c":
        start = vs.expand(0.0, "c") if "c" in step.input_types["h"].axes else 0.0
        return vs.scan(step, over="n", states=[start], sequences=[f, x, g])[1]

    mechanism.name = step.name
    return mechanism.over("b", inputs=["f", "x"])


@pytest.mark.parametrize("step", GATED, ids=lambda step: step.name)
def test_gates_of_any_kind_are_taken_in_chunks_side_by_side(step) -> None:
    diagram = gated(step)
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == ["recurrence"]
    assert "many chunks side by side" in str(module.explain())
    assert "unbind" not in module.source.partition("class ")[2]
    loop = vs.to_torch(diagram, torch.float64, forbid=["recurrence"])
    assert "a loop over positions" in str(loop.explain())
    for length in (0, 1, 2, 3, 33):
        torch.manual_seed(length)
        inputs = [
            torch.randn(*shape, dtype=torch.float64, requires_grad=True)
            for shape in ([2, length, 3], [2, length, 3], [length])
        ]
        wanted = diagram.evaluate(*inputs)
        for found in (module(*inputs), loop(*inputs)):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    inputs = [torch.randn(*s, dtype=torch.float64, requires_grad=True)
              for s in ([1, 5, 2], [1, 5, 2], [5])]  # fmt: skip
    assert torch.autograd.gradcheck(module, inputs)
    assert torch.autograd.gradgradcheck(module, inputs)


def test_gates_that_are_zero_forget_everything() -> None:
    module = vs.to_torch(gated(any_gate), torch.float64)
    f, x, g = torch.randn(1, 9, 2), torch.randn(1, 9, 2), torch.randn(9)
    f[:, 4] = -1.0
    after = module(f.double(), x.double(), g.double())[:, 4:]
    x[:, :4] = 1e30
    assert torch.equal(module(f.double(), x.double(), g.double())[:, 4:], after)


def test_the_box_of_a_recurrence_means_the_scan() -> None:
    from vesalius.compile.kernels.recurrence import define

    a, x = torch.randn(2, 7, dtype=torch.float64)
    h, every = 0.0, []
    for gate, value in zip(a, x, strict=True):
        h = gate * h + value
        every.append(h)
    torch.testing.assert_close(define("").evaluate(a, x), torch.stack(every))
