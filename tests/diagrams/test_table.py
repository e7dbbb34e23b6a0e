"""The table of primitives is complete, and what it says of each is what happens."""

import pkgutil
import re
from importlib import import_module

import pytest
import torch

import vesalius as vs
from vesalius.compile.lowerings import LOWERINGS, REFUSALS, lowering
from vesalius.diagrams import boxes
from vesalius.diagrams.box import KINDS, Box, Kind, Look
from vesalius.diagrams.boxes.pointwise import FUNCTIONS, Function
from vesalius.diagrams.errors import Outside, StructureError, VesaliusError
from vesalius.diagrams.forms import FORMS, Draft, complaint
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interchange import to_networkx
from vesalius.diagrams.meaning import algebra_named
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.serial import from_json, to_json
from vesalius.diagrams.serial_reading import CODECS
from vesalius.diagrams.table import (
    ALGEBRAS,
    PARTIAL,
    RATIONAL_IN_EXP,
    UNKNOWN,
    primitives_table,
)

SIZES = {"n": 4, "m": 4, "c": 2, "h": 2, "v": 4}
SHAPES = {"port", "triangle", "dot", "box", "dark"}


def library_kinds() -> list[Kind]:
    """The kinds that the library declares; tests declare more."""
    found = []
    for module in pkgutil.iter_modules(boxes.__path__, f"{boxes.__name__}."):
        found += [v for v in vars(import_module(module.name)).values() if isinstance(v, Kind)]
    return list(dict.fromkeys(found))


def library_functions() -> list[Function]:
    return [function for function in FUNCTIONS.values() if function.name in vs.__all__]


@vs.diagram
def normalise(x: "c") -> "c":
    return x / vs.sum(x, "c")


@vs.diagram
def step(total: "c", x: "c") -> {"total": "c", "so_far": "c"}:
    return {"total": total + x, "so_far": total * x}


def examples_of_kinds() -> dict[str, Diagram]:
    """A tiny diagram with a box of each kind, in a tube where the kind has any."""

    def example(kind: str, make, **inputs: str) -> Diagram:
        with vs.Builder(kind) as builder:
            builder.pattern = kind == "like"  # elsewhere it is the expand that it stands for
            made = make(*(builder.input(name, type_) for name, type_ in inputs.items()))
            return builder.diagram(*(made if isinstance(made, tuple) else (made,)))

    return {
        "input": example("input", lambda x: x, x="n c"),
        "parameter": example("parameter", lambda: vs.parameter("w", "n c")),
        "random": example("random", lambda: vs.random("n c")),
        "constant": example("constant", lambda: vs.constant([[1, 2.5], [0, -1]], "i j")),
        "iota": example("iota", lambda: vs.iota("n")),
        "pointwise": example("pointwise", lambda x: vs.power(x, 2), x="n c"),
        "contract": example("contract", lambda x, y: vs.contract(x, y, over="c"), x="n c", y="m c"),
        "add": example("add", lambda x, y: x + y, x="n c", y="c"),
        "max": example("max", lambda x: vs.max(x, "c"), x="n c"),
        "min": example("min", lambda x: vs.min(x, "c"), x="n c"),
        "all": example("all", lambda x: vs.all(x, "c"), x="n c bool"),
        "any": example("any", lambda x: vs.any(x, "c"), x="n c bool"),
        "softmax": example("softmax", lambda x: vs.softmax(x, "c"), x="n c"),
        "expand": example("expand", lambda x: vs.expand(x, "c"), x="n"),
        "like": example("like", lambda x, y: vs.like(x, y), x="c", y="n c"),
        "split": example("split", lambda x: vs.split(x, "d", "h c"), x="n d:h*c"),
        "merge": example("merge", lambda x: vs.merge(x, "h c", "d"), x="n h c"),
        "concat": example(
            "concat", lambda x, y: vs.concat(x, y, over=("n", "m"), into="t"), x="n c", y="m c"
        ),
        "slice": example("slice", lambda x: vs.slice(x, "n", 1, into="t"), x="n c"),
        "pad": example("pad", lambda x: vs.pad(x, "n", 1, 2, 3, into="t"), x="n c"),
        "window": example("window", lambda x: vs.window(x, "n", "i w:2"), x="n c"),
        "diagonal": example("diagonal", lambda x: vs.diagonal(x, "n m", "i"), x="n m:n c"),
        "gather": example(
            "gather", lambda x, i: vs.gather(x, i, over="v"), x="v c", i="n int"
        ),
        "topk": example("topk", lambda x: vs.topk(x, "n", "k:2"), x="n c"),
        "fourier": example("fourier", lambda x, y: vs.fourier(x, y, over="n"), x="n c", y="n"),
        "learner": example(
            "learner",
            lambda q, k: vs.learner("score", q, k, binds="c", into="r:2"),
            q="n c", k="m c",
        ),
        "named": example("named", lambda x: normalise.boxed(x), x="n c"),
        "scan": example(
            "scan", lambda s, x: vs.scan(step, over="n", states=[s], sequences=[x]), s="c", x="n c"
        ),
    }  # fmt: skip


