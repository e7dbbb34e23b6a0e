"""What a node is, in one line, and whether numbers and positions alone decide it."""

from __future__ import annotations

import re

from vesalius.diagrams.expressions import LOWERED
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.listing import local_names


def closed(diagram: Diagram) -> list[bool]:
    """For each node, whether it depends on numbers and positions alone, entry by entry."""
    found: list[bool] = []
    owner = diagram.owner
    for node in diagram.nodes:
        name = node.box.kind.name
        if name == "constant":
            found.append(not isinstance(node.box["value"], tuple))
        elif name == "iota":
            found.append(True)
        elif name in ("pointwise", "add", "contract", "expand") and not node.box.bound and node.src:
            found.append(all(found[owner[wire]] for wire in node.src))
        else:
            found.append(False)
    return found


def formula(diagram: Diagram, node: Node) -> str:
    """What a node computes, in the names of its own axes and with as many operands as it has."""
    kind = node.box.kind
    operands = ["x" + str(p + 1).translate(LOWERED) for p in range(len(node.src))]
    if len(operands) == 1:
        operands = ["x"]
    if kind.name == "pointwise":
        return f"y = {node.box['function'].name}({', '.join(operands)})"
    names = local_names(diagram, node)
    bound = [names[a].rstrip("'") for a in node.box.bound]
    over = f"_{bound[0]} " if len(bound) == 1 else f"_{{{' '.join(bound)}}} "
    if kind.name == "contract":
        return f"y = {f'Σ{over}' if bound else ''}{'·'.join(operands)}"
    if kind.name == "add":
        return f"y = {' + '.join(operands)}"
    return re.sub(r"_[a-z] ", over, kind.formula) if bound else kind.formula
