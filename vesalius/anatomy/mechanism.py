"""What an entry of the catalogue is, and how one is put together from its parts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vesalius.anatomy.dissection import dissecting
from vesalius.diagrams import starts
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import AxisError, FormatError, SizeError, VesaliusError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.interface import substitute
from vesalius.diagrams.names import among, meant, nearest
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.types import ArrayType
from vesalius.diagrams.wire import Wire

Part = Callable[..., Any]

SLOTS = (
    "preparation",
    "position",
    "similarity",
    "mask",
    "normaliser",
    "mixing",
    "gate",
    "output",
    "attention",
    "norm",
    "feed_forward",
)
"""Where a part can stand; the last three are those of a whole transformer."""

SIZES = {
    "heads": "h",
    "groups": "g",
    "width": "d",
    "hidden": "f",
    "vocabulary": "v",
    "context": "p",
    "window": "w",
    "rank": "r",
    "block": "l",
    "blocks": "s",
    "kept": "t",
    "rotated": "u",
    "span": "a",
    "stride": "o",
}
"""Words for sizes beside the names of their variables: `heads=8` is `h=8`."""


class UnknownMechanism(VesaliusError, LookupError):
    """There is no mechanism of that name in the catalogue."""


@dataclass(frozen=True)
class Paper:
    """Where a mechanism comes from: `authors` as one text, `arxiv` an identifier, or empty."""

    title: str
    authors: str
    year: int
    arxiv: str = ""


@dataclass(frozen=True, repr=False)
class Mechanism:
    """An entry of the catalogue; calling it builds the diagram.

    `build` takes options, all by keyword and all with a default. `causal` says whether an output
    depends on later positions: `never` causal, causal on `request` (the option `causal`), or
    `always`. `cacheable` says in the same words whether outputs stay what they are when positions
    are appended, so that generating the next token needs only what is kept of the former ones; it
    is what `causal` is unless the length itself enters the formula. `implied` gives sizes that
    follow from others, once those are given. `check` is the package of others that the tests
    compare with, or `transcription`: the paper's formula in loops, written for the tests.
    `of_heads` are the parameters of which each head has one of its own, where it stands in heads.
    """

    name: str
    title: str
    paper: Paper
    formula: str
    parts: Mapping[str, Part]
    build: Callable[..., Diagram]
    causal: str = "request"
    implied: Mapping[str, str] = field(default_factory=dict)
    cacheable: str = ""
    check: str = "transcription"
    of_heads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.replace("-", "_").isidentifier():
            raise FormatError(f"a mechanism's name is a word such as soft_sign, not {self.name!r}")
        if not isinstance(self.paper, Paper):
            raise FormatError(f"{self.name}: the paper is a vs.anatomy.Paper, not {self.paper!r}")
        if not self.cacheable:
            object.__setattr__(self, "cacheable", self.causal)
        for slot in self.parts:
            if slot not in SLOTS:
                raise FormatError(among(f"{self.name}: a part", SLOTS, slot))
        for claim in ("causal", "cacheable"):
            if getattr(self, claim) not in ("never", "request", "always"):
                raise FormatError(f"{self.name}: {claim} is never, request or always")
        if self.cacheable not in ("never", self.causal):
            raise FormatError(
                f"{self.name}: what is {self.causal} causal is never cacheable or is so likewise"
            )

    def __repr__(self) -> str:
        where = f", arXiv:{self.paper.arxiv}" if self.paper.arxiv else ""
        return f"<mechanism {self.name}: {self.title}, {self.paper.year}{where}>"

    @property
    def options(self) -> dict[str, Any]:
        """The options that say what is built, with their defaults."""
        signature = inspect.signature(self.build)
        return {name: option.default for name, option in signature.parameters.items()}

    @property
    def anatomy(self) -> dict[str, str]:
        """What stands in each slot: the name of the part and its formula."""
        return {slot: f"{part.__name__}: {_summary(part)}" for slot, part in self.parts.items()}

    @property
    def initial(self) -> dict[str, str]:
        """How parameters start, as the paper has it, where that is not uniform within ±1/√fan."""
        return initial(self())

    @property
    def diagram_hint(self) -> str:
        """How a diagram is had from a mechanism."""
        return f"call it first: vs.anatomy[{self.name!r}]()"

    def __call__(self, *inputs: Any, **options: Any) -> Diagram:
        """The diagram. Sizes stay symbolic unless given: `multihead(causal=True, heads=8, d=512)`.

        `heads` of a mechanism on queries, keys and values puts these into a tube of heads.

        Raises `FormatError` for an option or a size that this mechanism does not have, and for a
        value that an option does not take.
        """
        if inputs:
            raise FormatError(
                f"{self.name}(...) builds a diagram, and its options have names, as heads=8; to "
                f"compute with arrays write {self.name}().evaluate(...)"
            )
        known = self.options
        chosen = {name: options.pop(name) for name in list(options) if name in known}
        for name, value in chosen.items():
            if isinstance(known[name], bool) and not isinstance(value, bool):
                raise FormatError(f"{self.name}: {name} is true or false, not {value!r}")
        diagram = self.build(**chosen)
        wanted = {SIZES.get(name, name) for name in options}
        on_qkv = {"q", "k", "v"} <= set(diagram.input_types)
        if on_qkv and "h" in wanted and "h" not in diagram.size_variables:
            diagram = self.in_heads(diagram)
        return self._sized(diagram, options) if options else diagram

    def in_heads(self, diagram: Diagram) -> Diagram:
        """A diagram of this mechanism on queries, keys and values in a tube `h` of heads.

        Masks are shared by the heads, and so are parameters but those of `of_heads`.
        """
        inputs = [port.name for port in diagram.inputs if port.name in ("q", "k", "v")]
        return diagram.over("h", inputs=inputs, parameters=self.of_heads)

    def dissected(self, **options: Any) -> Diagram:
        """The diagram with what stands in each slot as one named box, called by the slot.

        Unfolded it is the diagram itself. Takes what a call takes, and raises what it raises.
        """
        with dissecting({part.__name__: slot for slot, part in self.parts.items()}):
            return self(**options)

    def _sized(self, diagram: Diagram, given: Mapping[str, Any]) -> Diagram:
        for name in given:
            if SIZES.get(name, name) not in diagram.size_variables:
                options, known = ", ".join(self.options), ", ".join(self.sizes(diagram))
                near = nearest(name, [*self.options, *self.sizes(diagram), *SIZES])
                raise FormatError(
                    f"{self.name} has no option and no size {name!r}; "
                    + (f"did you mean {near!r}? " if near else "")
                    + f"its options are {options}, its sizes {known}"
                )
        sizes = {SIZES.get(name, name): size(value) for name, value in given.items()}
        for name, value in sizes.items():
            words = [new for new in value.variables if len(new) > 1]
            if not set(words) <= set(diagram.size_variables):
                raise FormatError(
                    f"{self.name}: the size {name} is a number, a letter, or a formula in the "
                    f"sizes {', '.join(diagram.size_variables)}, not {str(value)!r}"
                )
            if value.constant is not None and value.constant < 1:
                raise FormatError(f"{self.name}: the size {name} is at least 1, not {value}")
        for name, formula in self.implied.items():
            if name not in sizes and size(formula).variables <= set(sizes):
                sizes[name] = self._follows(name, formula, sizes)
        try:
            return substitute(diagram, sizes)
        except SizeError as error:
            why = str(error).partition("\n")[0]
            raise SizeError(f"{self.name}: {why}{_lengths_that_fit(diagram, sizes)}") from None

    def _follows(self, name: str, formula: str, sizes: Mapping[str, Size]) -> Size:
        try:
            return size(formula).substitute(sizes)
        except SizeError:
            values = ", ".join(f"{key} = {value}" for key, value in sizes.items())
            raise SizeError(
                f"{self.name}: {name} = {formula} is not an integer for {values}; give {name} too"
            ) from None

    @staticmethod
    def sizes(diagram: Diagram) -> list[str]:
        """The sizes that can be given, by the words for them where there are some."""
        words = {variable: word for word, variable in SIZES.items()}
        return [
            f"{name} ({words[name]})" if name in words else name for name in diagram.size_variables
        ]


def _summary(part: Part) -> str:
    return (inspect.getdoc(part) or "").partition("\n")[0]


def initial(diagram: Diagram) -> dict[str, str]:
    """How the parameters of a diagram start, where that is not uniform within ±1/√fan."""
    found = {}
    for token, _ in diagram.tokens:
        if not isinstance(token, Parameter) or (token.init, token.scale) == ("fan", 1.0):
            continue
        found[token.name] = _start(token) + ("" if token.trainable else ", fixed")
    return found


def _start(token: Parameter) -> str:
    if not isinstance(token.init, str):
        return starts.formula(token.init)
    square = round(token.scale**2)
    rooted = square > 1 and math.isclose(square, token.scale**2) and token.scale % 1
    width = f"√{square}" if rooted else f"{token.scale:g}"
    if token.fan is not None:
        plain = token.fan.variable or token.fan.constant is not None
        width += f"/√{token.fan}" if plain else f"/√({token.fan})"
    if token.init == "normal":
        return f"normal, deviation {width}"
    if token.init in ("fan", "uniform"):
        return f"uniform within ±{width}"
    return "normal, rows orthogonal" if token.init == "orthogonal" else token.init


def _lengths_that_fit(diagram: Diagram, sizes: Mapping[str, Size]) -> str:
    """The lengths next to the one given with which the other sizes go, where there are some."""
    given = sizes.get("n", size("n")).constant
    if given is None:
        return ""

    def fits(n: int) -> bool:
        try:
            substitute(diagram, {**sizes, "n": size(n)})
        except SizeError:
            return False
        return True

    below = next((n for n in range(given - 1, 0, -1) if fits(n)), None)
    above = next((n for n in range(given + 1, 2 * given + 64) if fits(n)), None)
    near = " or ".join(str(n) for n in (below, above) if n is not None)
    return f"; n = {given} does not go with the other sizes, {near} would" if near else ""


# -- building -------------------------------------------------------------------------------------


def diagram_of(
    name: str,
    inputs: Mapping[str, str],
    output: str | Mapping[str, str],
    body: Callable[..., Wire | tuple[Wire, ...]],
    doc: str = "",
) -> Diagram:
    """A diagram with these inputs and one output, whose axes are read in the order of `output`.

    What `@diagram` does for a function whose inputs are fixed, for one whose inputs depend on
    options. Several outputs are declared by name, and made as a tuple. Raises `AxisError` when the
    result's axes are not those declared.
    """
    outputs = {"out": output} if isinstance(output, str) else output
    with Builder(name, doc) as builder:
        wires = {port: builder.input(port, type_) for port, type_ in inputs.items()}
        made = body(**wires)
        results = (made,) if isinstance(made, Wire) else made
        ports = []
        for (port, axes), result in zip(outputs.items(), results, strict=True):
            declared = ArrayType.parse(axes)
            if result.type != declared:
                what = "the output" if port == "out" else f"the output {port!r}"
                raise AxisError(f"{name}: {what} is declared {declared} and is {result.type}")
            slots = tuple(result.names.index(axis) for axis in declared)
            ports.append(Port(port, result.id, tuple(declared), slots))
        return builder.finish(ports)


def explicit(
    name: str, inputs: Mapping[str, str], output: str, stands: Mapping[str, Part]
) -> Callable[..., Diagram]:
    """The builder of a mechanism that computes its weights: one for each query and key.

        output(gate(Σ_m normaliser_m(similarity(q, k) + mask) · v))

    A part for `position` gets what the preparation made, but the values. It turns q and k, and
    returns both, or returns what is added to the scores. Where the only input is `x`, its
    positions are those of the keys, too.

    The options of the builder: `causal`; `padding`, which adds the input `keep`, true for the keys
    that count; `mask`, which adds an input that is added to the scores.
    """

    def build(*, causal: bool = False, padding: bool = False, mask: bool = False) -> Diagram:
        def body(*, keep: Wire | None = None, mask: Wire | None = None, **given: Wire) -> Wire:
            q, k, v, *more = stands["preparation"](**given)
            place = stands["position"](q, k, *more) if "position" in stands else None
            if isinstance(place, tuple):
                q, k = place
            scores = _of_pairs("similarity", stands, q, k)
            if isinstance(place, Wire):
                scores = scores + place
            if mask is not None:
                scores = scores + mask
            if keep is not None:
                keep = keep if keys == "m" else keep.rename(n="m")
            allowed = stands["mask"](q, k, causal=causal, keep=keep)
            out = stands["mixing"](_of_pairs("normaliser", stands, scores, allowed), v)
            for slot in ("gate", "output"):
                out = stands[slot](out) if slot in stands else out
            return out

        keys, pairs = ("n", "n m:n") if set(inputs) == {"x"} else ("m", "n m")
        masks = mask_inputs(keys, padding, mask, pairs)
        return diagram_of(name, {**inputs, **masks}, output, body)

    return build


def _of_pairs(slot: str, stands: Mapping[str, Part], *given: Wire | None) -> Wire:
    """What a part makes, which has a number for each query and key."""
    made = stands[slot](*given)
    part = f"the part {stands[slot].__name__!r} for {slot}"
    if not isinstance(made, Wire):
        raise AxisError(f"{part} made no wire but {made!r}")
    if not {"n", "m"} <= set(made.names):
        raise AxisError(f"{part} made {made.type}; it makes a number for each query n and key m")
    return made


def mask_inputs(keys: str, padding: bool, mask: bool, scores: str = "n m") -> dict[str, str]:
    """The inputs that masks need: `keep`, on the axis of the keys, and `mask`, on the scores."""
    kept = {"keep": f"{keys} bool"} if padding else {}
    return {**kept, "mask": scores} if mask else kept


# -- the registry ---------------------------------------------------------------------------------


class Catalogue:
    """The mechanisms by name; entries are in the order in which they are entered."""

    def __init__(self) -> None:
        self._entries: dict[str, Mechanism] = {}

    def enter(self, mechanism: Mechanism) -> Mechanism:
        """Add a mechanism; its name must be free. Returns it."""
        if mechanism.name in self._entries:
            raise FormatError(
                f"the catalogue has a mechanism {mechanism.name!r} already; to enter another one, "
                f"del vs.anatomy.CATALOGUE[{mechanism.name!r}] first"
            )
        self._entries[mechanism.name] = mechanism
        return mechanism

    def __getitem__(self, name: str) -> Mechanism:
        if name in self:
            return self._entries[name]
        if not isinstance(name, str):
            raise UnknownMechanism(f"a mechanism has a name, as 'linear', which {name!r} is not")
        raise UnknownMechanism(f"there is no mechanism {name!r}; {meant(name, self._entries)}")

    def __delitem__(self, name: str) -> None:
        """Take a mechanism out, to enter it anew; raises `UnknownMechanism`."""
        del self._entries[self[name].name]

    def __iter__(self) -> Iterator[Mechanism]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def names(self) -> list[str]:
        """The names of all mechanisms."""
        return list(self._entries)

    def __repr__(self) -> str:
        return f"<catalogue of {len(self)} mechanisms: {', '.join(self._entries)}>"


CATALOGUE = Catalogue()
