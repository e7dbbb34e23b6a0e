"""Laws that the representation makes identities: both sides build the same diagram.

What slides along tubes elsewhere is nothing here, so no rule speaks of it.
"""

from __future__ import annotations

import pytest

import vesalius as vs
from vesalius.diagrams.errors import VesaliusError


def f(x):
    return vs.softmax(x, over="c")


def g(x):
    return vs.contract(x, x, over="c")


def same(left, right):
    assert vs.diagram(left) == vs.diagram(right)
    assert hash(vs.diagram(left)) == hash(vs.diagram(right))


def test_a_map_of_a_composite_is_the_composite_of_maps():
    """map_k(g)(map_k(f)(x)) = map_k(f ; g)(x)"""

    @vs.diagram
    def first(x: "c") -> "c":
        return f(x)

    @vs.diagram
    def second(x: "c") -> "":
        return g(x)

    assert first.over("k") >> second.over("k") == (first >> second).over("k")


def test_a_map_of_nothing_is_nothing():
    """map_k(id)(x) = x"""
    assert vs.identity("c").over("k") == vs.identity("k c")


def test_a_pair_of_maps_is_a_map_of_pairs():
    """⟨f(x), g(y)⟩ along one tube: zipping is no box"""

    @vs.diagram
    def one(x: "c") -> "c":
        return f(x)

    @vs.diagram
    def other(y: "c") -> "":
        return g(y)

    assert one.over("k") @ other.over("k") == (one @ other).over("k")


def test_zipping_is_associative_and_commutative():
    def left(x: "k", y: "k", z: "k") -> "k":
        return vs.contract(x, y, z)

    def right(x: "k", y: "k", z: "k") -> "k":
        return vs.contract(z, x, y)

    same(left, right)


def test_what_lacks_a_tube_is_computed_once():
    """f(a repeated along k) = f(a) repeated along k, while repeating stays unsaid"""

    def left(a: "c", z: "k c") -> "k c":
        return vs.expand(f(a), "k") * z

    def right(a: "c", z: "k c") -> "k c":
        return f(a) * z

    same(left, right)
    inside = vs.diagram(left)
    softmax = next(node for node in inside.boxes if node.box.kind.name == "softmax")
    assert len(softmax.box.tubes) == 0


def test_copies_of_a_result_are_one_result():
    """copy(f(x)) = f(x), f(x)"""

    def left(x: "k c") -> ("k c", "k c"):
        y = f(x)
        return y, y

    def right(x: "k c") -> ("k c", "k c"):
        return f(x), f(x)

    same(left, right)


def test_copies_of_draws_are_two_draws():
    def left(x: "k") -> "k":
        noise = vs.random("k")
        return x * noise * noise

    def right(x: "k") -> "k":
        return x * vs.random("k") * vs.random("k")

    assert vs.diagram(left) != vs.diagram(right)


def test_what_nobody_reads_does_not_exist():
    """discard(f(x)) = discard(x)"""

    def left(x: "k c", y: "k c") -> "k c":
        f(x)
        return y * 2

    def right(x: "k c", y: "k c") -> "k c":
        return y * 2

    same(left, right)


def test_copying_is_coassociative_cocommutative_and_counital():
    copy = vs.diagram(two_copies)

    def left(x: "c") -> ("c", "c", "c"):
        y, z = copy(x)
        return *copy(y), z

    def right(x: "c") -> ("c", "c", "c"):
        z, y = copy(x)
        return z, *copy(y)

    same(left, right)

    def counit(x: "c") -> "c":
        return copy(x)[1]

    assert vs.diagram(counit) == vs.diagram(nothing)


def two_copies(x: "c") -> ("c", "c"):
    return x, x


def nothing(x: "c") -> "c":
    return x


def test_nested_tubes_have_no_order():
    """map_m(map_n(f)) = map_n(map_m(f))"""

    @vs.diagram
    def one(x: "c") -> "c":
        return f(x)

    assert one.over("m").over("n") == one.over("n m")


def test_heads_are_joined_or_summed():
    """concat_h(o_h)·Wo = Σ_h o_h·Wo_h: with a named axis both are one contraction"""

    def left(o: "n h e", w: "h e d") -> "n d":
        return vs.contract(o, w, over="h e")

    def right(o: "n h e", w: "h e d") -> "n d":
        return vs.contract(w, o, over="e h")

    same(left, right)


def test_keys_without_heads_are_keys_of_every_head():
    """k copied for every head = k"""

    def left(q: "h n c", k: "m c") -> "h n m":
        return vs.contract(q, vs.expand(k, "h"), over="c")

    def right(q: "h n c", k: "m c") -> "h n m":
        return vs.contract(q, k, over="c")

    same(left, right)


def test_names_of_axes_are_for_people():
    """Renaming nothing, twice, and inside; a bound axis by any name"""

    def left(x: "i c") -> "i":
        return vs.sum(vs.softmax(x, over="c"), "c")

    def right(x: "i c") -> "i":
        y = vs.softmax(x.rename(i="j", c="i"), over="i")
        return vs.sum(y, "i").rename(j="i")

    same(left, right)


def test_a_projection_read_along_two_axes_is_one_projection():
    def left(x: "n d", w: "d c") -> "n m:n":
        k = vs.contract(x.rename(n="m"), w, over="d")
        return vs.contract(vs.contract(x, w, over="d"), k, over="c")

    def right(x: "n d", w: "d c") -> "n m:n":
        q = vs.contract(x, w, over="d")
        return vs.contract(q, q.rename(n="m"), over="c")

    same(left, right)


def test_a_diagonal_is_no_renaming():
    with pytest.raises(VesaliusError, match="diagonal"):

        @vs.diagram
        def diagonal(x: "i j:i") -> "i":
            return x.rename(j="i")
