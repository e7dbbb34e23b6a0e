"""The graphs of networkx describe the diagram, and judge which diagrams are equal."""

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import categorical_multiedge_match, categorical_node_match

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interchange import to_networkx

SAME_BOX = categorical_node_match(["kind", "attrs"], [None, None])
SAME_USE = categorical_multiedge_match(["source", "operand", "type"], [None, None, None])
SAME_LABEL = categorical_node_match("label", None)

diagrams = testing.diagrams(max_boxes=6, kinds=[*testing.KINDS])


def judged_equal(a: Diagram, b: Diagram) -> bool:
    """What networkx says about equality."""
    one, other = to_networkx(a, axes=True), to_networkx(b, axes=True)
    return networkx.is_isomorphic(one, other, node_match=SAME_LABEL)


def judged_alike(a: Diagram, b: Diagram) -> bool:
    """What networkx says when it does not look at axes."""
    return networkx.is_isomorphic(a.to_networkx(), b.to_networkx(), SAME_BOX, SAME_USE)


# -- what the graph says ----------------------------------------------------------------------


@given(diagrams)
def test_the_graph_describes_the_diagram(diagram: Diagram) -> None:
    graph = diagram.to_networkx()
    nodes = graph.nodes(data=True)
    roles = [attributes["role"] for _, attributes in nodes]
    assert roles.count("input") == len(diagram.inputs)
    assert roles.count("box") == len(diagram)
    assert roles.count("output") == len(diagram.outputs)
    assert list(graph) == list(range(len(roles)))
    assert all(k < j for k, j in graph.edges())  # in topological order
    for k, node in enumerate(diagram.nodes):
        uses = sorted(graph.in_edges(k, data=True), key=lambda edge: edge[2]["target"])
        read = [diagram.nodes[u].first + use["source"] for u, _, use in uses]
        assert read == list(node.src)
        assert [use["map"] for _, _, use in uses] == list(node.box.maps)
        attributes = graph.nodes[k]
        assert attributes["kind"] == node.box.kind.name
        if attributes["role"] == "box":
            assert attributes["bound"] == node.box.bound
            assert attributes["new"] == tuple(map(str, node.box.new))
            assert len(set(attributes["axes"])) == len(attributes["axes"]) == node.box.rank
    for j, port in enumerate(diagram.outputs, len(diagram.nodes)):
        ((u, _, use),) = graph.in_edges(j, data=True)
        assert diagram.nodes[u].first + use["source"] == port.wire
        assert graph.nodes[j]["name"] == port.name
        assert graph.nodes[j]["axes"] == port.axes
        assert [port.slots[place] for place in use["map"]] == list(range(len(port.slots)))
    for _, _, use in graph.edges(data=True):
        assert (use["operand"] is None) or use["operand"] == use["target"]


@given(diagrams)
def test_networkx_agrees_about_order(diagram: Diagram) -> None:
    graph = to_networkx(diagram)
    assert networkx.is_directed_acyclic_graph(graph)
    needed = set()
    for k, attributes in graph.nodes(data=True):
        if attributes["role"] == "output":
            needed |= networkx.ancestors(graph, k) | {k}
    inputs = {k for k, attributes in graph.nodes(data=True) if attributes["role"] == "input"}
    assert needed | inputs == set(graph)  # nothing stands there that no output needs
    assert networkx.is_directed_acyclic_graph(to_networkx(diagram, axes=True))


def test_an_attention() -> None:
    @vs.diagram
    def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
        return vs.contract(vs.softmax(scores, over="m"), v, over="m")

    graph = attention.to_networkx()
    assert graph.name == "attention"
    assert [attributes["name"] for _, attributes in graph.nodes(data=True)] == [
        "q", "k", "v", "contract", "constant[c]", "sqrt", "reciprocal", "contract", "softmax",
        "contract", "out",
    ]  # fmt: skip
    assert graph.nodes[3] == {
        "role": "box", "name": "contract", "kind": "contract", "attrs": (), "bound": (1,),
        "new": (), "axes": ("n", "c", "m"),
    }  # fmt: skip
    assert graph.edges[1, 3, 0] == {
        "source": 0, "target": 1, "operand": None, "map": (2, 1), "type": "c m float",
    }  # fmt: skip
    assert graph.edges[7, 8, 0]["operand"] == 0
    assert graph.edges[9, 10, 0]["map"] == (1, 0)  # the wire has e before n
    assert graph.nodes[10]["axes"] == ("n", "e")


def test_attributes_can_be_exported() -> None:
    """Node-link data of networkx is JSON where no box holds a size or a diagram."""
    import json

    @vs.diagram
    def plain(x: "n c", y: "c") -> "n":
        return vs.max(x + y, "c")

    data = networkx.node_link_data(plain.to_networkx(), edges="edges")
    assert json.loads(json.dumps(data))["nodes"][2]["kind"] == "add"


# -- what it says about equality --------------------------------------------------------------


@given(diagrams, st.integers(0, 2**16))
def test_equal_diagrams_have_isomorphic_graphs(diagram: Diagram, seed: int) -> None:
    other = testing.alpha_variant(diagram, seed)
    assert judged_alike(diagram, other)
    assert judged_equal(diagram, other)


