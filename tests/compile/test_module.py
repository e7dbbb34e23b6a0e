"""A compiled module does what modules do."""

import copy
import inspect
import io
import pickle

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS

torch.set_num_threads(1)

cube = FUNCTIONS.get("module_cube") or vs.function("module_cube", lambda x: x**3)
running = OWN.get("module_cumsum") or vs.box(
    "module_cumsum", "n -> n", lambda x: x.cumsum(-1), cost={"add": "n"}
)


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def layer(x: "n d") -> "n d":
    q = vs.linear(x, "d", "h c", name="wq")
    k = vs.linear(x, "d", "h c", name="wk").rename(n="m")
    v = vs.linear(x, "d", "h e", name="wv").rename(n="m")
    return vs.linear(attention(q, k, v), "h e", "d", name="wo")


@vs.diagram
def network(tokens: "n int") -> "n v":
    table = vs.parameter("table", "v d", init="normal", scale=0.3)
    x = vs.gather(table, tokens, "v")
    x = x + layer.boxed(x)
    x = x + layer(x) * vs.parameter("gain", "d", init="ones", trainable=False)
    return vs.contract(x, table, over="d")


SIZES = {"v": 11, "d": 6, "h": 2, "c": 3, "e": 4}
TOKENS = torch.tensor([1, 4, 10, 0, 3])


def compiled(**options):
    return vs.to_torch(network.over("b"), torch.float64, **{"sizes": SIZES, "seed": 0, **options})


def batch():
    return torch.stack([TOKENS, TOKENS.flip(0)])


# -- parameters ---------------------------------------------------------------------------------


def test_the_state_has_the_names_and_shapes_of_the_parameters() -> None:
    module = compiled()
    declared = {
        name: tuple(size.at(SIZES) for size in type_.axes.values())
        for name, type_ in module.diagram.parameters.items()
    }
    assert {k: tuple(v.shape) for k, v in module.state_dict().items()} == declared
    assert "layer.wq" in declared
    assert "layer_1.wq" in declared


def test_what_is_not_trainable_is_a_buffer() -> None:
    module = compiled()
    assert [name for name, _ in module.named_buffers()] == ["gain"]
    assert all(weight.requires_grad for weight in module.parameters())
    assert "gain" in module.state_dict()
    assert torch.equal(module.gain, torch.ones(6, dtype=torch.float64))


def test_a_seed_gives_the_values_of_the_reference() -> None:
    module, tokens = compiled(seed=5), batch()
    expected = module.diagram.evaluate(tokens, sizes=SIZES, seed=5)
    torch.testing.assert_close(module(tokens), expected, rtol=1e-12, atol=1e-12)
    assert not torch.equal(compiled(seed=6).table, module.table)


def test_without_a_seed_the_global_generator_decides() -> None:
    torch.manual_seed(3)
    first, other = compiled(seed=None), compiled(seed=None)
    torch.manual_seed(3)
    again = compiled(seed=None)
    assert torch.equal(first.table, again.table)
    assert not torch.equal(first.table, other.table)


def test_initial_values_are_as_declared() -> None:
    @vs.diagram
    def many(x: "n d") -> "n d":
        x = x * vs.parameter("ones", "d", init="ones") + vs.parameter("zeros", "d", init="zeros")
        x = x * vs.parameter("normal", "d", init="normal", scale=0.02)
        x = x + vs.parameter("uniform", "d", init="uniform", scale=3.0)
        return vs.linear(x, "d", "d", name="fan", bias=True)

    module = vs.to_torch(many, torch.float64, sizes={"d": 400}, seed=1)
    assert module.normal.std().item() == pytest.approx(0.02, rel=0.2)
    assert 2.8 < module.uniform.abs().max() <= 3
    for weight in (module.fan, module.fan_bias):
        assert 0.045 < weight.abs().max() <= 400**-0.5
    assert module.ones.eq(1).all()
    assert module.zeros.eq(0).all()


def test_orthogonal_rows_are_as_long_as_normal_ones() -> None:
    """In the module, and in what its text does when it is run by itself."""

    @vs.diagram
    def features(x: "n c") -> "n r":
        omega = vs.parameter("omega", "r c", init="orthogonal", scale=2.0, trainable=False)
        return vs.contract(x, omega, over="c")

    module = vs.to_torch(features, torch.float64, sizes={"r": 150, "c": 60}, seed=1)
    space: dict = {}
    exec(module.source, space)
    for omega in (module.omega, space["Features"](150, 60).omega.double()):
        assert omega.shape == (150, 60)
        for block in omega.split(60):
            gram = block @ block.T
            apart = gram - gram.diag().diag()
            assert apart.abs().max() < 1e-5 * gram.diag().min()
        assert omega.norm(dim=1).mean().item() == pytest.approx(2 * 60**0.5, rel=0.03)
        assert omega.norm(dim=1).std() > 0.5  # each has a length of its own
        assert (omega[:60] @ omega[60:120].T).abs().max() > 1


