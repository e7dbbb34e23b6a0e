"""Counterexamples: small, and printed as code that fails when it is run.

    print(verdict.counterexample)      # a script: python script.py raises AssertionError

The search goes from few operands and no tubes, over the smallest sizes, to small integers; what
remains is simplified entry by entry. A difference too small for float64 is shown in exact
rationals, in the finite field, or in balls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.meaning.residues import FIELD, P, Q
from vesalius.rewrite.checking.code import Listing
from vesalius.rewrite.checking.compare import DEEP, compare
from vesalius.rewrite.checking.draws import Style, draw_floats, fits, small_sizes
from vesalius.rewrite.checking.pair import Array, Pair, Values, differs

SHAPES = 60  # assignments of sizes that are searched
TRIES = 6  # draws at each
SIMPLIFIED = 200  # entries that are simplified
_STYLES = (
    Style(1.0, "integers"),
    Style(1.0),
    Style(30.0),
    Style(1.0, "sparse"),
    Style(1e-4),
    Style(1e4, "integers"),
)


@dataclass(frozen=True)
class Counterexample:
    """A pair of diagrams and values at which they differ.

    `algebra` is where the difference shows: `torch` (float64), `rational`, `field` or `balls`.
    """

    title: str
    pair: Pair
    values: Values
    algebra: str = "torch"
    seed: int = 0

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes of the axes."""
        return self.values.sizes

    def __str__(self) -> str:
        return script(self)


# -- search ---------------------------------------------------------------------------------------


def smallest(
    title: str, pairs: Iterable[Pair], known: Sequence[tuple[Pair, Values]] = (), seed: int = 0
) -> Counterexample | None:
    """A small counterexample among these pairs, else one made of values known to differ."""
    for pair in pairs:
        values = search(pair, seed)
        if values is not None:
            return Counterexample(title, pair, simplified(pair, values, shows), seed=seed)
    for pair, values in known:
        if shows(pair, values) and compare(pair, values, seed) in ("different", "undefined"):
            return Counterexample(title, pair, simplified(pair, values, shows), seed=seed)
    for algebra in ("rational", "balls"):
        for pair, values in known:
            if _shows_in(algebra, pair, values, seed):
                return Counterexample(title, pair, values, algebra, seed)
    return None


def search(pair: Pair, seed: int = 0) -> Values | None:
    """Values at small sizes at which the sides differ so that float64 shows it."""
    for k, sizes in enumerate(islice(small_sizes(pair), SHAPES)):
        rng = np.random.default_rng([seed, 8, k])
        for j in range(TRIES):
            values = draw_floats(pair, sizes, rng, _STYLES[j % len(_STYLES)])
            if shows(pair, values) and _really(pair, values, seed):
                return values
    return None


def shows(pair: Pair, values: Values) -> bool:
    """Whether the sides differ in float64; false where a side cannot be evaluated."""
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    try:
        left, right = (pair.run(side, values, TorchAlgebra()) for side in (pair.left, pair.right))
    except (VesaliusError, RuntimeError):
        return False
    return any(differs(x, y) for x, y in zip(left, right, strict=True))


def _really(pair: Pair, values: Values, seed: int) -> bool:
    """Whether it is a difference over the reals, and at an ordinary point if one-sided."""
    try:
        finding = compare(pair, values, seed)
    except VesaliusError:
        return False
    if finding == "undefined":
        return all((x != 0).all() for x in _floats(values))
    return finding == "different"


def _floats(values: Values) -> Iterator[Array]:
    for x in (*values.inputs, *values.sources.values()):
        if x.dtype.kind == "f":
            yield x


def _shows_in(algebra: str, pair: Pair, values: Values, seed: int) -> bool:
    from vesalius.diagrams.meaning.rational import RationalAlgebra
    from vesalius.rewrite.checking.balls import BallAlgebra

    chosen: Any = RationalAlgebra() if algebra == "rational" else BallAlgebra(DEEP)
    try:
        left, right = (pair.run(side, values, chosen, seed) for side in (pair.left, pair.right))
    except VesaliusError:
        return False
    return not all(chosen.same(x, y) for x, y in zip(left, right, strict=True))


# -- simplification -------------------------------------------------------------------------------


def simplified(pair: Pair, values: Values, fails: Callable[[Pair, Values], bool]) -> Values:
    """The same with smaller sizes and simpler entries, as long as it still fails."""
    values = _smaller(pair, values, fails)
    count = 0
    for group in ("inputs", "sources"):
        names = range(len(values.inputs)) if group == "inputs" else list(values.sources)
        for name in names:
            array = getattr(values, group)[name]
            for place in np.ndindex(array.shape):
                count += 1
                if count > SIMPLIFIED:
                    return values
                values = _simpler(pair, values, fails, group, name, place)
    return values


