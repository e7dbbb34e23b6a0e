"""Choose: which parts of a normalised diagram are served by which kernel, and why not by another.

Every box that may be the root of a kernel is looked at; each kernel for that kind of box returns
a rewriting or a reason. Which rewritings are taken, `vesalius.compile.offers` says, by the time
that is expected (`vesalius.compile.roofline`). All are made at once: each equates one wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from vesalius.compile.explain import Choice, Explanation, Time, told
from vesalius.compile.kernels import KERNELS, Kernel, Place, Target, kernel_of
from vesalius.compile.kernels.fast_weights import FAST_WEIGHTS
from vesalius.compile.kernels.recurrence import RECURRENCE
from vesalius.compile.nominal import nominal, of_parameters
from vesalius.compile.normalise import normalise
from vesalius.compile.offers import CLEARLY, Market, Offer
from vesalius.compile.rebuild import Rebuild, replaced
from vesalius.compile.roofline import predicted, spoken
from vesalius.compile.scores import Condition, at_least_zero
from vesalius.compile.terms import Written
from vesalius.compile.unrolled import unrolled, why_loop
from vesalius.diagrams.box import Box
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN
from vesalius.diagrams.builder import Use
from vesalius.diagrams.graft import Opening, Replacement
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interface import finish_as, same_tokens, start
from vesalius.rewrite.match import Matcher
from vesalius.rewrite.rule import Rule

NOTES = {  # of kernels that stand for a scan
    RECURRENCE.name: "many chunks side by side",
    FAST_WEIGHTS.name: "a chunk of positions at a time, the state between chunks",
}


A_LOOP = "a loop"
LOOP = "a loop over positions"
OVERFLOWS = "large exponents overflow"
ALONG = ("recurrence", "fast_weights", "exponential_means", "chunked", "cumulative_sum")


class Chosen(NamedTuple):
    """A diagram in which kernels stand, and what was decided where."""

    diagram: Diagram
    choices: Explanation


def choose(diagram: Diagram, target: Target | None = None, text: bool = True) -> Chosen:
    """A normalised diagram with the boxes of kernels in it.

    The `text` as it is written competes with them, unless nobody has written it.
    """
    target = target or Target()
    by_root: dict[str, list[Kernel]] = {}
    for one in KERNELS.values():
        for root in one.roots:
            by_root.setdefault(root, []).append(one)
    market = Market(diagram, target, text)
    choices: list[tuple[int, Choice]] = []  # by the wire that is computed
    reasons: dict[int, dict[str, str]] = {}  # of kernels that do not stand at a box
    matchers: dict[Rule, Matcher] = {}
    for node in diagram.boxes:
        kernels = by_root.get(node.box.kind.name, ())
        if not kernels:
            continue
        offers, here, written = _at(Place(diagram, node, target, matchers), kernels, market)
        market.offers += offers
        reasons[node.first] = here
        if here and not offers:
            note = "" if written is None else "as it is written"
            choices.append((node.first, _choice(diagram, node, None, note, here, Time(written))))
    replacing: dict[int, Replacement] = {}
    for taken in market.taken():
        node, kernel, found, *_ = taken.offer
        why = {
            one.kernel.name: OVERFLOWS
            if kernel.finite and not one.kernel.finite
            else told(time) or "another comes first"
            for one, time in taken.rivals
        }
        why = {**why, **reasons[node.first]}
        if taken.written:
            name, note = None, "as it is written"
        else:
            name, note = kernel.name, found.note
            replacing[found.wire] = found.replacement
            replacing.update(found.others)
            why.pop(name, None)
        choices.append((found.wire, _choice(diagram, node, name, note, why, taken.time)))
    left = _left(diagram, replacing)
    kept = [choice for wire, choice in sorted(choices, key=lambda c: c[0]) if left[wire]]
    return Chosen(replaced(diagram, replacing), Explanation(kept))


def _at(
    place: Place, kernels: Sequence[Kernel], market: Market
) -> tuple[list[Offer], dict[str, str], float | None]:
    """What kernels offer at a place, why others do not, and what the text takes that beats one."""
    offers: list[Offer] = []
    reasons: dict[str, str] = {}
    faster: float | None = None
    for one in kernels:
        found = one.found(place)
        if isinstance(found, str):
            if found:  # an empty reason: no place of that kind at all
                reasons[one.name] = found
            continue
        if one.name in place.target.forbid:
            reasons[one.name] = "it is forbidden"
            continue
        if one.name in place.target.unable:
            reasons[one.name] = place.target.unable[one.name]
            continue
        offer = market.offer(place.node, one, found)
        written = market.as_written(offer)
        if written is None:
            offers.append(offer)
        else:
            faster, reasons[one.name] = written, told(Time(offer.own))
    return offers, reasons, faster


def _choice(
    diagram: Diagram,
    node: Node,
    kernel: str | None,
    note: str,
    reasons: Mapping[str, str],
    time: Time,
) -> Choice:
    order = sorted(reasons, key=list(KERNELS).index)
    where = f"{node.box.kind.name} {diagram.wire_type(node.first)}"
    return Choice(where, (), kernel, note, tuple((k, reasons[k]) for k in order),
                  time.expected, time.measured, time.large)  # fmt: skip


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


# -- named boxes --------------------------------------------------------------------------------


def chosen(diagram: Diagram, target: Target | None = None) -> Chosen:
    """A diagram normalised and with kernels chosen; named boxes are kept where they may be.

    What is chosen depends on the diagram with all boxes opened. Where the same kernels are found
    with the boxes closed, each within one, the boxes stay: the text then has the classes and
    functions that a person wrote. A diagram without kernels stays as it is.
    """
    whole = normalise(diagram.unfold())
    target = target or Target()
    usual = nominal(whole, target.device)
    target = replace(target, model=of_parameters(whole), usual=usual)
    forms = list(_without_loops(whole, target))
    loops = _least(whole, target)
    if forms and not target.prefer and loops >= min(_seconds(one, target) for one in forms):
        return _cheapest(forms, target, loops)
    pairs = "" if forms or target.forbid else "all pairs would be made"
    opened = _with_loops(_in_loops(choose(whole, target), target), whole, pairs)
    best = _cheapest([opened, *forms], target)
    if best.diagram is not opened.diagram:
        return best
    opened = best
    if not opened.choices.kernels:
        return Chosen(diagram, opened.choices)
    if not any(node.box.kind is NAMED for node in diagram.nodes):
        return opened
    closed = _with_loops(_Closed(target).run(diagram), whole, pairs)
    return closed if closed.choices.kernels == opened.choices.kernels else opened


def _without_loops(whole: Diagram, target: Target) -> Iterator[Chosen]:
    """The choices with scans as causal sums, and in steps, where kernels take over."""
    seen: list[Diagram] = []
    for steps in (False, True):
        sums = unrolled(whole, steps)
        if sums is None or sums in seen:
            return
        seen.append(sums)
        stands = [(node, made[0]) for node in sums.boxes if (made := kernel_of(node.box))]
        if any(kernel.name in target.forbid for _, kernel in stands):
            continue
        found = _in_loops(choose(normalise(sums), target, text=False), target)
        if _holds_triangle(found.diagram):
            continue
        left = {box["name"] for box in _boxes_named(found.diagram)}
        instead = [
            Choice(f"scan {sums.wire_type(node.first)}", (), kernel.name, NOTES[kernel.name], ())
            for node, kernel in stands
            if node.box["name"] in left
        ]
        yield _with_loops(Chosen(found.diagram, Explanation((*instead, *found.choices))), sums)


def _boxes_named(diagram: Diagram) -> Iterator[Box]:
    return (node.box for node in diagram.boxes if node.box.kind is NAMED)


def _holds_triangle(diagram: Diagram) -> bool:
    """Whether something is summed pair by pair: a loop costs less."""
    r = Written(diagram)
    for node in diagram.boxes:
        for wire in node.src if node.box.kind is CONTRACT else ():
            inside = r.applied((wire, tuple(range(len(r.types[wire].sizes)))), "to_float")
            if inside is not None and at_least_zero(r, Condition(inside[0], True)) is not None:
                return True
    return False


def _seconds(one: Chosen, target: Target) -> float:
    return predicted(one.diagram, target) or 0.0


def _least(whole: Diagram, target: Target) -> float:
    """The seconds of all loops alone."""
    scans = [k for k, node in enumerate(whole.nodes) if node.box.kind is SCAN]
    return predicted(whole, target, nodes=scans) or 0.0


def _cheapest(forms: Sequence[Chosen], target: Target, loops: float | None = None) -> Chosen:
    """The form of the scans that is expected to be fastest, with a word on each of the others.

    What is preferred comes first, then what does not overflow where others do; a loop has to be
    clearly faster, since it is long where it is traced. `loops` is what
    loops take at least, where these are no form because of it.
    """
    times = [_seconds(one, target) for one in forms]

    def rank(k: int) -> tuple[int, int, float]:
        kernels = forms[k].choices.kernels
        preferred = sum(name in target.prefer for name in kernels)
        finite = sum(KERNELS[name].finite for name in kernels)
        loop = any(choice.note == LOOP for choice in forms[k].choices)
        return -preferred, -finite, times[k] / (CLEARLY if loop else 1.0)

    first = min(range(len(forms)), key=rank)
    best, found = forms[first], f"for all of it instead of {spoken(times[first])}"
    why: dict[str, str] = {}
    if loops is not None:
        why[A_LOOP] = OVERFLOWS if rank(first)[1] else f"{spoken(loops)} expected {found}"
    for k, one in enumerate(forms):
        if k != first:
            finite = rank(k)[1] > rank(first)[1]
            why[_form(one, best)] = OVERFLOWS if finite else f"{spoken(times[k])} expected {found}"
    choices = list(best.choices)
    for k, choice in enumerate(choices):
        if why and (choice.kernel in ALONG or choice.note == LOOP):
            reasons = (*choice.reasons, *(one for one in why.items() if one[0] != choice.kernel))
            choices[k] = choice._replace(reasons=reasons)
            return Chosen(best.diagram, Explanation(choices))
    return best


def _form(one: Chosen, best: Chosen) -> str:
    """What a form of the scans is called beside the best one."""
    kernels = one.choices.kernels
    if any(choice.note == LOOP for choice in one.choices):
        return A_LOOP
    own = [name for name in ALONG if name in kernels]
    return next(
        (name for name in own if name not in best.choices.kernels),
        own[0] if own else "it as written",
    )


def _with_loops(found: Chosen, whole: Diagram, pairs: str = "") -> Chosen:
    """The choice with a word on each scan that stays a loop over positions.

    `pairs` is the reason where it could be a sum.
    """
    loops = [
        Choice(f"scan {whole.wire_type(node.wires[-1])}", (), None, LOOP,
               (("chunked", why),) if why else ())
        for node in whole.boxes if node.box.kind is SCAN
        for why in [why_loop(whole, node) or pairs]
    ]  # fmt: skip
    return Chosen(found.diagram, Explanation((*found.choices, *loops))) if loops else found


def _in_loops(found: Chosen, target: Target) -> Chosen:
    """The choice with kernels in the bodies of scans too, which are loops."""
    if not any(node.box.kind is SCAN for node in found.diagram.boxes):
        return found
    inside = _InLoops(found.diagram, replace(target, timed=None))
    diagram = inside.run()
    return Chosen(diagram, Explanation((*found.choices, *inside.choices)))


class _InLoops(Rebuild):
    """Chooses in the bodies of scans; what is closed there is opened where a kernel stands."""

    def __init__(self, diagram: Diagram, target: Target) -> None:
        super().__init__(diagram)
        self.target = target
        self.choices: list[Choice] = []

    def attrs(self, box: Box) -> tuple[Any, ...]:
        if box.kind is not SCAN:
            return box.attrs
        body: Diagram = box["body"]
        one = _in_loops(choose(normalise(body.unfold()), self.target), self.target)
        if not one.choices.kernels:
            return box.attrs
        self.choices += [
            choice._replace(within=(body.name, *choice.within)) for choice in one.choices
        ]
        return tuple(one.diagram if name == "body" else box[name] for name, _ in SCAN.fields)


class _Closed:
    """Chooses inside named boxes; equal bodies are looked at once."""

    def __init__(self, target: Target) -> None:
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
        own = _in_loops(choose(normalise(diagram), self.target), self.target)
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
