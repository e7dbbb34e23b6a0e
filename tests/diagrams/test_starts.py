"""Initial values that are computed, and widths that depend on sizes."""

import json

import pytest
import torch

import vesalius as vs
from vesalius.anatomy.mechanism import initial
from vesalius.rewrite.checking.code import source


def ramp(i, k):
    """−2·(k mod 2) + 8·(i / (|e| − 1))^0.7 + 0.1·N(0, 1)"""
    slope = vs.power(i / (vs.size("e") - 1), exponent=0.7)
    return 8 * slope - 2 * vs.remainder(k, 2) + 0.1 * vs.random("e k")


@vs.diagram
def layer(x: "n e k") -> "n e k":
    slow = vs.parameter("slow", "e k", init=ramp)
    step = vs.parameter("step", "e", init=lambda i: vs.exp(3 * vs.random("e", "uniform") - 2))
    middle = vs.parameter("middle", "e", init=lambda i: 0.5, trainable=False)
    count = vs.parameter("count", "k", init=lambda k: k + 1)
    wide = vs.parameter("wide", "e k", init="normal", fan="e", scale=3.0)
    both = vs.parameter("both", "e k", fan="e + 3*k", scale=6**0.5)
    even = vs.parameter("even", "e", init="uniform", fan="e", scale=2.0)
    return x * slow * step * middle * count * wide * both * even


def state(diagram, e=300, k=50, seed=1, **options):
    module = vs.to_torch(diagram, torch.float64, sizes={"e": e, "k": k}, seed=seed, **options)
    return module.state_dict()


def check(values, e, k):
    i, j = torch.arange(e)[:, None], torch.arange(k)
    noise = values["slow"].double() - (8 * (i / (e - 1)).double() ** 0.7 - 2 * (j % 2))
    assert noise.std().item() == pytest.approx(0.1, rel=0.05)
    assert abs(noise.mean()) < 0.005
    logs = values["step"].log()
    assert -2 <= logs.min() < -1.9
    assert 0.9 < logs.max() <= 1
    assert (values["middle"] == 0.5).all()
    assert values["count"].tolist() == list(range(1, k + 1))
    assert values["wide"].std().item() == pytest.approx(3 / e**0.5, rel=0.03)
    bound = (6 / (e + 3 * k)) ** 0.5
    assert 0.99 * bound < values["both"].abs().max() <= bound + 1e-7
    assert 0.97 * 2 / e**0.5 < values["even"].abs().max() <= 2 / e**0.5


@pytest.mark.parametrize(("e", "k"), [(300, 50), (120, 180)])
def test_a_module_starts_as_declared(e, k):
    """With a seed, from the global generator, and as the text by itself does."""
    check(state(layer, e, k), e, k)
    check(state(layer, e, k, seed=None), e, k)
    module = vs.to_torch(layer, sizes={"e": e, "k": k})
    space = {}
    exec(module.source, space)
    torch.manual_seed(0)
    check(space["Layer"](e, k).state_dict(), e, k)


