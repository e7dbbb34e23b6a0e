"""Diagrams that grow at random, a verb at a time, with every kind of box that a module can hold."""

import random
from math import prod

import torch

import vesalius as vs
from vesalius.diagrams.boxes.own import OWN
from vesalius.diagrams.boxes.pointwise import FUNCTIONS
from vesalius.diagrams.errors import VesaliusError
from vesalius.diagrams.types import ArrayType

LARGEST = 600  # entries of a wire
NAMES = "abcdefgh"

# Functions with small derivatives everywhere, so that rounding stays rounding.
SMOOTH = ["tanh", "sigmoid", "sin", "cos", "erf", "gelu", "silu", "softplus", "elu", "negate"]
EDGED = ["relu", "abs", "leaky_relu"]

halve = FUNCTIONS.get("random_halve") or vs.function("random_halve", lambda x: x / 2)
outer = OWN.get("random_outer") or vs.box(
    "random_outer", "i j, j -> i k:i+1", lambda x, y: (x @ y.unsqueeze(-1)) * _ramp(x)
)


def _ramp(x):
    return torch.linspace(0, 1, x.shape[-2] + 1, dtype=x.dtype)


class Grower:
    """Grows a diagram by placing verbs on wires that are there already."""

    def __init__(self, seed, empty=False, body=False):
        self.choose = random.Random(seed)
        lengths = [0, 1, 2, 3] if empty else [1, 2, 3, 4]
        self.sizes = {name: self.choose.choice(lengths) for name in "nmd"}
        self.builder = vs.Builder("random")
        self.exact = []  # integers and booleans: comparing these is no question of rounding
        self.wires = []
        for k in range(self.choose.randint(1, 3)):
            self.input(f"x{k}", "float")
        if not body:
            self.input("i", "int")
            self.input("t", "bool")
        self.depth = 0
        self.body = body

    def input(self, name, dtype):
        axes = self.choose.sample(["n", "m", "d", "a:n", "b:2*m", "c:3"], self.choose.randint(0, 3))
        self.keep(self.builder.input(name, " ".join([*axes, dtype])))

    def keep(self, wire):
        possible = all(size.constant is None or size.constant >= 0 for size in wire.axes.values())
        if possible and self.entries(wire) <= LARGEST:
            self.wires.append(wire)
            if wire.dtype != "float":
                self.exact.append(wire)

    def entries(self, wire):
        return prod(size.at(self.sizes) for size in wire.axes.values())

    # -- choosing -------------------------------------------------------------------------------

    def wire(self, dtype="float", axes=0):
        found = [w for w in self.wires if w.dtype == dtype and len(w.names) >= axes]
        if not found:
            found = [self.made(dtype, axes)]
        return self.renamed(self.choose.choice(found[-8:]))

    def made(self, dtype, axes):
        wire = vs.iota("n")
        if axes > 1:
            wire = wire + vs.iota("m") * 2
        if axes > 2:
            wire = wire + vs.iota("d")
        wire = wire if axes else vs.max(wire + vs.iota("z:1"), " ".join([*wire.names, "z"]))
        if dtype == "bool":
            return vs.less(wire, 1)
        return vs.to_float(wire) if dtype == "float" else wire

    def renamed(self, wire):
        """The wire with some axes called otherwise, now and then."""
        if wire.names and self.choose.random() < 0.4:
            names = self.choose.sample([*"nmd", *NAMES], len(wire.names))
            wire = wire.rename(**dict(zip(wire.names, names, strict=True)))
        return wire

    def axis(self, wire):
        return self.choose.choice(wire.names)

    def fresh(self, wire):
        return self.choose.choice([name for name in "uvwxyz" if name not in wire.names])

    def some(self, names, least=1):
        return " ".join(self.choose.sample(names, self.choose.randint(least, len(names))))

    # -- growing --------------------------------------------------------------------------------

    def step(self):
        verbs = [getattr(self, name) for name in dir(self) if name.startswith("grow_")]
        if self.body:
            verbs = [v for v in verbs if v.__name__ not in ("grow_scan", "grow_box", "grow_noise")]
        try:
            results = self.choose.choice(verbs)()
        except VesaliusError:
            return
        for wire in results if isinstance(results, (tuple, list)) else [results]:
            self.keep(wire)

    def grow_function(self):
        return getattr(vs, self.choose.choice(SMOOTH))(self.wire())

    def grow_edge(self):
        name = self.choose.choice(EDGED)
        return (
            vs.leaky_relu(self.wire(), 0.1)
            if name == "leaky_relu"
            else getattr(vs, name)(self.wire())
        )

    def grow_own_function(self):
        return halve(self.wire())

    def grow_exp(self):
        return vs.exp(vs.tanh(self.wire()))

    def grow_log(self):
        return vs.log(vs.softplus(self.wire()) + vs.size(self.choose.choice(["n", "2*m", "d"])))

    def grow_divide(self):
        return self.wire() / (vs.softplus(self.wire()) + 1)

    def grow_scale(self):
        by = self.choose.choice([2, 0.3, -1.5, vs.sqrt(vs.size("2*d")), vs.size("m"), vs.size("3")])
        return self.wire() / by if self.choose.random() < 0.5 else self.wire() * by

    def grow_power(self):
        return vs.tanh(self.wire()) ** self.choose.choice([2, 3])

    def grow_add(self):
        return vs.add(*(self.wire() for _ in range(self.choose.randint(2, 3))))

    def grow_subtract(self):
        left = self.choose.choice([1, 0.5, self.wire()])
        return left - self.wire()

    def grow_integers(self):
        i, j = self.wire("int"), self.choose.choice([2, self.wire("int")])
        return self.choose.choice([lambda: i + j, lambda: vs.remainder(i, 5), lambda: i * j,
                                   lambda: vs.floor_divide(i, 3)])()  # fmt: skip

    def grow_integer_contract(self):
        i, j = self.wire("int", 1), vs.remainder(self.wire("int"), 3)
        return vs.remainder(vs.contract(i, j, over=self.axis(i)), 7)

    def grow_mixed(self):
        return self.wire() + self.wire("int") * self.choose.choice([0.5, self.wire()])

    def grow_float(self):
        return vs.to_float(self.wire(self.choose.choice(["int", "bool"])))

    def grow_int(self):
        return vs.to_int(self.wire("bool"))

    def grow_compare(self):
        i, j = self.wire("int"), self.choose.choice([1, 2.5, self.wire("int")])
        return self.choose.choice([vs.less, vs.less_equal, vs.equal])(i, j)

    def grow_logic(self):
        a, b = self.wire("bool"), self.wire("bool")
        return self.choose.choice([lambda: a & b, lambda: a | b, lambda: ~a])()

    def grow_where(self):
        a = self.choose.choice([0.25, self.wire()])
        b = self.choose.choice([0, 0.5, self.wire(), self.wire("int")])
        return vs.where(self.wire("bool"), a, b)

    def grow_extreme(self):
        return self.choose.choice([vs.maximum, vs.minimum])(
            self.wire(), self.choose.choice([0.5, self.wire(), self.wire("int")])
        )

    def grow_contract(self):
        operands = [self.wire("float", 1) for _ in range(self.choose.randint(1, 4))]
        names = list(dict.fromkeys(name for wire in operands for name in wire.names))
        return vs.tanh(vs.contract(*operands, over=self.some(names)))

    def grow_product(self):
        return vs.contract(*(self.wire() for _ in range(self.choose.randint(2, 3))))

    def grow_sum(self):
        wire = self.wire("float", 1)
        return self.choose.choice([vs.sum, vs.mean])(wire, self.some(wire.names))

    def grow_reduce(self):
        wire = self.wire(self.choose.choice(["float", "int"]), 1)
        return self.choose.choice([vs.max, vs.min])(wire, self.some(wire.names))

    def grow_truth(self):
        wire = self.wire("bool", 1)
        return self.choose.choice([vs.all, vs.any])(wire, self.some(wire.names))

    def grow_softmax(self):
        wire = self.wire(self.choose.choice(["float", "float", "int"]), 1)
        return vs.softmax(wire, self.some(wire.names))

    def grow_masked(self):
        wire, mask = self.wire("float", 1), self.wire("bool", 1)
        scores = vs.where(mask, wire, float("-inf"))
        if self.choose.random() < 0.3:
            scores = scores * 0.5 + 1
        return vs.softmax(scores, self.some(scores.names))

    def grow_causal(self):
        i = vs.iota("n")
        mask = self.choose.choice([vs.less_equal, vs.equal])(i.rename(n="a"), i)
        scores = vs.where(mask, self.wire(), float("-inf"))
        return vs.softmax(scores, self.some(scores.names))

    def grow_expand(self):
        wire = self.choose.choice([0.5, self.wire(), self.wire("int")])
        axis = "z" if not isinstance(wire, vs.Wire) else self.fresh(wire)
        return vs.expand(wire, f"{axis}:{self.choose.choice(['n', '2', 'm+1'])}")

    def grow_split(self):
        wire = self.wire("float", 1)
        axis = self.axis(wire)
        if str(wire.axes[axis]) == "2*m":
            return vs.split(wire, axis, self.choose.choice(["u:2 v:m", "u:m v:2"]))
        return vs.split(wire, axis, "u:1 v")

    def grow_merge(self):
        wire = self.wire(self.choose.choice(["float", "bool"]), 2)
        return vs.merge(wire, self.some(wire.names, 2), "u")

    def grow_concat(self):
        a, b = self.wire("float", 1), self.wire("float", 1)
        x, y = self.axis(a), self.axis(b)
        return vs.concat(a, b, over=(x, y), into="u")

    def grow_slice(self):
        wire = self.wire(self.choose.choice(["float", "int"]), 1)
        start, step = self.choose.choice(
            [(0, 1), (1, 1), (0, 2), (1, 2), (0, -1), (2, -1), (2, -2)]
        )
        length = self.choose.choice([None, None, 1])
        return vs.slice(wire, self.axis(wire), start, step=step, length=length)

    def grow_pad(self):
        wire = self.wire("float", 1)
        before, after = self.choose.choice([(1, 0), (0, 2), (1, 1), ("n", 0)])
        return vs.pad(wire, self.axis(wire), before, after, self.choose.choice([0, 1.5]))

    def grow_window(self):
        wire = self.wire("float", 1)
        axis = self.axis(wire)
        if self.choose.random() < 0.5:
            wire = vs.pad(wire, axis, 2, 0)
        stride, dilation = self.choose.choice([(1, 1), (2, 1), (1, 2)])
        return vs.window(
            wire, axis, f"u v:{self.choose.choice([1, 2])}", stride=stride, dilation=dilation
        )

    def grow_diagonal(self):
        wire = self.wire("float", 1)
        axis = self.axis(wire)
        free = self.fresh(wire)
        square = wire * wire.rename(**{axis: free})
        return vs.diagonal(square, f"{axis} {free}", "z" if "z" not in square.names else axis)

    def grow_symmetric(self):
        wire = self.wire("float", 1)
        gram = vs.contract(wire, wire.rename(**{self.axis(wire): self.fresh(wire)}))
        return gram + self.renamed(gram)

    def grow_gather(self):
        table, index = self.wire(self.choose.choice(["float", "int"]), 1), self.wire("int")
        axis = self.axis(table)
        return vs.gather(table, vs.remainder(index, table.axes[axis]), axis)

    def grow_positions(self):
        table = self.wire("float", 1)
        axis = self.axis(table)
        places = vs.iota(f"z:{str(table.axes[axis]).replace(' ', '')}")
        return vs.gather(table, places, axis)

    def grow_topk(self):
        exact = [w for w in self.exact if w.dtype == "int" and w.names]
        wire = self.renamed(self.choose.choice(exact)) if exact else self.made("int", 2)
        return vs.topk(wire, self.axis(wire), "u:1", largest=self.choose.random() < 0.5)

    def grow_fourier(self):
        wire = self.wire("float", 1)
        other = self.choose.choice([0, self.wire()])
        return vs.fourier(wire, other, over=self.axis(wire), inverse=self.choose.random() < 0.5)

    def grow_parameter(self):
        axes = self.some(["n", "m", "d:3"])
        fixed = self.choose.random() < 0.8
        return vs.parameter("part.w" if self.choose.random() < 0.3 else "w", axes, trainable=fixed)

    def grow_linear(self):
        wire = self.wire("float", 1)
        return vs.linear(wire, self.axis(wire), "o:2", name="wo", bias=True)

    def grow_table(self):
        return vs.constant([[0.5, -1.0, 2.0], [0.1, 0.0, 3.0]], "u c")

    def grow_noise(self):
        how = self.choose.choice(["normal", "uniform", "bernoulli"])
        return vs.random(self.some(["n", "m", "d"], 0), how, p=0.4)

    def grow_own_box(self):
        x, y = self.wire("float", 2), self.wire("float", 1)
        i, j = self.choose.sample(x.names, 2)
        y = y.rename(**{self.axis(y): j})
        return outer(x, y, i=i, j=j, k=self.choose.choice(["k", i]))

    def grow_box(self):
        body = Grower(self.choose.random(), body=True)
        body.sizes = self.sizes
        inner = body.diagram(self.choose.randint(1, 6), self.choose.randint(1, 2))
        inner = inner.rename(**self.prefixed(inner))
        arguments = [self.fitting(port_type) for port_type in inner.input_types.values()]
        call = inner.boxed if self.choose.random() < 0.8 else inner
        results = call(*arguments)
        return results if self.choose.random() < 0.7 else call(*arguments)

    def prefixed(self, diagram):
        ports = (*diagram.inputs, *diagram.outputs)
        names = dict.fromkeys(axis for port in ports for axis in port.axes)
        return {name: f"q{name}" for name in names}

    def fitting(self, type_):
        """A wire of this type, with a tube now and then."""
        wire = vs.to_float(vs.iota("q:2")) if not type_.axes else None
        for axis, size in type_.axes.items():
            one = vs.to_float(vs.iota(f"{axis}:{str(size).replace(' ', '')}"))
            wire = one if wire is None else vs.sin(wire + one * 2)
        wire = vs.contract(wire, over="q") if not type_.axes else wire
        tubes = self.wire()
        if self.choose.random() < 0.6 and not set(tubes.names) & set(type_.axes):
            wire = wire * tubes
        return vs.tanh(wire)

    def grow_scan(self):
        name = self.choose.choice(["n", "m"])
        use_tube, weighted = self.choose.random() < 0.5, self.choose.random() < 0.5

        @vs.diagram
        def step(s: "qd:2", x: "qd:2", y: "") -> ("qd:2", "qd:2", ""):
            new = vs.tanh(s * 0.5 + x)
            if weighted:
                new = vs.linear(new, "qd", "qd:2", name="w")
            return new, x + y if self.choose.random() < 0.5 else s, vs.sum(new, "qd")

        sequence = vs.sin(vs.to_float(vs.iota("qd:2")) + vs.to_float(vs.iota(f"qt:{name}")) * 3)
        tubes = self.wire()
        if use_tube and not set(tubes.names) & {"qd", "qt"}:
            sequence = sequence * tubes
        other = self.wire()
        start = vs.expand(0.0, "qd:2") if self.choose.random() < 0.5 else self.fitting(
            ArrayType.parse("qd:2")
        )  # fmt: skip
        if {"qd", "qt"} & {*other.names, *(start.names[1:])}:
            other = vs.constant(0.5)
        return vs.scan(
            step,
            over="qt",
            states=[start],
            sequences=[sequence],
            captured=[other],
            reverse=self.choose.random() < 0.5,
        )

    # -- finishing ------------------------------------------------------------------------------

    def diagram(self, steps, outputs):
        with self.builder:
            for _ in range(steps):
                self.step()
            ends = []
            late = self.wires[-6:]
            for _ in range(outputs):
                wire = self.choose.choice(late)
                order = self.choose.sample(wire.names, len(wire.names))
                ends.append((wire, order))
        from vesalius.diagrams.graph import Port

        ports = [
            Port(f"out{k}", w.id, tuple(order), tuple(w.names.index(a) for a in order))
            for k, (w, order) in enumerate(ends)
        ]
        return self.builder.finish(ports)
