"""Every mechanism compiles, by a kernel where there is one, and trains."""

import pytest
import torch

import vesalius as vs
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target
from vesalius.compile.module import module_of
from vesalius.inspect.examine import compiled_error
from vesalius.inspect.perturb import arrays_at, shallow, sizes_at

LENGTH = {
    "flash": 9,
    "nystromformer": 9,
    "synthesizer_factorised_dense": 8,
    "synthesizer_dense": 24,
    "sinkhorn": 8,
}
"""The length at which a mechanism is trained, where it cannot be any."""

SERVED = (
    "scaled_dot_product_attention",
    "tiles",
    "chunked",
    "product_order",
    "cumulative_sum",
    "exponential_means",
    "factored_exponentials",
)
LEARNED = "the weights of all pairs are parameters"
WITHOUT = {
    "flash-causal": "its chunks are short here, and their pairs are few",
    "indexed": "an index of all pairs is searched; the keys that it finds are few here",
    "indexed-causal": "as without",
    "synthesizer_random": LEARNED,
    "synthesizer_random-causal": LEARNED,
    "synthesizer_factorised_dense": "a row of scores is a product of two short rows, not a sum",
    "synthesizer_factorised_dense-causal": "as without",
    "gmlp": LEARNED,
    "gmlp-causal": LEARNED,
    "fnet": "a Fourier transform has no weights",
    "hyena": "convolutions by Fourier transforms",
}
"""Mechanisms that no kernel serves, and why: their name, or name-causal as it is requested."""

BIASED = {"alibi", "mega", "mega-causal", "reformer", "reformer-causal"} | {
    f"{name}{causal}" for name in ("shaw", "transformer_xl", "t5") for causal in ("", "-causal")
}
"""Those whose scores get a bias that no channel can stand for.

Fused attention needs it whole, as a mask; it serves them where it is expected to be faster than
tiles, which never make it. (The slopes of causal ALiBi are a channel.)
"""


CHOOSING = {"indexed": ("wq_index", "wk_index", "index_gain", "index_shift", "w_index")}
"""Parameters that only choose keys, which has no gradient."""


def requests():
    for mechanism in vs.anatomy:
        yield pytest.param(mechanism, {}, id=mechanism.name)
        if mechanism.causal == "request":
            yield pytest.param(mechanism, {"causal": True}, id=f"{mechanism.name}-causal")


DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def known(diagram, n):
    """The sizes that a module is made with; lengths stay open unless parameters have them."""
    shapes = [axis for type_ in diagram.parameters.values() for axis in type_.axes.values()]
    fixed = {name for axis in shapes for name in axis.variables}
    return {k: v for k, v in sizes_at(diagram, n).items() if k in fixed or k not in ("n", "m")}


def compiled(diagram, n, dtype=torch.float32, device="cpu"):
    """The module."""
    return vs.to_torch(diagram, dtype, device, sizes=known(diagram, n))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("mechanism", "options"), list(requests()))
def test_a_step_of_training(mechanism, options, device):
    diagram, n = shallow(mechanism, **options), LENGTH.get(mechanism.name, 7)
    sizes = sizes_at(diagram, n)
    own = arrays_at(diagram.parameters, sizes, 1, scale=0.5)
    inputs = arrays_at(diagram.input_types, sizes, 2)
    module = compiled(diagram, n, device=device)
    module.load_state_dict({name: x.float() for name, x in own.items()})

    def leaves(x, dtype):
        return x.to(dtype).requires_grad_() if x.is_floating_point() else x

    theirs = [leaves(x.to(device), torch.float32) for x in inputs.values()]
    loss = module(*theirs).square().mean()
    loss.backward()

    wide = {name: x.float().double().requires_grad_() for name, x in own.items()}
    ours = [
        leaves(x.float().double() if x.is_floating_point() else x, torch.float64)
        for x in inputs.values()
    ]
    exact = diagram.evaluate(*ours, parameters=wide, sizes=sizes).square().mean()
    exact.backward()
    torch.testing.assert_close(loss.double().cpu(), exact, rtol=1e-4, atol=1e-6)

    pairs = {name: (p, wide[name]) for name, p in module.named_parameters()}
    pairs |= {f"input {k}": pair for k, pair in enumerate(zip(theirs, ours, strict=True))}
    scale = max(x.grad.norm() for _, x in pairs.values() if x.is_leaf and x.grad is not None)
    for name, (found, wanted) in pairs.items():
        if name in CHOOSING.get(mechanism.name, ()):
            assert found.grad is wanted.grad is None
        elif wanted.grad is not None or found.requires_grad:
            error = (found.grad.double().cpu() - wanted.grad).norm()
            assert error <= 1e-4 * wanted.grad.norm() + 1e-6 * scale, name

    if list(module.parameters()):
        torch.optim.SGD(module.parameters(), lr=1e-3 / float(scale)).step()
        assert module(*theirs).square().mean().item() < loss.item()


