"""Normalisers whose weights are a point of the simplex, or less: sparse, or by breaking a stick."""

from __future__ import annotations

from vesalius.anatomy.parts.normalisers import shown
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire

HALVINGS = 48


def softmax_of_largest(scores: Wire, allowed: Wire | None) -> Wire:
    """softmax over the t largest scores of a row, after hiding; the others have no weight"""
    if allowed is not None:
        scores = vs.where(allowed, scores, float("-inf"))
    # Scores of −∞ are put beside them, so that a row may have fewer than t.
    room = vs.pad(scores, "m", after=vs.size("t"), value=float("-inf"))
    largest, _ = vs.topk(room, "m", "t")
    return vs.softmax(vs.where(vs.min(largest, "t") <= scores, scores, float("-inf")), "m")


def below_largest(scores: Wire, allowed: Wire | None) -> Wire:
    """scores − max_m scores; −1 where hidden, which no support reaches"""
    if allowed is None:
        return scores - vs.max(scores, "m")
    hidden = vs.where(allowed, scores, float("-inf"))
    return vs.where(allowed, scores - vs.max(hidden, "m"), -1.0)


def support(z: Wire, power: int) -> Wire:
    """where z > τ, Σ_m relu(z − τ)^power = 1; the largest z is 0, so that τ is found in [−1, 0)

    By halving the interval: what is left out has no weight that counts in float64.
    """

    @diagram
    def halve(level: "", step: "", z: "m") -> {"level": "", "step": ""}:  # type: ignore[misc]
        """τ goes up by a step if it stays a lower bound; steps are halved."""
        higher = level + step
        total = vs.sum(vs.power(vs.relu(z - higher), power), "m")
        return {"level": vs.where(total >= 1, higher, level), "step": step / 2}

    level, _ = vs.scan(halve, over="t", states=[-1.0, 0.5], captured=[z], length=HALVINGS)
    return level < z


def sparsemax(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores − τ), Σ_m of it 1; a hidden weight is 0

    τ = (Σ_S scores − 1) / |S|, where S is the support.
    """
    z = below_largest(scores, allowed)
    inside = support(z, 1)
    level = (vs.sum(shown(z, inside), "m") - 1) / vs.sum(vs.to_float(inside), "m")
    return shown(vs.relu(z - level), allowed)


def entmax(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores/2 − τ)², Σ_m of it 1; a hidden weight is 0

    τ = mean − √((1 − Σ_S (scores/2 − mean)²) / |S|), with the mean over the support S.
    """
    z = below_largest(scores / 2, allowed)
    inside = support(z, 2)
    count = vs.sum(vs.to_float(inside), "m")
    mean = vs.sum(shown(z, inside), "m") / count
    spread = vs.sum(shown(vs.power(z - mean, 2), inside), "m")
    level = mean - vs.sqrt((1 - spread) / count)
    return shown(vs.power(vs.relu(z - level), 2), allowed)


@diagram
def add_later(total: "", x: "") -> {"total": "", "later": ""}:  # type: ignore[misc]
    """One more summand of a sum over all that comes later."""
    return {"total": total + x, "later": total}


def stick_breaking(scores: Wire, allowed: Wire | None) -> Wire:
    """σ(scores[m])·Π_{l>m} (1 − σ(scores[l])); a hidden share is 0

    Each key, beginning with the last, takes its share of what the later ones left.
    """
    left = shown(-vs.softplus(scores), allowed)
    _, later = vs.scan(add_later, over="m", states=[0.0], sequences=[left], reverse=True)
    return shown(vs.sigmoid(scores), allowed) * vs.exp(later)
