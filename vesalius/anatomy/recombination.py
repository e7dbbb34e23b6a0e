"""Recombination: all mechanisms that a grammar of parts spans.

    space = vs.anatomy.recombine()                        # every well-typed choice of parts
    space = vs.anatomy.recombine(normaliser=["softmax"])  # with these normalisers
    print(space)
    space["recency-scaled_dot-sigmoid"].mechanism(causal=True)

Choices that spell one diagram are one member. A member says which mechanism of the catalogue it
is, by equality of diagrams; `Space.classes` says which members are equal by the rules that are
`equal`, as far as a search within bounds proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, overload

from vesalius.anatomy.attention import QKV
from vesalius.anatomy.grammar import BY_LENGTH, SILENT, SLOTS, Choice, broken, nowhere, ungated
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Mechanism,
    Paper,
    Part,
    diagram_of,
    explicit,
    mask_inputs,
)
from vesalius.anatomy.parts import given, visible, weighted_sum
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import expose
from vesalius.diagrams.names import meant
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.wire import Wire

NO_PAPER = Paper("", "", 0)


@dataclass(frozen=True)
class Member:
    """A mechanism that the grammar spans; `spellings` are the choices that make its diagram.

    `known` is the name of the mechanism of the catalogue with that diagram, or empty.
    """

    mechanism: Mechanism
    spellings: tuple[str, ...]
    known: str

    @property
    def name(self) -> str:
        """Its parts in the order of the slots; those that do nothing are left out."""
        return self.mechanism.name

    @cached_property
    def diagram(self) -> Diagram:
        """The diagram without a mask."""
        return self.mechanism()

    @property
    def parts(self) -> dict[str, str]:
        """The names of the parts by slot."""
        return {slot: part.__name__ for slot, part in self.mechanism.parts.items()}


@dataclass(frozen=True)
class Class:
    """Members that compute one function: `proved` by rules, `unproved` at a sample of inputs."""

    proved: tuple[str, ...]
    unproved: tuple[str, ...]


class Space(Sequence[Member]):
    """The members, in the order of the grammar; also by name. Prints as a table."""

    def __init__(self, members: Iterable[Member], refused: Mapping[str, str]) -> None:
        self._members = {member.name: member for member in members}
        self.refused = refused

    @overload
    def __getitem__(self, key: int | str) -> Member: ...

    @overload
    def __getitem__(self, key: slice) -> list[Member]: ...

    def __getitem__(self, key: int | str | slice) -> Member | list[Member]:
        if isinstance(key, str):
            return self._members[_known(key, list(self._members), "member")]
        return list(self._members.values())[key]

    def __len__(self) -> int:
        return len(self._members)

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return list(self._members)

    @property
    def known(self) -> dict[str, str]:
        """The members that are in the catalogue, with the names that they have there."""
        return {m.name: m.known for m in self if m.known}

    def classes(
        self, *, nodes: int = 5000, seconds: float = 10.0, depth: int = 2
    ) -> tuple[Class, ...]:
        """The members that are equal to one another by the `equal` rules of the library.

        What differs at an input is not equal; what does not is put into one e-graph, which
        is saturated within at most about `nodes` e-nodes, `seconds` a pair, and `depth` rules one
        upon the other. Members that agree, and are not proved equal so, are `unproved`.
        """
        found = []
        for group in self._agreeing():
            while len(group) > 1:
                first, *others = group
                proved = [
                    other
                    for other in others
                    if proved_equal(
                        first.diagram, other.diagram, nodes=nodes, seconds=seconds, depth=depth
                    )
                ]
                others = [m for m in others if m not in proved]
                names = [m.name for m in (first, *proved)]
                if proved or others:
                    found.append(Class(tuple(names), tuple(m.name for m in others)))
                group = others
        return tuple(found)

    def _agreeing(self) -> list[list[Member]]:
        """Members in groups that have the same outputs at one draw, for each causal and not."""
        import torch

        groups: list[tuple[tuple[torch.Tensor, ...], list[Member]]] = []
        for member in self:
            value = tuple(_sample(member.mechanism(causal=causal)) for causal in (False, True))
            for known, group in groups:
                if all(torch.allclose(a, b, 1e-9, 1e-9) for a, b in zip(known, value, strict=True)):
                    group.append(member)
                    break
            else:
                groups.append((value, [member]))
        return [group for _, group in groups]

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Of each member: its name, whether causal, whether cacheable, what it is."""
        for m in self:
            what = m.known or "new"
            also = f" (also {', '.join(m.spellings[1:])})" if len(m.spellings) > 1 else ""
            yield m.name, m.mechanism.causal, m.mechanism.cacheable, what + also

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON's types."""
        keys = ("name", "causal", "cacheable", "catalogue")
        rows = [dict(zip(keys, row, strict=True)) for row in self.rows()]
        for row, member in zip(rows, self, strict=True):
            row |= {"catalogue": member.known, "parts": member.parts}  # type: ignore[dict-item]
        return {"members": rows, "refused": dict(self.refused)}

    def __str__(self) -> str:
        rows = [("mechanism", "causal", "cacheable", "in the catalogue"), *self.rows()]
        wide = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c:{wide[2]}}  {d}" for a, b, c, d in rows]
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """How many there are."""
        return (
            f"{len(self)} mechanisms: {len(self.known)} in the catalogue, "
            f"{len(self) - len(self.known)} new; {len(self.refused)} choices refused"
        )


