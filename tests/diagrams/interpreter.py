"""A second meaning of programs: numpy arrays whose dimensions have names, one verb at a time.

It knows nothing of nodes, slots, sharing or tubes as the library has them. A body that is called
in tubes is run once for each position along them; a scan is a loop. Slow, short, and the measure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import erf
from typing import Any, NamedTuple

import numpy as np

from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.testing import Program, Step, Use


class Named(NamedTuple):
    """An array with a name for each dimension."""

    names: tuple[str, ...]
    values: np.ndarray

    def to(self, order: Sequence[str]) -> np.ndarray:
        """Dimensions in this order, of length 1 for names that are not there."""
        kept = [name for name in order if name in self.names]
        assert len(kept) == len(self.names), (self.names, order)
        x = self.values.transpose([self.names.index(name) for name in kept])
        return x.reshape([x.shape[kept.index(n)] if n in kept else 1 for n in order])

    def length(self, name: str) -> int:
        return self.values.shape[self.names.index(name)]

    def last(self, *names: str) -> np.ndarray:
        """These dimensions last, in this order; the others first, as they stand."""
        return self.to([*(n for n in self.names if n not in names), *names])

    def but(self, *names: str) -> tuple[str, ...]:
        return tuple(n for n in self.names if n not in names)

    def at(self, places: Mapping[str, int]) -> "Named":
        """The entries at these positions; names that are not there do not matter."""
        index = tuple(places.get(n, slice(None)) for n in self.names)
        return Named(self.but(*places), self.values[index])


class Context(NamedTuple):
    """Values of size variables; values of parameters and random sources by their own names."""

    sizes: Mapping[str, int]
    given: Mapping[str, np.ndarray]

    def value(self, name: str, axes: Mapping[str, int], dtype: type = float) -> "Named":
        """What stands under a name; zeros where a diagram dropped it, since nothing needs it."""
        zeros = np.zeros(list(axes.values()), dtype)
        return Named(tuple(axes), np.asarray(self.given.get(name, zeros)))


def run(program: Program, arguments: Sequence[Named], context: Context) -> list[Named]:
    """The outputs; each argument has exactly the axes that its input declares."""
    sizes = dict(context.sizes)
    for type_, x in zip(program.inputs.values(), arguments, strict=True):
        for name, length in type_.axes.items():
            if length.variable:
                sizes[length.variable] = x.length(name)
    context = context._replace(sizes=sizes)
    wires = list(arguments)
    for step in program.steps:
        operands = [
            Named(tuple(o.names.get(n, n) for n in wires[o.wire].names), wires[o.wire].values)
            if isinstance(o, Use)
            else o
            for o in step.operands
        ]
        results = perform(step, operands, context)
        for names in step.renamed:
            x = results.pop(0)
            results.append(Named(tuple(names.get(n, n) for n in x.names), x.values))
        wires += results
    return [Named(wires[r.use.wire].names, wires[r.use.wire].values) for r in program.outputs]


def perform(step: Step, operands: list[Any], context: Context) -> list[Named]:
    """The results of one step."""
    options = dict(step.options)
    if step.verb in ("call", "boxed"):
        return called(options["body"], operands, given(options["body"], step, context))
    if step.verb == "scan":
        return scanned(operands, given(options["body"], step, context), context, **options)
    if step.verb in ("parameter", "linear", "random"):
        return SOURCES[step.verb](step, operands, context, **options)
    if step.verb in POINTWISE:
        return [pointwise(POINTWISE[step.verb], numbers(operands, context), **options)]
    made = VERBS[step.verb](*numbers(operands, context), sizes=context.sizes, **options)
    return made if isinstance(made, list) else [made]


def numbers(operands: Iterable[Any], context: Context) -> list[Any]:
    """Numbers and sizes as arrays without dimensions."""
    return [
        scalar(o, context.sizes) if isinstance(o, (int, float, Fraction, Size)) else o
        for o in operands
    ]


def scalar(value: Any, sizes: Mapping[str, int]) -> Named:
    if isinstance(value, Size):
        value = value.at(sizes)
    return Named((), np.array(value if isinstance(value, int) else float(value)))


def read_axes(text: str, sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: length.at(sizes) for name, length in ArrayType.parse(text).axes.items()}


# -- pointwise --------------------------------------------------------------------------------


def union(operands: Iterable[Named]) -> list[str]:
    return list(dict.fromkeys(name for x in operands for name in x.names))


def pointwise(function: Callable[..., Any], operands: list[Named], **options: Any) -> Named:
    names = union(operands)
    return Named(tuple(names), np.asarray(function(*(x.to(names) for x in operands), **options)))


def softplus(x: Any) -> Any:
    return np.logaddexp(x, 0.0)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def choose(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


POINTWISE: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "sin": np.sin,
    "cos": np.cos,
    "erf": np.vectorize(erf, otypes=[float]),
    "gelu": lambda x: x * (1 + np.vectorize(erf, otypes=[float])(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "reciprocal": lambda x: 1 / x,
    "negate": np.negative,
    "power": lambda x, exponent: np.asarray(x, float) ** float(exponent),
    "abs": np.abs,
    "sign": np.sign,
    "relu": lambda x: np.maximum(x, 0),
    "floor": lambda x: np.floor(np.asarray(x, float)),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, x * float(slope)),
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "remainder": np.mod,
    "where": choose,
    "to_float": lambda x: np.asarray(x, float),
    "to_int": lambda x: np.trunc(x).astype(np.int64),
}


# -- verbs ------------------------------------------------------------------------------------


def add(*operands: Named, sizes: Mapping[str, int]) -> Named:
    names = union(operands)
    total: Any = 0
    for x in operands:
        total = total + x.to(names)
    return Named(tuple(names), total)


def contract(*operands: Named, over: str, sizes: Mapping[str, int]) -> Named:
    names = union(operands)
    total: Any = 1
    for x in operands:
        total = total * x.to(names)
    summed = tuple(names.index(name) for name in over.split())
    return Named(tuple(n for n in names if n not in over.split()), np.sum(total, axis=summed))


def reduction(function: Callable[..., Any]) -> Callable[..., Named]:
    def reduce(x: Named, *, over: str, sizes: Mapping[str, int]) -> Named:
        dims = tuple(x.names.index(name) for name in over.split())
        return Named(x.but(*over.split()), np.asarray(function(x.values, axis=dims)))

    return reduce


def softmax(x: Named, *, over: str, sizes: Mapping[str, int]) -> Named:
    dims = tuple(x.names.index(name) for name in over.split())
    e = np.exp(x.values - x.values.max(axis=dims, keepdims=True))
    return Named(x.names, e / e.sum(axis=dims, keepdims=True))


def constant(value: Any, *, sizes: Mapping[str, int], axes: str | None = None) -> Named:
    if axes is None:
        return value
    return Named(tuple(axes.split()), np.array(value))


def iota(axis: Any, *, sizes: Mapping[str, int]) -> Named:
    ((name, length),) = read_axes(axis, sizes).items()
    return Named((name,), np.arange(length))


def expand(x: Named, *, axes: str, sizes: Mapping[str, int]) -> Named:
    new = read_axes(axes, sizes)
    values = np.broadcast_to(
        x.values.reshape(*x.values.shape, *(1 for _ in new)), (*x.values.shape, *new.values())
    )
    return Named((*x.names, *new), values)


def split(x: Named, *, axis: str, into: str, sizes: Mapping[str, int]) -> Named:
    parts = read_axes(into, sizes)
    values = x.last(axis)
    return Named((*x.but(axis), *parts), values.reshape(*values.shape[:-1], *parts.values()))


def merge(x: Named, *, axes: str, into: str, sizes: Mapping[str, int]) -> Named:
    names = axes.split()
    values = x.last(*names)
    return Named((*x.but(*names), into), values.reshape(*values.shape[: -len(names)], -1))


def concat(*parts: Named, over: Sequence[str], into: str, sizes: Mapping[str, int]) -> Named:
    ends = [Named((*x.but(axis), "*"), x.last(axis)) for x, axis in zip(parts, over, strict=True)]
    names = [n for n in union(ends) if n != "*"]
    lengths = {n: x.length(n) for x in ends for n in x.names}
    whole = [
        np.broadcast_to(x.to([*names, "*"]), [*(lengths[n] for n in names), x.length("*")])
        for x in ends
    ]
    return Named((*names, into), np.concatenate(whole, axis=-1))


def slice_(
    x: Named,
    *,
    axis: str,
    into: str,
    sizes: Mapping[str, int],
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
    length: int | None = None,
) -> Named:
    if length is not None:
        stop = (start or 0) + length
    return Named((*x.but(axis), into), x.last(axis)[..., start:stop:step])


def pad(
    x: Named,
    *,
    axis: str,
    before: int,
    after: int,
    sizes: Mapping[str, int],
    value: Any = 0,
    into: str | None = None,
) -> Named:
    values = x.last(axis)
    room = [(0, 0)] * (values.ndim - 1) + [(before, after)]
    return Named((*x.but(axis), into or axis), np.pad(values, room, constant_values=value))


def window(
    x: Named, *, axis: str, into: str, stride: int, dilation: int, sizes: Mapping[str, int]
) -> Named:
    place, offset = into.split()
    offset, width = offset.split(":")
    values = x.last(axis)
    span = (int(width) - 1) * dilation
    starts = range(0, values.shape[-1] - span, stride)
    rows = [values[..., i : i + span + 1 : dilation] for i in starts]
    return Named((*x.but(axis), place, offset), np.stack(rows, axis=-2))


def diagonal(x: Named, *, axes: str, into: str, sizes: Mapping[str, int]) -> Named:
    one, two = axes.split()
    return Named((*x.but(one, two), into), np.diagonal(x.last(one, two), axis1=-2, axis2=-1))


def gather(table: Named, index: Named, *, over: str, sizes: Mapping[str, int]) -> Named:
    rest = list(table.but(over))
    names = tuple(dict.fromkeys([*index.names, *rest]))
    lengths = {
        n: x.length(n) for x in (table, index) for n in (*index.names, *rest) if n in x.names
    }
    lengths.update({n: index.length(n) for n in index.names})
    found = np.empty([lengths[n] for n in names], table.values.dtype)
    for place in product(*(range(lengths[n]) for n in names)):
        where = dict(zip(names, place, strict=True))
        row = int(index.at({n: where[n] for n in index.names}).values)
        found[place] = table.at({**{n: where[n] for n in rest}, over: row}).values
    return Named(names, found)


def topk(x: Named, *, over: str, k: str, largest: bool, sizes: Mapping[str, int]) -> list[Named]:
    ((name, count),) = read_axes(k, sizes).items()
    values = x.last(over)
    order = np.argsort(-values if largest else values, axis=-1, kind="stable")[..., :count]
    names = (*x.but(over), name)
    return [Named(names, np.take_along_axis(values, order, -1)), Named(names, order)]


def fourier(
    real: Named,
    imaginary: Named | None = None,
    *,
    over: str,
    inverse: bool,
    sizes: Mapping[str, int],
) -> list[Named]:
    imaginary = imaginary or Named((), np.array(0.0))
    names = union([real, imaginary])
    dim = names.index(over)
    z = np.asarray(real.to(names) + 1j * imaginary.to(names))
    n = z.shape[dim]
    sign = 2j if inverse else -2j
    matrix = np.exp(sign * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    w = np.moveaxis(np.tensordot(matrix / (n if inverse else 1), z, axes=(1, dim)), 0, dim)
    return [Named(tuple(names), w.real), Named(tuple(names), w.imag)]


VERBS: dict[str, Callable[..., Any]] = {
    "add": add,
    "contract": contract,
    "sum": contract,
    "max": reduction(np.max),
    "min": reduction(np.min),
    "all": reduction(np.all),
    "any": reduction(np.any),
    "softmax": softmax,
    "constant": constant,
    "iota": iota,
    "expand": expand,
    "split": split,
    "merge": merge,
    "concat": concat,
    "slice": slice_,
    "pad": pad,
    "window": window,
    "diagonal": diagonal,
    "gather": gather,
    "topk": topk,
    "fourier": fourier,
}


# -- sources: the values are given ------------------------------------------------------------


def parameter(step: Step, operands: list[Any], context: Context, **options: Any) -> list[Named]:
    return [context.value(step.made[0], read_axes(operands[1], context.sizes))]


def random(step: Step, operands: list[Any], context: Context, **options: Any) -> list[Named]:
    dtype = bool if options["distribution"] == "bernoulli" else float
    return [context.value(step.made[0], read_axes(operands[0], context.sizes), dtype)]


def linear(
    step: Step, operands: list[Any], context: Context, over: str, into: str, bias: bool
) -> list[Named]:
    new = read_axes(into, context.sizes)
    summed = {name: operands[0].length(name) for name in over.split()}
    weight = context.value(step.made[0], {**summed, **new})
    y = contract(operands[0], weight, over=over, sizes=context.sizes)
    if bias:
        y = add(y, context.value(step.made[1], new), sizes=context.sizes)
    return [y]


SOURCES = {"parameter": parameter, "random": random, "linear": linear}


# -- bodies -----------------------------------------------------------------------------------


def given(body: Program, step: Step, context: Context) -> Context:
    """The context inside a body: its own names for what the step made."""
    own = [token.name for token, _ in body.diagram().tokens]
    return context._replace(
        given={
            name: context.given[made]
            for name, made in zip(own, step.made, strict=True)
            if made in context.given
        }
    )


def dependence(program: Program) -> list[set[int]]:
    """For each output, the inputs that it depends on."""
    known = [{k} for k in range(len(program.inputs))]
    for step in program.steps:
        below = [known[o.wire] for o in step.operands if isinstance(o, Use)]
        if step.verb in ("call", "boxed"):
            made = [set().union(*(below[k] for k in r)) for r in dependence(step.options["body"])]
        elif step.verb == "scan":
            reads = carried(dependence(step.options["body"]), step.options["states"])
            made = [set().union(*(below[k] for k in r)) for r in reads]
        else:
            made = [set().union(*below)] * (2 if step.verb in ("topk", "fourier") else 1)
        known += made
    return [known[result.use.wire] for result in program.outputs]


def carried(reads: list[set[int]], states: int) -> list[set[int]]:
    """What the results of a scan depend on, through any number of positions."""
    found = [read | {j} if j < states else set(read) for j, read in enumerate(reads)]
    for _ in range(states + 1):
        found = [read.union(*(found[k] for k in read if k < states)) for read in found]
    return found


def called(body: Program, arguments: list[Named], context: Context) -> list[Named]:
    """Run a body at each position along the tubes, and keep those that an output depends on."""
    declared = [tuple(type_) for type_ in body.inputs.values()]
    tubes = [x.but(*own) for x, own in zip(arguments, declared, strict=True)]
    lengths = {n: x.length(n) for x, over in zip(arguments, tubes, strict=True) for n in over}
    everywhere = {}
    for place in product(*(range(length) for length in lengths.values())):
        where = dict(zip(lengths, place, strict=True))
        inside = [
            x.at({n: where[n] for n in over}) for x, over in zip(arguments, tubes, strict=True)
        ]
        everywhere[place] = run(body, inside, context)
    results = []
    for j, reads in enumerate(dependence(body)):
        over = [n for n in lengths if any(n in tubes[k] for k in reads)]
        names = next(iter(everywhere.values()))[j].names
        shape = [lengths[n] for n in over]
        first = {
            tuple(p for p, n in zip(place, lengths, strict=True) if n in over): place
            for place in everywhere
        }
        rows = [everywhere[first[at]][j].to(names) for at in product(*map(range, shape))]
        stacked = np.stack(rows)
        results.append(Named((*over, *names), stacked.reshape((*shape, *stacked.shape[1:]))))
    return results


def scanned(
    arguments: list[Named],
    inside: Context,
    context: Context,
    *,
    body: Program,
    states: int,
    sequences: int,
    over: str,
    reverse: bool,
    length: Size | None = None,
) -> list[Named]:
    """A loop over positions."""
    moving = arguments[states : states + sequences]
    count = moving[0].length(over) if moving else size(length).at(context.sizes)
    state, captured = arguments[:states], arguments[states + sequences :]
    rows: dict[int, list[Named]] = {}
    for t in reversed(range(count)) if reverse else range(count):
        results = called(body, [*state, *(x.at({over: t}) for x in moving), *captured], inside)
        state = results[:states]
        rows[t] = results[states:]
    declared = [tuple(result.axes) for result in body.outputs]
    tubes = [x.but(*type_, over) for x, type_ in zip(arguments, body.inputs.values(), strict=True)]
    lengths = {n: x.length(n) for x in arguments for n in x.names}
    made = []
    for j, reads in enumerate(carried(dependence(body), states)):
        names = [*dict.fromkeys(n for k in sorted(reads) for n in tubes[k]), *declared[j]]
        parts = [state[j]] if j < states else [rows[t][j - states] for t in range(count)]
        own = {n: x.length(n) for x in parts for n in declared[j]}
        shape = [own[n] if n in declared[j] else lengths[n] for n in names]
        whole = [np.broadcast_to(x.to(names), shape) for x in parts]
        if j < states:
            made.append(Named(tuple(names), whole[0]))
        else:
            made.append(Named((over, *names), np.stack(whole)))
    return made
