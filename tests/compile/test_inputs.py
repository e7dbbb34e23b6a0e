"""Wrong inputs: an error that names the input, the axis and both sizes, before anything runs."""

import pytest
import torch

import vesalius as vs
from vesalius.diagrams.errors import SizeError, StructureError, TypeClash, VesaliusError


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e", mask: "n m bool") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    weights = vs.softmax(vs.where(mask, scores, float("-inf")), over="m")
    return vs.contract(weights, v, over="m")


@vs.diagram
def embedding(tokens: "n int", x: "n d") -> "n d":
    table = vs.parameter("table", "v d")
    places = vs.gather(vs.parameter("position", "p d"), vs.iota("n"), "p")
    return vs.gather(table, tokens, "v") + places + x


def inputs(**changed):
    found = {
        "q": torch.randn(3, 4),
        "k": torch.randn(5, 4),
        "v": torch.randn(5, 2),
        "mask": torch.ones(3, 5, dtype=torch.bool),
    }
    return {**found, **changed}


def refused(module, *args, error=VesaliusError, **named):
    """The message of the error, of which no kernel of the module is the cause."""
    ran = []
    written = type(module).__mro__[1].forward
    module.register_forward_hook(lambda *_: ran.append(written))
    with pytest.raises(error) as caught:
        module(*args, **named)
    assert ran == []
    frames = [entry.path for entry in caught.traceback]
    assert not any(str(frame).startswith("<vesalius") for frame in frames)
    return str(caught.value)


@pytest.fixture(scope="module")
def module():
    return vs.to_torch(attention)


@pytest.fixture(scope="module")
def embedded():
    return vs.to_torch(embedding, sizes={"v": 7, "d": 3, "p": 6})


def test_right_inputs_are_no_error(module, embedded) -> None:
    assert module(**inputs()).shape == (3, 2)
    assert embedded(torch.tensor([0, 6]), torch.randn(2, 3)).shape == (2, 3)


# -- number and names ---------------------------------------------------------------------------


def test_too_few(module) -> None:
    message = refused(module, torch.randn(3, 4), error=StructureError)
    assert "attention: the inputs 'k', 'v', 'mask' are missing; it has 4 inputs" in message


def test_too_many(module) -> None:
    message = refused(module, *inputs().values(), torch.randn(1), error=StructureError)
    assert "attention has 4 inputs (q, k, v, mask), 5 were given" in message


def test_unknown_and_repeated_names(module) -> None:
    given = inputs()
    assert "attention has no input 'w'; it has 4 inputs" in refused(
        module, **given, w=1, error=StructureError
    )
    q = given["q"]
    assert "'q' is given twice" in refused(module, q, **given, error=StructureError)


# -- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("q", [[1.0]], "the input 'q' is a tensor, not list"),
        ("q", None, "the input 'q' is a tensor, not NoneType"),
        ("q", torch.zeros(3, 4, dtype=torch.int64), "'q' is float, it was given torch.int64"),
        ("q", torch.zeros(3, 4, dtype=torch.complex64), "it was given torch.complex64"),
        ("mask", torch.zeros(3, 5), "the input 'mask' is bool, it was given torch.float32"),
        ("mask", torch.zeros(3, 5, dtype=torch.int64), "'mask' is bool, it was given torch.int64"),
        ("k", torch.zeros(5, 4).double(), "'k' is torch.float64, the input 'q' is torch.float32"),
        ("k", torch.zeros(5, 4, device="meta"), "'k' is on meta, the input 'q' is on cpu"),
    ],
)
def test_element_types_and_devices(module, name, value, words) -> None:
    assert words in refused(module, **inputs(**{name: value}), error=TypeClash)


def test_parameters_say_which_float_and_device(embedded) -> None:
    tokens, x = torch.tensor([1, 2]), torch.randn(2, 3)
    message = refused(embedded, tokens, x.double(), error=TypeClash)
    assert "'x' is torch.float64, the module's parameters are torch.float32" in message
    message = refused(embedded, tokens.to("meta"), x, error=TypeClash)
    assert "'tokens' is on meta, the module's parameters are on cpu" in message
    assert "'tokens' is int" in refused(embedded, tokens.float(), x, error=TypeClash)


# -- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("k", (5, 3), "'k' has the axis 'c' of size 3, where c = 4 is needed, since 'c' of 'q'"),
        ("v", (4, 2), "'v' has the axis 'm' of size 4, where m = 5 is needed, since 'm' of 'k'"),
        ("mask", (3, 1), "'mask' has the axis 'm' of size 1, where m = 5 is needed"),
        ("q", (2, 3, 4), "'q' has 3 dimensions (2, 3, 4), its axes are n, c"),
        ("q", (4,), "the input 'q' has 1 dimensions (4,), its axes are n, c"),
    ],
)
def test_sizes(module, name, shape, words) -> None:
    wrong = torch.ones(shape, dtype=torch.bool if name == "mask" else torch.float32)
    assert words in refused(module, **inputs(**{name: wrong}), error=SizeError)


