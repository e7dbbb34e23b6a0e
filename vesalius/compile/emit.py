"""The text of a module: imports, functions and classes of named boxes, and the module itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

from vesalius.compile import exponentials, helpers, names
from vesalius.compile.folding import literal_term
from vesalius.compile.lengths import size_term
from vesalius.compile.nested import start_of
from vesalius.compile.program import Declared, Program, Unit
from vesalius.compile.scope import Path, Scope, attribute
from vesalius.compile.text import ATOM, POWER, PRODUCT, SIGN, Term, wrapped
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.listing import signature

_FOUND_IN = {
    "FUNCTIONS": "vesalius.diagrams.boxes.pointwise",
    "KERNELS": "vesalius.compile.kernels",
    "OWN": "vesalius.diagrams.boxes.own",
}


def lowered(
    diagram: Diagram,
    sizes: Mapping[str, int],
    whole: Diagram | None = None,
    device: str = "",
) -> tuple[Program, Scope]:
    """The program of a diagram, and the scope of its `forward`; `sizes` are fixed for good.

    `whole` is the diagram that a person wrote: the module has all of its parameters, in its order,
    also those on which nothing depends. `device` is the type of what it is written for.
    """
    program = Program(diagram, sizes, device)
    attributes: dict[int, Path] = {}
    tokens = {}
    for token, node in diagram.tokens:
        if isinstance(token, Parameter):
            attributes[node.first] = tuple(token.name.split("."))
            tokens[node.first] = token
    orders = (
        [port.slots for port in diagram.inputs],
        [port.slots for port in diagram.outputs],
    )
    main = Scope(program, diagram, attributes, tokens, orders, kind="main")
    main.declare((whole or diagram).tokens, whole or diagram)
    wanted = names.class_name(diagram.name)
    main.run()
    _add_starts(program, main)
    main.unit = Unit(program.name(wanted), (), tuple(main.constructor_sizes()))
    program.chunks.append(main)
    return program, main


def source(program: Program) -> str:
    """The whole text, which runs by itself."""
    chunks = [*map(_chunk, program.chunks)]  # which may need helpers
    pieces = [_helper(name) for name in program.helpers]
    body = "\n\n\n".join([*pieces, *chunks])
    title = wrapped_words(names.clean(signature(program.diagram)))
    title[0] = f'"""{title[0]}'
    title[-1] += '"""'
    head = [*title, ""]
    head += ["import math", ""] if re.search(r"\bmath\.", body) else []
    head += ["import torch"]
    head += ["import torch.nn.functional as F"] if re.search(r"\bF\.", body) else []
    head += ["from torch import nn"]
    if "checkpoint(" in body:
        head += ["from torch.utils.checkpoint import checkpoint"]
    if program.imports:
        head += ["", *(f"from {module} import {name}" for name, module in program.imports.items())]
    tables = {place.partition("[")[0] for place in program.registered.values()}
    if tables:
        head += ["", *(f"from {_FOUND_IN[table]} import {table}" for table in sorted(tables))]
        head += ["", *(f"{name} = {place}" for name, place in program.registered.items())]
    return "\n".join(head) + "\n\n\n" + body + "\n"


def _helper(name: str) -> str:
    """The source of a function that the text brings along."""
    module = exponentials if hasattr(exponentials, name) else helpers
    return inspect.getsource(getattr(module, name)).rstrip()


def _add_starts(program: Program, main: Scope) -> None:
    """The functions that compute initial values, one for equal ones."""
    for scope in [chunk for chunk in (*program.chunks, main) if isinstance(chunk, Scope)]:
        for path, declared in scope.declared.items():
            start = declared.token.init if isinstance(declared.token, Parameter) else ""
            if not isinstance(start, str) and start not in program.starts:
                program.starts[start] = start_of(program, start, f"{path[-1]}_start")


# -- classes and functions ----------------------------------------------------------------------


def _chunk(chunk: Scope | str) -> str:
    if isinstance(chunk, str):
        return chunk
    return "\n".join(_function(chunk) if chunk.kind == "function" else _class(chunk))


def _class(scope: Scope) -> list[str]:
    parts = [_documentation(scope), _constructor(scope), _body(scope, "forward", ["self"])]
    inside = "\n\n".join("\n".join(part) for part in parts if part).split("\n")
    head = f"class {scope.unit.name}(nn.Module):"
    return [head, *(f"    {line}".rstrip() for line in inside)]


def _function(scope: Scope) -> list[str]:
    return _body(scope, scope.unit.name, [], _documentation(scope))


def _documentation(scope: Scope) -> list[str]:
    if not scope.diagram.doc:
        return []
    paragraphs = scope.diagram.doc.strip().split("\n\n")
    lines = wrapped_words(names.clean(paragraphs[0]))
    if len(lines) == 1:
        return [f'"""{lines[0]}"""']
    return [f'"""{lines[0]}', *lines[1:], '"""']


