"""Costs hold against formulas derived by hand, opt_einsum, torch's counter and brute force."""

import math
import random
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from opt_einsum.helpers import flop_count
from torch.utils.flop_counter import FlopCounterMode

import vesalius as vs
from vesalius import testing
from vesalius.diagrams import cost as cost_module
from vesalius.diagrams.cost import BYTES_PER_ELEMENT, Cost, CostNumbers, cost, operations
from vesalius.diagrams.errors import FormatError, SizeError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, parse, product

n, m, c, d, e, h = (Size({((name, 1),): 1}) for name in "nmcdeh")


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


# -- formulas derived by hand -----------------------------------------------------------------


def test_attention() -> None:
    found = attention.cost()
    # two products, the scale as one factor a score, four operations a softmax, √c and 1/√c
    assert found.operations == {
        "multiply-add": 2 * n * m * c + 2 * n * m * e + n * m + n * m,
        "exp": n * m,
        "add": n * m,
        "compare": n * m,
        "sqrt": 1,
        "reciprocal": 1,
    }
    assert found.flops == 2 * n * m * c + 2 * n * m * e + 5 * n * m + 2
    # q, k → s; s, a → s'; s' → w; w, v → y; c → √c → 1/√c, of which c is an integer
    scores = 2 * n * m + 2 * n * m + n * m
    assert found.bytes_moved == 4 * (n * c + m * c + scores + 1 + n * m + m * e + n * e) + (
        8 + 8 + 4 + 4 + 4
    )
    assert found.parameters == 0
    # at the second product or where the scores are there twice, a scalar or two beside
    inputs = n * c + m * c + m * e
    assert set(found.peak) == {
        4 * (inputs + n * m + n * e),
        4 * (inputs + 2 * n * m + 1),
        4 * (inputs + n * m) + 12,
    }


def test_attention_in_tubes() -> None:
    b = Size({(("b", 1),): 1})
    found = attention.over("b h").cost()
    assert found.leading("n").flops == b * h * (2 * n * m * c + 2 * n * m * e + 5 * n * m)
    assert found.operations["exp"] == b * h * n * m
    assert found.operations["sqrt"] == 1


@vs.diagram
def block(x: "n d") -> "n d":
    q = vs.linear(x, "d", "h c:d/h", name="wq")
    k = vs.linear(x, "d", "h c:d/h", name="wk").rename(n="m")
    v = vs.linear(x, "d", "h c:d/h", name="wv").rename(n="m")
    w = vs.softmax(vs.contract(q, k, over="c"), over="m")
    a = vs.linear(vs.contract(w, v, over="m"), "h c", "d", name="wo")
    return vs.linear(vs.gelu(vs.linear(x + a, "d", "f:4*d", name="up")), "f", "d", name="down")


def test_a_transformer_block_costs_what_the_literature_says() -> None:
    """24·s·h² + 4·s²·h for the matrix products (Narayanan et al. 2021), 12·h² parameters."""
    found = block.cost()
    products = found.operations["multiply-add"] - n * n * h  # the softmax divides
    assert products == 24 * n * d**2 + 4 * n**2 * d
    assert found.parameters == 12 * d**2
    assert found.leading("d").flops == 24 * n * d**2
    assert found.at(n=128, d=64, h=4).parameters == 12 * 64**2


# -- references that others wrote -------------------------------------------------------------

axes = "abcde"
operands = st.lists(
    st.lists(st.sampled_from(axes), unique=True, max_size=4), min_size=2, max_size=4
)


@given(
    operands, st.sets(st.sampled_from(axes)), st.lists(st.integers(1, 5), min_size=5, max_size=5)
)
def test_contractions_cost_what_opt_einsum_counts(terms, summed, lengths) -> None:
    sizes = dict(zip(axes, lengths, strict=True))
    seen = {axis for term in terms for axis in term}
    over = summed & seen
    builder = vs.Builder()
    wires = [builder.input(f"x{k}", " ".join(term)) for k, term in enumerate(terms)]
    diagram = builder.diagram(vs.contract(*wires, over=sorted(over)))
    expected = flop_count(seen, bool(over), len(terms), sizes)
    assert diagram.cost().given(sizes).flops == expected


