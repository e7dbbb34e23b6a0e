"""Choose: which parts of a normalised diagram are served by which kernel, and why not by another.

Every box that may be the root of a kernel is looked at; each kernel for that kind of box returns
a rewriting or a reason. All rewritings that are taken are made at once: each is an equation for
one wire, so they need not keep out of each other's way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from vesalius.compile.explain import Choice, Explanation
from vesalius.compile.kernels import KERNELS, Found, Kernel, Place, Target, kernel_of
from vesalius.compile.normalise import normalise
from vesalius.compile.scores import Condition, at_least_zero
from vesalius.compile.terms import Written
from vesalius.compile.unrolled import reasons, unrolled
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.builder import Use
from vesalius.diagrams.compose import finish_as, same_tokens, start
from vesalius.diagrams.graft import Opening, Replacement
from vesalius.diagrams.graph import Diagram, Node
from vesalius.rewrite.match import Matcher
from vesalius.rewrite.rule import Rule


class Chosen(NamedTuple):
    """A diagram in which kernels stand, and what was decided where."""

    diagram: Diagram
    choices: Explanation


def choose(diagram: Diagram, target: Target | None = None) -> Chosen:
    """A normalised diagram with the boxes of kernels in it."""
    target = target or Target()
    by_root: dict[str, list[Kernel]] = {}
    for one in KERNELS.values():
        for root in one.roots:
            by_root.setdefault(root, []).append(one)
    offers: dict[int, tuple[Choice, Found]] = {}  # by the wire that is taken over
    refused: list[tuple[int, Choice]] = []
    matchers: dict[Rule, Matcher] = {}
    for node in diagram.boxes:
        kernels = by_root.get(node.box.kind.name, ())
        if not kernels:
            continue
        choice, found = _at(Place(diagram, node, target, matchers), kernels)
        if found is None:
            refused += [(node.first, choice)] if choice.reasons else []
        elif found.wire not in offers or _rank(choice, found, target) <= _rank(
            *offers[found.wire], target
        ):
            offers[found.wire] = (choice, found)
    replacing: dict[int, Replacement] = {}
    for _, found in offers.values():
        replacing[found.wire] = found.replacement
        replacing.update(found.others)
    left = _left(diagram, replacing)
    choices = sorted(
        [*((wire, choice) for wire, (choice, _) in offers.items()), *refused], key=lambda c: c[0]
    )
    kept = [choice for wire, choice in choices if left[wire]]
    return Chosen(_replaced(diagram, replacing), Explanation(kept))


def _rank(choice: Choice, found: Found, target: Target) -> tuple[bool, float]:
    """What is preferred comes first, then what is fast."""
    return choice.kernel not in target.prefer, found.seconds or 0.0


def _left(diagram: Diagram, replacing: Mapping[int, Replacement]) -> list[bool]:
    """Which wires are still needed when kernels have taken over what they serve."""
    needed = [False] * len(diagram.types)
    for port in diagram.outputs:
        needed[port.wire] = True
    for node in reversed(diagram.nodes):
        for wire in node.wires:
            if needed[wire]:
                taken = replacing.get(wire)
                for source in node.src if taken is None else (use[0] for use in taken.uses):
                    needed[source] = True
    return needed


def _at(place: Place, kernels: Sequence[Kernel]) -> tuple[Choice, Found | None]:
    """The kernel to take at a place: one that is preferred, else the fastest, else the first."""
    prefer, forbid = place.target.prefer, place.target.forbid
    offers: list[tuple[Kernel, Found]] = []
    reasons: dict[str, str] = {}
    for one in kernels:
        found = one.found(place)
        if isinstance(found, Found) and one.name in forbid:
            reasons[one.name] = "it is forbidden"
        elif isinstance(found, Found) and one.name in place.target.unable:
            reasons[one.name] = place.target.unable[one.name]
        elif isinstance(found, Found):
            offers.append((one, found))
        elif found:  # an empty reason: no place of that kind at all
            reasons[one.name] = found
    wire = place.node.first
    where = f"{place.node.box.kind.name} {place.diagram.wire_type(wire)}"
    if not offers:
        return Choice(where, (), None, "", tuple(reasons.items())), None
    best = min(offers, key=lambda offer: (offer[0].name not in prefer, offer[1].seconds or 0.0))
    for one, _ in offers:
        if one is not best[0]:
            reasons[one.name] = "another kernel is expected to be faster"
    choice = Choice(where, (), best[0].name, best[1].note, tuple(reasons.items()))
    return choice, best[1]


def _replaced(diagram: Diagram, replacing: dict[int, Replacement]) -> Diagram:
    """The diagram with each of these wires computed as its replacement says."""
    if not replacing:
        return diagram
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in diagram.tokens)
    own: list[Use] = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    outputs = builder.graft(diagram, own, replace=same_tokens(diagram), replacing=replacing)
    return finish_as(builder, diagram, outputs, ())


# -- named boxes --------------------------------------------------------------------------------


def chosen(diagram: Diagram, target: Target | None = None) -> Chosen:
    """A diagram normalised and with kernels chosen; named boxes are kept where they may be.

    What is chosen depends on the diagram with all boxes opened. Where the same kernels are found
    with the boxes closed, each within one, the boxes stay: the text then has the classes and
    functions that a person wrote. A diagram without kernels stays as it is.
    """
    whole = normalise(diagram.unfold())
    model, channels = _lengths_of_parameters(whole), _lengths_of_channels(diagram)
    target = replace(target or Target(), model=model, channels=channels)
    opened = _without_loops(whole, target)
    if opened is not None:
        return opened
    opened = _with_loops(choose(whole, target), whole)
    if not opened.choices.kernels:
        return Chosen(diagram, opened.choices)
    if not any(node.box.kind is NAMED for node in diagram.nodes):
        return opened
    closed = _with_loops(_Closed(target).run(diagram), whole)
    return closed if closed.choices.kernels == opened.choices.kernels else opened


def _without_loops(whole: Diagram, target: Target) -> Chosen | None:
    """The choice with scans as causal sums, where kernels take over every one of them."""
    sums = unrolled(whole)
    if sums is None:
        return None
    found = choose(normalise(sums), target)
    r = Written(found.diagram)
    for node in found.diagram.boxes:
        for wire in node.src if node.box.kind is CONTRACT else ():
            inside = r.applied((wire, tuple(range(len(r.types[wire].sizes)))), "to_float")
            if inside is not None and at_least_zero(r, Condition(inside[0], True)) is not None:
                return None  # a triangle is left: a loop costs less
    return found


def _with_loops(found: Chosen, whole: Diagram) -> Chosen:
    """The choice with a word on each scan that stays a loop over positions."""
    loops = [
        Choice(f"scan {whole.wire_type(node.wires[-1])}", (), None, "a loop over positions",
               (("chunked", why),))
        for node, why in reasons(whole)
    ]  # fmt: skip
    return Chosen(found.diagram, Explanation((*found.choices, *loops))) if loops else found


def _lengths_of_parameters(diagram: Diagram) -> frozenset[str]:
    """The size variables of the parameters of a diagram."""
    return frozenset(
        name
        for type_ in diagram.parameters.values()
        for size in type_.axes.values()
        for name in size.variables
    )


def _lengths_of_channels(diagram: Diagram) -> frozenset[str]:
    """The size variables that stand last in all inputs that have them."""
    last: set[str] = set()
    others: set[str] = set()
    for port in diagram.inputs:
        sizes = list(diagram.port_type(port).axes.values())
        last.update(v for size in sizes[-1:] for v in size.variables)
        others.update(v for size in sizes[:-1] for v in size.variables)
    return frozenset(last - others)


class _Closed:
    """Chooses inside named boxes; equal bodies are looked at once."""

    def __init__(self, target: Target | None) -> None:
        self.target = target
        self.bodies: dict[Diagram, Chosen] = {}

    def run(self, diagram: Diagram) -> Chosen:
        """The diagram with kernels, and what was decided in it and inside its boxes."""
        inside: list[Choice] = []
        for node in _named(diagram):
            body: Diagram = node.box["body"]
            if body not in self.bodies:
                self.bodies[body] = self.run(body)
            inside += [
                choice._replace(within=(node.box["name"], *choice.within))
                for choice in self.bodies[body].choices
            ]
        changed = {body: one.diagram for body, one in self.bodies.items() if one.choices.kernels}
        if any(node.box["body"] in changed for node in _named(diagram)):
            diagram = _with_bodies(diagram, changed)
        own = choose(normalise(diagram), self.target)
        kept = own.diagram if own.choices.kernels else diagram
        return Chosen(kept, Explanation((*own.choices, *inside)))


def _named(diagram: Diagram) -> Iterator[Node]:
    """The named boxes of a diagram that are no kernels."""
    for node in diagram.nodes:
        if node.box.kind is NAMED and kernel_of(node.box) is None:
            yield node


def _with_bodies(diagram: Diagram, changed: dict[Diagram, Diagram]) -> Diagram:
    """The diagram with other bodies in its named boxes."""

    def opens(host: Diagram, node: Node) -> Opening | None:
        if node.box.kind is not NAMED or node.box["body"] not in changed:
            return None
        body = changed[node.box["body"]]
        whole = body.fold(node.box["name"])
        return Opening(
            whole,
            tuple(tuple(range(len(port.axes))) for port in whole.inputs),
            tuple(tuple(range(len(port.axes))) for port in whole.outputs),
            "",
        )

    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    builder.token_names = dict.fromkeys(token.name for token, _ in diagram.tokens)
    own: list[Use] = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    outputs = builder.graft(diagram, own, replace=same_tokens(diagram), opens=opens)
    return finish_as(builder, diagram, outputs, ())