EXAMPLES = examples_of_kinds()
KIND_NAMES = [kind.name for kind in library_kinds()]
every_kind = pytest.mark.parametrize("name", KIND_NAMES)


def node_of(name: str) -> Node:
    """The box of a kind in its example."""
    return next(node for node in EXAMPLES[name].nodes if node.box.kind.name == name)


def inputs(diagram: Diagram, algebra, largest: int = 4) -> list:
    given = []
    for port, type_ in diagram.input_types.items():
        shape = [size.at(SIZES) for size in type_.axes.values()]
        if type_.dtype == "float":
            random = torch.rand(shape, dtype=torch.float64)
            given.append(random if algebra.name == "torch" else algebra.arbitrary(port, shape, 1))
        elif type_.dtype == "int":
            given.append(
                (torch.arange(torch.Size(shape).numel()) % largest).reshape(shape).tolist()
            )
        else:
            given.append((torch.arange(torch.Size(shape).numel()) % 2 == 0).reshape(shape).tolist())
    return given


# -- complete ---------------------------------------------------------------------------------


def test_there_is_an_example_and_a_form_of_every_kind() -> None:
    assert set(EXAMPLES) == set(KIND_NAMES) == set(FORMS)
    assert len(KIND_NAMES) == len(set(KIND_NAMES)) > 25
    for name in KIND_NAMES:
        assert node_of(name).box.kind is KINDS[name]


def test_every_declaration_is_in_the_table_once() -> None:
    rows = primitives_table()
    boxes_, functions = ([r.name for r in rows if r.family == f] for f in ("box", "function"))
    assert boxes_ == list(KINDS)
    assert functions == list(FUNCTIONS)
    assert len(boxes_) + len(functions) == len(rows)


WRITTEN = {name: one.text for name, one in LOWERINGS.items()}
WRITTEN |= {**REFUSALS, "like": "stands in rules only"}
ROWS = {(row.family, row.name): row for row in primitives_table(WRITTEN)}


@every_kind
def test_the_row_of_a_kind_says_everything(name: str) -> None:
    row, kind = ROWS["box", name], KINDS[name]
    assert set(row.meanings) == set(ALGEBRAS)
    for heading, text in row.cells().items():
        assert text, heading
        assert text != UNKNOWN, heading
    assert row.summary == kind.summary
    assert row.formula == kind.formula
    assert row.derivative == kind.derivative
    assert not set(kind.refusals) - set(ALGEBRAS)
    for algebra, text in row.meanings.items():
        reason = kind.refusals.get(algebra)
        expected = "yes" if reason is None else f"no: {reason}"
        assert text == PARTIAL.get((name, algebra), expected)
    for field, codec in kind.fields:
        assert f"{field}: {codec}" in row.json
        assert codec in CODECS
    assert row.drawing.startswith(f"{kind.look.shape}, ")
    assert kind.look.shape in SHAPES


