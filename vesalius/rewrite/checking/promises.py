"""What grades other than `equal` promise, checked on witnesses and by measuring.

Each check evaluates both sides in float64 at random inputs, the parameters of one side being
the image of the other's. A relation between sets of functions has no finite test; its witness
has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from vesalius.diagrams.errors import SizeError, VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning import evaluate
from vesalius.rewrite.checking.draws import STYLES, Style, any_sizes, different_sizes, draw_floats
from vesalius.rewrite.checking.instances import Instance, legal_counts, pair_of, samples
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.verdict import Tier, Verdict
from vesalius.rewrite.witness import ParameterMap, Witness

DRAWS = 12
CLOSE = 1e-7  # relative difference of outputs under a witness, which may invert matrices
FALL = 0.5  # the last error of a family is at most this part of the first

Sides = tuple[Diagram, Diagram]


def check_promise(rule: Rule, *, seed: int = 0) -> Verdict:
    """Whether a rule whose sides are related, but not equal, keeps its promise."""
    counts = next(legal_counts(rule, samples(rule)), None)
    if counts is None:
        reason = "no number of operands gives both sides a meaning"
        return Verdict(rule.name, rule.grade.name, False, "outside", reason)
    witness: Witness | None = getattr(rule, "witness", None)
    try:
        pair = pair_of(rule, Instance(counts, ((),) * sum(counts)))
    except VesaliusError as problem:
        reason = str(problem).split("\n")[0]
        return Verdict(rule.name, rule.grade.name, False, "outside", reason)
    return promised(rule.name, pair, rule.grade, witness, seed=seed)


def promised(
    name: str, pair: Pair, grade: Grade, witness: Witness | None, *, seed: int = 0
) -> Verdict:
    """Whether a pair of diagrams keeps the promise of a grade."""
    if grade.precision is Precision.BOUND:
        return _within_bound(name, pair, grade, seed)
    missing = _missing(grade, witness)
    if missing or witness is None:
        return Verdict(name, grade.name, False, "outside", f"the witness lacks {missing}")
    sides = (pair.left, pair.right)
    if witness.fill:
        sides = tuple(_filled(side, witness) for side in sides)
    for side in sides:
        if side.learners:
            reason = f"the learner {next(iter(side.learners))!r} is a hole: the witness fills it"
            return Verdict(name, grade.name, False, "outside", reason)
    maps = [m for m in (witness.to_left, witness.to_right) if m is not None]
    tiers = []
    measured = 0.0
    for mapping in maps:
        into_left = mapping is witness.to_left
        if grade.precision is Precision.LIMIT:
            verdict = _falls(name, grade, sides, mapping, into_left, witness, seed)
        else:
            verdict = _agrees(name, grade, sides, mapping, into_left, seed)
        if not verdict:
            return verdict
        tiers += verdict.tiers
        measured = max(measured, verdict.measured or 0.0)
    return Verdict(name, grade.name, True, "sampled", tiers=tuple(tiers), measured=measured)


def _missing(grade: Grade, witness: Witness | None) -> str:
    """Which map of parameters a grade needs that the witness does not have."""
    have = witness or Witness()
    if grade.precision is Precision.LIMIT:
        if have.to_left is None and have.to_right is None:
            return "to_left or to_right"
        return "" if len(have.scales) > 1 else "scales"
    wanted = []
    if grade.relation in (Relation.EQUAL, Relation.CONTAINS) and have.to_left is None:
        wanted.append("to_left")
    if grade.relation in (Relation.EQUAL, Relation.CONTAINED) and have.to_right is None:
        wanted.append("to_right")
    return " and ".join(wanted)


def _filled(side: Diagram, witness: Witness) -> Diagram:
    own = {name.rpartition(".")[2] for name in side.learners}
    return side.fill(**{name: body for name, body in witness.fill.items() if name in own})


# -- one comparison -------------------------------------------------------------------------------


def _distance(
    sides: Sides, values: Values, mapping: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    into_left: bool, seed: int
) -> float:
    """The largest difference of outputs, relative to the largest output."""
    import torch

    left, right = sides
    source = right if into_left else left
    given = {
        **{p.name: x for p, x in zip(left.inputs, values.inputs, strict=True)},
        **values.sources,
    }
    tensors = {name: torch.as_tensor(x) for name, x in given.items()}
    mine = {name: tensors[name] for name in (*source.input_types, *source.parameters)}
    image = {**tensors, **{name: torch.as_tensor(x) for name, x in mapping(mine).items()}}
    results = []
    for side in sides:
        known = tensors if side is source else image
        results.append(_evaluate(side, known, values.sizes, seed))
    worst = 0.0
    for x, y in zip(*results, strict=True):
        scale = max(float(x.abs().max()), float(y.abs().max())) if x.numel() else 0.0
        if x.shape != y.shape or not bool(torch.isfinite(x).all()):
            return float("inf")
        if scale:
            worst = max(worst, float((x - y).abs().max()) / scale)
    return worst


def _evaluate(
    side: Diagram, known: Mapping[str, Any], sizes: Mapping[str, int], seed: int
) -> list[Any]:
    results = evaluate(
        side,
        *(known[name] for name in side.input_types),
        parameters={name: known[name] for name in side.parameters},
        randoms={name: known[name] for name in side.randoms},
        sizes=sizes,
        seed=seed,
    )
    return list(results) if isinstance(results, tuple) else [results]


def _draws(
    sides: Sides, seed: int, count: int, styles: tuple[Style, ...] = (Style(1.0),)
) -> Iterator[Values]:
    pair = Pair(*sides)
    rng = np.random.default_rng([seed, 40])
    apart = different_sizes(pair, rng)
    for k in range(count):
        sizes = next(apart, None) if k % 2 == 0 else any_sizes(pair, rng, top=4)
        if sizes is None or 0 in sizes.values():
            continue
        yield draw_floats(pair, sizes, rng, styles[k % len(styles)])


def _agrees(
    name: str, grade: Grade, sides: Sides, mapping: ParameterMap, into_left: bool, seed: int
) -> Verdict:
    done, worst = 0, 0.0
    for values in _draws(sides, seed, DRAWS):
        try:
            error = _distance(
                sides, values, lambda p: mapping(p, dict(values.sizes)), into_left, seed
            )
        except SizeError:
            continue
        done += 1
        worst = max(worst, error)
        if error > CLOSE:
            where = "to_left" if into_left else "to_right"
            reason = f"with the parameters of {where} the outputs differ by {error:.1e}, relatively"
            tier = Tier("witness", "different", done)
            return Verdict(name, grade.name, False, "sampled", reason, (tier,), measured=error)
    if not done:
        return Verdict(name, grade.name, False, "outside", "no sizes fit")
    tier = Tier("witness", "equal", done)
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=worst)


def _falls(
    name: str,
    grade: Grade,
    sides: Sides,
    mapping: ParameterMap,
    into_left: bool,
    witness: Witness,
    seed: int,
) -> Verdict:
    """The error along the family, at the same inputs: it must fall."""
    errors: list[float] = []
    for scale in witness.scales:
        worst = 0.0
        for values in _draws(_at(sides, witness, scale), seed, 4):
            sizes = dict(values.sizes)
            if witness.width:
                sizes[witness.width] = int(scale)

            def image(p: Mapping[str, Any], s: Any = scale, n: Any = sizes) -> Mapping[str, Any]:
                return mapping(p, n, s)

            located = _at(sides, witness, scale)
            worst = max(worst, _distance(located, values, image, into_left, seed))
        errors.append(worst)
    shown = ", ".join(f"{error:.1e}" for error in errors)
    tier = Tier("family", "equal", len(errors), f"errors {shown}")
    falling = all(b <= 1.1 * a for a, b in zip(errors, errors[1:], strict=False))
    if not falling or not errors[-1] <= FALL * errors[0]:
        reason = f"the error does not fall along the family: {shown}"
        return Verdict(name, grade.name, False, "sampled", reason, (), measured=errors[-1])
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=errors[-1])


def _at(sides: Sides, witness: Witness, scale: float) -> Sides:
    """The sides with the width that grows set to a number."""
    if not witness.width:
        return sides
    left, right = (side.substitute(**{witness.width: int(scale)}) for side in sides)
    return left, right


# -- bounds ---------------------------------------------------------------------------------------


def _within_bound(name: str, pair: Pair, grade: Grade, seed: int) -> Verdict:
    """The largest difference found, against the bound that the grade states, if it does.

    A stated bound is tried at every magnitude; without one, the difference at magnitude 1 is
    measured and reported.
    """
    stated = grade.error
    styles = tuple(s for s in STYLES if s.magnitude <= 1) if stated is None else STYLES
    done, worst = 0, 0.0
    for values in _draws((pair.left, pair.right), seed, 3 * DRAWS, styles):
        results = []
        try:
            for side in (pair.left, pair.right):
                known = dict(zip(side.input_types, values.inputs, strict=True))
                results.append(_evaluate(side, {**known, **values.sources}, values.sizes, seed))
        except SizeError:
            continue
        except VesaliusError as problem:
            reason = str(problem).split("\n")[0]
            return Verdict(name, grade.name, False, "outside", reason)
        done += 1
        for x, y in zip(*results, strict=True):
            gap = (x.double() - y.double()).abs()
            worst = max(worst, float(gap.max()) if gap.numel() else 0.0)
    if not done:
        return Verdict(name, grade.name, False, "outside", "no sizes fit")
    tier = Tier("bound", "equal", done, f"largest difference {worst:.2g}")
    if stated is not None and not worst <= stated:
        reason = f"the sides differ by {worst:.2g}, the stated bound is {stated:g}"
        bad = Tier("bound", "different", done)
        return Verdict(name, grade.name, False, "sampled", reason, (bad,), measured=worst)
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=worst)
