"""Sums with weights by distance run through spectra, in any spelling; Fourier matrices, too."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.kernels.convolution import define
from vesalius.compile.toeplitz import ALL, FORWARD, ROUND

torch.set_num_threads(1)
NAME = "convolution"


def n():
    return vs.iota("n")


def m():
    return vs.iota("m:n")


def far():
    return n() - m()


def read(h):
    """h at n − m, where that is a place of h."""
    return vs.gather(h, vs.remainder(far(), vs.size("n")), over="n")


def past(weights, nothing=0.0):
    return vs.where(m() <= n(), weights, nothing)


def mix(weights, x, *more):
    return vs.contract(weights, x, *more, over="m")


# Each takes values x[b, m, d], a filter h[n, d], a table of both signs t[2n], a rate r[d] and a
# gate g[b, n, d]; the last of a pair says which distances the kernel runs over.
SPELLINGS = {
    "table": (lambda x, h, t, r, g: mix(past(read(h)), x), FORWARD),
    "table, hidden turned": (
        lambda x, h, t, r, g: mix(vs.where(vs.logical_not(m() > n()), read(h), 0), x), FORWARD),
    "table, triangle": (
        lambda x, h, t, r, g: mix(vs.to_float(far() >= 0), x, read(h)), FORWARD),
    "table, clamped": (
        lambda x, h, t, r, g: mix(past(vs.gather(h, vs.maximum(far(), 0), over="n")), x), FORWARD),
    "table from its end": (
        lambda x, h, t, r, g: mix(
            past(vs.gather(h, vs.remainder(-1 - far(), vs.size("n")), over="n")), x), FORWARD),
    "strictly before": (
        lambda x, h, t, r, g: mix(vs.where(m() < n(), read(h), 0.0), x), FORWARD),
    "gated": (lambda x, h, t, r, g: vs.tanh(g) * mix(past(read(h)), x, r), FORWARD),
    "average of exponents": (
        lambda x, h, t, r, g: mix(past(vs.exp(-r * vs.to_float(far()))), x) * (1 - vs.exp(-r)),
        FORWARD),
    "exponents added": (
        lambda x, h, t, r, g: mix(
            vs.exp(past(r * vs.to_float(m()) - r * vs.to_float(n()), -math.inf)), x), FORWARD),
    "exponents, two rates": (
        lambda x, h, t, r, g: mix(
            past(vs.exp(vs.to_float(m()) * r - vs.to_float(n()) * r - 0.5 * (n() - m()))), x),
        FORWARD),
    "window": (lambda x, h, t, r, g: mix(vs.to_float((m() <= n()) & (far() < 5)), x) / 5, FORWARD),
    "window to both sides": (
        lambda x, h, t, r, g: mix(vs.to_float(vs.abs(far()) <= 2), x), ALL),
    "both signs": (
        lambda x, h, t, r, g: mix(
            vs.gather(t, far() + (vs.size("n") - 1), over="t") + vs.tanh(0.1 * far()), x), ALL),
    "decay to both sides": (
        lambda x, h, t, r, g: mix(vs.exp(-vs.abs(vs.to_float(far())) * r), x), ALL),
    "later keys": (
        lambda x, h, t, r, g: mix(vs.where(n() <= m(), vs.exp(-0.3 * (m() - n())), 0.0), x), ALL),
    "diagonal": (lambda x, h, t, r, g: mix(vs.where(vs.equal(n(), m()), r, 0.0), x), ALL),
    "round": (lambda x, h, t, r, g: mix(read(h), x), ROUND),
    "round, a function of it": (
        lambda x, h, t, r, g: mix(
            vs.cos(0.4 * vs.remainder(m() - n() + 2, vs.size("n"))) * read(h) + r, x), ROUND),
    "total": (lambda x, h, t, r, g: vs.sum(past(read(h)), "m") * g, FORWARD),
}  # fmt: skip


def diagram_of(build):
    @vs.diagram
    def spelled(x: "b n d", h: "n d", t: "t:2*n d", r: "d", g: "b n d") -> "b n d":
        return vs.like(build(x.rename(n="m"), h, t, r, g), x)

    return spelled


def arrays(length, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, length, 3), (length, 3), (2 * length, 3), (3,), (2, length, 3)]
    made = [torch.rand(shape, dtype=dtype, generator=generator) for shape in shapes]
    return [x if k == 3 else x - 0.3 for k, x in enumerate(made)]


def with_gradients(function, inputs):
    given_ = [x.clone().requires_grad_() for x in inputs]
    y = function(*given_)
    dy = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), *torch.autograd.grad(y, given_, dy, materialize_grads=True)


def agree(function, other, inputs):
    for one, two in zip(
        with_gradients(function, inputs), with_gradients(other, inputs), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_found_and_is_the_sum(name) -> None:
    build, which = SPELLINGS[name]
    diagram = diagram_of(build)
    for one in (diagram, diagram.rename(n="zeta", d="tau"), diagram.fold("box").unfold()):
        module = vs.to_torch(one, torch.float64)
        assert module.explain().kernels == [NAME]
        assert f"{which} sums by distance".strip() in str(module.explain())
    for length in (0, 1, 2, 7, 67):
        agree(module, diagram.evaluate, arrays(length))
    assert "from vesalius" not in module.source


@pytest.mark.parametrize("name", ["average of exponents", "exponents added"])
def test_decays_run_in_chunks_where_transforms_are_not_wanted(name) -> None:
    diagram = diagram_of(SPELLINGS[name][0])
    module = vs.to_torch(diagram, torch.float64, forbid=[NAME])
    assert module.explain().kernels == ["chunked"]
    agree(module, diagram.evaluate, arrays(70))


@settings(max_examples=40)
@given(name=st.sampled_from(list(SPELLINGS)), length=st.integers(1, 200), seed=st.integers(0, 99))
def test_any_length(name, length, seed) -> None:
    diagram = diagram_of(SPELLINGS[name][0])
    module = MODULES.setdefault(name, vs.to_torch(diagram, torch.float64))
    inputs = arrays(length, seed)
    torch.testing.assert_close(module(*inputs), diagram.evaluate(*inputs), rtol=1e-9, atol=1e-9)


MODULES: dict = {}


@pytest.mark.parametrize("name", ["table", "both signs", "round"])
def test_gradcheck(name) -> None:
    module = vs.to_torch(diagram_of(SPELLINGS[name][0]), torch.float64)
    assert torch.autograd.gradcheck(module, [x.requires_grad_() for x in arrays(5)])
    assert torch.autograd.gradgradcheck(module, [x.requires_grad_() for x in arrays(3)])


def test_more_keys_than_queries() -> None:
    @vs.diagram
    def cross(x: "m d", r: "d") -> "n:2*m d":
        distance = vs.to_float(vs.iota("n:2*m") - vs.iota("m"))
        return vs.contract(vs.exp(-r * vs.abs(distance)), x, over="m")

    @vs.diagram
    def back(x: "m d", y: "n d", r: "d") -> "n d":
        distance = vs.to_float(vs.iota("n") - vs.iota("m"))
        return vs.contract(vs.exp(-r * vs.abs(distance)), x, over="m") * y

    for diagram in (cross, back):
        module = vs.to_torch(diagram, torch.float64)
        assert module.explain().kernels == [NAME]
        for rows, keys in ((8, 4), (1, 5), (3, 0), (0, 3), (0, 0)):
            arrays = {"x": torch.rand(keys, 2), "y": torch.rand(rows, 2), "r": torch.rand(2)}
            agree(module, diagram.evaluate, [arrays[p].double() for p in diagram.input_types])


# -- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["table", "both signs", "round"])
def test_element_types(name, dtype) -> None:
    diagram = diagram_of(SPELLINGS[name][0])
    module = vs.to_torch(diagram, dtype)
    inputs = [x.to(dtype) for x in arrays(100)]
    wanted = with_gradients(diagram.evaluate, [x.double() for x in inputs])
    for one, two in zip(with_gradients(module, inputs), wanted, strict=True):
        assert one.dtype == dtype
        near = {torch.float32: 1e-5}.get(dtype, 2e-2)
        assert (one.double() - two).abs().max() <= near * two.abs().max()


@pytest.mark.parametrize("length", [1, 8, 15, 64, 100])
def test_what_comes_later_never_comes_round(length) -> None:
    module = vs.to_torch(diagram_of(SPELLINGS["table"][0]), torch.float64)
    inputs = arrays(length)
    wanted = module(*inputs)
    for at in range(0, length, 7):
        x = inputs[0].clone()
        x[:, at:] += 100
        found = module(x, *inputs[1:])
        torch.testing.assert_close(found[:, :at], wanted[:, :at], rtol=0, atol=1e-11)


# -- what is none ---------------------------------------------------------------------------------

OTHERS = {
    "sum of positions": lambda x, h, t, r, g: mix(
        vs.gather(h, vs.remainder(n() + m(), vs.size("n")), over="n"), x),
    "multiple": lambda x, h, t, r, g: mix(
        vs.gather(h, vs.remainder(2 * n() - m(), vs.size("n")), over="n"), x),
    "a factor of the key's place": lambda x, h, t, r, g: mix(past(read(h)) * vs.sqrt(m() + 1), x),
    "a mask of places": lambda x, h, t, r, g: mix(vs.where(m() <= 3 * n(), read(h), 0.0), x),
    "rates by query": lambda x, h, t, r, g: mix(past(vs.exp(-far() * vs.sum(g, "b"))), x),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_hangs_on_more_than_the_distance(name) -> None:
    diagram = diagram_of(OTHERS[name])
    module = vs.to_torch(diagram, torch.float64, prefer=[NAME])
    kernels = module.explain().kernels
    assert NAME not in kernels or name == "a factor of the key's place"
    agree(module, diagram.evaluate, arrays(9))


def test_short_sums_are_left_as_they_are() -> None:
    diagram = diagram_of(SPELLINGS["decay to both sides"][0])
    short = vs.to_torch(diagram, sizes={"n": 8, "d": 3, "b": 2})
    assert NAME not in short.explain().kernels
    assert "as it is written" in str(short.explain())
    assert "not convolution: " in str(short.explain())
    long = vs.to_torch(diagram, sizes={"n": 4096, "d": 64, "b": 2})
    assert long.explain().kernels == [NAME]
    preferred = vs.to_torch(diagram, sizes={"n": 8, "d": 3, "b": 2}, prefer=[NAME])
    assert preferred.explain().kernels == [NAME]


def test_linear_attention_is_no_sum_by_distance() -> None:
    @vs.diagram
    def linear(q: "n c", k: "n c", v: "n e") -> "n e":
        k, v = k.rename(n="m"), v.rename(n="m")
        return vs.contract(vs.to_float(m() <= n()), q, k, v, over="c m")

    assert vs.to_torch(linear).explain().kernels == ["chunked"]


@pytest.mark.parametrize("which", [FORWARD, ROUND])
def test_the_box_means_what_it_runs(which) -> None:
    """What a kernel stands for is found as that kernel."""
    diagram = define(which)
    assert vs.to_torch(diagram, prefer=[NAME]).explain().kernels == [NAME]


# -- Fourier matrices -----------------------------------------------------------------------------

TURN = 2 * math.pi


def matrix(function, i, j, length, phase=None):
    phase = phase or (lambda i, j, n: TURN * vs.to_float(i * j) / n)
    return function(phase(vs.iota(f"{i}:{length}"), vs.iota(f"{j}:{length}"), vs.size(length)))


PHASES = {
    "product": lambda i, j, n: TURN * vs.to_float(i * j) / n,
    "frequency": lambda i, j, n: j * i * (TURN * vs.reciprocal(n)),
    "negative": lambda i, j, n: -(TURN * i) * (j / n),
    "reciprocal": lambda i, j, n: (vs.to_float(j) * vs.reciprocal(n)) * (2 * i) * math.pi,
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("function", [vs.cos, vs.sin], ids=["cos", "sin"])
def test_products_with_cosines_and_sines_are_transforms(phase, function) -> None:
    @vs.diagram
    def transformed(x: "b n d", g: "n d") -> "b n d":
        w = matrix(function, "m", "n", "n", PHASES[phase])
        return vs.contract(w, x.rename(n="m"), over="m") * vs.sqrt(vs.reciprocal(vs.size("n"))) + g

    module = vs.to_torch(transformed, torch.float64)
    assert module.explain().kernels == ["fourier_matrix"]
    for length in (0, 1, 2, 9, 64):
        shapes = ((2, length, 3), (length, 3))
        agree(module, transformed.evaluate, [torch.rand(s, dtype=torch.float64) for s in shapes])


@vs.diagram
def fnet(x: "b n d") -> "b n d":
    """The real part of a transform over tokens and channels, as matrices."""
    x = x.rename(n="i", d="j")
    of_cosines = (matrix(vs.cos, "i", "n", "n"), matrix(vs.cos, "j", "d", "d"))
    of_sines = (matrix(vs.sin, "i", "n", "n"), matrix(vs.sin, "j", "d", "d"))
    return vs.contract(*of_cosines, x, over="i j") - vs.contract(*of_sines, x, over="i j")


def test_two_axes() -> None:
    module = vs.to_torch(fnet, torch.float64)
    assert module.explain().kernels == ["fourier_matrix"] * 2
    x = torch.rand(2, 6, 5, dtype=torch.float64, requires_grad=True)
    agree(module, fnet.evaluate, [x.detach()])
    torch.testing.assert_close(module(x), torch.fft.fft2(x).real)
    assert torch.autograd.gradcheck(module, x)
    assert vs.to_torch(fnet, sizes={"b": 1, "n": 8, "d": 4}).explain().kernels == []


def test_a_known_length_in_the_number() -> None:
    @vs.diagram
    def eight(x: "d:256 c") -> "f:256 c":
        phase = (TURN / 256) * vs.iota("d:256") * vs.iota("f:256")
        return vs.contract(vs.cos(phase), x, over="d")

    module = vs.to_torch(eight, torch.float64, sizes={"c": 64})
    assert module.explain().kernels == ["fourier_matrix"]
    agree(module, eight.evaluate, [torch.rand(256, 64, dtype=torch.float64)])


NO_MATRIX = {
    "half a turn": lambda i, j, n: math.pi * i * j / n,
    "nearly": lambda i, j, n: 6.2831 * i * j / n,
    "no length": lambda i, j, n: TURN * i * j,
    "square": lambda i, j, n: TURN * i * i * j / n,
    "shifted": lambda i, j, n: TURN * i * (j + 1) / n,
    "length on top": lambda i, j, n: TURN * i * j * n,
}


@pytest.mark.parametrize("phase", NO_MATRIX)
def test_what_is_no_fourier_matrix(phase) -> None:
    @vs.diagram
    def other(x: "m c") -> "n:m c":
        w = matrix(vs.cos, "m", "n", "m", NO_MATRIX[phase])
        return vs.contract(w, x, over="m")

    @vs.diagram
    def longer(x: "m c") -> "n:2*m c":
        w = vs.cos(TURN * vs.iota("m") * vs.iota("n:2*m") / vs.size("m"))
        return vs.contract(w, x, over="m")

    for diagram in (other, longer):
        module = vs.to_torch(diagram, torch.float64, prefer=["fourier_matrix"])
        assert "fourier_matrix" not in module.explain().kernels


# -- products of spectra --------------------------------------------------------------------------


def spectral(build):
    @vs.diagram
    def spectra(x: "b n d", h: "n d") -> "b n d":
        x, h = (vs.pad(y, "n", 0, "n", into="t") for y in (x, h))
        return vs.slice(build(x, h), "t", 0, length="n", into="n")

    return spectra


def spectra_of(x, h):
    (a, b), (c, d) = (vs.fourier(y, over="t") for y in (x, h))
    return vs.fourier(a * c - b * d, a * d + b * c, over="t", inverse=True)


PRODUCTS = {
    "plain": lambda x, h: spectra_of(x, h)[0],
    "turned": lambda x, h: spectra_of(h, x)[0],
    "by parts": lambda x, h: spectra_of(vs.tanh(x), vs.exp(h))[0] + 1,
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_real_spectra_are_real_transforms(name) -> None:
    diagram = spectral(PRODUCTS[name])
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == ["real_spectra"]
    assert "torch.complex" not in module.source
    for length in (0, 1, 2, 9, 50):
        shapes = ((2, length, 3), (length, 3))
        agree(module, diagram.evaluate, [torch.rand(s, dtype=torch.float64) for s in shapes])


def conjugate(x, h):
    (a, b), (c, d) = (vs.fourier(y, over="t") for y in (x, h))
    return vs.fourier(a * c + b * d, b * c - a * d, over="t", inverse=True)[0]


def both_parts(x, h):
    real, imaginary = spectra_of(x, h)
    return real + imaginary


def half(x, h):
    (a, b), (c, d) = (vs.fourier(y, over="t") for y in (x, h))
    return vs.fourier(a * c, a * d + b * c, over="t", inverse=True)[0]


def pairs(x, h):
    (a, b), (c, d) = (vs.fourier(y, h, over="t") for y in (x, h))
    return vs.fourier(a * c - b * d, a * d + b * c, over="t", inverse=True)[0]


@pytest.mark.parametrize("build", [conjugate, both_parts, half, pairs], ids=lambda f: f.__name__)
def test_what_is_no_product_of_two_real_spectra(build) -> None:
    diagram = spectral(build)
    module = vs.to_torch(diagram, torch.float64)
    assert module.explain().kernels == []
    agree(module, diagram.evaluate, [torch.rand(2, 5, 3).double(), torch.rand(5, 3).double()])
