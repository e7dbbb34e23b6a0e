"""Rules with parameters, random sources and learners: what is kept, what goes, what is new."""

from __future__ import annotations

import pytest
import torch

import vesalius as vs
from vesalius.rewrite.apply import apply, rewrite
from vesalius.rewrite.match import matches
from vesalius.rewrite.refusals import RuleError
from vesalius.rewrite.rule import rule
from vesalius.rewrite.witness import Witness


def product(p, sizes):  # type: ignore[no-untyped-def]
    return {"w": torch.einsum("de,fe->df", p["wq"], p["wk"])}


@rule("reparametrised", witness=Witness(to_right=product))
def merge(x: "d", y: "f") -> "":
    """(x·Wq)·(y·Wk) = x·W·y, W = Wq·Wkᵀ"""
    q, k = vs.linear(x, "d", "e", name="wq"), vs.linear(y, "f", "e", name="wk")
    w = vs.parameter("w", "d f")
    return vs.contract(q, k, over="e"), vs.contract(vs.contract(x, w, over="d"), y, over="f")


@rule("reduces", witness=Witness(to_left=lambda p, sizes: {}))
def share(x: "d", y: "d") -> ("e", "e"):
    """u(x), v(y) → u(x), u(y)"""
    one = vs.learner("u", x, binds="d", into="e")
    other = vs.learner("v", y, binds="d", into="e")
    return (one, other), (one, vs.learner("u", y, binds="d", into="e"))


@rule("limit", witness=Witness(width="r", scales=(2, 4), to_left=lambda p, sizes, scale: {}))
def bilinearise(x: "d", y: "f") -> "":
    """s(x, y) → q(x)·k(y), of rank r"""
    score = vs.learner("s", x, y, binds="d f")
    q = vs.learner("q", x, binds="d", into="r")
    k = vs.learner("k", y, binds="f", into="r")
    return score, vs.contract(q, k, over="r")


def scores(heads_of_keys: str = "h"):  # type: ignore[no-untyped-def]
    @vs.diagram
    def scores(x: "n c", y: "m c") -> "h n m":
        wq = vs.parameter("layer.wq", "c h e")
        wk = vs.parameter("layer.wk", f"c {heads_of_keys} e")
        q, k = vs.contract(x, wq, over="c"), vs.contract(y, wk, over="c")
        return vs.contract(q, k, over="e")

    return scores


@pytest.mark.parametrize("heads", ["h", ""])
@pytest.mark.parametrize("tubes", ["", "b"])
def test_a_new_parameter_takes_the_parameter_tubes_of_those_it_replaces(
    heads: str, tubes: str
) -> None:
    host = scores(heads)
    host = host.over(tubes) if tubes else host
    match, _ = matches(merge, host)  # the operands may change places
    assert match.parameters == {"wq": "layer.wq", "wk": "layer.wk"}
    assert match.grade.name == "reparametrised"
    result = rewrite(host, match)
    (image,) = result.images
    assert image.names == {"w": "layer.w"}
    assert set(result.diagram.parameters) == {"layer.w"}
    assert sorted(map(str, result.diagram.parameters["layer.w"].axes.values())) == ["c", "c", "h"]
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    if tubes:
        x, y = x.expand(2, 5, 4), y.expand(2, 6, 4)
    wq, wk = torch.randn(4, 3, 7, dtype=torch.float64), torch.randn(4, 3, 7, dtype=torch.float64)
    wk = wk if heads else wk[:, 0]
    w = torch.einsum("dhe,fhe->hdf", wq, wk if heads else wk[:, None].expand(4, 3, 7))
    before = host.evaluate(x, y, parameters={"layer.wq": wq, "layer.wk": wk})
    names = list(result.diagram.parameters["layer.w"])
    order = [names.index(a) for a in names]
    assert names[0] == "h"
    after = result.diagram.evaluate(x, y, parameters={"layer.w": w.permute(order)})
    assert torch.allclose(before, after)


def test_a_parameter_that_is_used_elsewhere_weakens_the_step() -> None:
    @vs.diagram
    def tied(x: "n c", y: "m c") -> ("n m", "n e"):
        wq, wk = vs.parameter("wq", "c e"), vs.parameter("wk", "c e")
        q, k = vs.contract(x, wq, over="c"), vs.contract(y, wk, over="c")
        return vs.contract(q, k, over="e"), vs.exp(vs.contract(x, wq, over="c"))

    for match in matches(merge, tied):
        assert match.shared == ("wq",)
        assert match.grade.name == "generalises"  # W is free, where Wq·Wkᵀ had to be the tied Wq's
    assert set(apply(tied, match).parameters) == {"wq", "w"}


