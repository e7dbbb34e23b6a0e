"""`torch.nn.attention.flex_attention`: softmax attention whose scores are changed pair by pair.

The scores may go through any function of the product of queries and keys, of positions, and of
arrays read at them; what hides pairs becomes a mask of blocks, and blocks that it empties are not
computed. See Dong, Feng, Guessous, Liang, He, "Flex Attention", 2024 (arXiv:2412.05496).

It is taken on CUDA devices, in float32 and below. On a CPU it has no backward pass, so there it
stands only where it is preferred, and serves calls that need no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from vesalius.compile.attention import Parts, cut, labels_of, makes_mask, query_of, read_parts
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.kernels.scaled_dot_product_attention import Call
from vesalius.compile.mods import (
    KEY,
    QUERY,
    Mods,
    Position,
    Product,
    Read,
    Refused,
    Tree,
    Writer,
    ends,
    products,
    read_mods,
    reads,
)
from vesalius.compile.operands import Operands
from vesalius.compile.program import Unit
from vesalius.compile.roofline import Call as Counted
from vesalius.compile.roofline import Work, fused
from vesalius.compile.scope import Here, Operand, Scope
from vesalius.compile.scores import Condition, Mix, Scores, read_mix, read_scores
from vesalius.compile.shown import shown
from vesalius.compile.terms import Reading, Use, Writing, Written
from vesalius.compile.text import PRODUCT, SIGN, Term, apply, method, wrapped
from vesalius.diagrams.boxes.indexing import GATHER
from vesalius.diagrams.boxes.linear import CONTRACT
from vesalius.diagrams.boxes.reductions import SOFTMAX
from vesalius.diagrams.builder import Builder, Label
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size
from vesalius.diagrams.types import ArrayType

NAME = "flex_attention"
DTYPES = ("float32", "bfloat16", "float16")
OVERHEAD, WHOLE = 1.4, 3.0  # against fused attention; where an array of all pairs is read
BLOCK = 128  # queries
LEAST_WIDTH = 16  # of channels, on a GPU
CALLS = 8.0  # operators that take as long as a look at what is compiled
OPERANDS = ("q", "k", "v", "scale")  # what comes before the arrays that scores read


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """The rewriting to the kernel, or the reason why there is none."""
    mix = read_mix(place, place.use)
    if isinstance(mix, str):
        return mix
    if not place.single(mix.weights[0]):
        return "the weights are used elsewhere too"
    try:
        parts, mods, hidden = _read(place, mix)
    except Refused as reason:
        return str(reason)
    device, preferred = place.target.device, NAME in place.target.prefer
    if device == "cpu" and not preferred:
        served = read_parts(place)  # by fused attention, with no mask made for it
        plain = isinstance(served, Parts) and not makes_mask(place, served)
        return "" if plain else "it has no backward pass on a CPU; prefer it for inference"
    if device not in ("cpu", "cuda"):
        return f"it is not taken on the device {device}"
    if place.target.dtype not in DTYPES:
        return f"it does not compute in {place.target.dtype}"
    if device == "cuda" and _narrow(place, parts):
        return f"it needs {LEAST_WIDTH} channels"
    found = _Operands(place, parts, mods).found(FLEX)
    axes = (parts.query, mix.keys[0])
    sizes = place.sizes([mix.scores])
    lengths = (sizes[axes[0]], sizes[axes[1]])
    return found._replace(shown=shown(place, hidden, axes, lengths, BLOCK))


def _narrow(place: Place, parts: Parts) -> bool:
    """Whether queries and keys, or values, are known to have too few channels for a GPU."""
    mix, known = parts.mix, place.target.sizes
    factors = parts.main.summand.factors
    sizes = place.sizes([*mix.values, *(use for factor in factors for use in factor.uses)])
    labels = {x for use in mix.values for x in use[1]} - {*mix.keys, *mix.scores[1]}
    for width in (parts.main.channels, labels):
        lengths = [sizes[label] for label in width]
        if all(size.variables <= known.keys() for size in lengths):
            here = [size.at({name: known[name] for name in size.variables}) for size in lengths]
            if prod(here) < LEAST_WIDTH:
                return True
    return False


def work(call: Counted) -> Iterator[Work]:
    """The pairs that are shown in one pass; what reads an array of all pairs is slower."""
    inputs = [call.body.port_type(port).axes for port in call.body.inputs]
    whole = any({QUERY, KEY} <= axes.keys() for axes in inputs)
    for one in fused(call):  # a mask is looked at once for each block
        products = one.products * call.shown * (WHOLE if whole else OVERHEAD)
        yield one._replace(
            products=products,
            simple=0.0,
            exponentials=one.exponentials * call.shown,
            calls=CALLS,
        )


def _read(place: Place, mix: Mix) -> tuple[Parts, Mods, Sequence[Condition]]:
    """The operands, what happens to the product of queries and keys, and what hides pairs."""
    if len(mix.keys) > 1:
        raise Refused("the weights run along several axes")
    carried = {x for use in mix.values for x in use[1]}
    free = [x for x in mix.scores[1] if x not in mix.keys]
    queries = [x for x in free if x not in carried]
    if not queries and len(mix.values) > 1:  # dropout, too
        raise Refused("the weights are multiplied by factors of queries and keys")
    if not queries:
        raise Refused("the values have all axes that the queries have")
    found = products(place, mix.scores, set(queries), set(mix.keys))
    if not found:
        raise Refused("the scores hold no sum of products of queries and keys")
    if len(found) > 1:
        raise Refused("the scores hold several sums over products of queries and keys")
    (product,) = found
    summands = read_scores(place, product, mix.keys, queries).summands
    if len(summands) > 1:
        raise Refused("the product of queries and keys is a sum of several")
    (summand,) = summands
    pairwise = [f for f in summand.factors if set(summand.bound).isdisjoint(f.labels)
                and not set(mix.keys).isdisjoint(f.labels)
                and not set(queries).isdisjoint(f.labels)]  # fmt: skip
    factors = tuple(f for f in summand.factors if f not in pairwise)
    main = cut(place, summand._replace(factors=factors), mix.keys, queries)
    if not main.channels:
        raise Refused("the scores hold no sum of products of queries and keys")
    own = [x for x in queries if x not in labels_of(main.keys)]
    if not own:
        raise Refused("the keys differ from query to query")
    hidden = read_scores(place, mix.scores, mix.keys, queries).conditions
    query = query_of(place, mix, Scores((), hidden), own, main, [])
    assert query is not None
    if any(f.bound for f in pairwise):
        raise Refused("the scores hold several sums over products of queries and keys")
    outer = [use for f in pairwise for use in f.uses]

    def remaining(use: Use) -> list[Use] | None:
        return outer if use == product else None

    mods = read_mods(place, mix.scores, query, mix.keys[0], remaining)
    tubes = frozenset(x for x in free if x != query)
    return Parts(mix, Scores((), ()), query, tubes, main, [], []), mods, hidden


class _Operands(Operands):
    """Writes queries, keys and values, and the arrays that the scores read."""

    def __init__(self, place: Place, parts: Parts, mods: Mods) -> None:
        self.mods = mods
        self.reads = list(dict.fromkeys(read.use for read in reads(mods.trees)))
        super().__init__(place, parts, [use for use in self.reads if not place.is_number(use)])

    def _definition(
        self, kernel: Kernel, query: Label
    ) -> tuple[Diagram, list[tuple[Use, dict[str, Label]]]]:
        """The diagram of this attention without its tubes, and the arrays that it reads."""
        self.notes += ["scores are modified"] * (not isinstance(self.mods.score, Product))
        self.notes += ["masked by blocks"] * bool(self.mods.conditions)
        known: dict[Label, str] = {query: QUERY, self.key: KEY}
        for read in reads(self.mods.trees):
            for label, _ in read.places:
                known.setdefault(label, f"t{len(known)}")
        builder = Builder(NAME, "Softmax attention whose scores are changed pair by pair.")
        for name, axes in zip(OPERANDS, ("n c", "m c", "m e", ""), strict=True):
            builder.input(name, axes)
        names = {port.wire: port.name for port in self.place.diagram.inputs}
        inputs: dict[Use, Use] = {}
        arguments: list[tuple[Use, dict[str, Label]]] = []
        for use in self.reads:
            own = {known[x]: x for x in use[1] if x in known}
            taken = [port.name for port in builder.inputs]
            name = fresh_name(names.get(use[0], "x"), taken)
            type_ = ArrayType({axis: axis for axis in own}, self.place.dtype(use))
            made = builder.input(name, type_)
            inputs[use] = (made.id, tuple(own))
            arguments.append((self.right.copied(use), own))
        return _written(builder, self.mods, inputs, known), arguments


def _written(
    builder: Builder, mods: Mods, inputs: dict[Use, Use], known: dict[Label, str]
) -> Diagram:
    """The definition, behind its inputs."""
    w = Writing(builder)
    q, k, v, scale = (0, (QUERY, "c")), (1, (KEY, "c")), (2, (KEY, "e")), (3, ())
    lengths: dict[Label, Size] = {QUERY: builder.types[0].sizes[0], KEY: builder.types[1].sizes[0]}

    def leaf(tree: Tree) -> Use:
        if isinstance(tree, Product):
            return w.contract([q, k, scale], ["c"])
        if isinstance(tree, Position):
            return w.positions(tree.axis, lengths[tree.axis])
        assert isinstance(tree, Read)
        use = inputs[tree.use]
        for label, place in tree.places:
            use = w.box(GATHER, (), [use, writer.write(place)], [known[label]])[0]
        return use

    writer = Writer(w, leaf)
    scores = w.expand(writer.write(mods.score), lengths)
    for condition in mods.conditions:
        scores = w.apply("where", writer.write(condition), scores, w.number(float("-inf")))
    mixed = w.contract([w.softmax(scores, [KEY]), v], [KEY])
    axes = (QUERY, "e")
    return builder.finish([Port("mixed", mixed[0], axes, tuple(map(mixed[1].index, axes)))])


# -- reading it again -----------------------------------------------------------------------------


def mods_of(body: Diagram) -> Mods | None:
    """What happens to the scores in the body of a box; None if it is none of this kernel's."""
    known: dict[str, Mods | None] = body.__dict__
    if "_mods" not in known:
        try:
            known["_mods"] = _body_mods(Written(body), body)
        except Refused:
            known["_mods"] = None
    return known["_mods"]