@pytest.mark.parametrize("function", library_functions(), ids=lambda f: f.name)
def test_the_row_of_a_function_says_everything(function: Function) -> None:
    row = ROWS["function", function.name]
    assert row.derivative == function.derivative != ""
    assert set(row.meanings) == set(ALGEBRAS)
    assert row.meanings["torch"] == "yes"
    for heading, text in row.cells().items():
        assert text, heading
        assert text != UNKNOWN, heading
    for parameter in function.parameters:
        assert parameter in row.lowering
        assert parameter in row.json
    assert not re.search(r"[{}]", row.lowering)


def test_what_is_said_of_functions() -> None:
    said = {
        name: ROWS["function", name].meanings for name in ("exp", "relu", "gelu", "sqrt", "less")
    }
    assert said["exp"] == {
        "torch": "yes", "rational": "no: exp of a rational need not be rational", "field": "yes",
        "sympy": "yes",
    }  # fmt: skip
    assert said["relu"]["field"] == said["less"]["field"] == "no: a finite field has no order"
    assert said["relu"]["rational"] == said["less"]["rational"] == "yes"
    assert said["gelu"]["field"] == "as an unspecified function"
    assert said["sqrt"]["rational"].startswith("in part; else no: the square root of")
    assert said["sqrt"]["field"] == "in part; else as an unspecified function"
    softplus = ROWS["function", "softplus"].meanings
    assert softplus["sympy"] == "as an unspecified function"


@pytest.mark.parametrize("name", RATIONAL_IN_EXP)
def test_quotients_of_exponentials_are_known_exactly(name: str) -> None:
    assert ROWS["function", name].meanings["field"] == "yes, up to a second exponential"

    @vs.diagram
    def as_a_quotient(x: "n") -> "n":
        if name == "tanh":
            return (vs.exp(2 * x) - 1) / (vs.exp(2 * x) + 1)
        return (x if name == "silu" else 1) / (1 + vs.exp(-x))

    builder = vs.Builder("plain")
    plain = builder.diagram(FUNCTIONS[name](builder.input("x", "n")))
    algebra = algebra_named("field")
    x = algebra.arbitrary("x", (5,), 1)
    found = [d.evaluate(x, algebra="field", seed=3) for d in (plain, as_a_quotient)]
    assert (found[0]["p"] == found[1]["p"]).all()


# -- true -------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("algebra", ALGEBRAS)
def test_an_algebra_contains_a_kind_or_refuses_it_as_stated(name: str, algebra: str) -> None:
    diagram, kind = EXAMPLES[name], KINDS[name]
    chosen = algebra_named(algebra)

    def run() -> object:
        sizes = sizes_of(diagram, SIZES)
        return diagram.evaluate(*inputs(diagram, chosen), algebra=chosen, sizes=sizes)

    reason = kind.refusals.get(algebra)
    if reason is None:
        result = run()
        results = result if isinstance(result, tuple) else (result,)
        for one, type_ in zip(results, diagram.output_types.values(), strict=True):
            assert tuple(one.shape) == tuple(size.at(SIZES) for size in type_.axes.values())
    elif name == "learner":  # said of the diagram as a whole, before anything is computed
        with pytest.raises(StructureError, match="the learner 'score' is a hole"):
            run()
    else:
        expected = re.escape(f"{name} is outside the algebra {algebra}: {reason}")
        with pytest.raises(Outside, match=f"^{expected}(\n|$)"):
            run()


def test_what_is_contained_in_part() -> None:
    assert list(PARTIAL) == [("fourier", "rational")]
    chosen = algebra_named("rational")
    for length in range(1, 9):
        given = [chosen.arbitrary("x", (length, 1), 1), chosen.arbitrary("y", (length,), 1)]
        if length in (1, 2, 4):
            EXAMPLES["fourier"].evaluate(*given, algebra=chosen)
        else:
            with pytest.raises(Outside, match="are not rational; lengths 1, 2 and 4 are exact"):
                EXAMPLES["fourier"].evaluate(*given, algebra=chosen)


