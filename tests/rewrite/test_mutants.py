"""Mutants: every equal rule, changed in one place, must be refused or refuted.

The source of each rule is changed: an axis of a declared type is dropped or added, an axis, a
constant, a function, an operator or an operand is replaced, operands change places, a side
changes its sign or is doubled. A mutant that is the same rule, or whose sides are one diagram,
is equal by representation. Any other survivor stands in `survivors.py` with the reason.
"""

import ast
import copy
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from proofs import proved
from survivors import EQUAL

import vesalius as vs
from vesalius.diagrams.errors import VesaliusError
from vesalius.rewrite import rules
from vesalius.rewrite.check import check
from vesalius.rewrite.checking.instances import Instance, legal_counts, pair_of, samples
from vesalius.rewrite.checking.pair import Pair
from vesalius.rewrite.rule import Rule, anyfunction, many, rule


# -- rules beside those of the library, so that every kind of box is mutated ----------------------
def split_softmax(s: "m", t: "k", v: "m", u: "k") -> "":
    """attention over two sets of keys from attention over each"""
    e, f = vs.exp(s), vs.exp(t)
    whole = vs.sum(e, "m") + vs.sum(f, "k")
    left = vs.contract(e / whole, v, over="m") + vs.contract(f / whole, u, over="k")
    one, other = vs.softmax(s, over="m"), vs.softmax(t, over="k")
    parts = vs.sum(e, "m") * vs.contract(one, v, over="m")
    parts = parts + vs.sum(f, "k") * vs.contract(other, u, over="k")
    return left, parts / whole


def fold_scale(q: "c", k: "c", a: "") -> "":
    """(Σ_c q·k)/(2·a) = Σ_c (q/(2·a))·k"""
    return vs.contract(q, k, over="c") / (2 * a), vs.contract(q / (2 * a), k, over="c")


LOCAL = [split_softmax, fold_scale]


# -- sources --------------------------------------------------------------------------------------
def sources() -> Iterator[tuple[ast.FunctionDef, dict[str, Any]]]:
    """The definition of each equal rule, with the names that it sees."""
    for module in pkgutil.iter_modules(rules.__path__):
        loaded = importlib.import_module(f"{rules.__name__}.{module.name}")
        for node in ast.parse(inspect.getsource(loaded)).body:
            if isinstance(node, ast.FunctionDef) and any(map(is_equal, node.decorator_list)):
                yield node, dict(vars(loaded))
    for function in LOCAL:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(node, ast.FunctionDef)
        node.decorator_list = [ast.parse("rule('equal')", mode="eval").body]
        yield node, {"vs": vs, "rule": rule, "many": many, "anyfunction": anyfunction}


def is_equal(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and getattr(decorator.func, "id", "") == "rule"
        and bool(decorator.args)
        and getattr(decorator.args[0], "value", "") == "equal"
    )


def made(node: ast.FunctionDef, names: dict[str, Any]) -> Rule:
    """The rule that a definition makes. Raises what the definition raises."""
    module = ast.Module([node], [])
    ast.fix_missing_locations(module)
    space = dict(names)
    exec(compile(module, "<mutant>", "exec"), space)
    found = space[node.name]
    assert isinstance(found, Rule)
    return found


SOURCES = {node.name: (node, names) for node, names in sources()}


# -- mutations ------------------------------------------------------------------------------------
FUNCTIONS = {
    "exp": ["sin", "negate"],
    "reciprocal": ["negate", "exp"],
    "negate": ["exp"],
    "sum": ["max", "softmax"],
    "max": ["min"],
    "min": ["max"],
    "softmax": ["max"],
    "sqrt": ["exp"],
    "tanh": ["sigmoid"],
    "sigmoid": ["tanh"],
}
OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add, ast.Div],
    ast.Div: [ast.Mult],
}


