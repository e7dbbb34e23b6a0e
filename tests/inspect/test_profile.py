"""Profiles: the parts add up to the diagram, and say of time and memory what there is to say."""

import json
import re
from xml.etree import ElementTree

import pytest
import torch
from typer.testing import CliRunner

import vesalius as vs
from vesalius.anatomy.mechanism import CATALOGUE
from vesalius.cli import app
from vesalius.compile.kernels import Target
from vesalius.diagrams.errors import SizeError, StructureError
from vesalius.inspect import profile as profiles
from vesalius.inspect.machine import Machine, peak_bytes, together
from vesalius.inspect.perturb import arrays_at
from vesalius.inspect.pieces import boxes_of, label, piece, taken
from vesalius.inspect.pieces import together as grouped
from vesalius.inspect.profile import profile, sizes_for

torch.set_num_threads(1)

SDPA = "scaled_dot_product_attention"
SIZES = {"n": 12, "m": 12, "d": 8, "h": 2, "c": 4, "e": 4, "a": 4, "f": 8, "v": 9, "p": 12, "w": 3}
DISSECTED = ["bahdanau", "multihead", "softcap", "linear", "block", "sliding_window", "cosine"]


def sizes_of(diagram, **others):
    return {name: SIZES.get(name, 2) for name in diagram.size_variables} | others


@pytest.fixture
def clock(monkeypatch):
    """Times that are known: the k-th call that is measured takes k + 1 seconds."""
    monkeypatch.setattr(profiles, "machine", lambda *_: Machine(1e9, 1e8, 1e10, 1e-6, 1))
    monkeypatch.setattr(
        profiles, "timed", lambda runs, *_: [run() or float(k + 1) for k, run in enumerate(runs)]
    )


# -- pieces ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISSECTED)
@pytest.mark.parametrize("grouping", ["alone", "in pairs", "as they run"])
def test_pieces_one_after_the_other_are_the_whole(name, grouping) -> None:
    diagram = CATALOGUE[name].dissected()
    sizes = sizes_of(diagram)
    nodes = boxes_of(diagram)
    groups = {
        "alone": [[k] for k in nodes],
        "in pairs": [nodes[k : k + 2] for k in range(0, len(nodes), 2)],
        "as they run": grouped(diagram, Target(sizes=sizes)),
    }[grouping]
    assert [k for group in groups for k in group] == nodes
    inputs = arrays_at(diagram.input_types, sizes, 0)
    parameters = arrays_at(diagram.parameters, sizes, 1)
    wanted = diagram.evaluate(*inputs.values(), parameters=parameters, sizes=sizes)
    values = {port.wire: inputs[port.name] for port in diagram.inputs}
    for group in groups:
        one = piece(diagram, group)
        own = {name: parameters[name] for name in one.diagram.parameters}
        found = one.diagram.evaluate(
            *[values[wire] for wire in one.reads],
            parameters=own,
            sizes={name: sizes[name] for name in one.diagram.size_variables},
        )
        found = found if isinstance(found, tuple) else (found,)
        values.update(zip(one.makes, found, strict=True))
    torch.testing.assert_close(values[diagram.outputs[0].wire], wanted)


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("multihead", ["preparation", "similarity normaliser mixing", "output"]),
        ("softcap", ["similarity normaliser mixing"]),
        ("sliding_window", ["similarity mask normaliser mixing"]),
        ("block", ["norm", "attention", "add → x", "norm", "mlp", "add → x"]),
    ],
)
def test_what_one_kernel_serves_is_one_group(name, groups) -> None:
    diagram = CATALOGUE[name].dissected()
    target = Target(sizes=sizes_for(diagram, {}, CATALOGUE[name].implied))
    found = grouped(diagram, target)
    assert [" ".join(label(diagram, k) for k in group) for group in found] == groups
    kernels = sum((taken(piece(diagram, group).diagram, target) for group in found), taken(
        vs.identity("n"), target))  # fmt: skip
    assert kernels == taken(diagram, target)


def test_boxes_without_kernels_are_alone() -> None:
    @vs.diagram
    def plain(x: "n d") -> "n d":
        return vs.tanh(vs.exp(x) + 1)

    assert [label(plain, k) for (k,) in grouped(plain, Target())] == [
        "exp → x", "add → x", "tanh → x",
    ]  # fmt: skip


# -- profiles -------------------------------------------------------------------------------------