def _smaller(pair: Pair, values: Values, fails: Callable[[Pair, Values], bool]) -> Values:
    """Cut axes one by one, keeping their first entries."""
    for name in pair.variables:
        while values.sizes[name] > 1:
            sizes = {**values.sizes, name: values.sizes[name] - 1}
            cut = _cut(pair, values, sizes) if fits(pair, sizes) else None
            if cut is None or not fails(pair, cut):
                break
            values = cut
    return values


def _cut(pair: Pair, values: Values, sizes: Mapping[str, int]) -> Values | None:
    types = pair.types
    arrays = []
    for name, x in zip(types, (*values.inputs, *values.sources.values()), strict=True):
        shape = tuple(length.at(sizes) for length in types[name].axes.values())
        if any(new > old for new, old in zip(shape, x.shape, strict=True)):
            return None
        arrays.append(x[tuple(slice(0, length) for length in shape)])
    count = len(values.inputs)
    sources = dict(zip(values.sources, arrays[count:], strict=True))
    return Values(dict(sizes), tuple(arrays[:count]), sources)


def _simpler(
    pair: Pair,
    values: Values,
    fails: Callable[[Pair, Values], bool],
    group: str,
    name: Any,
    place: tuple[int, ...],
) -> Values:
    array = getattr(values, group)[name]
    entry = array[place]
    if array.dtype == bool:
        choices: list[Any] = [False]
    elif array.dtype.kind == "i":
        choices = [0, 1]
    else:
        choices = [0.0, 1.0, -1.0, 2.0, float(np.round(entry)), float(np.round(entry, 1))]
    for choice in choices:
        if entry == choice:
            return values
        changed = array.copy()
        changed[place] = choice
        if group == "inputs":
            inputs = tuple(changed if k == name else x for k, x in enumerate(values.inputs))
            candidate = replace(values, inputs=inputs)
        else:
            candidate = replace(values, sources={**values.sources, name: changed})
        if fails(pair, candidate) and (choice != 0.0 or _stays(pair, candidate)):
            return candidate
    return values


def _stays(pair: Pair, values: Values) -> bool:
    """A zero may make a denominator zero: the sides must still differ where both have values."""
    try:
        return compare(pair, values) in ("different", "unknown")
    except VesaliusError:
        return False


# -- printing -------------------------------------------------------------------------------------


def script(found: Counterexample) -> str:
    """The counterexample as a script that raises `AssertionError` with both values."""
    listing = Listing()
    pair, values = found.pair, found.values
    names = (listing.define(pair.left, "left"), listing.define(pair.right, "right"))
    write = _WRITERS[found.algebra]
    text, check = write(listing, found, names)
    comments = "\n".join(f"# {line}".rstrip() for line in found.title.split("\n"))
    sizes = ", ".join(f"{name} = {value}" for name, value in values.sizes.items())
    where = f"\n# sizes: {sizes}" if sizes else ""
    return f"{comments}{where}\n\n{listing}\n\n\n{text}\n{check}\n"


def _write_torch(
    listing: Listing, found: Counterexample, names: tuple[str, str]
) -> tuple[str, str]:
    listing.imports["import torch"] = None
    first = _first_difference(found)
    text = _calls(found, names, _tensor, first, "")
    boolean = found.pair.left.types[found.pair.left.outputs[first].wire].dtype != "float"
    test = (
        "torch.equal(one, other)"
        if boolean
        else "torch.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True)"
    )
    return text, _assertion(test, "one.tolist()", "other.tolist()")


def _write_rational(
    listing: Listing, found: Counterexample, names: tuple[str, str]
) -> tuple[str, str]:
    listing.imports["from fractions import Fraction"] = None
    text = _calls(found, names, _listed, _first_in(found), ', algebra="rational"')
    return text, _assertion("(one == other).all()", "one.tolist()", "other.tolist()")


def _write_balls(
    listing: Listing, found: Counterexample, names: tuple[str, str]
) -> tuple[str, str]:
    where = "vesalius.rewrite.checking.balls"
    listing.imports[f"from {where} import BallAlgebra"] = None
    listing.imports["from fractions import Fraction"] = None
    options = f", algebra=BallAlgebra({DEEP})"
    text = _calls(found, names, _listed, _first_in(found), options)
    return text, _assertion("BallAlgebra().same(one, other)", "one.tolist()", "other.tolist()")


