"""What is refused when a rule is defined, with the reason.

(a) Sides whose outputs would carry different tubes, because they depend on different variables;
(b) sizes and axes that nothing binds; (c) a new parameter of which it is not plain what it
replaces: it takes the tubes of those parameters, never tubes of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vesalius.diagrams.box import Draw, Parameter, Token
from vesalius.diagrams.boxes.linear import ADD, CONTRACT
from vesalius.diagrams.boxes.nested import NAMED, SCAN, ports_read, union
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import AxisError, SizeError, StructureError
from vesalius.diagrams.graph import Diagram

if TYPE_CHECKING:
    from vesalius.rewrite.rule import Rule


class RuleError(StructureError):
    """A rule that cannot mean what it says, with the reason."""


def refuse(rule: Rule) -> None:
    """Raise `RuleError`, `AxisError` or `SizeError` for a rule that cannot mean what it says."""
    bits = _bits(rule)
    left, right = (reads(side, bits) for side in (rule.left, rule.right))
    _check_inputs(rule)
    _check_several(rule)
    _check_tubes(rule, left, right, bits)
    _check_axes(rule)
    _check_sizes(rule)


def sources(side: Diagram) -> dict[str, Token]:
    """The parameters and random sources of a side, by name."""
    return {t.name: t for t, _ in side.tokens if isinstance(t, (Parameter, Draw))}


def replaced(rule: Rule) -> dict[str, tuple[str, ...]]:
    """For each new parameter and random source, those of the left side that it stands for."""
    left, right = sources(rule.left), sources(rule.right)
    made = {name: token for name, token in right.items() if name not in left}
    for name, old in rule.replaces.items():
        if name not in made:
            raise RuleError(f"{rule.name}: {name!r} replaces something, but it is not new")
        for other in old:
            if other not in left:
                raise RuleError(f"{rule.name}: the left side has no parameter {other!r}")
    found: dict[str, tuple[str, ...]] = {}
    for kind in (Parameter, Draw):
        new = [name for name, token in made.items() if isinstance(token, kind)]
        gone = [n for n, token in left.items() if n not in right and isinstance(token, kind)]
        unclear = [name for name in new if name not in rule.replaces]
        if len(unclear) > 1 and len(gone) > 1:
            raise RuleError(
                f"{rule.name}: it is not plain which of {', '.join(gone)} each of "
                f"{', '.join(unclear)} replaces, whose tubes it takes; say it: "
                f"replaces={{{unclear[0]!r}: {gone[0]!r}, …}}"
            )
        found.update({name: rule.replaces.get(name, tuple(gone)) for name in new})
    return found


# -- what a side depends on -----------------------------------------------------------------------


def _bits(rule: Rule) -> dict[str, int]:
    """A bit for each input and each source of the left side; a new source has those it replaces."""
    names = [port.name for port in rule.left.inputs] + list(sources(rule.left))
    bits = {name: 1 << k for k, name in enumerate(names)}
    for name, old in rule.replaces.items():
        mask = 0
        for other in old:
            mask |= bits[other]
        bits[name] = mask
    return bits


def reads(side: Diagram | Builder, bits: Mapping[str, int]) -> list[int]:
    """For each wire, the inputs and sources that it depends on, as a mask of their bits."""
    masks: list[int] = []
    for k, node in enumerate(side.nodes):
        kind = node.box.kind
        below = [masks[wire] for wire in node.src]
        if k < len(side.inputs):
            masks.append(bits[side.inputs[k].name])
        elif kind.has_identity and not node.src:
            masks.append(bits.get(node.box["token"].name, 0))
        elif kind is NAMED or kind is SCAN:
            masks.extend(union(below, ports) for ports in ports_read(node.box))
        else:
            masks.extend([union(below, range(len(below)))] * len(node.box.outs))
    return masks


def _check_inputs(rule: Rule) -> None:
    used = {wire for node in rule.left.nodes for wire in node.src}
    used |= {port.wire for port in rule.left.outputs}
    for port in rule.left.inputs:
        if port.wire not in used:
            raise RuleError(
                f"{rule.name}: the left side does not use {port.name!r}, so no match says what "
                f"it is"
            )


def _check_several(rule: Rule) -> None:
    """What stands for any number of operands is read by boxes that take any number."""
    for side in (rule.left, rule.right):
        several = {port.wire: port.name for port in side.inputs if port.name in rule.many}
        for node in side.nodes:
            for wire in node.src:
                if wire in several and node.box.kind not in (CONTRACT, ADD):
                    raise RuleError(
                        f"{rule.name}: {several[wire]!r} stands for any number of operands, so "
                        f"contract and add alone read it, not {node.box.kind.name}"
                    )


def _check_tubes(rule: Rule, left: list[int], right: list[int], bits: Mapping[str, int]) -> None:
    """Both sides of an output carry the same tubes when they depend on the same variables."""
    for port, other in zip(rule.left.outputs, rule.right.outputs, strict=True):
        one, two = left[port.wire], right[other.wire]
        if one == two:
            continue
        names = [name for name, bit in bits.items() if bit & (one ^ two) and bit & -bit == bit]
        poorer = "right" if one & ~two else "left"
        raise RuleError(
            f"{rule.name}: the {poorer} side of {port.name!r} does not depend on "
            f"{', '.join(names)}, so it would lose the tubes of {', '.join(names)}; a new "
            f"parameter takes the tubes of parameters, never those of data: let that side end in "
            f"vs.like(y, {names[0]})"
        )


def _check_axes(rule: Rule) -> None:
    named = {axis for port in (*rule.left.inputs, *rule.left.outputs) for axis in port.axes}
    bound = _bound_names(rule.left) | _bound_names(rule.right)
    for axis in sorted(named):
        if axis not in bound:
            raise AxisError(
                f"{rule.name}: no box of either side binds or makes the axis {axis!r}; leave it "
                f"out, every axis that a rule does not declare is a tube"
            )


def _bound_names(side: Diagram) -> set[str]:
    """The axes of the interface that some box binds or makes."""
    origins: list[list[frozenset[str]]] = []
    found: set[str] = set()
    for k, node in enumerate(side.nodes):
        box = node.box
        if k < len(side.inputs):
            origins.append([frozenset([axis]) for axis in side.inputs[k].axes])
            continue
        local: list[set[str]] = [set() for _ in range(box.rank)]
        for wire, row in zip(node.src, box.maps, strict=True):
            for slot, axis in enumerate(row):
                local[axis] |= origins[wire][slot]
        for bound in box.bound:
            found |= local[bound]
        made = {box.inner + j: frozenset([f"#{k}.{j}"]) for j in range(len(box.new))}
        for row in box.outs:
            origins.append([made.get(axis, frozenset(local[axis])) for axis in row])
    for port in side.outputs:
        for name, slot in zip(port.axes, port.slots, strict=True):
            if any(origin.startswith("#") for origin in origins[port.wire][slot]):
                found.add(name)
    return found


def _check_sizes(rule: Rule) -> None:
    known = {*rule.left.size_variables, *rule.free}
    for name in rule.right.size_variables:
        if name not in known:
            raise SizeError(
                f"{rule.name}: nothing on the left side says what the size {name!r} is; where it "
                f"is to be chosen, say free={name!r}"
            )
