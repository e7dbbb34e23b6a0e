"""Matching: where the left side of a rule stands in a diagram, modulo tubes, names and order.

A match sends each box of the pattern to a box of the host of the same kind, and each local
axis of the pattern's box to a local axis of the host's box, injectively. Exactness with
respect to declared axes: an axis of the pattern is at a port exactly when its image is. All
other host axes are tubes. A tube is an axis of the host that runs through the whole match; it
is found by joining, along the wires inside the match, the local axes that meet.

Interior wires may escape (the host's other readers keep the old box), and a wire of the
pattern's boundary may stand at several places. Parameters and random sources of the pattern
are wires of its boundary too: they stand for a source of the host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Box, Draw, Hole, Parameter, Token
from vesalius.diagrams.boxes.pointwise import POINTWISE
from vesalius.diagrams.builder import Use
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size, SizeLike, size
from vesalius.rewrite.context import surroundings, used_elsewhere
from vesalius.rewrite.grade import Grade
from vesalius.rewrite.operands import Arrangement, arrangements
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema


class Tube:
    """The label of a tube of a match: a place that it runs through. `name` is for people."""

    __slots__ = ("name", "place")

    def __init__(self, place: tuple[int, int], name: str) -> None:
        self.place = place
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tube) and self.place == other.place

    def __hash__(self) -> int:
        return hash(self.place)

    def __repr__(self) -> str:
        return f"Tube({self.name})"

    def __str__(self) -> str:
        return self.name


class Match(NamedTuple):
    """Where a rule's left side stands.

    `nodes` sends pattern nodes to host nodes. `inputs[k]` holds the uses for input k (one, or
    any number for a `many`): a host wire and a label for each of its slots, an int for a slot
    of the input's type and `("tube", i)` for a tube. `outputs[j]` is the host wire of output j
    with labels in the same manner, ints being places among the interface axes. `sources` holds
    the use for each parameter and random source of the left side, by name; `tokens` sends
    the identities of the left side to those of the host.
    """

    rule: Rule
    nodes: dict[int, int]
    inputs: tuple[tuple[Use, ...], ...]
    outputs: tuple[Use, ...]
    sizes: dict[str, Size]
    functions: dict[str, Any]
    host: Diagram
    sources: dict[str, Use]
    tokens: dict[Token, Token]

    @property
    def parameters(self) -> dict[str, str]:
        """The host's parameter for each parameter of the left side, by name."""
        return self._named(Parameter)

    @property
    def learners(self) -> dict[str, str]:
        """The host's learner for each learner of the left side, by name."""
        return self._named(Hole)

    def _named(self, kind: type) -> dict[str, str]:
        return {a.name: b.name for a, b in self.tokens.items() if isinstance(a, kind)}

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the host's parameters and learners that are used outside this match too."""
        return used_elsewhere(self)

    @property
    def grade(self) -> Grade:
        """What the step promises here: see `vesalius.rewrite.context`."""
        return self.rule.grade.within(surroundings(self))

    def choose(self, **sizes: SizeLike) -> Match:
        """This match with values for sizes that the right side brings (`rule.free`)."""
        for name in sizes:
            if name not in self.rule.free:
                raise SizeError(f"{self.rule.name}: the size {name!r} is not to be chosen")
        return self._replace(sizes={**self.sizes, **{n: size(v) for n, v in sizes.items()}})


