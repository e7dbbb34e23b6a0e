"""Scans as causal sums: the associative form of a recurrence, where there is one.

    s[t] = a[t]·s[t−1] + b[t]     =     Σ_{m ≤ t} exp(C[t] − C[m])·b[m],   C[t] = Σ_{j ≤ t} log a[j]

A scan whose states go on like this, with a and b that depend on no state, needs no loop over
positions. Where a is 1, or an exponential without axes of its own, so that its logarithm is there,
its sums run in chunks (`vesalius.compile.kernels.chunked`). Any other factor is taken in steps that
double (`vesalius.compile.kernels.recurrence`), if the state is no larger than what is read or
collected at a position: a larger one for all positions at once would take more memory than a loop.
A matrix that is only read by sums over it, whose channels fade one by one or which is corrected, is
written as one box (`vesalius.compile.kernels.fast_weights`).

Blelloch, Prefix sums and their applications, 1990.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from vesalius.compile.kernels.fast_weights import BY_CHANNELS, CORRECTED, FADING, FAST_WEIGHTS
from vesalius.compile.kernels.recurrence import RECURRENCE
from vesalius.compile.rebuild import Rebuild
from vesalius.compile.states import MatrixState, matrix_state
from vesalius.compile.terms import Axis, Use, Writing, Written
from vesalius.diagrams.box import Kind
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import SCAN
from vesalius.diagrams.boxes.shape import PAD, SLICE
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Node, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import ONE, ZERO, Size
from vesalius.diagrams.types import ArrayType


class Recurrence(NamedTuple):
    """How a state goes on, in wires of the body: what is added, what the decay is exponential of.

    `axes` are labels of the slots of the wire that the state is afterwards, `gates` all factors of
    the last state. All of them are exponentials without axes where it is `exponential`.
    """

    axes: tuple[Label, ...]
    added: tuple[Use, ...]
    decays: tuple[Use, ...]
    gates: tuple[Use, ...] = ()

    @property
    def exponential(self) -> bool:
        """Whether it is a causal sum: the logarithm of its gate is there, for each position."""
        return len(self.decays) == len(self.gates)


def recurrence(body: Diagram, state: int, states: int) -> Recurrence | str:
    """How a state of a scan's body goes on, or why that is no sum."""
    r = Written(body)
    depends = _dependence(body, states)
    port, given = body.outputs[state], body.inputs[state]
    use: Use = (port.wire, tuple(Axis(name) for name in body.hints[port.wire]))
    terms = _parts(r, use, ADD, depends)
    own = [one for one in terms if depends[one[0]] >> state & 1]
    if len(own) != 1 or any(depends[one[0]] for one in terms if one not in own):
        return "the next state is no sum of the last one and something else"
    factors = _parts(r, own[0], CONTRACT, depends)
    decays: list[Use] = []
    gates: list[Use] = []
    kept = 0
    for factor in factors:
        if factor[0] == given.wire:
            kept += 1
        elif depends[factor[0]]:
            return "the next state is not linear in the last one"
        else:
            gates.append(factor)
            inside = r.applied(factor, "exp")
            if inside is not None and not inside[0][1]:
                decays.append(inside[0])
    if kept != 1:
        return "the next state is not linear in the last one"
    if any(x[1] != own[0][1] and set(x[1]) - set(use[1]) for x in terms):
        return "the next state has other axes"
    added = tuple(one for one in terms if one not in own)
    if not added:
        return "a state never changes"
    return Recurrence(use[1], added, tuple(decays), tuple(gates))


def _parts(r: Written, use: Use, kind: Kind, depends: Sequence[int]) -> list[Use]:
    """The terms of a sum, or the factors of a product, as far as they hold a state."""
    if not depends[use[0]] or r.kind(use) is not kind or r.open(use).bound:
        return [use]
    return [part for one in r.open(use).uses for part in _parts(r, one, kind, depends)]


def _dependence(body: Diagram, states: int) -> list[int]:
    """For each wire, the states that it depends on, as a bit mask."""
    masks: list[int] = []
    for k, node in enumerate(body.nodes):
        mask = 1 << k if k < states else 0
        for wire in node.src:
            mask |= masks[wire]
        masks += [mask] * len(node.box.outs)
    return masks