def recombine(**parts: str | Iterable[str]) -> Space:
    """All mechanisms that the grammar spans, or those with certain parts in some slots.

    >>> len(recombine(similarity="scaled_dot", position="nowhere", mask="sliding_window"))
    9

    Raises `FormatError` for a slot or a part that the grammar does not have.
    """
    chosen = dict(SLOTS)
    for slot, names in parts.items():
        _known(slot, list(SLOTS), "slot")
        wanted = [names] if isinstance(names, str) else list(names)
        by_name = {part.__name__: part for part in SLOTS[slot]}
        for name in wanted:
            _known(name, list(by_name), "part")
        chosen[slot] = tuple(part for name, part in by_name.items() if name in wanted)
    known = {m(**({"form": "weights"} if "form" in m.options else {})): m.name for m in _cores()}
    members: dict[Diagram, list[str]] = {}
    mechanisms: dict[Diagram, Mechanism] = {}
    refused = {}
    for combination in product(*chosen.values()):
        choice = dict(zip(chosen, combination, strict=True))
        name, why = _name(choice), broken(choice)
        if why:
            refused[name] = why
            continue
        mechanism = _mechanism(name, choice)
        diagram = mechanism()
        members.setdefault(diagram, []).append(name)
        mechanisms.setdefault(diagram, mechanism)
    found = (
        Member(mechanisms[diagram], tuple(names), known.get(diagram, ""))
        for diagram, names in members.items()
    )
    return Space(found, refused)


def _cores() -> list[Mechanism]:
    """The mechanisms of the catalogue whose inputs are queries, keys and values."""
    return [m for m in CATALOGUE if m.parts.get("preparation") is given]


def _name(choice: Choice) -> str:
    return "-".join(part.__name__ for part in choice.values() if part not in SILENT)


def _mechanism(name: str, choice: Choice) -> Mechanism:
    spoken = {slot: part for slot, part in choice.items() if part not in (nowhere, ungated)}
    formula = "; ".join(part.__doc__ or "" for part in spoken.values() if part is not visible)
    cacheable = "never" if choice["normaliser"] in BY_LENGTH else "request"
    stands: dict[str, Part] = {**spoken, "mixing": weighted_sum}
    gate = stands.pop("gate", None)
    build = explicit(name if gate is None else "attention", QKV, "n e", stands)
    if gate is not None:
        build, stands = _gated(name, build, gate), {**stands, "gate": gate}
    return Mechanism(name, name, NO_PAPER, formula, stands, build, cacheable=cacheable)


def _gated(name: str, build: Callable[..., Diagram], gate: Part) -> Callable[..., Diagram]:
    """The builder of the same with a gate that the queries say."""

    def gated(*, causal: bool = False, padding: bool = False, mask: bool = False) -> Diagram:
        inner = build(causal=causal, padding=padding, mask=mask)

        def body(q: Wire, k: Wire, v: Wire, **masks: Any) -> Wire:
            result: Wire = gate(inner(q, k, v, **masks), q)
            return result

        return diagram_of(name, {**QKV, **mask_inputs("m", padding, mask)}, "n e", body)

    return gated


def _known(name: str, names: Sequence[str], what: str) -> str:
    if name not in names:
        raise FormatError(f"recombine: there is no {what} {name!r}; {meant(name, names)}")
    return name


# -- equality -------------------------------------------------------------------------------------


def proved_equal(
    one: Diagram, other: Diagram, *, nodes: int = 5000, seconds: float = 10.0, depth: int = 2
) -> bool:
    """Whether the `equal` rules make two diagrams of one interface equal, within bounds.

    Both are outputs of one diagram, on the same inputs; parameters of the same name are the
    same. That diagram is saturated, and the outputs are in one class or not.
    """
    from vesalius.rewrite.search.optimum import equal_rules
    from vesalius.rewrite.search.saturate import Saturation, Watch, named

    both = _beside(one, other)
    if both is None:
        return False
    saturation = Saturation(both, equal_rules(), {}, depth)
    saturation.run(Watch(nodes, seconds))
    uses = zip(saturation.roots, both.outputs, strict=True)
    return saturation.graph.same(*(named(use, port) for use, port in uses))


def _beside(one: Diagram, other: Diagram) -> Diagram | None:
    """Both on the same inputs and parameters; None where their types differ."""
    if one.input_types != other.input_types or one.parameters != other.parameters:
        return None
    names = tuple(one.parameters)
    one, other = (expose(d, names) if names else d for d in (one, other))
    with Builder(f"{one.name} and {other.name}") as builder:
        wires = [builder.input(name, type_) for name, type_ in one.input_types.items()]
        (type_,) = one.output_types.values()
        return builder.finish(
            [output_port(builder, f"out{k}", type_, d(*wires)) for k, d in enumerate((one, other))]
        )


def _sample(diagram: Diagram) -> Any:
    """The output at one draw of inputs; parameters of one name have one value."""
    import torch

    sizes = {"n": 5, "m": 5, "c": 4, "e": 3, "w": 2}
    draw = torch.Generator().manual_seed(1)
    inputs = [
        torch.randn([s.at(sizes) for s in t.axes.values()], generator=draw, dtype=torch.float64)
        for t in diagram.input_types.values()
    ]
    weights = {
        name: torch.full([s.at(sizes) for s in t.axes.values()], 0.7, dtype=torch.float64)
        for name, t in diagram.parameters.items()
    }
    return diagram.evaluate(*inputs, parameters=weights)
