"""Checking: does a rule, a derivation, or a pair of diagrams or modules keep its promise?

    verdict = vs.check(rule)
    print(verdict)          # what holds, in what sense, on what evidence
    assert verdict          # false when it fails; verdict.counterexample is a script

The tiers: the *finite field* (exact; at sizes that are at least 2 and pairwise different),
*exact rationals* where there is order but no exponential, *SymPy* on small sizes where the
finite field is silent, and *floats* always: random sizes (1 and 0 among them), magnitudes from
1e-16 to 1e16, ties, zeros, both signs, and what lies around the constants of both sides, compared
in intervals that surely hold the real numbers. What a tier does not contain it calls *outside*;
it never guesses.

A rule is checked on instances (0 to 3 operands for each `many`, tubes shared or not, stand-in
functions unspecified) and through the engine: the left side is put into random diagrams, found
there, rewritten, and the diagrams before and after are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from vesalius.diagrams.errors import TypeClash, VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.checking.evidence import Evidence, gather, together
from vesalius.rewrite.checking.instances import (
    Instance,
    host,
    instances,
    is_whole,
    legal_counts,
    pair_of,
    samples,
)
from vesalius.rewrite.checking.moves import check_move
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.checking.proof import symbolic
from vesalius.rewrite.counterexample import Counterexample, smallest
from vesalius.rewrite.derivation import Derivation, Step
from vesalius.rewrite.grade import Grade, Relation
from vesalius.rewrite.grade import grade as grade_named
from vesalius.rewrite.match import matches
from vesalius.rewrite.matched import Match
from vesalius.rewrite.moves import Rewrite
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.verdict import Mark, Tier, Verdict, weakest
from vesalius.rewrite.witness import Witness

__all__ = ["Verdict", "assert_rule", "check"]

HOSTS = 6  # random diagrams that a rule is applied in
PLACES = 4  # matches that are tried in each
ANCHORS = 12  # different rules of a schema that are checked


def check(
    thing: Any,
    *others: Any,
    inputs: Any = None,
    grade: str | Grade = "equal",
    witness: Witness | None = None,
    seed: int = 0,
    explain: bool = True,
) -> Verdict:
    """Check what `thing` promises.

    `thing` is a rule, a schema, a derivation, a pair of diagrams, or a pair of callables on
    tensors (then `inputs` are example inputs: a tuple of tensors, or a list of such tuples;
    results and gradients are compared there, and at random values of the same shapes). A
    schema is checked by the rules that it makes in diagrams, those of `inputs` or the worked
    examples of the library. A pair of diagrams promises to be equal unless `grade` says
    otherwise; most other grades need a `witness`. The same `seed` draws the same trials. Without
    `explain`, no counterexample is looked for.

    Raises `TypeClash` for anything else.
    """
    if others:
        raise TypeClash("check takes one thing; two are a pair: vs.check((one, other))")
    if isinstance(thing, Rule):
        return check_rule(thing, seed=seed, explain=explain)
    if isinstance(thing, Schema):
        return check_schema(thing, inputs, seed=seed, explain=explain)
    if isinstance(thing, Derivation):
        return check_derivation(thing, seed=seed, explain=explain)
    if isinstance(thing, Sequence) and len(thing) == 2:
        left, right = thing
        if isinstance(left, Diagram) and isinstance(right, Diagram):
            return check_diagrams(
                left, right, grade=grade, witness=witness, seed=seed, explain=explain
            )
        if callable(left) and callable(right):
            from vesalius.rewrite.checking.modules import check_modules

            return check_modules(left, right, inputs, seed=seed)
    raise TypeClash(
        "check takes a rule, a schema, a derivation, or a pair of diagrams or of modules, not "
        f"{type(thing).__name__}"
    )


def assert_rule(rule: Rule, *, seed: int = 0) -> None:
    """Raise `AssertionError` with the verdict and the counterexample unless the rule holds."""
    verdict = check_rule(rule, seed=seed)
    if not verdict:
        raise AssertionError(str(verdict))


# -- pairs of diagrams ----------------------------------------------------------------------------


def check_diagrams(
    left: Diagram,
    right: Diagram,
    *,
    grade: str | Grade = "equal",
    witness: Witness | None = None,
    seed: int = 0,
    explain: bool = True,
) -> Verdict:
    """Whether two diagrams keep the promise of a grade.

    `equal`: the same function of inputs and of parameters of one name.
    """
    promise = grade_named(grade)
    name = f"{left.name} → {right.name}"
    try:
        if promise.relation is Relation.UNKNOWN:
            return _variant(name, name, [Pair(left, right)], seed)
        if promise.name != "equal":
            from vesalius.rewrite.checking.promises import promised

            return promised(name, (left, right), promise, witness, seed=seed)
        name = f"{left.name} = {right.name}"
        pair = Pair(left, right)
    except TypeClash as problem:
        return Verdict(name, promise.name, False, "exact", _first_line(problem))
    evidence = gather(pair, seed=seed)
    return _verdict(name, "equal", evidence, [pair] if explain else None, pair, seed)


def _verdict(
    name: str,
    grade: str,
    evidence: Evidence,
    simple: Iterable[Pair] | None,
    pair: Pair,
    seed: int,
) -> Verdict:
    """The verdict on what must be equal.

    A small counterexample is looked for in `simple` first; None says that none is wanted.
    """
    refuted = evidence.refuted
    notes = tuple(evidence.notes)
    tiers = tuple(evidence.tiers)
    if refuted is None:
        mark = evidence.mark
        if mark == "outside":
            reason = next((t.reason for t in reversed(tiers) if t.reason), "nothing applies")
            return Verdict(name, grade, False, mark, f"not checked: {reason}", tiers, notes=notes)
        return Verdict(name, grade, True, mark, "", tiers, notes=notes)
    found = None if simple is None else _counterexample(name, evidence, simple, pair, seed)
    reason = f"refuted by the tier of {refuted.name}"
    return Verdict(name, grade, False, evidence.mark, reason, tiers, found, notes)


def _counterexample(
    title: str, evidence: Evidence, simple: Iterable[Pair], pair: Pair, seed: int
) -> Counterexample | None:
    known = [(pair, values) for values in evidence.known]
    found = smallest(title, simple, known, seed)
    if found is None and evidence.difference is not None:
        where = evidence.difference
        return Counterexample(title, pair, where.values, "field", where.seed)
    return found


def _first_line(problem: Exception) -> str:
    return str(problem).split("\n")[0]


# -- rules ----------------------------------------------------------------------------------------


def check_rule(rule: Rule, *, seed: int = 0, explain: bool = True) -> Verdict:
    """Whether a rule keeps what its grade promises."""
    if rule.grade.relation is Relation.UNKNOWN:
        return _variant(rule.name, _title(rule), _simple_pairs(rule), seed)
    if rule.grade.name != "equal":
        from vesalius.rewrite.checking.promises import check_promise

        return check_promise(rule, seed=seed)
    return _check_equal(rule, seed, explain)


def _title(rule: Rule) -> str:
    doc = f": {rule.doc.splitlines()[0]}" if rule.doc else ""
    return f"{rule.name}{doc}"


def _simple_pairs(rule: Rule) -> Iterator[Pair]:
    """Both sides without tubes, with few operands first: where counterexamples are small."""
    for counts in islice(legal_counts(rule, samples(rule)), 8):
        yield pair_of(rule, Instance(counts, ((),) * sum(counts)))


def _stand_ins(rule: Rule, instance: Instance) -> list[str]:
    return [function.name for function, _ in samples(rule, instance.variant).values()]


def _proof(rule: Rule, instance: Instance, known: dict[tuple[int, ...], Tier], pair: Pair) -> Tier:
    """A proof for so many operands, without their tubes: those are only mapped over."""
    if instance.counts not in known:
        bare = Instance(instance.counts, ((),) * sum(instance.counts), instance.variant)
        known[instance.counts] = symbolic(pair_of(rule, bare))
    return known[instance.counts]


def _check_equal(rule: Rule, seed: int, explain: bool) -> Verdict:
    grade = rule.grade.name
    rng = np.random.default_rng([seed, 10])
    chosen = instances(rule, rng)
    if not chosen:
        reason = "no number of operands gives both sides a meaning"
        return Verdict(rule.name, grade, False, "outside", reason)
    tiers: list[Tier] = []
    notes: dict[str, None] = {}
    marks: list[Mark] = []
    proofs: dict[tuple[int, ...], Tier] = {}
    if not rule.conditions:  # else the sides alone need not be equal
        for k, instance in enumerate(chosen):
            pair = pair_of(rule, instance)
            evidence = gather(
                pair,
                seed=seed + k,
                stand_ins=_stand_ins(rule, instance),
                draws=30 if k < 2 else 10,
                shapes=3 if k < 2 else 1,
                quick=not explain,
                prove=partial(_proof, rule, instance, proofs),
            )
            notes.update(evidence.notes)
            if evidence.refuted is not None or evidence.mark == "outside":
                simple = _simple_pairs(rule) if explain else None
                verdict = _verdict(_title(rule), grade, evidence, simple, pair, seed)
                return _named(verdict, rule.name)
            tiers += evidence.tiers
            marks.append(evidence.mark)
    failed, engine = _check_in_hosts(rule, chosen, seed, explain)
    if failed is not None:
        return failed
    if engine.outcome == "outside" and rule.conditions:
        return Verdict(rule.name, grade, False, "outside", engine.reason, (engine,))
    if rule.conditions:
        marks.append("sampled")
    joined = (*together(tiers), engine)
    return Verdict(rule.name, grade, True, weakest(marks), "", joined, notes=tuple(notes))


def _named(verdict: Verdict, name: str) -> Verdict:
    return replace(verdict, name=name)


# -- rules through the engine ---------------------------------------------------------------------


def _check_in_hosts(
    rule: Rule, chosen: Sequence[Instance], seed: int, explain: bool
) -> tuple[Verdict | None, Tier]:
    """Find and apply the rule in random diagrams, and compare before and after."""
    found = 0
    for k in range(HOSTS):
        instance = chosen[k % len(chosen)]
        rng = np.random.default_rng([seed, 11, k])
        before = host(rule, instance, rng)
        try:
            places = list(islice(matches(rule, before), PLACES))
            results = [apply(before, match) for match in places]
        except (VesaliusError, LookupError, AssertionError) as problem:
            reason = f"the engine fails in a diagram: {type(problem).__name__}: {problem}"
            return _failed(rule, f"{reason}\n{before}"), Tier("engine", "different", found)
        if not places and not rule.conditions and is_whole(rule, instance):
            reason = f"the engine does not find the left side in this diagram:\n{before}"
            return _failed(rule, reason), Tier("engine", "different", found)
        for after in results:
            found += 1
            pair = Pair(before, after)
            evidence = gather(
                pair,
                seed=seed + k,
                stand_ins=_stand_ins(rule, instance),
                draws=4,
                shapes=1,
                error=None,
            )
            if evidence.refuted is not None:
                title = f"{rule.name}, applied in a diagram, changes what it computes"
                simple = [pair] if explain else None
                verdict = _verdict(title, rule.grade.name, evidence, simple, pair, seed)
                return _named(verdict, rule.name), Tier("engine", "different", found)
    if not found:
        return None, Tier("engine", "outside", 0, "no random diagram meets the conditions")
    return None, Tier("engine", "equal", found, f"in {HOSTS} random diagrams")


def _failed(rule: Rule, reason: str) -> Verdict:
    return Verdict(rule.name, rule.grade.name, False, "exact", reason)


# -- schemas --------------------------------------------------------------------------------------


def check_schema(
    schema: Schema, hosts: Iterable[Diagram] | None = None, *, seed: int = 0, explain: bool = True
) -> Verdict:
    """Whether the rules that a schema makes in some diagrams keep their promises."""
    if hosts is None:
        from vesalius.rewrite.rules import EXAMPLES

        own = [EXAMPLES[schema.name]] if schema.name in EXAMPLES else []
        hosts = [*own, *EXAMPLES.values()]
    made = (
        rule
        for host in hosts
        for k in range(len(host.nodes))
        for rule, _ in schema.instances(host, k)
    )
    parts: dict[int, Verdict] = {}
    for rule in made:
        if id(rule) not in parts:
            parts[id(rule)] = found = check_rule(rule, seed=seed, explain=explain)
            if not found:
                reason = f"{found.reason}, in {rule.left} = {rule.right}"
                return replace(found, reason=reason, parts=tuple(parts.values()))
        if len(parts) == ANCHORS:
            break
    if not parts:
        reason = "it makes no rule in these diagrams"
        return Verdict(schema.name, schema.grade.name, False, "outside", reason)
    mark = weakest([part.mark for part in parts.values()])
    return Verdict(schema.name, schema.grade.name, True, mark, parts=tuple(parts.values()))


def _variant(name: str, title: str, pairs: Iterable[Pair], seed: int) -> Verdict:
    """A variant promises nothing; a counterexample to equality is kept."""
    found = smallest(title, pairs, seed=seed)
    notes = () if found is not None else ("no difference was found: the sides may be equal",)
    return Verdict(name, "variant", True, "sampled", counterexample=found, notes=notes)


# -- derivations ----------------------------------------------------------------------------------


def check_derivation(derivation: Derivation, *, seed: int = 0, explain: bool = True) -> Verdict:
    """Replay every step, and check each at the place where it rewrites.

    A step of a rule that is `equal` is checked on its own operands; of another grade, by what
    the rule promises. When the whole is `equal`, the ends are compared too.
    """
    name = derivation.name or f"{derivation.start.name} → {derivation.end.name}"
    grade = derivation.grade.name
    parts: list[Verdict] = []
    known: dict[Any, Verdict] = {}
    for number, step in enumerate(derivation.steps, 1):
        local = _check_step(step, known, seed, explain)
        parts.append(replace(local, name=f"{number}. {step.name}", grade=step.grade.name))
        if not local:
            reason = f"step {number}, {step.name}: {local.reason}"
            return Verdict(
                name, grade, False, local.mark, reason, (), local.counterexample, parts=tuple(parts)
            )
    tiers: tuple[Tier, ...] = ()
    marks = [part.mark for part in parts]
    if grade == "equal":
        ends = check_diagrams(derivation.seen, derivation.end, seed=seed, explain=explain)
        if not ends and ends.mark != "outside":
            return _named(ends, name)
        tiers = ends.tiers
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Verdict(name, grade, True, weakest(marks), "", tiers, notes=notes, parts=tuple(parts))


def _check_step(step: Step, known: dict[Any, Verdict], seed: int, explain: bool) -> Verdict:
    """Replay a step, and check its move: a rule at the operands of its match, with its tubes."""
    move, source = step.move, step.after if step.backwards else step.before
    try:
        step.replay()
    except VesaliusError as problem:
        return Verdict(step.name, step.move.name, False, "exact", _first_line(problem))
    if not isinstance(move, Rewrite):
        return check_move(move, source, step.before if step.backwards else step.after, seed=seed)
    match = move.match(source)
    rule = match.rule
    instance, functions = _instance_of(match)
    key = (rule, instance, tuple(sorted(functions)))
    if key not in known:
        if rule.grade.name == "equal":
            pair = pair_of(rule, instance, functions)
            evidence = gather(pair, seed=seed, draws=10, shapes=1)
            simple = [pair] if explain else None
            known[key] = _verdict(_title(rule), rule.grade.name, evidence, simple, pair, seed)
        else:
            known[key] = check_rule(rule, seed=seed, explain=explain)
    return known[key]


def _instance_of(match: Match) -> tuple[Instance, dict[str, Any]]:
    numbers: dict[Any, str] = {}
    tubes = []
    for uses in match.inputs:
        for _, labels in uses:
            own = [label for label in labels if not isinstance(label, int)]
            for label in own:
                numbers.setdefault(label, f"t{len(numbers)}")
            tubes.append(tuple(sorted(numbers[label] for label in own)))
    return Instance(tuple(map(len, match.inputs)), tuple(tubes)), dict(match.functions)
