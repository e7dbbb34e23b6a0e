"""Checks of the moves that apply no rule: by another way to the same diagram.

A learner may be any function of its type, so filling it needs no more than that the types fit;
a size may be any number. That an input is read in the place of another, or a parameter, is checked
by calling the diagram on equal arguments, and what follows an output by calling it there; that a
box is what it holds and that a lemma is true, by evaluating both.
"""

from __future__ import annotations

from collections.abc import Mapping

from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import output_port
from vesalius.diagrams.types import ArrayType
from vesalius.rewrite.checking.evidence import gather
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.finish import Finish
from vesalius.rewrite.interfaces import Tie
from vesalius.rewrite.lemma import Lemma
from vesalius.rewrite.moves import Move, Restrict, Unfold
from vesalius.rewrite.verdict import Tier, Verdict


def check_move(move: Move, source: Diagram, result: Diagram, *, seed: int = 0) -> Verdict:
    """Whether a move that has been replayed keeps its promise."""
    grade = move.grade(source).name
    if isinstance(move, Restrict | Tie):
        same = restricted(move, source, result)
        reason = "" if same else f"calling {source.name} on equal arguments gives another diagram"
        tier = Tier("same diagram", "equal" if same else "different", 1)
        return Verdict(move.name, grade, same, "exact", reason, (tier,))
    if isinstance(move, Finish):
        same = followed(move, source) == result
        reason = "" if same else f"calling {move.body.name} on the output gives another diagram"
        tier = Tier("same diagram", "equal" if same else "different", 1)
        return Verdict(move.name, grade, same, "exact", reason, (tier,))
    if isinstance(move, Unfold | Lemma) and not source.learners:
        evidence = gather(Pair(source, result), seed=seed, draws=10, shapes=1)
        refuted = evidence.refuted
        reason = "" if refuted is None else f"refuted by the tier of {refuted.name}"
        ok = refuted is None and evidence.mark != "outside"
        return Verdict(move.name, grade, ok, evidence.mark, reason, tuple(evidence.tiers))
    tier = Tier("same diagram", "equal", 1, "applied again")
    return Verdict(move.name, grade, True, "exact", "", (tier,))


def restricted(move: Restrict | Tie, source: Diagram, result: Diagram) -> bool:
    """Whether the result is the diagram called on equal arguments."""
    if isinstance(move, Restrict):
        kept = source.input_types[move.by]
        back = {new: old for old, new in move.axes.items()}
        turned = {axis: back[axis] for axis in kept if axis in back}
        return called(source, {move.input: (move.by, turned)}) == result
    left = list(dict.fromkeys(move.names.values()))
    opened = source.expose(*left, *move.names)
    ports = list(opened.input_types)[len(source.inputs) :]
    port = dict(zip((*left, *move.names), ports, strict=True))
    tied = {port[one]: (port[other], dict[str, str]()) for one, other in move.names.items()}
    return called(opened, tied) == result.expose(*left)


def followed(move: Finish, source: Diagram) -> Diagram:
    """The diagram called, and then the body of the move on what came out."""
    builder = Builder(source.name, source.doc)
    (made,) = source.output_types.values()
    given = {name: builder.input(name, type_) for name, type_ in source.input_types.items()}
    _, *more = move.body.input_types.items()
    for name, type_ in more:
        if name not in given:
            along = {move.over: made.axes[move.over], **type_.axes}
            given[name] = builder.input(name, ArrayType(along, type_.dtype))
    out = source(*(given[name] for name in source.input_types))
    last = move.body(out, *(given[name] for name, _ in more))
    (type_,) = move.body.output_types.values()
    declared = ArrayType({move.over: made.axes[move.over], **type_.axes}, type_.dtype)
    return builder.finish([output_port(builder, source.outputs[0].name, declared, last)])


def called(source: Diagram, equal: Mapping[str, tuple[str, Mapping[str, str]]]) -> Diagram:
    """The diagram called with some inputs in the place of others, their axes renamed."""
    builder = Builder(source.name, source.doc)
    given = {
        name: builder.input(name, type_)
        for name, type_ in source.input_types.items()
        if name not in equal
    }
    for name, (by, turned) in equal.items():
        given[name] = given[by].rename(**turned) if turned else given[by]
    results = source(*(given[name] for name in source.input_types))
    wires = results if isinstance(results, tuple) else (results,)
    ports = []
    for (name, type_), wire in zip(source.output_types.items(), wires, strict=True):
        declared = ArrayType({axis: wire.axes[axis] for axis in type_}, type_.dtype)
        ports.append(output_port(builder, name, declared, wire))
    return builder.finish(ports)
