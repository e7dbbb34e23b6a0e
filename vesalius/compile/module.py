"""`to_torch`: a diagram as an ordinary `nn.Module`."""

from __future__ import annotations

import copy
import functools
import hashlib
import linecache
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

import torch
from torch import nn

from vesalius.compile.check import Interface
from vesalius.compile.choose import Chosen, chosen
from vesalius.compile.emit import lowered, source
from vesalius.compile.explain import Explanation
from vesalius.compile.kernels import Target, Unserved
from vesalius.compile.scope import MODULE_NAMES, Scope
from vesalius.compile.taps import tapped
from vesalius.compile.tune import Timings
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.errors import SizeError, StructureError
from vesalius.diagrams.expected import a_diagram
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.meaning.torch_algebra import TorchAlgebra, initial
from vesalius.diagrams.names import check_sizes
from vesalius.diagrams.sizes import size as read_size


class DiagramModule(nn.Module):
    """What every compiled module is: its text, and a check of the inputs before it runs.

    `diagram` is what was compiled, `chosen` the same with the boxes of kernels in it, `source` the
    text that runs; `sizes` are the values of the size variables that were fixed when the module
    was made, `target` is what it was made for.
    """

    diagram: Diagram
    chosen: Diagram
    source: str
    sizes: dict[str, int]
    target: Target
    _choices: Explanation
    _unable: Mapping[str, str] = MappingProxyType({})  # kernels that failed to run, and of what
    _interface: Interface

    def explain(self) -> Explanation:
        """Which kernel serves which part, and for every other one why it does not.

        A kernel that failed to run, so that calls are computed without it, is named with what
        it failed of.
        """
        return self._able()._choices if self._unable else self._choices

    def tap(self, *names: str) -> DiagramModule:
        """A module that returns the wires of these names, too, behind the outputs.

        It shares the parameters of this one. Names are those that a text without kernels has:
        `weights` and `scores` of an attention; a second one is called `weights_2`. Where a wire is
        asked for that a kernel never makes, that part runs without the kernel; all others keep
        theirs. Raises `StructureError` for an unknown name, with those that there are.

        >>> import vesalius as vs
        >>> @vs.diagram
        ... def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        ...     return vs.contract(vs.softmax(vs.contract(q, k, over="c"), "m"), v, over="m")
        >>> out, weights = to_torch(attention).tap("weights")(*torch.ones(3, 2, 4))
        >>> weights.shape
        torch.Size([2, 2])
        """
        return self._twin(names, lambda: tapped(self.diagram, names), self.target)

    def _able(self, refusal: Unserved | None = None) -> DiagramModule:
        """A module that does without kernels that failed to run: those known, and this one."""
        unable = dict(self._unable)
        if refusal is not None:
            unable[refusal.kernel] = refusal.reason
            if refusal.lasting:
                self.__dict__["_unable"] = unable
        target = replace(self.target, unable=unable)
        return self._twin(tuple(unable.items()), lambda: self.diagram, target)

    def _twin(self, key: Any, diagram: Callable[[], Diagram], target: Target) -> DiagramModule:
        """Another module with the parameters of this one."""
        known: dict[Any, DiagramModule] = self.__dict__.setdefault("_twins", {})
        if key not in known:
            known[key] = _blank(diagram(), self.sizes, target)
        made = known[key]
        for path, tensor in (*self.named_parameters(), *self.named_buffers()):
            owner, _, leaf = path.rpartition(".")
            part = made.get_submodule(owner)
            if leaf in part._parameters:
                part._parameters[leaf] = tensor  # type: ignore[assignment]
            elif leaf in part._buffers:
                part._buffers[leaf] = tensor
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A pickle holds the diagram and the state; the text is written again when it is read."""
        return _blank, (self.diagram, self.sizes, self.target), self._kept()

    def __deepcopy__(self, memo: dict[int, Any]) -> DiagramModule:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__.update(copy.deepcopy(self._kept(), memo))
        return made

    def _kept(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.__dict__.items()
            if name not in ("_twins", "_unable")
        }


def to_torch(
    diagram: Diagram,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    sizes: Mapping[str, int] | None = None,
    seed: int | None = None,
    prefer: Collection[str] = (),
    forbid: Collection[str] = (),
    tune: bool | Mapping[str, int] = False,
) -> DiagramModule:
    """The diagram as an `nn.Module`: inputs and outputs as tensors, axes in the interface's order.

    Parameters have the names and the shapes of `diagram.parameters`; those that are not trainable
    are buffers. They are initialised as they are declared: with torch's global generator, or for a
    `seed` to the values that `diagram.evaluate(seed=seed)` takes. `sizes` gives the size variables
    that no input tells: those of the axes of parameters, above all. `dtype` and `device` are those
    of the parameters; inputs have to agree with them, and shapes are free otherwise.

    Parts that a kernel computes better are served by it, whatever their spelling:
    `module.explain()` says which and why, `module.chosen` is the diagram with kernels in it.
    `prefer` names kernels to take wherever they can stand, `forbid` those to take nowhere.

    With `tune`, kernels that compete for a place are not compared by what is expected, but timed,
    forward and backward, or forward alone where gradients are off. `tune={"n": 4096}` gives the
    lengths to time at, `tune=True` means those of `sizes`. What was found is kept for other runs.

    `module.source` is the text that runs. Random sources are drawn at each call, from
    `generator=` if it is given. An index outside a table raises on a CPU; on a GPU torch asserts.

    Raises `SizeError` for a missing size or one to tune at, and for one that the diagram does not
    have, `StructureError` for a learner that is still a hole or for a parameter whose name a module
    cannot have.

    >>> import vesalius as vs
    >>> @vs.diagram
    ... def project(x: "n d") -> "n e":
    ...     return vs.linear(x, "d", "e", name="w")
    >>> module = to_torch(project, sizes={"d": 4, "e": 3})
    >>> module(torch.ones(2, 4)).shape, list(module.state_dict())
    (torch.Size([2, 3]), ['w'])
    """
    a_diagram("to_torch", diagram)
    if not isinstance(dtype, torch.dtype):
        raise StructureError(f"to_torch: dtype is one of torch's, as torch.float64, not {dtype!r}")
    if not dtype.is_floating_point:
        raise StructureError(f"to_torch: parameters are of a floating type, not {dtype}")
    fixed = _fixed_sizes(diagram, sizes or {})
    kind = _device_type(diagram.name, device)
    element = str(dtype).removeprefix("torch.")
    lengths, timed = _tuned(diagram, fixed, tune)
    target = Target(kind, element, lengths, _names(prefer), _names(forbid), timed=timed)
    module = _blank(diagram, fixed, target)
    if timed is not None:
        timed.asks = False
    _fill(module, dtype, device, seed)
    return module


# -- what can be said before anything is lowered ------------------------------------------------


def _device_type(name: str, device: torch.device | str | None) -> str:
    """The type of a device that is there."""
    try:
        kind = torch.device(device).type if device is not None else "cpu"
    except RuntimeError:
        kind = ""
    if not kind or (kind == "cuda" and not torch.cuda.is_available()):
        raise StructureError(f"to_torch({name}): there is no device {device!r} here")
    return kind


def _fixed_sizes(diagram: Diagram, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes given, when they are sizes of this diagram and suffice for its parameters."""
    what = f"to_torch({diagram.name})"
    check_sizes(what, sizes, tellable(diagram))
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SizeError(f"{what}: the size {name!r} is a natural number, not {value!r}")
    missing: dict[str, str] = {}  # and why each is needed
    for name, node in _parameters(diagram).items():
        token, type_ = node.box["token"], diagram.parameters[name]
        needed = [(f"an axis of unknown size {s}", s) for s in diagram.types[node.first].sizes]
        for size in map(read_size, token.needs):
            needed.append((f"initial values that depend on the size {size}", size))
        for why, size in needed:
            for variable in sorted(size.variables - sizes.keys()):
                missing.setdefault(variable, f"the parameter {name!r} of type {type_} has {why}")
    if missing:
        wanted = ", ".join(f"{variable!r}: ..." for variable in missing)
        raise SizeError(f"{what}: {next(iter(missing.values()))}; pass sizes={{{wanted}}}")
    return dict(sizes)


