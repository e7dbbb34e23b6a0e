"""xDSL: a compiler framework in Python, modelled on MLIR; operations in blocks, changed in place.

Its walker goes through a block and tries a pattern at every operation, once for each. A chain is
a block of `math.exp` and `math.tanh`; an operation without readers is erased by the pattern.
"""

from __future__ import annotations

from sampling import Operation
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.dialects.math import ExpOp, SinOp, TanhOp
from xdsl.dialects.test import TestOp
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

DISTRIBUTION = "xdsl"


def chain(n: int) -> ModuleOp:
    """One operation that makes a number, then exponential and tangent in turn; the end is read."""
    operations = [TestOp(result_types=[f32])]
    for i in range(n):
        operations.append((ExpOp if i % 2 == 0 else TanhOp)(operations[-1].results[0]))
    operations.append(TestOp(operands=[operations[-1].results[0]]))
    return ModuleOp(operations)


class Fuse(RewritePattern):
    """tanh(exp(x)) becomes sin(x)."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: TanhOp, rewriter: PatternRewriter) -> None:
        """Where the operand is an exponential, which nothing else reads."""
        inner = op.operand.owner
        if isinstance(inner, ExpOp):
            rewriter.replace_op(op, SinOp(inner.operand))
            if not inner.result.uses:
                rewriter.erase_op(inner)


def rewrite_chain(n: int) -> Operation:
    """All over a chain, in one walk."""

    def run(module: ModuleOp) -> ModuleOp:
        PatternRewriteWalker(Fuse(), apply_recursively=False).rewrite_module(module)
        return module

    return Operation(
        run,
        prepare=lambda: (chain(n),),
        check=lambda module: len(module.body.block.ops) == n // 2 + 2,
    )


OPERATIONS = {"rewrite_chain": rewrite_chain}
