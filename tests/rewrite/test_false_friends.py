"""Tempting rewritings that are wrong: each is refused by typing or refuted by a script.

Every one of them has been made, in code or in print. A checker that certifies one of them is
worth nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import vesalius as vs
from vesalius.diagrams.errors import AxisError
from vesalius.rewrite.check import check
from vesalius.rewrite.refusals import RuleError
from vesalius.rewrite.rule import Rule, rule

ROOT = Path(vs.__file__).parents[1]

WRONG: dict[str, Callable[[], Any]] = {}


def wrong(thing: Callable[[], Any]) -> Callable[[], Any]:
    WRONG[thing.__name__] = thing
    return thing


def equal(function: Callable[..., Any]) -> Rule:
    return rule("equal")(function)


# -- softmax ------------------------------------------------------------------------------------


@wrong
def a_factor_passes_through_softmax():
    @equal
    def claim(w: "", s: "m") -> "m":
        """softmax_m(w·s) = w·softmax_m(s)"""
        return vs.softmax(w * s, over="m"), w * vs.softmax(s, over="m")

    return claim


@wrong
def softmax_over_one_axis_is_softmax_over_the_other():
    @equal
    def claim(s: "i j") -> "i j":
        """softmax_i(s) = softmax_j(s)"""
        return vs.softmax(s, over="i"), vs.softmax(s, over="j")

    return claim


@wrong
def softmax_ignores_a_shift_along_its_axis():
    @equal
    def claim(s: "m", c: "m") -> "m":
        """softmax_m(s + c_m) = softmax_m(s)"""
        return vs.softmax(s + c, over="m"), vs.like(vs.softmax(s, over="m"), c)

    return claim


@wrong
def sigmoid_weights_ignore_a_shift():
    @equal
    def claim(s: "m", v: "m", c: "") -> "":
        """Σ_m σ(s + c)·v = Σ_m σ(s)·v"""
        mixed = vs.contract(vs.sigmoid(s), v, over="m")
        return vs.contract(vs.sigmoid(s + c), v, over="m"), vs.like(mixed, c)

    return claim


@wrong
def relu_weights_ignore_a_shift():
    @equal
    def claim(s: "m", v: "m", c: "") -> "":
        """Σ_m relu(s + c)·v = Σ_m relu(s)·v"""
        mixed = vs.contract(vs.relu(s), v, over="m")
        return vs.contract(vs.relu(s + c), v, over="m"), vs.like(mixed, c)

    return claim


@wrong
def a_mask_multiplies_the_weights():
    @equal
    def claim(s: "m", keep: "m bool") -> "m":
        """softmax_m(s where kept, −∞ elsewhere) = softmax_m(s) where kept, 0 elsewhere"""
        inside = vs.where(keep, s, float("-inf"))
        return vs.softmax(inside, over="m"), vs.where(keep, vs.softmax(s, over="m"), 0.0)

    return claim


@wrong
def a_key_bias_vanishes_under_sigmoid():
    @equal
    def claim(q: "c", k: "m c", b: "c", v: "m") -> "":
        """Σ_m σ(q·(k_m + b))·v_m = Σ_m σ(q·k_m)·v_m"""
        plain = vs.contract(vs.sigmoid(vs.contract(q, k, over="c")), v, over="m")
        shifted = vs.sigmoid(vs.contract(q, k + b, over="c"))
        return vs.contract(shifted, v, over="m"), vs.like(plain, vs.sum(b, "c"))

    return claim


@wrong
def a_key_bias_vanishes_before_a_rotation():
    def turned(x, y):
        angle = vs.to_float(vs.iota("m"))
        return x * vs.cos(angle) - y * vs.sin(angle), x * vs.sin(angle) + y * vs.cos(angle)

    def scores(p, q, x, y):
        x, y = turned(x, y)
        return vs.softmax(p * x + q * y, over="m")

    @vs.diagram
    def left(p: "", q: "", x: "m", y: "m", a: "", b: "") -> "m":
        return scores(p, q, x + a, y + b)

    @vs.diagram
    def right(p: "", q: "", x: "m", y: "m", a: "", b: "") -> "m":
        return scores(p, q, x, y)

    return left, right


@wrong
def a_bias_moves_through_a_softcap():
    @equal
    def claim(s: "m", b: "m") -> "m":
        """softmax_m(tanh(s) + b) = softmax_m(tanh(s + b))"""
        return vs.softmax(vs.tanh(s) + b, over="m"), vs.softmax(vs.tanh(s + b), over="m")

    return claim


@wrong
def a_symmetric_distance_is_a_difference_of_positions():
    @vs.diagram
    def left(s: "i j", slope: "") -> "i j":
        distance = vs.to_float(vs.abs(vs.iota("i") - vs.iota("j")))
        return vs.softmax(s - slope * distance, over="j")

    @vs.diagram
    def right(s: "i j", slope: "") -> "i j":
        distance = vs.to_float(vs.iota("i") - vs.iota("j"))
        return vs.softmax(s - slope * distance, over="j")

    return left, right


# -- linear maps and what is not linear ---------------------------------------------------------


@wrong
def relu_passes_through_a_sum():
    @equal
    def claim(x: "j") -> "":
        """Σ_j relu(x_j) = relu(Σ_j x_j)"""
        return vs.sum(vs.relu(x), "j"), vs.relu(vs.sum(x, "j"))

    return claim


@wrong
def an_affine_map_passes_through_a_sum():
    @equal
    def claim(x: "j c", w: "c", b: "") -> "":
        """Σ_j (x_j·w + b) = (Σ_j x_j)·w + b"""
        each = vs.contract(x, w, over="c") + b
        return vs.sum(each, "j"), vs.contract(vs.sum(x, "j"), w, over="c") + b

    return claim


def normalised(x, axes):
    return x / vs.sqrt(vs.contract(x, x, over=axes))


@wrong
def a_norm_passes_through_a_sum():
    @equal
    def claim(x: "j c") -> "c":
        """Σ_j x_j/‖x_j‖ = (Σ_j x_j)/‖Σ_j x_j‖"""
        return vs.sum(normalised(x, "c"), "j"), normalised(vs.sum(x, "j"), "c")

    return claim


@wrong
def a_sum_of_maxima_is_a_maximum_of_sums():
    @equal
    def claim(x: "i j") -> "":
        """Σ_i max_j x = max_j Σ_i x"""
        return vs.sum(vs.max(x, "j"), "i"), vs.max(vs.sum(x, "i"), "j")

    return claim


@wrong
def a_value_bias_leaves_sigmoid_weights():
    @equal
    def claim(s: "m", y: "m", b: "") -> "":
        """Σ_m σ(s)·(y_m + b) = Σ_m σ(s)·y_m + b"""
        weights = vs.sigmoid(s)
        return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b

    return claim


@wrong
def a_value_bias_leaves_weights_with_a_sink():
    @equal
    def claim(s: "m", y: "m", b: "") -> "":
        """the same with weights exp(s) / (1 + Σ_m exp(s))"""
        e = vs.exp(s)
        weights = e / (1 + vs.sum(e, "m"))
        return vs.contract(weights, y + b, over="m"), vs.contract(weights, y, over="m") + b

    return claim


@wrong
def a_value_bias_leaves_dropped_weights():
    def weights(s):
        return vs.where(vs.random("m", "bernoulli", name="keep"), vs.softmax(s, over="m"), 0.0)

    @vs.diagram
    def left(s: "m", y: "m", b: "") -> "":
        return vs.contract(weights(s), y + b, over="m")

    @vs.diagram
    def right(s: "m", y: "m", b: "") -> "":
        return vs.contract(weights(s), y, over="m") + b

    return left, right


@wrong
def an_epsilon_of_a_product_is_one_of_each_factor():
    epsilon = 1e-6

    def length(x):
        return vs.sqrt(vs.contract(x, x, over="c"))

    @equal
    def claim(q: "c", k: "c") -> "":
        """q·k / (‖q‖·‖k‖ + ε) = q/(‖q‖ + ε) · k/(‖k‖ + ε)"""
        inside = vs.contract(q, k, over="c") / (length(q) * length(k) + epsilon)
        apart = (q / (length(q) + epsilon), k / (length(k) + epsilon))
        return inside, vs.contract(*apart, over="c")

    return claim


@wrong
def heads_are_normalised_before_or_after_they_are_joined():
    @equal
    def claim(o: "h e", w: "h e") -> "":
        """(o/‖o‖)·w = Σ_h (o_h/‖o_h‖)·w_h"""
        joined = vs.contract(normalised(o, "h e"), w, over="h e")
        return joined, vs.contract(normalised(o, "e"), w, over="h e")

    return claim


@wrong
def a_mask_goes_before_a_mixing_of_heads():
    @equal
    def claim(s: "h m", p: "h", keep: "m bool") -> "m":
        """softmax_m(mask(Σ_h p_h·s_h)) = softmax_m(Σ_h p_h·mask(s_h))"""
        low = -1e4  # what stands for minus infinity
        after = vs.where(keep, vs.contract(p, s, over="h"), low)
        before = vs.contract(p, vs.where(keep, s, low), over="h")
        return vs.softmax(after, over="m"), vs.softmax(before, over="m")

    return claim


# -- draws and learned things -------------------------------------------------------------------


def dropped(x, name):
    return vs.where(vs.random("n", "bernoulli", name=name), x, 0.0)


@wrong
def two_draws_are_one_draw_copied():
    @vs.diagram
    def left(x: "n") -> "n":
        return dropped(x, "keep") + dropped(x, "keep")

    @vs.diagram
    def right(x: "n") -> "n":
        once = dropped(x, "keep")
        return once + once

    return left, right


@wrong
def two_learned_maps_are_one_copied():
    @vs.diagram
    def left(x: "n d", y: "n d") -> "n e":
        w, u = vs.parameter("w", "d e"), vs.parameter("u", "d e")
        return vs.contract(x, w, over="d") * vs.contract(y, u, over="d")

    @vs.diagram
    def right(x: "n d", y: "n d") -> "n e":
        w = vs.parameter("w", "d e")
        return vs.contract(x, w, over="d") * vs.contract(y, w, over="d")

    return left, right


@wrong
def products_reassociate_around_dropout_of_the_weights():
    @vs.diagram
    def left(q: "n c", k: "m c", v: "m e") -> "n e":
        keep = vs.random("n m", "bernoulli", name="keep")
        weights = vs.where(keep, vs.contract(q, k, over="c"), 0.0)
        return vs.contract(weights, v, over="m")

    @vs.diagram
    def right(q: "n c", k: "m c", v: "m e") -> "n e":
        return vs.contract(q, vs.contract(k, v, over="m"), over="c")

    return left, right


# -- axes and positions -------------------------------------------------------------------------


def causal(scores, row, column, offset=0):
    seen = vs.less_equal(vs.iota(column), vs.iota(row) + offset)
    return vs.softmax(vs.where(seen, scores, float("-inf")), over=column.partition(":")[0])


@wrong
def groups_of_queries_join_the_queries_under_a_causal_mask():
    @vs.diagram
    def left(s: "g n m", v: "m") -> "g n":
        return vs.contract(causal(s, "n", "m"), v, over="m")

    @vs.diagram
    def right(s: "g n m", v: "m") -> "g n":
        rows = vs.merge(s, "g n", "r")
        return vs.split(vs.contract(causal(rows, "r:g*n", "m"), v, over="m"), "r", "g n")

    return left, right


@wrong
def heads_are_repeated_in_either_order():
    def scores(q, k, into):
        grouped = vs.split(q, "h", into)
        return vs.merge(vs.contract(grouped, k, over="c"), into, "h")

    @vs.diagram
    def left(q: "h:kv*r c", k: "kv c", one: "r") -> "h:kv*r":
        return scores(q, k * one, "kv r")

    @vs.diagram
    def right(q: "h:kv*r c", k: "kv c", one: "r") -> "h:kv*r":
        return scores(q, k * one, "r kv")

    return left, right


@wrong
def a_causal_mask_starts_at_the_first_key_when_decoding():
    @vs.diagram
    def left(s: "n m:n+p", old: "p") -> "n m:n+p":
        return causal(s, "n", "m:n+p", vs.size("p")) * vs.sum(old, "p")

    @vs.diagram
    def right(s: "n m:n+p", old: "p") -> "n m:n+p":
        return causal(s, "n", "m:n+p") * vs.sum(old, "p")

    return left, right


@wrong
def keys_normalised_over_tokens_can_be_cached():
    @vs.diagram
    def left(k: "m c", v: "m e", new: "t c") -> "c e":
        return vs.contract(vs.softmax(k, over="m"), v, over="m")

    @vs.diagram
    def right(k: "m c", v: "m e", new: "t c") -> "c e":
        longer = vs.concat(k, new, over=("m", "t"), into="a")
        weights = vs.slice(vs.softmax(longer, over="a"), "a", 0, length="m", into="m")
        return vs.contract(weights, v, over="m")

    return left, right


@wrong
def a_long_convolution_is_a_product_of_spectra_of_the_same_length():
    def convolved(x, h):
        a, b = vs.fourier(x, over="n")
        c, d = vs.fourier(h, over="n")
        return vs.fourier(a * c - b * d, a * d + b * c, over="n", inverse=True)[0]

    @vs.diagram
    def left(x: "n", h: "n") -> "n":
        padded = [vs.pad(y, "n", 0, "n", into="k").rename(k="n") for y in (x, h)]
        return vs.slice(convolved(*padded), "n", 0, length="n")

    @vs.diagram
    def right(x: "n", h: "n") -> "n":
        return convolved(x, h)

    return left, right


@wrong
def a_general_mask_can_be_summed_along_the_way():
    """Only masks of low rank make a running state: a general one needs the weights."""

    @vs.diagram
    def left(q: "n c", k: "m c", v: "m", keep: "n m") -> "n":
        return vs.contract(vs.contract(q, k, over="c") * keep, v, over="m")

    @vs.diagram
    def right(q: "n c", k: "m c", v: "m", keep: "n m") -> "n":
        state = vs.contract(k, v, over="m")
        return vs.contract(q, state, over="c") * vs.sum(keep, "m")

    return left, right


# -- true in a corner ---------------------------------------------------------------------------


@wrong
def true_only_at_size_1_sums():
    @equal
    def claim(x: "j", y: "j") -> "":
        """Σ_j x_j·y_j = (Σ_j x_j)·(Σ_j y_j)"""
        return vs.contract(x, y, over="j"), vs.sum(x, "j") * vs.sum(y, "j")

    return claim


@wrong
def true_only_at_size_1_maximum():
    @equal
    def claim(x: "j") -> "":
        """max_j x_j = mean_j x_j"""
        return vs.max(x, "j"), vs.sum(x, "j") / vs.size("j")

    return claim


@wrong
def true_only_at_size_1_transposed_scores():
    @vs.diagram
    def left(q: "n c", k: "m:n c") -> "n m:n":
        return vs.contract(q, k, over="c")

    @vs.diagram
    def right(q: "n c", k: "m:n c") -> "n m:n":
        return vs.contract(q, k, over="c").rename(n="m", m="n")

    return left, right


@wrong
def true_only_for_non_negative_numbers_relu():
    @equal
    def claim(x: "") -> "":
        """relu(x) = x"""
        return vs.relu(x), x

    return claim


@wrong
def true_only_for_non_negative_numbers_root_of_square():
    @equal
    def claim(x: "") -> "":
        """√(x²) = x"""
        return vs.sqrt(x * x), x

    return claim


@wrong
def true_only_for_non_negative_numbers_square_of_root():
    @equal
    def claim(x: "") -> "":
        """√x·√x = x"""
        return vs.sqrt(x) * vs.sqrt(x), x

    return claim


@wrong
def true_only_for_an_even_number():
    @equal
    def claim(x: "i") -> "":
        """Σ_i (x_i + (−1)^i) = Σ_i x_i"""
        sign = vs.to_float(1 - 2 * vs.remainder(vs.iota("i"), 2))
        return vs.sum(x + sign, "i"), vs.sum(x, "i")

    return claim


@wrong
def true_only_when_two_axes_coincide():
    """Both sides agree on the diagonal i = j, which is all there is when a name is reused."""

    @vs.diagram
    def left(x: "i", y: "j:i") -> "i j:i":
        return x * y

    @vs.diagram
    def right(x: "i", y: "j:i") -> "i j:i":
        return x.rename(i="j") * y.rename(j="i")

    return left, right


@wrong
def true_only_when_two_tubes_coincide():
    """A product of sums along one tube; with a tube each, the sums are of other things."""

    @vs.diagram
    def left(x: "t", y: "u:t") -> "t u:t":
        return vs.softmax(x + y, over="t")

    @vs.diagram
    def right(x: "t", y: "u:t") -> "t u:t":
        return vs.softmax(x + y, over="u")

    return left, right


@wrong
def true_only_at_small_magnitude_clipped():
    @equal
    def claim(x: "") -> "":
        """min(x, 100) = x"""
        return vs.minimum(x, 100.0), x

    return claim


@wrong
def true_only_at_small_magnitude_clipped_exponential():
    @equal
    def claim(x: "") -> "":
        """exp(max(x, −500))·0 + x = max(x, −500)"""
        clipped = vs.maximum(x, -500.0)
        return vs.exp(clipped) * 0.0 + x, clipped

    return claim


@wrong
def true_only_near_zero():
    @equal
    def claim(x: "") -> "":
        """tanh(x) = x − x³/3"""
        return vs.tanh(x), x - vs.power(x, 3) / 3

    return claim


@wrong
def a_double_mean_forgets_its_length():
    @equal
    def claim(x: "i j") -> "":
        """mean_ij x = (Σ_ij x) / i"""
        return vs.mean(x, "i j"), vs.sum(x, "i j") / vs.size("i")

    return claim


# -- the tests ----------------------------------------------------------------------------------


@cache
def verdict_of(name):
    return check(WRONG[name]())


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refuted_by_a_counterexample(name):
    verdict = verdict_of(name)
    assert not verdict
    assert verdict.mark != "outside"
    assert verdict.counterexample is not None, str(verdict)


@pytest.mark.parametrize("name", WRONG)
def test_its_counterexample_is_small(name):
    example = verdict_of(name).counterexample
    assert all(1 <= size <= 3 for size in example.sizes.values())
    assert sum(x.size for x in example.values.inputs) <= 24
    assert not any("tube" in port.name for port in example.pair.left.inputs)


def test_each_counterexample_fails_when_it_is_run(tmp_path):
    for name in WRONG:
        script = str(verdict_of(name).counterexample)
        (tmp_path / f"{name}.py").write_text(script, encoding="utf-8")
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import json, pathlib, runpy, sys\n"
        "found = {}\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).glob('*.py')):\n"
        "    if path.name != 'driver.py':\n"
        "        try:\n"
        "            runpy.run_path(str(path))\n"
        "            found[path.stem] = 'passed'\n"
        "        except BaseException as error:\n"
        "            found[path.stem] = f'{type(error).__name__}: {error}'\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, str(driver), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    results = json.loads(done.stdout)
    assert set(results) == set(WRONG)
    for name, result in results.items():
        assert result.startswith("AssertionError: the sides differ:"), f"{name}: {result}"
        assert "\n  left " in result
        assert "\n  right " in result


def test_a_printed_counterexample_is_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(str(verdict_of("a_factor_passes_through_softmax").counterexample))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert "AssertionError: the sides differ:" in done.stderr


def test_self_attention_needs_a_second_name_for_the_keys():
    with pytest.raises(AxisError, match="'n' is missing"):

        @vs.diagram
        def attention(x: "n d") -> "n d":
            weights = vs.softmax(vs.contract(x, x, over="d"), over="n")
            return vs.contract(weights, x, over="n")


def test_a_side_that_loses_tubes_is_refused_when_it_is_written():
    with pytest.raises(RuleError, match="would lose the tubes of c"):

        @equal
        def claim(s: "m", c: "m") -> "m":
            return vs.softmax(s + c, over="m"), vs.softmax(s, over="m")
