"""The catalogue: what an entry says of itself, options, sizes, errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import vesalius as vs
from vesalius.anatomy.mechanism import (
    CATALOGUE,
    Catalogue,
    Mechanism,
    Paper,
    diagram_of,
    explicit,
    initial,
)
from vesalius.diagrams.names import sizes_of
from vesalius.diagrams.sizes import size
from vesalius.inspect.perturb import arrays_at, shallow, sizes_at

every = pytest.mark.parametrize("mechanism", [pytest.param(m, id=m.name) for m in vs.anatomy])


def test_the_first_anatomy_is_there():
    wanted = "bahdanau luong_dot luong_general scaled_dot_product linear multihead multihead_cross"
    assert {*wanted.split(), "block", "encoder", "language_model"} <= set(vs.anatomy.names())
    assert [m.name for m in vs.anatomy] == vs.anatomy.names()
    assert len(vs.anatomy) == len(vs.anatomy.names())
    assert "multihead" in vs.anatomy
    assert "no such thing" not in vs.anatomy


@pytest.mark.parametrize(
    "imports",
    [
        "import vesalius as vs",
        "import vesalius.anatomy; import vesalius as vs",
        "from vesalius.anatomy import names; import vesalius as vs",
        "import vesalius as vs; vs.anatomy; import vesalius.anatomy.parts",
    ],
)
def test_the_catalogue_is_indexed_however_it_is_imported(imports):
    code = f"{imports}; print(vs.anatomy['multihead'].name, 'torch' in __import__('sys').modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["multihead", "False"]


@every
def test_an_entry_says_where_it_comes_from(mechanism):
    assert mechanism.name.isidentifier()
    assert mechanism.title
    assert mechanism.formula
    assert mechanism.paper.title
    assert mechanism.paper.authors
    assert 2014 <= mechanism.paper.year <= 2030
    assert re.fullmatch(r"(\d{4}\.\d{4,5})?", mechanism.paper.arxiv)
    if mechanism.paper.arxiv:
        assert mechanism.paper.year - 2000 == int(mechanism.paper.arxiv[:2])
    assert mechanism.parts
    for slot, text in mechanism.anatomy.items():
        assert re.fullmatch(r"\w+: \S.*", text), (slot, text)


@every
def test_an_entry_says_what_it_is_checked_against(mechanism):
    """A file of tests for that package, or one of formulas, names it."""
    here = Path(__file__).parent
    if mechanism.check == "transcription":
        files = list(here.glob("test_formulas*.py"))
    else:
        package = mechanism.check.replace("-", "_").lower()
        files = list(here.glob(f"peers/test_{package}*.py"))
    assert any(f'"{mechanism.name}"' in file.read_text() for file in files)


@every
def test_an_entry_says_how_its_parameters_start(mechanism):
    diagram = shallow(mechanism)
    module = vs.to_torch(diagram, sizes=sizes_at(diagram, 12))
    state = {name: x.double() for name, x in module.state_dict().items()}
    said = initial(diagram)
    assert said.items() <= mechanism.initial.items()
    assert set(said) <= set(state)
    for name, x in state.items():
        start = said.get(name, "")
        if start.startswith(("zeros", "ones")):
            assert (x == start.startswith("ones")).all(), name
        elif not start:  # uniform within ±1/√fan, of a fan of at least two
            assert 0 < x.abs().max() <= 2**-0.5, name


@every
def test_an_entry_builds_with_every_option(mechanism):
    plain = mechanism()
    assert plain.name == mechanism.name
    assert plain == mechanism()
    assert hash(plain) == hash(mechanism())
    for option, default in mechanism.options.items():
        if isinstance(default, bool):
            assert mechanism(**{option: default}) == plain
            other = mechanism(**{option: not default})
            assert other != plain, option
            assert not other.learners


@every
def test_sizes_are_symbols_until_they_are_given(mechanism):
    diagram = mechanism()
    types = [*diagram.input_types.values(), *diagram.output_types.values()]
    assert all(s.constant is None for type_ in types for s in type_.axes.values())
    # Each is a multiple of those that follow, for lengths that are cut into equal parts.
    named = {variable: 2 ** (k + 1) for k, variable in enumerate(diagram.size_variables[::-1])}
    named |= {"g": 2} if "g" in named else {}  # and heads are a multiple of their groups
    fixed = mechanism(**named)
    assert fixed.size_variables == ()
    for name, type_ in diagram.parameters.items():
        wanted = {axis: s.at(named) for axis, s in type_.axes.items()}
        assert {a: s.constant for a, s in fixed.parameters[name].axes.items()} == wanted


@every
def test_a_mechanism_survives_json(mechanism):
    diagram = mechanism(padding=True) if "padding" in mechanism.options else mechanism()
    again = vs.Diagram.from_json(diagram.to_json())
    assert again == diagram
    assert list(again.parameters) == list(diagram.parameters)
    assert str(again) == str(diagram)


@pytest.mark.parametrize(
    "mechanism", [pytest.param(m, id=m.name) for m in vs.anatomy if "padding" in m.options]
)
def test_what_is_not_kept_does_not_matter_to_what_is(mechanism):
    """Other values at hidden positions change no output at kept ones, in any form."""
    forms = ("weights", "scan" if mechanism.causal == "always" else "state")
    for form in forms if "form" in mechanism.options else (None,):
        options = {"padding": True, **({"form": form} if form else {})}
        if form and "attention" in mechanism.options:
            options["attention"] = "linear"
        diagram = shallow(mechanism, **options)
        types, sizes = diagram.input_types, {**sizes_at(diagram, 6), "j": 6}
        sizes |= {"l": 3} if mechanism.name == "sinkhorn" else {}  # its blocks divide the length
        weights = arrays_at(diagram.parameters, sizes, 2, scale=0.5)
        given = arrays_at(types, sizes, 1)
        given["keep"] = keep = torch.tensor([True, False, True, True, False, False])
        (axis,) = types["keep"].axes.values()
        told = [name for name in types if name != "keep" and axis in types[name].axes.values()]
        assert told
        other = {name: x.clone() for name, x in given.items()}
        for name in told:
            rows = other[name].transpose(0, list(types[name].axes.values()).index(axis))
            rows[~keep] = rows[~keep] + 1 if rows.is_floating_point() else 0
        known = sizes_of(diagram, sizes)
        one, two = (
            diagram.evaluate(*x.values(), parameters=weights, sizes=known) for x in (given, other)
        )
        out = list(next(iter(diagram.output_types.values())).axes.values())
        if axis in out and axis == size("n"):
            one, two = (y.transpose(0, out.index(axis))[keep] for y in (one, two))
        assert torch.isfinite(one).all()
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


def test_words_for_sizes_and_sizes_that_follow():
    by_word = vs.anatomy["block"](heads=4, width=32)
    assert by_word == vs.anatomy["block"](h=4, d=32, c=8, e=8, f=128)
    assert by_word.size_variables == ("n",)
    assert vs.anatomy["multihead"](heads=4, d=32, c=5).parameters["wv"].axes["e"] == 5
    assert vs.anatomy["multihead"](heads=4).parameters["wq"].axes["c"] == size("c")
    assert vs.anatomy["multihead"](d="h*c").parameters["wo"].axes["d"] == size("h*c")


def test_over_a_batch_is_the_loop_over_it():
    diagram = vs.anatomy["block"](causal=True, padding=True, heads=2, d=6)
    x = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    keep = torch.tensor([[True, True, False, True]] * 2 + [[True] * 4])
    batch = diagram.over("b").evaluate(x, keep)
    loop = torch.stack([diagram.evaluate(*row) for row in zip(x, keep, strict=True)])
    torch.testing.assert_close(batch, loop, rtol=1e-13, atol=1e-13)


def test_every_layer_has_parameters_of_its_own():
    model = vs.anatomy["language_model"](layers=3)
    ups = [name for name in model.parameters if name.endswith("mlp.up")]
    assert ups == ["block.mlp.up", "block_1.mlp.up", "block_2.mlp.up"]
    assert len(model.boxes) < 80  # blocks are single boxes
    assert "softmax" not in {node.box.kind.name for node in model.boxes}
    assert "softmax" in {node.box.kind.name for node in model.unfold().boxes}


@pytest.mark.parametrize("causal", [False, True])
def test_linear_attention_is_linear_unless_asked_otherwise(causal):
    """In the number of positions: with as many keys as queries, no term has n²."""

    def degree(**options):
        flops = vs.anatomy["linear"](causal=causal, **options).cost().flops
        return flops.substitute({"m": "n"}).degree("n")

    assert degree() == 1
    assert degree(form="weights") == 2
    assert vs.anatomy["linear"](causal=causal) != vs.anatomy["linear"](
        causal=causal, form="weights"
    )


LINEAR = (
    "linformer nystromformer induced_set_attention set_pooling perceiver poolformer "
    "light_convolution dynamic_convolution flash"
)


@pytest.mark.parametrize("name", LINEAR.split())
def test_few_vectors_or_near_tokens_are_linear_in_the_positions(name):
    """The exact degree, with all other sizes free: nothing is made for each pair of positions."""
    flops = shallow(vs.anatomy[name]).cost().flops.substitute({"m": "n"})
    assert flops.degree("n") == 1


def test_the_transformer_of_the_paper_has_the_parameters_of_the_paper():
    """Its base model without the tables of tokens: 6 layers of width 512, in both stacks."""
    base = vs.anatomy["transformer"](layers=6, heads=8, d=512)
    square, network = 512 * 512 + 512, 2 * 512 * 2048 + 2048 + 512
    encoder, decoder = 4 * square + network + 2 * 1024, 8 * square + network + 3 * 1024
    assert base.cost().parameters == 6 * (encoder + decoder)


# -- refusals -------------------------------------------------------------------------------------


def test_an_unknown_mechanism_is_named_with_its_neighbour():
    with pytest.raises(
        vs.VesaliusError, match="no mechanism 'multihaed'; did you mean 'multihead'"
    ):
        vs.anatomy["multihaed"]
    with pytest.raises(LookupError, match="there are bahdanau, luong_dot"):
        vs.anatomy["?"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "multihead",
            {"caussal": True},
            "no size 'caussal'; did you mean 'causal'. its options are .*",
        ),
        ("multihead", {"causal": 1}, "causal is true or false, not 1"),
        ("multihead", {"heads": 0}, "the size h is at least 1, not 0"),
        ("multihead", {"heads": 3, "d": 8}, "c = d/h is not an integer for h = 3, d = 8; give c"),
        ("multihead", {"attention": "bahdanau"}, "one of scaled_dot_product, linear, .*, not 'bah"),
        ("multihead", {"form": "scan"}, "'scaled_dot_product' has no option 'form'"),
        ("multihead", {"attention": "linear", "mask": True}, "'linear' has no option 'mask'"),
        ("linear", {"form": "fast"}, "one of weights, state, scan, not 'fast'"),
        ("linear", {"form": "state", "causal": True}, "'state' is not causal; write form='scan'"),
        ("linear", {"form": "scan"}, "'scan' is causal; write form='state'"),
        ("block", {"norm": "both"}, "norm is one of pre, post, not 'both'"),
        ("block", {"activation": "tanh"}, "activation is one of relu, gelu, not 'tanh'"),
        ("encoder", {"layers": 0}, "layers is a positive integer, not 0"),
        ("rope", {"pairing": "third"}, "pairing is one of half, interleaved, not 'third'"),
        ("qk_norm", {"norm": "batch"}, "norm is one of rms, layer, not 'batch'"),
        ("hopfield", {"steps": 0}, "steps is a positive integer, not 0"),
        ("hopfield", {"beta": 0}, "beta is a positive number or 'learned', not 0"),
        ("routing", {"decay": 2.0}, "decay is a number from 0.0 to 1.0, not 2.0"),
        ("differential", {"depth": 0}, "depth is a positive integer, not 0"),
        ("grouped_query", {"heads": 3, "groups": 2}, "quotient 3/2 leaves a rest"),
        ("encoder", {"causal": True}, "no option and no size 'causal'"),
    ],
)
def test_a_wrong_option_is_refused(name, options, message):
    with pytest.raises(vs.VesaliusError, match=message):
        vs.anatomy[name](**options)


def entry(**changes):
    fields = {
        "name": "mine",
        "title": "Mine",
        "paper": Paper("Mine", "Me", 2026),
        "formula": "x",
        "parts": {"mixing": diagram_of},
        "build": lambda: diagram_of("mine", {"x": "n"}, "n", lambda x: x + 1),
        "causal": "never",
    }
    return Mechanism(**{**fields, **changes})


def test_a_mechanism_is_entered_once():
    catalogue = Catalogue()
    mine = catalogue.enter(entry())
    assert catalogue["mine"] is mine
    assert mine().evaluate(torch.zeros(2)).tolist() == [1.0, 1.0]
    with pytest.raises(vs.FormatError, match="has a mechanism 'mine' already"):
        catalogue.enter(entry())
    assert "mine" not in CATALOGUE
    del catalogue["mine"]
    other = catalogue.enter(entry(title="Another"))
    assert catalogue["mine"] is other
    assert repr(other) == "<mechanism mine: Another, 2026>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": {"tail": diagram_of}}, "a part is one of preparation, .*, not 'tail'"),
        ({"causal": "maybe"}, "causal is never, request or always"),
        ({"cacheable": "maybe"}, "cacheable is never, request or always"),
        ({"name": "my own!"}, "a mechanism's name is a word such as soft_sign, not 'my own!'"),
        ({"paper": None}, "mine: the paper is a vs.anatomy.Paper, not None"),
        ({"cacheable": "always"}, "what is never causal is never cacheable"),
    ],
)
def test_a_malformed_entry_cannot_be_made(changes, message):
    with pytest.raises(vs.FormatError, match=message):
        entry(**changes)


def of_keys(q, k):
    return vs.contract(k, k, over="m")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (of_keys, r"the part 'of_keys' for similarity made \{c\} float; it makes a number for "),
        (print, "the part 'print' for similarity made no wire but None"),
    ],
)
def test_a_part_that_makes_something_else_is_named(part, message):
    stands = {"preparation": lambda q, k, v: (q, k, v), "similarity": part}
    build = explicit("mine", {"q": "n c", "k": "m c", "v": "m e"}, "n e", stands)
    with pytest.raises(vs.AxisError, match=message):
        build()


def test_a_part_that_leaves_an_axis_is_refused():
    with pytest.raises(vs.AxisError, match=r"output is declared .n. float and is .n, c. float"):
        diagram_of("mine", {"x": "n c"}, "n", lambda x: x + 1)


@pytest.mark.parametrize("name", ["linformer", "scaled_dot_product", "sigmoid", "nystromformer"])
def test_heads_of_a_mechanism_on_queries_keys_and_values_are_a_tube(name):
    mechanism = vs.anatomy[name]
    inside, alone = mechanism(heads=3, c=4), mechanism(c=4)
    assert inside.input_types["q"].axes["h"] == 3
    sizes = {**sizes_at(alone, 9), "h": 3}
    q, k, v = (torch.randn(3, 9, n, dtype=torch.float64) for n in (4, 4, sizes["e"]))
    shapes = {p: [s.at(sizes) for s in t.axes.values()] for p, t in inside.parameters.items()}
    weights = {p: torch.randn(shape, dtype=torch.float64) for p, shape in shapes.items()}
    found = inside.evaluate(q, k, v, parameters=weights, sizes=sizes_of(inside, sizes))
    of_heads = {p for p, t in inside.parameters.items() if "h" in t.axes}
    assert of_heads == {p for p in weights if p in mechanism.of_heads}
    rows = [{p: w[i] if p in of_heads else w for p, w in weights.items()} for i in range(3)]
    known = sizes_of(alone, sizes)
    each = [alone.evaluate(q[i], k[i], v[i], parameters=rows[i], sizes=known) for i in range(3)]
    assert next(iter(inside.output_types["out"].axes)) == "h"
    torch.testing.assert_close(found, torch.stack(each), rtol=1e-12, atol=1e-12)


def test_what_has_no_queries_has_no_heads():
    with pytest.raises(vs.FormatError, match="no option and no size 'heads'"):
        vs.anatomy["fnet"](heads=2)
