"""What of a diagram is drawn, and as what: glyphs with ports, and the strings between them.

A picture is read, so it says less than a listing. Expressions of numbers and positions alone
become one word (`1/√c`, `m ≤ n`); a contraction with a parameter, and a bias after it, become
one dark box with the parameter's name; the parameters of a named box stay inside it. Nothing
is lost: the title of a glyph tells what it holds.

Axes get *classes*: slots of wires and axes of boxes that are one axis under one name. A use
that calls an axis by another name starts another class, and is drawn with a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from vesalius.diagrams.box import Axes, Box, Hole
from vesalius.diagrams.drawing.inside import joined_axes
from vesalius.diagrams.drawing.plans import Plan, Planner
from vesalius.diagrams.drawing.text import Label, Run, name_label, shortened
from vesalius.diagrams.expressions import number_text
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.listing import local_names

LABELS = ("changes", "all", "none")
# Bound axes of these are local to a body, or one for each input: they say nothing to a reader.
_SILENT = ("named", "learner", "scan", "concat")


@dataclass
class Port:
    """An end of a string at a glyph: the axes there, by the names of the glyph's box."""

    string: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    tick: str = ""


@dataclass
class Glyph:
    """A thing that is drawn: `look` says how, `through` which axes it is mapped over.

    Looks: `input`, `output`, `box`, `dark`, `folded`, `dot`, `scalar`, and the triangles
    `parameter`, `constant` and `random`. `free` glyphs take their inputs in any order.
    `body` is the sketch of a named box that stands open.
    """

    key: str
    look: str
    label: Label
    title: str
    ins: list[Port] = field(default_factory=list)
    outs: list[Port] = field(default_factory=list)
    free: bool = False
    bound: frozenset[int] = frozenset()
    through: frozenset[int] = frozenset()
    node: int = -1
    covers: frozenset[int] = frozenset()  # the nodes that are drawn as this glyph
    name: str = ""
    inside: str = ""
    formula: str = ""  # where it is not that of the node's kind
    body: Sketch | None = None
    opens: Callable[[], Sketch] | None = None


@dataclass
class String:
    """A wire that is drawn, from the glyph that makes it to the ports that read it."""

    key: str
    wire: int
    names: tuple[str, ...]
    classes: tuple[int, ...]
    source: tuple[int, int]
    title: str
    label: str = ""
    targets: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Sketch:
    """A diagram as glyphs in topological order and strings; `axes[c]` names class c."""

    name: str
    diagram: Diagram
    glyphs: list[Glyph] = field(default_factory=list)
    strings: list[String] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)


def sketch(
    diagram: Diagram,
    depth: int = 0,
    labels: str = "changes",
    owned: Mapping[int, str] | None = None,
    known: Sequence[frozenset[str] | None] = (),
) -> Sketch:
    """The sketch of a diagram with named boxes open down to `depth` levels.

    `owned` names the inputs that are parameters of the box that this diagram is the body of;
    `known[k]` are the axes that the string at input k shows already.
    """
    return _Sketcher(diagram, depth, labels, owned or {}, known).run()


def parameter_label(name: str) -> Label:
    """The last part of a parameter's name; `wq` reads as everybody writes it, with a subscript."""
    short = name.rpartition(".")[2]
    if len(short) == 2 and short[0] in "wW" and short[1] in "qkvo":
        short = f"{short[0]}_{short[1]}"
    return name_label(short, "italic")


