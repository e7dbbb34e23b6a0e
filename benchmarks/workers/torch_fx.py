"""torch.fx: `replace_pattern` traces a pattern and a replacement and rewrites a graph in place."""

from __future__ import annotations

import torch
from sampling import Operation
from torch import fx

DISTRIBUTION = "torch"


def chain(n: int) -> fx.GraphModule:
    """exp and tanh in turn."""
    graph = fx.Graph()
    value = graph.placeholder("x")
    for i in range(n):
        value = graph.call_function((torch.exp, torch.tanh)[i % 2], (value,))
    graph.output(value)
    return fx.GraphModule(torch.nn.Module(), graph)


def boxes(graph: fx.Graph) -> int:
    """How many calls there are."""
    return sum(node.op == "call_function" for node in graph.nodes)


def before(x: torch.Tensor) -> torch.Tensor:
    """The pattern."""
    return torch.tanh(torch.exp(x))


def after(x: torch.Tensor) -> torch.Tensor:
    """What replaces it."""
    return torch.sin(x)


def rewrite_chain(n: int) -> Operation:
    """tanh(exp(x)) becomes sin(x), all over a chain."""

    def run(module: fx.GraphModule) -> fx.GraphModule:
        fx.replace_pattern(module, before, after)
        return module

    return Operation(run, prepare=lambda: (chain(n),), check=lambda m: boxes(m.graph) == n // 2)


OPERATIONS = {"rewrite_chain": rewrite_chain}
