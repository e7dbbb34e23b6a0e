"""Derivations as values: every way of making, reading, writing and checking them."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vesalius as vs
from vesalius.rewrite.derivation import Derivation, NoMatch, Step, derive
from vesalius.rewrite.grade import EQUAL, VARIANT, Grade, Precision, Relation
from vesalius.rewrite.match import matches
from vesalius.rewrite.moves import Choose, Fill, Move, Restrict, Rewrite, Unfold
from vesalius.rewrite.rule import Rule, rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.verdict import Verdict

KERNEL = RULES["exponential_to_elu_kernel"]


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.softmax(vs.contract(q, k, over="c"), over="m"), v, over="m")


@vs.diagram
def scored(x: "n d", y: "m d") -> "n e":
    """Scores by a network of which nothing is said, values by a linear map."""
    score = vs.learner("score", x, y.rename(d="g"), binds="d g")
    v = vs.linear(y, "d", "e", name="wv")
    return vs.contract(vs.softmax(score, over="m"), v, over="m")


@vs.diagram
def bilinear(x: "d", y: "g") -> "":
    q, k = vs.linear(x, "d", "r", name="wq"), vs.linear(y, "g", "r", name="wk")
    return vs.contract(q, k, over="r")


def linear_attention() -> Derivation:
    steps = ("unfold_softmax", "exponential_to_elu_kernel", "normalise_late", "reassociate")
    return derive(attention, *(RULES[name] for name in steps))


def self_attention() -> Derivation:
    """All kinds of moves but rules: from scores of any kind to bilinear self-attention."""
    found = Derivation(scored, (), "self-attention")
    found = found.then(Fill({"score": bilinear}, "s(x, y) = (x·Wq)·(y·Wk)"))
    return found.then(Restrict("y", "x", {"m": "n"})).then(Choose({"r": "2*d"}))


# -- making -------------------------------------------------------------------------------------


def test_a_filled_learner_reduces_and_read_backwards_abstracts() -> None:
    filled = derive(scored, Fill({"score": bilinear}))
    assert filled.grade.name == "reduces"
    assert set(filled.end.parameters) == {"wv", "score.wq", "score.wk"}
    lifted = Derivation(filled.end).back(Fill({"score": bilinear}), scored)
    assert lifted.grade.name == "generalises"
    assert lifted.end is scored
    assert lifted.steps[-1].name == "abstract score"
    assert (lifted >> filled).grade == VARIANT  # up and down again: siblings


def test_an_input_is_read_in_the_place_of_another() -> None:
    bare = derive(scored.fill(score=bilinear), Restrict("y", "x", {"m": "n"}))
    assert list(bare.end.input_types) == ["x"]
    assert bare.grade.name == "reduces"
    assert bare.end.parameters == bare.start.parameters
    x = torch.randn(5, 3, dtype=torch.float64)
    given = {name: torch.randn(3, 3, dtype=torch.float64) for name in bare.end.parameters}
    ours = bare.end.evaluate(x, parameters=given)
    assert torch.equal(ours, bare.start.evaluate(x, x, parameters=given))


@pytest.mark.parametrize(
    ("move", "error", "message"),
    [
        (Restrict("z", "x"), vs.StructureError, "no input 'z'"),
        (Restrict("x", "x"), vs.StructureError, "by itself"),
        (Restrict("y", "x"), vs.TypeClash, "say which axis is which"),
        (Restrict("y", "x", {"k": "n"}), vs.AxisError, "no axis 'k'"),
        (Choose({"k": 3}), vs.SizeError, "no size 'k'"),
        (Unfold("norm"), NoMatch, "no named box 'norm'"),
        (Unfold(), NoMatch, "no named box"),
        (Fill({"gate": bilinear}), vs.StructureError, "no learner 'gate'"),
    ],
)
def test_a_move_that_does_not_fit_is_refused(
    move: Move, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Derivation(scored).then(move)


def test_sizes_that_must_agree_are_made_to_or_refused() -> None:
    @vs.diagram
    def two(x: "n d", y: "m d:2*k") -> "n d":
        return x + vs.sum(vs.sum(y, "d"), "m")

    with pytest.raises(vs.SizeError, match=r"'d' has size 2\*k in y and d in x"):
        derive(two, Restrict("y", "x", {"m": "n"}))
    found = derive(two, Choose({"d": "2*k"}), Restrict("y", "x", {"m": "n"}))
    assert found.end.input_types == {"x": vs.ArrayType.parse("n d:2*k")}


def test_chosen_sizes_are_no_reason_for_others() -> None:
    at_two = derive(attention, Choose({"c": 2}))
    assert at_two.grade == EQUAL
    assert at_two.inverse().grade == VARIANT
    assert at_two.end == attention.substitute(c=2)
    with pytest.raises(vs.FormatError, match="no size is given"):
        Choose({})


def test_a_named_box_is_what_it_holds() -> None:
    @vs.diagram
    def norm(x: "d") -> "d":
        return x - vs.mean(x, "d")

    @vs.diagram
    def block(x: "n d") -> "n d":
        return vs.exp(norm.boxed(x))

    opened = derive(block, Unfold("norm"))
    assert opened.grade == EQUAL
    assert opened.end == block.unfold()
    assert opened.inverse().check()
    assert opened.check().mark == "exact"


def test_a_step_leads_to_a_stated_target() -> None:
    second = derive(attention, RULES["unfold_softmax"], RULES["normalise_late"])
    first = Derivation(attention).reach(RULES["unfold_softmax"], second.diagrams[1])
    assert first == second[:1]
    with pytest.raises(NoMatch, match="gives the diagram wanted"):
        first.reach(RULES["normalise_late"], attention)
    with pytest.raises(NoMatch, match="does not give what it gave"):
        Derivation(scored).reach(Fill({"score": bilinear}), scored)


# -- what it promises -----------------------------------------------------------------------------


def test_up_and_then_down_makes_siblings() -> None:
    from vesalius import taxonomy

    found = taxonomy.path("sparsemax", "scaled_dot_product", variants=False)
    assert found.siblings
    assert not found[:1].siblings
    first, *steps = str(found).splitlines()
    assert first.endswith("steps, siblings")
    assert [number for number, line in enumerate(steps) if "turns round" in line] == [
        found.steps.index(found.decisive)
    ]


def test_the_decisive_step_is_the_one_that_makes_the_grade() -> None:
    found = linear_attention()
    assert found.decisive is found.steps[1]
    assert "2. exponential_to_elu_kernel (variant)  ← decides the grade" in str(found)
    assert found[2:].decisive is None
    assert found[2:].grade == EQUAL
    assert found[:2].grade == VARIANT


def test_the_bound_of_a_step_needs_a_lipschitz_constant_to_get_out() -> None:
    @rule(Grade(Relation.EQUAL, Precision.BOUND, True, 0.25))
    def soften(x: "") -> "":
        """|x| → √(x² + 1/16)"""
        return vs.abs(x), vs.sqrt(x * x + 0.0625)

    @vs.diagram
    def host(x: "n c") -> ("n", "n c"):
        return 3 * vs.max(vs.abs(x), "c"), vs.abs(vs.tanh(x))

    inner = Derivation(host).then(soften)
    assert str(inner.grade) == "approximates, no bound known"
    outer = Derivation(host).then(soften, 1)
    assert outer.grade.error == 0.25
    stated = Derivation(host).then(soften, lipschitz=3.0)
    assert stated.grade.error == 0.75
    both = stated.then(soften)
    assert both.grade.error == 1.0
    assert both.check()
    assert Derivation.from_json(both.to_json(), [soften]) == both


# -- laws -----------------------------------------------------------------------------------------


walks = st.lists(st.integers(0, 3), max_size=4)


def walk(choices: list[int]) -> Derivation:
    """Some derivation by the rules of the library, from an attention."""
    found = Derivation(attention)
    for choice in choices:
        for k in range(len(RULES)):
            one = list(RULES.values())[(7 * choice + k) % len(RULES)]
            if next(iter(matches(one, found.end)), None) is not None:
                found = found.then(one)
                break
    return found


@settings(max_examples=15, deadline=None)
@given(walks)
def test_derivations_replay_invert_and_survive_being_written(choices: list[int]) -> None:
    found = walk(choices)
    assert found.replay() == found
    back = found.inverse()
    assert back.replay() == back
    assert back.end == found.start
    assert back.inverse() == found
    assert back.grade == found.grade.inverse()
    for one in (found, back):
        read = Derivation.from_json(one.to_json())
        assert read == one
        assert read.to_json() == one.to_json()


@settings(max_examples=15, deadline=None)
@given(walks, st.integers(0, 4))
def test_a_derivation_is_the_composite_of_its_parts(choices: list[int], cut: int) -> None:
    found = walk(choices)
    first, second = found[:cut], found[cut:]
    assert first >> second == found
    assert first.grade.then(second.grade) == found.grade
    assert len(first) + len(second) == len(found)
    assert all(one.after == other.before for one, other in pairwise(found.steps))


def test_what_does_not_meet_is_not_composed() -> None:
    found = linear_attention()
    with pytest.raises(vs.TypeClash, match="does not start where"):
        found >> found
    with pytest.raises(vs.StructureError, match="consecutive"):
        found[::2]


# -- checking -------------------------------------------------------------------------------------


def test_every_kind_of_step_is_checked() -> None:
    found = self_attention()
    verdict = found.check()
    assert verdict
    assert isinstance(verdict, Verdict)
    assert verdict.mark == "exact"
    assert [part.name for part in verdict.parts] == [
        "1. fill score",
        "2. y := x",
        "3. r = 2*d",
    ]
    assert found.inverse().check()


def tampered(found: Derivation, number: int, after: vs.Diagram) -> Derivation:
    """The derivation with another diagram after one step."""
    step = found.steps[number]
    steps = list(found.steps)
    steps[number] = Step(step.move, step.before, after, step.backwards)
    return Derivation(found.start, tuple(steps), found.name)


@pytest.mark.parametrize("number", range(3))
def test_a_step_that_does_not_give_what_it_says_is_found(number: int) -> None:
    found = self_attention()
    wrong = tampered(found, number, found.steps[number].before)
    with pytest.raises(NoMatch, match=f"step {number + 1}, "):
        wrong.replay()
    verdict = wrong.check(explain=False)
    assert not verdict
    assert verdict.reason.startswith(f"step {number + 1}, {found.steps[number].name}")


def test_steps_that_do_not_meet_are_found() -> None:
    found = linear_attention()
    torn = Derivation(found.start, (found.steps[0], found.steps[2]))
    with pytest.raises(NoMatch, match="step 2, normalise_late: it does not start where"):
        torn.replay()
    assert not torn.check()


def test_a_wrong_rule_is_found_where_it_was_used() -> None:
    @rule("equal")
    def wrong(s: "m") -> "m":
        """softmax(s) = exp(s), which it is not"""
        return vs.softmax(s, over="m"), vs.exp(s)

    verdict = derive(attention, wrong).check()
    assert not verdict
    assert verdict.reason.startswith("step 1, wrong")
    assert verdict.counterexample is not None


# -- JSON -----------------------------------------------------------------------------------------


def test_all_moves_survive_being_written() -> None:
    found = self_attention()
    for one in (found, found.inverse()):
        read = Derivation.from_json(one.to_json())
        assert read == one
        assert [s.move.doc for s in read] == [s.move.doc for s in one]
        assert [s.move.source for s in read] == [s.move.source for s in one]
    assert re.fullmatch(r"test_derivations\.py:\d+", found.steps[0].move.source)


def test_a_rule_of_ones_own_is_handed_in_at_reading() -> None:
    @rule("equal")
    def twice(x: "") -> "":
        """x + x = 2·x"""
        return x + x, 2 * x

    @vs.diagram
    def doubled(x: "n") -> "n":
        return x + x

    text = derive(doubled, twice).to_json()
    with pytest.raises(vs.FormatError, match=r"steps\[0\]\.move\.rule: there is no rule .twice."):
        Derivation.from_json(text)
    assert Derivation.from_json(text, [twice]).steps[0].move.rule is twice
    assert "def twice" not in text

    @rule("equal")
    def unfold_softmax(x: "") -> "":
        return x + x, 2 * x

    with pytest.raises(vs.FormatError, match="two rules are called"):
        Derivation.from_json(text, [twice, unfold_softmax])


def edited(text: str, *path: str | int, to: object) -> str:
    document = json.loads(text)
    place = document
    for key in path[:-1]:
        place = place[key]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (["version"], 2, r"\$\.version: this library reads version 1, not 2"),
        (["vesalius"], "diagram", r"\$\.vesalius"),
        (["name"], None, r"\$: the field 'name' is missing"),
        (["extra"], 1, r"\$: there is no field \"extra\""),
        (["start"], 3, r"\$\.start: expected an object, found 3"),
        (["start", "nodes", 0, "kind"], "no", r"\$\.start\.nodes\[0\]\.kind"),
        (["steps", 0, "after"], None, r"\$\.steps\[0\]: the field 'after' is missing"),
        (["steps", 0, "backwards"], 1, r"\$\.steps\[0\]\.backwards: expected true or false"),
        (["steps", 0, "grade"], "limit", r"\$\.steps\[0\]\.grade: the step is \"equal\""),
        (["steps", 0, "move", "place"], 9, r"\$\.steps\[0\]\.move: unfold_softmax has no match"),
        (["steps", 0, "move", "place"], -1, r"\$\.steps\[0\]\.move: the place of"),
        (["steps", 0, "move", "kind"], "eval", r"\$\.steps\[0\]\.move: expected an object whose"),
        (["steps", 0, "move"], [], r"\$\.steps\[0\]\.move: expected an object whose kind"),
        (
            ["steps", 0, "move", "rule"],
            "os",
            r"\$\.steps\[0\]\.move\.rule: there is no rule \"os\"",
        ),
        (["steps", 0, "move", "lipschitz"], "nan", r"\$\.steps\[0\]\.move\.lipschitz"),
        (
            ["steps", 0, "move", "sizes"],
            {"2": "n"},
            r"\$\.steps\[0\]\.move\.sizes: expected a name",
        ),
        (["steps", 1, "backwards"], True, r"\$\.steps\[1\]\.move: "),
    ],
)
def test_whatever_is_no_derivation_is_refused_with_its_place(
    path: list[str | int], to: object, message: str
) -> None:
    text = edited(linear_attention().to_json(), *path, to=to)
    with pytest.raises(vs.FormatError, match=message):
        Derivation.from_json(text)


def test_a_diagram_that_a_step_does_not_give_is_refused() -> None:
    text = linear_attention().to_json()
    other = json.loads(attention.to_json())
    with pytest.raises(vs.FormatError, match=r"\$\.steps\[2\]\.after: the step gives another"):
        Derivation.from_json(edited(text, "steps", 2, "after", to=other))


# -- pictures -------------------------------------------------------------------------------------


def test_a_film_says_what_each_step_does() -> None:
    found = self_attention()
    film = found.film()
    assert [c.sign for c in film.changes] == ["⊒", "⊒", "="]
    assert [c.rule for c in film.changes] == ["fill score", "y := x", "r = 2*d"]
    assert [c.grade for c in film.changes] == ["reduces", "reduces", "equal"]
    assert film.captions[1] == "1. s(x, y) = (x·Wq)·(y·Wk)"
    page = found.html()
    assert "reduces" in page
    assert "test_derivations.py:" in page
    assert found.svg().startswith("<svg")
    assert "<svg" in found._repr_html_()
    back = found.inverse().film()
    assert [c.sign for c in back.changes] == ["≠", "⊑", "⊑"]


def test_a_rule_and_a_move_are_told_apart() -> None:
    step = linear_attention().steps[1]
    assert isinstance(step.move, Rewrite)
    assert isinstance(step.move.rule, Rule)
    assert step.move.rule is KERNEL
    assert step.move.source == KERNEL.source


def test_a_learner_at_two_places_is_filled_by_one_body() -> None:
    @rule("reduces")
    def share(x: "d", y: "d") -> ("e", "e"):
        """u(x), v(y) → u(x), u(y)"""
        one = vs.learner("u", x, binds="d", into="e")
        other = vs.learner("v", y, binds="d", into="e")
        return (one, other), (one, vs.learner("u", y, binds="d", into="e"))

    @vs.diagram
    def two(x: "n d", y: "m d") -> ("n e", "m e"):
        first = vs.learner("a", x, binds="d", into="e")
        return first, vs.learner("b", y, binds="d", into="e")

    @vs.diagram
    def layer(x: "d") -> "e":
        noise = vs.random("d")
        return vs.linear(x * noise, "d", "e", name="w")

    shared = derive(two, share)
    learner = next(iter(shared.end.learners))
    filled = shared.then(Fill({learner: layer})).end
    assert len(filled.parameters) == 1
    assert len(filled.randoms) == 2  # two applications draw apart
    assert len(derive(two, Fill({"a": layer}), Fill({"b": layer})).end.parameters) == 2