def test_a_batch_is_suggested(module) -> None:
    message = refused(module, **inputs(q=torch.randn(2, 3, 4)))
    assert "diagram.over('b') maps attention over a batch" in message
    assert "over a batch" not in refused(module, **inputs(q=torch.randn(4)))


def test_shapes_that_passed_before_excuse_no_other(module) -> None:
    module(**inputs())
    module(**inputs())
    assert "'c'" in refused(module, **inputs(k=torch.randn(5, 5)))
    assert module(**inputs()).shape == (3, 2)


def test_sizes_that_the_module_was_made_with(embedded) -> None:
    message = refused(embedded, torch.tensor([1]), torch.randn(1, 4), error=SizeError)
    assert "'d' of size 4, where d = 3 is needed, since this module was made with d = 3" in message


def test_formulas_of_sizes() -> None:
    @vs.diagram
    def halves(x: "n:2*m d", y: "k:m+1") -> "m d":
        return vs.sum(vs.split(x, "n", "s:2 m"), "s") * vs.sum(y, "k")

    module = vs.to_torch(halves)
    assert module(torch.randn(6, 2), torch.randn(4)).shape == (3, 2)
    message = refused(module, torch.randn(5, 2), torch.randn(4), error=SizeError)
    assert "'n' of size 5, which is not 2*m for any size m" in message
    message = refused(module, torch.randn(6, 2), torch.randn(3), error=SizeError)
    assert "'k' of size 3, where m + 1 = 4 is needed, since 'n' of 'x' has size 6" in message


def test_a_constant_size() -> None:
    @vs.diagram
    def three(x: "c:3") -> "":
        return vs.sum(x, "c")

    message = refused(vs.to_torch(three), torch.randn(4), error=SizeError)
    assert "'x' has the axis 'c' of size 4, where 3 is needed; its shape is (4,)" in message


# -- conditions that boxes put on sizes ---------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "length", "words"),
    [
        (lambda x: vs.max(x, "n"), 0, "max takes at least one entry of n; here n = 0"),
        (lambda x: vs.topk(x, "n", "k:4")[0], 3, "topk takes 4 of n entries; here n = 3"),
        (lambda x: vs.slice(x, "n", 2, length=3), 4, "slice reads the places 2 to 4 of an axis"),
        (lambda x: vs.slice(x, "n", 3, step=-1, length=2), 3, "slice reads the places 3 to 2"),
        (lambda x: vs.slice(x, "n", 2), 1, "the size n - 2 is used; here n = 1"),
        (lambda x: vs.window(x, "n", "i d:3"), 1, "the size n - 2 is used; here n = 1"),
        (lambda x: vs.split(x, "n", "h:2 c"), 3, "n/2 is 3/2, no integer, for n=3"),
        (lambda x: vs.expand(x, "m:n-2"), 1, "the size n - 2 is used; here n = 1"),
    ],
)
def test_conditions(build, length, words) -> None:
    builder = vs.Builder("cut")
    x = builder.input("x", "n")
    module = vs.to_torch(builder.diagram(build(x)))
    assert words in refused(module, torch.randn(length), error=SizeError)
    assert module(torch.randn(6)) is not None


def test_conditions_of_a_named_box() -> None:
    @vs.diagram
    def first_two(x: "n") -> "k:2":
        return vs.slice(x, "n", 0, length=2, into="k")

    @vs.diagram
    def outer(x: "b n") -> "b k:2":
        return first_two.boxed(x)

    module = vs.to_torch(outer)
    assert module(torch.randn(3, 2)).shape == (3, 2)
    assert "slice reads the places 0 to 1" in refused(module, torch.randn(3, 1), error=SizeError)


def test_what_is_empty_reads_no_place() -> None:
    @vs.diagram
    def tail(x: "n") -> "k:n-2":
        return vs.slice(x, "n", 2, into="k")

    assert vs.to_torch(tail)(torch.randn(2)).shape == (0,)


# -- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [7, -1, 100])
def test_indices_outside_the_table(embedded, wrong) -> None:
    message = refused(embedded, torch.tensor([1, wrong]), torch.randn(2, 3), error=SizeError)
    assert f"'tokens' holds the index {wrong}, which is outside 'table'" in message
    assert "an axis of size 7" in message


