"""What grades other than `equal` promise, checked on witnesses and by measuring.

Each check evaluates both sides in float64 at random inputs, the parameters of one side being
the image of the other's. A relation between sets of functions has no finite test; its witness
has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np

from vesalius.diagrams.errors import SizeError, VesaliusError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.interface import substitute
from vesalius.diagrams.meaning import evaluate
from vesalius.diagrams.names import sizes_of
from vesalius.rewrite.checking.draws import STYLES, Style, any_sizes, different_sizes, draw_floats
from vesalius.rewrite.checking.instances import Instance, legal_counts, samples, sides_of
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.grade import Grade, Precision, Relation
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.verdict import Tier, Verdict
from vesalius.rewrite.witness import ParameterMap, Witness

DRAWS = 12
CLOSE = 1e-7  # relative difference of outputs under a witness, which may invert matrices
OTHERS = (Style(0.1), Style(10.0))  # further inputs at which one image of parameters has to serve
FALL = 0.5  # the last error of a family is at most this part of the first

Sides = tuple[Diagram, Diagram]
Image = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def check_promise(rule: Rule, *, seed: int = 0) -> Verdict:
    """Whether a rule whose sides are related, but not equal, keeps its promise."""
    counts = next(legal_counts(rule, samples(rule)), None)
    if counts is None:
        reason = "no number of operands gives both sides a meaning"
        return Verdict(rule.name, rule.grade.name, False, "outside", reason)
    witness: Witness | None = getattr(rule, "witness", None)
    sides = sides_of(rule, Instance(counts, ((),) * sum(counts)))
    return promised(rule.name, sides, rule.grade, witness, seed=seed)


def promised(
    name: str, sides: Sides, grade: Grade, witness: Witness | None, *, seed: int = 0
) -> Verdict:
    """Whether a pair of diagrams keeps the promise of a grade other than `equal`."""
    if grade.precision is Precision.BOUND:
        return _within_bound(name, sides, grade, seed)
    missing = _missing(grade, witness)
    if missing or witness is None:
        return Verdict(name, grade.name, False, "outside", f"the witness lacks {missing}")
    if witness.fill:
        sides = (_filled(sides[0], witness), _filled(sides[1], witness))
    for side in sides:
        if side.learners:
            reason = f"the learner {next(iter(side.learners))!r} is a hole: the witness fills it"
            return Verdict(name, grade.name, False, "outside", reason)
    tiers: list[Tier] = []
    measured = 0.0
    for mapping, into_left in ((witness.to_left, True), (witness.to_right, False)):
        if mapping is None:
            continue
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


def _distance(pair: Pair, values: Sequence[Values], mapping: Image, seed: int) -> float:
    """The largest difference of outputs, relative to the largest output.

    The left side of the pair has the parameters of the first values, the right side their image.
    The map sees no inputs, so one image has to serve at all of them.
    """
    import torch

    first = values[0]
    given = {name: torch.as_tensor(x) for name, x in first.sources.items()}
    own = {name: x for name, x in given.items() if name in pair.left.parameters}
    image = {**given, **{name: torch.as_tensor(x) for name, x in mapping(own).items()}}
    for name in pair.right.parameters:
        if name not in image:
            raise SizeError(f"nothing is said of {name!r}")
    worst = 0.0
    for here in values:
        inputs = map(torch.as_tensor, here.inputs)
        read = dict(zip(pair.left.input_types, inputs, strict=True))
        results = [
            _evaluate(side, {**read, **known}, first.sizes, seed)
            for side, known in ((pair.left, given), (pair.right, image))
        ]
        for x, y in zip(*results, strict=True):
            if x.shape != y.shape or not bool(torch.isfinite(x).all() and torch.isfinite(y).all()):
                return float("inf")
            scale = max(float(x.abs().max()), float(y.abs().max())) if x.numel() else 0.0
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
        randoms={name: known[name] for name in side.randoms if name in known},
        sizes=sizes_of(side, sizes),
        seed=seed,
    )
    return list(results) if isinstance(results, tuple) else [results]


def _draws(
    pair: Pair, seed: int, count: int, styles: Sequence[Style] = (Style(1.0),)
) -> Iterator[Values]:
    rng = np.random.default_rng([seed, 40])
    apart = different_sizes(pair, rng)
    for k in range(count):
        sizes = next(apart, None) if k % 2 == 0 else any_sizes(pair, rng, top=4)
        if sizes is not None and 0 not in sizes.values():
            yield draw_floats(pair, sizes, rng, styles[k % len(styles)])


def _families(pair: Pair, seed: int, count: int) -> Iterator[list[Values]]:
    """Parameters with several inputs each, of other magnitudes."""
    rng = np.random.default_rng([seed, 41])
    for first in _draws(pair, seed, count):
        yield [first, *(draw_floats(pair, first.sizes, rng, style) for style in OTHERS)]


def _from(sides: Sides, into_left: bool) -> Pair:
    """The side whose parameters are drawn, and then the one that gets their image."""
    left, right = sides
    return Pair(right, left, own=True) if into_left else Pair(left, right, own=True)


def _agrees(
    name: str, grade: Grade, sides: Sides, mapping: ParameterMap, into_left: bool, seed: int
) -> Verdict:
    """The same outputs with mapped parameters, at random inputs and parameters."""
    done, worst = 0, 0.0
    pair = _from(sides, into_left)
    for values in _families(pair, seed, DRAWS):
        try:
            image = partial(mapping, sizes=dict(values[0].sizes))
            error = _distance(pair, values, image, seed)
        except (SizeError, KeyError) as problem:
            return _unfit(name, grade, into_left, problem)
        done += 1
        worst = max(worst, error)
        if error > CLOSE:
            where = _where(into_left)
            reason = f"with the parameters of {where} the outputs differ by {error:.1e}, relatively"
            tier = Tier("witness", "different", done)
            return Verdict(name, grade.name, False, "sampled", reason, (tier,), measured=error)
    if not done:
        return Verdict(name, grade.name, False, "outside", "no sizes fit")
    tier = Tier("witness", "equal", done)
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=worst)


def _where(into_left: bool) -> str:
    return "to_left" if into_left else "to_right"


def _unfit(name: str, grade: Grade, into_left: bool, problem: Exception) -> Verdict:
    """A map of parameters that leaves some out, or gives them other sizes."""
    said = str(problem).splitlines()[0]
    reason = f"the parameters of {_where(into_left)} do not fit: {said}"
    return Verdict(name, grade.name, False, "sampled", reason)


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
        pair = _from(_at(sides, witness, scale), into_left)
        found: list[float] = []
        for values in _draws(pair, seed, 4):
            sizes = dict(values.sizes)
            if witness.width:
                sizes[witness.width] = int(scale)
            image = partial(mapping, sizes=sizes, scale=scale)
            try:
                found.append(_distance(pair, [values], image, seed))
            except (SizeError, KeyError) as problem:
                return _unfit(name, grade, into_left, problem)
        if not found:
            return Verdict(name, grade.name, False, "outside", "no sizes fit")
        errors.append(max(found))
    shown = ", ".join(f"{error:.1e}" for error in errors)
    falling = all(b <= 1.1 * a for a, b in pairwise(errors)) and isfinite(errors[-1])
    if not falling or not errors[-1] <= FALL * errors[0]:
        reason = f"the error does not fall along the family: {shown}"
        bad = Tier("family", "different", len(errors))
        return Verdict(name, grade.name, False, "sampled", reason, (bad,), measured=errors[-1])
    tier = Tier("family", "equal", len(errors), f"errors {shown}")
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=errors[-1])


def _at(sides: Sides, witness: Witness, scale: float) -> Sides:
    """The sides with the width that grows set to a number."""
    if not witness.width:
        return sides
    left, right = (substitute(side, {witness.width: int(scale)}) for side in sides)
    return left, right


# -- bounds ---------------------------------------------------------------------------------------


def _within_bound(name: str, sides: Sides, grade: Grade, seed: int) -> Verdict:
    """The largest difference found, against the bound that the grade states, if it does.

    A stated bound is tried at every magnitude. Without one the difference at magnitude 1 is
    measured, at points in general position, and has to be less than one of the sides: zero would
    do as well else.
    """
    stated = grade.error
    small = tuple(s for s in STYLES if s.magnitude <= 1 and s.shape == "normal")
    styles = small if stated is None else STYLES
    done, worst, away, energy = 0, 0.0, 0.0, [0.0, 0.0]
    pair = Pair(*sides)
    for values in _draws(pair, seed, 3 * DRAWS, styles):
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
            gap = gap.nan_to_num(nan=float("inf"))
            worst = max(worst, float(gap.max()) if gap.numel() else 0.0)
            away += float(gap.square().sum())
            energy = [
                e + float(z.double().square().sum()) for e, z in zip(energy, (x, y), strict=True)
            ]
    if not done:
        return Verdict(name, grade.name, False, "outside", "no sizes fit")
    if stated is not None:
        tier = Tier("bound", "equal", done, f"largest difference {worst:.2g}, within {stated:g}")
        reason = f"the sides differ by {worst:.2g}, the stated bound is {stated:g}"
    else:
        found = f"largest difference {worst:.2g} at magnitude 1, no bound is stated"
        tier = Tier("difference", "measured", done, found)
        reason = f"the sides differ by {worst:.2g}, by more than zero does from either"
    if not (worst <= stated if stated is not None else away < max(energy) or not away):
        bad = Tier("bound", "different", done)
        return Verdict(name, grade.name, False, "sampled", reason, (bad,), measured=worst)
    return Verdict(name, grade.name, True, "sampled", "", (tier,), measured=worst)