def _body_mods(r: Reading, body: Diagram) -> Mods:
    names = [port.name for port in body.inputs[: len(OPERANDS)]]
    if tuple(names) != OPERANDS or len(body.outputs) != 1:
        raise Refused("its inputs are others")
    (port,) = body.outputs
    axes = dict(zip(port.slots, port.axes, strict=True))
    opened = r.open((port.wire, tuple(axes[s] for s in range(len(axes)))))
    weights = [use for use in opened.uses if r.kind(use) is SOFTMAX]
    values = [use for use in opened.uses if use[0] == 2]
    if opened.box.kind is not CONTRACT or len(opened.uses) != 2 or not weights or not values:
        raise Refused("it is no mix of values")
    softmax = r.open(weights[0])
    if softmax.bound != opened.bound or len(softmax.bound) != 1:
        raise Refused("it is no mix of values")
    ((key,), (scores,)) = softmax.bound, softmax.uses
    if set(scores[1]) != {QUERY, key} or values[0][1] != (key, "e"):
        raise Refused("it has tubes")

    def product(use: Use) -> list[Use] | None:
        inner = r.open(use)
        (channel,) = inner.bound if len(inner.bound) == 1 else (None,)
        wanted = {(0, (QUERY, channel)), (1, (key, channel)), (3, ())}
        return [] if set(inner.uses) == wanted and len(inner.uses) == 3 else None

    return read_mods(r, scores, QUERY, key, product)