def test_too_many_positions(embedded) -> None:
    tokens, x = torch.zeros(7, dtype=torch.int64), torch.randn(7, 3)
    assert "gather reads n places of an axis of size p; here n = 7, p = 6" in refused(
        embedded, tokens, x, error=SizeError
    )


@pytest.mark.parametrize("wrong", [-1, 3])
def test_indices_that_are_computed_raise_in_torch(wrong) -> None:
    @vs.diagram
    def computed(x: "b n", at: "b int", by: "int") -> "b":
        return vs.gather(x, at + by, "n")

    module = vs.to_torch(computed)
    with pytest.raises((IndexError, RuntimeError), match=r"out of (bounds|range)"):
        module(torch.randn(2, 3), torch.tensor([0, 0]), torch.tensor(wrong))


def test_tensors_of_another_layout(embedded) -> None:
    x = torch.randn(2, 3)
    with pytest.raises(TypeClash, match="'x' is a dense tensor, not a sparse_coo one"):
        embedded(torch.tensor([0, 1]), x.to_sparse())
    with pytest.raises(TypeClash, match="'x' is a dense tensor, not a nested one"):
        embedded(torch.tensor([0, 1]), torch.nested.nested_tensor([x, x[:1]]))


# -- making a module ----------------------------------------------------------------------------


def test_a_missing_size_is_named() -> None:
    with pytest.raises(
        SizeError,
        match=r"parameter 'table' .*\{v, d\}.* size v; pass sizes=\{'v': .*, 'd': .*, 'p': ",
    ):  # all that are missing, at once
        vs.to_torch(embedding)
    with pytest.raises(SizeError, match=r"'position' .*pass sizes=\{'p': \.\.\.\}"):
        vs.to_torch(embedding, sizes={"v": 7, "d": 3})


def test_a_size_that_only_a_box_needs_is_named() -> None:
    @vs.diagram
    def repeat(x: "n") -> "n k":
        return vs.expand(x, "k")

    with pytest.raises(SizeError, match=r"no input says what 'k' is; pass sizes=\{'k': \.\.\.\}"):
        vs.to_torch(repeat)
    module = vs.to_torch(repeat, sizes={"k": 3})
    assert module(torch.randn(2)).shape == (2, 3)


@pytest.mark.parametrize("wrong", [-1, 2.0, True, "3"])
def test_a_size_is_a_natural_number(wrong) -> None:
    with pytest.raises(SizeError, match="the size 'd' is a natural number, not"):
        vs.to_torch(embedding, sizes={"v": 7, "d": wrong, "p": 6})


def test_a_quotient_that_is_not_whole() -> None:
    @vs.diagram
    def heads(x: "n d") -> "n h c:d/h":
        return vs.linear(x, "d", "h c:d/h")

    with pytest.raises(SizeError, match="no integer"):
        vs.to_torch(heads, sizes={"d": 7, "h": 2})
    assert vs.to_torch(heads, sizes={"d": 8, "h": 2})(torch.randn(3, 8)).shape == (3, 2, 4)


def test_an_unfilled_learner() -> None:
    @vs.diagram
    def learned(x: "n d") -> "n e:d":
        return vs.learner("mix", x, binds="d", into="e:d")

    @vs.diagram
    def outer(x: "n d") -> "n e:d":
        return learned.boxed(x)

    for diagram in (learned, outer):
        with pytest.raises(StructureError, match=r"'mix' is a hole: .*fill\(mix=\.\.\.\)"):
            vs.to_torch(diagram)


@pytest.mark.parametrize("name", ["forward", "train", "half", "diagram", "source", "a.parameters"])
def test_names_that_a_module_has_already(name) -> None:
    builder = vs.Builder("named")
    x = builder.input("x", "n")
    with builder:
        diagram = builder.diagram(x * vs.parameter(name, "n"))
    with pytest.raises(StructureError, match=f"cannot have a parameter called '{name}'"):
        vs.to_torch(diagram, sizes={"n": 2})


def test_a_name_that_is_also_the_name_of_a_part() -> None:
    builder = vs.Builder("named")
    x = builder.input("x", "n")
    with builder:
        diagram = builder.diagram(x * vs.parameter("a", "n") * vs.parameter("a.b", "n"))
    with pytest.raises(StructureError, match="'a' has the name of a part"):
        vs.to_torch(diagram, sizes={"n": 2})


def test_what_is_no_diagram_or_no_float() -> None:
    with pytest.raises(StructureError, match="takes a diagram, not the function"):
        vs.to_torch(lambda x: x)
    with pytest.raises(StructureError, match=r"of a floating type, not torch\.int64"):
        vs.to_torch(attention, torch.int64)


def test_errors_point_at_the_users_line(module) -> None:
    assert refused(module, torch.randn(3, 4)).endswith("module(*args, **named)")
