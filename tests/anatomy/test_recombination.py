"""Recombination: the grammar spans what it says, each member holds what it claims, and trains."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import vesalius as vs
from vesalius.anatomy import grammar
from vesalius.anatomy.mechanism import diagram_of
from vesalius.anatomy.recombination import proved_equal
from vesalius.diagrams.errors import FormatError
from vesalius.inspect.examine import compiled_error
from vesalius.inspect.perturb import grows, leaks

SPACE = vs.anatomy.recombine()
SIZES = {"n": 6, "m": 6, "c": 4, "e": 3, "w": 2}


def test_the_grammar_spans_more_than_a_hundred_mechanisms() -> None:
    assert len(SPACE) >= 100
    assert len(SPACE.names) == len(set(SPACE.names)) == len({m.diagram for m in SPACE})
    spelled = [name for member in SPACE for name in member.spellings]
    choices = list(product(*grammar.SLOTS.values()))
    assert len(spelled) + len(SPACE.refused) == len(choices)
    assert set(spelled).isdisjoint(SPACE.refused)
    assert SPACE.names == vs.anatomy.recombine().names


def test_every_member_is_well_typed_under_every_mask() -> None:
    for member in SPACE:
        assert list(member.diagram.input_types) == ["q", "k", "v"]
        assert str(next(iter(member.diagram.output_types.values()))) == "{n, e} float"
        masked = member.mechanism(causal=True, padding=True)
        assert "keep" in masked.input_types
        assert masked != member.diagram


def test_every_claim_of_causality_and_caching_is_true() -> None:
    for member in SPACE:
        assert leaks(member.diagram, [3], range(1)), member.name
        causal = member.mechanism(causal=True)
        assert not leaks(causal, [3], range(1)), member.name
        cacheable = member.mechanism.cacheable == "request"
        assert grows(causal, [2, 4], range(1)) != cacheable, member.name


def test_what_is_refused_has_a_reason_and_the_laws_are_needed() -> None:
    reasons = {law.why for law in grammar.LAWS}
    assert set(SPACE.refused.values()) == reasons
    assert "scaled_dot-row_sum" in SPACE.refused
    q, k = (torch.randn(8, 4, dtype=torch.float64) for _ in range(2))
    assert (q @ k.T < 0).any()  # what a row sum would divide by may vanish
    for part in grammar.POSITIVE:
        score = diagram_of("score", {"q": "n c", "k": "m c"}, "n m", part)
        assert (score.evaluate(q, k) > 0).all()


# -- the catalogue, and equality ------------------------------------------------------------------


def test_members_of_the_catalogue_are_found_by_their_diagrams() -> None:
    assert SPACE.known["scaled_dot-softmax"] == "scaled_dot_product"
    assert SPACE.known["softcapped_dot-softmax"] == "softcap"
    assert SPACE.known["scaled_dot-sparsemax"] == "sparsemax"
    assert SPACE.known["kernel-row_sum"] == "linear"
    assert SPACE.known["rotation-scaled_dot-softmax"] == "rope"
    assert SPACE.known["scaled_dot-sliding_window-softmax"] == "sliding_window"
    for name, known in SPACE.known.items():
        form = {"form": "weights"} if "form" in vs.anatomy[known].options else {}
        assert SPACE[name].diagram == vs.anatomy[known](**form)
    new = [m for m in SPACE if not m.known]
    catalogue = {mechanism() for mechanism in vs.anatomy.CATALOGUE}
    assert not any(member.diagram in catalogue for member in new)


def test_a_gate_multiplies_what_is_mixed_by_what_the_queries_say() -> None:
    q, k, v, w = (
        torch.randn(*shape, dtype=torch.float64) for shape in ((5, 4), (5, 4), (5, 3), (4, 3))
    )
    gated, plain = SPACE["scaled_dot-softmax-gate_of_queries"], SPACE["scaled_dot-softmax"]
    keep = torch.tensor([True, False, True, True, False])
    for given in ([], [keep]):
        options = {"causal": True, "padding": bool(given)}
        found = gated.mechanism(**options).evaluate(q, k, v, *given, parameters={"gate": w})
        wanted = plain.mechanism(**options).evaluate(q, k, v, *given)
        torch.testing.assert_close(found, wanted * torch.sigmoid(q @ w))
    assert gated.parts["gate"] == "gate_of_queries"


def test_two_spellings_of_one_diagram_are_one_member() -> None:
    assert SPACE["kernel-row_sum"].spellings == ("kernel-row_sum", "features-dot-row_sum")
    with pytest.raises(FormatError, match="no member 'features-dot-row_sum'"):
        SPACE["features-dot-row_sum"]


def test_members_that_are_equal_are_proved_so_and_others_are_not() -> None:
    few = vs.anatomy.recombine(
        preparation=["given", "scaled_queries"],
        position=["nowhere", "recency", "nearness"],
        similarity=["dot", "scaled_dot", "exponential"],
        normaliser=["softmax", "row_sum"],
        mask="visible",
        gate="ungated",
    )
    assert [one.proved for one in few.classes()] == [
        ("scaled_dot-softmax", "exponential-row_sum", "scaled_queries-dot-softmax"),
        ("nearness-dot-softmax", "recency-dot-softmax"),
        (
            "nearness-scaled_dot-softmax",
            "recency-scaled_dot-softmax",
            "scaled_queries-nearness-dot-softmax",
            "scaled_queries-recency-dot-softmax",
        ),
    ]
    assert not any(one.unproved for one in few.classes(seconds=10))
    assert not proved_equal(SPACE["dot-softmax"].diagram, SPACE["scaled_dot-softmax"].diagram)
    assert not proved_equal(SPACE["dot-softmax"].diagram, SPACE["cosine-softmax"].diagram)


def test_what_no_rule_proves_is_said_to_be_unproved() -> None:
    few = vs.anatomy.recombine(
        preparation="given", position=["nearness", "recency"], similarity="dot",
        normaliser="sparsemax",
    )  # fmt: skip
    (one,) = few.classes()
    assert one.proved == ("nearness-dot-sparsemax",)
    assert one.unproved == ("recency-dot-sparsemax",)
    (none,) = vs.anatomy.recombine(
        preparation="given", position="nowhere", similarity=["scaled_dot", "exponential"],
        normaliser=["softmax", "row_sum"], mask="visible", gate="ungated",
    ).classes(nodes=1)  # fmt: skip
    assert none.unproved


# -- what is asked for ----------------------------------------------------------------------------


def test_parts_can_be_chosen_and_unknown_ones_are_refused() -> None:
    few = vs.anatomy.recombine(normaliser=["softmax", "sigmoid"], position="nowhere")
    assert {member.parts["normaliser"] for member in few} == {"softmax", "sigmoid"}
    assert set(few.names) <= set(SPACE.names)
    with pytest.raises(FormatError, match="no slot 'normalizer'; did you mean 'normaliser'"):
        vs.anatomy.recombine(normalizer="softmax")
    with pytest.raises(FormatError, match="no part 'softmin'; did you mean 'softmax'"):
        vs.anatomy.recombine(normaliser="softmin")


def test_the_table_has_a_row_for_each_member() -> None:
    lines = str(SPACE).splitlines()
    assert len(lines) == len(SPACE) + 2
    assert lines[-1].startswith(f"{len(SPACE)} mechanisms: {len(SPACE.known)} in the catalogue")
    told = SPACE.to_dict()
    assert [row["name"] for row in told["members"]] == SPACE.names


# -- compiled -------------------------------------------------------------------------------------


def _trains(diagram: vs.Diagram) -> None:
    told = {name: SIZES[name] for name in diagram.size_variables if name not in ("n", "m")}
    module = vs.to_torch(diagram, sizes=told)
    torch.manual_seed(0)
    given = [
        torch.randn([s.at(SIZES) for s in t.axes.values()]) for t in diagram.input_types.values()
    ]
    leaves = [x.requires_grad_() for x in given]
    module(*leaves).square().mean().backward()
    weights = [*module.parameters(), *leaves]
    with torch.no_grad():
        for x in weights:
            assert x.grad is not None
            assert torch.isfinite(x.grad).all()
            x -= 0.1 * x.grad
    assert torch.isfinite(module(*leaves)).all()


@pytest.mark.parametrize("name", SPACE.names[::37])
def test_a_member_compiles_and_trains(name: str) -> None:
    _trains(SPACE[name].mechanism(causal=True))
    assert compiled_error(SPACE[name].diagram, 5) < 1e-9


@pytest.mark.slow
def test_every_member_compiles_and_trains() -> None:
    for member in SPACE:
        _trains(member.diagram)
        assert compiled_error(member.mechanism(causal=True), 5) < 1e-9, member.name