def accepts(body: Diagram) -> bool:
    """Whether a body is an attention that this kernel computes."""
    return mods_of(body) is not None


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`flex(q, k, v, scale, score=(…), mask=(…))` on four dimensions, as views."""
    return [_Call(here, {}).term()]


class _Call(Call):
    """A call of an object that holds the functions of one pair, on what these read."""

    def term(self) -> Term:
        here, program = self.here, self.here.scope.program
        q, k, v = (self.operand(port) for port in range(3))
        number = here.number(3)
        extra: list[str] = []
        if number is None:
            q = Term(f"{q.at(PRODUCT)} * {here.operand(3, 'float').term.at(SIGN)}", PRODUCT)
            extra.append("scale=1.0")
        elif not self.usual(number):
            extra.append(f"scale={number.whole(here.scope.lengths).at(0)}")
        body: Diagram = here.box["body"]
        mods = mods_of(body)
        assert mods is not None, "the box is this kernel's"
        self.captured = [self._captured(port) for port in range(len(OPERANDS), len(body.inputs))]
        prefixes = tuple(prefix for _, prefix in self.captured)
        key = (NAME, body, prefixes)
        if key not in program.units:
            program.units[key] = _Functions(here, body, mods, prefixes).unit()
        for what, ports in _ports(mods).items():
            if ports:
                terms = [self.captured[port - len(OPERANDS)][0].at(0) for port in ports]
                comma = "," if len(terms) == 1 else ""
                extra.append(f"{what}=({', '.join(terms)}{comma})")
        return self.unfolded(apply(program.units[key].name, q, k, v, *extra, heavy=True))

    def _captured(self, port: int) -> tuple[Term, str]:
        """An array that scores read, and by which of `b` and `h` it is read first."""
        here, own, have, tubes = self.here, self.own[port], self.have[port], self.tubes
        groups = (tubes[: self.cut], tubes[self.cut :]) if len(tubes) > 1 else (tubes, ())
        wide = tuple(a for g in groups if not set(g).isdisjoint(have) for a in g)
        x = here.operand(port)
        term = here.full(Operand(x.term, x.axes, x.dtype), (*wide, *own))
        prefix = ""
        for group, letter in zip(groups, "bh", strict=True):
            if not set(group).isdisjoint(wide):
                if len(group) > 1:
                    at = len(prefix)
                    term = method(term, f"flatten({at}, {at + len(group) - 1})")
                prefix += letter
        return term, prefix


def _ports(mods: Mods) -> dict[str, list[int]]:
    """The inputs that the score reads, and those that the mask reads."""
    trees = {"score": (mods.score,), "mask": mods.conditions}
    return {what: list(dict.fromkeys(read.use[0] for read in reads(some)))
            for what, some in trees.items()}  # fmt: skip


class _Functions:
    """The text of the functions of one pair, and of the object that holds them."""

    def __init__(self, here: Here, body: Diagram, mods: Mods, prefixes: Sequence[str]) -> None:
        self.program, self.body, self.mods, self.prefixes = here.scope.program, body, mods, prefixes
        self.ports = _ports(mods)

    def unit(self) -> Unit:
        """Write it all; what is called."""
        fields: list[str] = []
        if not isinstance(self.mods.score, Product):
            name = self._modification("score", "score, b, h, i, j", [self.mods.score])
            fields.append(f"score={name}")
        if self.mods.conditions:
            name = self._modification("mask", "b, h, i, j", self.mods.conditions)
            fields.append(f"mask={name}")
            ports = self.ports["mask"]
            tubes = {letter for port in ports for letter in self.prefixes[port - len(OPERANDS)]}
            fields += [f"{what}=True" for what, letter in (("batches", "b"), ("heads", "h"))
                       if letter in tubes]  # fmt: skip
        self.program.imported("Flex", "vesalius.compile.flex")
        name = self.program.name("flex")
        self.program.chunks.append("\n".join(wrapped(f"{name} = Flex({', '.join(fields)})")))
        return Unit(name)

    def _modification(self, what: str, arguments: str, trees: Sequence[Tree]) -> str:
        """A function that makes a function of one pair, given lengths and what it reads."""
        self.names: dict[int, str] = {}
        taken = ["score", "b", "h", "i", "j", QUERY, KEY]
        for port in self.ports[what]:
            wanted = self.body.inputs[port].name
            name = fresh_name(wanted if wanted.isidentifier() else "x", taken)
            taken.append(name)
            self.names[port] = name
        wanted = {"score": "changed", "mask": "shown"}[what]
        texts = [self._text(tree, wanted) for tree in trees]
        name = self.program.name(f"{what}_of")
        given = ", ".join([QUERY, KEY, *self.names.values()])
        self.program.chunks.append(
            "\n".join(
                [
                    f"def {name}({given}):",
                    f"    def {what}_mod({arguments}):",
                    *(f"        {line}" for line in wrapped(f"return {' & '.join(texts)}", 84)),
                    "",
                    f"    return {what}_mod",
                ]
            )
        )
        return name

    def _text(self, tree: Tree, name: str) -> str:
        """A tree as Python, in terms of `score`, `i`, `j` and what is read."""
        if isinstance(tree, Product):
            return "score"
        if isinstance(tree, Position):
            return "i" if tree.axis == QUERY else "j"
        if isinstance(tree, Read):
            return self._read(tree, name)
        return self._called(tree, name)

    def _read(self, read: Read, name: str) -> str:
        """An array at the places of this pair."""
        port, labels = read.use
        places = dict(read.places)
        items = list(self.prefixes[port - len(OPERANDS)])
        for label, axis in zip(labels, self.body.inputs[port].axes, strict=True):
            if label in places:
                items.append(self._text(places[label], "place"))
            else:
                items.append("i" if axis == QUERY else "j")
        return f"{self.names[port]}[{', '.join(items)}]" if items else self.names[port]

    def _called(self, tree: Tree, name: str) -> str:
        """A call of a function of scalars that computes a tree."""
        given: dict[str, tuple[str, str]] = {}  # by the text of an argument: its name and type
        at: dict[int, str] = {}
        for end in ends(tree):
            text = self._text(end, name)
            taken = [known for known, _ in given.values()]
            given.setdefault(text, (fresh_name(text.partition("[")[0], taken), end.dtype))
            at[id(end)] = text
        builder = Builder(name)
        wires = {text: builder.input(known, ArrayType({}, dtype)).id
                 for text, (known, dtype) in given.items()}  # fmt: skip
        writer = Writer(Writing(builder), lambda end: (wires[at[id(end)]], ()))
        out = writer.write(tree)
        diagram = builder.finish([Port("out", out[0], (), ())])
        scope = Scope(self.program, diagram, {}, {}, ([()] * len(given), [()]), kind="function")
        scope.run()
        known = {"dtype": "torch.float32", "device": "i.device", QUERY: QUERY, KEY: KEY}
        extras = tuple((scope.lengths.get(extra, extra), extra) for extra in scope.extras)
        scope.unit = Unit(self.program.name(name), extras)
        self.program.chunks.append(scope)
        arguments = [*given, *(f"{own}={known[extra]}" for own, extra in extras)]
        return f"{scope.unit.name}({', '.join(arguments)})"


FLEX = kernel(
    Kernel(
        name=NAME,
        summary="softmax attention with any change of its scores and any mask, on a GPU",
        define=None,
        root="contract",
        find=find,
        emit=emit,
        accepts=accepts,
        work=work,
    )
)
