"""The order of evaluation of products: a choice with a cost, taken late.

Contractions that are read once, by a contraction, are one product of many factors. Which two are
multiplied first is the problem of opt_einsum; its answer is written as nested contractions of two.
So a factor 1/√c goes onto the queries, not onto the scores, and the denominator of a normaliser
behind the sum over the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vesalius.compile.rebuild import Rebuild
from vesalius.compile.terms import Axis, Use
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.builder import Label
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size


def ordered(diagram: Diagram, length: Callable[[Size], int]) -> Diagram:
    """The diagram with every product evaluated in the order that is cheapest at these lengths."""
    return _Ordering(diagram, length).run()


class _Ordering(Rebuild):
    """`inner[k]` says that node k is written in those that read it; `core[k]` is what it keeps.

    A product that several contractions read is not multiplied out: what has all of its axes is
    made once, the other factors go to each reader, where less is left to multiply.
    """

    def __init__(self, old: Diagram, length: Callable[[Size], int]) -> None:
        super().__init__(old)
        self.length = length
        self.outputs = {port.wire for port in old.outputs}
        self.core: dict[int, Use] = {}
        self.inner = [False] * len(old.nodes)
        self.often = [False] * len(old.nodes)  # written in several places
        for k in range(len(old.nodes) - 1, len(old.inputs) - 1, -1):
            self.inner[k] = self._is_inner(old.nodes[k])
            readers = old.consumers[old.nodes[k].first]
            self.often[k] = self.inner[k] and (len(readers) > 1 or self.often[readers[0][0]])

    def _is_inner(self, node: Node) -> bool:
        """Readers come later and are decided already."""
        if node.box.kind is not CONTRACT or node.first in self.outputs:
            return False
        readers = [k for k, _ in self.old.consumers[node.first]]
        boxes = [self.old.nodes[k].box for k in readers]
        if any(box.kind is not CONTRACT for box in boxes):
            return False
        if len(readers) > 1:
            return not node.box.bound and all(box.bound for box in boxes)
        # A sum inside a product that is read several times is made once.
        return not (self.often[readers[0]] and node.box.bound)

    def write(self, node: Node) -> None:
        if not self.inner[self.old.owner[node.first]]:
            super().write(node)

    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        if node.box.kind is not CONTRACT:
            return super().place(node, uses, labels)
        factors, over = self._flat(uses, [labels[axis] for axis in node.box.bound])
        return [self._product(factors, over)]

    def _flat(self, uses: Sequence[Use], bound: Sequence[Label]) -> tuple[list[Use], list[Label]]:
        """All factors of a product, those of the products inside included, and what is summed."""
        factors: list[Use] = []
        over = list(bound)
        for wire, labels in uses:
            owner = self.old.owner[wire]
            if not self.inner[owner]:
                factors.append(self.here((wire, labels)))
                continue
            node = self.old.nodes[owner]
            known: dict[int, Label] = dict(zip(node.box.outs[0], labels, strict=True))
            for source, row in zip(node.src, node.box.maps, strict=True):
                for axis, name in zip(row, self.old.hints[source], strict=True):
                    known.setdefault(axis, Axis(name or "a"))
            own = [
                (source, tuple([known[a] for a in row]))
                for source, row in zip(node.src, node.box.maps, strict=True)
            ]
            inside, summed = self._flat(own, [known[a] for a in node.box.bound])
            if len(self.old.consumers[wire]) > 1:
                inside = self._shared(owner, labels, inside)
            factors += inside
            over += summed
        return factors, over

    def _shared(self, owner: int, labels: Sequence[Label], factors: list[Use]) -> list[Use]:
        """The factors of a product that is read several times, with one for all that are full."""
        full = [use for use in factors if set(use[1]) == set(labels)]
        if len(full) > 1:
            found = self.core.get(owner)
            if found is None:
                wire, made = self.writing.contract(full)
                found = self.core[owner] = (wire, tuple([labels.index(x) for x in made]))
            wire, slots = found
            full = [(wire, tuple([labels[s] for s in slots if isinstance(s, int)]))]
        return [*full, *(use for use in factors if set(use[1]) != set(labels))]

    def _product(self, factors: list[Use], over: list[Label]) -> Use:
        if len(factors) < 3:
            return self.writing.contract(factors, over)
        import opt_einsum

        sizes = self.writing.sizes(factors)
        symbols = {label: opt_einsum.get_symbol(k) for k, label in enumerate(sizes)}
        left = ",".join("".join([symbols[x] for x in labels]) for _, labels in factors)
        right = "".join([symbols[x] for x in sizes if x not in over])
        shapes = [tuple([max(1, self.length(sizes[x])) for x in row]) for _, row in factors]
        path, _ = opt_einsum.contract_path(f"{left}->{right}", *shapes, shapes=True)
        rest = list(factors)
        for step in path:
            taken = [rest.pop(place) for place in sorted(step, reverse=True)]
            needed = {x for _, labels in rest for x in labels}
            summed = dict.fromkeys(
                x for _, labels in taken for x in labels if x in over and x not in needed
            )
            rest.append(self.writing.contract(taken, list(summed)))
        return rest[0]