class Pattern:
    """The left side of a rule, prepared: the order in which its boxes are looked for."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.left = rule.left
        self.inputs = len(rule.left.inputs)
        # Where the pattern ends: its inputs, and its parameters and random sources.
        self.ends = {wire: wire for wire in range(self.inputs)}
        self.sources: dict[str, int] = {}
        for token, node in rule.left.tokens:
            if not node.src:
                self.sources[token.name] = self.ends[node.first] = len(self.ends)
        self.many = frozenset(
            k for k, port in enumerate(rule.left.inputs) if port.name in rule.many
        )
        self.stand_ins = {id(f): name for name, f in rule.functions.items()}
        self.roots = tuple(dict.fromkeys(rule.left.owner[p.wire] for p in rule.left.outputs))
        self.root = self.roots[0]
        boxes = [n for n in rule.left.nodes if n.first not in self.ends]
        # Nothing to choose: every operand has its place, every bound axis its image.
        self.straight = (
            len(self.roots) == 1
            and not self.many
            and all(
                (len(node.src) < 2 or not node.box.kind.commutes(node.box.attrs))
                and (len(node.box.bound) < 2 or not node.box.kind.bound_is_set)
                for node in boxes
            )
        )
        self.sized = any(node.box.rank for node in boxes)

    def kind_key(self) -> tuple[Any, ...]:
        """What a host node must have to be worth a look."""
        return head(self.left.nodes[self.root].box, self.stand_ins)


def head(box: Box, stand_ins: Mapping[int, str] | None = None) -> tuple[Any, ...]:
    """The kind of a box, with its function where that is known."""
    if box.kind is POINTWISE and not (stand_ins and id(box["function"]) in stand_ins):
        return (box.kind, box["function"])
    return (box.kind, None)


class _State(NamedTuple):
    """A partial match; never changed in place.

    `nodes` pattern node → host node; `ports` (pattern node, port) → host ports; `axes`
    (pattern node, local axis) → host local axis; `wires` pattern wire → host wire; `binds`
    sizes and functions.
    """

    nodes: dict[int, int]
    ports: dict[tuple[int, int], tuple[int, ...]]
    axes: dict[tuple[int, int], int]
    wires: dict[int, int]
    sizes: dict[str, Size]
    functions: dict[str, Any]
    tokens: dict[Token, Token]


_NOTHING = _State({}, {}, {}, {}, {}, {}, {})


class Matcher:
    """Finds a rule in one host."""

    def __init__(self, rule: Rule, host: Diagram) -> None:
        self.rule = rule
        self.pattern = Pattern(rule)
        self.left = rule.left
        self.host = host
        self._fits: dict[tuple[int, Box], bool | None] = {}
        self._shapes: dict[Any, list[_Shape]] = {}

    def all(self) -> Iterator[Match]:
        """All matches, in the order of their root in the host."""
        wanted = self.pattern.kind_key()
        stand_ins = None
        for k, node in enumerate(self.host.nodes):
            if wanted[1] is None:
                found = node.box.kind is wanted[0]
            else:
                found = head(node.box, stand_ins) == wanted
            if found:
                yield from self.at(k)

    def at(self, root: int) -> Iterator[Match]:
        """All matches whose last box is this node of the host."""
        if self.pattern.straight:
            state = self._straight(root)
            if state is not None:
                yield from self._solved(state)
            return
        start = _NOTHING
        seen = set()
        for state in self._boxes(start, [(self.pattern.root, root)]):
            for match in self._solved(state):
                key = (tuple(sorted(match.nodes.items())), match.inputs, match.outputs)
                if key not in seen:
                    seen.add(key)
                    yield match

    # -- shapes -----------------------------------------------------------------------------------

    def _solved(self, state: _State) -> Iterator[Match]:
        """The matches that send boxes as `state` does.

        Boxes are interned, so how axes go is solved once for each shape: the boxes, the ports,
        and which wires at the boundary are the same.
        """
        host = self.host
        wires = [
            (host.nodes[state.nodes[node]].src[q])
            for (node, _), chosen in state.ports.items()
            for q in chosen
        ]
        first = {wire: k for k, wire in reversed(list(enumerate(wires)))}
        key = (
            tuple((node, host.nodes[k].box) for node, k in state.nodes.items()),
            tuple(state.ports.items()),
            tuple(state.axes.items()),
            tuple([first[wire] for wire in wires]),
        )
        shapes = self._shapes.get(key)
        if shapes is None:
            shapes = self._shapes[key] = [
                shape for full in self._axes(state) if (shape := self._shape(full)) is not None
            ]
        for shape in shapes:
            sizes = state.sizes
            if self.pattern.sized:
                bound = self._sizes(state._replace(axes=shape.axes))
                if bound is None:
                    continue
                sizes = bound
            yield shape.match(self, state, sizes)

    def _shape(self, state: _State) -> _Shape | None:
        """How the axes go, or None where a declared axis or a tube does not fit."""
        if not self._exact(state):
            return None
        tubes = _Tubes(self, state)
        if not tubes.sound():
            return None
        ends = tubes.ends()
        return None if ends is None else _Shape(state.axes, ends, tubes.outputs())

    def _straight(self, root: int) -> _State | None:
        """The only way to send boxes when nothing is left to choose."""
        left, host, pattern = self.left, self.host, self.pattern
        nodes: dict[int, int] = {}
        ports: dict[tuple[int, int], tuple[int, ...]] = {}
        axes: dict[tuple[int, int], int] = {}
        wires: dict[int, int] = {}
        sizes: dict[str, Size] = {}
        functions: dict[str, Any] = {}
        tokens: dict[Token, Token] = {}
        todo = [(pattern.root, root)]
        while todo:
            mine, its = todo.pop()
            known = nodes.get(mine)
            if known is not None:
                if known != its:
                    return None
                continue
            ours, theirs = left.nodes[mine], host.nodes[its]
            key = (mine, theirs.box)
            fits = self._fits.get(key, key)
            if fits is key:
                fits = self._fits[key] = self._fit(ours.box, theirs.box)
            if fits is False or len(ours.src) != len(theirs.src):
                return None
            if fits is None:
                known_so_far = _State({}, {}, {}, {}, sizes, functions, tokens)
                binds = self._attributes(known_so_far, ours.box, theirs.box)
                if binds is None:
                    return None
                sizes, functions, tokens = binds
            nodes[mine] = its
            for a, b in zip(ours.box.bound, theirs.box.bound, strict=True):
                axes[mine, a] = b
            for k in range(len(ours.box.new)):
                axes[mine, ours.box.inner + k] = theirs.box.inner + k
            for p, (wire, other) in enumerate(zip(ours.src, theirs.src, strict=True)):
                ports[mine, p] = (p,)
                if wires.setdefault(wire, other) != other:
                    return None
                if wire in pattern.ends:
                    ended = self._end(tokens, wire, other)
                    if ended is None:
                        return None
                    tokens = ended
                    continue
                below, there = left.owner[wire], host.owner[other]
                if wire - left.nodes[below].first != other - host.nodes[there].first:
                    return None
                todo.append((below, there))
        if len(set(nodes.values())) != len(nodes):
            return None
        return _State(nodes, ports, axes, wires, sizes, functions, tokens)

    def _end(self, tokens: dict[Token, Token], wire: int, other: int) -> dict[Token, Token] | None:
        """Let a wire of the pattern's boundary stand for a wire of the host."""
        if self.left.types[wire].dtype != self.host.types[other].dtype:
            return None
        if wire < self.pattern.inputs:
            return tokens
        ours = self.left.nodes[self.left.owner[wire]].box
        theirs = self.host.nodes[self.host.owner[other]].box
        if ours.kind is not theirs.kind:
            return None
        mine, its = ours["token"], theirs["token"]
        if isinstance(mine, Draw):
            if mine.describe() != its.describe():
                return None
        elif mine.trainable != its.trainable and not (mine.trainable and self.rule.grade.same):
            return None  # a frozen array is no parameter that a witness may set
        return _paired(tokens, mine, its)

    def _fit(self, ours: Box, theirs: Box) -> bool | None:
        """Whether two boxes fit whatever else is matched; None when that depends."""
        if self._attributes(_NOTHING, ours, theirs) is None:
            return False
        variables = any(
            isinstance(value, (Size, Token)) or id(value) in self.pattern.stand_ins
            for value in ours.attrs
        )
        return None if variables else True

    # -- boxes ------------------------------------------------------------------------------------

    def _boxes(self, state: _State, todo: list[tuple[int, int]]) -> Iterator[_State]:
        """Send pattern nodes to host nodes, from the root down."""
        if not todo:
            missing = next((k for k in self.pattern.roots if k not in state.nodes), None)
            if missing is None:
                yield state
                return
            for k in range(len(self.host.nodes)):
                yield from self._boxes(state, [(missing, k)])
            return
        (pattern, host), rest = todo[0], todo[1:]
        known = state.nodes.get(pattern)
        if known is not None:
            if known == host:
                yield from self._boxes(state, rest)
            return
        if host in state.nodes.values():
            return
        ours, theirs = self.left.nodes[pattern], self.host.nodes[host]
        binds = self._attributes(state, ours.box, theirs.box)
        if binds is None:
            return
        nodes = {**state.nodes, pattern: host}
        state = state._replace(nodes=nodes, sizes=binds[0], functions=binds[1], tokens=binds[2])
        new = {ours.box.inner + k: theirs.box.inner + k for k in range(len(ours.box.new))}
        for ports, bound in self._operands(state, pattern, ours, theirs):
            below = self._wires(state, pattern, ours, theirs, ports)
            if below is None:
                continue
            wired, more = below
            images = {(pattern, a): b for a, b in (bound | new).items()}
            yield from self._boxes(wired._replace(axes=wired.axes | images), more + rest)

    def _attributes(
        self, state: _State, ours: Box, theirs: Box
    ) -> tuple[dict[str, Size], dict[str, Any], dict[Token, Token]] | None:
        if (
            ours.kind is not theirs.kind
            or len(ours.bound) != len(theirs.bound)
            or len(ours.new) != len(theirs.new)
            or len(ours.outs) != len(theirs.outs)
        ):
            return None
        sizes, functions, tokens = state.sizes, state.functions, state.tokens
        for (_, codec), mine, other in zip(ours.kind.fields, ours.attrs, theirs.attrs, strict=True):
            name = self.pattern.stand_ins.get(id(mine)) if codec == "function" else None
            if name is not None:
                if other.arity != mine.arity:
                    return None
                bound = (other, theirs["numbers"])
                if functions.get(name, bound) != bound:
                    return None
                functions = {**functions, name: bound}
            elif codec == "numbers" and self.pattern.stand_ins.get(id(ours.attrs[0])):
                continue
            elif isinstance(mine, Size) and type(other) in (Size, int):
                grown = _bind(sizes, mine, other)
                if grown is None:
                    return None
                sizes = grown
            elif isinstance(mine, Token) and isinstance(other, Token):
                paired = _paired(tokens, mine, other)
                if paired is None:
                    return None
                tokens = paired
            elif mine != other:
                return None
        return sizes, functions, tokens

    def _operands(
        self, state: _State, pattern: int, ours: Node, theirs: Node
    ) -> Iterator[Arrangement]:
        """For each port of the pattern the ports of the host that it may stand for, and axes."""
        many = [p for p, wire in enumerate(ours.src) if wire in self.pattern.many]
        free = many or len(ours.src) > 1 or len(ours.box.bound) > 1
        spread = self._spread(state) if free and len(state.nodes) > 1 else {}
        if spread is None:
            return
        known = {axis: b for (node, axis), b in spread.items() if node == pattern}

        def fits(p: int, q: int) -> bool:
            wire, other = ours.src[p], theirs.src[q]
            return wire in self.pattern.many or self._may_stand(state, wire, other)

        yield from arrangements(ours.box, theirs.box, many, known, fits)

    def _may_stand(self, state: _State, wire: int, other: int) -> bool:
        """Whether a wire of the host may stand for one of the pattern, at first sight."""
        if state.wires.get(wire, other) != other:
            return False
        if wire in self.pattern.ends:
            return self.left.types[wire].dtype == self.host.types[other].dtype
        ours = self.left.nodes[self.left.owner[wire]].box
        theirs = self.host.nodes[self.host.owner[other]].box
        return ours.kind is theirs.kind and len(ours.bound) == len(theirs.bound)

    def _wires(
        self,
        state: _State,
        pattern: int,
        ours: Node,
        theirs: Node,
        ports: tuple[tuple[int, ...], ...],
    ) -> tuple[_State, list[tuple[int, int]]] | None:
        """Send pattern wires to host wires; what hangs below comes next."""
        wires, known = dict(state.wires), dict(state.ports)
        more: list[tuple[int, int]] = []
        for p, chosen in enumerate(ports):
            known[pattern, p] = chosen
            wire = ours.src[p]
            if wire in self.pattern.many:
                continue
            other = theirs.src[chosen[0]]
            if wires.setdefault(wire, other) != other:
                return None
            if wire in self.pattern.ends:
                tokens = self._end(state.tokens, wire, other)
                if tokens is None:
                    return None
                state = state._replace(tokens=tokens)
                continue
            mine, its = self.left.owner[wire], self.host.owner[other]
            if wire - self.left.nodes[mine].first != other - self.host.nodes[its].first:
                return None
            more.append((mine, its))
        return state._replace(wires=wires, ports=known), more

    # -- axes -------------------------------------------------------------------------------------

    def _axes(self, state: _State) -> Iterator[_State]:
        """Send every local axis of the pattern to the host; guess only what nothing tells."""
        axes = self._spread(state)
        if axes is None:
            return
        for pattern, host in state.nodes.items():
            box = self.left.nodes[pattern].box
            for axis in range(box.rank):
                if (pattern, axis) not in axes:
                    taken = {b for (k, _), b in axes.items() if k == pattern}
                    other = self.host.nodes[host].box
                    for guess in range(other.inner):
                        if guess not in taken and guess not in other.bound:
                            grown = {**axes, (pattern, axis): guess}
                            yield from self._axes(state._replace(axes=grown))
                    return
        yield state._replace(axes=axes)

    def _spread(self, state: _State) -> dict[tuple[int, int], int] | None:
        """What the axes known so far say about the others, along wires."""
        axes = dict(state.axes)
        slots: dict[tuple[int, int], int] = {}
        changed = True
        while changed:
            changed = False
            for wire, row, node, other_row in self._edges(state):
                for s, axis in enumerate(row):
                    known, slot = axes.get((node, axis)), slots.get((wire, s))
                    if known is not None:
                        if known not in other_row:
                            return None
                        place = other_row.index(known)
                        if slot is None:
                            slots[wire, s] = place
                            changed = True
                        elif slot != place:
                            return None
                    elif slot is not None:
                        axes[node, axis] = other_row[slot]
                        changed = True
        for node in state.nodes:
            images = [b for (k, _), b in axes.items() if k == node]
            if len(set(images)) != len(images):
                return None
        return axes

    def _edges(self, state: _State) -> Iterator[tuple[int, Axes, int, Axes]]:
        """(pattern wire, its axes in the pattern's box, pattern node, its axes in the host's)."""
        for node, host in state.nodes.items():
            ours, theirs = self.left.nodes[node], self.host.nodes[host]
            for p, wire in enumerate(ours.src):
                if wire not in self.pattern.many and (node, p) in state.ports:
                    (q,) = state.ports[node, p]
                    yield wire, ours.box.maps[p], node, theirs.box.maps[q]
            for wire, row, other in zip(ours.wires, ours.box.outs, theirs.box.outs, strict=True):
                yield wire, row, node, other

    # -- exactness and tubes ----------------------------------------------------------------------

    def _exact(self, state: _State) -> bool:
        """A declared axis is at a port exactly when its image is."""
        for node, host in state.nodes.items():
            ours, theirs = self.left.nodes[node].box, self.host.nodes[host].box
            image = {a: state.axes[node, a] for a in range(ours.inner)}
            declared = set(image.values())
            for p, row in enumerate(ours.maps):
                wanted = {image[a] for a in row}
                for q in state.ports[node, p]:
                    if set(theirs.maps[q]) & declared != wanted:
                        return False
        return True

    def _sizes(self, state: _State) -> dict[str, Size] | None:
        sizes: dict[str, Size] | None = dict(state.sizes)
        later: list[tuple[Size, Size]] = []
        for node, host in state.nodes.items():
            ours = self.left.site(self.left.nodes[node]).sizes
            theirs = self.host.site(self.host.nodes[host]).sizes
            for axis, wanted in enumerate(ours):
                actual = theirs[state.axes[node, axis]]
                if wanted.variable is None:
                    later.append((wanted, actual))
                else:
                    sizes = _bind(sizes, wanted, actual) if sizes is not None else None
        if sizes is None:
            return None
        if any(wanted.substitute(sizes) != actual for wanted, actual in later):
            return None
        return sizes


