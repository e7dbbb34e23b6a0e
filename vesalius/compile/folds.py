"""Folds: a contraction along an axis whose running state rescales, declared once.

    out[n] = project( Σ_m sums(w[n, m], v[m]) )
    w[n, m] = weigh(q[n]·k[m]) · rescale(level[m], reference[n])

A softmax is such a fold: the level of a key is its score, the reference the largest of them, and
rescale(a, b) = exp(a − b). So is a decay: levels and references are given with the keys and the
queries. A sum without levels is one as well. `rescale` is a cocycle, rescale(a, b)·rescale(b, c) =
rescale(a, c), and the reference of several keys is the largest of their levels; so sums over some
keys and sums over others are put together by bringing both to one reference. From the declaration
come, each as a diagram that equals `whole`:

    streaming    some keys at a time, carrying the sums
    split        parts of the keys side by side, put together at the end
    recurrent    one key at a time
    chunked      causal; pairs inside a chunk, and for what came before a state that does not grow

A state needs a score that is linear in the key: `weigh` is left out. The forms are found where
`whole` stands, in any spelling that `vesalius.compile.folded` reads; a fold of your own gets them
all.

Rabe and Staats, arXiv 2112.05682; Dao et al., arXiv 2205.14135; Katharopoulos et al.,
arXiv 2006.16236; Sun et al., arXiv 2307.08621.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from vesalius.compile.normalise import normalise
from vesalius.compile.order import ordered
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram, Port
from vesalius.diagrams.names import fresh_name
from vesalius.diagrams.sizes import Size, size
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.linearity import linear_in

if TYPE_CHECKING:
    from vesalius.compile.kernels.kernel import Kernel

Level = Literal["score", "given", "none"]

BLOCK = 128  # keys at a time, where nobody says how many
CHUNK = 64
PARTS = 4


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold; its functions take wires and return wires, and work under any tubes.

    `sums(w, v)` gives what one key adds to each sum, by name; with levels it is linear in `w`.
    `project(**sums)` is the result. `weigh(score)` is the weight of a score, the score itself if
    left out. `level` says what is rescaled: the score, a level that comes with each key (and a
    reference with each query), or nothing; `rescale(level, reference)` by how much. `lowest` is a
    level that rescales to 0 whatever the reference, `usual` one that any other is rescaled to.
    """

    name: str
    sums: Callable[[Wire, Wire], Mapping[str, Wire]]
    project: Callable[..., Wire]
    weigh: Callable[[Wire], Wire] | None = None
    level: Level = "none"
    rescale: Callable[[Wire, Wire], Wire] | None = None
    lowest: float = -math.inf
    usual: float = 0.0

    def __post_init__(self) -> None:
        if (self.level == "none") != (self.rescale is None):
            raise FormatError(f"fold {self.name!r}: levels and `rescale` come together")
        if self.level == "score" and self.weigh is not None:
            raise FormatError(f"fold {self.name!r}: a score that is a level is not weighed, too")

    @cached_property
    def has_state(self) -> bool:
        """Whether what came before is a state that does not grow: sums are linear in keys."""
        if self.weigh is not None or self.level == "score":
            return False
        (box,) = (node.box for node in self._added.fold().boxes)
        return linear_in(box, [0])

    @cached_property
    def _added(self) -> Diagram:
        """What one key adds to each sum."""
        builder = Builder("sums")
        with builder:
            made = self.sums(builder.input("w", ""), builder.input("v", "e"))
        return builder.finish(
            [Port(f"s{k}", x.id, x.names, tuple(range(len(x.names)))) for k, x in
             enumerate(made.values())]
        )  # fmt: skip

    @cached_property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The names of the sums, each with the axes that it has beside tubes."""
        with Builder("sums") as builder:
            made = self.sums(builder.input("w", ""), builder.input("v", "e"))
        return {name: wire.names for name, wire in made.items()}

    # -- the forms --------------------------------------------------------------------------------

    def whole(self, causal: bool = False, square: bool = False) -> Diagram:
        """All pairs at once: what the fold means. If `square`, of as many keys as queries."""
        form = _Form(self, "whole", causal, "m:n" if square else "m")
        with form.builder:
            return form.diagram(form.added(form.pairs(), form.v, "m"))

    def weights(self, causal: bool = False) -> Diagram:
        """The weights of all pairs, as they stand in `whole`."""
        form = _Form(self, "whole", causal, values=False)
        with form.builder:
            weights = form.pairs()
        axes = ("n", "m")
        made = form.builder.finish(
            [Port("w", weights.id, axes, tuple(map(weights.names.index, axes)))]
        )
        return normalise(ordered(normalise(made), _length))

    def results(self) -> Diagram:
        """What is made of given weights, as it stands in `whole`."""
        form = _Form(self, "whole", False, scores=False)
        with form.builder:
            weights = form.builder.input("w", "n m")
            return normalise(form.diagram(form.added(weights, form.v, "m")))

    def split(self, parts: int = PARTS, causal: bool = False) -> Diagram:
        """Parts of the keys side by side, put together at the end."""
        form = _Form(self, "split", causal)
        with form.builder:
            keys = form.cut(f"p:{parts} j", size("m").ceil_div(parts) * parts)
            scores = vs.contract(form.q, keys.k, over="c")
            shown = form.real(keys.places)
            shown = shown & (keys.places <= vs.iota("n")) if causal else shown
            levels = form.levels(scores, keys.level, shown)
            reference, tops = form.reference, None
            if self.level == "score" and levels is not None:
                reference = tops = vs.max(levels, "j")
            weights = form.weights(scores, levels, reference, shown)
            sums = form.added(weights, keys.v, "j")
            if tops is None:
                return form.diagram({name: vs.sum(x, "p") for name, x in sums.items()})
            by = form.brought(tops, vs.max(tops, "p"))
            return form.diagram({name: vs.contract(x, by, over="p") for name, x in sums.items()})

    def streaming(self, block: int = BLOCK, causal: bool = False) -> Diagram:
        """Some keys at a time, carrying the sums and what they refer to."""
        form = _Form(self, "streaming" if block > 1 else "recurrent", causal)
        body = form.step()
        with form.builder:
            keys = form.cut(f"g j:{block}", size("m").ceil_div(block) * block)
            elements = [keys.k, keys.v, keys.places]
            captured = [form.q, vs.constant(size("m"))]
            if keys.level is not None and form.reference is not None:
                elements.append(keys.level)
                captured.append(form.reference)
            if causal:
                captured.append(vs.iota("n"))
            start: list[Wire] = [vs.constant(self.lowest)] if self.level == "score" else []
            start += [vs.expand(0.0, " ".join(axes)) for axes in self.parts.values()]
            after = vs.scan(body, over="g", states=start, sequences=elements, captured=captured)
            sums = after[len(after) - len(self.parts) :]
            return form.diagram(dict(zip(self.parts, sums, strict=True)))

    def recurrent(self, causal: bool = False) -> Diagram:
        """One key at a time; with a state, one position at a time if causal."""
        if causal and self.has_state:
            return self.chunked(1)
        return self.streaming(1, causal)

    def chunked(self, chunk: int = CHUNK) -> Diagram:
        """Causal: pairs inside a chunk of positions, and a state for what came before.

        There are as many keys as queries. Without a state, all that came before is streamed, a
        chunk at a time.
        """
        if not self.has_state:
            return self.streaming(chunk, causal=True)
        form = _Form(self, "chunked" if chunk > 1 else "recurrent", True, "m:n")
        with form.builder:
            length = size("n").ceil_div(chunk) * chunk
            keys = form.cut(f"g j:{chunk}", length)
            q, reference = form.cut_queries(f"g i:{chunk}", length)
            inside = vs.iota(f"j:{chunk}") <= vs.iota(f"i:{chunk}")
            scores = vs.contract(q, keys.k, over="c")
            levels = form.levels(scores, keys.level, inside)
            weights = form.weights(scores, levels, reference, inside)
            sums = form.added(weights, keys.v, "j")
            for name, before in form.before(keys, reference).items():
                sums[name] = sums[name] + vs.contract(q, before, over="c")
            whole = {name: vs.merge(x, "g i", "n_") for name, x in sums.items()}
            return form.diagram(
                {name: vs.slice(x, "n_", 0, size("n"), into="n") for name, x in whole.items()}
            )

    def kernels(self, causal: bool = False) -> list[Kernel]:
        """Declare each form as a kernel, `name_form`, that is taken where the fold stands.

        Of several that can stand in a place the first is taken: the state, where there is one, then
        streaming, split, recurrent. `prefer=` and `forbid=` say otherwise.
        """
        from vesalius.compile.folded import declared

        return declared(self, causal)


class _Keys(NamedTuple):
    """Keys cut into parts: what belongs to each, and the places where they stand."""

    k: Wire
    v: Wire
    level: Wire | None
    places: Wire


class _Form:
    """A form while it is written: the inputs that all forms of a fold have, and their parts."""

    def __init__(
        self,
        fold: Fold,
        word: str,
        causal: bool,
        keys: str = "m",
        scores: bool = True,
        values: bool = True,
    ) -> None:
        self.fold = fold
        self.causal = causal
        self.keys = keys
        self.plain = word == "whole"  # each query sees a key
        self.builder = Builder(f"{fold.name}_{word}")
        if scores:
            self.q = self.builder.input("q", "n c")
            self.k = self.builder.input("k", f"{keys} c")
        if values:
            self.v = self.builder.input("v", f"{keys} e")
        self.level: Wire | None = None
        self.reference: Wire | None = None
        if scores and fold.level == "given":
            self.level = self.builder.input("level", keys)
            self.reference = self.builder.input("reference", "n")

    def diagram(self, sums: Mapping[str, Wire]) -> Diagram:
        """The form, whose result is the projection of the sums."""
        out = self.fold.project(**sums)
        order = tuple(map(out.names.index, ("n", "e")))
        made = self.builder.finish([Port("out", out.id, ("n", "e"), order)])
        return ordered(normalise(made), _length)

    # -- pairs ------------------------------------------------------------------------------------

    def pairs(self) -> Wire:
        """The weights of all pairs."""
        scores = vs.contract(self.q, self.k, over="c")
        shown = vs.iota(self.keys) <= vs.iota("n") if self.causal else None
        levels = self.levels(scores, self.level, shown)
        reference = self.reference
        if self.fold.level == "score" and levels is not None:
            reference = vs.max(levels, "m")
        return self.weights(scores, levels, reference, shown)

    def levels(self, scores: Wire, given: Wire | None, shown: Wire | None) -> Wire | None:
        """The level of each pair: the lowest where it is hidden."""
        levels = {"score": scores, "given": given, "none": None}[self.fold.level]
        if levels is None or shown is None:
            return levels
        return vs.where(shown, levels, self.fold.lowest)

    def weights(
        self, scores: Wire, levels: Wire | None, reference: Wire | None, shown: Wire | None
    ) -> Wire:
        """The weight of each pair; 0 where it is hidden."""
        fold = self.fold
        if fold.level == "score":
            assert levels is not None
            assert reference is not None
            return self.brought(levels, reference)
        weights = scores if fold.weigh is None else fold.weigh(scores)
        if levels is not None and reference is not None:
            weights = weights * self.brought(levels, reference)
        return weights if shown is None else vs.where(shown, weights, 0.0)

    def brought(self, level: Wire, reference: Wire) -> Wire:
        """The factor that brings a level to a reference; 0 for the lowest, whatever it is."""
        fold = self.fold
        assert fold.rescale is not None
        if self.plain:
            return fold.rescale(level, reference)
        nothing = vs.equal(reference, fold.lowest)  # all keys so far are hidden
        return fold.rescale(level, vs.where(nothing, fold.usual, reference))

    def added(self, weights: Wire, v: Wire, over: str) -> dict[str, Wire]:
        """The sums over some keys."""
        return {name: vs.sum(x, over) for name, x in self.fold.sums(weights, v).items()}

    # -- parts of the keys ------------------------------------------------------------------------

    def cut(self, into: str, length: Size) -> _Keys:
        """The keys in parts, with some that are not real at the end."""
        level = self.level
        if level is not None:
            level = _cut(level, "m", into, length, self.fold.lowest)
        places = vs.iota(f"m:{length}".replace(" ", ""))
        return _Keys(
            _cut(self.k, "m", into, length),
            _cut(self.v, "m", into, length),
            level,
            vs.split(places, "m", into),
        )

    def real(self, places: Wire) -> Wire:
        """Which places hold a key."""
        return places < vs.constant(size("m"))

    def cut_queries(self, into: str, length: Size) -> tuple[Wire, Wire | None]:
        """The queries in parts with their references; those that are not real refer to nothing."""
        reference = self.reference
        if reference is not None:
            reference = _cut(reference, "n", into, length, -self.fold.lowest)
        return _cut(self.q, "n", into, length), reference

    # -- along the parts --------------------------------------------------------------------------

    def step(self) -> Diagram:
        """What some keys add to the sums that are carried."""
        fold, builder, free = self.fold, Builder("step"), self.free()
        top = builder.input(free("top"), "") if fold.level == "score" else None
        held = {name: builder.input(name, " ".join(axes)) for name, axes in fold.parts.items()}
        k, v = builder.input(free("k"), "j c"), builder.input(free("v"), "j e")
        places = builder.input(free("places"), "j int")
        given = builder.input(free("level"), "j") if fold.level == "given" else None
        q, count = builder.input(free("q"), "c"), builder.input(free("count"), "int")
        reference = builder.input(free("reference"), "") if fold.level == "given" else None
        at = builder.input(free("at"), "int") if self.causal else None
        after: list[tuple[str, Wire, tuple[str, ...]]] = []
        with builder:
            scores = vs.contract(q, k, over="c")
            shown = places < count if at is None else (places < count) & (places <= at)
            levels = self.levels(scores, given, shown)
            if top is not None and levels is not None:
                reference = vs.maximum(top, vs.max(levels, "j"))
                after.append((free("top_after"), reference, ()))
                by = self.brought(top, reference)
                held = {name: x * by for name, x in held.items()}
            weights = self.weights(scores, levels, reference, shown)
            added = self.added(weights, v, "j")
            after += [(name, x + added[name], fold.parts[name]) for name, x in held.items()]
        return builder.finish([Port(n, x.id, a, tuple(map(x.names.index, a))) for n, x, a in after])

    def free(self) -> Callable[[str], str]:
        """Names beside those that the author of the fold gave the sums."""
        taken = dict.fromkeys(self.fold.parts)

        def free(name: str) -> str:
            taken[found := fresh_name(name, taken)] = None
            return found

        return free

    def before(self, keys: _Keys, reference: Wire | None) -> dict[str, Wire]:
        """For each chunk, its queries' share of what came before it, per channel of the queries."""
        values = self.fold.sums(vs.constant(1.0), keys.v)
        if keys.level is None or reference is None:
            made = {name: vs.contract(keys.k, x, over="j") for name, x in values.items()}
            return {name: _sum_before(x, "g") for name, x in made.items()}
        tops = vs.max(keys.level, "j")
        own = keys.k * self.brought(keys.level, tops)
        made = {name: vs.contract(own, x, over="j") for name, x in values.items()}
        start = [vs.expand(0.0, f"c {' '.join(axes)}") for axes in self.fold.parts.values()]
        found = vs.scan(
            self._carry(),
            over="g",
            states=[vs.constant(self.fold.lowest), *start],
            sequences=[tops, *made.values()],
        )
        top, *states = found[len(made) + 1 :]
        by = self.brought(top, reference)
        return {name: x * by for name, x in zip(made, states, strict=True)}

    def _carry(self) -> Diagram:
        """A chunk's own state joins what came before, which is handed out first."""
        builder, free = Builder("carry"), self.free()
        types = {name: ("c", *axes) for name, axes in self.fold.parts.items()}
        top = builder.input(free("top"), "")
        held = {name: builder.input(name, " ".join(axes)) for name, axes in types.items()}
        own_top = builder.input(free("own_top"), "")
        own = {
            name: builder.input(free(f"own_{name}"), " ".join(axes)) for name, axes in types.items()
        }
        with builder:
            both = vs.maximum(top, own_top)
            left, right = self.brought(top, both), self.brought(own_top, both)
            new = {name: held[name] * left + own[name] * right for name in types}
        after = [
            (free("top_after"), both, ()),
            *((name, x, types[name]) for name, x in new.items()),
        ]
        after += [(free("before"), top, ())]
        after += [(free(f"{name}_before"), x, types[name]) for name, x in held.items()]
        return builder.finish([Port(n, x.id, a, tuple(map(x.names.index, a))) for n, x, a in after])


def _sum_before(x: Wire, axis: str) -> Wire:
    """The sum of all that comes before, along an axis."""
    from vesalius.compile.kernels.cumulative_sum import BEFORE, CUMULATIVE

    total: Wire = CUMULATIVE.definition(BEFORE).boxed(x.rename(**{axis: "m"}))
    return total.rename(n=axis)


def _length(length: Size) -> int:
    """Lengths by which products are ordered: channels are fewer than positions."""
    return length.at({name: 64 if name in ("c", "e") else 1024 for name in length.variables})


def _cut(x: Wire, axis: str, into: str, length: Size, value: float = 0.0) -> Wire:
    more = length - x.axes[axis]
    return vs.split(vs.pad(x, axis, after=more, value=value), axis, into)
