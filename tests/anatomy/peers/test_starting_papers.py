"""How mechanisms start of which no package here has the initial values: as the papers say."""

import pytest
import torch
from starting import same_law, start

import vesalius as vs
from vesalius.anatomy.mechanism import initial
from vesalius.anatomy.started import STARTS


def normal(deviation, count=20_000):
    return deviation * torch.randn(count, generator=torch.Generator().manual_seed(9))


def uniform(width, count=20_000):
    return width * (2 * torch.rand(count, generator=torch.Generator().manual_seed(9)) - 1)


@pytest.mark.parametrize(("d", "k"), [(300, 4), (150, 16)])
def test_mega(d, k):
    """Signs that alternate, and moving averages of deviation 1 whatever their number is."""
    ours = start("mega", d=d, k=k, c=60, e=50, p=300)
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(k // 2)
    same_law(ours["beta_in"] - signs, normal(0.02))
    for name in ("alpha", "delta"):
        same_law(ours[name], normal(0.2))
    same_law(ours["eta"] * k**0.5, normal(1.0))
    for name in ("z", "v", "reset", "update", "new", "wo", "bias"):
        same_law(ours[name], normal(0.02))
        assert not ours.get(f"{name}_bias", torch.zeros(1)).any()


@pytest.mark.parametrize("width", [40, 90])
def test_additive_and_multiplicative_scores(width):
    ours = start("bahdanau", n=2, m=2, d=width, e=width, a=30)
    same_law(ours["w"], normal(0.001))
    same_law(ours["u"], normal(0.001))
    assert not ours["v"].any()
    same_law(start("luong_general", n=2, m=2, c=width, e=30)["w"], uniform(0.1))
    ours = start("luong_concat", n=2, m=2, c=width, e=30, a=400)
    same_law(ours["w"], uniform(0.1))
    same_law(ours["v"], uniform(0.1))


@pytest.mark.parametrize(("h", "c", "w"), [(30, 4, 31), (60, 8, 7)])
def test_light_convolution(h, c, w):
    ours = start("light_convolution", n=2, d=50, h=h, c=c, w=w)
    same_law(ours["filter"], uniform((6 / (w + h * w)) ** 0.5))
    for name in ("w", "v"):
        same_law(ours[name], uniform((6 / (50 + 2 * h * c)) ** 0.5))
        assert not ours[f"{name}_bias"].any()


@pytest.mark.parametrize("d", [220, 300])
def test_fastformer(d):
    ours = start("fastformer", n=2, d=d)
    for name in ("wq", "wk", "wv", "wo", "aq", "ak"):
        same_law(ours[name], normal(0.02))


OWN = {"ones", "zeros", "normal, deviation 1, fixed", "uniform within ±1, fixed"}


@pytest.mark.parametrize("mechanism", list(vs.anatomy), ids=lambda m: m.name)
def test_what_is_said_of_a_mechanism(mechanism, request):
    """A comparison with a package stands in a test; what is not torch's has a source."""
    here = request.path.parent
    tests = "".join(file.read_text() for file in here.glob("test_starting_*.py"))
    found = STARTS.get(mechanism.name)
    if found and found.package:
        assert f'"{mechanism.name}"' in tests
    one = {"layers": 1} if "layers" in mechanism.options else {}
    special = set(initial(mechanism(**one)).values()) - OWN
    part_of_others = mechanism.name in ("encoder", "decoder", "transformer", "native_sparse")
    assert not special or found or part_of_others, special
