"""What a box of each kind looks like: how many inputs, bound axes and new axes, and where.

The verbs make well-formed boxes only. A box that comes from elsewhere, as from a file, is held
against this table before it is built. Sizes that follow from other sizes are checked where they
are known, by the kinds themselves (`Kind.check`) or, for nested boxes, here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from vesalius.diagrams.box import Axes, Hole, Kind, WireType
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.sizes import Size, product


class Draft(NamedTuple):
    """A box before it is built: `types[p]` is the type of the wire at input port p.

    The maps are known to be injective and to number all local axes, and `bound` to be
    distinct local axes.
    """

    kind: Kind
    attrs: Mapping[str, Any]
    types: Sequence[WireType]
    maps: tuple[Axes, ...]
    bound: Axes
    new: tuple[Size, ...]

    def own(self, port: int) -> list[int]:
        """The bound axes at a port, in the order in which the box binds them."""
        row = self.maps[port]
        return [axis for axis in self.bound if axis in row]

    def own_sizes(self, port: int) -> list[Size]:
        """The sizes of the bound axes at a port."""
        sizes = dict(zip(self.maps[port], self.types[port].sizes, strict=True))
        return [sizes[axis] for axis in self.own(port)]


Bounds = tuple[int, int | None]
ANY: Bounds = (0, None)


class Form(NamedTuple):
    """The least and the most inputs, bound axes and new axes of a kind, and a further rule.

    The rule returns what is wrong with a draft whose numbers are right, or the empty string;
    `says` is the rule in words.
    """

    inputs: Bounds
    bound: Bounds = (0, 0)
    new: Bounds = (0, 0)
    rule: Callable[[Draft], str] | None = None
    says: str = ""


def complaint(draft: Draft) -> str:
    """What is wrong with a box of a declared kind; the empty string where nothing is.

    Of kinds that are declared from outside without a form, nothing is known.
    """
    name = draft.kind.name
    form = FORMS.get(name) or (Form(ANY, ANY, ANY, _own_box) if name in OWN else None)
    if form is None:
        return ""
    counts = {"inputs": len(draft.maps), "bound axes": len(draft.bound), "new axes": len(draft.new)}
    for (what, count), (least, most) in zip(counts.items(), form[:3], strict=True):
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if most == least else f"at least {least}"
            wanted = wanted if most in (None, least) else f"{least} to {most}"
            return f"{name} takes {wanted} {what}, not {count}"
    return form.rule(draft) if form.rule is not None else ""


# -- rules --------------------------------------------------------------------------------------


def _pointwise(draft: Draft) -> str:
    function, numbers = draft.attrs["function"], draft.attrs["numbers"]
    if len(draft.maps) != function.arity:
        return f"{function.name} takes {function.arity} inputs, not {len(draft.maps)}"
    if len(numbers) != len(function.parameters):
        return f"{function.name} takes {len(function.parameters)} numbers, not {len(numbers)}"
    return ""


def _constant(draft: Draft) -> str:
    value = draft.attrs["value"]
    if not isinstance(value, tuple):
        return "a single value has no axes" if draft.new else ""
    if product(draft.new) != len(value):
        return f"a table of {len(value)} entries does not fill {product(draft.new)} places"
    return ""


def _concat(draft: Draft) -> str:
    if len(draft.bound) != len(draft.maps):
        return f"{len(draft.maps)} inputs and {len(draft.bound)} bound axes: each has one"
    return _one_port_each(draft, [[axis] for axis in draft.bound])


def _gather(draft: Draft) -> str:
    if draft.own(0) and not draft.own(1):
        return ""
    return "the table has the bound axis, and the index has not"


def _window(draft: Draft) -> str:
    if draft.attrs["stride"] < 1 or draft.attrs["dilation"] < 1:
        return "stride and dilation are at least 1"
    return ""


def _slice(draft: Draft) -> str:
    return "" if draft.attrs["step"] else "a step is not 0"


def _learner(draft: Draft) -> str:
    token: Hole = draft.attrs["token"]
    if [len(draft.own(port)) for port in range(len(draft.maps))] != [len(p) for p in token.ports]:
        return f"the ports of {token.name!r} are {list(token.ports)}; other axes are bound"
    if len(draft.new) != len(token.into):
        return f"{token.name!r} makes {list(token.into)}, not {len(draft.new)} axes"
    return _one_port_each(draft)


def _named(draft: Draft) -> str:
    body: Diagram = draft.attrs["body"]
    if bool(body.learners) != (draft.attrs["token"] is not None):
        return "a token stands for the learners of a body, and only for them"
    outputs = [(size, axis) for p in body.outputs for size, axis in _declared(body, p)]
    return _body_inputs(draft, body) or _body_outputs(draft, outputs)


def _scan(draft: Draft) -> str:
    body: Diagram = draft.attrs["body"]
    states, elements, length = (draft.attrs[name] for name in ("states", "elements", "length"))
    if states < 0 or elements < 0 or states + elements > len(body.inputs):
        return f"{states} states and {elements} elements of {len(body.inputs)} inputs of the body"
    if states > len(body.outputs):
        return f"{states} states of {len(body.outputs)} outputs of the body"
    if bool(body.learners) != (draft.attrs["token"] is not None):
        return "a token stands for the learners of a body, and only for them"
    for before, after in zip(body.inputs[:states], body.outputs, strict=False):
        if before.axes != after.axes or body.port_type(before) != body.port_type(after):
            return f"the state {before.name!r} does not come out as it goes in"
    outputs: list[tuple[Size, str]] = []
    for j, port in enumerate(body.outputs):
        outputs += [(length, "time")] if j >= states else []
        outputs += _declared(body, port)
    timed = dict.fromkeys(range(states, states + elements), length)
    return _body_inputs(draft, body, timed) or _body_outputs(draft, outputs)


def _declared(body: Diagram, port: Any) -> list[tuple[Size, str]]:
    """The sizes and names of the axes that a body declares at a port, in order."""
    return [(size, axis) for axis, size in body.port_type(port).axes.items()]


def _body_inputs(draft: Draft, body: Diagram, timed: Mapping[int, Size] | None = None) -> str:
    """Whether every port binds the axes that the body declares there, and `timed` one more."""
    if len(draft.maps) != len(body.inputs):
        return f"{body.name} has {len(body.inputs)} inputs, not {len(draft.maps)}"
    for k, port in enumerate(body.inputs):
        wanted = [size for size, _ in _declared(body, port)]
        if timed is not None and k in timed:
            wanted.append(timed[k])
        if draft.own_sizes(k) != wanted:
            sizes = ", ".join(map(str, wanted)) or "none"
            return f"the input {port.name!r} of {body.name} binds axes of sizes {sizes}"
        if draft.types[k].dtype != body.types[port.wire].dtype:
            return f"the input {port.name!r} of {body.name} is {body.types[port.wire].dtype}"
    return _one_port_each(draft)


def _body_outputs(draft: Draft, wanted: Sequence[tuple[Size, str]]) -> str:
    if list(draft.new) == [size for size, _ in wanted]:
        return ""
    names = ", ".join(f"{axis}:{size}" for size, axis in wanted) or "none"
    return f"the new axes are {names}, not {', '.join(map(str, draft.new)) or 'none'}"


def _one_port_each(draft: Draft, wanted: Sequence[Sequence[int]] | None = None) -> str:
    """Whether bound axes stand at one port each, in the order of the ports."""
    found = [draft.own(port) for port in range(len(draft.maps))]
    if list(chain.from_iterable(found)) == list(draft.bound) and wanted in (None, found):
        return ""
    return "every bound axis stands at one input, in the order of the inputs"


def _own_box(draft: Draft) -> str:
    own = OWN[draft.kind.name]
    if len(draft.maps) != len(own.inputs):
        return f"{draft.kind.name} takes {len(own.inputs)} inputs, not {len(draft.maps)}"
    if len(draft.bound) != len(own.axes):
        return f"{draft.kind.name} binds {' '.join(own.axes) or 'nothing'}"
    axis_of = dict(zip(own.axes, draft.bound, strict=True))
    lengths: dict[str, Size] = {}
    for k, one in enumerate(own.inputs):
        if set(draft.own(k)) != {axis_of[axis] for axis in one.axes}:
            return f"input {k} of {draft.kind.name} binds {' '.join(one.axes) or 'nothing'}"
        given = draft.types[k].dtype
        if given != one.dtype and (given, one.dtype) != ("int", "float"):
            return f"input {k} of {draft.kind.name} is {one.dtype}, not {given}"
        sizes = dict(zip(draft.maps[k], draft.types[k].sizes, strict=True))
        lengths.update({axis: sizes[axis_of[axis]] for axis in one.axes})
    wanted = [(size.substitute(lengths), a) for one in own.outputs for a, size in one.axes.items()]
    return _body_outputs(draft, wanted)


FORMS: Mapping[str, Form] = {
    "input": Form((0, 0), new=ANY),
    "parameter": Form((0, 0), new=ANY),
    "random": Form((0, 0), new=ANY),
    "constant": Form((0, 0), new=ANY, rule=_constant, says="a table fills the new axes"),
    "iota": Form((0, 0), new=(1, 1)),
    "pointwise": Form(ANY, rule=_pointwise, says="as many as its function takes"),
    "contract": Form((1, None), bound=ANY),
    "add": Form((1, None)),
    "max": Form((1, 1), bound=(1, None)),
    "min": Form((1, 1), bound=(1, None)),
    "all": Form((1, 1), bound=(1, None)),
    "any": Form((1, 1), bound=(1, None)),
    "softmax": Form((1, 1), bound=(1, None)),
    "expand": Form((1, 1), new=(1, None)),
    "like": Form((2, 2)),
    "split": Form((1, 1), bound=(1, 1), new=ANY),
    "merge": Form((1, 1), bound=ANY, new=(1, 1)),
    "concat": Form((1, None), bound=ANY, new=(1, 1), rule=_concat, says="each input binds one"),
    "slice": Form((1, 1), bound=(1, 1), new=(1, 1), rule=_slice, says="no step of 0"),
    "pad": Form((1, 1), bound=(1, 1), new=(1, 1)),
    "window": Form(
        (1, 1), bound=(1, 1), new=(2, 2), rule=_window, says="stride and dilation of 1 or more"
    ),
    "diagonal": Form((1, 1), bound=(2, None), new=(1, 1)),
    "gather": Form((2, 2), bound=(1, 1), rule=_gather, says="the table binds, the index does not"),
    "topk": Form((1, 1), bound=(1, 1), new=(1, 1)),
    "fourier": Form((2, 2), bound=(1, 1)),
    "learner": Form((1, None), bound=ANY, new=ANY, rule=_learner, says="as its token says"),
    "named": Form((1, None), bound=ANY, new=ANY, rule=_named, says="as the body declares"),
    "scan": Form(
        ANY, bound=ANY, new=ANY, rule=_scan, says="as the body declares, and the time axis"
    ),
}
