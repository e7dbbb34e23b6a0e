"""tinygrad: one hash-consed ``UOp`` a node, immutable, untyped but for an element type.

Building is one call of the constructor; the methods (``x.exp2()``) also infer the element type.
Nodes are shared while they live, so nothing built here may survive into the next sample, or
building would only look nodes up. Equality is identity. There is no composition of diagrams with
open ends (``substitute`` rebuilds the second half), no JSON, and no box with two outputs.
"""

from __future__ import annotations

from sampling import Operation
from tinygrad.dtype import dtypes
from tinygrad.uop.ops import Ops, PatternMatcher, UOp, UPat, graph_rewrite

DISTRIBUTION = "tinygrad"


def source(name: str = "x") -> UOp:
    """An open end."""
    return UOp(Ops.NOOP, dtypes.float, (), name)


def chain(n: int, x: UOp) -> UOp:
    """By the constructor, the element type given."""
    dtype, f, g = dtypes.float, Ops.EXP2, Ops.SIN
    for _ in range(n // 2):
        x = UOp(g, dtype, (UOp(f, dtype, (x,)),))
    return x if n % 2 == 0 else UOp(f, dtype, (x,))


def chain_by_methods(n: int, x: UOp) -> UOp:
    """By the methods that a user types, which infer the element type."""
    for _ in range(n // 2):
        x = x.exp2().sin()
    return x if n % 2 == 0 else x.exp2()


def length(x: UOp) -> int:
    """The number of boxes."""
    return len(x.toposort()) - 1


def build_chain(n: int) -> Operation:
    """A chain, untyped."""
    return Operation(lambda: chain(n, source()), check=lambda d: length(d) == n)


def build_chain_by_methods(n: int) -> Operation:
    """A chain, with its element type inferred box by box."""
    return Operation(lambda: chain_by_methods(n, source()), check=lambda d: length(d) == n)


def compose(n: int) -> Operation:
    """The second half's open end replaced by the first half."""
    y = source("y")
    return Operation(
        lambda first, second: second.substitute({y: first}),
        prepare=lambda: (chain(n, source()), chain(n, y)),
        check=lambda d: length(d) == 2 * n,
    )


def equal(n: int) -> Operation:
    """Two equal chains are one object."""
    return Operation(
        lambda a, b: a is b,
        prepare=lambda: (chain(n, source()), chain(n, source())),
        check=bool,
    )


def rewrite_chain(n: int) -> Operation:
    """sin(exp2(x)) becomes sqrt(x), all over a chain."""
    inner = UPat(Ops.EXP2, src=(UPat.var("x"),))
    rules = PatternMatcher([(UPat(Ops.SIN, src=(inner,)), lambda x: UOp(Ops.SQRT, x.dtype, (x,)))])
    return Operation(
        lambda x: graph_rewrite(x, rules),
        prepare=lambda: (chain(n, source()),),
        check=lambda d: length(d) == n // 2,
    )


OPERATIONS = {
    "rewrite_chain": rewrite_chain,
    "build_chain": build_chain,
    "build_chain_by_methods": build_chain_by_methods,
    "compose": compose,
    "equal": equal,
}
