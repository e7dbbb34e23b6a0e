"""`vesalius verify`: what it looks at, what it says, and that it can say no."""

import json

import pytest
from typer.testing import CliRunner

import vesalius as vs
from vesalius import cli
from vesalius.diagrams.errors import FormatError
from vesalius.inspect import verify as verifying
from vesalius.inspect.verify import claims, counted, verify
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules import EXAMPLES, RULES, SCHEMAS

SOME = ["shift_softmax", "reassociate", "softmax-to-linear", "unfold_named"]


@rule("equal")
def wrong(s: "m", c: "m") -> "m":
    """softmax_m(s + c) = softmax_m(s), although c depends on m"""
    return vs.softmax(s + c, over="m"), vs.softmax(s, over="m") + 0 * c


@pytest.fixture
def with_a_wrong_rule(monkeypatch):
    """The library with a rule that is wrong."""
    monkeypatch.setitem(RULES, "wrong", wrong)
    monkeypatch.setitem(EXAMPLES, "wrong", wrong.left)


def test_it_looks_at_everything():
    names = [claim.name for claim in claims()]
    assert {*RULES, *SCHEMAS, "softmax-to-linear", "bahdanau-to-vaswani"} <= set(names)
    assert len(names) == len(set(names)) >= 90


def test_what_is_named_alone():
    found = list(verify(claims(SOME)))
    assert sorted(one.name for one in found) == sorted(SOME)
    assert all(one.ok for one in found), counted(found)
    by_name = {one.name: one for one in found}
    assert by_name["reassociate"].verdict == "exact"
    assert by_name["reassociate"].trials > 10
    assert by_name["softmax-to-linear"].grade == "variant"
    assert by_name["shift_softmax"].floats.row("bfloat16", 1.0).right < 0.1
    assert counted(found) == (
        "2 rules; 1 schemas; 1 derivations; 3 exact, 0 rational, 1 sampled, 0 outside; all hold"
    )


def test_a_wrong_rule_fails(with_a_wrong_rule):
    (found,) = verify(claims(["wrong"]))
    assert not found.ok
    assert found.counterexample
    assert "1 FAILED" in counted([found])


def test_a_rule_that_is_nowhere_found_fails(monkeypatch):
    monkeypatch.setitem(EXAMPLES, "reassociate", EXAMPLES["unfold_softmax"])
    (found,) = verify(claims(["reassociate"]))
    assert not found.ok
    assert found.reason == "it is found in no worked example"


def test_an_unknown_name():
    with pytest.raises(FormatError, match="no rule, schema or derivation called 'softmacs'"):
        claims(["softmacs"])


def run(*arguments):
    return CliRunner().invoke(cli.app, ["verify", *arguments])


def test_the_command():
    done = run(*SOME[:2])
    assert done.exit_code == 0
    assert "reassociate" in done.stdout
    assert "all hold" in done.stdout


def test_the_command_in_json():
    done = run("--json", *SOME)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert {key: len(rows) for key, rows in found.items()} == {
        "rules": 2,
        "schemas": 1,
        "derivations": 1,
    }
    for row in (row for rows in found.values() for row in rows):
        assert {"name", "grade", "verdict", "ok", "trials", "seconds"} <= set(row)
        assert row["ok"] is True
    assert {row["dtype"] for row in found["rules"][0]["floats"]} == {"float32", "bfloat16"}


def test_the_command_says_no(with_a_wrong_rule):
    done = run("wrong", "reassociate")
    assert done.exit_code == 1
    assert "FAILS" in done.stdout
    assert "1 FAILED" in done.stdout


def test_interrupted_it_tells_what_it_found(monkeypatch):
    def interrupted(wanted, seed):
        yield from verify(wanted[:1], seed)
        raise KeyboardInterrupt

    monkeypatch.setattr(verifying, "verify", interrupted)
    done = run(*SOME)
    assert done.exit_code == 1
    assert "1 rules" in done.stdout
