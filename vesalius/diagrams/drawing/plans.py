"""Which nodes of a diagram are drawn, and what is folded into each of them.

Numbers, parameters and arithmetic on one string need no boxes of their own: `1/√c` scales the
scores in one circle, a linear map and its bias are one dark box, a sum divided by its length is
a mean, and `1/√(x + ε)` is one function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vesalius.diagrams.drawing.formula import closed
from vesalius.diagrams.expressions import MOST, VARIABLE, expression, size_text, step
from vesalius.diagrams.graph import Diagram

# Arithmetic that joins what comes before it, as nobody draws it apart on paper.
_ARITHMETIC = ("reciprocal", "sqrt", "negate", "power", "abs")


@dataclass
class Plan:
    """How a node is drawn: which of its ports have strings, and what is folded into it.

    `steps` are the nodes that are drawn as one, each reading the one before it; the strings come
    in at the first and leave from the last. `via[p]` is a negation through which port p is read.
    `text` is what the steps compute, in `x`.
    """

    ports: list[int]
    steps: tuple[int, ...]
    dark: str = ""
    bias: str = ""
    text: str = ""
    scalars: dict[int, str] = field(default_factory=dict)
    inside: list[str] = field(default_factory=list)
    via: dict[int, int] = field(default_factory=dict)

    @property
    def node(self) -> int:
        """The node that the strings come in at."""
        return self.steps[0]

    @property
    def out(self) -> int:
        """The node that the strings leave from."""
        return self.steps[-1]


class Planner:
    """Finds a plan for each node that is drawn, from the outputs backwards.

    `owned` names the inputs that are parameters of the box that the diagram is the body of.
    """

    def __init__(self, diagram: Diagram, owned: Mapping[int, str]) -> None:
        self.diagram = diagram
        self.owned = owned
        self.closed = closed(diagram)
        self.owner = diagram.owner
        self.read = [len(found) for found in diagram.consumers]
        for port in diagram.outputs:
            self.read[port.wire] += 1

    def plans(self) -> dict[int, Plan]:
        """The plans by the node that the glyph's strings leave from."""
        nodes = self.diagram.nodes
        wanted = bytearray(len(nodes))
        for port in self.diagram.outputs:
            wanted[self.owner[port.wire]] = 1
        plans: dict[int, Plan] = {}
        for k in range(len(nodes) - 1, len(self.diagram.inputs) - 1, -1):
            if not wanted[k]:
                continue
            plan = plans[k] = self.plan(k)
            for p in plan.ports:
                wanted[self.owner[self.source(plan, p)]] = 1
        for k in self.owned:
            if wanted[k]:
                plans[k] = Plan([], (k,))
        return plans

    def source(self, plan: Plan, port: int) -> int:
        """The wire whose string ends at a port."""
        nodes = self.diagram.nodes
        return nodes[plan.via[port]].src[0] if port in plan.via else nodes[plan.node].src[port]

    def covered(self, plan: Plan) -> frozenset[int]:
        """The nodes that a glyph stands for: its own, and numbers and parameters folded in."""
        nodes = self.diagram.nodes
        found = {*plan.steps, *plan.via.values()}
        drawn = {self.source(plan, p) for p in plan.ports}
        stack = [wire for k in found for wire in nodes[k].src if wire not in drawn]
        while stack:
            k = self.owner[stack.pop()]
            if k not in found and k not in self.owned:
                found.add(k)
                stack += nodes[k].src
        return frozenset(found)

    def parameter(self, wire: int) -> str:
        """The name of the parameter that this wire is, or the empty string."""
        k = self.owner[wire]
        if k in self.owned:
            return self.owned[k]
        node = self.diagram.nodes[k]
        return str(node.box["token"].name) if node.box.kind.name == "parameter" else ""

    def hints(self, wire: int) -> tuple[str, ...]:
        """The names of a wire's axes."""
        return tuple(name or "a" for name in self.diagram.hints[wire])

    # -- one node -----------------------------------------------------------------------------

    def plan(self, k: int) -> Plan:
        """How node k is drawn."""
        node = self.diagram.nodes[k]
        kind = node.box.kind.name
        if not node.src:
            return Plan([], (k,))
        if self.closed[k]:
            text = expression(self.diagram, node.first, self.hints(node.first))
            if text is not None:
                return Plan([], (k,), scalars={-1: text})
        if kind == "add":
            merged = self.biased(k) or self.difference(k)
            if merged is not None:
                return merged
        ports = list(range(len(node.src)))
        named = [p for p in ports if self.parameter(node.src[p])]
        if kind in ("named", "scan"):
            rest = [p for p in ports if p not in named]
            rest = rest or [p for p in ports if self.read[node.src[p]] > 1]  # what others read too
            inside = [self.parameter(node.src[p]) for p in named if p not in rest]
            return Plan(rest or ports, (k,), inside=inside if rest else [])
        if kind in ("contract", "gather"):
            linear = self.linear(k)
            if linear is not None:
                return linear
        return self.mean(k) or self.chain(k) or self.alone(k)

    def alone(self, k: int) -> Plan:
        """A glyph of its own, numbers among its operands folded into it."""
        node = self.diagram.nodes[k]
        kind = node.box.kind.name
        scalars = self.numbers(k) if kind in ("contract", "add", "pointwise") else {}
        rest = [p for p in range(len(node.src)) if p not in scalars]
        if not rest or (kind == "add" and (len(rest) > 1 or len(scalars) > 1)):
            scalars, rest = {}, list(range(len(node.src)))
        return Plan(rest, (k,), scalars=scalars)

    def numbers(self, k: int) -> dict[int, str]:
        """The operands that are one number each, by their ports."""
        found = {}
        for p, wire in enumerate(self.diagram.nodes[k].src):
            if self.closed[self.owner[wire]] and not self.diagram.types[wire].sizes:
                text = expression(self.diagram, wire, ())
                if text is not None:
                    found[p] = text
        return found

    def linear(self, k: int) -> Plan | None:
        """The dark box of a contraction with one parameter, or of a reading of its rows."""
        node = self.diagram.nodes[k]
        named = [p for p, wire in enumerate(node.src) if self.parameter(wire)]
        rest = [p for p in range(len(node.src)) if p not in named]
        if len(named) != 1 or len(rest) != 1 or (node.box.kind.name == "gather" and named != [0]):
            return None
        name = self.parameter(node.src[named[0]])
        other = node.src[rest[0]]
        if not self.closed[self.owner[other]]:
            return Plan(rest, (k,), dark=name)
        text = expression(self.diagram, other, self.hints(other))
        if node.box.kind.name == "gather" and text is not None:  # a table, read at fixed places
            return Plan([], (k,), dark=name, scalars={-1: text})
        return None

    # -- several nodes as one -------------------------------------------------------------------

    def alone_below(self, wire: int) -> int | None:
        """The node that makes a wire, if it makes that alone and one node reads it."""
        below = self.owner[wire]
        inputs = len(self.diagram.inputs)
        node = self.diagram.nodes[below]
        if below < inputs or below in self.owned or self.closed[below] or len(node.wires) != 1:
            return None
        return below

    def biased(self, k: int) -> Plan | None:
        """The dark box of a linear map and the bias that is added to it and to nothing else."""
        node = self.diagram.nodes[k]
        if len(node.src) != 2:
            return None
        for p in (0, 1):
            wire, other = node.src[1 - p], node.src[p]
            below = self.alone_below(wire)
            if below is None or self.read[wire] != 1 or not self.parameter(other):
                continue
            if self.diagram.nodes[below].box.kind.name != "contract":
                continue
            plan = self.linear(below)
            if plan is not None:
                plan.bias, plan.steps = self.parameter(other), (below, k)
                return plan
        return None

    def difference(self, k: int) -> Plan | None:
        """A sum of two, one of them negated for this alone: what is taken away comes second."""
        node = self.diagram.nodes[k]
        if len(node.src) != 2 or self.numbers(k):
            return None
        for p in (1, 0):
            below = self.alone_below(node.src[p])
            if below is None or self.read[node.src[p]] != 1:
                continue
            box = self.diagram.nodes[below].box
            if box.kind.name == "pointwise" and box["function"].name == "negate":
                return Plan([1 - p, p], (k,), via={p: below}, text=f"{VARIABLE} − y")
        return None

    def mean(self, k: int) -> Plan | None:
        """A sum over one axis that is divided by its length."""
        node = self.diagram.nodes[k]
        numbers = self.numbers(k)
        if node.box.kind.name != "contract" or node.box.bound or len(node.src) != 2:
            return None
        if len(numbers) != 1:
            return None
        (p,) = numbers
        wire = node.src[1 - p]
        below = self.alone_below(wire)
        if below is None or self.read[wire] != 1:
            return None
        summed = self.diagram.nodes[below]
        bound = summed.box.bound
        if summed.box.kind.name != "contract" or len(summed.src) != 1 or len(bound) != 1:
            return None
        length = size_text(self.diagram.site(summed).sizes[bound[0]])
        if numbers[p] not in (f"1/{length}", f"1/({length})"):
            return None
        return Plan([0], (below, k), text="mean")

    def operand(self, k: int) -> Sequence[int]:
        """The ports of the one wire that a function reads apart from numbers; none otherwise."""
        node = self.diagram.nodes[k]
        if node.box.kind.name not in ("pointwise", "add", "contract") or node.box.bound:
            return ()
        numbers = self.numbers(k)
        rest = [p for p in range(len(node.src)) if p not in numbers]
        if not rest or len({node.src[p] for p in rest}) > 1:
            return ()
        if len(rest) > 1 and len({node.box.maps[p] for p in rest}) > 1:
            return ()
        if any(self.parameter(node.src[p]) for p in rest):
            return ()
        return rest

    def function(self, k: int) -> str:
        """The name of the pointwise function that a node is; of others, the empty string."""
        box = self.diagram.nodes[k].box
        return box["function"].name if box.kind.name == "pointwise" else ""

    def arithmetic(self, k: int) -> bool:
        """Whether a function of one wire is arithmetic, and not a function with a name."""
        return self.function(k) in ("", *_ARITHMETIC)

    def chain(self, k: int) -> Plan | None:
        """Arithmetic with what it is done to, as one function: `elu(x) + 1`, `1/√(x + ε)`."""
        ladder = [k]
        while self.arithmetic(ladder[-1]):
            ports = self.operand(ladder[-1])
            if not ports:
                break
            wire = self.diagram.nodes[ladder[-1]].src[ports[0]]
            below = self.alone_below(wire)
            if below is None or self.read[wire] != len(ports):
                break
            if not self.operand(below) or self.mean(below) is not None:
                break
            ladder.append(below)
        if not self.operand(k):
            return None
        while ladder:
            text = self.composed(ladder)
            squared = len(self.operand(ladder[-1])) > 1
            power = "power" in (self.function(k) for k in ladder)  # its name says nothing: `x³`
            if text is not None and (len(ladder) > 1 or squared or power):
                steps = tuple(reversed(ladder))
                return Plan([self.operand(steps[0])[0]], steps, text=text)
            ladder.pop()
        return None

    def composed(self, ladder: Sequence[int]) -> str | None:
        """What nodes compute one after the other, the last first; None when it grows too long."""
        words = None
        for k in reversed(ladder):
            words = step(self.diagram, k, self.operand(k), words)
            if words is None or len(words[0]) > MOST:
                return None
        return words[0] if words is not None else None