@pytest.mark.parametrize(("mechanism", "options"), list(requests()))
def test_a_kernel_serves_it(mechanism, options):
    """One that has no array of queries × keys; or there is none as it is written, and no loop."""
    written = shallow(mechanism, **options)
    explanation = compiled(written, LENGTH.get(mechanism.name, 7)).explain()
    served = set(explanation.kernels) & set(SERVED)
    narrow = written.cost().flops.substitute({"m": "n"}).degree("n") < 2
    fine = served or (narrow and "a loop over positions" not in str(explanation))
    name = f"{mechanism.name}-causal" if options else mechanism.name
    assert bool(fine) != (name in WITHOUT), str(explanation)
    whole = any("a bias is added as a mask" in choice.note for choice in explanation)
    assert not whole or name in BIASED, str(explanation)


@pytest.mark.parametrize("name", sorted(BIASED))
def test_where_keys_are_many_no_bias_of_all_pairs_is_made(name):
    mechanism = vs.anatomy[name.removesuffix("-causal")]
    diagram = mechanism(**({"causal": True} if name.endswith("-causal") else {}))
    usual = {"h": 8, "c": 64, "e": 64, "d": 512}
    sizes = {x: usual.get(x, 4096) for x in diagram.size_variables if x in usual or x in "nm"}
    found = chosen(diagram, Target(sizes=sizes)).choices
    assert not any("a bias is added as a mask" in choice.note for choice in found), str(found)


@pytest.mark.parametrize(("mechanism", "options"), list(requests()))
def test_what_is_chosen_for_a_gpu_computes_the_same(mechanism, options):
    """Here it runs on the CPU, and what would be compiled for the GPU uncompiled."""
    diagram, n = shallow(mechanism, **options), LENGTH.get(mechanism.name, 7)
    sizes = sizes_at(diagram, n)
    target = Target("cuda", "float32", known(diagram, n))
    module = module_of(chosen(diagram, target), diagram, known(diagram, n), target)
    own = arrays_at(diagram.parameters, sizes, 1, scale=0.5)
    module.load_state_dict({name: x.float() for name, x in own.items()}, assign=True)
    inputs = arrays_at(diagram.input_types, sizes, 2).values()
    narrow = [x.float() if x.is_floating_point() else x for x in inputs]
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        found = module(*narrow)
    wanted = diagram.evaluate(*inputs, parameters=own, sizes=sizes)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)


ROUNDED = {"hyena": 2e-2}  # convolutions one after the other


def in_bfloat16(mechanism, options, n):
    """The relative error of the result, and of each gradient beside a tenth of the largest."""
    diagram = shallow(mechanism, **options)
    sizes = sizes_at(diagram, n)
    module = compiled(diagram, n, torch.bfloat16)
    own = {k: x.bfloat16() for k, x in arrays_at(diagram.parameters, sizes, 1, scale=0.5).items()}
    module.load_state_dict(own)
    inputs = [
        x.bfloat16() if x.is_floating_point() else x
        for x in arrays_at(diagram.input_types, sizes, 2).values()
    ]
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    found = module(*leaves)
    assert found.dtype == torch.bfloat16
    wide = [x.double().requires_grad_() if x.is_floating_point() else x for x in inputs]
    exact = {k: x.double().requires_grad_() for k, x in own.items()}
    wanted = diagram.evaluate(*wide, parameters=exact, sizes=sizes)
    seeds = torch.randn(found.shape, generator=torch.Generator().manual_seed(3)).bfloat16()
    found.backward(seeds)
    wanted.backward(seeds.double())
    pairs = {name: (p, exact[name]) for name, p in module.named_parameters()}
    pairs |= {f"input {k}": pair for k, pair in enumerate(zip(leaves, wide, strict=True))}
    pairs = {k: (x.grad, y.grad) for k, (x, y) in pairs.items() if y.grad is not None}
    scale = max(y.norm() for _, y in pairs.values())
    errors = {k: float((x - y).norm() / (y.norm() + scale / 10)) for k, (x, y) in pairs.items()}
    return float((found - wanted).detach().norm() / wanted.detach().norm()), errors


