"""One evaluator over algebras.

An algebra says what values are and what the primitives do to them; the evaluator walks the
nodes once, in order. Values of wires are arrays with one dimension for each slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.diagrams.box import Site
from vesalius.diagrams.errors import Outside, SizeError, StructureError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.meaning.algebra import Algebra
from vesalius.diagrams.names import check_sizes, meant
from vesalius.diagrams.sizes import Size

ALGEBRAS = ("torch", "rational", "field", "sympy")


def algebra_named(name: str, **options: Any) -> Algebra:
    """A new algebra: `torch` (options `dtype`, `device`), `rational`, `field`, `sympy`."""
    if name == "torch":
        from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra

        return TorchAlgebra(**options)
    if name == "rational":
        from vesalius.diagrams.meaning.rational import RationalAlgebra

        return RationalAlgebra(**options)
    if name == "field":
        from vesalius.diagrams.meaning.field import FieldAlgebra

        return FieldAlgebra(**options)
    if name == "sympy":
        from vesalius.diagrams.meaning.symbolic import SymbolicAlgebra

        return SymbolicAlgebra(**options)
    raise StructureError(f"there is no algebra {name!r}; {meant(name, ALGEBRAS)}")


def evaluate(
    diagram: Diagram,
    *inputs: Any,
    algebra: str | Algebra = "torch",
    parameters: Mapping[str, Any] | None = None,
    randoms: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    **options: Any,
) -> Any:
    """Run a diagram. Inputs are arrays whose dimensions are in the order of the interface.

    They are given in order, or by name; `options` are those of the algebra.

    `parameters` and `randoms` give values by name; a random source without one is drawn with
    `seed`, a parameter without one is drawn from its initialisation. `sizes` gives size
    variables that no input determines. Returns an array, or a tuple for several outputs.

    Raises `SizeError` for shapes that do not fit and for sizes that the diagram does not have,
    `StructureError` for an unfilled learner, `Outside` where the algebra does not contain a box.
    """
    a_diagram("evaluate", diagram)
    names = [port.name for port in diagram.inputs]
    if any(name in options for name in names):
        given_twice = [name for name in names[: len(inputs)] if name in options]
        if given_twice:
            raise StructureError(f"{diagram.name}: the input {given_twice[0]!r} is given twice")
        inputs = (*inputs, *(options.pop(name) for name in names if name in options))
    chosen = algebra_named(algebra, **options) if isinstance(algebra, str) else algebra
    if len(inputs) != len(diagram.inputs):
        raise StructureError(
            f"{diagram.name} has {len(names)} inputs ({', '.join(names)}), {len(inputs)} were given"
        )
    if diagram.learners:
        name = next(iter(diagram.learners))
        raise StructureError(
            f"{diagram.name}: the learner {name!r} is a hole; fill it first, "
            f"diagram.fill({name.rpartition('.')[2]}=...)"
        )
    wires = [
        chosen.array(value, diagram.types[port.wire].dtype)
        for value, port in zip(inputs, diagram.inputs, strict=True)
    ]
    check_sizes(diagram.name, sizes or {}, diagram.size_variables)
    known = dict(sizes or {})
    given = dict(parameters or {})
    for name in given:
        if name not in diagram.parameters:
            raise StructureError(
                f"{diagram.name} has no parameter {name!r}; {meant(name, diagram.parameters)}"
            )
    for name in randoms or {}:
        if name not in diagram.randoms:
            raise StructureError(
                f"{diagram.name} has no random source {name!r}; {meant(name, diagram.randoms)}"
            )
    shapes = [
        (port.name, diagram.types[port.wire].sizes, chosen.shape(x))
        for port, x in zip(diagram.inputs, wires, strict=True)
    ]
    values: dict[str, Any] = {}
    for name, type_ in {**diagram.parameters, **diagram.randoms}.items():
        source = given.get(name, (randoms or {}).get(name))
        if source is not None:
            values[name] = chosen.array(source, type_.dtype)
            shapes.append((name, tuple(type_.axes.values()), chosen.shape(values[name])))
    infer_sizes(diagram.name, shapes, known)
    _check_parameters(diagram, known, values)
    chosen.begin(known, values, seed)
    results = tuple(run(diagram, chosen, wires))
    return results[0] if len(results) == 1 else results


def _check_parameters(
    diagram: Diagram, known: Mapping[str, int], values: Mapping[str, Any]
) -> None:
    """Refuse a parameter without a value that cannot be drawn, as an axis of it has no size."""
    for name, type_ in diagram.parameters.items():
        missing = sorted(v for s in type_.axes.values() for v in s.variables if v not in known)
        if name not in values and missing:
            raise SizeError(
                f"{diagram.name}: the parameter {name!r} of type {type_} has no value, and cannot "
                f"be drawn without the size {missing[0]}; pass parameters={{{name!r}: ...}} or "
                f"sizes={{{missing[0]!r}: ...}}"
            )


def infer_sizes(
    name: str, shapes: Sequence[tuple[str, Sequence[Any], Sequence[int]]], known: dict[str, int]
) -> None:
    """Solve for size variables from actual shapes, then check every size."""
    for what, sizes, shape in shapes:
        if len(sizes) != len(shape):
            wanted = ", ".join(map(str, sizes)) or "none"
            raise SizeError(
                f"{name}: {what!r} has {len(shape)} dimensions, its axes have sizes {wanted}"
            )
        for size, actual in zip(sizes, shape, strict=True):
            if size.variable is not None:
                known.setdefault(size.variable, int(actual))
    for _, sizes, shape in shapes:
        for size, actual in zip(sizes, shape, strict=True):
            _solve(size, int(actual), known)
    for what, sizes, shape in shapes:
        for size, actual in zip(sizes, shape, strict=True):
            if size.variables <= set(known) and size.at(known) != actual:
                raise SizeError(
                    f"{name}: an axis of {what!r} has size {actual}, where {size} = "
                    f"{size.at(known)} is needed"
                )


def _solve(size: Size, actual: int, known: dict[str, int]) -> None:
    """Let `2*k` of an actual 4 say that k is 2: one unknown, to the first power."""
    unknown = size.variables - set(known)
    if len(unknown) != 1:
        return
    (name,) = unknown
    slope = size.leading(name)
    rest = size - slope
    if size.degree(name) != 1 or name in rest.variables:
        return
    try:
        per = slope.at({**known, name: 1})
        value, left = divmod(actual - rest.at(known), per)
    except (SizeError, ZeroDivisionError):
        return
    if not left and slope.at({**known, name: value}) == per * value:
        known[name] = value


def run(diagram: Diagram, algebra: Algebra, inputs: Sequence[Any]) -> list[Any]:
    """The values of the outputs, in interface order, from the values of the inputs."""
    values: list[Any] = list(inputs)
    values.extend([None] * (len(diagram.types) - len(inputs)))
    last = _last_uses(diagram)
    for k in range(len(diagram.inputs), len(diagram.nodes)):
        node = diagram.nodes[k]
        site = diagram.site(node)
        concrete = Site(site.box, [algebra.integer(size) for size in site.sizes], site.dtypes)
        kind = node.box.kind
        if algebra.name in kind.refusals:
            raise Outside(
                f"{kind.name} is outside the algebra {algebra.name}: {kind.refusals[algebra.name]}"
            )
        results = kind.meaning(algebra, concrete, [values[wire] for wire in node.src])
        for wire, value in zip(node.wires, results, strict=True):
            values[wire] = value
        for wire in last.get(k, ()):
            values[wire] = None  # nothing reads it any more
    return [
        algebra.align(values[port.wire], list(range(len(port.slots))), list(port.slots))
        for port in diagram.outputs
    ]


def _last_uses(diagram: Diagram) -> dict[int, list[int]]:
    """For each node, the wires that it is the last to read."""
    kept = {port.wire for port in diagram.outputs}
    last: dict[int, int] = {}
    for k, node in enumerate(diagram.nodes):
        for wire in node.src:
            last[wire] = k
    found: dict[int, list[int]] = {}
    for wire, k in last.items():
        if wire not in kept:
            found.setdefault(k, []).append(wire)
    return found
