"""Trained weights travel along every derivation of the library, as far as its grade promises."""

from __future__ import annotations

import pytest

from vesalius.anatomy.derivations import DERIVATIONS
from vesalius.lab.corpus import default_text
from vesalius.lab.travel import Journey, journey, travelled
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.transport import NoWitness

STEPS = 60


def promised(derivation: Derivation) -> bool:
    """Whether the end has a function for every function of the start."""
    return all(step.grade.name in ("equal", "reparametrised", "generalises") for step in derivation)


def made(derivation: Derivation) -> Journey | None:
    """The journey, or nothing where it is refused as the grade allows."""
    text = default_text()[:60_000]
    if promised(derivation):
        return journey(derivation, text, steps=STEPS)
    try:
        return journey(derivation, text, steps=STEPS)
    except NoWitness:
        return None


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("name", DERIVATIONS)
def test_a_trained_model_arrives(name: str, back: bool) -> None:
    derivation = travelled(DERIVATIONS[name])
    found = made(derivation.inverse() if back else derivation)
    if found is None:
        return
    assert found.before < found.untrained - 0.3
    if promised(found.derivation):
        assert found.change == pytest.approx(0, abs=1e-9)
    else:
        assert abs(found.change) > 1e-7


def test_most_weights_travel() -> None:
    parts = [travelled(derivation) for derivation in DERIVATIONS.values()]
    ways = [way for part in parts for way in (part, part.inverse())]
    assert sum(map(promised, ways)) > len(ways) / 2


def test_only_the_steps_without_holes_are_travelled() -> None:
    whole = DERIVATIONS["bahdanau-to-vaswani"]
    last = travelled(whole)
    assert [step.name for step in last] == ["scale_scores", "add_heads", "mask_the_future"]
    assert last.end == whole.end
    other = DERIVATIONS["softmax-to-linear"]
    assert travelled(other) == other


def test_what_a_variant_does_to_a_trained_model_is_seen() -> None:
    found = made(DERIVATIONS["softmax-to-spherical"])
    assert found is not None
    assert found.change > 0.1
