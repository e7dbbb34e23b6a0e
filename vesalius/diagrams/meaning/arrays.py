"""Arrays of exact numbers: all that moves entries, once, and arithmetic on Python numbers.

An algebra of exact numbers derives from `ArrayAlgebra` and says what its numbers are. It must
say how Python numbers become its own (`floats`), what a parameter without a value is
(`arbitrary`), and what a pointwise function does (`apply`); where `+`, `×` and `max` of Python
do not serve it also replaces `plus`, `times`, `total` or `extreme`, and it gains an exponential
by replacing `softmax`.
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from vesalius.diagrams.box import Draw, Parameter, Site
from vesalius.diagrams.boxes.pointwise import Function
from vesalius.diagrams.errors import Outside, SizeError, TypeClash
from vesalius.diagrams.meaning.algebra import Algebra
from vesalius.diagrams.sizes import Size

Array = npt.NDArray[Any]
Real = int | float | Fraction


class ArrayAlgebra(Algebra):
    """Values are numpy arrays. Integers are Python's, in arrays of objects; truth values are
    numpy's bool. Floats are whatever `floats` makes, in arrays of `dtype`.
    """

    dtype: np.dtype[Any] = np.dtype(object)

    def __init__(self) -> None:
        self.begin({}, {}, 0)

    # -- what numbers are: for each algebra to say --------------------------------------------

    @abstractmethod
    def floats(self, x: Array) -> Array:
        """Integers, Fractions and Python floats as the floats of this algebra; floats of this
        algebra as they are. Raises `Outside` for what has no exact form here."""

    @abstractmethod
    def arbitrary(self, name: str, shape: Sequence[int], seed: int | None = None) -> Array:
        """Floats about which nothing is known, the same for a name and a seed (by default that
        of the run). Parameters without a value are these, whatever their initialisation: an
        identity should hold for every value."""

    @abstractmethod
    def apply(
        self, function: Function, numbers: tuple[Real, ...], inputs: Sequence[Array], gives: str
    ) -> Array:
        """A pointwise function other than `where` and `to_float`; floats stand ready where the
        function takes any. `gives` is the element type of the result."""

    def same(self, x: Array, y: Array) -> bool:
        """Whether two results have the same shape and equal entries."""
        return x.shape == y.shape and bool(np.all(x == y))

    # -- where entries are --------------------------------------------------------------------

    def array(self, value: Any, dtype: str) -> Array:
        entries = given(value)
        if entries.dtype == self.dtype and self.dtype != object:
            if dtype != "float":
                raise TypeClash(f"an input of {dtype} entries is not an array of {self.name}")
            return entries
        check = {"float": is_real, "int": is_integer, "bool": is_truth}[dtype]
        for entry in entries.flat:
            if not check(entry):
                raise TypeClash(f"an input of {dtype} entries does not hold {entry!r}")
        if dtype == "bool":
            return entries.astype(bool)
        return elementwise(int, entries) if dtype == "int" else self.floats(entries)

    def shape(self, x: Array) -> tuple[int, ...]:
        return x.shape

    def transpose(self, x: Array, order: Sequence[int]) -> Array:
        return x.transpose(tuple(order))

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        return x.reshape(tuple(shape))

    def broadcast(self, x: Array, shape: Sequence[int]) -> Array:
        return np.broadcast_to(x, tuple(shape))

    def concat(self, parts: Sequence[Array], dim: int) -> Array:
        return np.concatenate(list(parts), axis=dim)

    def stack(self, parts: Sequence[Array]) -> Array:
        return np.stack(list(parts))

    def take(self, x: Array, dim: int, places: Sequence[int]) -> Array:
        return x.take(np.array(places, dtype=np.int64), axis=dim)

    def gather(
        self, table: Array, index: Array, shared: Sequence[int], free: int, size: int
    ) -> Array:
        places = self.places(index)
        if places.size and (places.min() < 0 or places.max() >= size):
            raise SizeError(
                f"gather: an index lies in [0, {size}), found {places.min()} to {places.max()}"
            )
        rank = len(shared) + free
        grid = [
            np.arange(length).reshape([-1 if d == k else 1 for d in range(rank)])
            for k, length in enumerate(shared)
        ]
        return boxed(table[(*grid, places)])

    def places(self, index: Array) -> npt.NDArray[np.int64]:
        """An array of integers of this algebra as machine integers, to index with."""
        try:
            return index.astype(np.int64)
        except OverflowError:
            raise SizeError("gather: an index is far outside any axis") from None

    def pad(self, x: Array, dim: int, before: int, after: int, value: Any, dtype: str) -> Array:
        filler = self.constant(value, ())
        if dtype == "float":
            filler = self.floats(filler)
        elif dtype == "bool":
            filler = filler.astype(bool)
        parts = [
            np.broadcast_to(filler, (*x.shape[:dim], length, *x.shape[dim + 1 :]))
            for length in (before, after)
        ]
        return np.concatenate([parts[0], x, parts[1]], axis=dim)

    def empty(self, shape: Sequence[int], dtype: str) -> Array:
        kind = {"float": self.dtype, "int": np.dtype(object), "bool": np.dtype(bool)}[dtype]
        return np.zeros(tuple(shape), kind)

    # -- sources ------------------------------------------------------------------------------

    def constant(self, value: Any, shape: Sequence[int]) -> Array:
        if isinstance(value, Size):
            value = self.integer(value)
        entries = value if isinstance(value, tuple) else (value,)
        flat = np.empty(len(entries), dtype=object)
        flat[:] = entries
        flat = flat.reshape(tuple(shape))
        if any(isinstance(entry, bool) for entry in entries):
            return flat.astype(bool)
        real = any(isinstance(entry, (float, Fraction)) for entry in entries)
        return self.floats(flat) if real else flat

    def positions(self, size: int) -> Array:
        return np.arange(size).astype(object)

    def parameter(self, token: Parameter, site: Site) -> Array:
        if token.name in self.values:
            value: Array = self.values[token.name]
            return value
        return self.arbitrary(token.name, site.sizes)

    def draw(self, token: Draw, site: Site) -> Array:
        if token.name in self.values:
            value: Array = self.values[token.name]
            return value
        if token.distribution == "bernoulli":
            return boxed(self.generator(token.name).random(tuple(site.sizes)) < token.p)
        return self.sampled(token, tuple(site.sizes))

    def sampled(self, token: Draw, shape: Sequence[int]) -> Array:
        """A draw of floats; arbitrary ones, where an algebra has no order to see the law by."""
        return self.arbitrary(token.name, shape)

    def generator(self, name: str, seed: int | None = None) -> np.random.Generator:
        """Draws that are the same for a name and a seed, in any order of evaluation."""
        return np.random.default_rng(digest(self.seed if seed is None else seed, "draw", name))

    # -- arithmetic ---------------------------------------------------------------------------

    def plus(self, x: Array, y: Array) -> Array:
        """The sum of two arrays, entry by entry."""
        return boxed(x + y)

    def times(self, x: Array, y: Array) -> Array:
        """The product of two arrays, entry by entry. Raises `Outside` for an infinite entry."""
        return boxed(x * y)

    def total(self, x: Array, dims: Sequence[int]) -> Array:
        """The sums along dimensions, which stay with length 1."""
        return boxed(x.sum(axis=tuple(dims), keepdims=True))

    def extreme(self, how: str, x: Array, dim: int) -> Array:
        """The `max` or `min` along a dimension, which goes away."""
        return boxed((np.maximum if how == "max" else np.minimum).reduce(x, axis=dim))

    def add(self, site: Site, inputs: Sequence[Array]) -> Array:
        return reduce(self.plus, self._operands(site, inputs))

    def contract(self, site: Site, inputs: Sequence[Array]) -> Array:
        """Products from left to right; an axis is summed as soon as no later operand has it."""
        operands = self._operands(site, inputs)
        last = {axis: k for k, row in enumerate(site.box.maps) for axis in row}
        bound = site.box.bound
        result = operands[0]
        for k, x in enumerate(operands):
            if k:
                result = self.times(result, x)
            done = [axis for axis in bound if last[axis] == k]
            if done:
                result = self.total(result, done)
        shape = [length for d, length in enumerate(result.shape) if d not in bound]
        result = result.reshape(shape)
        return self.floats(result) if "float" in site.dtypes else result

    def _operands(self, site: Site, inputs: Sequence[Array]) -> list[Array]:
        """The inputs with a dimension for each axis of the box, and of one element type."""
        order = range(site.box.inner)
        aligned = [self.align(x, row, order) for x, row in zip(inputs, site.box.maps, strict=True)]
        return [self.floats(x) for x in aligned] if "float" in site.dtypes else aligned

    def reduce(self, how: str, x: Array, dims: Sequence[int]) -> Array:
        if how in ("all", "any"):
            return self.truth(how, x, dims)
        if any(x.shape[d] == 0 for d in dims):
            raise SizeError(f"{how}: an axis of size 0 has none")
        for d in sorted(dims, reverse=True):
            x = self.extreme(how, x, d)
        return x

    def truth(self, how: str, x: Array, dims: Sequence[int]) -> Array:
        """Whether `all` or `any` entries along dimensions are true."""
        return boxed((np.all if how == "all" else np.any)(x, axis=tuple(dims)))

    def softmax(self, x: Array, dims: Sequence[int]) -> Array:
        raise Outside(f"the algebra {self.name} has no exponential")

    def pointwise(
        self,
        function: Function,
        numbers: tuple[Real, ...],
        inputs: Sequence[Array],
        dtypes: Sequence[str],
    ) -> Array:
        real = function.takes == "float" or "float" in dtypes
        if function.name == "to_float":
            return self.embed(inputs[0], dtypes[0])
        if real:
            inputs = [
                x if dtype == "bool" else self.floats(x)
                for x, dtype in zip(inputs, dtypes, strict=True)
            ]
        if function.name == "where":
            condition, x, y = inputs
            return self.choose(condition, x, y, dtypes[-1])
        gives = function.gives
        if gives == "same":
            gives = "float" if real else dtypes[-1]
        return self.apply(function, numbers, inputs, gives)

    def embed(self, x: Array, dtype: str) -> Array:
        """Entries of any element type as floats; true is 1."""
        return self.floats(elementwise(int, x) if dtype == "bool" else x)

    def choose(self, condition: Array, x: Array, y: Array, dtype: str) -> Array:
        """The entries of `x` where the condition holds, those of `y` elsewhere."""
        return np.where(condition, x, y)

    def topk(self, x: Array, k: int, largest: bool) -> tuple[Array, Array]:
        rows = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, x.shape[-1])
        places = np.empty((len(rows), k), dtype=object)
        for places_of_row, row in zip(places, rows, strict=True):
            # A stable sort, also in reverse: among equal entries the first comes first.
            order = sorted(range(len(row)), key=row.__getitem__, reverse=largest)
            places_of_row[:] = order[:k]
        values = np.take_along_axis(rows, places.astype(np.int64), axis=1)
        shape = (*x.shape[:-1], k)
        return values.reshape(shape), places.reshape(shape)

    def fourier(
        self, real: Array, imaginary: Array, dim: int, size: int, inverse: bool
    ) -> tuple[Array, Array]:
        real, imaginary = self.floats(real), self.floats(imaginary)
        if size == 0:
            return real, imaginary
        turns = [self.turn(step, size) for step in range(size)]
        scale = self.floats(boxed(Fraction(1, size if inverse else 1)))
        places = np.outer(np.arange(size), np.arange(size)) % size  # [frequency, position]
        cosines, sines = (np.array(row, dtype=object)[places] for row in zip(*turns, strict=True))
        cos, sin = (self.times(self.floats(table), scale) for table in (cosines, sines))
        minus = self.times(sin, self.floats(boxed(-1)))
        if inverse:
            sin, minus = minus, sin
        last = [d for d in range(real.ndim) if d != dim]
        rows = [x.transpose((*last, dim))[..., None, :] for x in (real, imaginary)]

        def combine(a: Array, b: Array) -> Array:
            terms = self.plus(self.times(rows[0], a), self.times(rows[1], b))
            return np.moveaxis(self.total(terms, [real.ndim])[..., 0], -1, dim)

        return combine(cos, sin), combine(minus, cos)

    def turn(self, step: int, size: int) -> tuple[Any, Any]:
        """The cosine and the sine of `step/size` of a turn."""
        if 4 % size:
            raise Outside(
                f"fourier: the turns of a circle cut in {size} are not rational; lengths 1, 2 "
                "and 4 are exact here"
            )
        quarters = step * (4 // size) % 4
        return (1, 0, -1, 0)[quarters], (0, 1, 0, -1)[quarters]

    # -- functions of a user's own ------------------------------------------------------------

    def call(self, function: Callable[..., Any], inputs: Sequence[Array]) -> Any:
        try:
            results = function(*inputs)
        except (ArithmeticError, AttributeError, TypeError) as error:
            raise Outside(f"the exact form of a box fails on exact numbers: {error}") from error
        if isinstance(results, (tuple, list)):
            return [self.returned(x) for x in results]
        return self.returned(results)

    def returned(self, x: Any) -> Array:
        """What a user's exact form returned, as an array of this algebra."""
        found = np.asarray(x)
        if found.dtype.kind in "iub":
            return found if found.dtype == bool else found.astype(object)
        for entry in found.flat:
            if isinstance(entry, (float, np.floating)) and math.isfinite(entry):
                raise Outside(
                    f"the exact form of a box returned the float {entry!r}: it computes with "
                    "integers and Fractions"
                )
        return found.astype(object)


