"""States that are matrices: chunks against the loop, in every spelling, with their gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.kernels.fast_weights import define


def dot(x, y):
    return vs.contract(x, y, over="c")


@vs.diagram
def gates(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = vs.exp(g) * s + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def gates_elsewhere(s: "c", q: "c", k: "c", v: "", b: "", g: "c") -> {"s": "c", "o": ""}:
    """e is a tube of the scan, factors stand in other orders and the read is a part of more."""
    s = (v * k) * b + (s * vs.exp(g)) * vs.exp(-b * b)
    return {"s": s, "o": vs.tanh(dot(s, q) * b) + v}


@vs.diagram
def delta(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s + b * k * (v - dot(k, s))
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def delta_apart(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    """What is erased and what is written are two terms."""
    s = s - k * dot(b * s, k) + (k * v) * b
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def delta_with_gates(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    """The state fades first; what is erased is looked for by another vector than the key."""
    s = vs.exp(g) * s
    s = s + k * (v - b * dot(vs.sin(q), s))
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def delta_that_fades(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = vs.exp(-b) * s
    s = s - k * (dot(s, k) - v)
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def written_with_a_minus(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s - k * (v + dot(k, s))
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def added_at_the_key(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s + k * (v + 0.01 * b * dot(k, s))
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def a_sigmoid(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s * vs.sigmoid(30 * g + 15) + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def a_power_of_one(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    """Gates, strengths and a number, each in a spelling of its own."""
    s = 0.9 * (vs.sigmoid(g) ** 0.25 * vs.sqrt(vs.sigmoid(b))) * s
    s = s + b * k * (v - dot(k, s))
    return {"s": s, "o": dot(q, s)}


STEPS = [gates, gates_elsewhere, delta, delta_apart, delta_with_gates, delta_that_fades,
         written_with_a_minus, added_at_the_key, a_sigmoid, a_power_of_one]  # fmt: skip


def along(step):
    @vs.diagram
    def mechanism(q: "n c", k: "n c", v: "n e", b: "n", g: "n c") -> "n e":
        own = " ".join(step.input_types["s"].axes)
        states = [vs.expand(0.0, own)]
        return vs.scan(step, over="n", states=states, sequences=[q, k, v, b, g])[1]

    mechanism.name = step.name
    return mechanism.over("h", inputs=["q", "k", "v", "g"])


def arguments(n, dtype=torch.float64, h=2, c=3, e=4, decay=1.0):
    """Keys of length 1 and strengths below 1, so that states do not grow; gates that fade."""
    q, k = torch.randn(h, n, c), torch.randn(h, n, c)
    k = k / (k.norm(dim=-1, keepdim=True) + 1e-9)
    b, g = torch.rand(n), -decay * torch.rand(h, n, c)
    found = [q, k, torch.randn(h, n, e), b, g]
    return [x.to(dtype).requires_grad_() for x in found]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_spelling_is_taken_and_is_the_loop(step) -> None:
    diagram = along(step)
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == ["fast_weights"]
    assert "unbind(0)" not in module.source.partition("class ")[2]
    loop = vs.to_torch(diagram, torch.float64, forbid=["fast_weights"])
    assert "a loop over positions" in str(loop.explain())
    for n in (0, 1, 7, 8, 33, 130):
        torch.manual_seed(n)
        given = arguments(n)
        wanted = diagram.evaluate(*given)
        weigh = torch.randn_like(wanted)
        for found in (module(*given), loop(*given)):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
            if n == 0:
                continue
            ours, theirs = (
                torch.autograd.grad((y * weigh).sum(), given, retain_graph=True, allow_unused=True)
                for y in (found, wanted)
            )
            for one, other in zip(ours, theirs, strict=True):
                assert (one is None) == (other is None)
                if one is not None:
                    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("step", [gates, delta_with_gates], ids=lambda step: step.name)
def test_derivatives_of_all_orders(step) -> None:
    module = vs.to_torch(along(step), torch.float64)
    torch.manual_seed(0)
    given = arguments(9, h=1, c=2, e=2)
    assert torch.autograd.gradcheck(module, given)
    assert torch.autograd.gradgradcheck(module, given)


@given(
    n=st.integers(1, 80), scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]), seed=st.integers(0, 9)
)
@settings(max_examples=30)
@pytest.mark.parametrize("step", [gates, delta_with_gates], ids=lambda step: step.name)
def test_gates_of_any_strength_in_single_precision(step, n, scale, seed) -> None:
    diagram = along(step)
    torch.manual_seed(seed)
    given = arguments(n, torch.float32, decay=scale)
    found = vs.to_torch(diagram)(*given)
    wanted = diagram.evaluate(*(x.double() for x in given))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.double(), wanted, rtol=2e-3, atol=2e-3)
    (found.square().sum()).backward()
    assert all(x.grad is None or torch.isfinite(x.grad).all() for x in given)


def test_a_gate_of_zero_forgets_everything() -> None:
    module = vs.to_torch(along(gates), torch.float64)
    torch.manual_seed(0)
    q, k, v, b, g = (x.detach() for x in arguments(70))
    g[:, 40] = -torch.inf
    after = module(q, k, v, b, g)[:, 40:]
    k[:, :40] = 7.0
    torch.testing.assert_close(module(q, k, v, b, g)[:, 40:], after, rtol=1e-12, atol=1e-12)
    assert torch.isfinite(after).all()


def test_sigmoids_that_are_zero_and_one_in_single_precision() -> None:
    """Of what underflows as a sigmoid the logarithm is there, and so is its derivative.

    A chunk of 64 adds up logarithms of −100 to −2200, of which single precision keeps 2e-4.
    """
    diagram = along(a_sigmoid)
    torch.manual_seed(0)
    given = arguments(70, torch.float32)
    with torch.no_grad():
        given[4][:, ::3], given[4][:, 1::3] = -1e4, 1e4
    found = vs.to_torch(diagram)(*given)
    wanted = diagram.evaluate(*(x.double() for x in given))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-3, atol=1e-3)
    found.square().sum().backward()
    assert all(x.grad is None or torch.isfinite(x.grad).all() for x in given)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_state_is_kept_in_single_precision(dtype) -> None:
    diagram = along(delta)
    torch.manual_seed(0)
    given = arguments(200, dtype)
    found = vs.to_torch(diagram, dtype)(*given)
    assert found.dtype == dtype
    wanted = diagram.evaluate(*(x.double() for x in given))
    torch.testing.assert_close(found.double(), wanted, rtol=2e-2, atol=2e-2)


def test_no_batch_at_all() -> None:
    given = arguments(20, h=0)
    assert vs.to_torch(along(delta), torch.float64)(*given).shape == (0, 20, 4)


@vs.diagram
def at_another_key(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s + k * v - q * dot(k, s)
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def two_keys(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = vs.exp(g) * s + k * v + q * b
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def read_twice(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = vs.exp(g) * s + k * v
    return {"s": s, "o": dot(q, s) * dot(k, s)}


@vs.diagram
def negative_gates(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = k * v - vs.exp(g) * s
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def any_factor(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = g * s + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def a_negative_number(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = -0.5 * vs.sigmoid(g) * s + k * v
    return {"s": s, "o": dot(q, s)}


@vs.diagram
def bent(s: "c e", q: "c", k: "c", v: "e", b: "", g: "c") -> {"s": "c e", "o": "e"}:
    s = s + k * (v - vs.tanh(dot(k, s)))
    return {"s": s, "o": dot(q, s)}


OTHERS = [at_another_key, two_keys, read_twice, negative_gates, any_factor,
          a_negative_number, bent]  # fmt: skip


@pytest.mark.parametrize("step", OTHERS, ids=lambda step: step.name)
def test_what_is_another_recurrence_stays_a_loop(step) -> None:
    diagram = along(step)
    module = vs.to_torch(diagram, torch.float64)
    assert "fast_weights" not in module.explain().kernels
    assert "a loop over positions" in str(module.explain())
    torch.manual_seed(0)
    given = arguments(6)
    torch.testing.assert_close(module(*given), diagram.evaluate(*given))


@pytest.mark.parametrize(
    "variant", ["", "corrected", "fading", "fading by channels", "corrected fading by channels"]
)
def test_the_box_means_the_scan(variant) -> None:
    torch.manual_seed(0)
    q, k, v, erase, decay = (torch.randn(6, w).double() for w in (2, 2, 3, 2, 2))
    decay = decay if "channels" in variant else decay[:, 0]
    state, wanted = torch.zeros(2, 3).double(), []
    for t in range(6):
        change = v[t] - erase[t] @ state if "corrected" in variant else v[t]
        kept = torch.exp(decay[t])[..., None] * state if "fading" in variant else state
        state = kept + torch.outer(k[t], change)
        wanted.append(q[t] @ state)
    more = [erase] * ("corrected" in variant) + [decay] * ("fading" in variant)
    torch.testing.assert_close(define(variant).evaluate(q, k, v, *more), torch.stack(wanted))
