"""All tiers on one pair of diagrams, from the best to the weakest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vesalius.rewrite.checking.draws import different_sizes
from vesalius.rewrite.checking.exact import ERROR, Difference, exact
from vesalius.rewrite.checking.masks import masked
from vesalius.rewrite.checking.pair import Pair, Values
from vesalius.rewrite.checking.proof import symbolic
from vesalius.rewrite.checking.sampled import DRAWS, rational, sampled, sampled_tier
from vesalius.rewrite.verdict import Mark, Outcome, Tier

_MARK_OF: dict[str, Mark] = {
    "same diagram": "exact",
    "finite field": "exact",
    "SymPy": "exact",
    "rationals": "rational",
    "floats": "sampled",
}


@dataclass
class Evidence:
    """What the tiers found. `known` are values at which the sides were seen to differ."""

    tiers: list[Tier] = field(default_factory=list)
    known: list[Values] = field(default_factory=list)
    difference: Difference | None = None
    notes: dict[str, None] = field(default_factory=dict)

    @property
    def refuted(self) -> Tier | None:
        """The tier that found a difference."""
        return next((tier for tier in self.tiers if tier.outcome == "different"), None)

    @property
    def mark(self) -> Mark:
        """The best tier that applies; for a refutation, the one that refuted."""
        refuted = self.refuted
        wanted: Outcome = "different" if refuted is not None else "equal"
        return next((_MARK_OF[t.name] for t in self.tiers if t.outcome == wanted), "outside")


def gather(
    pair: Pair,
    *,
    seed: int = 0,
    stand_ins: Iterable[str] = (),
    draws: int = DRAWS,
    shapes: int = 3,
    error: float | None = ERROR,
    quick: bool = False,
    prove: Callable[[Pair], Tier] = symbolic,
) -> Evidence:
    """Run the tiers: the finite field; floats always; rationals and SymPy where it is silent.

    With `quick` the first tier that refutes is the last. `prove` is the tier of SymPy.
    """
    evidence = Evidence()
    if not pair.sources and pair.left == pair.right:
        evidence.tiers.append(Tier("same diagram", "equal", error=0.0))
        return evidence
    tier, difference = exact(pair, seed=seed, stand_ins=stand_ins, shapes=shapes, error=error)
    evidence.tiers.append(tier)
    evidence.difference = difference
    if quick and difference is not None:
        return evidence
    sample = sampled(pair, seed=seed, draws=draws)
    if sample.refutation is not None:
        evidence.known.append(sample.refutation.values)
    evidence.notes.update(sample.notes)
    if tier.outcome == "outside":
        found, refutation, notes = rational(pair, seed=seed, draws=draws)
        evidence.tiers.append(found)
        evidence.notes.update(dict.fromkeys(notes))
        if refutation is not None:
            evidence.known.append(refutation.values.as_floats())
        if evidence.refuted is None and sample.refutation is None:
            evidence.tiers.append(prove(pair))
    evidence.tiers.append(sampled_tier(sample))
    if evidence.refuted is None:
        evidence.notes.update(dict.fromkeys(infinities(pair, seed)))
    return evidence


def infinities(pair: Pair, seed: int = 0) -> list[str]:
    """What −∞ in an input changes."""
    sizes = next(different_sizes(pair, np.random.default_rng([seed, 30])), None)
    return [] if sizes is None else list(masked(pair, sizes, seed))


def together(tiers: Sequence[Tier]) -> list[Tier]:
    """The tiers of several instances as one each: the weakest outcome, the largest bound."""
    found: dict[str, list[Tier]] = {}
    own = [tier for tier in tiers if tier.name != "same diagram"]
    for tier in own or tiers:  # that some instances are one diagram says little
        found.setdefault(tier.name, []).append(tier)
    order: list[Outcome] = ["equal", "outside", "different"]
    joined = []
    for name, group in found.items():
        worst = max(group, key=lambda tier: order.index(tier.outcome))
        errors = [tier.error for tier in group]
        known = [error for error in errors if error is not None]
        error = max(known) if known and len(known) == len(errors) else None
        if worst.outcome != "equal":
            error = None
        reasons = worst.reason if worst.outcome != "equal" else ""
        if name == "finite field" and worst.outcome == "equal" and error is None:
            reasons = "too many exponentials for a bound on the error"
        joined.append(Tier(name, worst.outcome, sum(t.trials for t in group), reasons, error))
    return joined