def why_loop(diagram: Diagram, node: Node) -> str:
    """Why a scan is a loop over positions; nothing where it is a sum."""
    box = node.box
    body, states = box["body"], box["states"]
    if box["reverse"]:
        return "it runs backward"
    if any(inner.box.kind.name in ("scan", "named", "random") for inner in body.nodes):
        return "a step holds boxes that hold diagrams, or draws"
    why = _why_no_sum(diagram, node)
    if why and isinstance(_as_matrix(node), str):
        return why
    outputs = {port.wire for port in diagram.outputs}
    for j in range(states):
        wire = node.first + j
        if diagram.consumers[wire] or wire in outputs:
            return "its last state is read"
        if not _is_zero(diagram, node.src[j]):
            return "a state does not start at zero"
    read = [j for j in range(states) if _reads_before(body, states) >> j & 1]
    if read and (why or any(_is_wide(diagram, node, j) for j in read)):
        return (
            "what it returns depends on the state before the step, which is larger than what is "
            "read or collected at a position"
        )
    return ""


def _reads_before(body: Diagram, states: int) -> int:
    """The states whose values before a step go into what it returns, as a bit mask."""
    after = {body.outputs[j].wire for j in range(states)}
    masks: list[int] = []
    for k, inner in enumerate(body.nodes):
        mask = 1 << k if k < states else 0
        for source in inner.src:
            mask |= masks[source]
        masks += [0 if wire in after else mask for wire in inner.wires]
    mask = 0
    for port in body.outputs[states:]:
        mask |= masks[port.wire]
    return mask


def _why_no_sum(diagram: Diagram, node: Node) -> str:
    """Why a state is no sum, or none that is taken in steps; nothing where all are."""
    for j in range(node.box["states"]):
        found = recurrence(node.box["body"], j, node.box["states"])
        if isinstance(found, str):
            return found
        if not found.exponential and _is_wide(diagram, node, j):
            return (
                "the factor of the last state is no exponential without axes of its own, and the "
                "state is larger than what is read or collected at a position"
            )
    return ""


def _as_matrix(node: Node) -> MatrixState | str:
    """The state of a scan as a matrix that is written and read, or why it is none."""
    if node.box["states"] != 1:
        return "there are several states"
    body = node.box["body"]
    return matrix_state(body, _dependence(body, 1))


def _is_wide(diagram: Diagram, node: Node, state: int) -> bool:
    """Whether a state for each position is larger than all that comes in and goes out."""
    box, types = node.box, diagram.types
    first = box["states"]
    own = Counter(types[node.first + state].sizes)
    for wire in (*node.src[first : first + box["elements"]], *node.wires[first:]):
        each = Counter(types[wire].sizes)
        each[box["length"]] -= 1
        if own <= each:
            return False
    return True


def _is_zero(diagram: Diagram, wire: int) -> bool:
    r = Written(diagram)
    node = r.node_of(wire)
    while node.box.kind.name == "expand":
        node = r.node_of(node.src[0])
    return node.box.kind.name == "constant" and node.box["value"] == 0


def unrolled(diagram: Diagram, steps: bool = False) -> Diagram | None:
    """The diagram with its scans as causal sums where they can be; None if none can.

    With `steps`, whatever fades is taken in steps where its states are not large.
    """
    sums = {
        node.first: _as_matrix(node) if _why_no_sum(diagram, node) else ""
        for node in diagram.boxes
        if node.box.kind is SCAN and not why_loop(diagram, node)
    }
    return _Unrolling(diagram, sums, steps).run() if sums else None


class _Unrolling(Rebuild):
    def __init__(self, old: Diagram, sums: Mapping[int, MatrixState | str], steps: bool) -> None:
        super().__init__(old)
        self.sums, self.steps = sums, steps

    def place(self, node: Node, uses: Sequence[Use], labels: Sequence[Label]) -> list[Use]:
        if node.first not in self.sums:
            return super().place(node, uses, labels)
        here = [self.here(use) for use in uses]
        scan, matrix = _Scan(self.writing, node, here, labels), self.sums[node.first]
        if not isinstance(matrix, str):
            return scan.read(matrix)
        states = range(node.box["states"]) if self.steps else ()
        return scan.sums({j for j in states if not _is_wide(self.old, node, j)})


