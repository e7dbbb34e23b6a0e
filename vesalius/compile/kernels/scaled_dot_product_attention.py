"""`F.scaled_dot_product_attention`: softmax attention in any spelling."""

from __future__ import annotations

from collections.abc import Set

import vesalius.diagrams.verbs as vs
from vesalius.compile.attention import read_parts
from vesalius.compile.folding import Factor, Number
from vesalius.compile.kernels.kernel import Found, Kernel, Place, kernel
from vesalius.compile.layout import Order
from vesalius.compile.operands import Operands
from vesalius.compile.roofline import Call as Counted
from vesalius.compile.roofline import Work
from vesalius.compile.scope import Here, Operand
from vesalius.compile.text import PRODUCT, SIGN, Term, apply, index, method
from vesalius.compile.views import permuted
from vesalius.diagrams.builder import Builder
from vesalius.diagrams.graph import Diagram, Port

NAME = "scaled_dot_product_attention"
# The part of the time that is left where the kernel skips what comes later.
CAUSAL = {"cpu": 0.7, "cuda": 0.55}
MASKED = {"cpu": 1.15, "cuda": 3.0}  # how much longer a mask of all pairs takes
EXPONENTIAL = 0.25  # of the time of an operator: a shorter series, as fine as half precision asks


# -- the box --------------------------------------------------------------------------------------


def define(variant: str) -> Diagram:
    """Σ_m softmax_m(scale·Σ_c q·k + bias, where shown)·v; zeros where nothing is shown.

    The variant lists what there is besides queries, keys and values: `causal`, `shown:nm` or
    `bias:m` with the axes that the truth values or the bias carry.
    """
    words = dict(word.partition(":")[::2] for word in variant.split())
    builder = Builder(NAME)
    q, k, v = (
        builder.input(name, axes) for name, axes in (("q", "n c"), ("k", "m c"), ("v", "m e"))
    )
    scale = builder.input("scale", "")
    extra = {}
    for name, dtype in (("shown", "bool"), ("bias", "float")):
        if name in words:
            extra[name] = builder.input(name, f"{' '.join(words[name])} {dtype}")
    with builder:
        scores = vs.contract(q, k, over="c") * scale
        if "bias" in extra:
            scores = scores + extra["bias"]
        shown = [extra["shown"]] if "shown" in extra else []
        if "causal" in words:
            shown.append(vs.iota("m") <= vs.iota("n"))
        for condition in shown:
            scores = vs.where(condition, scores, float("-inf"))
        mixed = vs.contract(vs.softmax(scores, "m"), v, over="m")
    return builder.finish(
        [Port("mixed", mixed.id, ("n", "e"), tuple(map(mixed.names.index, "ne")))]
    )


# -- finding --------------------------------------------------------------------------------------


def find(place: Place) -> Found | str:
    """The rewriting to the kernel, or the reason why there is none."""
    parts = read_parts(place)
    if isinstance(parts, str):
        return parts
    return Operands(place, parts).found(SDPA)


def work(call: Counted) -> list[Work]:
    """Both products and the exponentials, of all pairs unless only earlier keys are seen.

    A CPU reads keys and values that several batches or heads share anew for each of them, and
    copies those that are padded to one width: for few queries that is most of what it does.
    """
    (n, c), (m, e) = call.lengths(0), call.lengths(2)
    words = [word.partition(":")[0] for word in call.variant.split()]
    device = call.target.device if call.target.device in MASKED else "cuda"
    pairs = float(call.tubes * n * m)
    if "causal" in words:
        pairs *= CAUSAL[device]
    if not {"shown", "bias"}.isdisjoint(words):
        pairs *= MASKED[device]
    read = 0
    if device == "cpu":
        shared = [len(call.box.tubes) > sum(a in call.box.tubes for a in call.box.maps[port])
                  for port in (1, 2)]  # fmt: skip
        read = shared[0] * c + shared[1] * e + 2 * (c != e) * max(c, e)
    return [
        Work(
            2 * pairs * (c + e),
            simple=float(read * call.tubes * m),
            exponentials=EXPONENTIAL * pairs,
            moved=call.moved,
            fresh=call.fresh,
        )
    ]


