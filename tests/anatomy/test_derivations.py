"""The derivations between mechanisms: they hold, and lead where they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vesalius as vs
from vesalius.anatomy.derivations import DERIVATIONS, UnknownDerivation, recurrent
from vesalius.rewrite.derivation import Derivation

# Where each derivation starts and ends, with its grade and the step that decides it.
WANTED = {
    "multihead-to-multiquery": ("reduces", "share_over_heads"),
    "multihead-to-grouped-query": ("reduces", "share_over_heads"),
    "softmax-to-efficient": ("variant", "softmax_to_softmaxes_of_its_factors"),
    "softmax-to-spherical": ("variant", "softmax_to_unit_rows"),
    "aft-to-simple": ("reduces", "positions_left_out"),
    "mixing-to-fnet": ("reduces", "learned_mixing_to_spectra"),
    "linformer-to-softmax": ("reduces", "summaries_to_tokens"),
    "aft-to-factored": ("equal", ""),
    "mla-to-absorbed": ("equal", ""),
    "softmax-to-aft": ("variant", "softmax_to_attention_free"),
    "aft-to-rwkv": ("reduces", "positions_to_a_decay"),
    "aft-simple-to-recurrent": ("equal", ""),
    "rwkv-to-recurrent": ("equal", ""),
    "efficient-to-recurrent": ("equal", ""),
    "softmax-to-retention": ("variant", "softmax_to_decay"),
    "retention-to-recurrent": ("equal", ""),
    "retention-to-chunked": ("equal", ""),
    "attention-to-streamed": ("equal", ""),
    "attention-to-blocks": ("equal", ""),
    "spherical-to-streamed": ("equal", ""),
    "softmax-to-linear-causal": ("variant", "scaled_exponential_to_elu_kernel"),
    "linear-to-recurrent": ("equal", ""),
    "linear-to-chunked": ("equal", ""),
    "softmax-to-linear": ("variant", "scaled_exponential_to_elu_kernel"),
    "bahdanau-to-vaswani": ("variant", "fill rightwards, leftwards, cell"),
}


def test_every_derivation_is_listed_here() -> None:
    assert set(DERIVATIONS) == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_a_derivation_holds_step_by_step(name: str) -> None:
    found = DERIVATIONS[name]
    verdict = found.check(explain=False)
    assert verdict, str(verdict)
    grade, decisive = WANTED[name]
    assert found.name == name
    assert found.grade.name == verdict.grade == grade
    assert found.decisive is None or found.decisive.name == decisive
    assert (found.decisive is None) == (not decisive)


@pytest.mark.parametrize("name", WANTED)
def test_a_derivation_survives_being_written(name: str) -> None:
    found = DERIVATIONS[name]
    assert Derivation.from_json(found.to_json()) == found
    assert found.inverse().inverse() == found


@pytest.mark.parametrize("name", WANTED)
def test_every_step_says_what_it_does_and_where_that_is_written(name: str) -> None:
    for step in DERIVATIONS[name]:
        assert step.move.doc
        assert ".py:" in step.move.source
    assert DERIVATIONS.entries[name].title
    assert DERIVATIONS.entries[name].doc


def test_an_unknown_derivation_is_refused_with_those_that_there_are() -> None:
    assert "softmax-to-liner" not in DERIVATIONS
    assert DERIVATIONS.get("softmax-to-liner") is None
    with pytest.raises(UnknownDerivation, match=r"^there is no .* 'softmax-to-linear'"):
        DERIVATIONS["softmax-to-liner"]


# -- to linear attention ------------------------------------------------------------------------


def test_linear_attention_is_that_of_the_catalogue() -> None:
    assert DERIVATIONS["softmax-to-linear"].end == vs.anatomy["linear"]()
    causal = DERIVATIONS["softmax-to-linear-causal"].end
    assert causal == vs.anatomy["linear"](causal=True, form="weights")


@pytest.mark.parametrize("name", ["linear-to-recurrent", "linear-to-chunked"])
def test_the_forms_compute_what_the_loop_of_the_catalogue_does(name: str) -> None:
    wanted, made = vs.anatomy["linear"](causal=True), torch.Generator().manual_seed(0)
    q, k = (torch.randn(8, 3, generator=made, dtype=torch.float64) for _ in "qk")
    v = torch.randn(8, 5, generator=made, dtype=torch.float64)
    end = DERIVATIONS[name].end
    for length in (1, 2, 8):
        sizes = {"l": length} if "l" in end.size_variables else {}
        torch.testing.assert_close(end.evaluate(q, k, v, sizes=sizes), wanted.evaluate(q, k, v))


LOOPS = (
    "linear-to-recurrent",
    "retention-to-recurrent",
    "rwkv-to-recurrent",
    "aft-simple-to-recurrent",
    "efficient-to-recurrent",
    "attention-to-streamed",
    "attention-to-blocks",
    "spherical-to-streamed",
)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_holds_nothing_for_each_pair(name: str) -> None:
    """At the start a wire has queries and keys; at the end none has, but within one step.

    Queries and keys are told by their lengths: n and m, or n twice, or n and b blocks.
    """
    found = DERIVATIONS[name]

    def pairs(diagram: vs.Diagram) -> int:
        lengths = [[str(size) for size in type_.sizes] for type_ in diagram.types]
        return sum(sum(row.count(x) for x in ("n", "m", "b")) > 1 for row in lengths)

    assert [n.box.kind.name for n in found.end.boxes].count("scan") == 1
    assert pairs(found.start) > 0
    assert pairs(found.end) == 0


def test_fading_channels_are_rwkvs() -> None:
    """Against the loop of arXiv 2305.13048, equation 16, written out."""
    made = np.random.default_rng(2)
    k, v = made.normal(size=(6, 3)), made.normal(size=(6, 3))
    w, u = made.uniform(0.1, 1, size=3), made.normal(size=3)
    wanted = np.zeros((6, 3))
    for n in range(6):
        top, bottom = np.exp(u + k[n]) * v[n], np.exp(u + k[n])
        for m in range(n):
            weight = np.exp(-(n - 1 - m) * w + k[m])
            top, bottom = top + weight * v[m], bottom + weight
        wanted[n] = top / bottom
    given = [torch.as_tensor(x) for x in (k, v, w, u)]
    for diagram in DERIVATIONS["rwkv-to-recurrent"].diagrams:
        assert np.allclose(diagram.evaluate(*given).numpy(), wanted)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_retention_is_the_recurrence_of_its_paper(length: int) -> None:
    """S_n = γ·S_(n−1) + k_n·v_n, o_n = q_n·S_n (arXiv 2307.08621), q scaled by 1/√c."""
    made = np.random.default_rng(3)
    q, k, v = made.normal(size=(6, 4)), made.normal(size=(6, 4)), made.normal(size=(6, 3))
    decay = 0.7
    state, wanted = np.zeros((4, 3)), np.zeros((6, 3))
    for n in range(6):
        state = decay * state + np.outer(k[n], v[n])
        wanted[n] = q[n] @ state / 2
    given = [torch.as_tensor(x) for x in (q, k, v)]
    g = torch.tensor(np.log(decay / (1 - decay)))
    for name in ("retention-to-recurrent", "retention-to-chunked"):
        for diagram in DERIVATIONS[name].diagrams:
            sizes = {"l": length} if "l" in diagram.size_variables else {}
            got = diagram.evaluate(*given, parameters={"decay": g}, sizes=sizes)
            assert np.allclose(got.numpy(), wanted)


def test_streamed_attention_is_torchs_whatever_the_scores() -> None:
    """Large scores overflow nothing: every exponent is at most 0."""
    end = DERIVATIONS["attention-to-streamed"].end
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) * 1e3 for n in (3, 7, 7))
    wanted = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    torch.testing.assert_close(end.evaluate(q, k, v), wanted)


# -- products in another order ------------------------------------------------------------------


def test_absorbed_projections_leave_no_keys_and_values() -> None:
    found = DERIVATIONS["mla-to-absorbed"]

    def made(diagram: vs.Diagram) -> set[frozenset[str]]:
        return {frozenset(row) for row in diagram.hints}

    assert frozenset("mhc") in made(found.start)
    assert frozenset("mhe") in made(found.start)
    for wire in found.end.hints:
        assert not {"m", "c"} <= set(wire)
        assert not {"m", "e"} <= set(wire)


def test_a_cache_of_latent_vectors_pays_for_one_query() -> None:
    found = DERIVATIONS["mla-to-absorbed"]
    sizes = {"d": 512, "h": 16, "c": 128, "e": 128, "r": 256, "f": 64, "m": 4096}
    naive, absorbed = found.start.cost(), found.end.cost()
    assert absorbed.at(n=1, **sizes).flops < 0.3 * naive.at(n=1, **sizes).flops
    assert absorbed.at(n=4096, **sizes).flops > naive.at(n=4096, **sizes).flops


def test_factored_attention_has_no_array_of_pairs_and_channels() -> None:
    found = DERIVATIONS["aft-to-factored"]
    assert any({"n", "m", "e"} <= set(wire) for wire in found.start.hints)
    assert all(len(wire) < 3 for wire in found.end.hints)


# -- elsewhere, by code that others wrote ---------------------------------------------------------


def test_multi_query_attention_is_torchs() -> None:
    end = DERIVATIONS["multihead-to-multiquery"].end
    sizes = {"n": 5, "d": 6, "h": 4, "c": 3, "e": 3}
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    own = {
        name: torch.randn(
            [s.at(sizes) for s in type_.axes.values()], generator=generator, dtype=torch.float64
        )
        for name, type_ in end.parameters.items()
    }
    q = torch.einsum("nd,dhc->hnc", x, own["wq"])
    shared = [name for name in own if name.startswith("shared")]
    k, v = (x @ own[name] for name in shared)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        q[None], k[None, None], v[None, None], enable_gqa=True
    )[0]
    wanted = torch.einsum("hne,hed->nd", theirs, own["wo"])
    torch.testing.assert_close(end.evaluate(x, parameters=own), wanted)


def test_fnet_is_the_real_part_of_a_transform() -> None:
    end = DERIVATIONS["mixing-to-fnet"].end
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(end.evaluate(x), torch.fft.fft2(x).real)


def test_at_full_rank_summaries_are_tokens() -> None:
    end = DERIVATIONS["linformer-to-softmax"].end
    assert not end.parameters
    q, k, v = (torch.randn(n, 4, dtype=torch.float64) for n in (3, 5, 5))
    wanted = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    torch.testing.assert_close(end.evaluate(q, k, v), wanted)


# -- Bahdanau to Vaswani ------------------------------------------------------------------------


def test_what_is_reached_is_the_attention_of_the_catalogue() -> None:
    found = DERIVATIONS["bahdanau-to-vaswani"]
    assert found.end == vs.anatomy["multihead"](causal=True)


def test_going_down_alone_is_a_reduction() -> None:
    """Of the translator with holes, read on one sequence; not of Bahdanau's own networks."""
    found = DERIVATIONS["bahdanau-to-vaswani"]
    names = [step.name for step in found]
    up = names.index("fill rightwards, leftwards, cell")
    heads = names.index("add_heads")
    assert found[:up].grade.name == "generalises"
    assert found[up:heads].grade.name == "reduces"
    assert found[up : heads + 1].grade.name == "variant"


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def unit(w: dict[str, np.ndarray], s: np.ndarray, *reads: tuple[str, np.ndarray]) -> np.ndarray:
    """The gated hidden unit of arXiv 1409.0473, appendix A.1.1, entry by entry."""
    pre = {gate: s @ w[f"u{gate}"] for gate in "zr"}
    for gate in "zr":
        for axis, x in reads:
            pre[gate] = pre[gate] + x @ w[f"w{gate}_{axis}"]
    z, r = sigmoid(pre["z"]), sigmoid(pre["r"])
    new = (r * s) @ w["u"]
    for axis, x in reads:
        new = new + x @ w[f"w_{axis}"]
    return (1 - z) * s + z * np.tanh(new)