def test_matrix_products_cost_what_torch_counts() -> None:
    @vs.diagram
    def linear_layers(x: "b n d") -> "b n d":
        q, k, v = (vs.linear(x, "d", "h c", name=name) for name in ("q", "k", "v"))
        scores = vs.contract(q, k.rename(n="m"), over="c")
        return vs.linear(vs.contract(scores, v.rename(n="m"), over="m"), "h c", "d", name="o")

    sizes = {"b": 2, "n": 5, "d": 12, "h": 3, "c": 4}
    with FlopCounterMode(display=False) as counter:
        linear_layers.evaluate(torch.randn(2, 5, 12), sizes={"h": 3, "c": 4})
    assert linear_layers.cost().given(sizes).flops == counter.get_total_flops() > 0


def test_parameters_are_those_of_torch_s_module() -> None:
    @vs.diagram
    def multihead(x: "n d") -> "n d":
        q, k, v = (vs.linear(x, "d", "h c:d/h", name=name, bias=True) for name in ("q", "k", "v"))
        a = vs.contract(vs.softmax(vs.contract(q, k.rename(n="m"), over="c"), over="m"),
                        v.rename(n="m"), over="m")  # fmt: skip
        return vs.linear(a, "h c", "d", name="o", bias=True)

    module = torch.nn.MultiheadAttention(24, 4)
    expected = sum(p.numel() for p in module.parameters())
    assert multihead.cost().at(n=7, d=24, h=4).parameters == expected


# -- brute force ------------------------------------------------------------------------------


def random_diagram(seed: int, steps: int) -> Diagram:
    """A diagram of boxes that make wires of many types, read in any order."""
    choose = random.Random(seed)
    builder = vs.Builder("random")
    wires = [builder.input("x", "n c"), builder.input("y", "m int")]
    wires.append(builder.input("u", "n"))
    with builder:
        for k in range(steps):
            x, y = choose.choice(wires), choose.choice(wires)
            number = vs.to_float(x) if x.dtype == "bool" else x
            other = vs.to_float(y) if y.dtype == "bool" else y
            step = choose.randrange(9)
            if step == 0:
                made = vs.contract(number, other)
            elif step == 1 and number.names:
                made = vs.contract(number, other, over=choose.choice(number.names))
            elif step == 2:
                made = number + other * k
            elif step == 3 and number.names:
                made = vs.softmax(number, over=choose.choice(number.names))
            elif step == 4:
                made = vs.less(number, other)
            elif step == 5 and number.names:
                axis = choose.choice(number.names)
                made = vs.topk(number, axis, "k:1")[choose.randrange(2)].rename(k=f"k{k}")
            elif step == 6:
                made = vs.parameter(f"w{k}", "n")
            elif step == 7:
                made = vs.random("m")
            else:
                made = vs.negate(number)
            wires.append(made)
    outputs = choose.sample(wires, choose.randint(1, 3))
    return builder.diagram(*outputs)


def numel(diagram: Diagram, wire: int, sizes: dict[str, int]) -> int:
    return math.prod(size.at(sizes) for size in diagram.types[wire].sizes)


def brute_force(diagram: Diagram, sizes: dict[str, int], width: dict[str, int]) -> tuple[int, int]:
    """Bytes moved and peak bytes, by looking at every wire after every box."""
    bytes_of = [numel(diagram, w, sizes) * width[t.dtype] for w, t in enumerate(diagram.types)]
    given = [
        k for k, node in enumerate(diagram.nodes) if node.box.kind.name in ("input", "parameter")
    ]
    moved = peak = 0
    for k, node in enumerate(diagram.nodes):
        alive = 0
        if k not in given:
            moved += sum(bytes_of[w] for w in (*node.src, *node.wires))
        for w in range(len(diagram.types)):
            readers = [j for j, _ in diagram.consumers[w]]
            is_output = any(port.wire == w for port in diagram.outputs)
            made = diagram.owner[w]
            if made in given or (made <= k and (is_output or max([made, *readers]) >= k)):
                alive += bytes_of[w]
        peak = max(peak, alive)
    return moved, peak


