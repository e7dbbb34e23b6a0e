"""How boxes that hold a diagram are written, and boxes of the user's own.

A named box becomes a class when it has parameters of its own, as a person would write a module in
a module; otherwise a function. Boxes with equal bodies share one. A scan is a loop that calls the
body at each position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vesalius.compile import names
from vesalius.compile.kernels.kernel import Kernel, kernel_of
from vesalius.compile.layout import (
    Order,
    argument_orders,
    is_within,
    output_orders,
    scan_orders,
    tube_order,
)
from vesalius.compile.program import Program, Unit
from vesalius.compile.scope import Here, Operand, Path, Scope
from vesalius.compile.text import ANY, Term, apply, index, method
from vesalius.compile.views import permuted
from vesalius.diagrams.box import Axes, Token
from vesalius.diagrams.boxes.nested import body_dtypes, port_tubes, state_tubes, tubed
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.errors import StructureError
from vesalius.diagrams.graph import Diagram


class Call(NamedTuple):
    """A call of a body: what is called, which inputs it is handed, and what else."""

    function: str
    ports: list[int]
    extras: list[str]
    tubes: Order  # of the box, in the order in which tensors have them
    results: list[Order]  # for each output, the tubes that the body gives it

    def term(self, arguments: Sequence[Term]) -> Term:
        """The call with these arguments, one for each of `ports`."""
        return apply(self.function, *arguments, *self.extras)


# -- units: the class or the function of a body -------------------------------------------------


def _call(here: Here, body: Diagram, tubes: Sequence[Axes], name: str, first: int) -> Call:
    """How to call a body in tubes; inputs from `first` on may be parameters of its own."""
    scope, box = here.scope, here.box
    order = tube_order(box, [here.axes(p) for p in range(len(box.maps))])
    # In the body, a tube is called by its place in the order: equal calls make equal bodies.
    placed = tuple(tuple(sorted(order.index(t) for t in row)) for row in tubes)
    inner = tubed(body, placed)
    head, owned = _owned(here, first)
    paths = {p: scope.attributes[here.node.src[p]][1:] for p in owned}
    tokens = {p: scope.tokens[here.node.src[p]] for p in owned}
    shown = here.axis_names()
    axis_names = {f"_{place}": shown[t] for place, t in enumerate(order)}
    unit = _unit(scope.program, body, inner, name, paths, tokens, axis_names)
    if owned and scope.parts.setdefault(head, unit) is not unit:
        # Another box has these parameters and another body: this one is handed them.
        owned, unit = [], _unit(scope.program, body, inner, name, {}, {}, axis_names)
    function = f"self.{head}" if owned else unit.name
    ports = [p for p in range(len(body.inputs)) if p not in owned]
    extras = [f"{known}={scope.extra_term(extra).at(ANY)}" for known, extra in unit.extras]
    results = [
        tuple(order[int(axis[1:])] for axis in port.axes[len(old.axes) :])
        for port, old in zip(inner.outputs, body.outputs, strict=True)
    ]
    return Call(function, ports, extras, order, results)


def _owned(here: Here, first: int) -> tuple[str, list[int]]:
    """The inputs that are all the parameters below one attribute, and that attribute."""
    scope, orders = here.scope, argument_orders(here.box, ())
    below: dict[str, list[int]] = {}
    for port in range(first, len(here.node.src)):
        path = scope.attributes.get(here.node.src[port], ())
        if len(path) > 1:
            below.setdefault(path[0], []).append(port)
    for head, ports in below.items():
        wires = {here.node.src[p] for p in ports}
        every = {wire for wire, path in scope.attributes.items() if path[0] == head}
        # Without tubes, and with its axes as the body declares them.
        as_declared = all(here.axes(p) == orders[p] for p in ports)
        if wires == every and as_declared and names.identifier(head) == head:
            return head, ports
    return "", []


def _unit(
    program: Program,
    body: Diagram,
    inner: Diagram,
    name: str,
    paths: Mapping[int, Path],
    tokens: Mapping[int, Token],
    axis_names: Mapping[str, str],
) -> Unit:
    described = tuple((p, paths[p], token.describe()) for p, token in tokens.items())
    tubes = tuple(
        port.axes[len(old.axes) :] for port, old in zip(inner.inputs, body.inputs, strict=True)
    )
    key = (body, tubes, described)
    if key not in program.units:
        program.units[key] = _lower(program, body, inner, name, paths, tokens, axis_names)
    return program.units[key]


def _lower(
    program: Program,
    body: Diagram,
    inner: Diagram,
    name: str,
    paths: Mapping[int, Path],
    tokens: Mapping[int, Token],
    axis_names: Mapping[str, str],
) -> Unit:
    """Lower a body; its tensors have the tubes first and then the axes that it declares."""
    inputs = [
        _turned(tuple(range(len(new.axes))), len(old.axes))
        for new, old in zip(inner.inputs, body.inputs, strict=True)
    ]
    outputs = [
        _turned(new.slots, len(old.axes))
        for new, old in zip(inner.outputs, body.outputs, strict=True)
    ]
    scope = Scope(
        program,
        inner,
        {inner.inputs[p].wire: path for p, path in paths.items()},
        {inner.inputs[p].wire: token for p, token in tokens.items()},
        (inputs, outputs),
        kind="class" if paths else "function",
        axis_names=axis_names,
    )
    scope.run()
    wanted = names.class_name(name) if paths else names.identifier(name, "body")
    extras = tuple((scope.lengths.get(extra, extra), extra) for extra in scope.extras)
    scope.unit = Unit(program.name(wanted), extras, tuple(scope.constructor_sizes()))
    program.chunks.append(scope)
    return scope.unit


def function_of(program: Program, diagram: Diagram, name: str) -> str:
    """A function of the text that computes a diagram, which has no parameters; its name.

    Raises `StructureError` where an input does not tell a size that it needs.
    """
    orders = ([port.slots for port in diagram.inputs], [port.slots for port in diagram.outputs])
    scope = Scope(program, diagram, {}, {}, orders, kind="function", eager=True)
    scope.run()
    if scope.extras:
        raise StructureError(f"{name} needs {', '.join(scope.extras)}, which no input tells")
    scope.unit = Unit(program.name(names.identifier(name)))
    program.chunks.append(scope)
    return scope.unit.name


def start_of(program: Program, diagram: Diagram, name: str) -> Unit:
    """A function of the text that computes the initial values of a parameter."""
    order = [port.slots for port in diagram.outputs]
    scope = Scope(program, diagram, {}, {}, ([], order), kind="function", eager=True)
    scope.run()
    extras = tuple((scope.lengths.get(extra, extra), extra) for extra in scope.extras)
    scope.unit = Unit(program.name(names.identifier(name)), extras)
    program.chunks.append(scope)
    return scope.unit


def _turned(slots: Order, declared: int) -> Order:
    return (*slots[declared:], *slots[:declared])


# -- named boxes --------------------------------------------------------------------------------


def named(here: Here) -> list[Term]:
    """A call of the box's class or function, or of the kernel whose box it is."""
    box = here.box
    found = kernel_of(box)
    if found is not None:
        kernel, variant = found
        if kernel.emit is not None:
            return kernel.emit(here, variant)
        if kernel.function is not None:
            return _kernel(here, kernel)
        name = "_".join([kernel.name, *variant.split()])
        return _computed(here, kernel.computation(variant, box["body"]), name)
    return _run(here, box["body"], box["name"])


