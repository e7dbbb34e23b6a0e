"""The `vesalius` command: verbs, output for people and for machines, errors, exit statuses."""

import json
import re
import signal
import subprocess
import sys

import pytest

import vesalius as vs
from vesalius import cli
from vesalius.cli import verbs


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command with these arguments; returns exit status, stdout and stderr."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["vesalius", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        found = capsys.readouterr()
        return status, found.out, found.err

    return command


def succeeds(result):
    status, out, err = result
    assert (status, err) == (0, "")
    return out


def writes(result, path):
    status, out, err = result
    assert (status, err) == (0, f"wrote {path} ({path.stat().st_size:,} bytes)\n")
    return out


# -- the verbs ------------------------------------------------------------------------------------


def test_help_names_every_verb(run):
    out = succeeds(run("--help"))
    verbs = [command.name or command.callback.__name__ for command in cli.app.registered_commands]
    assert {"tour", "list", "show", "cost", "json"} <= set(verbs)
    for verb in verbs:
        assert re.search(rf"^  {verb} +[A-Z].*\.$", out, re.MULTILINE), verb  # a whole sentence
        assert "Usage: vesalius " + verb in succeeds(run(verb, "--help"))


def test_version(run):
    assert succeeds(run("--version")) == f"vesalius {vs.__version__}\n"


def test_list(run):
    out = succeeds(run("list"))
    lines = out.splitlines()
    names = [line.split()[0] for line in lines[1:] if not line.startswith(" ")]
    assert names == vs.anatomy.names()  # what is wide goes on in the next line, further in
    assert re.search(r"^multihead .* 2017 arXiv:1706.03762 +on request .*causal", out, re.MULTILINE)


def test_list_as_json(run):
    entries = json.loads(succeeds(run("list", "--json")))
    assert [entry["name"] for entry in entries] == vs.anatomy.names()
    for entry, mechanism in zip(entries, vs.anatomy, strict=True):
        assert entry["title"] == mechanism.title
        assert entry["formula"] == mechanism.formula
        assert entry["paper"]["year"] == mechanism.paper.year
        assert entry["paper"]["arxiv"] == (mechanism.paper.arxiv or None)
        assert entry["options"] == mechanism.options
        assert entry["parts"] == mechanism.anatomy
        assert entry["causal"] == mechanism.causal
        assert entry["cacheable"] == mechanism.cacheable
        assert entry["initial"] == mechanism.initial
        assert entry["check"] == mechanism.check


@pytest.mark.parametrize("name", vs.anatomy.names())
def test_show(run, name):
    diagram = vs.anatomy[name]()
    out = succeeds(run("show", name))
    for part in (vs.anatomy[name].title, vs.anatomy[name].formula, str(diagram)):
        assert part in out
    assert f"against {vs.anatomy[name].check}\n" in out
    for parameter, start in vs.anatomy[name].initial.items():
        said = rf"^  {re.escape(parameter)} : .*, {re.escape(start)} at first$"
        assert re.search(said, out, re.MULTILINE)
    assert str(diagram.cost()) in out
    for parameter, type_ in diagram.parameters.items():
        assert f"  {parameter} : {type_}" in out

    found = json.loads(succeeds(run("show", name, "--json")))
    assert found["name"] == name
    shown = found["diagram"]
    assert shown["listing"] == str(diagram)
    assert shown["boxes"] == len(diagram)
    assert list(shown["parameters"]) == list(diagram.parameters)
    assert shown["inputs"] == {port: str(type_) for port, type_ in diagram.input_types.items()}
    assert shown["outputs"] == {"out": str(diagram.output_types["out"])}
    assert shown["cost"]["flops"] == str(diagram.cost().flops)


def test_show_with_options(run):
    wanted = vs.anatomy["block"](norm="post", causal=True, padding=False, heads=2, d=8)
    out = succeeds(run("show", "block", "--with", "norm=post, causal,padding=false,heads=2,d=8"))
    assert str(wanted) in out


