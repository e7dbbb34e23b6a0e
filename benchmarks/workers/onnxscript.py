"""onnxscript's rewriter: pattern and replacement as functions, on a graph changed in place."""

from __future__ import annotations

import onnx_ir as ir
from onnxscript.rewriter import pattern
from sampling import Operation

DISTRIBUTION = "onnxscript"


def chain(n: int) -> ir.Model:
    """Exp and Tanh in turn on one value."""
    x = ir.Value(name="x", shape=ir.Shape(["n"]), type=ir.TensorType(ir.DataType.FLOAT))
    nodes, value = [], x
    for i in range(n):
        node = ir.Node("", ("Exp", "Tanh")[i % 2], [value])
        nodes.append(node)
        value = node.outputs[0]
    graph = ir.Graph([x], [value], nodes=nodes, opset_imports={"": 18}, name="chain")
    return ir.Model(graph, ir_version=10)


def rewrite_chain(n: int) -> Operation:
    """Tanh(Exp(x)) becomes Sin(x), all over a chain."""
    rule = pattern.RewriteRule(lambda op, x: op.Tanh(op.Exp(x)), lambda op, x: op.Sin(x))
    rules = pattern.RewriteRuleSet([rule])

    def run(model: ir.Model) -> ir.Model:
        rules.apply_to_model(model)
        return model

    return Operation(run, prepare=lambda: (chain(n),), check=lambda m: len(m.graph) == n // 2)


OPERATIONS = {"rewrite_chain": rewrite_chain}