def tellable(diagram: Diagram) -> dict[str, None]:
    """The sizes that a module may be told: those of the diagram, and of initial values.

    A bias, say, starts as the matrix beside it does, whose inputs are not among its own axes.
    """
    tokens = [node.box["token"] for node in _parameters(diagram).values()]
    return dict.fromkeys([*diagram.size_variables, *(v for t in tokens for v in t.needs)])


def _tuned(
    diagram: Diagram, fixed: Mapping[str, int], tune: bool | Mapping[str, int]
) -> tuple[dict[str, int], Timings | None]:
    """The lengths to choose kernels for, and what times them, if it is asked for."""
    if tune is False:
        return dict(fixed), None
    what = f"to_torch({diagram.name})"
    if tune is not True and not isinstance(tune, Mapping):
        raise StructureError(f"{what}: tune is True, or lengths as {{'n': 4096}}, not {tune!r}")
    lengths = {**fixed, **({} if tune is True else tune)}
    check_sizes(what, lengths, tellable(diagram))
    for name, value in lengths.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SizeError(f"{what}: a length to tune at is positive: {name!r} is {value!r}")
        if fixed.get(name, value) != value:
            raise SizeError(f"{what}: {name!r} is {fixed[name]}, and cannot be tuned at {value}")
    missing = [name for name in diagram.unfold().size_variables if name not in lengths]
    if missing:
        wanted = ", ".join(f"{name!r}: ..." for name in missing)
        raise SizeError(
            f"{what}: nobody says how long {', '.join(missing)} are to be when kernels are timed; "
            f"pass tune={{{wanted}}}"
        )
    return lengths, Timings(torch.is_grad_enabled())