@given(
    testing.diagrams(max_boxes=3, inputs=["n m:n", "n"]),
    testing.diagrams(max_boxes=3, inputs=["n m:n", "n"]),
)
def test_networkx_finds_the_diagrams_equal_that_we_do(a: Diagram, b: Diagram) -> None:
    assert judged_equal(a, b) == (a == b)


def finished(builder: vs.Builder, wire: vs.Wire, axes: str, name: str = "out") -> Diagram:
    order = tuple(axes.split())
    return builder.finish([Port(name, wire.id, order, tuple(map(wire.names.index, order)))])


def small(which: str) -> Diagram:
    """Diagrams that differ in little: which slots meet, which operand stands where."""
    builder = vs.Builder("f")
    x, y = builder.input("x", "n m:n"), builder.input("y", "n m:n")
    turned = y.rename(n="m", m="n")
    gram = vs.contract(x, x.rename(n="k"), over="m").rename(k="m")
    made = {
        "x+y": lambda: x + y,
        "y+x": lambda: y + x,
        "x+yT": lambda: x + turned,
        "xT+y": lambda: (x.rename(n="m", m="n") + y).rename(n="m", m="n"),
        "x-y": lambda: x - y,
        "y-x": lambda: y - x,
        "x<y": lambda: vs.to_float(x < y),
        "y<x": lambda: vs.to_float(y < x),
        "x<yT": lambda: vs.to_float(x < turned),
        "softmax n": lambda: vs.softmax(x, over="n"),
        "softmax m": lambda: vs.softmax(x, over="m"),
        "softmax both": lambda: vs.softmax(x, over="n m"),
        "gram": lambda: gram,
        "gramT": lambda: gram.rename(n="m", m="n"),
        "gram+gramT": lambda: gram + gram.rename(n="m", m="n"),
        "gram+gram": lambda: gram + gram,
        "xy": lambda: vs.contract(x, y.rename(n="k"), over="m").rename(k="m"),
        "yx": lambda: vs.contract(y, x.rename(n="k"), over="m").rename(k="m"),
        "yxT": lambda: vs.contract(y, x.rename(n="k"), over="m").rename(k="n", n="m"),
        "two parameters": lambda: vs.parameter("a", "n m:n") * vs.parameter("b", "n m:n"),
        "one parameter": lambda: vs.power(vs.parameter("a", "n m:n"), 2),
        "square": lambda: (lambda a: a * a)(vs.parameter("a", "n m:n")),
        "turned square": lambda: (lambda a: a * a.rename(n="m", m="n"))(vs.parameter("a", "n m:n")),
        "zeros": lambda: vs.parameter("a", "n m:n", init="zeros") * vs.parameter("b", "n m:n"),
        "merge": lambda: vs.split(vs.merge(x, "n m", "k"), "k", "n m:n"),
        "merge turned": lambda: vs.split(vs.merge(x, "m n", "k"), "k", "n m:n"),
        "noise": lambda: x + vs.random("n m:n"),
        "uniform noise": lambda: x + vs.random("n m:n", "uniform"),
    }
    with builder:
        return finished(builder, made[which](), "n m")


NEAR = [
    "x+y", "y+x", "x+yT", "xT+y", "x-y", "y-x", "x<y", "y<x", "x<yT", "softmax n", "softmax m",
    "softmax both", "gram", "gramT", "gram+gramT", "gram+gram", "xy", "yx", "yxT",
    "two parameters", "one parameter", "square", "turned square", "zeros", "merge",
    "merge turned", "noise", "uniform noise",
]  # fmt: skip
SAME = {
    frozenset(pair)
    for pair in [
        ("x+y", "y+x"), ("x+yT", "xT+y"), ("gram", "gramT"), ("gram+gramT", "gram+gram"),
        ("xy", "yxT"),
    ]
}  # fmt: skip


@pytest.mark.parametrize("which", NEAR)
def test_diagrams_that_differ_in_little(which: str) -> None:
    mine = small(which)
    for other in NEAR:
        expected = other == which or frozenset((which, other)) in SAME
        assert (mine == small(other)) == expected, other
        assert judged_equal(mine, small(other)) == expected, other


def test_bodies_count() -> None:
    def folded(negative: bool) -> Diagram:
        builder = vs.Builder("f")
        x = builder.input("x", "n")
        return builder.diagram(vs.exp(-x if negative else x)).fold("f")

    assert judged_equal(folded(False), folded(False))
    assert not judged_equal(folded(False), folded(True))
    assert not judged_alike(folded(False), folded(True))


def test_ports_count() -> None:
    def named(inputs: str, output: str, axes: str) -> Diagram:
        builder = vs.Builder("f")
        first, second = (builder.input(name, "n m:n") for name in inputs)
        product = vs.contract(first, second.rename(n="m", m="k"), over="m").rename(k="m")
        return finished(builder, product, axes, output)

    plain = named("xy", "out", "n m")
    assert judged_equal(plain, named("xy", "out", "n m"))
    for other in (named("yx", "out", "n m"), named("xy", "y", "n m"), named("xy", "out", "m n")):
        assert plain != other
        assert not judged_equal(plain, other)