class _Scan:
    """One scan, written as sums; its sequences are read along a label of their own."""

    def __init__(
        self, writing: Writing, node: Node, uses: Sequence[Use], labels: Sequence[Label]
    ) -> None:
        self.w = writing
        self.box = node.box
        self.body: Diagram = node.box["body"]
        self.states: int = node.box["states"]
        self.elements: int = node.box["elements"]
        self.labels = labels
        self.time, self.past = Axis("t"), Axis("m")
        self.arguments: list[Use] = []
        for p, ((wire, names), row) in enumerate(zip(uses, self.box.maps, strict=True)):
            own = [labels[a] for a in self.box.bound if a in row]
            if self.states <= p < self.states + self.elements:
                *own, time = own
                names = tuple(self.time if x is time else x for x in names)
            slots = self.body.inputs[p].slots
            place: dict[Label, Label] = {x: slots[i] for i, x in enumerate(own)}
            self.arguments.append((wire, tuple(place.get(x, x) for x in names)))

    def sums(self, steps: Container[int] = ()) -> list[Use]:
        """A use for each output, from the states after each step as sums.

        Those in `steps` are recurrences, if they fade.
        """
        after = [self._state(j, j in steps) for j in range(self.states)]
        return self._results(after, [self.body.outputs[j].wire for j in range(self.states)])

    def read(self, matrix: MatrixState) -> list[Use]:
        """A use for each output, from what is read of a state that is a matrix."""
        return self._results([(self._read(matrix), matrix.read[1])], [matrix.read[0]])

    def _results(
        self, known: Sequence[tuple[Use, tuple[Label, ...]]], wires: Sequence[int]
    ) -> list[Use]:
        """A use for each output; those of the last states are not read by anything.

        `known` are wires of the body at each step, with the labels of their axes.
        """
        ends = self._ends(known, wires)
        zero = self.w.number(0.0)
        found: list[Use] = []
        for o, row in enumerate(self.box.outs):
            sizes = {self.labels[a]: size for a, size in self._sizes(row).items()}
            if o < self.states:
                found.append(self.w.expand(zero, sizes))
                continue
            wire, names = ends[o - self.states]
            port = self.body.outputs[o]
            new = [self.labels[a] for a in row if a >= self.box.inner]
            place: dict[Label, Label] = dict(zip(port.axes, new[1:], strict=True))
            place[self.time] = new[0]
            found.append(self.w.expand((wire, tuple(place.get(x, x) for x in names)), sizes))
        return found

    def _sizes(self, row: Sequence[int]) -> dict[int, Size]:
        sizes: dict[int, Size] = {}
        for (wire, names), maps in zip(self.arguments, self.box.maps, strict=True):
            for axis in maps:
                label = self.labels[axis]
                if label in names:
                    sizes[axis] = self.w.types[wire].sizes[names.index(label)]
        for k, size in enumerate(self.box.new):
            sizes[self.box.inner + k] = size
        return {axis: sizes[axis] for axis in row}

    def _graft(self, wanted: Sequence[Use]) -> list[Use]:
        """Uses of wires of the body, for all times at once."""
        ports = []
        for k, (wire, _) in enumerate(wanted):
            axes: list[str] = []
            for hint in self.body.hints[wire]:
                axes.append(fresh_name(hint or "a", axes))
            ports.append(Port(f"w{k}", wire, tuple(axes), tuple(range(len(axes)))))
        part = Builder.resume(self.body).finish(ports)
        made = []
        for (wire, names), port, (_, labels) in zip(
            self.w.builder.graft(part, self.arguments), part.outputs, wanted, strict=True
        ):
            place = dict(zip(port.axes, labels, strict=True))
            made.append((wire, tuple(place.get(x, x) if isinstance(x, str) else x for x in names)))
        return made

    def _state(self, j: int, steps: bool) -> tuple[Use, tuple[Label, ...]]:
        """A state after each step, and the labels of its declared axes."""
        found = recurrence(self.body, j, self.states)
        assert isinstance(found, Recurrence)
        w = self.w
        steps = bool(found.gates) if steps else not found.exponential
        parts = self._graft([*found.added, *(found.gates if steps else found.decays)])
        added = w.add(parts[: len(found.added)])
        length = self.box["length"]
        if steps:
            every: dict[Label, Size] = {self.time: length}
            gate = w.expand(w.contract(parts[len(found.added) :]), every)
            pairs = [(use, {"n": self.time}) for use in (gate, w.expand(added, every))]
            return RECURRENCE.box(w, pairs, {"n": self.time}), found.axes
        earlier = w.apply(
            "less_equal", w.positions(self.past, length), w.positions(self.time, length)
        )
        factors = [w.apply("to_float", earlier), self._past(added)]
        decays = parts[len(found.added) :]
        if decays:
            other = Axis("j")
            until = w.apply(
                "less_equal", w.positions(other, length), w.positions(self.time, length)
            )
            each = w.expand(w.add(decays), {self.time: length})
            moved = (each[0], tuple(other if x is self.time else x for x in each[1]))
            total = w.contract([w.apply("to_float", until), moved], [other])
            gap = w.add([total, w.apply("negate", self._past(total))])
            factors.append(w.apply("exp", gap))
        return w.contract(factors, [self.past]), found.axes

    def _read(self, matrix: MatrixState) -> Use:
        """What each step reads of the state, along all times."""
        w, channels = self.w, matrix.channels
        erases = matrix.erases or ()
        fading = [decay.use for decay in matrix.decays]
        every = (matrix.queries, matrix.keys, matrix.values, erases, fading)
        parts = iter(self._graft([use for uses in every for use in uses]))
        queries, keys, values, erased, decays = ([next(parts) for _ in uses] for uses in every)
        state = self.body.types[self.body.outputs[0].wire].sizes
        sizes: dict[Label, Size] = dict(zip(matrix.axes, state, strict=True))
        along: dict[Label, Size] = {self.time: self.box["length"]}
        wide = {**along, **{x: sizes[x] for x in channels}}
        minus = [w.number(-1.0)]
        q, k = (w.expand(self._product(uses), wide) for uses in (queries, keys))
        v = w.expand(self._product([*values, *minus] if matrix.subtracted else values), along)
        words, others = [], [q, k]
        if matrix.erases is not None:
            words.append(CORRECTED)
            erase = self._product([*erased, *minus] if matrix.added else erased)
            others.append(w.expand(erase, wide))
        if decays:
            words.append(FADING)
            known = zip(matrix.decays, decays, strict=True)
            decay = w.add([one.logarithm(w, self._float(use)) for one, use in known])
            by_channels = not set(channels).isdisjoint(decay[1])
            words += [BY_CHANNELS] if by_channels else []
            others.append(w.expand(decay, wide if by_channels else along))
        arguments = [self._along(use, channels) for use in others]
        tubes = {x for use in others for x in use[1]}
        v, width, whole = w.as_one(v, [x for x in v[1] if x not in tubes])
        arguments.insert(2, (v, {"n": self.time, "e": width}))
        made = {"n": self.time, "e": width}
        return w.apart(FAST_WEIGHTS.box(w, arguments, made, " ".join(words)), width, whole)

    def _along(self, use: Use, channels: Sequence[Label]) -> tuple[Use, dict[str, Label]]:
        """A use with its channels as one axis, if it has any, as an argument of the kernel."""
        if set(channels).isdisjoint(use[1]):
            return use, {"n": self.time}
        use, channel, _ = self.w.as_one(use, channels)
        return use, {"n": self.time, "c": channel}

    def _product(self, uses: Sequence[Use]) -> Use:
        return self._float(self.w.contract(uses))

    def _float(self, use: Use) -> Use:
        return self.w.apply("to_float", use) if self.w.dtype(use) == "int" else use

    def _past(self, use: Use) -> Use:
        use = self.w.expand(use, {self.time: self.box["length"]})
        return use[0], tuple(self.past if x is self.time else x for x in use[1])

    def _ends(
        self, known: Sequence[tuple[Use, tuple[Label, ...]]], wires: Sequence[int]
    ) -> list[Use]:
        """What the body returns at each step, from wires of it that are known there."""
        body = _Cut(self.body, wires).run()
        arguments = list(self.arguments)
        read = _reads_before(self.body, self.states)
        for j in range(self.states):
            if read >> j & 1:
                arguments[j] = self._before(j, *known[j])
        for (wire, names), axes in known:
            place: dict[Label, Label] = {x: slot for slot, x in enumerate(axes)}
            arguments.append((wire, tuple(place.get(x, x) for x in names)))
        part = Builder.resume(body).finish(list(body.outputs[self.states :]))
        return self.w.builder.graft(part, arguments)

    def _before(self, j: int, after: Use, axes: Sequence[Label]) -> Use:
        """A state as it was one step earlier, zero at first: what a body reads."""
        w, length = self.w, self.box["length"]
        longer, whole = Axis("t"), Axis("t")
        use = w.expand(after, {self.time: length})
        padded = w.box(PAD, (ONE, ZERO, 0), [use], [self.time], [(longer, length + ONE)])[0]
        wire, names = w.box(SLICE, (ZERO, 1), [padded], [longer], [(whole, length)])[0]
        port, given = self.body.outputs[j], self.body.inputs[j]
        slots: dict[Label, Label] = {whole: self.time}
        for name, slot in zip(port.axes, port.slots, strict=True):
            slots[axes[slot]] = given.slots[given.axes.index(name)]
        return wire, tuple(slots.get(x, x) for x in names)


class _Cut(Rebuild):
    """A body in which some wires are further inputs, in order."""

    def __init__(self, body: Diagram, wires: Sequence[int]) -> None:
        super().__init__(body)
        self.given: dict[int, Use] = {}
        for k, wire in enumerate(wires):
            axes: dict[str, Size] = {}
            for hint, size in zip(body.hints[wire], body.types[wire].sizes, strict=True):
                axes[fresh_name(hint or "a", axes)] = size
            made = self.writing.builder.input(f"after{k}", ArrayType(axes))
            self.given[wire] = (made.id, tuple(range(len(axes))))

    def write(self, node: Node) -> None:
        if len(node.wires) == 1 and node.first in self.given:
            self.seen[node.first] = self.given[node.first]
        else:
            super().write(node)
