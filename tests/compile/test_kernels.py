"""Kernels: declared in one file, found by structure, explained, overridable."""

import copy
import pickle
import re
import subprocess
import sys

import pytest
import torch

import vesalius as vs
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import KERNELS, SHIPPED, Kernel, kernel, kernel_of
from vesalius.diagrams.errors import FormatError

SDPA = "scaled_dot_product_attention"

# -- a kernel of one's own, as a user writes it in a file ------------------------------------------


@vs.diagram
def gated(x: "", y: "") -> "":
    """silu(x)·y"""
    return vs.silu(x) * y


CALLS = []


def fused(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Stands for a fast implementation."""
    CALLS.append(x.shape)
    return torch.nn.functional.silu(x) * y


SWIGLU = Kernel("test_swiglu", "a gate", lambda variant: gated, function=fused)


@pytest.fixture(autouse=True)
def only_here():
    """It is entered for these tests alone: a gate of the catalogue would take it as well."""
    kernel(SWIGLU)
    yield
    del KERNELS["test_swiglu"]


@vs.diagram
def gate(x: "n d") -> "n f":
    up = vs.linear(x, "d", "f", name="up")
    return vs.silu(up) * vs.linear(x, "d", "f", name="other")


def test_a_kernel_of_a_users_own_is_taken_and_agrees() -> None:
    module = vs.to_torch(gate, torch.float64, sizes={"d": 4, "f": 3}, seed=0)
    assert module.explain().kernels == ["test_swiglu"]
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    CALLS.clear()
    torch.testing.assert_close(module(x), gate.evaluate(x, sizes={"d": 4, "f": 3}, seed=0))
    assert len(CALLS) == 1
    assert CALLS[0] == (5, 3)
    assert torch.autograd.gradcheck(module, x)
    again = pickle.loads(pickle.dumps(module))
    assert torch.equal(again(x), module(x))


def test_its_box_has_the_meaning_of_what_it_stands_for() -> None:
    kernels = chosen(gate).diagram
    (box,) = [n.box for n in kernels.nodes if n.box.kind.name == "named"]
    assert kernel_of(box) == (SWIGLU, "")
    assert kernels.unfold() == gate
    assert "test_swiglu" in kernels.svg()
    assert vs.Diagram.from_json(kernels.to_json()) == kernels
    assert kernels.cost().flops == gate.cost().flops


def test_a_box_with_the_name_of_a_kernel_and_another_body_is_none() -> None:
    @vs.diagram
    def other(x: "", y: "") -> "":
        return x + y

    @vs.diagram
    def host(x: "n", y: "n") -> "n":
        return other.boxed(x, y)

    other.name = "test_swiglu"
    (box,) = [n.box for n in host.nodes if n.box.kind.name == "named"]
    assert kernel_of(box) is None


def test_names_are_taken_once() -> None:
    with pytest.raises(FormatError, match="is declared already"):
        kernel(SWIGLU)


# -- what is chosen, and how a person has a say ---------------------------------------------------


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    weights = vs.softmax(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")), "m")
    return vs.contract(weights, v, over="m")


def test_forbid_and_prefer() -> None:
    q, k, v = (torch.randn(n, 4) for n in (3, 5, 5))
    fast, plain = vs.to_torch(attention), vs.to_torch(attention, forbid=SHIPPED)
    assert "F.scaled_dot_product_attention" in fast.source
    assert "softmax" in plain.source
    assert dict(plain.explain()[0].reasons) == dict.fromkeys([SDPA, "tiles"], "it is forbidden")
    torch.testing.assert_close(fast(q, k, v), plain(q, k, v))
    assert vs.to_torch(attention, prefer=SDPA).explain().kernels == [SDPA]
    with pytest.raises(FormatError, match="no kernel is called 'sdpa'; there are"):
        vs.to_torch(attention, forbid=["sdpa"])


def test_an_explanation_reads_as_a_text_and_counts() -> None:
    @vs.diagram
    def twice(q: "n c", k: "m c", v: "m c") -> "n c":
        first = attention.boxed(q, k, v.rename(c="e")).rename(e="c")
        return attention.boxed(first, k, v.rename(c="e")).rename(e="c")

    first, second = str(vs.to_torch(twice).explain()).splitlines()
    where = "scaled_dot_product_attention at contract {e:c, n} float in attention"
    assert re.fullmatch(rf"2 × {where}; \d.* [mµ]?s expected", first)
    assert re.fullmatch(r"    not tiles: \d.* [mµ]?s expected", second)
    text = str(vs.to_torch(attention, forbid=SHIPPED).explain())
    assert text.splitlines() == [
        "no kernel at contract {e, n} float",
        "    not scaled_dot_product_attention: it is forbidden",
        "    not tiles: it is forbidden",
    ]
    empty = vs.to_torch(vs.identity("n")).explain()
    assert str(empty).startswith("no part of this diagram looks like one that a kernel serves")
    assert repr(empty) == str(empty)


def test_named_boxes_stay_where_the_same_kernels_are_found_in_them() -> None:
    @vs.diagram
    def layer(x: "n d") -> "n d":
        q = vs.linear(x, "d", "h c", name="wq")
        k = vs.linear(x, "d", "h c", name="wk").rename(n="m")
        v = vs.linear(x, "d", "h e", name="wv").rename(n="m")
        return vs.linear(attention(q, k, v), "h e", "d", name="wo")

    @vs.diagram
    def model(x: "n d") -> "n d":
        return layer.boxed(layer.boxed(x))

    sizes = {"d": 6, "h": 2, "c": 3, "e": 3}
    module = vs.to_torch(model, torch.float64, sizes=sizes, seed=0)
    assert module.source.count("class Layer(nn.Module)") == 1
    assert module.source.count("F.scaled_dot_product_attention") == 1
    assert module.explain().kernels == [SDPA, SDPA]
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(module(x), model.evaluate(x, sizes=sizes, seed=0))

    @vs.diagram
    def scores(x: "n d", y: "m d") -> "h n m":
        q, k = vs.linear(x, "d", "h c", name="wq"), vs.linear(y, "d", "h c", name="wk")
        return vs.contract(q, k, over="c")

    @vs.diagram
    def across(x: "n d") -> "h n d":
        y = x.rename(n="m")
        return vs.contract(vs.softmax(scores.boxed(x, y), "m"), y, over="m")

    del sizes["e"]
    module = vs.to_torch(across, torch.float64, sizes=sizes, seed=0)
    assert module.explain().kernels == [SDPA]
    assert list(module.state_dict()) == list(across.parameters)
    torch.testing.assert_close(module(x), across.evaluate(x, sizes=sizes, seed=0))


def test_parameters_on_which_nothing_depends_stay_in_the_state() -> None:
    """A bias of the keys shifts all scores of a query alike."""

    @vs.diagram
    def biased(q: "n c", k: "m c", v: "m c") -> "n c":
        u = vs.contract(q, vs.parameter("u", "c", init="ones"), over="c")
        scores = vs.contract(q, k, over="c") + u
        return vs.contract(vs.softmax(scores, "m"), v, over="m")

    module = vs.to_torch(biased, torch.float64, sizes={"c": 4})
    assert list(module.state_dict()) == ["u"]
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 5))
    torch.testing.assert_close(module(q, k, v), biased.evaluate(q, k, v, sizes={"c": 4}, seed=0))
    namespace: dict = {}
    exec(module.source, namespace)
    assert list(namespace["Biased"](4).state_dict()) == ["u"]
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert list(again.state_dict()) == ["u"]
        assert torch.equal(again(q, k, v), module(q, k, v))


def test_a_layer_that_is_drawn_again_gives_the_same_text() -> None:
    assert vs.to_torch(attention).source == vs.to_torch(attention).source
    assert "scaled_dot_product_attention" in vs.to_torch(attention).chosen.svg()


def test_what_is_preferred_does_not_hang_on_what_was_imported_first() -> None:
    program = """
import vesalius.compile.kernels.vector_norm, vesalius.compile.kernels.chunked
from vesalius.compile import kernels
kernels.load()
print(tuple(kernels.KERNELS) == kernels.SHIPPED)
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n"