def backward(call: Counted, learned: Set[int]) -> int:
    """On a CPU, a bias for all pairs that is learned itself has a way of its own, which is not
    fused: all weights are made.
    """
    bias = dict(word.partition(":")[::2] for word in call.variant.split()).get("bias", "")
    last = len(call.body.inputs) - 1
    if call.target.device != "cpu" or last not in learned or not {"n", "m"} <= set(bias):
        return 0
    return call.tubes * call.lengths(0)[0] * call.lengths(1)[0]


# -- writing --------------------------------------------------------------------------------------


def emit(here: Here, variant: str) -> list[Term]:
    """`F.scaled_dot_product_attention(q, k, v, …)` on four dimensions, as views."""
    return [Call(here, dict(word.partition(":")[::2] for word in variant.split())).term()]


class Call:
    """A call on queries, keys and values with their tubes as batches and heads."""

    def __init__(self, here: Here, words: dict[str, str]) -> None:
        self.here = here
        self.words = words
        box = here.box
        self.own = [tuple(a for a in box.bound if a in row) for row in box.maps]
        *tubes, self.n, self.e = here.out()
        self.tubes: Order = tuple(tubes)
        self.have = [
            tuple(a for a in self.tubes if a in row) for row in box.maps
        ]  # the tubes at each port, in the order of the result
        self.gqa = False
        self.cut = self._cut()

    def term(self) -> Term:
        here = self.here
        q, k, v = (self.operand(port) for port in range(3))
        extra: list[str] = []
        mask = self._mask()
        if mask is not None:
            extra.append(f"attn_mask={mask.at(0)}")
        if "causal" in self.words:
            extra.append("is_causal=True")
        scale = here.number(3)
        if scale is None:
            q = Term(f"{q.at(PRODUCT)} * {here.operand(3, 'float').term.at(SIGN)}", PRODUCT)
            extra.append("scale=1.0")
        elif not self.usual(scale):
            extra.append(f"scale={scale.whole(here.scope.lengths).at(0)}")
        if self.gqa:
            extra.append("enable_gqa=True")
        function = "F.scaled_dot_product_attention"
        if self._uneven():
            function = here.scope.program.helper("padded_attention")
        result = apply(function, q, k, v, *extra, heavy=True)
        return self.unfolded(result)

    def _uneven(self) -> bool:
        """Whether keys and values may differ in width, so far as the sizes are known."""
        fixed = self.here.scope.program.sizes
        wide, narrow = (self.here.site.sizes[self.own[port][-1]] for port in (0, 2))
        if wide.variables | narrow.variables <= fixed.keys():
            return wide.at(fixed) != narrow.at(fixed)
        return bool(wide != narrow)

    # -- tubes as two dimensions ------------------------------------------------------------------

    def _cut(self) -> int:
        """Where the tubes are cut into batches and heads, so that flattening either is a view."""
        tubes = self.tubes
        if len(tubes) < 3:
            return len(tubes) - 1
        q, k, v = (set(row) for row in self.have[:3])
        if k == v and q == set(tubes):
            grouped = [a for a in tubes if a not in k]
            if grouped and tubes[1] in k and tuple(tubes[-len(grouped) :]) == tuple(grouped):
                self.gqa = True
                return 1
        for cut in range(1, len(tubes)):
            groups = (set(tubes[:cut]), set(tubes[cut:]))
            if all(group <= row or group.isdisjoint(row) for row in (q, k, v) for group in groups):
                return cut
        return len(tubes) - 1

    def operand(self, port: int) -> Term:
        """Queries, keys or values as batches, heads, positions, channels."""
        here = self.here
        x = here.operand(port, "float")
        own, tubes = self.own[port], self.tubes
        if len(tubes) < 2:  # a lone tube is a batch
            term = here.full(Operand(x.term, x.axes, x.dtype), (*tubes, *own))
            return index(term, ":, None" if tubes else "None, None")
        wide = self._with(port)
        term = here.full(Operand(x.term, x.axes, x.dtype), (*wide, *own))
        return self._grouped(term, wide, port)

    def _with(self, port: int) -> Order:
        """The tubes that an operand is given: all of them, but for shared heads."""
        if self.gqa and port in (1, 2):
            return self.have[port]
        return self.tubes

    def _grouped(self, term: Term, wide: Order, port: int) -> Term:
        heads = [a for a in self.tubes[self.cut :] if a in wide]
        for first, count in ((self.cut, len(heads)), (0, self.cut)):
            if count > 1:
                term = method(term, f"flatten({first}, {first + count - 1})")
        return term

    def unfolded(self, term: Term) -> Term:
        tubes, cut, here = self.tubes, self.cut, self.here
        if len(tubes) < 2:
            return index(term, ":, 0" if tubes else "0, 0")
        for first, group in ((1, tubes[cut:]), (0, tubes[:cut])):
            if len(group) > 1:
                lengths = ", ".join(here.size(a).at(0) for a in group)
                term = method(term, f"unflatten({first}, ({lengths}))", cost=0)
        return term

    # -- masks and scale --------------------------------------------------------------------------

    def _mask(self) -> Term | None:
        """What hides scores and what is added to them, as one mask."""
        ports = [name for name in ("shown", "bias") if name in self.words]
        terms = [self.broad(4 + k, self.words[name]) for k, name in enumerate(ports)]
        if len(terms) == 2:
            shown, bias = terms
            return apply("torch.where", shown, bias, "-torch.inf")
        return terms[0] if terms else None

    def broad(self, port: int, letters: str) -> Term:
        """A mask as it broadcasts over batches, heads, queries and keys."""
        x, own, have = self.here.operand(port), self.own[port], self.have[port]
        tubes = self.tubes
        term = permuted(x.term, x.axes, (*have, *own))
        if letters.endswith("m") and x.axes[-1] != own[-1]:
            term = method(term, "contiguous()")  # the keys of a query together: else GPUs write all
        if not have and letters == "nm":
            return term
        if len(tubes) > 2 and have:
            here = self.here
            groups = (tubes[: self.cut], tubes[self.cut :])
            wide = tuple(a for g in groups if not set(g).isdisjoint(have) for a in g)
            term = here.full(Operand(term, (*have, *own), x.dtype), (*wide, *own))
            at = 0
            items = []
            for group in groups:
                if set(group) <= set(wide):
                    if len(group) > 1:
                        term = method(term, f"flatten({at}, {at + len(group) - 1})")
                    items.append(":")
                    at += 1
                else:
                    items.append("None")
        elif len(tubes) < 2:
            items = [*([":"] * len(have)), *(["None"] * (2 - len(have)))]
        else:
            items = [":" if a in have else "None" for a in tubes[:2]] if tubes else []
            items = items if len(tubes) < 3 else ["None", "None"]
        items += [":" if letter in letters else "None" for letter in "nm"]
        while items and items[-1] == ":":
            items.pop()
        return index(term, ", ".join(items)) if items else term

    def usual(self, scale: Number) -> bool:
        """Whether the scale is 1/√width, which the function takes by itself."""
        width = self.here.site.sizes[self.own[0][-1]]
        return scale.amount == 1 and not scale.above and scale.below == (Factor(width, True),)


SDPA = kernel(
    Kernel(
        name=NAME,
        summary="softmax attention, fused: no weights in memory",
        define=define,
        root="contract",
        find=find,
        emit=emit,
        work=work,
        backward=backward,
    )
)