def test_a_seed_decides():
    first, again, other = state(layer), state(layer), state(layer, seed=2)
    for name in ("slow", "step", "wide", "both", "even"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    torch.manual_seed(5)
    one, two = state(layer, seed=None), state(layer, seed=None)
    torch.manual_seed(5)
    assert torch.equal(one["slow"], state(layer, seed=None)["slow"])
    assert not torch.equal(one["slow"], two["slow"])


def test_the_reference_meaning_draws_the_same_values():
    x = torch.ones(1, 20, 8, dtype=torch.float64)
    values = state(layer, 20, 8, seed=3)
    assert torch.equal(
        layer.evaluate(x, seed=3, sizes={"e": 20, "k": 8}),
        layer.evaluate(x, parameters=dict(values)),
    )


def test_equal_starts_are_equal_whoever_wrote_them():
    def drawn(start, **options):
        @vs.diagram
        def scaled(x: "e k") -> "e k":
            return x * vs.parameter("w", "e k", init=start, **options)

        return scaled

    assert drawn(ramp) == drawn(lambda a, b: ramp(a, b))
    assert hash(drawn(ramp)) == hash(drawn(lambda a, b: ramp(a, b)))
    assert drawn(ramp) != drawn(lambda a, b: 2 * ramp(a, b))
    assert drawn(ramp) != drawn("normal")
    assert drawn("normal", fan="e") != drawn("normal", fan="k")
    assert drawn("normal", fan="e") != drawn("normal")


def test_sizes_are_put_into_what_computes():
    fixed = layer.substitute(e=6, k="2*e")
    shapes = {name: [str(s) for s in t.axes.values()] for name, t in fixed.parameters.items()}
    assert shapes["slow"] == ["6", "2*e"]
    assert initial(fixed)["slow"].startswith("8·(e/5)^0.7 − 2·(k mod 2) + 0.1·N(0, 1)")
    assert initial(layer)["both"] == "uniform within ±√6/√(e + 3*k)"
    module = vs.to_torch(fixed, torch.float64, sizes={"e": 3}, seed=0)
    assert module.count.tolist() == [1, 2, 3, 4, 5, 6]


def test_json_holds_what_computes():
    text = layer.to_json()
    again = vs.Diagram.from_json(text)
    assert again == layer
    assert again.to_json() == text
    assert initial(again) == initial(layer)
    assert again != vs.Diagram.from_json(text.replace("0.7", "0.75"))


def edited(change):
    document = json.loads(layer.to_json())
    slow = next(t for t in document["tokens"] if t["name"] == "slow")
    change(document, slow)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (lambda d, t: t.update(init="he"), "tokens[0].init", "one of fan"),
        (lambda d, t: t.update(init=3), "tokens[0].init", "one of fan"),
        (lambda d, t: t["init"].pop("nodes"), "tokens[0].init", "'nodes' is missing"),
        (lambda d, t: t["init"].update(outputs=[]), "tokens[0].init", "one output"),
        (lambda d, t: t["init"]["outputs"][0].update(wire=0, axes=["e"], slots=[0]),
         "tokens[0].init", "floats"),
        (lambda d, t: t["init"].update(inputs=[{"name": "x", "type": "{} float"}]),
         "tokens[0].init", ""),
        (lambda d, t: t.update(init=d["tokens"][1]["init"]), "nodes[0].new", "other sizes"),
    ],
)  # fmt: skip
def test_json_that_cannot_say_how_to_start_is_refused(change, place, message):
    with pytest.raises(vs.FormatError) as caught:
        vs.Diagram.from_json(edited(change))
    assert f"$.{place}" in str(caught.value)
    assert message in str(caught.value)


def test_what_a_start_may_not_be():
    def parameter(init, axes="e k", **options):
        with vs.Builder("f"):
            vs.parameter("w", axes, init=init, **options)

    with pytest.raises(vs.FormatError, match="or a function of positions, not 3"):
        parameter(3)
    with pytest.raises(vs.FormatError, match="depend on 'v'"):
        parameter(lambda e, k: vs.parameter("v", "e k"))
    with pytest.raises(vs.TypeClash, match="numbers, not truth values"):
        parameter(lambda e, k: e < k)
    with pytest.raises(vs.AxisError, match=r"\{n\} float"):
        parameter(lambda e, k: vs.random("n"))
    with pytest.raises(vs.AxisError, match=r"have the type \{e, k\} float"):
        parameter(layer_start(), axes="k e")
    with pytest.raises(vs.FormatError, match="no inputs"):
        parameter(layer)
    with pytest.raises(vs.AxisError, match="fan names 'n'"):
        parameter("normal", fan="e + n")
    with pytest.raises(vs.SizeError, match="initial values that depend on the size p"):
        vs.to_torch(of_places(), sizes={"e": 3})


def layer_start():
    return next(t for t, _ in layer.tokens if t.name == "slow").init


def of_places():
    @vs.diagram
    def scaled(x: "n e") -> "n e":
        return x * vs.parameter("w", "e", init=lambda e: e / vs.size("p"))

    return scaled


def test_a_diagram_can_be_given():
    with vs.Builder("f") as builder:
        w = vs.parameter("w", "a b", init=layer_start().substitute(e="a", k="b"))
        made = builder.diagram(out=w)
    assert list(made.parameters) == ["w"]


def test_over_heads_each_starts_likewise_but_draws_for_itself():
    tubes = layer.over("h", parameters=["slow", "count"]).substitute(h=4)
    values = state(tubes, 60, 40)
    assert values["slow"].shape == (4, 60, 40)
    assert values["count"].tolist() == [list(range(1, 41))] * 4
    assert not torch.equal(values["slow"][0], values["slow"][1])
    assert (values["slow"][0] - values["slow"][1]).std().item() == pytest.approx(0.1 * 2**0.5, 0.1)


def test_a_listing_in_code_starts_likewise():
    space = {}
    exec(source(layer, "again"), space)
    assert space["again"] == layer