# -- entries --------------------------------------------------------------------------------------


def exactly(function: Function, numbers: Sequence[Real], inputs: Sequence[Array]) -> Array:
    """A function's exact form on Python numbers, entry by entry.

    Raises `Outside` where there is none, where it is undefined, and where it leaves the exact
    numbers: a finite float made of finite arguments.
    """
    exact = function.exact
    if exact is None:
        raise Outside(f"{function.name} of a rational need not be rational")
    fixed = [exact_number(x) for x in numbers]

    def one(*arguments: Any) -> Any:
        try:
            value = exact(*arguments, *fixed)
        except (ArithmeticError, ValueError, TypeError) as error:
            shown = ", ".join(map(str, (*arguments, *fixed)))
            raise Outside(f"{function.name}({shown}) has no exact value: {error}") from error
        if isinstance(value, float):
            if all(map(finite, arguments)):
                raise Outside(
                    f"the exact form of {function.name} returned the float {value!r}: it "
                    "computes with integers and Fractions"
                )
            return refuse_nan(value, function.name)
        return value

    return elementwise(one, *inputs)


def exact_number(x: Real) -> Real:
    """A finite number as the Fraction that it is; infinities as they are."""
    return Fraction(x) if finite(x) else x


def elementwise(function: Callable[..., Any], *inputs: Array) -> Array:
    """Apply a Python function entry by entry, with broadcasting."""
    return boxed(np.frompyfunc(function, len(inputs), 1)(*inputs))


