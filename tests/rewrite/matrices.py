"""Products of matrices as an egglog theory: associativity, shapes, and what a product costs."""

from __future__ import annotations

from egglog import Expr, StringLike, eq, function, i64, rewrite, rule, ruleset, set_, set_cost


class Matrix(Expr):
    def __init__(self, name: StringLike) -> None: ...

    def __matmul__(self, other: Matrix) -> Matrix: ...


@function(merge=lambda old, new: old)
def rows(x: Matrix) -> i64: ...


@function(merge=lambda old, new: old)
def cols(x: Matrix) -> i64: ...


@ruleset
def associativity(a: Matrix, b: Matrix, c: Matrix):
    yield rewrite((a @ b) @ c).to(a @ (b @ c))
    yield rewrite(a @ (b @ c)).to((a @ b) @ c)


@ruleset
def shapes(a: Matrix, b: Matrix, x: Matrix, r: i64, c: i64):
    yield rule(eq(x).to(a @ b), eq(r).to(rows(a)), eq(c).to(cols(b))).then(
        set_(rows(x)).to(r), set_(cols(x)).to(c)
    )


@ruleset
def costs(a: Matrix, b: Matrix, r: i64, k: i64, c: i64):
    yield rule(a @ b, eq(r).to(rows(a)), eq(k).to(cols(a)), eq(c).to(cols(b))).then(
        set_cost(a @ b, i64(2) * r * k * c)
    )
