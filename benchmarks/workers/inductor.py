"""The pattern matcher of TorchInductor, on a graph of ATen calls, changed in place.

The pattern is registered with a handler that makes the replacement; erasing the old calls is left
to the matcher, as in Inductor's own passes.
"""

from __future__ import annotations

import torch
from sampling import Operation
from torch import fx
from torch._inductor.pattern_matcher import (
    Arg,
    CallFunction,
    Match,
    PatternMatcherPass,
    register_graph_pattern,
)

DISTRIBUTION = "torch"
EXP, TANH, SIN = (getattr(torch.ops.aten, name).default for name in ("exp", "tanh", "sin"))


def chain(n: int) -> fx.GraphModule:
    """exp and tanh in turn."""
    graph = fx.Graph()
    value = graph.placeholder("x")
    for i in range(n):
        value = graph.call_function((EXP, TANH)[i % 2], (value,))
    graph.output(value)
    return fx.GraphModule(torch.nn.Module(), graph)


def rewrite_chain(n: int) -> Operation:
    """tanh(exp(x)) becomes sin(x), all over a chain."""
    rules = PatternMatcherPass()

    @register_graph_pattern(CallFunction(TANH, CallFunction(EXP, Arg())), pass_dict=rules)
    def fuse(match: Match, x: fx.Node) -> None:
        graph, old = match.graph, match.output_node()
        with graph.inserting_before(old):
            old.replace_all_uses_with(graph.call_function(SIN, (x,)))
        match.erase_nodes()

    def run(module: fx.GraphModule) -> fx.GraphModule:
        rules.apply(module)
        return module

    def boxes(module: fx.GraphModule) -> int:
        return sum(node.op == "call_function" for node in module.graph.nodes)

    return Operation(run, prepare=lambda: (chain(n),), check=lambda m: boxes(m) == n // 2)


OPERATIONS = {"rewrite_chain": rewrite_chain}