@every_kind
def test_the_cost_of_a_kind_is_a_count_of_operations(name: str) -> None:
    node = node_of(name)
    site = EXAMPLES[name].site(node)
    counted = node.box.kind.cost(site)
    assert all(isinstance(size, vs.Size) for size in counted.values())
    assert all(size.variables <= set(SIZES) for size in counted.values())
    assert all(size.at(SIZES) > 0 for size in counted.values())
    says_nothing = ROWS["box", name].cost.startswith("nothing")
    assert says_nothing == (not counted)
    assert EXAMPLES[name].cost().given(SIZES).peak_bytes > 0


@every_kind
def test_a_kind_is_read_back_from_json(name: str) -> None:
    diagram = EXAMPLES[name]
    again = from_json(to_json(diagram))
    assert again == diagram
    assert str(again) == str(diagram)
    assert name in {node.box.kind.name for node in again.nodes}


@every_kind
def test_a_kind_is_drawn_with_a_label(name: str) -> None:
    box = node_of(name).box
    assert isinstance(box.kind.look, Look)
    label = box.kind.look(box)
    assert label
    assert label == label.strip()


@every_kind
def test_a_kind_goes_to_networkx(name: str) -> None:
    graph = to_networkx(EXAMPLES[name])
    assert name in {kind for _, kind in graph.nodes(data="kind")}


@every_kind
def test_a_kind_is_compiled_or_the_compiler_says_why_not(name: str) -> None:
    if name in REFUSALS or name == "like":
        with pytest.raises(StructureError, match="cannot be compiled"):
            lowering(KINDS[name])
    else:
        assert ROWS["box", name].lowering == lowering(KINDS[name]).text


# -- forms ------------------------------------------------------------------------------------


def draft(name: str, **change) -> Draft:
    """The box of an example as a draft, with some parts replaced."""
    diagram, node = EXAMPLES[name], node_of(name)
    box: Box = node.box
    attrs = dict(zip((field for field, _ in box.kind.fields), box.attrs, strict=True))
    types = [diagram.types[wire] for wire in node.src]
    return Draft(box.kind, attrs, types, box.maps, box.bound, box.new)._replace(**change)


@every_kind
def test_what_the_verbs_make_is_well_formed(name: str) -> None:
    assert complaint(draft(name)) == ""


@every_kind
def test_other_numbers_of_inputs_and_axes_are_not(name: str) -> None:
    form, good = FORMS[name], draft(name)
    types, maps = good.types, good.maps
    if form.inputs[1] is not None:
        more = draft(name, maps=(*maps, (0,)), types=[*types, types[0] if types else None])
        assert "inputs" in complaint(more)
    if form.inputs[0]:
        assert "inputs" in complaint(draft(name, maps=(), types=[]))
    if form.bound[1] is not None:
        assert "bound axes" in complaint(draft(name, bound=tuple(range(form.bound[1] + 1))))
    if form.bound[0]:
        assert "bound axes" in complaint(draft(name, bound=()))
    if form.new[1] is not None:
        sizes = (vs.Size({(): 1}),) * (form.new[1] + 1)
        assert "new axes" in complaint(draft(name, new=sizes))
    if form.new[0]:
        assert "new axes" in complaint(draft(name, new=()))


def test_kinds_without_a_form_are_let_pass() -> None:
    strange = Kind("never declared", "", "", lambda algebra, site, inputs: inputs)
    assert complaint(draft("add", kind=strange)) == ""


def test_nobody_is_left_without_a_word() -> None:
    """Without a compiler to ask, the table says so instead of leaving a hole."""
    row = next(row for row in primitives_table() if row.name == "softmax")
    assert row.lowering == UNKNOWN
    assert issubclass(Outside, VesaliusError)