def test_a_shared_parameter_is_one() -> None:
    module = compiled()
    module(batch()).sum().backward()
    assert len(list(module.parameters())) == len({id(w) for w in module.parameters()}) == 9
    assert module.table.grad is not None


def test_the_text_declares_the_same_initial_values() -> None:
    source = compiled().source
    assert "self.table = nn.Parameter(0.3 * torch.randn(v, d))" in source
    assert 'self.register_buffer("gain", torch.ones(d))' in source
    assert "self.wq = nn.Parameter(torch.empty(d, h, c).uniform_(-1, 1) / d**0.5)" in source


# -- copies, states, places ---------------------------------------------------------------------


def test_deepcopy_shares_nothing_but_the_diagram() -> None:
    module, tokens = compiled(), batch()
    before = module(tokens)
    other = copy.deepcopy(module)
    assert other.diagram is module.diagram
    assert torch.equal(other(tokens), before)
    with torch.no_grad():
        other.layer.wq.zero_()
    assert torch.equal(module(tokens), before)
    assert not torch.equal(other(tokens), before)


def test_pickle_writes_the_text_again() -> None:
    module, tokens = compiled(), batch()
    text = pickle.dumps(module)
    assert b"def forward" not in text
    other = pickle.loads(text)
    assert other.source == module.source
    assert torch.equal(other(tokens), module(tokens))
    assert not other.gain.requires_grad


def test_torch_save_and_load() -> None:
    module, tokens, file = compiled().eval(), batch(), io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    other = torch.load(file, weights_only=False)
    assert torch.equal(other(tokens), module(tokens))
    assert not other.training


def test_state_dict_round_trip() -> None:
    module, other, tokens = compiled(seed=1), compiled(seed=2), batch()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(tokens), module(tokens))
    with pytest.raises(RuntimeError, match="size mismatch"):
        compiled(sizes={**SIZES, "d": 7}).load_state_dict(module.state_dict())


def test_dtype_is_that_of_the_parameters() -> None:
    module = vs.to_torch(network, torch.bfloat16, sizes=SIZES)
    assert module(TOKENS).dtype == torch.bfloat16
    assert module.double()(TOKENS).dtype == torch.float64
    assert vs.to_torch(network, sizes=SIZES)(TOKENS).dtype == torch.float32


def test_moving_to_a_device() -> None:
    module = compiled(device="meta")
    assert {w.device.type for w in module.state_dict().values()} == {"meta"}
    moved = compiled().to("meta")
    assert {w.device.type for w in moved.state_dict().values()} == {"meta"}
    assert moved.source == module.source


def test_a_module_without_inputs_or_parameters_knows_dtype_and_device() -> None:
    @vs.diagram
    def ramp() -> "n:4":
        return vs.to_float(vs.iota("n:4")) / 3

    module = vs.to_torch(ramp, torch.float64)
    assert torch.equal(module(), torch.arange(4.0, dtype=torch.float64) / 3)
    assert module.state_dict() == {}
    assert module.to(torch.float32)().dtype == torch.float32
    assert pickle.loads(pickle.dumps(module))().dtype == torch.float32


def test_it_trains() -> None:
    torch.manual_seed(0)
    module, tokens = compiled(), batch()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(module(tokens).flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# -- calls --------------------------------------------------------------------------------------


def test_inputs_by_name() -> None:
    module = vs.to_torch(attention, torch.float64)
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 5))
    assert torch.equal(module(v=v, q=q, k=k), module(q, k, v))
    assert torch.equal(module(q, v=v, k=k), module(q, k, v))
    assert list(inspect.signature(module.forward).parameters) == ["q", "k", "v"]


def test_several_outputs_are_a_tuple_in_order() -> None:
    @vs.diagram
    def both(x: "n d") -> {"total": "d", "x": "d n", "one": ""}:
        return {"total": vs.sum(x, "n"), "x": x, "one": 1.0}

    x = torch.randn(3, 2, dtype=torch.float64)
    total, same, one = vs.to_torch(both, torch.float64)(x)
    assert torch.equal(total, x.sum(0))
    assert torch.equal(same, x.T)
    assert (one.dtype, one.shape, one.item()) == (torch.float64, (), 1.0)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("m", [0, 1, 7])
def test_shapes_are_dynamic(n, m) -> None:
    module = vs.to_torch(attention.over("b h"), torch.float64)
    q, k, v = (torch.randn(2, 3, size, 4, dtype=torch.float64) for size in (n, m, m))
    expected = module.diagram.evaluate(q, k, v)
    torch.testing.assert_close(module(q, k, v), expected, rtol=1e-12, atol=1e-12)


def test_inputs_that_are_not_contiguous() -> None:
    module = vs.to_torch(attention.over("b h"), torch.float64)
    x = torch.randn(4, 5, 3, 2, dtype=torch.float64)
    q, k, v = x.permute(3, 2, 1, 0), x.permute(3, 2, 1, 0).flip(2), x.mT.transpose(0, 3)[:2, :3]
    v = v.expand(2, 3, 2, 4)[:, :, :1].expand(2, 3, 5, 4)
    torch.testing.assert_close(
        module(q, k, v), module(q.contiguous(), k.contiguous(), v.contiguous())
    )


