"""Positive random features against performer-pytorch, with its stabiliser's ε at zero."""

import pytest
from peer import peer, randn, same

import vesalius as vs

performer = peer("performer_pytorch.performer_pytorch")


@pytest.mark.parametrize(
    ("n", "m", "c", "e", "r"), [(5, 7, 4, 3, 6), (1, 1, 1, 2, 1), (4, 4, 6, 6, 9)]
)
def test_performer(n, m, c, e, r):
    q, k, v = randn(2, 3, n, c), randn(2, 3, m, c, seed=1), randn(2, 3, m, e, seed=2)
    omega = randn(r, c, seed=3)
    features = [
        performer.softmax_kernel(x, projection_matrix=omega, is_query=is_query, eps=0)
        for x, is_query in ((q, True), (k, False))
    ]
    theirs = performer.linear_attention(*features, v)
    for form in ("weights", "state"):
        ours = vs.anatomy["performer"](form=form, c=c, r=r).over("b h", parameters=False)
        same(ours, (q, k, v), {"omega": omega}, theirs)
