"""The taxonomy: edges are derivations between the catalogue's diagrams, paths hold, counts add."""

from __future__ import annotations

import re

import pytest
import torch

import vesalius as vs
from vesalius.anatomy.derivations import DERIVATIONS
from vesalius.anatomy.edges import EDGES
from vesalius.anatomy.edges.prepared import directions
from vesalius.anatomy.ends import ENDS, OBSTRUCTIONS, RANK, SOFTMAX, ZERO
from vesalius.anatomy.groups import GROUPS, with_one_of
from vesalius.anatomy.taxonomy import Edge, Node, NoPath
from vesalius.diagrams.errors import StructureError
from vesalius.inspect.perturb import arrays_at
from vesalius.rewrite.derivation import Derivation, Step, derive
from vesalius.rewrite.grade import Relation
from vesalius.rewrite.interfaces import Prepare
from vesalius.rewrite.lemma import Lemma
from vesalius.rewrite.moves import Fill, NoMatch
from vesalius.rewrite.transport import NoWitness

taxonomy = vs.taxonomy


@pytest.mark.parametrize("edge", taxonomy.edges(), ids=lambda edge: edge.name)
def test_both_ends_of_an_edge_are_the_catalogues_own(edge: Edge) -> None:
    for node, diagram in ((edge.start, edge.derivation.start), (edge.end, edge.derivation.end)):
        assert diagram == vs.anatomy[node.mechanism](**dict(node.options))
    assert edge.derivation.check(explain=False)
    back = edge.inverse()
    assert (back.start, back.end) == (edge.end, edge.start)
    assert edge.inverse().varies >= (edge.varies and "=" not in edge.name)


def test_what_is_written_about_an_end_is_in_the_catalogue_and_in_the_registry() -> None:
    assert set(ENDS) <= set(DERIVATIONS) | set(EDGES)
    assert {edge.name for edge in taxonomy.edges()} >= set(ENDS)


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["bahdanau", "luong_dot", "linear"])
@pytest.mark.parametrize("end", ["linear", "luong_general", "scaled_dot_product"])
def test_a_path_is_a_derivation_between_its_ends(start: str, end: str) -> None:
    found = taxonomy.path(start, end).replay()
    ends = [Node.at(start), *(n for e in taxonomy.edges() for n in (e.start, e.end))]
    assert any(found.start == node.diagram for node in ends if node.mechanism == start)
    assert any(found.end == node.diagram for node in ends if node.mechanism == end)


def test_a_path_is_as_strong_as_its_steps() -> None:
    found = taxonomy.path("bahdanau", "linear")
    assert found.check(explain=False)
    assert found.grade.name == "variant"
    strong = taxonomy.path("luong_general", "luong_dot")
    assert strong.grade.name == "reduces"
    assert taxonomy.path("luong_dot", "luong_dot").grade.name == "equal"


def test_a_path_without_variants_has_none_or_is_refused() -> None:
    found = taxonomy.path("bahdanau", "luong_dot", variants=False)
    assert all(step.grade.relation is not Relation.UNKNOWN for step in found)
    with pytest.raises(NoPath, match="delta_net to bahdanau without a variant"):
        taxonomy.path("delta_net", "bahdanau", variants=False)
    with pytest.raises(vs.anatomy.UnknownMechanism, match="did you mean 'linear'"):
        taxonomy.path("liner", "bahdanau")


def test_options_choose_the_end_of_a_path() -> None:
    causal = Node.at("linear", causal=True, form="weights")
    found = taxonomy.path("scaled_dot_product", causal)
    assert found.end == vs.anatomy["linear"](causal=True, form="weights")
    assert len(found) == len(DERIVATIONS["softmax-to-linear-causal"])


# -- what reaches softmax attention ---------------------------------------------------------------


def test_what_reaches_softmax_attention_is_counted_once_and_does_what_it_says() -> None:
    found = taxonomy.reached()
    groups = [found.promised, found.siblings, found.obstructions]
    names = [name for group in groups for name in group]
    assert sorted(names) == sorted(taxonomy.mechanisms())
    assert found.total == len(names)
    targets = [n for e in taxonomy.edges() for n in (e.start, e.end) if n.mechanism in SOFTMAX]
    targets += [Node.at(name) for name in SOFTMAX]
    for chain in (*found.promised.values(), *found.siblings.values()):
        chain.replay()
        assert all(step.grade.relation is not Relation.UNKNOWN for step in chain)
        assert any(chain.end == node.diagram for node in targets)
    assert all(c.grade.relation is not Relation.UNKNOWN for c in found.promised.values())
    assert all(c.grade.relation is Relation.UNKNOWN for c in found.siblings.values())


