"""`vs.profile`: what each part of a diagram takes, in time and memory, beside what was predicted.

    print(vs.profile("multihead", sizes={"n": 1024}))

A part is a box of the diagram as it is drawn: a named one, such as `similarity`, or any other.
Parts that one kernel serves have no times of their own when they run: they are measured together,
as the whole runs them, and each alone as well. Every part is compiled as a module and runs on what
the parts before it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vesalius.anatomy.mechanism import CATALOGUE, Mechanism
from vesalius.compile.kernels import kernel_of
from vesalius.compile.module import DiagramModule, tellable, to_torch
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.cost import FLOPS_PER_OPERATION, CostNumbers, moved, operations
from vesalius.diagrams.errors import SizeError, StructureError
from vesalius.diagrams.graph import SOURCES, Diagram, Node
from vesalius.diagrams.meaning.evaluate import infer_sizes
from vesalius.diagrams.names import check_sizes
from vesalius.diagrams.nesting import opens_named, reopen
from vesalius.diagrams.sizes import product, size
from vesalius.inspect.machine import Machine, calibrate, calls, peak_bytes
from vesalius.inspect.machine import together as timed
from vesalius.inspect.optimise import LIKE
from vesalius.inspect.pieces import Piece, label, piece, together

TYPICAL = {
    "n": 1024, "m": 1024, "d": 512, "h": 8, "g": 2, "c": 64, "e": 64, "a": 64, "f": 2048,
    "t": 16, "v": 1024, "p": 1024, "w": 128,
}  # fmt: skip
"""Sizes that are taken where none are given; those that are not here are 64."""
VIEWS = ("expand", "split", "slice", "diagonal")  # what moves nothing when it is compiled


@dataclass(frozen=True)
class Row:
    """Parts that run together: what they take, and what was predicted.

    `seconds` is the median of a call, `peak_bytes` the most that is held beside what enters.
    `flops` and `bytes_moved` are those of the text that runs: a kernel moves what enters and
    leaves it. `alone` are the same parts one by one, where there are several.
    """

    parts: tuple[str, ...]
    nodes: tuple[int, ...]
    kernels: tuple[str, ...]
    seconds: float
    peak_bytes: int
    flops: int
    bytes_moved: int
    predicted: float
    alone: tuple[Row, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        found = {name: getattr(self, name) for name in Row.__dataclass_fields__ if name != "nodes"}
        return {**found, "alone": [row.as_json() for row in self.alone]}


@dataclass(frozen=True)
class Profile:
    """What the parts of a diagram take; prints as a table, draws itself by `svg` and `html`.

    `whole` is the compiled module itself. The rows need not add up to it: between parts, arrays
    are brought into an order that inside the module they may not need.
    """

    diagram: Diagram
    sizes: Mapping[str, int]
    device: str
    dtype: str
    backward: bool
    rows: tuple[Row, ...]
    whole: Row
    machine: Machine = field(repr=False)

    @property
    def total(self) -> float:
        """The seconds of all rows."""
        return sum(row.seconds for row in self.rows)

    @property
    def predicted(self) -> float:
        """The predicted seconds of all rows."""
        return sum(row.predicted for row in self.rows)

    @property
    def title(self) -> str:
        """What was measured, in a line."""
        sizes = ", ".join(f"{name} = {value}" for name, value in self.sizes.items())
        what = "forward and backward" if self.backward else "forward"
        return f"{self.diagram.name}, {what}, {self.device}, {self.dtype}: {sizes}"

    def shares(self, row: Row) -> tuple[float, float]:
        """The part of all time that a row takes, and the part that was predicted."""
        return row.seconds / self.total, row.predicted / self.predicted

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "diagram": self.diagram.name,
            "sizes": dict(self.sizes),
            "device": self.device,
            "dtype": self.dtype,
            "backward": self.backward,
            "rows": [row.as_json() for row in self.rows],
            "whole": self.whole.as_json(),
        }

    def __str__(self) -> str:
        from vesalius.inspect.heat import table

        return table(self)

    def svg(self, **options: Any) -> str:
        """The diagram, each part as warm as the time that it takes, and a legend with both times.

        Options are those of `vs.draw`.
        """
        from vesalius.inspect.heat import svg

        return svg(self, **options)

    def html(self, **options: Any) -> str:
        """A page with the picture and the table, which needs no network."""
        from vesalius.inspect.heat import html

        return html(self, **options)

    def save(self, file: str | Path, **options: Any) -> Path:
        """Write the picture; the ending says what: `.svg` or `.html`."""
        from vesalius.diagrams.drawing.picture import written

        forms: dict[str, Callable[[], str]] = {
            ".svg": lambda: self.svg(**options),
            ".html": lambda: self.html(**options),
        }
        return written(Path(file), forms)

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>'


def profile(
    what: DiagramModule | Diagram | Mechanism | str,
    inputs: Sequence[Tensor] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    backward: bool = False,
    depth: int = 0,
    budget: float = 1.0,
    threads: int = 1,
) -> Profile:
    """Measure what each part of a diagram takes, in time and memory.

    `what` is a module of `vs.to_torch`, a diagram, or a mechanism of the catalogue, whose slots are
    the parts then. Without `inputs` they are drawn at random, at `sizes`; those that are not given
    are `TYPICAL`. `depth` levels of named boxes are opened first. `backward` measures the gradients
    of all inputs and parameters along with the outputs. `budget` is in seconds, for all parts
    together, which take turns. `threads` is how many torch computes with meanwhile, on a CPU: with
    one, times vary least.

    Raises `UnknownMechanism` for a name that the catalogue lacks, `SizeError` for inputs that do
    not fit, and what `vs.to_torch` raises.
    """
    implied: Mapping[str, str] = {}
    if isinstance(what, str):
        what = CATALOGUE[what]
    if isinstance(what, Mechanism):
        implied, what = what.implied, what.dissected()
    module = what if isinstance(what, DiagramModule) else None
    diagram = module.diagram if module is not None else what
    if not isinstance(diagram, Diagram):
        kind = type(diagram).__name__
        raise StructureError(f"profile takes a module, a diagram or a mechanism, not {kind}")
    if inputs is not None:
        known = _sizes_of(diagram, inputs, {**(module.sizes if module else {}), **(sizes or {})})
    else:
        known = sizes_for(diagram, {**(module.sizes if module else {}), **(sizes or {})}, implied)
    state = next(iter(module.state_dict().values()), None) if module is not None else None
    if inputs is not None:
        state = next((x for x in inputs if x.is_floating_point()), state)
    dtype = dtype or (state.dtype if state is not None else torch.float32)
    device = torch.device(device or (state.device if state is not None else "cpu"))
    if module is None:
        module = to_torch(diagram, dtype, device, sizes=_told(diagram, known, diagram), seed=0)
    if inputs is None:
        inputs = random_inputs(diagram, known, dtype, device)
    with _computing_with(threads):
        return _Profiler(module, known, dtype, device, backward).run(inputs, depth, budget)


@contextmanager
def _computing_with(threads: int) -> Iterator[None]:
    """So many threads of torch, and then as many as before."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise StructureError(f"profile: threads is a whole number from 1, not {threads!r}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- sizes and inputs -----------------------------------------------------------------------------