SIZES = st.fixed_dictionaries({name: st.integers(1, 6) for name in "nmc"})
WIDTHS = st.fixed_dictionaries({name: st.sampled_from([1, 2, 4, 8]) for name in BYTES_PER_ELEMENT})


@given(st.integers(0, 10**6), st.integers(0, 14), SIZES, WIDTHS)
def test_memory_is_what_brute_force_finds(seed: int, steps: int, sizes, width) -> None:
    diagram = random_diagram(seed, steps)
    found = cost(diagram, element_bytes=width)
    there = found.given(sizes)
    assert (there.bytes_moved, there.peak_bytes) == brute_force(diagram, sizes, width)
    assert not found.peak_is_bound


FLAT = sorted(set(testing.KINDS) - {"named", "scan", "learner"})


@given(st.data())
def test_memory_of_boxes_of_every_kind(data) -> None:
    diagram = data.draw(testing.diagrams(kinds=FLAT))
    sizes = data.draw(testing.sizes_for(diagram))
    there = diagram.cost().given(sizes)
    expected = brute_force(diagram, sizes, dict(BYTES_PER_ELEMENT))
    assert (there.bytes_moved, there.peak_bytes) == expected
    assert there.parameters == sum(
        math.prod(size.at(sizes) for size in type_.axes.values())
        for type_ in diagram.parameters.values()
    )


@given(st.integers(0, 10**6), SIZES)
def test_a_short_list_of_candidates_is_a_bound(seed: int, sizes) -> None:
    diagram = random_diagram(seed, 30)
    exact = cost(diagram)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost_module, "CANDIDATES", 1)
        diagram.__dict__.pop("_memory")
        bounded = cost(diagram)
    assert bounded.given(sizes).peak_bytes >= exact.given(sizes).peak_bytes
    assert bounded.peak_is_bound == (len(exact.peak) > 1)
    assert len(bounded.peak) == 1
    assert ("at most" in str(bounded)) == bounded.peak_is_bound


@given(st.integers(0, 10**6), st.integers(0, 30))
def test_no_candidate_is_at_most_another(seed: int, steps: int) -> None:
    found = cost(random_diagram(seed, steps)).peak
    for one in found:
        for other in found:
            assert one is other or any(coefficient < 0 for _, coefficient in (other - one).terms)


def test_a_floor_that_may_be_negative_bounds_nothing() -> None:
    """A window wider than its axis by one has no position: (n - 4)//2 + 1 is 0 where n is 3."""

    @vs.diagram
    def windows(x: "n") -> "i:(n-4)//2+1 k:4":
        return vs.window(vs.exp(x), "n", "i k:4", stride=2)

    for length in range(3, 9):
        moved, peak = brute_force(windows, {"n": length}, dict(BYTES_PER_ELEMENT))
        there = windows.cost().at(n=length)
        assert (there.bytes_moved, there.peak_bytes) == (moved, peak)
    assert len(windows.cost().peak) == 2


# -- boxes that hold diagrams -----------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 12))
def test_folding_changes_no_cost(seed: int, steps: int) -> None:
    diagram = random_diagram(seed, steps)
    folded, there = diagram.fold().cost(), diagram.cost()
    draws = sum(product(t.axes.values()) for t in diagram.randoms.values()) * 4
    assert folded.operations == there.operations
    assert folded.parameters == there.parameters
    if draws == 0:  # a body's draws are made outside, before it runs
        moved_straight = [
            port
            for port in diagram.outputs
            if diagram.nodes[diagram.owner[port.wire]].box.kind.name in ("input", "parameter")
        ]
        assert folded.bytes_moved == there.bytes_moved
        assert moved_straight or folded.peak == there.peak


@given(testing.diagrams())
def test_operations_are_those_of_the_boxes_one_by_one(diagram: Diagram) -> None:
    totals: dict[str, Size] = {}
    for node in diagram.boxes:
        for name, count in node.box.kind.cost(diagram.site(node)).items():
            totals[name] = totals.get(name, Size({})) + count
    assert diagram.cost().operations == {name: count for name, count in totals.items() if count}
    assert diagram.fold().cost().operations == diagram.cost().operations