class _Shape(NamedTuple):
    """How the axes of a match go: `ends[k]` are (pattern node, host port, labels)."""

    axes: dict[tuple[int, int], int]
    ends: tuple[tuple[tuple[int, int, tuple[Any, ...]], ...], ...]
    outputs: tuple[tuple[int, int, tuple[Any, ...]], ...]

    def match(self, matcher: Matcher, state: _State, sizes: dict[str, Size]) -> Match:
        """The match of this shape at these boxes, with the host's wires and names."""
        host, nodes = matcher.host, state.nodes
        ends = tuple(
            [
                tuple(
                    [
                        self._use(host, host.nodes[nodes[node]].src[q], labels)
                        for node, q, labels in uses
                    ]
                )
                for uses in self.ends
            ]
        )
        outputs = tuple(
            [
                self._use(host, host.nodes[nodes[node]].first + offset, labels)
                for node, offset, labels in self.outputs
            ]
        )
        pattern = matcher.pattern
        return Match(
            matcher.rule,
            nodes,
            ends[: pattern.inputs],
            outputs,
            sizes,
            state.functions,
            host,
            {name: ends[k][0] for name, k in pattern.sources.items()},
            state.tokens,
        )

    @staticmethod
    def _use(host: Diagram, wire: int, labels: tuple[Any, ...]) -> Use:
        names = host.hints[wire]
        return wire, tuple(
            [
                label if isinstance(label, int) else Tube(label.place, names[slot])
                for slot, label in enumerate(labels)
            ]
        )