class _Classes:
    """Union-find over the axes of strings and boxes."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.names: list[str] = []
        self.sizes: list[str] = []

    def new(self, name: str, size: str) -> int:
        self.parent.append(len(self.parent))
        self.names.append(name)
        self.sizes.append(size)
        return len(self.parent) - 1

    def find(self, a: int) -> int:
        while self.parent[a] != a:
            self.parent[a] = self.parent[self.parent[a]]
            a = self.parent[a]
        return a

    def union(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self.parent[max(a, b)] = min(a, b)


class _Sketcher:
    def __init__(
        self,
        diagram: Diagram,
        depth: int,
        labels: str,
        owned: Mapping[int, str],
        known: Sequence[frozenset[str] | None],
    ) -> None:
        self.diagram = diagram
        self.depth = depth
        self.labels = labels
        self.owned = owned
        self.known = known
        self.planner = Planner(diagram, self.owned)
        self.hints = self.planner.hints
        self.result = Sketch(diagram.name, diagram)
        self.classes = _Classes()
        self.string_of: dict[int, int] = {}
        self.order: dict[str, int] = {}
        self.type_texts: dict[tuple[object, object], str] = {}

    def run(self) -> Sketch:
        plans = self.planner.plans()
        out = self.result
        for k, port in enumerate(self.diagram.inputs):
            if k not in self.owned:
                self.input(k, port.name)
        for k in range(len(self.diagram.nodes)):
            if k in plans:  # among them parameters of an opened box that are not folded in
                self.glyph(plans[k])
        self.outputs()
        out.axes, out.sizes = self.classes.names, self.classes.sizes
        find = self.classes.find
        for glyph in out.glyphs:
            for port_ in (*glyph.ins, *glyph.outs):
                port_.classes = tuple(find(c) for c in port_.classes)
            read = {c for port_ in glyph.ins for c in port_.classes}
            made = {c for port_ in glyph.outs for c in port_.classes}
            glyph.bound = frozenset(find(c) for c in glyph.bound)
            glyph.through = frozenset((read & made) - glyph.bound)
        for string in out.strings:
            string.classes = tuple(find(c) for c in string.classes)
        return out

    # -- glyphs ---------------------------------------------------------------------------------

    def size(self, wire: int, slot: int) -> str:
        return str(self.diagram.types[wire].sizes[slot])

    def type_text(self, wire: int) -> str:
        """The type of a wire, written out once for all wires that have it."""
        key = (self.diagram.types[wire], self.diagram.hints[wire])
        if key not in self.type_texts:
            self.type_texts[key] = str(self.diagram.wire_type(wire))
        return self.type_texts[key]

    def string(self, wire: int, glyph: int, out: int, shown: bool) -> int:
        """A new string; `shown` says whether its axes are written beside it."""
        names = self.hints(wire)
        ordered = self.ordered(names)
        classes = tuple(self.classes.new(n, self.size(wire, s)) for s, n in enumerate(names))
        written = self.labels != "none" and bool(names) and (shown or self.labels == "all")
        self.string_of[wire] = len(self.result.strings)
        self.result.strings.append(
            String(
                f"wire-{wire}",
                wire,
                names,
                classes,
                (glyph, out),
                self.type_text(wire),
                " ".join(shortened(name, 12) for name in ordered) if written else "",
            )
        )
        return self.string_of[wire]

    def ordered(self, names: Sequence[str]) -> list[str]:
        """Axes have no order, a reader wants one: that in which the picture brings them up."""
        for name in names:
            self.order.setdefault(name, len(self.order))
        return sorted(names, key=self.order.__getitem__)

    def add(self, glyph: Glyph) -> int:
        self.result.glyphs.append(glyph)
        return len(self.result.glyphs) - 1

    def input(self, k: int, name: str) -> None:
        wire = self.diagram.inputs[k].wire
        known = self.known[k] if k < len(self.known) else None
        type_ = self.diagram.wire_type(wire)
        glyph = Glyph(
            f"input-{k}", "input", name_label(name, "italic"), f"{name}: {type_}", name=name
        )
        at = self.add(glyph)
        self.result.inputs.append(at)
        string = self.string(wire, at, 0, known != frozenset(self.hints(wire)))
        made = self.result.strings[string]
        if made.label:  # an input reads as its author wrote it
            made.label = " ".join(shortened(name, 12) for name in made.names)
        self.out_port(glyph, string)

    def out_port(self, glyph: Glyph, string: int) -> None:
        made = self.result.strings[string]
        glyph.outs.append(Port(string, made.names, made.classes))

    def outputs(self) -> None:
        for k, port in enumerate(self.diagram.outputs):
            string = self.result.strings[self.string_of[port.wire]]
            names = [""] * len(port.axes)
            for name, slot in zip(port.axes, port.slots, strict=True):
                names[slot] = name
            alone = len(self.diagram.outputs) == 1 and port.name == "out"
            label = () if alone else name_label(port.name, "italic")
            type_ = self.diagram.port_type(port)
            glyph = Glyph(f"output-{k}", "output", label, f"{port.name}: {type_}", name=port.name)
            at = self.add(glyph)
            self.result.outputs.append(at)
            local = [self.classes.new(n, self.size(port.wire, s)) for s, n in enumerate(names)]
            self.in_port(glyph, at, string, tuple(names), tuple(local), frozenset())

    def in_port(
        self,
        glyph: Glyph,
        at: int,
        string: String,
        names: tuple[str, ...],
        classes: tuple[int, ...],
        quiet: frozenset[int],
    ) -> None:
        """An input port; `quiet` are the slots whose other name is nobody's business."""
        changes = []
        for s, (old, new) in enumerate(zip(string.names, names, strict=True)):
            if old == new:
                self.classes.union(string.classes[s], classes[s])
            elif s not in quiet:
                changes.append(f"{shortened(old, 12)}→{shortened(new, 12)}")
        string.targets.append((at, len(glyph.ins)))
        tick = ", ".join(changes)
        glyph.ins.append(Port(self.string_of[string.wire], names, classes, tick))

    def glyph(self, plan: Plan) -> None:
        diagram = self.diagram
        node, last = diagram.nodes[plan.node], diagram.nodes[plan.out]
        box = node.box
        names = local_names(diagram, node)
        if box.kind.name in _SILENT:
            names = [name.rstrip("'") for name in names]  # each input has axes of its own
        sizes = diagram.site(node).sizes
        local = [self.classes.new(n, str(s)) for n, s in zip(names, sizes, strict=True)]
        glyph = self.face(plan, names)
        glyph.covers = self.planner.covered(plan)
        at = self.add(glyph)
        joined = joined_axes(box) if box.kind.name == "named" else []
        mapped = {a for a, _ in joined}
        for a, b in joined:
            if names[a] == names[b]:
                self.classes.union(local[a], local[b])
        glyph.bound = frozenset(local[a] for a in box.bound if a not in mapped)
        silent = glyph.look in ("dark", "folded") or box.kind.name in _SILENT
        for p in plan.ports:
            wire, row = self.reading(plan, p)
            string = self.result.strings[self.string_of[wire]]
            quiet = frozenset(s for s, a in enumerate(row) if silent and a in box.bound)
            self.in_port(
                glyph, at, string, tuple(names[a] for a in row), tuple(local[a] for a in row), quiet
            )
        read = [frozenset(port.names) for port in glyph.ins]
        for o, wire in enumerate(last.wires):
            row = self.out_row(plan, o)
            shown = frozenset(self.hints(wire)) not in read
            string_ = self.string(wire, at, o, shown)
            made = self.result.strings[string_]
            for s, a in enumerate(row):
                self.classes.union(made.classes[s], local[a])
            self.out_port(glyph, string_)
        if box.kind.name in ("named", "scan"):
            glyph.opens = partial(self.opened, plan)
            if self.depth > 0:
                glyph.body = glyph.opens()
                glyph.look = "frame"

    def out_row(self, plan: Plan, output: int) -> Axes:
        """The axes of an output, as axes of the box that the glyph is drawn for."""
        nodes = self.diagram.nodes
        before = nodes[plan.node]
        row = before.box.outs[output]
        for k in plan.steps[1:]:
            box, port = nodes[k].box, nodes[k].src.index(before.first)
            through = dict(zip(box.maps[port], row, strict=True))
            # An axis of the bias alone is none of the first box's: it shares nothing.
            row = tuple(through[a] for a in box.outs[0] if a in through)
            before = nodes[k]
        return row

    def reading(self, plan: Plan, port: int) -> tuple[int, Axes]:
        """The wire that ends at a port, and its axes there, as axes of the glyph's box."""
        box = self.diagram.nodes[plan.node].box
        row = box.maps[port]
        if port in plan.via:
            inner = self.diagram.nodes[plan.via[port]].box
            place = {axis: row[slot] for slot, axis in enumerate(inner.outs[0])}
            row = tuple(place[axis] for axis in inner.maps[0])
        return self.planner.source(plan, port), row

    def opened(self, plan: Plan) -> Sketch:
        """The sketch of the body of a named box; its parameters go by their short names."""
        node = self.diagram.nodes[plan.node]
        owned = {
            p: self.planner.parameter(wire).rpartition(".")[2]
            for p, wire in enumerate(node.src)
            if p not in plan.ports
        }
        known: list[frozenset[str] | None] = [None] * len(node.src)
        for p in plan.ports:
            string = self.result.strings[self.string_of[node.src[p]]]
            known[p] = frozenset(string.names)
        return sketch(node.box["body"], max(self.depth - 1, 0), self.labels, owned, known)

    def face(self, plan: Plan, names: Sequence[str]) -> Glyph:
        """Look, label and title of a node's glyph."""
        node = self.diagram.nodes[plan.node]
        box = node.box
        kind = box.kind
        key = f"box-{plan.out}"
        title = self.title(plan, names)
        if plan.node in self.owned:
            label = parameter_label(self.owned[plan.node])
            return Glyph(key, "parameter", label, title, node=plan.node)
        if plan.dark and -1 in plan.scalars:
            label = (
                *parameter_label(plan.dark)[:1],
                Run(shortened(plan.scalars[-1], 16), "italic", True),
            )
            return Glyph(key, "parameter", label, title, node=plan.node)
        if -1 in plan.scalars:
            words = plan.scalars[-1]
            label = (Run(words, "italic" if any(c.isalpha() for c in words) else "sans"),)
            return Glyph(key, "constant", label, title, node=plan.node)
        if plan.dark:
            label = parameter_label(plan.dark)
            return Glyph(key, "dark", label, title, node=plan.node)
        if plan.via:
            return Glyph(key, "dot", (Run("−"),), title, node=plan.node, formula=plan.text)
        if plan.text:
            label = (Run(plan.text),)
            if box.bound:
                label += (Run(shortened(names[box.bound[0]], 16), "italic", True),)
            return Glyph(key, "box", label, title, node=plan.node, formula=plan.text)
        if kind.name in ("named", "scan"):
            named = kind.name == "named"
            dark = bool(plan.inside) or (named and box["token"] is not None)
            label = name_label(box["name"]) if named else self.label(plan, names)
            glyph = Glyph(key, "folded", label, title, node=plan.node)
            glyph.inside = ", ".join(plan.inside)
            glyph.name = "learned" if dark else ""
            return glyph
        look = {"dot": "dot", "dark": "dark", "triangle": "constant"}.get(kind.look.shape, "box")
        if kind.name in ("parameter", "random"):
            look = kind.name
        label = self.label(plan, names)
        scaled = kind.name == "contract" and len(plan.ports) == 1 and not box.bound
        if plan.scalars and (scaled or kind.name == "add"):
            look = "scalar"
        return Glyph(key, look, label, title, free=self.free(box, plan), node=plan.node)

    def free(self, box: Box, plan: Plan) -> bool:
        return box.kind.commutes(box.attrs) and len(plan.ports) > 1

    def label(self, plan: Plan, names: Sequence[str]) -> Label:
        node = self.diagram.nodes[plan.node]
        box = node.box
        kind = box.kind.name
        sub = " ".join(names[a] for a in box.bound) if kind not in _SILENT else ""
        if kind == "expand":
            sub = " ".join(names[box.inner :])
        text, face = shortened(box.kind.look(box)), "sans"
        words = list(plan.scalars.values())
        if kind == "parameter":
            return parameter_label(text)
        if kind in ("random", "learner"):
            return name_label(text.rpartition(".")[2])
        if kind == "iota":
            text, face = names[0], "italic"
        elif kind == "constant":
            value = box["value"]
            text = "table" if isinstance(value, tuple) else number_text(value)
        elif kind == "contract":
            return self.product_label(plan, words, sub)
        elif kind == "add" and words:
            text = f"− {words[0][1:]}" if words[0].startswith("−") else f"+ {words[0]}"
        elif kind == "pointwise" and plan.scalars:
            text = self.applied(plan, node)
        label: Label = (Run(text, face),)
        return (*label, Run(shortened(sub, 16), "italic", True)) if sub else label

    def product_label(self, plan: Plan, words: list[str], sub: str) -> Label:
        text = "·".join(words)
        if not sub:
            if not text:
                return (Run("×"),)
            return (Run(text if text.startswith(("1/", "−")) else f"× {text}"),)
        label: Label = (Run("Σ"), Run(shortened(sub, 16), "italic", True))
        return (Run(f"{text} "), *label) if text else label

    def applied(self, plan: Plan, node: Node) -> str:
        """A function with some arguments given: `· ≤ 3`, `where(·, ·, −∞)`."""
        function = node.box["function"]
        if function.name == "where" and plan.scalars == {2: "−∞"}:
            return "mask"
        words = [plan.scalars.get(p, "·") for p in range(len(node.src))]
        words += [number_text(x) for x in node.box["numbers"]]
        if len(words) == 2 and function.symbol and not function.symbol.isalpha():
            return f"{words[0]} {function.symbol} {words[1]}"
        return shortened(f"{function.symbol or function.name}({', '.join(words)})")

    def title(self, plan: Plan, names: Sequence[str]) -> str:
        """Kind, axes, what is folded in, types."""
        diagram = self.diagram
        node, last = diagram.nodes[plan.node], diagram.nodes[plan.out]
        box = node.box
        if plan.node in self.owned:
            return f"parameter {self.owned[plan.node]}: {diagram.wire_type(node.first)}"
        head = plan.text or box.kind.name
        if head == "pointwise":
            head = box["function"].name
        elif head == "named":
            head = box["name"]
        for value in box.attrs:
            if isinstance(value, Hole) and head == "learner":
                head = f"learner {value.name}"
        if box.bound and box.kind.name not in _SILENT:
            head += " over " + " ".join(names[a] for a in box.bound)
        lines = [head]
        if plan.dark:
            lines.append(f"parameter {plan.dark}" + (f", bias {plan.bias}" if plan.bias else ""))
        if plan.inside:
            lines.append("parameters " + ", ".join(plan.inside))
        took = ", ".join(self.type_text(wire) for wire in node.src)
        gave = ", ".join(self.type_text(wire) for wire in last.wires)
        lines.append(f"{took} → {gave}" if took else gave)
        return "\n".join(lines)