def _write_field(
    listing: Listing, found: Counterexample, names: tuple[str, str]
) -> tuple[str, str]:
    where = "vesalius.diagrams.meaning.field"
    listing.imports[f"from {where} import FieldAlgebra"] = None
    options = f', algebra="field", seed={found.seed}'
    text = _calls(found, names, _whole, _first_in(found), options)
    return text, _assertion("FieldAlgebra().same(one, other)", "one.tolist()", "other.tolist()")


_WRITERS: dict[str, Callable[[Listing, Counterexample, tuple[str, str]], tuple[str, str]]] = {
    "torch": _write_torch,
    "rational": _write_rational,
    "balls": _write_balls,
    "field": _write_field,
}


def _assertion(test: str, one: str, other: str) -> str:
    message = f'f"the sides differ:\\n  left  {{{one}}}\\n  right {{{other}}}"'
    return f"assert {test}, (\n    {message}\n)"


def _calls(
    found: Counterexample,
    names: tuple[str, str],
    literal: Callable[[Array], str],
    output: int,
    options: str,
) -> str:
    pair, values = found.pair, found.values
    lines = ["inputs = ["]
    for port, x in zip(pair.left.inputs, values.inputs, strict=True):
        lines.append(f"    {literal(x)},  # {port.name}: {pair.left.port_type(port)}")
    lines.append("]")
    unsure = _undetermined(pair)
    for name, x in values.sources.items():
        lines.append(f"{_plain(name)} = {literal(x)}")
    for variable, called, side in zip(
        ("one", "other"), names, (pair.left, pair.right), strict=True
    ):
        given = ""
        for what, own in (("parameters", side.parameters), ("randoms", side.randoms)):
            known = [name for name in values.sources if name in own]
            if known:
                entries = ", ".join(f'"{name}": {_plain(name)}' for name in known)
                given += f", {what}={{{entries}}}"
        left_open = [name for name in unsure if name in side.size_variables]
        if left_open:
            sizes = ", ".join(f'"{name}": {values.sizes[name]}' for name in left_open)
            given += f", sizes={{{sizes}}}"
        pick = f"[{output}]" if len(side.outputs) > 1 else ""
        lines.append(f"{variable} = {called}.evaluate(*inputs{given}{options}){pick}")
    return "\n".join(lines)


def _plain(name: str) -> str:
    return "given_" + "".join(c if c.isalnum() else "_" for c in name)


def _undetermined(pair: Pair) -> list[str]:
    """Size variables that no input and no source determines."""
    known = {
        length.variable
        for type_ in pair.types.values()
        for length in type_.axes.values()
        if length.variable is not None
    }
    return [name for name in pair.variables if name not in known]


def _first_difference(found: Counterexample) -> int:
    from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

    pair = found.pair
    left, right = (pair.run(side, found.values, TorchAlgebra()) for side in (pair.left, pair.right))
    return next(k for k, (x, y) in enumerate(zip(left, right, strict=True)) if differs(x, y))


def _first_in(found: Counterexample) -> int:
    from vesalius.diagrams.meaning.field import FieldAlgebra
    from vesalius.diagrams.meaning.rational import RationalAlgebra
    from vesalius.rewrite.checking.balls import BallAlgebra

    made: Any = {"rational": RationalAlgebra, "field": FieldAlgebra, "balls": BallAlgebra}
    algebra = made[found.algebra](*([DEEP] if found.algebra == "balls" else []))
    pair = found.pair
    left, right = (
        pair.run(side, found.values, algebra, found.seed) for side in (pair.left, pair.right)
    )
    pairs = enumerate(zip(left, right, strict=True))
    return next((k for k, (x, y) in pairs if not algebra.same(x, y)), 0)


def _tensor(x: Array) -> str:
    if x.size == 0:
        dtype = {"b": "torch.bool", "i": "torch.int64"}.get(x.dtype.kind, "torch.float64")
        return f"torch.zeros({x.shape}, dtype={dtype})"
    if x.dtype.kind in "bi":
        return f"torch.tensor({x.tolist()})"
    return f"torch.tensor({x.tolist()}, dtype=torch.float64)"


def _listed(x: Array) -> str:
    if x.dtype.kind == "f":
        x = np.array([Fraction(float(v)) for v in x.flat], dtype=object).reshape(x.shape)
    return repr(x.tolist())


def _whole(x: Array) -> str:
    """Residues as the integers that have them."""
    if x.dtype != FIELD:
        return repr(x.tolist())
    whole = [(p * -2 * Q + q * P) % (P * Q) for p, q in x.ravel().tolist()]
    return repr(np.array(whole, dtype=object).reshape(x.shape).tolist())