def boxed(x: Any) -> Array:
    """An array: numpy hands over the bare entry where there are no dimensions."""
    if isinstance(x, np.ndarray):
        return x
    plain = bool if isinstance(x, (bool, np.bool_)) else object
    scalar = np.empty((), dtype=x.dtype if isinstance(x, np.void) else plain)
    scalar[()] = x
    return scalar


def given(value: Any) -> Array:
    """What a user gives (numbers, nested lists, numpy, torch) as an array.

    Numpy's and torch's numbers become Python's. Raises `SizeError` for ragged lists.
    """
    if hasattr(value, "detach"):  # a tensor of torch, which need not be imported
        value = value.detach().cpu()
        value = (value.double() if value.is_floating_point() else value).numpy()
    if isinstance(value, np.ndarray) and value.dtype.names:
        return value
    entries = np.array(value, dtype=object)
    if any(isinstance(entry, (list, tuple, np.ndarray)) for entry in entries.flat):
        raise SizeError("the rows of a nested list differ in length")
    return elementwise(python, entries)


def python(entry: Any) -> Any:
    """A number of numpy or torch as Python's."""
    return entry.item() if hasattr(entry, "item") else entry


def is_real(entry: Any) -> bool:
    """Whether an entry is a real number or an infinity; nan is neither."""
    if isinstance(entry, bool):
        return False
    return isinstance(entry, (int, Fraction)) or (isinstance(entry, float) and entry == entry)


def is_integer(entry: Any) -> bool:
    """Whether an entry is an integer; truth values are not."""
    return isinstance(entry, int) and not isinstance(entry, bool)


def is_truth(entry: Any) -> bool:
    """Whether an entry is a truth value."""
    return isinstance(entry, (bool, np.bool_))


def finite(entry: Any) -> bool:
    """Whether a Python number is finite."""
    return not isinstance(entry, float) or math.isfinite(entry)


def refuse_nan(value: Any, what: str) -> Any:
    """The value; `Outside` when it is not a number, as the sum of both infinities is not."""
    if value != value:
        raise Outside(f"{what}: the result is not a number")
    return value


def digest(*words: object) -> int:
    """An integer of 128 bits that is the same for the same words, in any process."""
    text = "\x1f".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