@pytest.mark.parametrize(("mechanism", "options"), list(requests()))
def test_in_bfloat16_it_is_near(mechanism, options):
    """Parameters and inputs are rounded for the reference as well; what is computed is not."""
    error, gradients = in_bfloat16(mechanism, options, LENGTH.get(mechanism.name, 7))
    assert error < ROUNDED.get(mechanism.name, 1.2e-2)
    assert max(gradients.values(), default=0.0) < 6e-2, gradients


LONG = ["forgetting", "retnet", "rfa_gated", "gla", "mamba2", "gated_delta_net", "rwkv", "hyena",
        "routing"]  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_in_bfloat16_it_is_as_near_at_some_length(name):
    """Running sums of exponents, gates, waves, and what a router chooses are in float32."""
    error, _ = in_bfloat16(vs.anatomy[name], {}, 700)
    assert error < ROUNDED.get(name, 1.2e-2)


OPTIONS = [
    ("reformer", {"chunked": True, "causal": True, "padding": True}, 8),
    ("routing", {"balanced": True, "causal": True, "padding": True}, 8),
    ("sliding_window", {"blocked": True, "causal": True, "padding": True}, 9),
    ("luong_dot", {"local": "monotonic", "causal": True}, 7),
    ("luong_general", {"local": "predictive", "padding": True}, 7),
    ("transformer_xl", {"memory": True, "causal": True, "padding": True}, 5),
    ("gat", {"together": "concat", "loops": True, "elu": True}, 6),
    ("flash", {"padding": True, "causal": True}, 9),
    ("mega", {"padding": True, "chunked": True}, 6),
    ("sinkhorn", {"causal": True, "padding": True}, 12),
    ("indexed", {"causal": True, "padding": True}, 7),
    ("strided", {"blocked": True, "causal": True, "padding": True}, 8),
    ("fixed", {"blocked": True, "padding": True}, 8),
    ("big_bird", {"blocked": True, "causal": True, "padding": True}, 16),
    ("hopfield", {"beta": "learned", "padding": True}, 7),
    ("based_layers", {"causal": True, "padding": True}, 7),
    ("longformer", {"dilation": (1, 2), "causal": True}, 7),
    ("longformer", {"dilation": (1, 2), "blocked": True, "padding": True}, 7),
    ("native_sparse", {"rotary": True, "padding": True}, 7),
    ("rwkv", {"padding": True}, 7),
    ("rfa_gated", {"padding": True}, 7),
    ("gated_delta_net", {"padding": True}, 7),
]


@pytest.mark.parametrize(("name", "options", "n"), OPTIONS)
def test_an_option_compiles_and_trains(name, options, n):
    """Values and gradients are the reference's, fixed parameters aside, which have none."""
    assert compiled_error(vs.anatomy[name](**options), n) < 1e-9


if torch.cuda.is_available():

    @pytest.mark.parametrize(("mechanism", "options"), list(requests()))
    def test_a_cuda_graph_holds_it(mechanism, options):
        diagram, n = shallow(mechanism, **options), LENGTH.get(mechanism.name, 7)
        sizes = sizes_at(diagram, n)
        module = vs.to_torch(diagram, device="cuda", sizes=known(diagram, n), seed=0)
        given = [x.float() if x.is_floating_point() else x
                 for x in arrays_at(diagram.input_types, sizes, 2).values()]  # fmt: skip
        inputs = [x.cuda() for x in given]
        with torch.no_grad():
            wanted = module(*inputs)
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                module(*inputs)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                found = module(*inputs)
            for x, y in zip(inputs, given, strict=True):
                x.copy_(y)
            graph.replay()
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
