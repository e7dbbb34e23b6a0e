"""Timing what kernels offer, on request: each rival in turn, at actual sizes, on random inputs.

What rivals stand for is cut out of the diagram, so equal parts of a model are timed once, and what
was found is kept (`vesalius.compile.store`) by the structure of the part, its lengths, the element
type, the device and the versions. Several processes may time one thing at once: the last one stays.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, prod
from typing import TYPE_CHECKING, Any

from vesalius.compile import store
from vesalius.compile.explain import Explanation
from vesalius.compile.kernels.kernel import Unserved
from vesalius.compile.machine import key
from vesalius.compile.rebuild import Rebuild, replaced
from vesalius.compile.terms import Use, Writing
from vesalius.diagrams.box import Token
from vesalius.diagrams.boxes.sources import INPUT, PARAMETER
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graft import Replacement
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType

if TYPE_CHECKING:
    import torch

    from vesalius.compile.kernels import Found, Target
    from vesalius.compile.offers import Offer

FORMAT = 1  # of what is kept
WRITTEN = "as it is written"
BUDGET = 0.2  # seconds for each rival, after one run to warm up
LEAST = 5  # runs that are timed at least
HOPELESS = 4.0  # a rival that takes so many times the best one's first run is not run again
LARGEST = 1 << 31  # bytes that a rival may make and be timed

Times = Mapping[str, "float | None"]


class Timings:
    """What rivals took, by the part that they compute; `asks` while more may be timed.

    With `gradients`, forward and backward are timed, else forward alone.
    """

    def __init__(self, gradients: bool) -> None:
        self.gradients = gradients
        self.known: dict[str, Times] = {}
        self.asks = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "asks": False}  # nothing is timed where a pickle is read

    def of(self, diagram: Diagram, offers: Sequence[Offer], target: Target) -> Times | None:
        """The seconds of each offer, by its name, and of the text; None for one that fails.

        None where they are not known and may not be timed.
        """
        part = Part(diagram, offers, target)
        wanted = [WRITTEN, *names(offers)]
        digest = digest_of(part.diagram, target)
        found = self.known.get(digest)
        if found is None and self.asks:
            about = self._about(digest, target)
            found = _valid(store.read("timed", about))
            if found is None or not found.keys() >= set(wanted):
                found = _timed(part, offers, target, self.gradients)
                store.write("timed", about, found)
            self.known[digest] = found
        return found if found is not None and found.keys() >= set(wanted) else None

    def _about(self, digest: str, target: Target) -> dict[str, Any]:
        from importlib.metadata import version

        return {
            "format": FORMAT,
            "part": digest,
            "dtype": target.dtype,
            "gradients": self.gradients,
            "vesalius": version("vesalius"),
            **key(target.device),
        }


def names(offers: Sequence[Offer]) -> list[str]:
    """A name for each offer: that of its kernel, numbered where there are several."""
    found: list[str] = []
    for one in offers:
        same = sum(name.partition(" ")[0] == one.kernel.name for name in found)
        found.append(f"{one.kernel.name} {same + 1}" if same else one.kernel.name)
    return found


def _valid(value: Any) -> dict[str, float | None] | None:
    if not isinstance(value, dict):
        return None
    fine = all(x is None or (isinstance(x, float) and 0 <= x < inf) for x in value.values())
    return value if fine else None


# -- cutting out --------------------------------------------------------------------------------


class Part(Rebuild):
    """What rivals stand for: the boxes that one of them takes away, and all constants they read."""

    def __init__(self, diagram: Diagram, offers: Sequence[Offer], target: Target) -> None:
        self.old, self.target = diagram, target
        closed = _closed(diagram)
        nodes = {k for one in offers for k in one.gone | one.roots}
        nodes = {k for k in nodes if diagram.nodes[k].box.kind not in (INPUT, PARAMETER)}
        ends = {wire for one in offers for wire in _replacements(one.found)}
        reads = {w for one in offers for r in _replacements(one.found).values() for w, _ in r.uses}
        todo = [*reads, *(wire for k in nodes for wire in diagram.nodes[k].src)]
        entering: set[int] = set()
        while todo:
            wire = todo.pop()
            k = diagram.owner[wire]
            if k in nodes:
                continue
            if closed[wire]:
                nodes.add(k)
                todo += diagram.nodes[k].src
            else:
                entering.add(wire)
        builder = Builder("part")
        self.writing = Writing(builder)
        self.seen: dict[int, Use] = {}
        for number, wire in enumerate(sorted(entering)):
            sizes, dtype = diagram.types[wire]
            axes = {f"a{k}": size for k, size in enumerate(sizes)}
            made = builder.input(f"x{number}", ArrayType(axes, dtype))
            self.seen[wire] = (made.id, tuple(range(len(sizes))))
        for k in sorted(nodes):
            self.write(diagram.nodes[k])
        outside = {port.wire for port in diagram.outputs}
        kept = [w for w in sorted(ends) if w in outside
                or any(k not in nodes for k, _ in diagram.consumers[w])]  # fmt: skip
        ports = [self._port(f"y{number}", wire) for number, wire in enumerate(kept)]
        self.diagram = builder.finish(ports)
        moved = builder.moved
        if moved is not None:
            self.seen = {w: (moved[h], s) for w, (h, s) in self.seen.items() if h in moved}

    def _port(self, name: str, wire: int) -> Port:
        here, slots = self.seen[wire]
        axes = tuple([f"a{k}" for k in range(len(slots))])
        return Port(name, here, axes, tuple([slots.index(k) for k in range(len(slots))]))

    def served(self, offer: Offer) -> Diagram:
        """The part as an offer computes it."""
        replacing = {}
        for wire, old in _replacements(offer.found).items():
            if wire in self.seen:
                here, slots = self.seen[wire]
                uses = tuple([self._moved(use) for use in old.uses])
                labels = tuple([old.labels[s] for s in slots if isinstance(s, int)])
                replacing[here] = Replacement(
                    old.body, uses, labels, old.output, old.sizes, old.given, old.tubes
                )
        return replaced(self.diagram, replacing)

    def _moved(self, use: Use) -> Use:
        here, slots = self.seen[use[0]]
        return here, tuple([use[1][s] for s in slots if isinstance(s, int)])

    def lengths(self) -> dict[str, int]:
        """The lengths of all size variables."""
        target = self.target
        return {v: target.sizes.get(v, target.usual.get(v, 1)) for v in self.diagram.size_variables}

    def bytes_made(self) -> int:
        """What the text makes if nothing of it is given back."""
        return sum(
            4 * prod(self.target.length(size) for size in type_.sizes)
            for type_ in self.diagram.types[len(self.diagram.inputs) :]
        )


def _replacements(found: Found) -> dict[int, Replacement]:
    return {found.wire: found.replacement, **dict(found.others)}


def _closed(diagram: Diagram) -> list[bool]:
    """Which wires hang on no input, parameter or draw."""
    found = [False] * len(diagram.types)
    for node in diagram.nodes:
        own = node.box.kind is INPUT or any(isinstance(x, Token) for x in node.box.attrs)
        closed = not own and all(found[wire] for wire in node.src)
        for wire in node.wires:
            found[wire] = closed
    return found


# -- what a part is -----------------------------------------------------------------------------


def digest_of(diagram: Diagram, target: Target) -> str:
    """A digest that parts of one structure at the same lengths share, in every process.

    It sees neither names nor the order of axes and operands, and may be shared by others.
    """

    def value_of(value: Any) -> str:
        if isinstance(value, Size):
            return str(target.integer(value))
        if isinstance(value, Diagram):
            return digest_of(value, target)
        if isinstance(value, Token):
            return str(value.describe())
        if isinstance(value, tuple | list):
            return f"({','.join(map(value_of, value))})"
        return str(getattr(value, "name", None) or repr(value))

    below: list[str] = []
    for node in diagram.nodes:
        box, types = node.box, [diagram.types[wire] for wire in node.wires]
        operands = [
            _hash(below[wire], *sorted(_role(box, axis, row) for axis in row))
            for wire, row in zip(node.src, box.maps, strict=True)
        ]
        if box.kind.commutes(box.attrs):
            operands.sort()
        attrs = () if box.kind is INPUT else map(value_of, box.attrs)
        for j, (sizes, dtype) in enumerate(types):
            lengths = sorted(target.length(size) for size in sizes)
            below.append(_hash(box.kind.name, *attrs, str(j), dtype, str(lengths), *operands))
    return _hash(*sorted(below[port.wire] for port in diagram.outputs))


def _role(box: Any, axis: int, row: Sequence[int]) -> str:
    """What an axis is to an operand: bound or not, and how many operands have it."""
    shared = sum(axis in other for other in box.maps)
    return f"{axis in box.bound}{shared}"


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


# -- timing -------------------------------------------------------------------------------------


def _timed(
    part: Part, offers: Sequence[Offer], target: Target, gradients: bool
) -> dict[str, float | None]:
    """The seconds of the text and of each offer: the shortest run of each, runs taking turns."""
    import torch

    candidates = {WRITTEN: part.diagram}
    candidates.update(zip(names(offers), map(part.served, offers), strict=True))
    if part.bytes_made() > LARGEST:
        del candidates[WRITTEN]
    inputs = _inputs(part, target)
    best: dict[str, float | None] = dict.fromkeys([WRITTEN, *names(offers)])
    runs: dict[str, Callable[[], None]] = {}
    for name, diagram in candidates.items():
        try:
            runs[name] = run = _run(diagram, part, target, inputs, gradients)
            run()
            best[name] = _clock(run, target.device)
        except (Unserved, RuntimeError, MemoryError) as error:  # no candidate: it does not run here
            if isinstance(error, torch.AcceleratorError):  # nothing works on that device after it
                raise
            runs.pop(name, None)
            best[name] = None
    first = min((x for x in best.values() if x is not None), default=inf)
    runs = {name: run for name, run in runs.items() if (best[name] or inf) <= HOPELESS * first}
    spent, turns = dict.fromkeys(runs, 0.0), 0
    while runs and (turns < LEAST or min(spent.values()) < BUDGET):
        for name, run in runs.items():
            if turns < LEAST or spent[name] < BUDGET:
                taken = _clock(run, target.device)
                spent[name] += taken
                best[name] = min(best[name] or inf, taken)
        turns += 1
    return best


def _clock(run: Callable[[], None], device: str) -> float:
    import torch

    def finish() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    finish()
    start = time.perf_counter()
    run()
    finish()
    return time.perf_counter() - start


def _run(
    diagram: Diagram,
    part: Part,
    target: Target,
    inputs: Sequence[torch.Tensor],
    gradients: bool,
) -> Callable[[], None]:
    import torch

    from vesalius.compile.choose import Chosen
    from vesalius.compile.module import module_of

    module = module_of(Chosen(diagram, Explanation(())), diagram, part.lengths(), target)
    wanted = [x for x in inputs if x.requires_grad]

    def run() -> None:
        with torch.set_grad_enabled(gradients):
            made = module(*inputs)
            for kernel, reason in module._unable.items():  # another one was timed in its place
                raise Unserved(kernel, reason, lasting=True)
            outs = [x for x in _tensors(made) if x.requires_grad]
            if gradients and outs:
                ones = [torch.ones_like(x) for x in outs]
                torch.autograd.grad(outs, wanted, ones, allow_unused=True)

    return run


def _tensors(made: Any) -> Iterable[torch.Tensor]:
    return made.values() if isinstance(made, dict) else made if isinstance(made, tuple) else (made,)


def _inputs(part: Part, target: Target) -> list[torch.Tensor]:
    """Numbers between 0 and 1, half of all truth values, and indices that are in every table."""
    import torch

    generator = torch.Generator().manual_seed(0)
    found = []
    for port in part.diagram.inputs:
        type_ = part.diagram.port_type(port)
        shape = [target.length(size) for size in type_.axes.values()]
        if type_.dtype == "int":
            x = torch.zeros(shape, dtype=torch.int64)
        else:
            x = torch.rand(shape, generator=generator)
            x = x < 0.5 if type_.dtype == "bool" else x.to(getattr(torch, target.dtype))
        found.append(x.to(target.device).requires_grad_(type_.dtype == "float"))
    return found


__all__ = ["WRITTEN", "Timings", "names"]
