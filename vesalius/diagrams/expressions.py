"""Expressions: what numbers, sizes, positions and draws compute, as one line of text.

A picture shows `1/√c`, which scales the scores, and `m ≤ n`, which masks them, as one glyph each;
a mechanism's page says that a parameter starts at `8·(e/(|e| − 1))^0.7 − 4`. Positions are called
as their axis, so beside it the length is written `|e|`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fractions import Fraction

from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.listing import box_name, local_names
from vesalius.diagrams.sizes import Size

MOST = 24  # characters; a longer expression is drawn box by box
VARIABLE = "x"  # what comes in

LARGE = 10**9  # whole numbers from here on are written with a power of ten

# How tightly each form binds: an operand that binds less is put in parentheses.
_LOOSE, _LOGIC, _ORDER, _SUM, _SIGNED, _PRODUCT, _POWER, _TIGHT = range(8)
_INFIX = {
    "less": ("<", _ORDER, _SUM),
    "less_equal": ("≤", _ORDER, _SUM),
    "equal": ("=", _ORDER, _SUM),
    "logical_and": ("∧", _LOGIC, _ORDER),
    "logical_or": ("∨", _LOGIC, _ORDER),
    "remainder": ("mod", _SUM, _POWER),
    "floor_divide": ("÷", _SUM, _POWER),
}
_DRAWS = {"normal": "N(0, 1)", "uniform": "U(0, 1)"}
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Words = tuple[str, int]


# -- numbers ----------------------------------------------------------------------------------


def size_text(value: Size | str) -> str:
    """A size as mathematics writes it.

    >>> size_text("2*h*n**2 - n")
    '2·h·n² − n'
    """
    text = re.sub(r"\*\*(\d+)", lambda found: found[1].translate(RAISED), str(value))
    return text.replace("*", "·").replace("-", "−")


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


# -- a diagram's wires ------------------------------------------------------------------------


def expression(
    diagram: Diagram, wire: int, names: Sequence[str], most: int = MOST, depth: int = 5
) -> str | None:
    """The text of a wire that no input decides, whose axes have these names.

    None where it has more than `most` characters or more than `depth` boxes one upon another.
    """
    writer = _Writer(diagram, most)
    found = writer.words(wire, names, depth)
    places = {*names, *writer.places}
    if places & writer.lengths:
        found = _Writer(diagram, most, places).words(wire, names, depth)
    return found[0] if found is not None and len(found[0]) <= most else None


def step(diagram: Diagram, k: int, ports: Sequence[int], inner: Words | None) -> Words | None:
    """What node k makes of `inner` at these ports (of a variable, if None), or None if too long."""
    node = diagram.nodes[k]
    operands = []
    kind = node.box.kind.name
    order = list(range(len(node.src)))
    if kind in ("add", "contract"):  # x + 1, and 2·x
        order.sort(key=lambda p: (p in ports) == (kind == "contract"))
    writer = _Writer(diagram, MOST)
    for p in order:
        source = node.src[p]
        found = (inner or (VARIABLE, _TIGHT)) if p in ports else writer.words(source, (), 4)
        if found is None:
            return None
        operands.append(found)
    if kind == "contract" and len(ports) == 2 and len(operands) == 2:
        return f"{_in(operands[0], _TIGHT)}²", _POWER
    return _combined(node, operands)


@dataclass
class _Writer:
    """Writes wires of a diagram: which positions and lengths it met, and which lengths get bars."""

    diagram: Diagram
    most: int
    barred: Set[str] = frozenset()
    places: set[str] = field(default_factory=set)
    lengths: set[str] = field(default_factory=set)

    def words(self, wire: int, names: Sequence[str], depth: int) -> Words | None:
        """A wire whose axes are called so; None where it grows too long or too deep."""
        node = self.diagram.nodes[self.diagram.owner[wire]]
        kind = node.box.kind.name
        if kind == "constant":
            return self.constant(node.box["value"])
        if kind == "iota":
            self.places.add(names[0])
            return names[0], _TIGHT
        if kind == "random":
            token = node.box["token"]
            return _DRAWS.get(token.distribution, f"B({number_text(token.p)})"), _TIGHT
        if depth <= 0:
            return None
        local = local_names(self.diagram, node)
        for axis, name in zip(node.box.outs[wire - node.first], names, strict=True):
            local[axis] = name
        operands = []
        for source, row in zip(node.src, node.box.maps, strict=True):
            found = self.words(source, [local[a] for a in row], depth - 1)
            if found is None or len(found[0]) > self.most:
                return None
            operands.append(found)
        if node.box.bound or kind not in ("expand", "add", "contract", "pointwise"):
            over = "".join(f"; over {local[axis]}" for axis in node.box.bound)
            return f"{box_name(node.box)}({', '.join(text for text, _ in operands)}{over})", _TIGHT
        return operands[0] if kind == "expand" else _combined(node, operands)

    def constant(self, value: object) -> Words:
        if isinstance(value, tuple):
            return f"({', '.join(self.constant(entry)[0] for entry in value)})", _TIGHT
        text = number_text(value)
        if isinstance(value, Size):
            plain = text.isalnum()
            self.lengths |= value.variables
            for name in sorted(value.variables & self.barred):
                text = re.sub(rf"\b{name}\b", f"|{name}|", text)
            return text, _TIGHT if plain else _SUM if len(value.terms) > 1 else _PRODUCT
        if text.startswith("−"):
            return text, _SIGNED
        return text, _PRODUCT if "/" in text else _TIGHT


# -- operations -------------------------------------------------------------------------------


def _combined(node: Node, operands: Sequence[Words]) -> Words:
    kind = node.box.kind.name
    if kind == "add":
        return _sum(operands)
    return _product(operands) if kind == "contract" else _function(node, operands)


def _in(words: Words, least: int) -> str:
    return words[0] if words[1] >= least else f"({words[0]})"


def _sum(operands: Sequence[Words]) -> Words:
    text = ""
    for words in sorted(operands, key=lambda words: words[0].startswith("−")):
        piece = _in(words, _SUM)
        text += (f" − {piece[1:]}" if piece.startswith("−") else f" + {piece}") if text else piece
    return text, _SUM


def _product(operands: Sequence[Words]) -> Words:
    """A sign, numbers, other factors, the short ones first, and then what divides them."""
    negative = False
    above: list[str] = []
    below: list[str] = []
    for text, level in operands:
        if level == _SIGNED:
            negative, text, level = not negative, text[1:], _PRODUCT
        top, bottom = _divided(text) if level == _PRODUCT else (_in((text, level), _PRODUCT), "")
        above += [top] if top != "1" else []
        below += [bottom] if bottom else []
    for factors in (above, below):
        factors.sort(key=lambda factor: (not factor[0].isdecimal(), len(factor)))
    found = "·".join(above) or "1"
    if below:
        closed = len(below) == 1 and "·" not in _bare(below[0])
        found += f"/{below[0]}" if closed else f"/({'·'.join(below)})"
    return (f"−{found}", _SIGNED) if negative else (found, _PRODUCT)


def _divided(text: str) -> tuple[str, str]:
    """The factors of a quotient and those that divide it; a product has none of these."""
    place = _bare(text).find("/")
    if place < 0:
        return text, ""
    top, bottom = text[:place], text[place + 1 :]
    inside = _bare(bottom[1:-1])
    factors = bottom.startswith("(") and "·" in inside and not set(inside) & set("/+−")
    return top, bottom[1:-1] if factors else bottom


def _bare(text: str) -> str:
    """The text with blanks for what stands in parentheses or bars."""
    depth, bare, bars = 0, "", False
    for c in text:
        depth -= c in ")]⌋"
        bare += " " if depth or bars else c
        depth += c in "([⌊"
        bars ^= c == "|"
    return bare


def _number(x: Words) -> Words:
    """A truth value as a number: Iverson's brackets."""
    return (f"[{x[0]}]", _TIGHT) if x[1] in (_LOGIC, _ORDER) else x


