"""What a search finds by itself, with all equal rules of the library, and how it ends."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import torch
from hypothesis import given, settings

import vesalius as vs
from vesalius import testing
from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.refusals import RuleError
from vesalius.rewrite.rule import rule
from vesalius.rewrite.rules import RULES
from vesalius.rewrite.search.egraph import EGraph
from vesalius.rewrite.search.finite import overflows
from vesalius.rewrite.search.saturate import Saturation, Watch


def holds(found: vs.Diagram) -> None:
    """What every result of a search promises."""
    assert isinstance(found, Derivation)
    found.replay()
    assert found.grade.name == "equal"
    assert found.after <= found.before
    assert found.whole
    if len(found):
        assert found.verdict
        assert found.after < found.before


def kinds(diagram: vs.Diagram) -> list[str]:
    return [node.box.kind.name for node in diagram.boxes]


def functions(diagram: vs.Diagram) -> set[str]:
    return {n.box["function"].name for n in diagram.boxes if n.box.kind.name == "pointwise"}


# -- what it must find ----------------------------------------------------------------------------


@vs.diagram
def weights_first(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(vs.contract(q, k, over="c"), v, over="m")


@vs.diagram
def values_first(q: "n c", k: "m c", v: "m e") -> "n e":
    return vs.contract(q, vs.contract(k, v, over="m"), over="c")


@pytest.mark.parametrize(("n", "linear"), [(8, False), (31, False), (32, False), (33, True)])
def test_attention_without_softmax_is_linear_exactly_when_there_are_more_keys_than_channels(
    n: int, linear: bool
) -> None:
    found = vs.search(weights_first, at={"n": n, "m": n, "c": 32, "e": 32})
    holds(found)
    assert found.proved
    assert found.end == (values_first if linear else weights_first)
    back = vs.search(values_first, at={"n": n, "m": n, "c": 32, "e": 32})
    assert back.end == (weights_first if n < 32 else values_first)


@pytest.mark.parametrize(("n", "linear"), [(32, False), (128, True)])
def test_linear_attention_of_the_catalogue(n: int, linear: bool) -> None:
    """With its denominator: no weight for each query and key is left."""
    weights = vs.anatomy["linear"](form="weights")
    found = vs.search(weights, at={"n": n, "m": n, "c": 32, "e": 32})
    holds(found)
    quadratic = [t for t in found.end.types if {str(s) for s in t.sizes} >= {"n", "m"}]
    assert bool(quadratic) == (not linear)


@vs.diagram
def latent_attention(q: "h n c", latent: "m r", wk: "h r c", wv: "h r e", wo: "h e d") -> "n d":
    k = vs.contract(latent, wk, over="r")
    v = vs.contract(latent, wv, over="r")
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    mixed = vs.contract(vs.softmax(scores, over="m"), v, over="m")
    return vs.contract(mixed, wo, over="h e")


LATENT = {"h": 16, "c": 128, "e": 128, "r": 512, "d": 2048}


def test_latent_attention_is_absorbed_for_decoding_and_expanded_for_training() -> None:
    """DeepSeek-V2 (arXiv 2405.04434): one query reads the latents, many read keys and values."""
    decoding = vs.search(latent_attention, at={"n": 1, "m": 4096, **LATENT})
    training = vs.search(latent_attention, at={"n": 4096, "m": 4096, **LATENT})
    for found in (decoding, training):
        holds(found)

    def of_keys(diagram: vs.Diagram) -> list[set[str]]:
        axes = [{str(size) for size in type_.sizes} for type_ in diagram.types]
        return [a for a in axes if "m" in a and a & {"c", "e"}]

    assert not of_keys(decoding.end), "keys and values are made for each head"
    assert of_keys(training.end)
    assert decoding.before > 100 * decoding.after


@vs.diagram
def attention_free(w: "n m", k: "m e", v: "m e") -> "n e":
    return vs.contract(vs.softmax(w + k, over="m"), v, over="m")


def test_attention_free_is_factored_with_its_rescaling() -> None:
    """An Attention Free Transformer (arXiv 2105.14103): two products, and nothing overflows."""
    sizes = {"n": 512, "m": 512, "e": 64}
    found = vs.search(attention_free, at=sizes)
    holds(found)
    assert all(len(type_.sizes) < 3 for type_ in found.end.types)
    w, k, v = torch.randn(5, 6) * 200, torch.randn(6, 3) * 20, torch.randn(6, 3)
    result = found.end.evaluate(w, k, v, dtype=torch.float32)
    assert torch.allclose(result, attention_free.evaluate(w, k, v).float(), atol=1e-4)
    careless = vs.search(attention_free, at=sizes, finite=False, check=False)
    assert careless.after < found.after
    assert not torch.isfinite(careless.end.evaluate(w, k, v, dtype=torch.float32)).all()


@vs.diagram
def step(s: "c", x: "c", w: "c d", u: "d c") -> {"s": "c", "y": "c"}:
    mixing = vs.contract(w, u.rename(c="k"), over="d")
    s = vs.tanh(vs.contract(s, mixing, over="c").rename(k="c") + x)
    return {"s": s, "y": s * vs.sum(w, "d")}


@vs.diagram
def recurrent(x: "n c", w: "c d", u: "d c") -> "n c":
    return vs.scan(step, over="n", states=[vs.expand(0.0, "c")], sequences=[x], captured=[w, u])[1]


def test_what_a_loop_does_not_change_is_hoisted() -> None:
    found = vs.search(recurrent, at={"n": 64, "c": 32, "d": 32})
    holds(found)
    assert [step.name for step in found] == ["hoist_out_of_scan"]
    assert found.before > 20 * found.after


@vs.diagram
def copied_keys(q: "h n c", k: "m c", v: "m e") -> "h n e":
    keys, values = vs.elu(vs.expand(k, "h")), vs.tanh(vs.expand(v, "h"))
    scores = vs.contract(q, keys, over="c")
    return vs.contract(vs.softmax(scores, over="m"), values, over="m")


@vs.diagram
def one_key_for_all_heads(q: "h n c", k: "m c", v: "m e") -> "h n e":
    scores = vs.contract(q, vs.elu(k), over="c")
    return vs.contract(vs.softmax(scores, over="m"), vs.tanh(v), over="m")


@pytest.mark.parametrize("cost", ["flops", "bytes", {"flops": 1, "bytes": 20}])
def test_multi_query_attention_copies_no_keys(cost: object) -> None:
    found = vs.search(copied_keys, cost=cost, at={"h": 8, "n": 64, "m": 64, "c": 32, "e": 32})
    holds(found)
    assert found.end == one_key_for_all_heads


def test_values_are_projected_after_the_mix_where_that_is_less_work() -> None:
    @vs.diagram
    def few_queries(s: "n m", y: "m d", w: "d e") -> "n e":
        return vs.contract(vs.softmax(s, over="m"), vs.contract(y, w, over="d"), over="m")

    found = vs.search(few_queries, at={"n": 1, "m": 512, "d": 64, "e": 64})
    holds(found)
    assert found.after < found.before / 20


# -- what it leaves alone -------------------------------------------------------------------------


def test_draws_are_neither_merged_nor_made_again() -> None:
    @vs.diagram
    def noisy(x: "n c", w: "c d") -> "n d":
        noise = vs.random("n c")
        return vs.contract(x + noise, w, over="c") + vs.contract(noise, w, over="c")

    found = vs.search(noisy, at={"n": 8, "c": 8, "d": 8})
    assert found.end.randoms == noisy.randoms


def test_parameters_keep_their_names() -> None:
    host = vs.anatomy["multihead"]()
    sizes = {"n": 1, "d": 64, "h": 4, "c": 16, "e": 16}
    found = vs.search(host, cost={"flops": 1, "bytes": 20}, at=sizes)
    holds(found)
    assert found.end.parameters == host.parameters


@given(testing.diagrams(max_boxes=6, kinds=["contract", "add", "pointwise", "softmax"]))
@settings(max_examples=25, deadline=None)
def test_random_diagrams_keep_their_meaning(diagram: vs.Diagram) -> None:
    sizes = dict.fromkeys(diagram.size_variables, 3)
    found = vs.search(diagram, at=sizes, nodes=400, check=False)
    found.replay()
    assert found.after <= found.before
    assert found.end.output_types == diagram.output_types
    if len(found):
        verdict = vs.check((diagram, found.end), explain=False)
        assert verdict or verdict.mark == "outside", str(verdict)


# -- bounds ---------------------------------------------------------------------------------------


def large(count: int, join: str) -> vs.Diagram:
    names = [f"x{k}" for k in range(count)]
    builder = vs.Builder(f"{join}_of_{count}")
    wires = [builder.input(name, "n" if k % 2 else "n m") for k, name in enumerate(names)]
    with builder:
        if join == "sum":
            made = vs.contract(wires[0], vs.add(*wires[1:]), over="m")
        else:
            made = vs.exp(vs.contract(*wires, over="m"))
    return builder.diagram(y=made)


@pytest.mark.parametrize("join", ["sum", "product"])
def test_twenty_operands_do_not_blow_up(join: str) -> None:
    """There are a million sets of twenty operands; few of them come to be e-nodes."""
    diagram = large(20, join)
    found = vs.search(diagram, at={"n": 10, "m": 10}, seconds=30, check=False)
    assert found.statistics.ended.startswith("saturated")
    assert found.statistics.e_nodes < 2000
    assert found.after <= found.before


def test_repeated_squares_do_not_blow_up() -> None:
    @vs.diagram
    def power(x: "n m") -> "n m":
        for _ in range(12):
            x = x * x
        return x

    found = vs.search(power, at={"n": 4, "m": 4}, check=False)
    assert found.statistics.ended.startswith("saturated")
    assert found.statistics.e_nodes < 2000
    assert found.after == found.before


def test_a_block_is_saturated_with_the_whole_library() -> None:
    block = vs.anatomy["block"]()
    sizes = {"n": 256, "d": 64, "h": 4, "c": 16, "e": 16, "f": 256}
    found = vs.search(block, at=sizes, seconds=120, check=False)
    assert found.statistics.ended.startswith("saturated")
    assert found.whole
    assert len(found.start.unfold()) >= 60
    assert found.steps[0].name == "unfold"
    assert found.after < found.before
    found.replay()


def test_bounds_are_kept_and_named() -> None:
    block = vs.anatomy["block"]()
    sizes = {"n": 256, "d": 64, "h": 4, "c": 16, "e": 16, "f": 256}
    few = vs.search(block, at=sizes, nodes=300, check=False)
    assert few.statistics.ended == "300 e-nodes are made"
    assert few.statistics.e_nodes < 1000
    short = vs.search(block, at=sizes, seconds=0.5, check=False)
    assert short.statistics.ended == "0.5 seconds are over"
    for found in (few, short):
        assert found.after <= found.before
        found.replay()


def test_deep_chains_of_rules_are_bounded() -> None:
    shallow = Saturation(weights_first, RULES.values(), {}, depth=0)
    assert shallow.run(Watch(1000, 60)) == "saturated within 0 rules"
    assert not shallow.log


# -- interruption ---------------------------------------------------------------------------------


def interrupting(after: int):
    """A cost that presses Ctrl-C the n-th time that it is asked for."""
    asked = []

    def boxes(diagram: vs.Diagram) -> int:
        asked.append(diagram)
        if len(asked) == after:
            signal.raise_signal(signal.SIGINT)
        return len(diagram)

    return boxes


@pytest.mark.parametrize("after", [1, 2, 5, 20])
def test_interrupted_it_returns_the_best_so_far_and_says_so(after: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    host = vs.anatomy["multihead"]()
    found = vs.search(host, cost=interrupting(after), check=False)
    assert signal.getsignal(signal.SIGINT) is before
    assert found.statistics.ended == "interrupted"
    assert found.after <= found.before
    assert found.after == len(found.end)
    found.replay()


def test_interrupted_while_it_saturates() -> None:
    block = vs.anatomy["block"]()
    sizes = {"n": 256, "d": 64, "h": 4, "c": 16, "e": 16, "f": 256}
    main = threading.main_thread().ident
    presser = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    presser.start()
    start = time.monotonic()
    found = vs.search(block, at=sizes, seconds=300, depth=9, nodes=10**6, check=False)
    presser.join()
    assert time.monotonic() - start < 60
    assert found.statistics.ended == "interrupted"
    found.replay()


def test_an_interruption_raised_by_the_cost_is_one_too() -> None:
    def stubborn(diagram: vs.Diagram) -> int:
        if len(diagram) != len(copied_keys):
            raise KeyboardInterrupt
        return len(diagram)

    found = vs.search(copied_keys, cost=stubborn, check=False)
    assert found.statistics.ended == "interrupted"
    assert found.end == copied_keys


# -- what is refused ------------------------------------------------------------------------------


def test_only_equal_rules_may_be_searched_with() -> None:
    with pytest.raises(RuleError, match="exponential_to_elu_kernel is variant"):
        vs.search(weights_first, [RULES["exponential_to_elu_kernel"]], at={"n": 1})


def test_costs_and_sizes_are_checked_first() -> None:
    with pytest.raises(SizeError, match=r"add at=dict\(m=..., e=...\)"):
        vs.search(weights_first, at={"n": 4, "c": 3})
    with pytest.raises(FormatError, match="a cost is one of flops, bytes, time, peak"):
        vs.search(weights_first, cost="speed", at={})
    with pytest.raises(FormatError, match="a name, weights of names, or a function"):
        vs.search(weights_first, cost=3, at={})


def test_a_wrong_rule_is_caught_by_the_check() -> None:
    @rule("equal")
    def wrong(x: "m", y: "") -> "m":
        """softmax_m(x)·y = x·y"""
        return vs.softmax(x, over="m") * y, x * y

    @vs.diagram
    def host(s: "n m", g: "n") -> "n m":
        return vs.softmax(s, over="m") * g

    with pytest.raises(vs.StructureError, match="the derivation does not hold"):
        vs.search(host, [wrong], at={"n": 3, "m": 4})


# -- costs ----------------------------------------------------------------------------------------


def test_peak_memory_and_functions_are_asked_of_whole_diagrams() -> None:
    sizes = {"n": 64, "m": 64, "c": 8, "e": 8}
    peak = vs.search(weights_first, cost="peak", at=sizes)
    holds(peak)
    assert peak.end.cost().at(**sizes).peak_bytes == peak.after
    assert peak.end == values_first or len(peak.end) == 1
    fewest = vs.search(weights_first, cost=len)
    holds(fewest)
    assert fewest.after == 1
    assert fewest.proved


def test_time_is_measured() -> None:
    found = vs.search(weights_first, cost="time", at={"n": 1024, "m": 1024, "c": 16, "e": 16})
    assert found.end != weights_first
    assert found.after < found.before


# -- exponentials ---------------------------------------------------------------------------------


def test_which_exponentials_may_overflow() -> None:
    @vs.diagram
    def exponentials(s: "n m", t: "m e") -> ("n m", "n m", "n m e", "n m", "n m", "n m", "n m"):
        top = vs.max(s, "m")
        safe = vs.exp(s - top)
        both = vs.exp((s - top) + (t - vs.max(t, "m")))
        return (
            safe,
            vs.exp(-vs.power(s, 2)),
            both,
            vs.exp(s),
            vs.exp(s - vs.max(s, "n")) * vs.exp(top - s),
            vs.exp(s - vs.min(s, "m")),
            vs.exp(-s),
        )

    graph = EGraph()
    _, nodes = graph.insert(exponentials)
    flags = [
        overflows(graph, node)
        for node in nodes
        if node is not None
        and node.box.kind.name == "pointwise"
        and node.box["function"].name == "exp"
    ]
    assert flags.count(False) == 4
    assert flags.count(True) == 4