def wrapped_words(text: str, width: int = 88) -> list[str]:
    """The words of a text in lines."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _body(
    scope: Scope, name: str, first: Sequence[str], documentation: Sequence[str] = ()
) -> list[str]:
    program = scope.program
    reserved = program.taken | set(scope.lengths.values())
    statements = scope.block.render(scope.results, reserved)
    arguments = [*first, *scope.argument_names, *(known for known, _ in scope.unit.extras)]
    if scope.generator:
        arguments += ["*", "generator=None"]
    lines = wrapped(f"def {name}({', '.join(arguments)}):")
    inside = [*documentation, *_preamble(scope), *statements]
    return [*lines, *(f"    {line}" for line in inside)]


def _preamble(scope: Scope) -> list[str]:
    """`n, c = q.shape`: where the sizes that are used come from."""
    lines: list[str] = []
    for wire, name in zip(scope.arguments, scope.argument_names, strict=True):
        here = {d: (v, s) for v, (w, d, s) in scope.used.items() if w == wire}
        plain = {d: scope.lengths[v] for d, (v, found) in here.items() if found.plain}
        rank = len(scope.orders[wire])
        if len(plain) > 1:
            left = ", ".join(plain.get(d, "_") for d in range(rank))
            lines.append(f"{left} = {name}.shape")
        for d, (variable, solution) in here.items():
            if len(plain) > 1 and d in plain:
                continue
            place = -1 if d == rank - 1 and rank > 1 else d
            term = solution.term(Term(f"{name}.shape[{place}]"))
            lines.append(f"{scope.lengths[variable]} = {term.text}")
    return lines


# -- parameters ---------------------------------------------------------------------------------


def _constructor(scope: Scope) -> list[str]:
    """`__init__`: parameters, the modules of named boxes, and sizes that no input tells."""
    sizes = {v: names.identifier(v) for v in scope.unit.sizes}
    lines: list[str] = []
    made: set[Path] = set()
    for path, parameter in scope.declared.items():
        if path[0] in scope.parts:
            if path[:1] not in made:
                unit = scope.parts[path[0]]
                given = ", ".join(sizes[v] for v in unit.sizes)
                lines.append(f"self.{path[0]} = {unit.name}({given})")
                made.add(path[:1])
            continue
        for depth in range(1, len(path)):
            if path[:depth] not in made:
                lines.append(_assigned(path[:depth], "nn.Module()"))
                made.add(path[:depth])
        if path not in made:
            lines += wrapped(_parameter(scope.program, parameter, path, sizes))
            made.add(path)
    for variable in scope.static:
        lines.append(f"self.{scope.static_name(variable)} = {sizes[variable]}")
    if scope.kind == "main" and scope.program.blank:
        lines.append('self.register_buffer("_blank", torch.empty(0), persistent=False)')
    if not lines:
        return []
    arguments = ", ".join(["self", *sizes.values()])
    return [*wrapped(f"def __init__({arguments}):"),
            *(f"    {line}" for line in ["super().__init__()", *lines])]  # fmt: skip


def _assigned(path: Path, value: str) -> str:
    term = attribute(path).text
    if term.startswith("getattr"):
        return f'setattr({attribute(path[:-1]).text}, "{path[-1]}", {value})'
    return f"{term} = {value}"


def _parameter(program: Program, declared: Declared, path: Path, sizes: Mapping[str, str]) -> str:
    token = declared.token
    assert isinstance(token, Parameter)
    lengths = [size_term(s, sizes).at(0) for s in declared.sizes]
    shape = ", ".join(lengths) or "()"
    value = _initial(program, token, shape, sizes).text
    if not token.trainable:
        return f'{attribute(path[:-1]).text}.register_buffer("{path[-1]}", {value})'
    return _assigned(path, f"nn.Parameter({value})")


def _initial(program: Program, token: Parameter, shape: str, sizes: Mapping[str, str]) -> Term:
    """The initial value of a parameter, as it is declared."""
    if not isinstance(token.init, str):
        unit = program.starts[token.init]
        known = {"dtype": "torch.get_default_dtype()", "device": "None", **sizes}
        given = ", ".join(f"{name}={known[extra]}" for name, extra in unit.extras)
        return Term(f"{unit.name}({given})")
    if token.init in ("zeros", "ones"):
        return Term(f"torch.{token.init}({shape})")
    if token.init == "orthogonal":
        drawn = Term(f"{program.helper('orthogonal_rows')}({shape})")
        return drawn if token.scale == 1 else _times(token.scale, drawn)
    if token.init == "uniform" and token.fan is None:
        scale = literal_term(token.scale).at(SIGN)
        return Term(f"torch.empty({shape}).uniform_(-{scale}, {scale})")
    normal = token.init == "normal"
    drawn = Term(f"torch.randn({shape})" if normal else f"torch.empty({shape}).uniform_(-1, 1)")
    drawn = drawn if token.scale == 1 else _times(token.scale, drawn)
    if token.fan is None or token.fan == 1:
        return drawn
    root = Term(f"{size_term(token.fan, sizes).at(ATOM)}**0.5", POWER)
    return Term(f"{drawn.at(PRODUCT)} / {root.at(PRODUCT + 1)}", PRODUCT)


def _times(scale: float, drawn: Term) -> Term:
    return Term(f"{literal_term(scale).at(SIGN)} * {drawn.at(PRODUCT)}", PRODUCT)
