"""What the finite field proves and what it rejects.

True identities pass at every draw and size, wrong ones fail at every draw.
"""

import pytest
from identities import DEGENERATE, FALSE, PROPER, TRUE, build, drawn, exp, softmax, trial

import vesalius as vs
from vesalius.diagrams.errors import Outside

ROUNDS = 12


@pytest.mark.parametrize("name", TRUE)
def test_identities_pass(name):
    left, right = (build(TRUE[name][0], side) for side in TRUE[name][1:])
    passed = [
        trial(left, right, sizes, seed)
        for sizes in (*PROPER, *DEGENERATE)
        for seed in range(ROUNDS // 2)
    ]
    assert all(passed)


@pytest.mark.parametrize("name", FALSE)
def test_wrong_identities_never_pass(name):
    left, right = (build(FALSE[name][0], side) for side in FALSE[name][1:])
    passed = [trial(left, right, sizes, seed) for sizes in PROPER for seed in range(ROUNDS)]
    assert sum(passed) == 0


def test_a_wrong_identity_may_be_right_at_size_1():
    """Why a checker takes sizes of at least 2, pairwise different."""
    signature, left, right = FALSE["softmax ignores a shift of columns"]
    assert trial(build(signature, left), build(signature, right), {"n": 3, "m": 1}, seed=0)


def test_a_second_exponential_is_refused_wherever_it_stands():
    for body in (
        lambda s: softmax(softmax(s, "m"), "m"),
        lambda s: exp(exp(s)),
        lambda s: exp(s / (1 + exp(s))),
        lambda s: softmax(vs.where(vs.iota("m") <= vs.iota("n"), exp(s), s), "m"),
        lambda s: vs.sigmoid(exp(s)) + exp(vs.silu(exp(s)) * exp(s)),
    ):
        diagram = build("s: n m -> n m", body)
        with pytest.raises(Outside, match="second exponential"):
            diagram.evaluate(*drawn(diagram, PROPER[0], 0), algebra="field")


def test_two_exponentials_side_by_side_are_one_on_each_path():
    diagram = build("s: n m -> n m", lambda s: softmax(s, "m") * exp(s) + softmax(s, "n"))
    diagram.evaluate(*drawn(diagram, PROPER[0], 0), algebra="field")