def test_cost_in_symbols(run):
    diagram = vs.anatomy["multihead"](causal=True)
    assert succeeds(run("cost", "multihead", "--with", "causal")) == f"{diagram.cost()}\n"
    found = json.loads(succeeds(run("cost", "multihead", "--with", "causal", "--json")))
    assert found["sizes"] == {}
    assert found["cost"]["parameters"] == str(diagram.cost().parameters)
    assert found["cost"]["peak_bytes"].startswith("max(")


def test_cost_in_numbers(run):
    numbers = vs.anatomy["scaled_dot_product"]().cost().at(n=100, m=100, c=64, e=64)
    at = ("cost", "scaled_dot_product", "--at", "n=100,m=100,c=64,e=64")
    out = succeeds(run(*at))
    rows = {line[:14].strip(): line[14:].strip() for line in out.splitlines()}
    assert rows["flops"] == f"{numbers.flops:,}"
    assert rows["peak bytes"] == f"{numbers.peak_bytes:,}"
    assert rows["exp"] == "10,000"
    found = json.loads(succeeds(run(*at, "--json")))
    assert found["sizes"] == {"n": 100, "m": 100, "c": 64, "e": 64}
    assert found["cost"]["flops"] == numbers.flops
    assert found["cost"]["operations"] == dict(numbers.operations)


def test_json_goes_to_a_file_and_comes_back(run, tmp_path):
    path = tmp_path / "m.json"
    wanted = vs.anatomy["multihead"](causal=True, heads=2, d=8)
    arguments = ("multihead", "--with", "causal,heads=2,d=8")
    assert writes(run("json", *arguments, "-o", path), path) == ""
    assert vs.Diagram.from_json(path.read_text()) == wanted
    assert vs.Diagram.from_json(succeeds(run("json", *arguments))) == wanted
    assert succeeds(run("show", path)).startswith(str(wanted))
    assert succeeds(run("cost", path)) == f"{wanted.cost()}\n"
    assert "title" not in json.loads(succeeds(run("show", path, "--json")))
    assert succeeds(run("json", path)) == path.read_text()


def test_tour_hands_its_options_over(run, monkeypatch, tmp_path):
    from vesalius.lab import tour

    taken = []
    monkeypatch.setattr(tour, "take", lambda settings: taken.append(settings) or 7)
    status, _, _ = run("tour")
    assert status == 7
    assert taken == [tour.Settings()]
    where = ("--text", tmp_path / "t.txt", "--out", tmp_path / "o")
    run("tour", *where, "--steps", 9, "--seed", 3, "--threads", 2, "--resume")
    assert taken[1] == tour.Settings(
        text=tmp_path / "t.txt", out=tmp_path / "o", steps=9, seed=3, threads=2, resume=True
    )


def test_derive_prints_the_steps_and_checks_them(run):
    out = succeeds(run("derive", "softmax-to-linear", "--check"))
    assert out.startswith("Softmax attention to linear attention\n")
    assert re.search(r"^  1\. unfold_softmax \(equal\)$", out, re.MULTILINE)
    assert out.count("← decides the grade") == 1
    assert "softmax-to-linear (variant): holds" in out


@pytest.mark.parametrize("ending", ["html", "svg", "tex", "json"])
def test_derive_writes_files(run, tmp_path, ending):
    file = tmp_path / f"x.{ending}"
    assert writes(run("derive", "softmax-to-linear", "-o", file), file) == ""
    text = file.read_text(encoding="utf-8")
    if ending == "json":
        assert vs.Derivation.from_json(text).name == "softmax-to-linear"
    else:
        assert "unfold softmax" in text


def test_derive_lists(run):
    out = succeeds(run("derive", "--list"))
    assert re.search(r"^softmax-to-linear +\d+ +variant ", out, re.MULTILINE)
    entries = json.loads(succeeds(run("derive", "--list", "--json")))
    assert "softmax-to-linear" in [entry["name"] for entry in entries]
    assert {"name", "grade", "law", "source"} == set(entries[0]["steps"][0])