def test_rows_are_the_parts_in_order_with_their_shares(clock) -> None:
    found = profile("multihead", sizes={"n": 16, "d": 32, "h": 2})
    assert found.sizes == {"n": 16, "d": 32, "h": 2, "c": 16, "e": 16}
    attention = ("similarity", "normaliser", "mixing")
    assert [row.parts for row in found.rows] == [("preparation",), attention, ("output",)]
    assert [row.kernels for row in found.rows] == [(), (SDPA,), ()]
    # preparation, the three together, each alone, output, the whole
    assert [row.seconds for row in found.rows] == [1, 2, 6]
    assert [(row.parts, row.seconds) for row in found.rows[1].alone] == [
        (("similarity",), 3), (("normaliser",), 4), (("mixing",), 5),
    ]  # fmt: skip
    assert found.whole.seconds == 7
    assert [found.shares(row)[0] for row in found.rows] == pytest.approx([1 / 9, 2 / 9, 6 / 9])
    assert sum(found.shares(row)[1] for row in found.rows) == pytest.approx(1)


def test_a_kernel_moves_what_enters_and_leaves_it(clock) -> None:
    n, c, e = 64, 16, 8
    found = profile("scaled_dot_product", sizes={"n": n, "c": c, "e": e})
    (row,) = found.rows
    similarity, normaliser, mixing = row.alone
    # queries, keys, values, the scale and its root; what is mixed
    assert row.bytes_moved - 4 * (2 * n * c + 2 * n * e) in range(32)
    assert normaliser.bytes_moved == 4 * 2 * n * n
    assert mixing.bytes_moved == 4 * (n * n + 2 * n * e)
    assert mixing.flops == 2 * n * n * e
    assert row.flops == similarity.flops + normaliser.flops + mixing.flops
    assert row.predicted < sum(one.predicted for one in row.alone)


def test_memory_is_what_is_held_beside_what_enters(clock) -> None:
    n = 256
    (row,) = profile("softcap", sizes={"n": n, "c": 16, "e": 16}).rows
    similarity, normaliser, mixing = row.alone
    assert similarity.peak_bytes >= 4 * n * n
    assert normaliser.peak_bytes >= 4 * n * n
    assert mixing.peak_bytes == 4 * n * 16
    wide = profile("softcap", sizes={"n": 8 * n, "c": 16, "e": 16}).rows[0]
    assert wide.peak_bytes < 4 * (8 * n) ** 2, "tiles do not hold all scores"


def test_gradients_cost_and_hold_more(clock) -> None:
    sizes = {"n": 32, "c": 8, "e": 8}
    forward, both = (profile("relu", sizes=sizes, backward=b).rows[0] for b in (False, True))
    assert both.flops == 3 * forward.flops
    assert both.peak_bytes > forward.peak_bytes


def test_a_module_with_its_inputs_and_weights(clock, monkeypatch) -> None:
    block = CATALOGUE["block"].dissected(causal=True)
    sizes = {"d": 8, "h": 2, "c": 4, "e": 4, "f": 16}
    module = vs.to_torch(block, torch.float64, sizes=sizes, seed=3)
    x = torch.randn(5, 8, dtype=torch.float64)
    made = []
    compiled = profiles._Profiler._compiled

    def kept(self, one):
        made.append(compiled(self, one))
        return made[-1]

    monkeypatch.setattr(profiles._Profiler, "_compiled", kept)
    found = profile(module, [x])
    assert found.dtype == "float64"
    assert found.sizes == {"n": 5, **sizes}
    assert [row.parts[0] for row in found.rows] == [
        "norm", "attention", "add → x", "norm", "mlp", "add → x",
    ]  # fmt: skip
    weights = {name: value for part in made for name, value in part.state_dict().items()}
    assert weights.keys() == module.state_dict().keys()
    for name, value in module.state_dict().items():
        assert torch.equal(weights[name], value)
    opened = profile(module, [x], depth=1)
    assert SDPA in [kernel for row in opened.rows for kernel in row.kernels]
    assert len(opened.rows) > len(found.rows)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(LookupError, match="there is no mechanism 'multihad'; did you mean"):
        profile("multihad")
    with pytest.raises(SizeError, match="has no size 'q'; it has n, d, h"):
        profile("multihead", sizes={"q": 3})
    with pytest.raises(StructureError, match="has 3 inputs, 1 were given"):
        profile("softcap", [torch.ones(2, 2)])
    with pytest.raises(SizeError):
        profile("softcap", [torch.ones(2, 3), torch.ones(2, 4), torch.ones(2, 2)])
    with pytest.raises(StructureError, match="a module, a diagram or a mechanism, not Linear"):
        profile(torch.nn.Linear(2, 2))