def mutants(node: ast.FunctionDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Each mutant of a definition, with what was changed; descriptions are unique."""
    seen: dict[str, int] = {}
    for what, change in changes(node):
        seen[what] = seen.get(what, 0) + 1
        mutant = copy.deepcopy(node)
        change(mutant)
        yield what if seen[what] == 1 else f"{what} ({seen[what]})", mutant


def changes(node: ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    yield from type_changes(node)
    for place, inner in enumerate(ast.walk(node)):
        if isinstance(inner, ast.BinOp):
            yield from operator_changes(place, inner)
        elif isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
            yield f"no − before {ast.unparse(inner.operand)}", without_minus(place)
        elif isinstance(inner, ast.Call):
            yield from call_changes(node, place, inner)
        elif isinstance(inner, ast.Constant) and type(inner.value) in (int, float):
            yield f"{inner.value} + 1", constant(place, inner.value + 1)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            wires = [argument for argument, _ in types(node)]
            for other in wires:
                if inner.id in wires and other != inner.id:
                    yield f"{inner.id} → {other}", name(place, other)
    for what, template in (("−right", "-({})"), ("2·right", "2 * ({})"), ("right + 1", "({}) + 1")):
        yield what, right_side(template)


def at(place: int):
    """A change of the node at a place, in the order in which `ast.walk` finds nodes."""

    def turn(edit):
        def change(mutant: ast.FunctionDef) -> None:
            edit(list(ast.walk(mutant))[place])

        return change

    return turn


def types(node: ast.FunctionDef) -> list[tuple[str, ast.Constant]]:
    """The text of the type of each argument."""
    found = []
    for argument in node.args.args:
        text = argument.annotation
        if isinstance(text, ast.Call):
            text = text.args[0]
        if isinstance(text, ast.Constant):
            found.append((argument.arg, text))
    return found


def type_changes(node: ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    everywhere = {axis for _, text in types(node) for axis in text.value.split()} - {"bool", "int"}
    for k, (argument, text) in enumerate(types(node)):
        axes = text.value.split()
        for axis in sorted(everywhere):
            if axis in axes:
                changed = " ".join(other for other in axes if other != axis)
            else:
                changed = " ".join([axis, *axes])

            def change(mutant: ast.FunctionDef, k: int = k, changed: str = changed) -> None:
                types(mutant)[k][1].value = changed

            yield f'{argument}: "{changed}"', change


def operator_changes(place: int, inner: ast.BinOp) -> Iterator[tuple[str, Any]]:
    shown = ast.unparse(inner)
    for other in OPERATORS.get(type(inner.op), []):

        def change(found: Any, other: Any = other) -> None:
            found.op = other()

        yield f"{shown}, with {other.__name__}", at(place)(change)
    if isinstance(inner.op, (ast.Sub, ast.Div)):

        def swap(found: Any) -> None:
            found.left, found.right = found.right, found.left

        yield f"{shown}, swapped", at(place)(swap)


def without_minus(place: int):
    def unwrap(mutant: ast.FunctionDef) -> None:
        target = list(ast.walk(mutant))[place]

        class Unwrap(ast.NodeTransformer):
            def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
                self.generic_visit(node)
                return node.operand if node is target else node

        Unwrap().visit(mutant)

    return unwrap


def call_changes(node: ast.FunctionDef, place: int, inner: ast.Call) -> Iterator[tuple[str, Any]]:
    shown = ast.unparse(inner)
    if isinstance(inner.func, ast.Attribute):
        for other in FUNCTIONS.get(inner.func.attr, []):

            def rename(found: Any, other: str = other) -> None:
                found.func.attr = other

            yield f"{shown}, with {other}", at(place)(rename)
    if len(inner.args) > 1 and not any(isinstance(a, ast.Constant) for a in inner.args[:2]):

        def swap(found: Any) -> None:
            found.args[:2] = found.args[1::-1]

        yield f"{shown}, swapped", at(place)(swap)
    if len(inner.args) == 3:

        def turn(found: Any) -> None:
            found.args[1:] = found.args[:0:-1]

        yield f"{shown}, last two swapped", at(place)(turn)
    for keyword in [*inner.keywords, *enumerate(inner.args)]:
        text = keyword.value if isinstance(keyword, ast.keyword) else keyword[1]
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield from axis_changes(node, place, inner, keyword, text.value)


def axis_changes(
    node: ast.FunctionDef, place: int, inner: ast.Call, where: Any, axes: str
) -> Iterator[tuple[str, Any]]:
    everywhere = sorted({axis for _, text in types(node) for axis in text.value.split()})
    options = {other for other in everywhere if other not in axes.split()}
    options |= {" ".join(a for a in axes.split() if a != axis) for axis in axes.split()}
    for other in sorted(options):

        def change(found: Any, other: str = other) -> None:
            if isinstance(where, ast.keyword):
                next(k for k in found.keywords if k.arg == where.arg).value = ast.Constant(other)
            else:
                found.args[where[0]] = ast.Constant(other)

        yield f'{ast.unparse(inner)}, over "{other}"', at(place)(change)


def constant(place: int, value: Any):
    def change(found: Any) -> None:
        found.value = value

    return at(place)(change)


def name(place: int, other: str):
    def change(found: Any) -> None:
        found.id = other

    return at(place)(change)


def right_side(template: str):
    def change(mutant: ast.FunctionDef) -> None:
        last = mutant.body[-1]
        assert isinstance(last, ast.Return)
        assert isinstance(last.value, ast.Tuple)
        right = ast.unparse(last.value.elts[1])
        last.value.elts[1] = ast.parse(template.format(right), mode="eval").body

    return change


# -- survivors ------------------------------------------------------------------------------------
def survivors(rule_name: str) -> tuple[dict[str, Rule], int]:
    """The mutants that nothing rejects and that are not equal by representation; and how many
    mutants there were."""
    node, names = SOURCES[rule_name]
    original = made(copy.deepcopy(node), names)
    left: dict[str, Rule] = {}
    count = 0
    for what, mutant in mutants(node):
        count += 1
        try:
            changed = made(mutant, names)
        except (VesaliusError, AttributeError, IndexError, TypeError):
            continue  # refused when it is written, or no rule at all
        if changed.many == original.many and (
            (changed.left, changed.right) == (original.left, original.right)
            or changed.left == changed.right
        ):
            continue  # equal by representation
        if check(changed, explain=False):
            left[what] = changed
    return left, count


def plain(known: Rule) -> Pair:
    """Both sides on as few operands as possible, without tubes."""
    counts = next(legal_counts(known, samples(known)))
    return pair_of(known, Instance(counts, ((),) * sum(counts)))


@pytest.mark.parametrize("rule_name", SOURCES)
def test_every_survivor_is_listed_with_a_proof(rule_name):
    found, count = survivors(rule_name)
    assert count >= 5
    unlisted = set(found) - EQUAL.get(rule_name, {}).keys()
    assert not unlisted, f"prove or refute these mutants of {rule_name}: {sorted(unlisted)}"
    assert set(found) == EQUAL.get(rule_name, {}).keys()
    original = made(*SOURCES[rule_name])
    for what, mutant in found.items():
        pair, first = plain(mutant), plain(original)
        # Once it is known which axes there are, it may be the rule that it was made from.
        assert (pair.left, pair.right) == (first.left, first.right) or proved(pair), what


def test_the_originals_pass():
    """Those that stand here; `test_library.py` checks the others."""
    for function in LOCAL:
        node, names = SOURCES[function.__name__]
        verdict = check(made(copy.deepcopy(node), names))
        assert verdict, str(verdict)


def test_every_rule_of_the_library_is_mutated():
    equal = {name for name, known in rules.RULES.items() if known.grade.name == "equal"}
    assert equal <= set(SOURCES)
