"""A diagram as one box, and boxes opened again."""

from __future__ import annotations

from collections.abc import Iterable

from vesalius.diagrams.boxes.nested import NAMED
from vesalius.diagrams.call import place_named
from vesalius.diagrams.graft import Opening, Opens
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.interface import finish_as, same_tokens, start


def fold(diagram: Diagram, name: str | None = None) -> Diagram:
    """A diagram of one named box, whose body is this diagram.

    Parameters and random sources become inputs of the box, by name and in order: so two equal
    diagrams whose parameters have other names fold into two boxes.
    """
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    inner = diagram
    if name is not None:
        inner = Diagram(
            name,
            diagram.nodes,
            diagram.types,
            diagram.hints,
            diagram.inputs,
            diagram.outputs,
            diagram.doc,
            diagram.symmetries,
            diagram.expanded,
        )
    results = place_named(builder, inner, inputs)
    results = results if isinstance(results, tuple) else (results,)
    uses = [(wire.id, wire.names) for wire in results]
    return finish_as(builder, diagram, uses, ())


def unfold(diagram: Diagram, name: str | None = None, depth: int | None = None) -> Diagram:
    """Open the named boxes called `name` (all by default), `depth` levels (all by default)."""
    level = 0
    while depth is None or level < depth:
        if not any(opens_named(name)(diagram, node) for node in diagram.nodes):
            break
        diagram = reopen(diagram, opens_named(name))
        level += 1
    return diagram


def opens_named(name: str | None) -> Opens:
    """What opens the named boxes called `name`, or all of them."""

    def opens(diagram: Diagram, node: Node) -> Opening | None:
        if node.box.kind is not NAMED or (name is not None and node.box["name"] != name):
            return None
        body: Diagram = node.box["body"]
        return Opening(
            body,
            tuple(tuple(range(len(port.axes))) for port in body.inputs),
            tuple(tuple(range(len(port.axes))) for port in body.outputs),
            f"{node.box['token'].name}." if body.learners else "",
        )

    return opens


def reopen(diagram: Diagram, opens: Opens, free: Iterable[str] = ()) -> Diagram:
    """One level of openings; what is opened is not looked into again.

    What comes may take the names `free` of identities that go.
    """
    builder, inputs = start(diagram.name, diagram.doc, list(diagram.input_types.items()))
    uses = [(wire.id, tuple(range(len(wire.names)))) for wire in inputs]
    kept = same_tokens(diagram)
    builder.token_names = dict.fromkeys(t.name for t in kept if t.name not in free)
    outputs = builder.graft(diagram, uses, replace=kept, opens=opens)
    return finish_as(builder, diagram, outputs, ())
