"""Closed expressions: what numbers, sizes and positions alone compute, as one line of text.

`1/√c` that scales the scores and `m ≤ n` that masks them are four boxes each; a picture shows
one. Nothing is computed here: the text is only written down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.listing import local_names
from vesalius.diagrams.sizes import Size

MOST = 24  # characters; a longer expression is drawn box by box
VARIABLE = "x"  # what comes in

LARGE = 10**9  # whole numbers from here on are written with a power of ten

# How tightly each form binds: an operand that binds less is put in parentheses.
_LOOSE, _LOGIC, _ORDER, _SUM, _SIGNED, _PRODUCT, _TIGHT = range(7)
_INFIX = {
    "less": ("<", _ORDER),
    "less_equal": ("≤", _ORDER),
    "equal": ("=", _ORDER),
    "logical_and": ("∧", _LOGIC),
    "logical_or": ("∨", _LOGIC),
    "remainder": ("mod", _PRODUCT),
    "floor_divide": ("÷", _PRODUCT),
}
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Words = tuple[str, int]


def closed(diagram: Diagram) -> list[bool]:
    """For each node, whether it depends on numbers and positions alone, entry by entry."""
    found: list[bool] = []
    owner = diagram.owner
    for node in diagram.nodes:
        name = node.box.kind.name
        if name == "constant":
            found.append(not isinstance(node.box["value"], tuple))
        elif name == "iota":
            found.append(True)
        elif name in ("pointwise", "add", "contract", "expand") and not node.box.bound and node.src:
            found.append(all(found[owner[wire]] for wire in node.src))
        else:
            found.append(False)
    return found


def size_text(value: Size | str) -> str:
    """A size as mathematics writes it."""
    return str(value).replace("**2", "²").replace("**3", "³").replace("*", "·").replace("-", "−")


def number_text(value: object) -> str:
    """A number, short; equal numbers of different types read the same."""
    if isinstance(value, Size):
        return size_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "nan")
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return str(value)
    exact = Fraction(value)
    if exact.denominator == 1 and abs(exact) < LARGE:
        return str(exact.numerator).replace("-", "−")
    below = exact.denominator
    dyadic = below & (below - 1) == 0  # a float may be equal to it
    if (1 < below <= 8) if dyadic else isinstance(value, Fraction):
        return str(exact).replace("-", "−")
    head, power, exponent = f"{float(exact):.4g}".partition("e")
    head = head.replace("-", "−")
    if not power:
        return head
    raised = f"10{str(int(exponent)).translate(RAISED)}"
    return {"1": raised, "−1": f"−{raised}"}.get(head, f"{head}·{raised}")


def expression(diagram: Diagram, wire: int, names: Sequence[str]) -> str | None:
    """The text of a closed wire whose axes have these names; None when it grows too long."""
    found = _words(diagram, wire, tuple(names), 40)
    return found[0] if found is not None and len(found[0]) <= MOST else None


def formula(diagram: Diagram, node: Node) -> str:
    """What a node computes, in the names of its own axes and with as many operands as it has."""
    kind = node.box.kind
    operands = ["x" + str(p + 1).translate(LOWERED) for p in range(len(node.src))]
    if len(operands) == 1:
        operands = ["x"]
    if kind.name == "pointwise":
        return f"y = {node.box['function'].name}({', '.join(operands)})"
    names = local_names(diagram, node)
    bound = [names[a].rstrip("'") for a in node.box.bound]
    over = f"_{bound[0]} " if len(bound) == 1 else f"_{{{' '.join(bound)}}} "
    if kind.name == "contract":
        return f"y = {f'Σ{over}' if bound else ''}{'·'.join(operands)}"
    if kind.name == "add":
        return f"y = {' + '.join(operands)}"
    return re.sub(r"_[a-z] ", over, kind.formula) if bound else kind.formula


def step(diagram: Diagram, k: int, ports: Sequence[int], inner: Words | None) -> Words | None:
    """What node k makes of `inner` at these ports (of a variable, if None); else as `_words`."""
    node = diagram.nodes[k]
    operands = []
    kind = node.box.kind.name
    order = list(range(len(node.src)))
    if kind in ("add", "contract"):  # x + 1, and 2·x
        order.sort(key=lambda p: (p in ports) == (kind == "contract"))
    for p in order:
        source = node.src[p]
        found = (inner or (VARIABLE, _TIGHT)) if p in ports else _words(diagram, source, (), 32)
        if found is None:
            return None
        operands.append(found)
    if kind == "add":
        return _sum(operands)
    if kind == "contract":
        if len(ports) == 2 and len(operands) == 2:
            return f"{_in(operands[0], _TIGHT)}²", _TIGHT
        return _product(operands)
    return _function(node, operands)


def _words(diagram: Diagram, wire: int, names: tuple[str, ...], fuel: int) -> Words | None:
    node = diagram.nodes[diagram.owner[wire]]
    kind = node.box.kind.name
    if kind == "constant":
        return _constant(node)
    if kind == "iota":
        return names[0], _TIGHT
    if fuel <= 0:
        return None
    local = [""] * node.box.rank
    for axis, name in zip(node.box.outs[0], names, strict=True):
        local[axis] = name
    operands = []
    for source, row in zip(node.src, node.box.maps, strict=True):
        found = _words(diagram, source, tuple(local[a] for a in row), fuel - 8)
        if found is None or len(found[0]) > MOST:
            return None
        operands.append(found)
    if kind == "expand":
        return operands[0]
    if kind == "add":
        return _sum(operands)
    if kind == "contract":
        return _product(operands)
    return _function(node, operands)


def _constant(node: Node) -> Words:
    value = node.box["value"]
    text = number_text(value)
    if text.startswith("−") and not isinstance(value, Size):
        return text, _SIGNED
    if "/" in text and not isinstance(value, Size):
        return text, _PRODUCT
    if isinstance(value, Size) and not text.isalnum():
        return text, _SUM if len(value.terms) > 1 else _PRODUCT
    return text, _TIGHT


def _in(words: Words, least: int) -> str:
    return words[0] if words[1] >= least else f"({words[0]})"


def _sum(operands: Sequence[Words]) -> Words:
    text = ""
    for words in sorted(operands, key=lambda words: words[0].startswith("−")):
        piece = _in(words, _SUM)
        text += (f" − {piece[1:]}" if piece.startswith("−") else f" + {piece}") if text else piece
    return text, _SUM


def _product(operands: Sequence[Words]) -> Words:
    """A sign, factors, and then what divides them."""
    negative = False
    above, below = [], []
    for text, level in operands:
        if level == _SIGNED:
            negative, text, level = not negative, text[1:], _PRODUCT
        if text.startswith("1/"):
            below.append(text[2:])
        elif text != "1":
            above.append(_in((text, level), _PRODUCT))
    found = "·".join(above) or "1"
    if below:
        found += f"/{below[0]}" if len(below) == 1 else f"/({'·'.join(below)})"
    return (f"−{found}", _SIGNED) if negative else (found, _PRODUCT)


_PLAIN: dict[str, Callable[[Words], Words]] = {
    "reciprocal": lambda x: (f"1/{_in(x, _TIGHT)}", _PRODUCT),
    "sqrt": lambda x: (f"√{x[0]}" if x[0].isalnum() else f"√({x[0]})", _TIGHT),
    "negate": lambda x: (f"−{_in(x, _PRODUCT)}", _SIGNED),
    "abs": lambda x: (f"|{x[0]}|", _TIGHT),
    "floor": lambda x: (f"⌊{x[0]}⌋", _TIGHT),
    "logical_not": lambda x: (f"¬{_in(x, _TIGHT)}", _TIGHT),
    "to_float": lambda x: x,
}


def _function(node: Node, operands: Sequence[Words]) -> Words:
    function, numbers = node.box["function"], node.box["numbers"]
    if function.name in _PLAIN and len(operands) == 1:
        return _PLAIN[function.name](operands[0])
    if function.name in _INFIX:
        sign, level = _INFIX[function.name]
        return f"{_in(operands[0], level + 1)} {sign} {_in(operands[1], level + 1)}", level
    if function.name == "power":
        exponent = number_text(numbers[0])
        if Fraction(numbers[0]).denominator == 1:
            return f"{_in(operands[0], _TIGHT)}{str(int(numbers[0])).translate(RAISED)}", _TIGHT
        return f"{_in(operands[0], _TIGHT)}^{exponent}", _TIGHT
    words = [words[0] for words in operands] + [number_text(x) for x in numbers]
    head = function.symbol if function.symbol.isalpha() else function.name
    return f"{head}({', '.join(words)})", _TIGHT
