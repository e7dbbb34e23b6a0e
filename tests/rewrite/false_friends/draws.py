"""Draws and learned maps are one only where they are one."""

import vesalius as vs
from false_friends.claims import wrong


def dropped(x, name):
    return vs.where(vs.random("n", "bernoulli", name=name), x, 0.0)


@wrong
def two_draws_are_one_draw_copied():
    @vs.diagram
    def left(x: "n") -> "n":
        return dropped(x, "keep") + dropped(x, "keep")

    @vs.diagram
    def right(x: "n") -> "n":
        once = dropped(x, "keep")
        return once + once

    return left, right


@wrong
def two_learned_maps_are_one_copied():
    @vs.diagram
    def left(x: "n d", y: "n d") -> "n e":
        w, u = vs.parameter("w", "d e"), vs.parameter("u", "d e")
        return vs.contract(x, w, over="d") * vs.contract(y, u, over="d")

    @vs.diagram
    def right(x: "n d", y: "n d") -> "n e":
        w = vs.parameter("w", "d e")
        return vs.contract(x, w, over="d") * vs.contract(y, w, over="d")

    return left, right


@wrong
def products_reassociate_around_dropout_of_the_weights():
    @vs.diagram
    def left(q: "n c", k: "m c", v: "m e") -> "n e":
        keep = vs.random("n m", "bernoulli", name="keep")
        weights = vs.where(keep, vs.contract(q, k, over="c"), 0.0)
        return vs.contract(weights, v, over="m")

    @vs.diagram
    def right(q: "n c", k: "m c", v: "m e") -> "n e":
        return vs.contract(q, vs.contract(k, v, over="m"), over="c")

    return left, right