def test_one_parameter_does_not_stand_for_two() -> None:
    @vs.diagram
    def tied(x: "n c") -> "n m:n":
        w = vs.parameter("w", "c e")
        q = vs.contract(x, w, over="c")
        return vs.contract(q, q.rename(n="m"), over="e")

    assert not list(matches(merge, tied))


def test_an_input_is_no_parameter_and_a_frozen_array_only_where_nothing_is_promised_of_it() -> None:
    @vs.diagram
    def given(x: "n c", y: "m c", wq: "c e") -> "n m":
        q, k = vs.contract(x, wq, over="c"), vs.linear(y, "c", "e", name="wk")
        return vs.contract(q, k, over="e")

    @vs.diagram
    def frozen(x: "n c", y: "m c") -> "n m":
        q = vs.contract(x, vs.parameter("wq", "c e", trainable=False), over="c")
        return vs.contract(q, vs.linear(y, "c", "e", name="wk"), over="e")

    assert not list(matches(merge, given))
    assert not list(matches(merge, frozen))


def test_a_name_twice_on_one_side_is_sharing() -> None:
    @vs.diagram
    def two(x: "n c", y: "m c") -> ("n e", "m e"):
        u = vs.learner("first", x, binds="c", into="e")
        return u, vs.learner("second", y, binds="c", into="e")

    match = next(iter(matches(share, two)))
    assert match.learners == {"u": "first", "v": "second"}
    result = apply(two, match)
    assert set(result.learners) == {"first"}
    assert len(result.boxes) == 2


def test_two_matches_make_parameters_of_their_own() -> None:
    layer = scores()

    @vs.diagram
    def twice(x: "n c", y: "m c") -> ("h n m", "h n:m m:n"):
        return layer(x, y), layer(y.rename(m="n"), x.rename(n="m"))

    one, _, two, _ = matches(merge, twice)
    assert set(apply(twice, one, two).parameters) == {"scores.layer.w", "scores_1.layer.w"}


def test_a_size_that_the_right_side_brings_is_chosen_or_stays_a_variable() -> None:
    @vs.diagram
    def score(x: "n r", y: "m r") -> "n m":
        a, b = x.rename(r="d"), y.rename(r="f")
        return vs.learner("s", a, b, binds="d f")

    (match,) = matches(bilinearise, score)
    assert match.grade.name == "limit"
    assert "r_1" in apply(score, match).size_variables
    chosen = apply(score, match.choose(r=8))
    assert chosen.size_variables == score.size_variables
    with pytest.raises(vs.SizeError, match="not to be chosen"):
        match.choose(d=3)


def test_a_limit_needs_a_continuous_context() -> None:
    @vs.diagram
    def hard(x: "n d", y: "m f") -> "n m bool":
        return vs.less(vs.learner("s", x, y, binds="d f"), 0)

    (match,) = matches(bilinearise, hard)
    assert match.grade.name == "variant"


# -- refusals --------------------------------------------------------------------------------------


def test_what_a_new_parameter_replaces_must_be_plain() -> None:
    def sides(x, y):  # type: ignore[no-untyped-def]
        left = x * vs.parameter("a", "") + y * vs.parameter("b", "")
        return left, x * vs.parameter("p", "") + y * vs.parameter("q", "")

    with pytest.raises(RuleError, match="not plain which of a, b each of p, q replaces"):

        @rule("reparametrised")
        def unclear(x: "", y: "") -> "":
            return sides(x, y)

    @rule("reparametrised", replaces={"p": "a", "q": "b"})
    def clear(x: "", y: "") -> "":
        return sides(x, y)

    assert clear.replaces == {"p": ("a",), "q": ("b",)}
    assert clear.inverse().replaces == {"a": ("p",), "b": ("q",)}


def test_a_new_parameter_takes_no_tubes_of_data() -> None:
    with pytest.raises(RuleError, match=r"lose the tubes of x; a new parameter takes the tubes"):

        @rule("reduces")
        def constant(x: "d") -> "e":
            return vs.learner("u", x, binds="d", into="e"), vs.parameter("c", "e")

    @rule("reduces")
    def repeated(x: "d") -> "e":
        y = vs.parameter("c", "e")
        return vs.learner("u", x, binds="d", into="e"), vs.like(y, vs.sum(x, "d"))

    @vs.diagram
    def host(x: "n d") -> "n e":
        return vs.learner("u", x, binds="d", into="e")

    (match,) = matches(repeated, host)
    result = apply(host, match)
    assert result.output_types == host.output_types
    assert list(result.parameters["c"]) == ["e"]


def test_one_name_is_one_parameter() -> None:
    with pytest.raises(vs.TypeClash, match="'w' stands for two things"):

        @rule("reduces")
        def two(x: "d") -> "":
            w = vs.parameter("w", "d")
            return vs.contract(x, w, over="d"), vs.sum(x, "d") * vs.parameter("w", "")