def _computed(here: Here, body: Diagram, name: str) -> list[Term]:
    """The same of a kernel's computation, in float32 at least where it has exponents."""
    scope = here.scope
    if not here.exponents or scope.widens:
        return _run(here, body, name)
    scope.widens = True
    terms = _run(here, body, name)
    scope.widens = False
    return [method(term, f"to({scope.dtype().at(0)})") for term in terms]


def _run(here: Here, body: Diagram, name: str) -> list[Term]:
    """A call of a body, which is the box's own or one that equals it."""
    box = here.box
    call = _call(here, body, port_tubes(box), name, 0)
    orders = argument_orders(box, call.tubes)
    arguments = [permuted(here.operand(p).term, here.axes(p), orders[p]) for p in call.ports]
    results = results_of(here, call.term(arguments))
    return [
        _widened(here, result, tubes, output)
        for output, (result, tubes) in enumerate(zip(results, call.results, strict=True))
    ]


def _kernel(here: Here, kernel: Kernel) -> list[Term]:
    """A call of a kernel's function, on tensors with all tubes and then the declared axes."""
    box = here.box
    called = here.scope.program.register(kernel.name, f"KERNELS[{kernel.name!r}].function")
    tubes = tube_order(box, [here.axes(p) for p in range(len(box.maps))])
    arguments = [
        here.full(here.operand(port), (*tubes, *(a for a in box.bound if a in row)))
        for port, row in enumerate(box.maps)
    ]
    results = results_of(here, apply(called, *arguments, heavy=True))
    made = output_orders(box, tubes)
    return [permuted(result, made[k], here.out(k)) for k, result in enumerate(results)]


def results_of(here: Here, term: Term) -> list[Term]:
    """The results of a call, each with its name where there are several."""
    if len(here.node.wires) == 1:
        return [term]
    bases = [here.scope.bases[wire] for wire in here.node.wires]
    return here.scope.block.let_all(term, bases)


def _widened(here: Here, term: Term, tubes: Order, output: int) -> Term:
    """A result with all the tubes of its type, where the body does not depend on some."""
    have = (*tubes, *(a for a in here.box.outs[output] if a >= here.box.inner))
    return here.full(Operand(term, have, here.dtype(output)), here.out(output))


# -- scan ---------------------------------------------------------------------------------------