class _Tubes:
    """The tubes of a match: host axes that are no image, joined along the wires inside."""

    def __init__(self, matcher: Matcher, state: _State) -> None:
        self.left, self.host, self.state = matcher.left, matcher.host, state
        self.pattern = matcher.pattern
        self.images: dict[int, set[int]] = {node: set() for node in state.nodes}
        for (node, _), axis in state.axes.items():
            self.images[node].add(axis)
        self.parent: dict[tuple[int, int], tuple[int, int]] = {}
        for wire, row, node, other in matcher._edges(state):
            declared = {state.axes[node, a] for a in row}
            for slot, axis in enumerate(other):
                if axis not in declared:
                    self._join((node, axis), (-1 - wire, slot))

    def _find(self, item: tuple[int, int]) -> tuple[int, int]:
        while self.parent.get(item, item) != item:
            item = self.parent[item]
        return item

    def _join(self, one: tuple[int, int], other: tuple[int, int]) -> None:
        a, b = self._find(one), self._find(other)
        if a != b:
            self.parent[max(a, b)] = min(a, b)
            self.parent.setdefault(min(a, b), min(a, b))

    def label(self, node: int, axis: int) -> Tube:
        """A tube by the least place that it runs through."""
        return Tube(self._find((node, axis)), "")

    def sound(self) -> bool:
        """No tube runs through an image, and none through two axes of one box."""
        for node, host in self.state.nodes.items():
            box = self.host.nodes[host].box
            seen = set()
            for axis in range(box.rank):
                if axis in self.images[node]:
                    continue
                if axis in box.bound or axis >= box.inner:
                    return False
                found = self._find((node, axis))
                if found in seen:
                    return False
                seen.add(found)
        return True

    def ends(self) -> tuple[tuple[tuple[int, int, tuple[Any, ...]], ...], ...] | None:
        """The uses for the pattern's boundary; None when two places disagree about one."""
        found: list[list[tuple[int, int, tuple[Any, ...]]]] = [[] for _ in self.pattern.ends]
        seen: list[list[Use] | None] = [None for _ in self.pattern.ends]
        for node, host in self.state.nodes.items():
            ours, theirs = self.left.nodes[node], self.host.nodes[host]
            for p, wire in enumerate(ours.src):
                end = self.pattern.ends.get(wire)
                if end is None:
                    continue
                place = {self.state.axes[node, a]: s for s, a in enumerate(ours.box.maps[p])}
                places: list[tuple[int, int, tuple[Any, ...]]] = []
                uses: list[Use] = []
                for q in self.state.ports[node, p]:
                    row = theirs.box.maps[q]
                    labels = tuple(place[b] if b in place else self.label(node, b) for b in row)
                    places.append((node, q, labels))
                    uses.append((theirs.src[q], labels))
                known = seen[end]
                if known is None:
                    seen[end], found[end] = uses, places
                elif wire in self.pattern.many:
                    if Counter(known) != Counter(uses):
                        return None
                elif known != uses:
                    return None
        return tuple(tuple(places) for places in found)

    def outputs(self) -> tuple[tuple[int, int, tuple[Any, ...]], ...]:
        """For each output of the rule: pattern node, output of its box, labels."""
        places = []
        for port in self.left.outputs:
            node = self.left.owner[port.wire]
            ours = self.left.nodes[node]
            theirs = self.host.nodes[self.state.nodes[node]]
            offset = port.wire - ours.first
            row, other = ours.box.outs[offset], theirs.box.outs[offset]
            place = {self.state.axes[node, row[slot]]: i for i, slot in enumerate(port.slots)}
            labels = tuple(place[b] if b in place else self.label(node, b) for b in other)
            places.append((node, offset, labels))
        return tuple(places)


def _paired(tokens: dict[Token, Token], mine: Token, its: Token) -> dict[Token, Token] | None:
    """Let an identity of the pattern stand for one of the host; different ones for different."""
    known = tokens.get(mine)
    if known is not None:
        return tokens if known is its else None
    return None if its in tokens.values() else {**tokens, mine: its}


def _bind(sizes: Mapping[str, Size], wanted: Size, actual: Size | int) -> dict[str, Size] | None:
    """Let a size variable of the pattern stand for a size of the host."""
    name = wanted.variable
    if name is None:
        return dict(sizes) if wanted.substitute(sizes) == actual else None
    if isinstance(actual, int):
        actual = size(actual)
    known = sizes.get(name)
    if known is None:
        return {**sizes, name: actual}
    return dict(sizes) if known == actual else None


def matches(rule: Rule | Schema, host: Diagram) -> Iterator[Match]:
    """All matches of a rule's left side in a diagram, in a deterministic order.

    Those of a schema are matches of its instances, anchor by anchor.
    """
    if isinstance(rule, Rule):
        yield from Matcher(rule, host).all()
        return
    for k in range(len(host.nodes)):
        for instance in rule.instances(host, k):
            yield from islice(Matcher(instance, host).at(k), 1)