def test_integers_of_any_width() -> None:
    module = compiled()
    expected = module(batch())
    for dtype in (torch.int32, torch.int16, torch.uint8):
        assert torch.equal(module(batch().to(dtype)), expected)


def test_hooks_and_functional_calls() -> None:
    module, seen = compiled(), []
    module.register_forward_hook(lambda *_: seen.append("forward"))
    module.layer.register_forward_hook(lambda *_: seen.append("layer"))
    expected = module(batch())
    assert seen == ["layer", "forward"]
    doubled = {name: 2 * weight for name, weight in module.state_dict().items()}
    assert not torch.equal(torch.func.functional_call(module, doubled, batch()), expected)


def test_vmap_and_jacobians() -> None:
    module = vs.to_torch(attention, torch.float64)
    many = vs.to_torch(attention.over("b"), torch.float64)
    q, k, v = (torch.randn(2, n, 4, dtype=torch.float64) for n in (3, 5, 5))
    torch.testing.assert_close(torch.func.vmap(module)(q, k, v), many(q, k, v))
    jacobian = torch.func.jacrev(module)(q[0], k[0], v[0])
    assert jacobian.shape == (3, 4, 3, 4)
    one = vs.to_torch(network, torch.float64, sizes=SIZES)
    assert torch.func.vmap(one)(batch()).shape == (2, 5, 11)


def test_autocast() -> None:
    module = vs.to_torch(attention)
    q, k, v = (torch.randn(n, 4) for n in (3, 5, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(q, k, v).dtype == torch.bfloat16
        mixed = module(q.bfloat16(), k, v)
    torch.testing.assert_close(mixed.float(), module(q, k, v), rtol=0.05, atol=0.05)


@pytest.mark.slow
def test_torch_compile_as_one_graph_for_all_shapes() -> None:
    module = compiled()
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    fast = torch.compile(module, backend=backend, fullgraph=True, dynamic=True)
    for tokens in (batch(), batch()[:, :3].contiguous(), batch().repeat(2, 2)):
        torch.testing.assert_close(fast(tokens), module(tokens), rtol=1e-12, atol=1e-12)
    assert len(graphs) == 1
    torch.compiler.reset()


def test_torch_export_with_dynamic_shapes() -> None:
    module = vs.to_torch(attention, torch.float64)
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 5))
    n, m = torch.export.Dim("n"), torch.export.Dim("m")
    shapes = {"q": {0: n}, "k": {0: m}, "v": {0: m}}
    exported = torch.export.export(module, (q, k, v), dynamic_shapes=shapes).module()
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) for n in (6, 2, 2))
    torch.testing.assert_close(exported(q, k, v), module(q, k, v))


# -- random sources -----------------------------------------------------------------------------


@vs.diagram
def noisy(x: "n") -> "n":
    keep = vs.random("n", "bernoulli", p=0.25, name="keep")
    return vs.where(keep, x, 0.0) + vs.random("n", name="noise") * 0


def test_draws_are_fresh_at_each_call() -> None:
    module, x = vs.to_torch(noisy), torch.ones(4000)
    first, second = module(x), module.eval()(x)
    assert first.mean().item() == pytest.approx(0.25, abs=0.04)
    assert not torch.equal(first, second)


def test_a_generator_repeats_draws() -> None:
    module, x = vs.to_torch(noisy), torch.ones(50)
    one, other = (module(x, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, other)
    torch.manual_seed(4)
    assert torch.equal(module(x), one)


def test_draws_of_a_named_box_are_fresh_at_each_call() -> None:
    @vs.diagram
    def twice(x: "n") -> {"a": "n", "b": "n"}:
        return {"a": noisy.boxed(x), "b": noisy.boxed(x)}

    a, b = vs.to_torch(twice)(torch.ones(200))
    assert not torch.equal(a, b)


# -- what users declare -------------------------------------------------------------------------


def test_functions_and_boxes_of_the_users_own() -> None:
    @vs.diagram
    def own(x: "n d") -> "d n":
        return running(cube(x))

    module = vs.to_torch(own, torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x), (x**3).cumsum(0).T)
    assert 'module_cube = FUNCTIONS["module_cube"].torch' in module.source.replace("'", '"')
    assert copy.deepcopy(module)(x).shape == (3, 4)


def test_a_users_template_binds_as_tightly_as_it_is_written() -> None:
    blend = FUNCTIONS.get("module_blend") or vs.function(
        "module_blend", "{0} * {weight} - {1}", arity=2, parameters=("weight",)
    )

    @vs.diagram
    def mixed(x: "n", y: "n") -> "n":
        return blend(x + y, blend(x, y, weight=-2.0), weight=0.5) ** 2

    x, y = torch.randn(2, 5, dtype=torch.float64)
    expected = ((x + y) * 0.5 - (x * -2.0 - y)) ** 2
    torch.testing.assert_close(vs.to_torch(mixed, torch.float64)(x, y), expected)