def scan(here: Here) -> list[Term]:
    """A loop over positions; states are carried, outputs are collected and stacked."""
    box, scope = here.box, here.scope
    body: Diagram = box["body"]
    states, elements = box["states"], box["elements"]
    final, _ = state_tubes(box)
    tubes = [*final, *port_tubes(box)[states:]]
    call = _call(here, body, tubes, body.name, states + elements)
    orders = scan_orders(box, call.tubes)
    final = [tuple(t for t in call.tubes if t in row) for row in final]

    names_in = [names.identifier(port.name) for port in body.inputs]
    names_out = [scope.bases[wire] for wire in here.node.wires]
    carried = scope.block.loop(names_in[:states])
    entries = scope.block.loop([f"{name}_t" for name in names_in[states : states + elements]])
    collected = names_out[states:]
    one_each = scope.block.loop([f"{name}_t" for name in collected])
    several = len(collected) > 1
    lists = scope.block.loop([f"all_{name}" if several else "outputs" for name in collected])

    for k, state in enumerate(carried):
        scope.block.assign(state, _start(here, k, final[k]))
    lines = [f"{row.at(ANY)} = []" for row in lists]
    lines.append(f"for {_loop_over(here, entries, orders)}:")
    handed = {p: entries[p - states] for p in range(states, states + elements)}
    handed |= dict(enumerate(carried))
    arguments = [
        handed[p] if p in handed else permuted(here.operand(p).term, here.axes(p), orders[p])
        for p in call.ports
    ]
    left = ", ".join(t.at(ANY) for t in (*carried, *one_each))
    lines.append(f"    {left} = {call.term(arguments).at(ANY)}")
    for k, state in enumerate(carried):
        if call.results[k] != final[k]:
            wide = _state(here, state, k, call.results[k], final[k])
            lines.append(f"    {state.at(ANY)} = {wide.at(ANY)}")
    lines += [
        f"    {row.at(ANY)}.append({y.at(ANY)})" for row, y in zip(lists, one_each, strict=True)
    ]
    scope.block.add_loop([*carried, *lists], lines)
    terms = [*carried]
    for j, row in enumerate(lists):
        terms.append(_stacked(here, row, states + j, call))
    made = output_orders(box, call.tubes)
    return [permuted(term, made[k], here.out(k)) for k, term in enumerate(terms)]


def _state(here: Here, term: Term, port: int, have: Order, want: Order) -> Term:
    own = tuple(a for a in here.box.bound if a in here.box.maps[port])
    return here.full(Operand(term, (*have, *own), ""), (*want, *own))


def _start(here: Here, port: int, tubes: Order) -> Term:
    """A state where it starts, with all the tubes that it will gain on its way."""
    own = tuple(a for a in here.box.bound if a in here.box.maps[port])
    return here.full(here.operand(port), (*tubes, *own))


def _loop_over(here: Here, entries: Sequence[Term], orders: Sequence[Order]) -> str:
    """`x_t in x.unbind(1)`, or `_ in range(n)` where there is no sequence."""
    box = here.box
    if not entries:
        return f"_ in range({here.scope.length(box['length']).at(ANY)})"
    rows = []
    for port in range(box["states"], box["states"] + box["elements"]):
        term, have, order = here.operand(port).term, here.axes(port), orders[port]
        time = [a for a in box.bound if a in box.maps[port]][-1]
        if not is_within([a for a in order if a != time], have):
            term, have = permuted(term, have, order), order
        rows.append(method(term, f"unbind({have.index(time)})").at(ANY))
    if box["reverse"]:
        rows = [f"reversed({row})" for row in rows]
    left = ", ".join(entry.at(ANY) for entry in entries)
    return f"{left} in {rows[0]}" if len(rows) == 1 else f"{left} in zip({', '.join(rows)})"


def _stacked(here: Here, row: Term, output: int, call: Call) -> Term:
    """What was collected as one tensor; an empty loop has collected nothing to stack."""
    box, scope = here.box, here.scope
    items = index(row, "::-1") if box["reverse"] else row
    want, tubes = output_orders(box, call.tubes)[output], call.results[output]
    new = [a for a in want if a >= box.inner]
    along = [f"dim={len(tubes)}"] if tubes else []
    stack = apply("torch.stack", items, *along, heavy=True)
    stack = here.full(Operand(stack, (*tubes, *new), ""), want)
    if (box["length"].constant or 0) > 0:
        return stack
    shape = [here.size(a).at(ANY) for a in want]
    none = scope.new("zeros", *shape, dtype=body_dtypes(box, ())[output])
    return Term(f"{stack.at(1)} if {row.at(1)} else {none.at(1)}", ANY, 2, True)


# -- boxes of the user's own --------------------------------------------------------------------


def own(here: Here) -> list[Term]:
    """The user's function, on tensors with the tubes first and then the axes that it declares."""
    box = here.box
    declared = OWN[box.kind.name]
    called = here.scope.program.register(box.kind.name, f"OWN[{box.kind.name!r}].torch")
    axis = dict(zip(declared.axes, box.bound, strict=True))
    tubes = tube_order(box, [here.axes(p) for p in range(len(box.maps))])
    arguments = [
        here.full(here.operand(port), (*tubes, *(axis[a] for a in one.axes)))
        for port, one in enumerate(declared.inputs)
    ]
    results = results_of(here, apply(called, *arguments, heavy=True))
    made = output_orders(box, tubes)
    return [permuted(result, made[k], here.out(k)) for k, result in enumerate(results)]