def test_taxonomy_says_what_reaches_softmax_attention(run, tmp_path):
    assert writes(run("taxonomy", "-o", tmp_path / "map.html"), tmp_path / "map.html") == ""
    out = succeeds(run("taxonomy"))
    assert "mechanisms reach softmax attention by a promise" in out
    assert max(map(len, out.splitlines())) <= 110
    assert "normaliser opened" in next(x for x in out.splitlines() if x.startswith("sparsemax "))
    assert (tmp_path / "map.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    found = json.loads(succeeds(run("taxonomy", "--json")))
    assert found["promised"]["shaw"]["grade"] == "reduces"
    assert found["obstructions"]["delta_net"].startswith("A value is written less")
    path = succeeds(run("taxonomy", "shaw", "scaled_dot_product", "--check"))
    assert "fix r" in path
    assert "holds" in path


def test_sizes_that_follow_may_be_left_out(run):
    every = succeeds(run("cost", "multihead", "--at", "n=16,d=8,h=2,c=4,e=4"))
    assert succeeds(run("cost", "multihead", "--at", "n=16,d=8,h=2")) == every


def test_recombine_lists_members_and_classes(run):
    chosen = "similarity=scaled_dot,exponential", "normaliser=softmax,row_sum", "position=nowhere"
    chosen += "mask=visible", "gate=ungated"
    out = succeeds(run("recombine", "preparation=given", *chosen, "--classes"))
    assert "scaled_dot-softmax = exponential-row_sum" in out
    found = json.loads(succeeds(run("recombine", "preparation=given", *chosen, "--json")))
    assert [m["catalogue"] for m in found["members"]] == ["scaled_dot_product", ""]


def test_derive_of_an_unknown_name_says_what_there_is(run):
    status, out, err = run("derive", "softmax-to-liner")
    assert (status, out) == (1, "")
    assert err == (
        "vesalius: there is no derivation 'softmax-to-liner'; did you mean 'softmax-to-linear'?\n"
    )


# -- errors: one message on stderr, nothing on stdout, no traceback --------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show multihaed", "there is no mechanism 'multihaed'; did you mean 'multihead'?"),
        ("cost multihead --with heads=3,d=8", "c = d/h is not an integer for h = 3, d = 8"),
        ("show multihead --with bogus=3", "multihead has no option and no size 'bogus'"),
        ("show multihead --with causal=maybe", "causal is true or false, not 'maybe'"),
        ("cost luong_dot --at n=3", "luong_dot has more sizes: add c=... to --at"),
        ("cost luong_dot --at z=3", "luong_dot has no size 'z'; it has n, c, m"),
        ("show {tmp}/none.json", "none.json: No such file or directory"),
        ("show {tmp}/bad.json", "bad.json: "),
        ("show {tmp}/binary.json", "binary.json is not a text in UTF-8"),
        ("json luong_dot -o {tmp}/no/where.json", "where.json: No such file or directory"),
        ("tour --text {tmp}/none.txt --out {tmp}/out", "cannot read the text {tmp}/none.txt"),
        ("tour --text {tmp}/text.txt --out {tmp}/bad.json", "bad.json: File exists"),
        ("verify pull_out_of_som", "derivation called 'pull_out_of_som'; did you mean 'pull_out"),
        ("taxonomy lineer", "there is no mechanism 'lineer'; did you mean 'linear'?"),
        ("recombine similarity=dott", "there is no part 'dott'; did you mean 'dot'?"),
        ("show encoder --with attention=lineer", "not 'lineer'; did you mean 'linear'?"),
        ("show encoder --with layrs=2", "no size 'layrs'; did you mean 'layers'? its options"),
        ("draw linear -o {tmp}/x.svg --theme drak", "not 'drak'; did you mean 'dark'?"),
    ],
)
def test_what_cannot_be_done_is_one_message(run, tmp_path, arguments, message):
    (tmp_path / "bad.json").write_text('{"surprise": 1}')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.txt").write_text("To be, or not to be. " * 20)
    status, out, err = run(*(part.format(tmp=tmp_path) for part in arguments.split()))
    assert status == 1
    assert out == ""
    assert err.startswith("vesalius: ")
    assert message.format(tmp=tmp_path) in err
    assert "Traceback" not in err
    assert "\n  at " not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("bogus", "No such command"),
        ("show", "Missing argument"),
        ("show multihead --bogus", "No such option: --bogus"),
        ("show multihead --with =3", "'=3' is not a name=value"),
        ("show multihead --with h=2,h=3", "h is given twice"),
        ("cost luong_dot --at n", "n needs a number: n=64"),
        ("cost luong_dot --at n=-3", "n needs a number: n=64"),
        ("show x.json --with causal", "a diagram in a file takes no options"),
        ("show x.txt", "'x.txt': the name of a diagram in a file ends in .json"),
        ("taxonomy bahdanau", "name two mechanisms, as bahdanau scaled_dot_product, or none"),
        ("recombine similarity", "parts of a slot are written as similarity=dot,scaled_dot"),
        ("calibrate --device tpu", "there is no device 'tpu' here"),
        ("tour --steps 0", "--steps"),
        ("tour --steps many", "--steps"),
    ],
)
def test_wrong_usage_exits_with_2(run, arguments, message):
    status, out, err = run(*arguments.split())
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_an_error_of_ours_is_not_hidden(run, monkeypatch):
    monkeypatch.setattr(verbs, "diagram_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("show", "multihead")


def test_as_a_process():
    code = "from vesalius.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "show", "?"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("vesalius: there is no mechanism '?'")
    assert "Traceback" not in done.stderr


def test_nobody_has_to_read_to_the_end():
    code = "import sys; from vesalius.cli import main; main()"
    command = [sys.executable, "-c", code, "list"]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    done.stdout.close()
    assert done.stderr.read() == ""
    assert done.wait() == -signal.SIGPIPE


@pytest.mark.parametrize("arguments", [["list"], ["show", "multihead"], ["cost", "block"]])
def test_verbs_that_show_do_not_load_torch(arguments):
    code = (
        "import sys\nfrom vesalius.cli import main\n"
        f"sys.argv = ['vesalius', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('torch' in sys.modules, 'sympy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["False", "False"]


# -- optimise -------------------------------------------------------------------------------------


def test_optimise_tells_costs_and_the_derivation(run):
    out = succeeds(run("optimise", "linear", "--with", "form=weights", "--at", "n=256,c=16"))
    assert out.startswith("at n = 256, c = 16, m = 256, e = 16\n")
    assert re.search(r"^flops +[\d,]+ +[\d,]+$", out, re.MULTILINE)
    assert "group_operands (equal)" in out
    assert "return out = " in out


def test_optimise_as_json_and_into_a_file(run, tmp_path):
    file = tmp_path / "found.json"
    at = "n=1,d=64,h=4"  # the widths of channels and of the inner layer are implied
    weights = ("--cost", "flops=1,bytes=20")
    out = writes(run("optimise", "multihead", "--at", at, *weights, "--json", "-o", file), file)
    found = json.loads(out)
    assert found["sizes"] == {"n": 1, "d": 64, "h": 4, "c": 16, "e": 16}
    assert found["after"] <= found["before"]
    assert found["cost"] == "flops + 20·bytes"
    derivation = vs.Derivation.from_json(file.read_text())
    assert len(derivation) == len(found["steps"])
    assert derivation.end.cost().at(**found["sizes"]).flops == found["costs"]["flops"]["after"]


def test_optimise_draws(run, tmp_path):
    file = tmp_path / "found.svg"
    given = ("--with", "form=weights", "--at", "n=64,c=8")
    assert "before" in writes(run("optimise", "linear", *given, "-o", file), file)
    assert file.read_text().startswith("<svg")


def test_optimise_says_which_sizes_it_needs(run):
    assert "add c=...,e=... to --at" in run("optimise", "linear", "--at", "n=4")[2]
    assert "has no size 'q'" in run("optimise", "linear", "--at", "n=4,q=4")[2]
    status, _, err = run("optimise", "linear", "--at", "n=4,c=4", "--cost", "speed")
    assert status == 1
    assert "a cost is one of flops" in err