def test_a_named_box_in_a_tube_costs_the_tube() -> None:
    @vs.diagram
    def outer(q: "b n c", k: "b m c", v: "m e") -> "b n e":
        return attention.boxed(q, k, v)

    plain = outer.unfold()
    assert len(outer) < len(plain)
    for part in ("operations", "flops", "bytes_moved", "peak", "parameters"):
        assert getattr(outer.cost(), part) == getattr(plain.cost(), part)


def test_a_scan_costs_its_body_at_every_position() -> None:
    @vs.diagram
    def step(s: "c", x: "c") -> {"s": "c", "y": "c"}:
        total = vs.tanh(s * 2 + x)
        return {"s": total, "y": vs.exp(total)}

    @vs.diagram
    def run(s: "c", x: "b t c") -> "b c":
        last, _ = vs.scan(step, over="t", states=[s], sequences=[x])
        return last

    b, t = Size({(("b", 1),): 1}), Size({(("t", 1),): 1})
    found = run.cost()
    assert found.operations == {
        "multiply-add": b * t * c,
        "add": b * t * c,
        "tanh": b * t * c,
        "exp": b * t * c,
    }
    inner = step.over("b").cost()
    assert found.bytes_moved == inner.bytes_moved * t
    # s and x; all outputs y and one state; then 2, s·2 or s·2, s·2 + x
    held = 4 * (c + b * t * c) + 4 * (b * t * c + b * c)
    assert set(found.peak) == {held + 8 + 4 * b * c, held + 2 * 4 * b * c}
    longer = run.substitute(t="t + 1").cost()
    assert longer.flops == found.flops + 4 * b * c


def test_nesting_is_not_unfolded_to_be_counted() -> None:
    """Two uses a level, forty levels: 2⁴⁰ boxes, were they counted one by one."""

    @vs.diagram
    def level(x: "n") -> "n":
        return vs.exp(x)

    for k in range(40):
        builder = vs.Builder(f"level{k}")
        level = builder.diagram(level.boxed(level.boxed(builder.input("x", "n"))))
    assert level.cost().flops == 2**40 * n
    assert level.cost().bytes_moved == 2**40 * 8 * n


# -- details ----------------------------------------------------------------------------------


def test_what_counts_as_a_flop() -> None:
    @vs.diagram
    def mixed(x: "n", y: "n") -> "n":
        noise = vs.random("n")
        keep = (x < y) & ~(y < noise)
        return vs.where(keep, vs.exp(x), vs.to_float(vs.iota("n")))

    found = mixed.cost()
    assert found.operations == {
        "random": n, "less": 2 * n, "logical_not": n, "logical_and": n, "exp": n, "where": n,
    }  # fmt: skip
    assert found.flops == 3 * n
    assert cost(mixed, flops_per_operation={"exp": 10, "random": 4}).flops == 16 * n


def test_element_types_have_their_widths() -> None:
    @vs.diagram
    def compare(x: "n", k: "n int") -> "n bool":
        return x < k

    assert compare.cost().bytes_moved == n * (4 + 8 + 1)
    assert cost(compare, element_bytes={"float": 2}).bytes_moved == n * (2 + 8 + 1)
    assert cost(compare, element_bytes={"bool": 4}).peak == (n * (4 + 8 + 4),)
    with pytest.raises(FormatError, match="not 'double'"):
        cost(compare, element_bytes={"double": 8})


def test_only_what_is_trained_is_a_parameter() -> None:
    @vs.diagram
    def layers(x: "n d") -> "n d":
        table = vs.parameter("table", "n d", trainable=False)
        w = vs.parameter("w", "d e:d")
        return vs.contract(vs.contract(x + table, w, over="d").rename(e="d"), w, over="d").rename(
            e="d"
        )

    assert layers.cost().parameters == d * d  # tied: counted once
    assert layers.cost().peak[0].at({"n": 1, "d": 1}) >= 4 * 3  # the table is there as well


