"""Examining a mechanism finds out what its entry promises wrongly."""

from dataclasses import replace

import pytest

import vesalius as vs
from vesalius.anatomy.mechanism import diagram_of
from vesalius.inspect.examine import examine
from vesalius.inspect.perturb import grows, leaks


def failures(mechanism):
    return {
        finding.what: finding.found for finding in examine(mechanism).findings if not finding.holds
    }


@pytest.mark.parametrize(
    "name", ["bahdanau", "linear", "sigmoid", "multihead_cross", "rfa", "nystromformer"]
)
def test_what_is_as_it_says(name):
    found = vs.examine(name)
    assert found.ok
    assert str(found).startswith(f"{name}: all holds\n")
    assert [finding.what for finding in found.findings][:4] == [
        "JSON",
        "dissection",
        "causal",
        "cacheable",
    ]


@pytest.mark.parametrize(
    ("name", "changes", "wrong"),
    [
        ("luong_dot", {"causal": "never", "cacheable": "never"}, {"causal", "cacheable"}),
        ("luong_dot", {"causal": "always", "cacheable": "always"}, {"causal", "cacheable"}),
        ("luong_dot", {"cacheable": "never"}, {"cacheable"}),
        ("sigmoid", {"cacheable": "request"}, {"cacheable"}),
        ("multihead_cross", {"causal": "always", "cacheable": "never"}, {"causal"}),
    ],
)
def test_a_wrong_claim_is_found(name, changes, wrong):
    entry = replace(vs.anatomy[name], **changes)
    assert set(failures(entry)) == wrong
    assert "does not hold" in str(examine(entry))
    assert "  NO" in str(examine(entry))
    assert not examine(entry).as_json()["ok"]


def test_a_mask_that_is_off_by_one_leaks():
    """Seeing one position ahead is no causality, however long the sequence."""

    def build(*, causal: bool = False) -> vs.Diagram:
        def body(q, k, v):
            scores = vs.contract(q, k, over="c")
            if causal:
                seen = vs.iota("m:n") <= vs.iota("n") + 1
                scores = vs.where(seen, scores, float("-inf"))
            return vs.contract(vs.softmax(scores, "m"), v, over="m")

        length = ":n" if causal else ""
        inputs = {"q": "n c", "k": f"m{length} c", "v": f"m{length} e"}
        return diagram_of("ahead", inputs, "n e", body)

    entry = replace(vs.anatomy["luong_dot"], name="ahead", build=build)
    assert failures(entry) == {"causal": "never", "cacheable": "never"}


def test_a_module_that_computes_something_else_is_found(monkeypatch):
    from vesalius.compile import module

    right = module.to_torch
    other = vs.anatomy["softcap"]()
    monkeypatch.setattr(module, "to_torch", lambda d, *args, **kw: right(other, *args, **kw))
    assert set(failures("scaled_dot_product")) == {"compiled", "compiled, causal"}


def test_leaks_and_growth_of_a_mean():
    @vs.diagram
    def mean(x: "n c") -> "n c":
        return x + vs.mean(x, "n")

    assert leaks(mean, (3, 4))
    assert grows(mean, (3, 4))

    @vs.diagram
    def alone(x: "n c") -> "n c":
        return vs.exp(x)

    assert not leaks(alone, (3, 4))
    assert not grows(alone, (3, 4))


def test_an_unknown_name():
    with pytest.raises(LookupError, match="did you mean 'linear'"):
        vs.examine("linaer")