def _parameters(diagram: Diagram) -> dict[str, Node]:
    return {token.name: node for token, node in diagram.tokens if isinstance(token, Parameter)}


def _check_structure(diagram: Diagram) -> None:
    if diagram.learners:
        name, node = next(iter(diagram.learners.items()))
        while node.box.kind is NAMED:  # the hole is inside
            name, node = next(iter(node.box["body"].learners.items()))
        raise StructureError(
            f"to_torch({diagram.name}): the learner {name!r} is a hole: fill it first, "
            f"diagram.fill({name.split('.')[-1]}=...)"
        )
    names = list(_parameters(diagram))
    taken = {".".join(name.split(".")[:k]) for name in names for k in range(1, name.count(".") + 1)}
    for name in names:
        for part in name.split("."):
            if not part.isidentifier() or part in MODULE_NAMES:
                raise StructureError(
                    f"to_torch({diagram.name}): a module cannot have a parameter called {name!r}: "
                    f"{part!r} is {'taken by' if part.isidentifier() else 'no name in'} nn.Module"
                )
        if name in taken:
            raise StructureError(
                f"to_torch({diagram.name}): the parameter {name!r} has the name of a part that "
                f"holds parameters"
            )


# -- making the module --------------------------------------------------------------------------


def _names(names: Collection[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _blank(diagram: Diagram, sizes: Mapping[str, int], target: Target) -> DiagramModule:
    """The module with parameters that have shapes but no values yet."""
    _check_structure(diagram)
    return module_of(chosen(diagram, target), diagram, sizes, target)


def module_of(
    kernels: Chosen, diagram: Diagram, sizes: Mapping[str, int], target: Target
) -> DiagramModule:
    """The module of a diagram in which kernels are chosen, without values of parameters."""
    program, main = lowered(kernels.diagram, sizes, diagram, target.device)
    text = source(program)
    namespace = _run(text, diagram.name)
    written = namespace[main.unit.name]
    made = type(
        written.__name__,
        (written, DiagramModule),
        {
            "forward": _checked(written.forward, main.generator),
            "diagram": diagram,
            "chosen": kernels.diagram,
            "target": target,
            "_choices": kernels.choices,
            "source": text,
            "sizes": dict(sizes),
            "_interface": Interface(diagram, sizes),
            "__module__": __name__,
            "__doc__": written.__doc__ or diagram.doc,
        },
    )
    scopes = {s.unit.name: s for s in program.chunks if not isinstance(s, str)}
    module: DiagramModule = _built(made, main, scopes, namespace)
    return module


def _built(
    kind: Any, scope: Scope, scopes: Mapping[str, Scope], namespace: Mapping[str, Any]
) -> Any:
    """What the text's own `__init__` would make, without drawing values that nobody keeps."""
    module: Any = kind.__new__(kind)
    nn.Module.__init__(module)
    fixed = scope.program.sizes
    for head, unit in scope.parts.items():
        part = _built(namespace[unit.name], scopes[unit.name], scopes, namespace)
        module.add_module(head, part)
    for path, (token, sizes) in scope.declared.items():
        if path[0] in scope.parts:
            continue
        owner = module
        for part in path[:-1]:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        shape = [size.at(fixed) for size in sizes]
        value = torch.empty(shape, device="meta")
        if isinstance(token, Parameter) and token.trainable:
            owner.register_parameter(path[-1], nn.Parameter(value))
        else:
            owner.register_buffer(path[-1], value)
    for variable in scope.static:
        setattr(module, scope.static_name(variable), fixed[variable])
    if scope.kind == "main" and scope.program.blank:
        module.register_buffer("_blank", torch.empty(0, device="meta"), persistent=False)
    return module


def _run(text: str, name: str) -> dict[str, Any]:
    """Run a text as a Python module; tracebacks and debuggers show its lines."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    filename = f"<vesalius {name.encode('ascii', 'replace').decode()} {digest}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    # torch.compile looks for a function's globals in the module of that name.
    module = ModuleType(f"vesalius.compiled_{digest}")
    sys.modules[module.__name__] = module
    exec(compile(text, filename, "exec"), module.__dict__)
    return module.__dict__


def _checked(forward: Callable[..., Any], draws: bool) -> Callable[..., Any]:
    """`forward`, which looks at its inputs first; its signature is that of the text."""

    def checked(self: DiagramModule, *inputs: Any, **named: Any) -> Any:
        options = {"generator": named.pop("generator", None)} if draws else {}
        interface = self._interface
        if torch.compiler.is_compiling():
            return forward(self, *inputs, **named, **options)
        given = interface.arranged(inputs, named)
        interface.check(given, _first_tensor(self))
        if self._unable:
            return self._able()(*given, **options)
        try:
            return forward(self, *interface.widened(given), **options)
        except Unserved as refusal:
            able = self._able(refusal)
        return able(*given, **options)

    # torch.compile counts recompilations by code: each module has its own.
    code = checked.__code__.replace()
    own = FunctionType(code, globals(), forward.__name__, None, checked.__closure__)
    return functools.update_wrapper(own, forward)


def _first_tensor(module: nn.Module) -> torch.Tensor | None:
    """A parameter or a buffer, whose element type and device the inputs share."""
    for tensors in (module._parameters, module._buffers):
        for tensor in tensors.values():
            if tensor is not None:
                return tensor
    for part in module._modules.values():
        found = _first_tensor(part) if part is not None else None
        if found is not None:
            return found
    return None


def _fill(
    module: DiagramModule, dtype: torch.dtype, device: torch.device | str | None, seed: int | None
) -> None:
    """Give every parameter its initial value."""
    algebra = TorchAlgebra(dtype, device or "cpu")
    algebra.begin(module.sizes, {}, seed or 0)
    for name, node in _parameters(module.diagram).items():
        token, site = node.box["token"], module.diagram.site(node)
        concrete = site._replace(sizes=[algebra.integer(size) for size in site.sizes])
        if seed is None:
            value = initial(token, tuple(concrete.sizes), algebra.integer, None)
            value = value.to(algebra.device, dtype)
        else:
            value = algebra.parameter(token, concrete)
        owner, _, leaf = name.rpartition(".")
        _put(module.get_submodule(owner), leaf, value)
    if "_blank" in module._buffers:
        module._buffers["_blank"] = torch.empty(0, dtype=dtype, device=algebra.device)


def _put(owner: nn.Module, leaf: str, value: torch.Tensor) -> None:
    if leaf in owner._buffers:
        owner._buffers[leaf] = value
    else:
        owner._parameters[leaf] = nn.Parameter(value)