def test_learners_are_named_and_cost_nothing() -> None:
    @vs.diagram
    def score(q: "n c", k: "m c") -> "n m":
        return vs.learner("score", q, k, binds="c")

    found = score.cost()
    assert found.learners == ("score",)
    assert found.flops == 0
    assert "learners still to be filled: score" in str(found)
    assert "learners" not in str(attention.cost())


def test_numbers_and_sympy_agree() -> None:
    import sympy

    found, sizes = attention.cost(), {"n": 7, "m": 5, "c": 3, "e": 2}
    there = found.given(sizes)
    expressions = found.sympy()
    assert set(expressions) == set(CostNumbers.__dataclass_fields__)
    values = {sympy.Symbol(name, integer=True, positive=True): k for name, k in sizes.items()}
    for name in ("flops", "bytes_moved", "peak_bytes", "parameters"):
        assert expressions[name].subs(values) == getattr(there, name)
    for name, count in expressions["operations"].items():
        assert count.subs(values) == there.operations[name]
    assert there.intensity == float(Fraction(there.flops, there.bytes_moved))
    assert there.flops == sum(
        there.operations[name] for name in there.operations
    )  # all of them count one here


def test_missing_and_further_sizes() -> None:
    with pytest.raises(SizeError, match="'e' has no value"):
        attention.cost().at(n=1, m=1, c=1)
    with pytest.raises(SizeError, match="attention has no size 'unused'; it has n, c, m, e"):
        attention.cost().at(n=1, m=1, c=1, e=1, unused=3)
    assert attention.cost().at(n=1, m=1, c=1, e=1).flops == 11
    with pytest.raises(AttributeError):
        attention.cost().at(n=1, m=1, c=1, e=1).flops = 3


def test_leading_terms() -> None:
    found = attention.cost().leading("n")
    assert isinstance(found, Cost)
    assert found.flops == 2 * n * m * c + 2 * n * m * e + 5 * n * m
    assert found.operations["sqrt"] == 1
    assert set(found.peak) == {4 * (n * c + n * m + n * e), 4 * (n * c + 2 * n * m)}
    with pytest.raises(SizeError, match="attention has no size 'z'"):
        attention.cost().leading("z")


def test_the_table_shows_every_formula() -> None:
    found = attention.cost()
    text = str(found)
    assert text.splitlines()[0] == "cost of attention"
    for size in (found.flops, found.bytes_moved, *found.peak, *found.operations.values()):
        assert str(size) in text
    for label in ("FLOPs", "bytes moved", "peak bytes", "parameters", *found.operations):
        assert label in text
    assert max(map(len, text.splitlines())) < 200


def test_an_empty_diagram_costs_its_inputs() -> None:
    found = vs.identity("n c").cost()
    assert (found.flops, found.bytes_moved, found.parameters) == (0, 0, 0)
    assert found.peak == (4 * n * c,)
    assert found.at(n=2, c=3).intensity == 0
    assert vs.cost is cost


@pytest.mark.parametrize("boxes", [0, 1, 20_000])
def test_long_diagrams_add_up(boxes: int) -> None:
    builder = vs.Builder("chain")
    x = builder.input("x", "n")
    for _ in range(boxes):
        x = vs.exp(x)
    chain = builder.diagram(x)
    assert operations(chain) == ({"exp": boxes * n} if boxes else {})
    assert chain.cost().bytes_moved == 8 * boxes * n
    assert chain.cost().peak == (4 * n * min(boxes + 1, 3),)


def test_many_wires_alive_at_once() -> None:
    """Each of 200 inputs of its own size waits for its turn: no candidate hides another."""
    builder = vs.Builder("fan")
    wires = [builder.input(f"x{k}", f"a{k}") for k in range(200)]
    made = [vs.exp(wire) for wire in wires]
    total = vs.add(*(vs.sum(wire, wire.names) for wire in made))
    fan = builder.diagram(total)
    sizes = {f"a{k}": k + 1 for k in range(200)}
    _, peak = brute_force(fan, sizes, dict(BYTES_PER_ELEMENT))
    found = fan.cost()
    assert found.given(sizes).peak_bytes == peak
    assert found.given(sizes).flops == 2 * sum(sizes.values()) + 199
    assert parse(str(found.flops)) == found.flops
