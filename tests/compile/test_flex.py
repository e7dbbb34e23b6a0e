"""flex_attention: where it is taken, what its functions of one pair compute, what failures do."""

import copy
import os
import shutil

import pytest
import torch

import vesalius as vs
from vesalius import testing
from vesalius.compile import flex
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target

torch.set_num_threads(1)

FLEX, SDPA = "flex_attention", "scaled_dot_product_attention"
GPU = Target(device="cuda", dtype="bfloat16")
HIDDEN = float("-inf")


@pytest.fixture
def uncompiled():
    """flex_attention written out, which computes the same without a compiler."""
    with torch.compiler.set_stance("force_eager"):
        yield


def dot(q, k):
    return vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))


def mixed(scores, v):
    return vs.contract(vs.softmax(scores, "m"), v, over="m")


def near(width):
    far = vs.iota("n") - vs.iota("m")
    return (far >= 0) & (far < width)


# -- scores that are changed and pairs that are hidden --------------------------------------------


@vs.diagram
def softcap(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    return mixed(3 * vs.tanh(dot(q, k) / 3), v)


@vs.diagram
def softcap_of_grouped(q: "k g n c", key: "k m c", v: "k m e") -> "k g n e":
    return mixed(vs.where(near(4), 3 * vs.tanh(dot(q, key) / 3), HIDDEN), v)


@vs.diagram
def window(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    """Later queries see nothing where there are few keys."""
    return mixed(vs.where(near(3), dot(q, k), HIDDEN), v)


@vs.diagram
def window_around(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    return mixed(vs.where(vs.abs(vs.iota("n") - vs.iota("m")) < 3, dot(q, k), HIDDEN), v)


@vs.diagram
def documents(q: "h n c", k: "h m c", v: "h m e", of: "n int", of_key: "m int") -> "h n e":
    return mixed(vs.where(vs.equal(of, of_key), dot(q, k), HIDDEN), v)


@vs.diagram
def prefix(q: "h n c", k: "h m c", v: "h m e", given: "int") -> "h n e":
    shown = (vs.iota("m") <= vs.iota("n")) | (vs.iota("m") < given)
    return mixed(vs.where(shown, dot(q, k), HIDDEN), v)


@vs.diagram
def table_of_distances(q: "h n c", k: "h m c", v: "h m e", bias: "h d") -> "h n e":
    far = vs.minimum(vs.maximum(vs.iota("n") - vs.iota("m"), -1), 1) + 1
    return mixed(dot(q, k) + vs.gather(bias, far, "d"), v)


@vs.diagram
def table_of_buckets(q: "h n c", k: "h m c", v: "h m e", bias: "h d", bucket: "p int") -> "h n e":
    """A table is read where another table says: buckets of distances."""
    far = vs.abs(vs.iota("n") - vs.iota("m"))
    return mixed(dot(q, k) + vs.gather(vs.gather(bias, bucket, "d"), far, "p"), v)


@vs.diagram
def blocks(q: "h n c", k: "h m c", v: "h m e", bias: "d") -> "h n e":
    """Which block a key stands in follows from its position, and from a size other than n and m."""
    place = vs.remainder(vs.iota("m"), vs.size("d"))
    own = vs.floor_divide(vs.iota("n"), vs.size("d")) >= vs.floor_divide(vs.iota("m"), vs.size("d"))
    scores = dot(q, k) + vs.gather(bias, place, "d")
    return mixed(vs.where(own | (place >= 2), vs.tanh(scores), HIDDEN), v)


@vs.diagram
def positive_scores(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    """What hides a pair is its score."""
    scores = dot(q, k)
    return mixed(vs.where(scores > -0.5, vs.where(near(4), vs.tanh(scores), HIDDEN), HIDDEN), v)


@vs.diagram
def two_sided(q: "h n c", k: "h m c", v: "h m e", slope: "h") -> "h n e":
    return mixed(dot(q, k) - slope * vs.abs(vs.iota("n") - vs.iota("m")), v)


@vs.diagram
def tempered(q: "h n c", k: "h m c", v: "h m e", t: "h n", real: "m bool") -> "h n e":
    return mixed(vs.where(real, vs.tanh(dot(q, k) * t), HIDDEN), v)


@vs.diagram
def gated_by_the_key(q: "h n c", k: "h m c", v: "m e", g: "h m") -> "h n e":
    """The values are the same for all heads."""
    return mixed(vs.silu(dot(q, k) + vs.log(vs.sigmoid(g))), v)


@vs.diagram
def by_length(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    """Sizes in the score: log-length scaling (arXiv 2202.12172)."""
    return mixed(vs.tanh(dot(q, k)) * vs.log(vs.size("m")), v)


@vs.diagram
def dense(q: "h n c", k: "h m c", v: "h m e", bias: "n m") -> "h n e":
    return mixed(vs.tanh(dot(q, k)) + bias, v)


@vs.diagram
def scale_given(q: "h n c", k: "h m c", v: "h m e", t: "") -> "h n e":
    return mixed(vs.tanh(t * vs.contract(q, k, over="c")), v)


DIAGRAMS = [
    softcap, softcap_of_grouped, window, window_around, documents, prefix, table_of_distances,
    table_of_buckets, blocks, positive_scores, two_sided, tempered, gated_by_the_key, by_length,
    dense, scale_given,
]  # fmt: skip
SIZES = {"b": 2, "h": 3, "k": 2, "g": 2, "n": 9, "m": 7, "c": 4, "e": 5, "d": 3, "p": 16}


def tensors(diagram, sizes):
    torch.manual_seed(0)
    made = []
    for port in diagram.inputs:
        lengths, kind = diagram.types[port.wire]
        shape = [lengths[s].at(sizes) for s in port.slots]
        if kind == "bool":
            made.append(torch.rand(shape) > 0.3)
        elif kind == "int":
            made.append(torch.randint(3, shape))
        else:
            made.append(torch.randn(shape))
    return made


def expected(diagram, inputs):
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    return diagram.evaluate(*wide).nan_to_num(0.0).float()  # a row that is hidden whole is zero


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda d: d.name)
@pytest.mark.parametrize("tubes", ["", "b"])
def test_values(diagram, tubes, uncompiled) -> None:
    diagram = diagram.over(tubes) if tubes else diagram
    module = vs.to_torch(diagram, prefer=[FLEX])
    assert module.explain().kernels == [FLEX], module.explain()
    for sizes in (SIZES, {**SIZES, "n": 1}, {**SIZES, "m": 1}, {**SIZES, "c": 1, "h": 1}):
        inputs = tensors(diagram, sizes)
        with torch.no_grad():
            found = module(*inputs)
        torch.testing.assert_close(found, expected(diagram, inputs), rtol=1e-4, atol=1e-5)
    assert module.explain().kernels == [FLEX], "nothing failed"
    empty = tensors(diagram, {**SIZES, "n": 0})
    assert module(*empty).shape == diagram.evaluate(*empty).shape


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda d: d.name)
def test_the_box_means_what_it_replaces(diagram) -> None:
    inputs = tensors(diagram, SIZES)
    kernels = chosen(diagram, Target(prefer=(FLEX,))).diagram
    found = kernels.evaluate(*[x.double() if x.is_floating_point() else x for x in inputs])
    torch.testing.assert_close(found.nan_to_num(0.0).float(), expected(diagram, inputs))
    assert vs.Diagram.from_json(kernels.to_json()) == kernels


def test_a_change_that_differs_between_tubes_is_read_for_each(uncompiled) -> None:
    """Scores and masks that know the batch, the head, or one of two axes of heads."""
    diagram = documents.over("b", inputs=["q", "k", "v", "of"])
    grouped = two_sided.over("b g", inputs=["q", "k", "v", "slope"])
    for one in (diagram, grouped, tempered.over("b", inputs=["q", "k", "v", "real"])):
        module = vs.to_torch(one, prefer=[FLEX])
        inputs = tensors(one, SIZES)
        with torch.no_grad():
            found = module(*inputs)
        assert module.explain().kernels == [FLEX]
        torch.testing.assert_close(found, expected(one, inputs), rtol=1e-4, atol=1e-5)


# -- where it is taken ----------------------------------------------------------------------------


@vs.diagram
def causal(q: "h n c", k: "h n c", v: "h n e") -> "h n e":
    k, v = k.rename(n="m"), v.rename(n="m")
    return mixed(vs.where(vs.iota("m:n") <= vs.iota("n"), dot(q, k), HIDDEN), v)


@vs.diagram
def alibi(q: "h n c", k: "h n c", v: "h n e", slope: "h") -> "h n e":
    k, v = k.rename(n="m"), v.rename(n="m")
    far = vs.iota("n") - vs.iota("m:n")
    return mixed(vs.where(far >= 0, dot(q, k) - slope * far, HIDDEN), v)


@vs.diagram
def given_mask(q: "h n c", k: "h m c", v: "h m e", shown: "n m bool") -> "h n e":
    return mixed(vs.where(shown, dot(q, k), HIDDEN), v)


@vs.diagram
def sigmoid(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
    return vs.contract(vs.sigmoid(dot(q, k)), v, over="m")


@pytest.mark.parametrize(
    ("diagram", "kernel"),
    [
        *((one, FLEX) for one in DIAGRAMS),
        (causal, SDPA),
        (alibi, SDPA),
        (given_mask, SDPA),
        (sigmoid, "tiles"),
    ],
    ids=lambda x: getattr(x, "name", x),
)
def test_the_kernel_on_a_gpu(diagram, kernel) -> None:
    assert chosen(diagram.over("b"), GPU).choices.kernels == [kernel]


def capped_once(s):
    return 3 * vs.tanh(s / 3)


def capped_by_exponentials(s):
    return (1 - 2 / (vs.exp(2 * s / 3) + 1)) * 3


def masked_before(s):
    return capped_once(vs.where(near(4), s, 0.0)) + vs.where(near(4), 0.0, HIDDEN)


def masked_after(s):
    return vs.where(~near(4), HIDDEN, capped_once(s))


def masked_twice(s):
    far = vs.iota("m") - vs.iota("n")
    return vs.where(far <= 0, vs.where(far > -4, capped_once(s), HIDDEN), HIDDEN)


def exponentials(s, v):
    e = vs.exp(s - vs.max(s, "m"))
    return vs.contract(e, v, over="m") / vs.sum(e, "m")


@pytest.mark.parametrize("scores", [
    capped_once, capped_by_exponentials, masked_before, masked_after, masked_twice,
])  # fmt: skip
@pytest.mark.parametrize("normaliser", [mixed, exponentials])
def test_every_spelling_takes_it(scores, normaliser, uncompiled) -> None:
    @vs.diagram
    def attention(q: "h n c", k: "h m c", v: "h m e") -> "h n e":
        return normaliser(scores(dot(q, k)), v)

    assert chosen(attention, GPU).choices.kernels == [FLEX]
    inputs = tensors(attention, {**SIZES, "m": 9})
    with torch.no_grad():
        found = vs.to_torch(attention, prefer=[FLEX])(*inputs)
    torch.testing.assert_close(found, expected(attention, inputs), rtol=1e-4, atol=1e-5)


def test_the_choice_sees_neither_names_nor_boxes_nor_orders() -> None:
    for diagram in (documents, softcap_of_grouped, table_of_distances):
        folded = diagram.over("b").fold("layer")
        for seed in range(8):
            variant = testing.alpha_variant(folded, seed)
            for one in (variant, variant.unfold()):
                assert chosen(one, GPU).choices.kernels == [FLEX]


def reason(diagram, target=GPU):
    (choice,) = chosen(diagram, target).choices
    return choice.kernel, dict(choice.reasons).get(FLEX)


def test_reasons() -> None:
    @vs.diagram
    def dropped(q: "n c", k: "m c", v: "m e") -> "n e":
        kept = vs.to_float(vs.random("n m", "uniform") > 0.1)
        return vs.contract(vs.softmax(vs.tanh(dot(q, k)), "m") * kept, v, over="m")

    @vs.diagram
    def both(q: "n c", k: "m c", v: "m e") -> {"o": "n e", "w": "n m"}:
        w = vs.softmax(vs.tanh(dot(q, k)), "m")
        return {"o": vs.contract(w, v, over="m"), "w": w}

    @vs.diagram
    def two(q: "n c", k: "m c", v: "m e") -> "n e":
        return mixed(vs.tanh(dot(q, k)) * vs.sigmoid(dot(q * q, k)), v)

    @vs.diagram
    def twice_normalised(q: "n c", k: "m c", v: "m e") -> "n e":
        far = vs.to_float(vs.iota("n") - vs.iota("m"))
        return mixed(vs.tanh(dot(q, k)) + vs.softmax(far, "m"), v)

    @vs.diagram
    def the_best(q: "n c", k: "m c", v: "m e") -> "n e":
        best = vs.max(dot(q, k), "m")
        return mixed(vs.where(dot(q, k) >= best, vs.tanh(dot(q, k)), HIDDEN), v)

    assert "may round them otherwise" in reason(the_best)[1]
    assert "multiplied" in reason(dropped)[1]
    assert "used elsewhere" in reason(both)[1]
    assert "several sums over products" in reason(two)[1]
    assert "softmax makes an array of all queries and keys" in reason(twice_normalised)[1]
    assert reason(sigmoid) == ("tiles", None), "it is nothing like a softmax"
    cpu = reason(softcap, Target())
    assert cpu == ("tiles", "it has no backward pass on a CPU; prefer it for inference")
    assert reason(softcap, Target("cuda", "float64")) == ("tiles", "it does not compute in float64")
    assert reason(softcap, Target("mps"))[1] == "it is not taken on the device mps"


# -- what happens where it does not serve ---------------------------------------------------------


def test_gradients_on_a_cpu_go_another_way(uncompiled) -> None:
    module, plain = vs.to_torch(softcap, prefer=[FLEX]), vs.to_torch(softcap, forbid=[FLEX])
    inputs = [x.requires_grad_() for x in tensors(softcap, SIZES)]
    for one, other in zip(
        torch.autograd.grad(module(*inputs).square().sum(), inputs),
        torch.autograd.grad(plain(*inputs).square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert module.explain().kernels == [FLEX], "calls without gradients are still served"


def failing(monkeypatch, message, good):
    """flex_attention fails with a message unless it is called with good options."""
    calls = []
    works = flex.flex_attention

    def attempt(*arguments, kernel_options, **named):
        calls.append(kernel_options)
        if not good(kernel_options or {}):
            raise RuntimeError(message)
        return works(*arguments, kernel_options=None, **named)

    monkeypatch.setattr(flex, "flex_attention", attempt)
    return calls


def test_it_is_tried_with_fewer_stages_where_memory_is_short(uncompiled, monkeypatch) -> None:
    message = "No valid triton configs. out of resource: Required: 245760 Hardware limit: 232448"
    calls = failing(monkeypatch, message, lambda options: options.get("num_stages", 3) < 2)
    module = vs.to_torch(softcap, prefer=[FLEX])
    inputs = tensors(softcap, SIZES)
    with torch.no_grad():
        found = module(*inputs)
        assert [x and x["num_stages"] for x in calls] == [None, 2, 1, 1]
        module(*inputs)
        assert [x and x["num_stages"] for x in calls[4:]] == [1], "what was found is kept"
    torch.testing.assert_close(found, expected(softcap, inputs), rtol=1e-4, atol=1e-5)


def test_a_failure_is_told_and_another_kernel_serves(uncompiled, monkeypatch) -> None:
    calls = failing(monkeypatch, "CompileError: no such thing", lambda options: False)
    module = vs.to_torch(tempered, prefer=[FLEX], seed=0)
    inputs = tensors(tempered, SIZES)
    with torch.no_grad():
        for _ in range(2):
            found = module(*inputs)
            torch.testing.assert_close(found, expected(tempered, inputs), rtol=1e-4, atol=1e-5)
    assert len(calls) == 1, "what fails for good is not tried again"
    (choice,) = module.explain()
    assert choice.kernel == "tiles"
    assert "no such thing" in dict(choice.reasons)[FLEX]
    assert copy.deepcopy(module).explain().kernels == [FLEX], "a copy may go elsewhere"


def test_lengths_that_fail_leave_those_that_work(uncompiled, monkeypatch) -> None:
    works = flex.flex_attention

    def attempt(q, *arguments, **named):
        if q.shape[2] > 9:
            raise RuntimeError("CppCompileError: too long")
        return works(q, *arguments, **named)

    monkeypatch.setattr(flex, "flex_attention", attempt)
    module = vs.to_torch(softcap, prefer=[FLEX])
    with torch.no_grad():
        for n in (9, 12, 9, 8):
            inputs = tensors(softcap, {**SIZES, "n": n})
            found = module(*inputs)
            torch.testing.assert_close(found, expected(softcap, inputs), rtol=1e-4, atol=1e-5)
    assert module.explain().kernels == [FLEX]


def test_a_mask_of_blocks_is_made_once(uncompiled, monkeypatch) -> None:
    made = []
    create = flex.create_block_mask

    def counted(*arguments, **named):
        made.append(arguments)
        return create(*arguments, **named)

    monkeypatch.setattr(flex, "create_block_mask", counted)
    module = vs.to_torch(documents, prefer=[FLEX])
    inputs = tensors(documents, SIZES)

    def run():
        with torch.no_grad():
            found = module(*inputs)
        torch.testing.assert_close(found, expected(documents, inputs), rtol=1e-4, atol=1e-5)
        return len(made)

    assert run() == run() == 1
    inputs[3][0] += 1  # the same array with other values
    assert run() == 2
    inputs[4] = inputs[4].clone()  # another array
    assert run() == 3
    inputs[:3] = tensors(documents, SIZES)[:3]
    assert run() == 3, "the mask does not depend on queries, keys and values"
    with torch.inference_mode():
        module(*inputs)
    assert run() == 3
    inputs[:] = tensors(documents, {**SIZES, "n": 4})
    assert run() == 4


# -- compiled -------------------------------------------------------------------------------------


def test_torch_compile_and_export_take_it_whole() -> None:
    module = vs.to_torch(documents, prefer=[FLEX])
    inputs = tuple(tensors(documents, SIZES))
    wanted = expected(documents, inputs)
    with torch.no_grad():
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        exported = torch.export.export(module, inputs).module()
        torch.testing.assert_close(compiled(*inputs), wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(exported(*inputs), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    not shutil.which("g++") and not os.environ.get("CI"), reason="no compiler of C++ is here"
)
def test_compiled_at_any_length() -> None:
    """Compiled twice, for the first lengths and for all; whatever fails is served otherwise."""
    diagram = two_sided.over("b")
    module = vs.to_torch(diagram, prefer=[FLEX])
    for n in (40, 33, 17):
        inputs = tensors(diagram, {**SIZES, "n": n, "m": n + 3, "c": 16, "e": 16})
        with torch.no_grad():
            found = module(*inputs)
        torch.testing.assert_close(found, expected(diagram, inputs), rtol=1e-4, atol=1e-5)
    assert module.explain().kernels == [FLEX]