def sizes_for(
    diagram: Diagram, given: Mapping[str, int], implied: Mapping[str, str]
) -> dict[str, int]:
    """A number for each size variable: as given, as it follows, or typical."""
    check_sizes(diagram.name, given, diagram.size_variables)
    found = dict(given)
    follows = {**implied, **{name: like for name, like in LIKE.items() if name not in implied}}
    for name in diagram.size_variables:
        if name not in follows:
            found.setdefault(name, TYPICAL.get(name, 64))
    for name, formula in follows.items():
        if name in diagram.size_variables and name not in found:
            found[name] = size(formula).at({**TYPICAL, **found})
    return {name: found[name] for name in diagram.size_variables}


def random_inputs(
    diagram: Diagram, sizes: Mapping[str, int], dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    """Inputs of these sizes: normal numbers, tokens, truth values that mostly hold."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for type_ in diagram.input_types.values():
        shape = [length.at(sizes) for length in type_.axes.values()]
        if type_.dtype == "int":
            x = torch.randint(sizes.get("v", 2), shape, generator=generator)
        elif type_.dtype == "bool":
            x = torch.rand(shape, generator=generator) < 0.9
        else:
            x = torch.randn(shape, generator=generator).to(dtype)
        made.append(x.to(device))
    return made


def _sizes_of(
    diagram: Diagram, inputs: Sequence[Tensor], known: Mapping[str, int]
) -> dict[str, int]:
    if len(inputs) != len(diagram.inputs):
        raise StructureError(
            f"{diagram.name} has {len(diagram.inputs)} inputs, {len(inputs)} were given"
        )
    found = dict(known)
    types = diagram.input_types.items()
    shapes = [(name, list(type_.axes.values()), tuple(x.shape))
              for (name, type_), x in zip(types, inputs, strict=True)]  # fmt: skip
    infer_sizes(diagram.name, shapes, found)
    missing = [name for name in diagram.size_variables if name not in found]
    if missing:
        wanted = ", ".join(f"{name!r}: ..." for name in missing)
        raise SizeError(f"{diagram.name}: no input tells {missing[0]!r}; pass sizes={{{wanted}}}")
    return {name: found[name] for name in diagram.size_variables}


def _told(diagram: Diagram, sizes: Mapping[str, int], whole: Diagram) -> dict[str, int]:
    """The sizes that a module needs to be told: of parameters, and what no input has.

    The parameters are those of the whole, of which the diagram may be a piece.
    """
    parameters = {
        name
        for token, node in whole.tokens
        if isinstance(token, Parameter)
        for name in (*token.needs, *(v for s in whole.types[node.first].sizes for v in s.variables))
    }
    known = {s.variable for t in diagram.input_types.values() for s in t.axes.values()}
    untold = set(diagram.size_variables) - known
    told = (parameters | untold) & tellable(diagram).keys()
    return {name: value for name, value in sizes.items() if name in told}


# -- measuring ------------------------------------------------------------------------------------


@cache
def machine(device: str, dtype: torch.dtype, threads: int) -> Machine:
    """This machine, measured once in a process."""
    return calibrate(device, dtype)


class _Profiler:
    def __init__(
        self,
        module: DiagramModule,
        sizes: Mapping[str, int],
        dtype: torch.dtype,
        device: torch.device,
        backward: bool,
    ) -> None:
        self.module, self.sizes, self.backward = module, sizes, backward
        self.dtype, self.device = dtype, device
        self.machine = machine(device.type, dtype, torch.get_num_threads())
        self.state = module.state_dict()

    def run(self, inputs: Sequence[Tensor], depth: int, budget: float) -> Profile:
        diagram, target = self.module.diagram, self.module.target
        drawn = diagram.unfold(depth=depth) if depth else diagram
        groups = [piece(drawn, group) for group in together(drawn, target)]
        values = dict(zip((port.wire for port in drawn.inputs), inputs, strict=True))
        pieces: list[Piece] = []
        counts: list[int] = []  # of the parts of each group that are measured alone
        for group in groups:
            single = [piece(drawn, [k]) for k in group.nodes] if len(group.nodes) > 1 else []
            counts.append(len(single))
            pieces += [group, *single]
        modules = [self._compiled(one) for one in pieces]
        runs: list[Callable[[], Any]] = []
        for one, module in zip(pieces, modules, strict=True):
            given = [values[wire] for wire in one.reads]
            with torch.no_grad():
                made = module(*given)
            made = made if isinstance(made, tuple) else (made,)
            values.update(zip(one.makes, made, strict=True))
            runs.append(self._call(module, given))
        runs.append(self._call(self.module, list(inputs)))
        seconds = timed(runs, budget, self.device.type)
        peaks = [peak_bytes(run, self.device.type) for run in runs]
        rows = [
            self._row(drawn, one.nodes, module, seconds[k], peaks[k])
            for k, (one, module) in enumerate(zip(pieces, modules, strict=True))
        ]
        whole = self._row(drawn, (), self.module, seconds[-1], peaks[-1])
        joined: list[Row] = []
        for count in counts:
            first, *alone = rows[: count + 1]
            arrays = tuple(row for row in alone if _makes_arrays(drawn, row.nodes[0]))
            names = tuple(row.parts[0] for row in arrays) or first.parts
            joined.append(replace(first, parts=names, alone=arrays))
            del rows[: count + 1]
        dtype = str(self.dtype).removeprefix("torch.")
        return Profile(
            drawn, self.sizes, self.device.type, dtype, self.backward, tuple(joined), whole,
            self.machine,
        )  # fmt: skip

    def _compiled(self, one: Piece) -> DiagramModule:
        """A piece as a module with the parameters of the whole, by the same rules."""
        whole, target = self.module.diagram, self.module.target
        made = to_torch(
            one.diagram,
            self.dtype,
            self.device,
            sizes=_told(one.diagram, self.sizes, whole),
            prefer=target.prefer,
            forbid=target.forbid,
        )
        made.load_state_dict({name: self.state[name] for name in made.state_dict()})
        return made

    def _call(self, module: DiagramModule, inputs: Sequence[Tensor]) -> Callable[[], Any]:
        if not self.backward:

            @torch.no_grad()
            def run() -> None:
                module(*inputs)

            return run
        given = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
        leaves = [x for x in (*given, *module.parameters()) if x.requires_grad]

        def both() -> None:
            made = module(*given)
            made = [x for x in (made if isinstance(made, tuple) else (made,)) if x.requires_grad]
            if made and leaves:
                ones = [torch.ones_like(x) for x in made]
                torch.autograd.grad(made, leaves, ones, allow_unused=True)

        return both

    # -- what is predicted ------------------------------------------------------------------------

    def _row(
        self,
        drawn: Diagram,
        nodes: tuple[int, ...],
        module: DiagramModule,
        seconds: float,
        peak: int,
    ) -> Row:
        cost, boxes = as_run(module, self.sizes, self.dtype.itemsize)
        times = 3 if self.backward else 1  # each product has two gradients
        return Row(
            parts=tuple(label(drawn, k) for k in nodes) or (drawn.name,),
            nodes=nodes,
            kernels=tuple(module.explain().kernels),
            seconds=seconds,
            peak_bytes=peak,
            flops=times * cost.flops,
            bytes_moved=times * cost.bytes_moved,
            predicted=times * self.machine.predict(cost, boxes),
        )


def _makes_arrays(diagram: Diagram, k: int) -> bool:
    """Whether a box makes more than numbers, such as the scale of scores."""
    return any(diagram.types[wire].sizes for wire in diagram.nodes[k].wires)


def as_run(module: DiagramModule, sizes: Mapping[str, int], width: int) -> tuple[CostNumbers, int]:
    """The cost of the diagram with kernels in it, forward, and how many boxes run.

    A kernel moves what enters and leaves it, a view moves nothing; `width` is the number of bytes
    of a float.
    """
    diagram = _opened(module.chosen)
    done = {name: count.at(sizes) for name, count in operations(diagram).items()}
    total = boxes = 0
    for k, node in enumerate(diagram.nodes):
        if node.box.kind.name in (*SOURCES, *VIEWS):
            continue
        if node.box.kind is NAMED:
            ends = [diagram.types[wire] for wire in (*node.src, *node.wires)]
            bytes_of = {"float": width, "int": 8, "bool": 1}
            total += sum(product(t.sizes).at(sizes) * bytes_of[t.dtype] for t in ends)
            boxes += 1
        else:
            total += moved(diagram, k, {"float": width}).at(sizes)
            boxes += calls(piece(diagram, [k]).diagram, sizes)
    flops = sum(count * FLOPS_PER_OPERATION.get(name, 1) for name, count in done.items())
    return CostNumbers(flops, total, 0, 0, done), boxes


def _opened(diagram: Diagram) -> Diagram:
    """The diagram with all named boxes open but kernels."""
    opens = opens_named(None)

    def others(host: Diagram, node: Node) -> Any:
        return None if kernel_of(node.box) is not None else opens(host, node)

    while any(n.box.kind is NAMED and kernel_of(n.box) is None for n in diagram.nodes):
        diagram = reopen(diagram, others)
    return diagram


__all__ = ["Profile", "Row", "profile"]
