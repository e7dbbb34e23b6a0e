"""Where right sides land; rule sets; regions; sharing; patterns against networkx."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import DiGraphMatcher

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.graph import Diagram
from vesalius.rewrite.apply import apply, rewrite
from vesalius.rewrite.grade import VARIANT
from vesalius.rewrite.match import matches
from vesalius.rewrite.matched import Match
from vesalius.rewrite.rule import Rule, checked
from vesalius.rewrite.rules import RULES, SCHEMAS
from vesalius.rewrite.ruleset import RuleSet


def key(match: Match) -> tuple[object, ...]:
    ends = tuple((wire, tuple(map(str, labels))) for wire, labels in match.outputs)
    return match.rule.name, tuple(sorted(match.nodes.items())), ends, str(match.inputs)


@given(st.data())
@settings(max_examples=25)
def test_a_rule_set_finds_what_its_rules_find(data: st.DataObject) -> None:
    kinds = ["contract", "add", "pointwise", "softmax", "named", "scan", "concat", "slice"]
    host = data.draw(testing.diagrams(max_boxes=8, kinds=kinds))
    rules = [*RULES.values(), *SCHEMAS.values()]
    alone = [key(m) for rule in rules for m in matches(rule, host)]
    assert Counter(key(m) for m in RuleSet(*rules).matches(host)) == Counter(alone)


@vs.rule("equal")
def sum_of_exponentials(x: "", y: "") -> "":
    """exp(x) + exp(y) = exp(x)·(1 + exp(y − x))"""
    return vs.exp(x) + vs.exp(y), vs.exp(x) * (1 + vs.exp(y - x))


def test_shared_subterms_never_change_whether_a_rule_matches() -> None:
    """Where x and y are one wire, their exponentials are one box."""

    @vs.diagram
    def host(z: "n") -> ("n", "n m:n"):
        e = vs.exp(z)
        return e + e, e + e.rename(n="m")

    for match in matches(sum_of_exponentials, host):
        x = torch.randn(3, dtype=torch.float64)
        for a, b in zip(host.evaluate(x), apply(host, match).evaluate(x), strict=True):
            assert torch.allclose(a, b)
    assert len({match.outputs[0][0] for match in matches(sum_of_exponentials, host)}) == 2


def test_a_region_holds_all_boxes_of_a_match() -> None:
    @vs.diagram
    def host(x: "n", y: "n") -> ("n", "n"):
        return vs.exp(x + y), vs.exp(vs.tanh(x) + y)

    @vs.rule("equal")
    def rule(x: "", y: "") -> "":
        """exp(x + y) = exp(x)·exp(y), in which x and y are alike"""
        return vs.exp(x + y), vs.exp(x) * vs.exp(y)

    every = list(matches(rule, host))
    assert len(every) == 2
    for match in every:
        inside = set(match.nodes.values())
        (found,) = matches(rule, host, within=inside)
        assert found.nodes == match.nodes
        assert not list(matches(rule, host, within=inside - {min(inside)}))


@given(st.data())
@settings(max_examples=40)
def test_images_say_where_everything_landed(data: st.DataObject) -> None:
    host = data.draw(testing.diagrams(max_boxes=8, kinds=["contract", "add", "pointwise"]))
    for rule in (RULES["distribute"], RULES["exp_of_sum"], RULES["scale_one_factor"]):
        for match in matches(rule, host):
            applied = rewrite(host, match)
            (image,) = applied.images
            result = applied.diagram
            for k, node in image.nodes.items():
                assert result.nodes[node].box.kind is image.body.nodes[k].box.kind
            for port in host.outputs:
                new = applied.wires[port.wire]
                assert sorted(result.types[new].sizes, key=str) == sorted(
                    host.types[port.wire].sizes, key=str
                )
            (out,) = image.body.outputs
            if match.outputs[0][0] in applied.wires and out.wire in image.wires:
                assert applied.wires[match.outputs[0][0]] == image.wires[out.wire]


# -- without tubes, rests and commutative boxes: subgraphs ---------------------------------------

NAMES = ("exp", "tanh", "sin", "cos")


@st.composite
def terms(draw: st.DrawFn, boxes: int, name: str) -> Diagram:
    """Scalar diagrams of functions of one and of two arguments, in order."""
    builder = vs.Builder(name)
    wires = [builder.input("x", ""), builder.input("y", "")]
    for _ in range(boxes):
        if draw(st.booleans()):
            wires.append(getattr(vs, draw(st.sampled_from(NAMES)))(draw(st.sampled_from(wires))))
        else:
            a, b = draw(st.sampled_from(wires)), draw(st.sampled_from(wires))
            wires.append(vs.where(vs.less(a, b), a, b))
    used = {wire for node in builder.nodes for wire in node.src}
    ends = [wire for wire in wires if wire.id not in used]
    return builder.diagram(**{f"out{k}": wire for k, wire in enumerate(ends)})


def graph(diagram: Diagram) -> nx.DiGraph:
    """Boxes and wires as nodes; ports as labels of edges."""
    found = nx.DiGraph()
    for wire, _ in enumerate(diagram.types):
        found.add_node(("wire", wire), label=diagram.types[wire].dtype)
    inputs = len(diagram.inputs)
    for k, node in enumerate(diagram.nodes[inputs:], inputs):
        found.add_node(("box", k), label=str(node.box.kind.look(node.box)))
        for p, wire in enumerate(node.src):
            found.add_node(("port", k, p), label=f"in {p}")
            found.add_edge(("wire", wire), ("port", k, p))
            found.add_edge(("port", k, p), ("box", k))
        found.add_edge(("box", k), ("wire", node.first))
    return found


@given(st.data())
@settings(max_examples=80)
def test_patterns_without_tubes_are_subgraphs(data: st.DataObject) -> None:
    """Against networkx, for the matches that send different things to different things."""
    left = data.draw(terms(3, "left"))
    host = data.draw(terms(7, "host"))
    read = {wire for node in left.nodes for wire in node.src}
    if len(left) == 0 or any(port.wire not in read for port in left.inputs):
        return
    same = checked(Rule("same", VARIANT, left, left, {}, {}, (), "", ""))
    found = set()
    for match in matches(same, host):
        wires = {w: u[0][0] for w, u in zip(range(len(left.inputs)), match.inputs, strict=True)}
        for k, node in match.nodes.items():
            wires[left.nodes[k].first] = host.nodes[node].first
        if len(set(wires.values())) == len(wires):
            found.add(tuple(sorted(wires.items())))
    matcher = DiGraphMatcher(
        graph(host), graph(left), node_match=lambda a, b: a["label"] == b["label"]
    )
    wanted = set()
    for mapping in matcher.subgraph_monomorphisms_iter():
        back = {b: a for a, b in mapping.items()}
        wires = {b[1]: a[1] for b, a in back.items() if b[0] == "wire"}
        wanted.add(tuple(sorted(wires.items())))
    assert found == wanted