_PLAIN: Mapping[str, Callable[[Words], Words]] = {
    "reciprocal": lambda x: (f"1/{_in(x, _POWER)}", _PRODUCT),
    "sqrt": lambda x: (f"√{x[0]}" if x[0].isalnum() else f"√({x[0]})", _TIGHT),
    "negate": lambda x: (f"−{_in(x, _PRODUCT)}", _SIGNED),
    "abs": lambda x: (f"|{x[0]}|", _TIGHT),
    "floor": lambda x: (f"⌊{x[0]}⌋", _TIGHT),
    "logical_not": lambda x: (f"¬{_in(x, _TIGHT)}", _TIGHT),
    "to_float": _number,
}


def _function(node: Node, operands: Sequence[Words]) -> Words:
    function, numbers = node.box["function"], node.box["numbers"]
    if function.name in _PLAIN and len(operands) == 1:
        return _PLAIN[function.name](operands[0])
    if function.name in _INFIX:
        sign, level, least = _INFIX[function.name]
        return f"{_in(operands[0], least)} {sign} {_in(operands[1], least)}", level
    if function.name == "power":
        exponent = number_text(numbers[0])
        if Fraction(numbers[0]).denominator == 1:
            return f"{_in(operands[0], _TIGHT)}{str(int(numbers[0])).translate(RAISED)}", _POWER
        exponent = f"({exponent})" if set(exponent) & set("/−·") else exponent
        return f"{_in(operands[0], _TIGHT)}^{exponent}", _POWER
    words = [words[0] for words in operands] + [number_text(x) for x in numbers]
    head = function.symbol if function.symbol.isalpha() else function.name
    return f"{head}({', '.join(words)})", _TIGHT