def test_each_mechanism_is_in_one_group() -> None:
    names = [name for group in GROUPS for name in group]
    assert len(names) == len(set(names))
    around = {m.name for m in vs.anatomy.CATALOGUE if "feed_forward" in m.parts}
    assert set(names) - around <= set(taxonomy.mechanisms())
    assert set(names) & around <= set(vs.anatomy.CATALOGUE.names())
    assert len(with_one_of(taxonomy.reached().promised)) >= 40
    assert with_one_of(["rfa", "performer", "linear"]) == [
        ("linear",),
        ("performer", "rfa", "rfa_gated"),
    ]


def test_an_obstruction_is_a_sentence_about_what_promises_nothing() -> None:
    assert set(OBSTRUCTIONS).isdisjoint(taxonomy.reached().promised)
    for why in OBSTRUCTIONS.values():
        assert why[0].isupper()
        assert why.endswith(".")


def test_every_mechanism_that_is_not_reached_says_why() -> None:
    """Whoever enters a mechanism writes an edge, or in `ends` what stands in its way."""
    assert set(taxonomy.reached().obstructions) <= set(OBSTRUCTIONS)


def _broken_laws(name: str) -> list[str]:
    """What holds of softmax attention whatever its queries and keys are, and not of this one."""
    sizes = {"n": 6, "m": 6, "c": 4, "e": 6}
    diagram = vs.anatomy[name]()
    sizes |= {size: 3 for size in diagram.size_variables if size not in sizes}
    inputs = arrays_at(diagram.input_types, sizes, 2, scale=2.0)
    weights = arrays_at(diagram.parameters, sizes, 1, scale=0.5)

    def rows(q: torch.Tensor) -> torch.Tensor:
        values = torch.eye(6, dtype=torch.float64)
        found = diagram.evaluate(q, inputs["k"], values, parameters=weights, sizes=sizes)
        assert isinstance(found, torch.Tensor)
        return found

    one, two = rows(inputs["q"]), rows(2 * inputs["q"])
    ratios = [(x[:, 1:] / x[:, :1]).log() for x in (one, two)]
    laws = {
        "rows sum to 1": torch.allclose(one.sum(1), torch.ones(6, dtype=torch.float64), 0, 1e-9),
        "no weight is 0": bool((one > 0).all()),
        "ratios double": torch.allclose(2 * ratios[0], ratios[1], 1e-6, 1e-6),
    }
    return [law for law, holds in laws.items() if not holds]


def test_an_obstruction_has_an_input_that_shows_it() -> None:
    assert _broken_laws("scaled_dot_product") == []
    known = [name for name in OBSTRUCTIONS if name in vs.anatomy.CATALOGUE]
    cores = [name for name in known if list(vs.anatomy[name]().input_types) == [*"qkv"]]
    broken = {name: _broken_laws(name) for name in cores}
    for name, why in {name: OBSTRUCTIONS[name] for name in cores}.items():
        assert broken[name], name
        assert ("no weight is 0" in broken[name]) >= (ZERO in why), name
        assert ("ratios double" in broken[name]) >= (RANK in why), name


# -- families -------------------------------------------------------------------------------------

RISEN = [edge for members in taxonomy.families().values() for edge in members]


@pytest.mark.parametrize("edge", RISEN, ids=lambda edge: edge.name)
def test_each_slot_that_is_opened_is_one_in_which_they_differ(edge: Edge) -> None:
    up, down = (
        next(step.move for step in edge.derivation if step.backwards == way and _fills(step))
        for way in (True, False)
    )
    assert isinstance(up, Fill)
    assert isinstance(down, Fill)
    assert up.bodies.keys() == down.bodies.keys()
    for name, body in up.bodies.items():
        assert body != down.bodies[name]
        assert name in taxonomy.told(edge.derivation)
    assert edge.family is not None
    assert set(edge.family.learners) == set(up.bodies)
    assert (edge.grade.name, edge.varies) == ("variant", False)


def _fills(step: Step) -> bool:
    return isinstance(step.move, Fill)


def test_a_chain_is_told_in_a_few_words() -> None:
    found = taxonomy.reached()
    words = {name: taxonomy.told(chain) for name, chain in found.siblings.items()}
    assert words["sparsemax"] == "normaliser opened"
    assert words["gau"] == (
        "norm.gain, norm.shift tied; similarity, normaliser, values, output opened"
    )
    assert all(words.values())
    assert taxonomy.told(found.promised["hopfield"]) == "v := k"
    assert taxonomy.told(found.promised["latent"]) == (
        "output: Σ_he o·W_o; down, gain tied; q, k, v prepared"
    )
    assert taxonomy.told(found.promised["sink"]) == "sink_that_is_never_looked_at"
    assert taxonomy.told(found.promised["multihead"]) == ""


def test_a_chain_says_between_which_nodes_it_is() -> None:
    found = taxonomy.reached()
    assert found.promised["linformer"].name == "linformer(rank=m) → scaled_dot_product"
    assert found.siblings["gau"].name == "gau → multihead(h=1)"
    assert found.to_dict()["siblings"]["gau"]["chain"] == found.siblings["gau"].name


