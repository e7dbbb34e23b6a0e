"""How products of two factors are written in tiles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.compile.emit import source
from vesalius.compile.nested import function_of
from vesalius.compile.program import Program
from vesalius.compile.tiles import run

LENGTHS = {"b": 2, "r": 3, "c": 5, "a": 4}


def written(x: str, y: str, over: str, device: str):
    """The text of Σ x·y over some axes in a tile, and the function."""
    left = " ".join(a for a in dict.fromkeys(f"{x} {y}".split()) if a not in over.split())

    @vs.diagram
    def product(x: x, y: y) -> left:
        return vs.contract(x, y, over=over)

    program = Program(product, {}, device)
    function_of(program, product, "product")
    namespace: dict = {}
    text = source(program)
    exec(text, namespace)
    return text, namespace["product"]


axes = st.lists(st.sampled_from("brca"), min_size=1, unique=True)


@settings(deadline=None, max_examples=100)
@given(axes, axes, st.data(), st.sampled_from(["cpu", "cuda"]))
def test_every_product_is_what_einsum_makes(x, y, data, device):
    over = data.draw(st.lists(st.sampled_from(sorted({*x, *y})), min_size=1, unique=True))
    _, function = written(" ".join(x), " ".join(y), " ".join(over), device)
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn([LENGTHS[a] for a in one], generator=generator, dtype=torch.float64)
             for one in (x, y)]  # fmt: skip
    left = [a for a in dict.fromkeys([*x, *y]) if a not in over]
    wanted = torch.einsum(f"{''.join(x)},{''.join(y)}->{''.join(left)}", *given)
    torch.testing.assert_close(function(*given), wanted, rtol=1e-12, atol=1e-12)


def test_inner_products_are_made_entry_by_entry_on_a_cpu():
    """On a GPU a tile is of half precision, and a product rounds once; one alone is a product."""
    assert "(x * y).sum(-1)" in written("r c", "r c", "c", "cpu")[0]
    assert "(x * y.permute(2, 0, 1)).sum(1)" in written("b r c", "r c b", "r", "cpu")[0]
    assert "einsum" in written("r c", "r c", "c", "cuda")[0]
    assert "einsum" in written("r c", "r c", "r c", "cpu")[0]
    assert "einsum" in written("b r c a", "b r c", "c", "cpu")[0]

    @vs.diagram
    def outside(x: "r c", y: "r c") -> "r":
        return vs.contract(x, y, over="c")

    assert "einsum" in vs.to_torch(outside).source


@pytest.mark.parametrize(("hidden", "rows"), [("a", 8), ("", 16)])
def test_arrays_with_further_axes_are_of_fewer_rows(hidden, rows, monkeypatch):
    """Where there is room for none: what has further axes should stay in the cache."""

    @vs.diagram
    def scored(q: f"n {hidden}", k: f"m {hidden}", v: "m e") -> "n e":
        scores = vs.tanh(q + k)
        scores = vs.sum(scores, hidden) if hidden else scores
        return vs.contract(vs.softmax(scores, "m"), v, over="m")

    monkeypatch.setattr(run, "room", lambda device: 1)
    seen, places = [], run.places

    def noted(*given):
        for place in places(*given):
            seen.append(place.rows)
            yield place

    monkeypatch.setattr(run, "places", noted)
    module = vs.to_torch(scored, prefer=["tiles"])
    with torch.no_grad():
        module(*(torch.randn(*(n, 3)[: 1 + bool(hidden)]) for n in (40, 50)), torch.randn(50, 2))
    assert [length for _, length in seen] == [rows] * (40 // rows) + [40 % rows] * bool(40 % rows)
