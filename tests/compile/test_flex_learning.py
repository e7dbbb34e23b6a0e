"""Learning the arrays that scores read, where flex_attention would add to them pair by pair."""

import torch

import vesalius as vs
from vesalius.compile import flex
from vesalius.compile.choose import chosen
from vesalius.compile.kernels import Target


def test_what_is_learned_is_read_from_copies_apart() -> None:
    """Neighbouring pairs add to different places backward, and the gradient is the same."""
    n, m = 70, 40

    def score_of(n, m, slopes, table, number):
        return lambda score, b, h, i, j: (
            score * number + slopes[h] * (i - j + 0.5) + table[h, i // 2]
        )

    def mixed(mod):
        b, h, i, j = torch.meshgrid(*map(torch.arange, (1, 3, n, m)), indexing="ij")
        return (mod(scores, b, h, i, j).sin() * scores).sum()

    scores = torch.randn(1, 3, n, m)
    half = torch.bfloat16
    learned = [torch.randn(s, dtype=half, requires_grad=True) for s in ((3,), (3, n), ())]
    copies = [flex._copies(x) for x in learned]
    direct = mixed(score_of(n, m, *[x.float() for x in learned]))
    apart = mixed(flex._reading(score_of, n, m, copies))
    torch.testing.assert_close(apart, direct)
    found = torch.autograd.grad(apart, [*copies, *learned], retain_graph=True)
    for own, wanted in zip(found[3:], torch.autograd.grad(direct, learned), strict=True):
        torch.testing.assert_close(own, wanted)
    touched = [int((g != 0).sum()) for g in found[:3]]
    assert touched == [3 * 64 * 32, 3 * n * 32, 64 * 32]
    with torch.no_grad():
        assert all(flex._copies(x) is x for x in learned), "nothing is copied for inference"
        assert flex._reading(score_of, n, m, learned)(1.0, 0, 0, 0, 0).dtype == half


def test_what_many_pairs_read_is_learned_elsewhere(monkeypatch) -> None:
    q, k = torch.randn(2, 3, 64, 4), torch.randn(2, 3, 32, 4)
    slopes = torch.randn(3, requires_grad=True)  # 2 · 64 · 32 pairs read each
    for most, crowded in ((2 * 64 * 32 - 1, True), (2 * 64 * 32, False)):
        monkeypatch.setattr(flex, "CROWD", most)
        assert flex._crowded(q, k, [slopes.detach(), slopes]) is crowded
        assert not flex._crowded(q, k, [slopes.detach()])
        with torch.no_grad():
            assert not flex._crowded(q, k, [slopes])
    monkeypatch.setattr(flex, "CROWD", 1)
    assert flex._crowded(q, k, [slopes])
    monkeypatch.setattr(flex, "FEW", 2)
    assert not flex._crowded(q, k, [slopes]), "copies of many places keep pairs apart"


def test_what_is_known_to_be_too_narrow_for_a_gpu_goes_elsewhere() -> None:
    @vs.diagram
    def near(q: "b h n c", k: "b h m c", v: "b h m e") -> "b h n e":
        far = vs.abs(vs.iota("n") - vs.iota("m"))
        return vs.contract(vs.softmax(vs.contract(q, k, over="c") - far, "m"), v, over="m")

    for c, e, served in ((16, 16, True), (15, 16, False), (16, 15, False)):
        found = chosen(near, Target("cuda", sizes={"c": c, "e": e})).choices
        assert ("flex_attention" in found.kernels) == served, str(found)
        assert served or dict(found[-1].reasons)["flex_attention"] == "it needs 16 channels"
    assert "flex_attention" in chosen(near, Target("cuda")).choices.kernels, "they may be wide"