def test_the_translator_is_bahdanaus() -> None:
    """Against loops over words, written from the paper."""
    start = DERIVATIONS["bahdanau-to-vaswani"].start
    sizes = {"n": 4, "m": 5, "d": 3, "c": 2, "k": 3, "e": 4, "a": 5}
    made = np.random.default_rng(1)
    w = {
        name: made.normal(size=[x.at(sizes) for x in type_.axes.values()])
        for name, type_ in start.parameters.items()
    }
    order = {name: list(type_) for name, type_ in start.parameters.items()}

    def of(prefix: str) -> dict[str, np.ndarray]:
        return {n.rpartition(".")[2]: x for n, x in w.items() if n.startswith(prefix)}

    assert all(axes[-1] in "kecad" for axes in order.values())
    x, y = made.normal(size=(4, 3)), made.normal(size=(5, 3))
    left, right = np.zeros((5, 3)), np.zeros((5, 4))
    h = np.zeros(3)
    for j in range(5):
        h = left[j] = unit(of("forwards"), h, ("d", y[j]))
    h = np.zeros(4)
    for j in reversed(range(5)):
        h = right[j] = unit(of("backwards"), h, ("d", y[j]))
    s, before, after = np.zeros(2), np.zeros(3), np.zeros(4)
    score, out = of("decode.score"), of("readout")
    wanted = []
    for i in range(4):
        s = unit(of("decode.cell"), s, ("d", x[i]), ("k", before), ("e", after))
        energies = np.array(
            [
                np.tanh(s @ score["w"] + left[j] @ score["u_left"] + right[j] @ score["u_right"])
                @ score["v"]
                for j in range(5)
            ]
        )
        weights = np.exp(energies) / np.exp(energies).sum()
        before, after = weights @ left, weights @ right
        wanted.append(before @ out["c_left"] + after @ out["c_right"])
    given = {name: torch.as_tensor(value) for name, value in w.items()}
    got = start.evaluate(torch.as_tensor(x), torch.as_tensor(y), parameters=given)
    assert np.allclose(got.numpy(), np.array(wanted))


def test_the_translator_with_holes_is_filled_in_any_order() -> None:
    holes = recurrent.translator
    assert len(holes.learners) == 5
    filled = holes.fill(**recurrent.NETWORKS).fill(score=recurrent.align)
    assert not filled.learners
    assert filled.parameters.keys() == DERIVATIONS["bahdanau-to-vaswani"].start.parameters.keys()
