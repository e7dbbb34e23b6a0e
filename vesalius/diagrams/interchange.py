"""Diagrams as graphs of networkx.

`to_networkx(diagram)` has a node for each input, box and output, and an edge for each use of a
wire. Nodes are numbered as in the diagram, outputs after the boxes. Attributes of nodes:

    role        "input", "box" or "output"
    name        what a listing calls it: the name of a port, or of a box with its attributes
    kind        the kind of box; "input" and "output" for the ports
    attrs       what the box is apart from names: a tuple of attributes, where an identity is
                described by what it shares with those that may stand for it
    bound, new  the local axes that a box binds, and the sizes of those that it makes
    axes        a name for each local axis; for ports, the axes of the interface in order

and of edges:

    source      the output of the node where the edge begins
    target      the input port where it ends
    operand     the same, or None where the order of the operands does not matter
    map         the local axis of the target that each slot of the wire becomes; for outputs,
                the place on the interface
    type        the type of the wire without names: sizes and element type

Equal diagrams have isomorphic graphs with respect to the `kind` and `attrs` of nodes and the
`source`, `operand` and `type` of edges, since only slots and the order of operands may differ.

`to_networkx(diagram, axes=True)` spells out the axes as well: a graph in which the wires, their
slots, the uses of wires and the local axes of boxes are nodes too, every node has the one
attribute `label`, and no edge has any. Two diagrams are equal exactly when these graphs are
isomorphic with respect to `label`, up to orders of evaluation; isomorphism is networkx's problem
then, which makes it a judge of equality that we did not write. It takes exponential time where
much is alike: use it on small diagrams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vesalius.diagrams.box import Box, Token
from vesalius.diagrams.boxes.sources import INPUT
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.listing import box_name, local_names

if TYPE_CHECKING:
    import networkx


def to_networkx(diagram: Diagram, *, axes: bool = False) -> networkx.MultiDiGraph:
    """This diagram as a `networkx.MultiDiGraph`; `axes` makes the axes nodes as well."""
    return _with_axes(diagram) if axes else _boxes(diagram)


def _boxes(diagram: Diagram) -> networkx.MultiDiGraph:
    import networkx

    graph = networkx.MultiDiGraph(name=diagram.name)
    for k, port in enumerate(diagram.inputs):
        graph.add_node(k, role="input", name=port.name, kind="input", attrs=(k,), bound=(), new=(),
                       axes=port.axes)  # fmt: skip
    count = len(diagram.inputs)
    for k, node in enumerate(diagram.boxes, count):
        box = node.box
        graph.add_node(
            k,
            role="box",
            name=box_name(box),
            kind=box.kind.name,
            attrs=_attributes(box),
            bound=box.bound,
            new=tuple(map(str, box.new)),
            axes=tuple(local_names(diagram, node)),
        )
        commutes = box.kind.commutes(box.attrs)
        for p, (wire, row) in enumerate(zip(node.src, box.maps, strict=True)):
            operand = None if commutes else p
            graph.add_edge(diagram.owner[wire], k, target=p, operand=operand, map=row,
                           **_source(diagram, wire))  # fmt: skip
    for j, port in enumerate(diagram.outputs):
        k = len(diagram.nodes) + j
        graph.add_node(k, role="output", name=port.name, kind="output", attrs=(port.name,),
                       bound=(), new=(), axes=port.axes)  # fmt: skip
        places = tuple(port.slots.index(slot) for slot in range(len(port.slots)))
        graph.add_edge(diagram.owner[port.wire], k, target=0, operand=0, map=places,
                       **_source(diagram, port.wire))  # fmt: skip
    return graph


def _source(diagram: Diagram, wire: int) -> dict[str, Any]:
    sizes, dtype = diagram.types[wire]
    node = diagram.nodes[diagram.owner[wire]]
    # The order of slots is a matter of spelling: sizes are sorted.
    words = (*sorted(map(str, sizes)), dtype)
    return {"source": wire - node.first, "type": " ".join(words)}


def _attributes(box: Box) -> tuple[Any, ...]:
    """The attributes of a box, identities described, bodies as they are: equality compares them."""
    return tuple(value.describe() if isinstance(value, Token) else value for value in box.attrs)


def _with_axes(diagram: Diagram) -> networkx.MultiDiGraph:
    import networkx

    graph = networkx.MultiDiGraph(name=diagram.name)
    tokens: dict[Token, Any] = {}
    for k, node in enumerate(diagram.nodes):
        box, here = node.box, ("node", k)
        if box.kind is INPUT:
            port = diagram.inputs[k]
            graph.add_node(here, label=("input", k, port.name))
        else:
            graph.add_node(here, label=("box", box.kind.name, _attributes(box)))
        for token in (value for value in box.attrs if isinstance(value, Token)):
            place = tokens.setdefault(token, ("token", len(tokens)))
            graph.add_node(place, label=("token", token.describe()))
            graph.add_edge(place, here)
        for axis in range(box.rank):
            at = box.bound.index(axis) if axis in box.bound and not box.kind.bound_is_set else 0
            name = diagram.inputs[k].axes[axis] if box.kind is INPUT else ""
            size = str(box.new[axis - box.inner]) if axis >= box.inner else ""
            new = axis - box.inner if axis >= box.inner and not _free_order(box) else 0
            label = ("axis", axis in box.bound, at, axis >= box.inner, new, size, name)
            graph.add_node(("axis", k, axis), label=label)
            graph.add_edge(here, ("axis", k, axis))
        commutes = box.kind.commutes(box.attrs)
        for p, (wire, row) in enumerate(zip(node.src, box.maps, strict=True)):
            _use(graph, wire, ("use", k, p), ("operand", 0 if commutes else p), here,
                 [("axis", k, axis) for axis in row])  # fmt: skip
        for j, (wire, row) in enumerate(zip(node.wires, box.outs, strict=True)):
            graph.add_node(("wire", wire), label=("wire", j, diagram.types[wire].dtype))
            graph.add_edge(here, ("wire", wire))
            for slot, axis in enumerate(row):
                graph.add_node(("slot", wire, slot), label=("slot",))
                graph.add_edge(("wire", wire), ("slot", wire, slot))
                graph.add_edge(("axis", k, axis), ("slot", wire, slot))
    for j, port in enumerate(diagram.outputs):
        here = ("output", j)
        graph.add_node(here, label=("output", j, port.name))
        ends = []
        for i, name in enumerate(port.axes):
            graph.add_node(("axis", here, i), label=("named axis", i, name))
            graph.add_edge(here, ("axis", here, i))
            ends.append(("axis", here, i))
        order = [ends[port.slots.index(slot)] for slot in range(len(port.slots))]
        _use(graph, port.wire, ("use", here, 0), ("operand", 0), here, order)
    return graph


def _free_order(box: Box) -> bool:
    """Whether new axes are only told apart by their sizes."""
    return box.kind.name == "expand"


def _use(
    graph: Any, wire: int, use: Any, label: tuple[Any, ...], reader: Any, row: list[Any]
) -> None:
    """A use of a wire: a node between the wire and its reader, and one for each slot's image."""
    graph.add_node(use, label=("use", *label))
    graph.add_edge(("wire", wire), use)
    graph.add_edge(use, reader)
    for slot, axis in enumerate(row):
        image = (*use, slot)
        graph.add_node(image, label=("image",))
        graph.add_edge(use, image)
        graph.add_edge(("slot", wire, slot), image)
        graph.add_edge(image, axis)