# -- how it looks ---------------------------------------------------------------------------------


def test_the_table_and_the_pictures_say_the_same(clock, tmp_path) -> None:
    found = profile("multihead", sizes={"n": 16, "d": 32, "h": 2})
    lines = str(found).splitlines()
    assert lines[0] == "multihead, forward, cpu, float32: n = 16, d = 32, h = 2, c = 16, e = 16"
    assert re.match(r"similarity \+ normaliser \+ mixing +2 s +22% ", lines[3])
    assert re.match(r"  normaliser alone +4 s +", lines[5])
    assert re.match(r"the whole module +7 s ", lines[-1])
    picture = found.svg()
    root = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    tags = [g for g in root.iter(f"{space}g") if g.get("class") == "tag"]
    assert [tag.find(f"{space}text").text for tag in tags] == ["1", "2", "2", "2", "3"]
    ids = {g.get("id") for g in root.iter(f"{space}g")}
    coloured = re.findall(r"#(multihead-[\w-]+)>rect\{fill:(hsl[^}]*)\}", picture)
    assert len(coloured) == 5
    assert {name for name, _ in coloured} <= ids
    assert coloured[1][1] == coloured[2][1] != coloured[4][1]
    assert coloured[4][1] == "hsl(8 95% 45%)", "what takes longest is the warmest"
    words = "".join(root.itertext())
    assert "2 s, 22% (predicted" in words
    assert "the parts 9 s, the whole module 7 s" in words
    page = found.html(theme="dark")
    assert "v-dark" in page
    assert page.count('<tr class="alone">') == 3
    assert found.save(tmp_path / "a.svg").read_text() == picture
    assert found._repr_html_().count("<svg") == 1


def test_a_diagram_of_single_boxes_is_drawn_too(clock) -> None:
    found = profile(CATALOGUE["multihead"](), sizes={"n": 8, "d": 16, "h": 2, "c": 8, "e": 8})
    assert found.rows[0].parts == ("contract wq",)
    assert any(row.kernels == (SDPA,) for row in found.rows)
    ElementTree.fromstring(found.svg())


def test_the_command(tmp_path) -> None:
    run = CliRunner().invoke
    sizes = ["--sizes", "n=16,c=8,e=8"]
    done = run(app, ["profile", "softcap", *sizes, "--json", "-o", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith(f"wrote {tmp_path / 'a.html'} (")
    said = json.loads(done.stdout)
    assert said["sizes"] == {"n": 16, "c": 8, "m": 16, "e": 8}
    assert said["rows"][0]["kernels"] == ["tiles"]
    assert 0 < said["rows"][0]["seconds"] < 60
    assert len(said["rows"][0]["alone"]) == 3
    assert "<table>" in (tmp_path / "a.html").read_text()
    text = run(app, ["profile", "multihead", "--with", "causal", "--sizes", "n=8,d=8,h=2"]).output
    assert "similarity + normaliser + mixing" in text or "mask" in text
    assert run(app, ["profile", "softcap", "--dtype", "int8"]).exit_code == 2


# -- measuring ------------------------------------------------------------------------------------


def test_calls_take_turns() -> None:
    order = []
    times = together([lambda: order.append("a"), lambda: order.append("b")], budget=0.0)
    assert order == ["a", "b"] * 6
    assert all(time >= 0 for time in times)


def test_the_peak_is_the_most_at_once() -> None:
    def run():
        x = torch.ones(1000)
        y = x + 1
        del x
        return y + 1  # y and the result

    assert 8000 <= peak_bytes(run) < 8100  # and a number or two


def test_threads_are_those_asked_for_and_afterwards_those_of_before(monkeypatch):
    before, seen = torch.get_num_threads(), []
    run = profiles._Profiler.run

    def watched(self, *given):
        seen.append((torch.get_num_threads(), self.machine.threads))
        return run(self, *given)

    monkeypatch.setattr(profiles._Profiler, "run", watched)
    try:
        torch.set_num_threads(3)
        vs.profile("linear", sizes={"n": 4}, budget=0.01)
        vs.profile("linear", sizes={"n": 4}, budget=0.01, threads=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, 1), (2, 2)]
    with pytest.raises(vs.StructureError, match="threads is a whole number from 1, not 0"):
        vs.profile("linear", threads=0)