# -- the map --------------------------------------------------------------------------------------


def test_the_map_shows_every_mechanism_and_every_edge() -> None:
    found = taxonomy.draw()
    picture = found.svg()
    assert picture == taxonomy.draw().svg()
    texts = re.findall(r">([^<>]+)</text>", picture)
    assert sorted(set(taxonomy.mechanisms())) == sorted(set(taxonomy.mechanisms()) & set(texts))
    for edge in found.edges:
        assert edge.name in picture
    for name, end in taxonomy.families():
        assert name in texts
        assert f"{name}: {end} is one of them" in picture
    assert picture.count("\nholds ") == len(taxonomy.families())
    assert picture.count('class="wire goes"') == sum(edge.varies for edge in found.edges)
    boxes = [shape.box for shape in found.scene.shapes]
    for k, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[k + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_the_page_lists_derivations_and_obstructions() -> None:
    page = taxonomy.draw().html()
    assert "<script" not in page
    assert "http://www.w3.org/2000/svg" in page
    for name in (*taxonomy.reached().obstructions, *(edge.name for edge in taxonomy.edges()[:3])):
        assert f">{name}<" in page


# -- fixed parameters -----------------------------------------------------------------------------


@vs.diagram
def two() -> "":
    return vs.constant(2.0)


def test_a_fixed_parameter_has_its_value_and_is_found_on_the_way_back() -> None:
    found = derive(vs.anatomy["cosine"](), Prepare({"g": two}, "g = 2"))
    assert (found.grade.name, found.steps[0].name) == ("reduces", "fix g")
    q, k, v = (torch.randn(3, 4, dtype=torch.float64) for _ in range(3))
    wanted = found.start.evaluate(q, k, v, parameters={"g": torch.tensor(2.0)})
    assert torch.equal(found.end.evaluate(q, k, v), wanted)
    assert found.inverse().transport({}) == {"g": 2.0}
    with pytest.raises(NoWitness, match="nothing says that 'g'"):
        found.transport({"g": torch.tensor(2.0)})
    assert Derivation.from_json(found.to_json()) == found


def test_a_parameter_may_be_made_from_others() -> None:
    found = taxonomy.path("multihead", "multi_query")
    sizes = {"n": 3, "d": 4, "h": 2, "c": 2, "e": 2}
    few = arrays_at(found.end.parameters, sizes, 1)
    many = found.inverse().transport(few, sizes=sizes)
    assert many["wk"].shape == (4, 2, 2)
    assert torch.equal(many["wk"][:, 0], few["wk"])
    x = torch.randn(3, 4, dtype=torch.float64)
    one = found.end.evaluate(x, parameters=few)
    assert torch.allclose(found.start.evaluate(x, parameters=many), one, 1e-12, 1e-12)


def test_what_prepares_an_input_brings_parameters_of_its_own() -> None:
    @vs.diagram
    def mapped(x: "n d") -> "n d":
        return vs.linear(x, "d", "d", name="wq")

    found = derive(vs.anatomy["multihead"](), Prepare({"x": mapped}, "x → x·W"))
    assert sorted(found.end.parameters) == ["wk", "wo", "wq", "wq_1", "wv"]
    assert Derivation.from_json(found.to_json()) == found


def test_a_lemma_that_is_wrong_is_refuted() -> None:
    softmax, other = vs.anatomy["scaled_dot_product"](), vs.anatomy["luong_dot"]()
    wrong = derive(softmax, Lemma(softmax, vs.anatomy["softcap"](), "not so"))
    assert not wrong.check(explain=False)
    assert wrong.grade.name == "equal"
    with pytest.raises(NoMatch, match="the lemma is about scaled_dot_product"):
        derive(other, Lemma(softmax, softmax))
    right = EDGES["shaw-to-softmax"]
    assert right.steps[-1].name == "is scaled_dot_product"
    assert right.inverse().check(explain=False)
    assert Derivation.from_json(right.to_json()) == right


def test_what_can_not_be_prepared_is_refused() -> None:
    with pytest.raises(StructureError, match="no input and no parameter 'x'"):
        derive(vs.anatomy["cosine"](), Prepare({"x": two}))
    with pytest.raises(StructureError, match="is made from no input"):
        derive(vs.anatomy["cosine"](), Prepare({"g": directions}))


# -- two mechanisms side by side ------------------------------------------------------------------


def test_two_mechanisms_side_by_side() -> None:
    found = vs.anatomy.compare("scaled_dot_product", "softcap")
    assert [d.name for d in found.diagrams] == ["scaled_dot_product", "softcap"]
    before, after = found.frames
    assert not before.goes
    assert after.comes
    same = vs.anatomy.compare("linear", vs.anatomy["linear"]())
    assert not same.frames[0].goes
    assert not same.frames[1].comes
    assert same.changes[0].sign == "="
    assert found.changes[0].sign == "≠"
