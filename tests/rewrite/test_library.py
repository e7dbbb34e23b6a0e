"""The rule library: every rule is documented, keeps its promise, and is found in practice."""

from __future__ import annotations

from itertools import islice

import pytest

import vesalius as vs
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply
from vesalius.rewrite.check import check
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import EXAMPLES, FAMILIES, RULES, SCHEMAS

NAMES = sorted(RULES)
PLACES = 3


def places(name: str, host: Diagram) -> list[Diagram]:
    """What a rule makes of a diagram, at its first matches."""
    return [apply(host, match) for match in islice(matches(RULES[name], host), PLACES)]


@pytest.mark.parametrize("name", NAMES)
def test_the_worked_example_is_rewritten_and_keeps_its_meaning(name):
    before = EXAMPLES[name]
    results = places(name, before)
    assert results, f"{name} is not found in {before}"
    for after in results:
        assert after.output_types == before.output_types
        if RULES[name].grade.name == "equal":
            verdict = check((before, after), explain=False)
            assert verdict, str(verdict)


@pytest.mark.parametrize("name", NAMES)
def test_heads_and_batches_change_nothing(name):
    """Rewriting goes through the tubes that a diagram is put into."""
    host = EXAMPLES[name].over("batch head")
    before, after = places(name, EXAMPLES[name]), places(name, host)
    assert len(before) == len(after)
    for alone, tubed in zip(before, after, strict=True):
        assert tubed.output_types == host.output_types
        expected = alone.over("batch head")
        # What has become a constant has no tubes to go through; draws are never the same.
        if expected.output_types == host.output_types and not alone.randoms:
            assert tubed == expected or check((tubed, expected), explain=False)


def test_every_rule_says_its_law_and_has_an_example():
    assert set(RULES) <= set(EXAMPLES) <= {*RULES, *SCHEMAS}
    for rule in RULES.values():
        law = rule.doc.splitlines()[0]
        assert law, rule.name
        assert not law.endswith("."), rule.name


def test_names_are_unique_and_every_family_says_what_it_is_about():
    found = [
        value.name
        for module in FAMILIES
        for value in vars(module).values()
        if isinstance(value, type(next(iter(RULES.values()))))
    ]
    assert len(found) == len(set(found)) == len(RULES)
    assert all(module.__doc__ for module in FAMILIES)


def test_attention_of_the_catalogue_is_full_of_places_for_rules():
    """Each stands in a mechanism as the catalogue writes it, among heads and projections."""
    hosts = {
        "multihead": vs.anatomy["multihead"](causal=True, bias=True).over("batch"),
        "linear": vs.anatomy["multihead"](attention="linear", form="weights").over("batch"),
        "bahdanau": vs.anatomy["bahdanau"]().over("batch"),
        "block": vs.anatomy["block"](),
    }
    wanted = {
        "multihead": "unfold_softmax scale_one_factor sum_in_two mask_as_a_bias",
        "linear": "normalise_late unfold_elu sum_in_two",
        "bahdanau": "unfold_softmax tanh_by_sigmoid",
    }
    for host, names in wanted.items():
        for name in names.split():
            assert places(name, hosts[host]), f"{name} is not found in {host}"
