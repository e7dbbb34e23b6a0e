"""Frames: softmax attention whose slots open, one by one and together."""

from __future__ import annotations

from itertools import combinations

import pytest

import vesalius as vs
from vesalius.anatomy.edges.frames import ATTENTION, SMOOTHER, Frame, Slot
from vesalius.anatomy.edges.heads import HEADS, heads
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation

FRAMES = [
    ATTENTION,
    SMOOTHER,
    HEADS,
    heads(window=True),
    heads(fades="h"),
    heads(averaged=True),
]
OPENED = [
    (frame, names)
    for frame in FRAMES
    for count in range(1, len(frame.slots) + 1)
    for names in combinations(frame.slots, count)
    if "similarity" in names or "position" not in names
]


@pytest.mark.parametrize(
    ("frame", "names"), OPENED, ids=[f"{FRAMES.index(f)}-{'-'.join(names)}" for f, names in OPENED]
)
def test_open_slots_that_are_filled_as_usual_are_softmax_attention(
    frame: Frame, names: tuple[str, ...]
) -> None:
    family = frame.opened(*names)
    assert set(family.learners) == set(names)
    filled = frame.fill(**{name: frame.slots[name].usual for name in names}).apply(family)
    softmax = vs.anatomy[frame.of](**frame.options)
    if frame.finish is not None:
        filled = frame.finish(Derivation(filled), softmax).end
    assert filled == softmax


def test_a_slot_that_is_not_there_is_refused() -> None:
    with pytest.raises(StructureError, match="has the slots similarity, normaliser, not 'output'"):
        ATTENTION.opened("output")
    with pytest.raises(StructureError, match="nothing reads 'position' but slots"):
        heads(fades="h").opened("position", "normaliser")


def test_what_fills_a_slot_reads_what_the_slot_reads() -> None:
    """A part that needs more is refused; so the family holds no more than it says."""

    def of_all(scores: Wire) -> Wire:
        return vs.softmax(scores, "n")

    with pytest.raises(vs.VesaliusError, match="'n'"):
        ATTENTION.siblings("sigmoid", "", normaliser=of_all)


def test_what_is_not_the_mechanism_is_refuted() -> None:
    wrong = ATTENTION.siblings("sigmoid", "not so", normaliser=ATTENTION.slots["normaliser"].usual)
    assert not wrong.check(explain=False)


def test_a_chain_goes_up_and_down() -> None:
    found = ATTENTION.siblings("softcap", "", similarity=_capped)
    assert [str(step.grade) for step in found] == ["generalises", "reduces"]
    assert isinstance(found, Derivation)
    assert found.end == vs.anatomy["scaled_dot_product"]()


def _capped(q: Wire, k: Wire, i: Wire, j: Wire) -> Wire:
    return vs.anatomy.parts.softcapped_dot(q, k)


def test_a_slot_maps_over_what_it_does_not_read() -> None:
    slot = Slot({"z": "c"}, "", lambda z: vs.sum(z, "c"))
    with vs.Builder("mapped") as builder:
        made = slot.opened("hole")(z=builder.input("x", "n c"))
    assert made.names == ("n",)
