"""How `contract` and `add` are written: `@`, `*`, `/`, `.sum`, `.mean` where they read best."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vesalius.compile import names
from vesalius.compile.folding import Number, literal_term, number_product
from vesalius.compile.layout import Order
from vesalius.compile.scope import Here, Operand, Scope
from vesalius.compile.text import PRODUCT, SIGN, SUM, Term, apply, chain, method
from vesalius.compile.views import dim, permuted
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.sizes import product as product_of_sizes

NOMINAL = 256  # the length of an axis of unknown size, when an order of evaluation is chosen


# -- contract -----------------------------------------------------------------------------------


def contract(here: Here) -> list[Term]:
    """The product of all inputs, summed over the bound axes."""
    result_dtype = here.dtype()
    numbers: list[Number] = []
    tensors: list[Operand] = []
    made: list[bool] = []  # whether a tensor is the result of something entry by entry
    divisors: list[Operand] = []
    for port in range(len(here.box.maps)):
        number, below = here.number(port), here.absorbed(port, result_dtype)
        if number is not None:
            numbers.append(number)
        elif below is not None:
            divisors.append(below)
        else:
            tensors.append(here.operand(port, result_dtype))
            made.append(_is_entrywise(here, here.node.src[port]))
    mean = _mean(here, numbers, divisors)
    if mean is not None:
        return [mean]
    out = here.out()
    slope = _logistic_slope(here, out)
    if slope is not None:
        return [slope]
    body = _product(here, tensors, out, made) if tensors else None
    return [_scaled(here, body, numbers, divisors, out)]


def _scaled(
    here: Here,
    body: Operand | None,
    numbers: Sequence[Number],
    divisors: Sequence[Operand],
    out: Order,
) -> Term:
    """The product with its scalar factors before it and what divides it behind it."""
    names_ = here.scope.lengths
    above: list[Term] = []
    below: list[Term] = []
    negative = False
    if numbers and here.dtype() == "float":
        numbers = [_as_one(numbers)]
    for number in numbers:
        value = number.value
        if number.over != 1:
            below.append(literal_term(number.over))
        if isinstance(value, Fraction) and value.denominator != 1:
            below.append(literal_term(value.denominator))
            value = value.numerator
        if value == -1 and not number.above:
            negative = not negative
        elif value != 1 or number.above:
            above.append(number._replace(value=value, over=1).top(names_))
        below += [factor.term(names_) for factor in number.below]
    terms = list(above)
    if body is not None:
        wide = any(not set(d.axes) <= set(body.axes) for d in divisors)
        terms.append(here.aligned(body, out) if wide else body.term)
    if not terms:
        terms = [literal_term(1)]
    term = chain("*", PRODUCT, terms) if len(terms) > 1 else terms[0]
    if negative:
        term = Term(f"-{term.at(SIGN)}", SIGN, term.operations + 1, term.heavy)
    for factor in below:
        term = chain("/", PRODUCT, [term, factor])
    for divisor in divisors:
        term = chain("/", PRODUCT, [term, here.aligned(divisor, out)])
    return term


def _as_one(numbers: Sequence[Number]) -> Number:
    """The product of numbers: a tensor is gone through once for all that are known."""
    made = number_product(numbers, "float")
    if made.over == 1 or made.value in (1, -1):
        return made
    return made._replace(value=made.amount, over=1)


def _mean(here: Here, numbers: Sequence[Number], divisors: Sequence[Operand]) -> Term | None:
    """`x.mean(…)`, where this divides a sum, used only here, by the number of its terms."""
    if len(numbers) != 1 or divisors or len(here.box.maps) != 2 or here.box.bound:
        return None
    scope = here.scope
    port = 1 if here.number(0) is not None else 0
    wire = here.node.src[port]
    total = scope.diagram.nodes[scope.diagram.owner[wire]]
    if total.box.kind.name != "contract" or len(total.src) != 1 or here.dtype() != "float":
        return None
    single = len(scope.diagram.consumers[wire]) == 1 and wire not in scope.outputs
    inner = Here(scope, total)
    value = scope.values[wire]
    if not single or inner.site.dtypes[0] != "float" or inner.number(0) is not None:
        return None
    if not isinstance(value, Term) or not _divides(numbers[0], inner):
        return None
    scope.block.forget(value)
    operand = inner.operand(0)
    term = method(operand.term, f"mean({_dims(operand.axes, total.box.bound)})")
    return permuted(term, inner.out(), [inner.box.outs[0][s] for s in _slots(here, port)])


def _logistic_slope(here: Here, out: Order) -> Term | None:
    """y·(1 − y), the derivative of y = σ(x), in one pass over y instead of two."""
    box, scope = here.box, here.scope
    if len(box.maps) != 2 or box.bound or box.maps[0] != box.maps[1]:
        return None
    for port in (0, 1):
        y, rest = here.node.src[port], here.node.src[1 - port]
        value = scope.values[rest]
        if isinstance(value, Term) and _is_one_minus(scope, rest, y):
            scope.block.forget(value)
            operand = here.operand(port)
            term = apply("torch.addcmul", *[operand.term] * 3, "value=-1")
            return permuted(term, operand.axes, out)
    return None


def _is_one_minus(scope: Scope, wire: int, y: int) -> bool:
    """Whether a wire that is read once is 1 − y, axis by axis."""
    total = scope.diagram.nodes[scope.diagram.owner[wire]]
    single = len(scope.diagram.consumers[wire]) == 1 and wire not in scope.outputs
    if not single or total.box.kind.name != "add" or len(total.src) != 2:
        return False
    inner = Here(scope, total)
    for port in (0, 1):
        number, negated = inner.number(port), total.src[1 - port]
        if number is None or not number.literal or number.amount != 1:
            continue
        below = scope.diagram.nodes[scope.diagram.owner[negated]]
        in_order = below.box.outs[0] == total.box.maps[1 - port] == total.box.outs[0]
        if negated in scope.absorbed and in_order and below.src == (y,):
            return below.box.maps[0] == below.box.outs[0]
    return False


def _slots(here: Here, port: int) -> list[int]:
    """The slots of an input's wire in the order of the result."""
    row = here.box.maps[port]
    return [row.index(axis) for axis in here.out()]


def _divides(number: Number, inner: Here) -> bool:
    """Whether a number is one over the number of terms of a sum."""
    count = product_of_sizes(inner.site.bound_sizes)
    if number.above or number.over != 1 or any(factor.root for factor in number.below):
        return False
    below = product_of_sizes(factor.size for factor in number.below)
    value = number.value
    if isinstance(value, Fraction) and value.numerator == 1:
        below = below * value.denominator
    elif value != 1 or not number.below:
        return False
    return below == count


def _is_entrywise(here: Here, wire: int) -> bool:
    """Whether a tensor is computed entry by entry."""
    diagram = here.scope.diagram
    box = diagram.nodes[diagram.owner[wire]].box
    return box.kind.name in ("pointwise", "add") or (box.kind.name == "contract" and not box.bound)


def _product(here: Here, tensors: Sequence[Operand], out: Order, made: Sequence[bool]) -> Operand:
    """The tensors multiplied and summed; the axes come in the order `out`."""
    bound = set(here.box.bound)
    carried = {a for t in tensors for a in t.axes}
    order = tuple(a for a in out if a in carried)
    if len(tensors) == 1:
        (one,) = tensors
        left = tuple(a for a in one.axes if a not in bound)
        term = one.term
        if len(left) < len(one.axes):
            term = method(term, f"sum({_dims(one.axes, tuple(bound))})", heavy=True)
        return Operand(permuted(term, left, order), order, one.dtype)
    if not bound:
        factors = [here.aligned(t, order) for t in _reading_order(tensors)]
        return Operand(chain("*", PRODUCT, factors), order, tensors[0].dtype)
    if all(t.dtype == "int" for t in tensors):
        return _summed_integers(here, tensors, order)
    if len(tensors) > 2:
        return _in_steps(here, tensors, order)
    term = (
        _unturned(here, tensors, made, order)
        or _matmul(tensors[0], tensors[1], here.box.bound, order)
        or _weighted(here, tensors, order)
        or _inner(here, tensors, order)
        or _einsum(here, tensors, order)
    )
    return Operand(term, order, "float")


def _dims(axes: Order, bound: Sequence[int]) -> str:
    dims = sorted(axes.index(a) for a in bound)
    if len(dims) == 1:
        return str(dim(axes, axes[dims[0]]))
    return str(tuple(dims)) if len(dims) < len(axes) else ""


def _reading_order(tensors: Sequence[Operand]) -> list[Operand]:
    """What is largest first, parameters last: `x * self.gain`."""
    return sorted(tensors, key=lambda t: (t.term.text.startswith("self."), -len(t.axes)))


def _summed_integers(here: Here, tensors: Sequence[Operand], order: Order) -> Operand:
    """Integers have no matrix product on every device."""
    bound = tuple(here.box.bound)
    wide = (*order, *bound)
    term = chain("*", PRODUCT, [here.aligned(t, wide) for t in tensors])
    return Operand(method(term, f"sum({_dims(wide, bound)})", heavy=True), order, "int")


def _einsum(here: Here, tensors: Sequence[Operand], order: Order) -> Term:
    def place(one: Operand) -> tuple[bool, int]:
        others = {a for t in tensors if t is not one for a in t.axes}
        own = [order.index(a) for a in one.axes if a in order and a not in others]
        # A vector comes behind its matrix, whose gradient then lies as the matrix does.
        return one.term.text.startswith("self."), min(own, default=len(order))

    operands = sorted(tensors, key=place)
    used = list(dict.fromkeys(a for t in operands for a in t.axes))
    if len(used) > 52:
        raise SizeError("contract: torch.einsum takes at most 52 axes")
    shown = here.axis_names()
    chosen = dict(zip(used, names.letters([shown[a] for a in used], here.scope.program.letters),
                      strict=True))  # fmt: skip
    sides = [",".join("".join(chosen[a] for a in t.axes) for t in operands)]
    sides.append("".join(chosen[a] for a in order))
    return apply("torch.einsum", f'"{"->".join(sides)}"', *(t.term for t in operands), heavy=True)


def _weighted(here: Here, tensors: Sequence[Operand], order: Order) -> Term | None:
    """Sums of what has weights for some of its axes, where a product of matrices would copy it.

    That is where axes that both keep lie between those that are summed and those without weights.
    Sums over all axes with weights are one vector times one matrix.
    """
    w, x = sorted(tensors, key=lambda t: len(t.axes))
    own = tuple(a for a in x.axes if a not in w.axes)
    if not here.scope.eager or not own or not set(w.axes) < set(x.axes):
        return None
    bound, count = set(here.box.bound), len(w.axes)
    if bound == set(w.axes) and x.axes == (*w.axes, *own) and order == own[:1]:
        rows = method(x.term, f"flatten(0, {count - 1})", cost=0)
        return chain("@", PRODUCT, [method(w.term, "flatten()", cost=0), rows], heavy=True)
    kept = [a for a in w.axes if a not in bound]
    if not bound <= set(w.axes) or set(x.axes[: len(kept)]) == set(kept):
        return None
    term = chain("*", PRODUCT, [x.term, here.aligned(w, x.axes)])
    left = tuple(a for a in x.axes if a not in bound)
    summed = method(term, f"sum({_dims(x.axes, tuple(bound))})", heavy=True)
    return permuted(summed, left, order)


def _inner(here: Here, tensors: Sequence[Operand], order: Order) -> Term | None:
    """`(x * y).sum(-1)`: the inner products of a tile on a CPU, where a batch of them is slow.

    Half precision is float32 there, so that rounding each product of two numbers loses nothing.
    """
    x, y = tensors
    if not here.scope.eager or here.scope.program.device != "cpu" or set(x.axes) != set(y.axes):
        return None
    bound = tuple(here.box.bound)
    if len(bound) == len(x.axes):
        return None
    term = chain("*", PRODUCT, [x.term, here.aligned(y, x.axes)])
    left = tuple(a for a in x.axes if a not in bound)
    summed = method(term, f"sum({_dims(x.axes, bound)})", heavy=True)
    return permuted(summed, left, order)


def _in_steps(here: Here, tensors: Sequence[Operand], order: Order) -> Operand:
    """More than two tensors: pair by pair, in an order that is cheap at nominal lengths."""
    import opt_einsum

    sizes = {a: max(1, here.scope.nominal(here.site.sizes[a], NOMINAL))
             for t in tensors for a in t.axes}  # fmt: skip
    left = ",".join("".join(map(opt_einsum.get_symbol, t.axes)) for t in tensors)
    right = "".join(map(opt_einsum.get_symbol, order))
    shapes = [tuple(sizes[a] for a in t.axes) for t in tensors]
    path, _ = opt_einsum.contract_path(f"{left}->{right}", *shapes, shapes=True)
    rest = list(tensors)
    for step in path:
        taken = [rest.pop(place) for place in sorted(step, reverse=True)][::-1]
        needed = {a for t in rest for a in t.axes} | set(order)
        if rest:
            later = [a for t in rest for a in t.axes] + list(order)
            axes = tuple(sorted({a for t in taken for a in t.axes} & needed, key=later.index))
        else:
            axes = order
        term = _pair(here, taken, axes)
        if rest:
            term = here.scope.block.let(term, "y", " ".join(here.axis_names()[a] for a in axes))
        rest.append(Operand(term, axes, "float"))
    return rest[0]


def _pair(here: Here, tensors: Sequence[Operand], axes: Order) -> Term:
    summed = {a for t in tensors for a in t.axes} - set(axes)
    if len(tensors) == 2:
        if not summed:
            return chain("*", PRODUCT, [here.aligned(t, axes) for t in tensors])
        found = _matmul(tensors[0], tensors[1], tuple(summed), axes)
        if found is not None:
            return found
    return _einsum(here, tensors, axes)


def _matmul(a: Operand, b: Operand, bound: Sequence[int], out: Order) -> Term | None:
    """`a @ b`, with `.mT` where it takes one, if that is the contraction in this order."""
    if len(bound) != 1:
        return None
    for x, y in ((a, b), (b, a)):
        for left, right in ((x, y), (x, _turned(y)), (_turned(x), y)):
            if left is not None and right is not None and _multiplies(left, right, bound[0], out):
                return chain("@", PRODUCT, [left.term, right.term], heavy=True)
    return None


def _unturned(
    here: Here, tensors: Sequence[Operand], made: Sequence[bool], out: Order
) -> Term | None:
    """`(y.mT @ x).mT` for `x.mT @ y`, where x alone is made entry by entry, for products to read.

    The gradient of what is turned comes back turned; entry by entry, one that lies as x does is
    taken several times as fast.
    """
    scope = here.scope
    (wire,) = here.node.wires
    readers = [scope.diagram.nodes[k].box for k, _ in scope.diagram.consumers[wire]]
    products = bool(readers) and all(b.kind.name == "contract" and b.bound for b in readers)
    if made[0] == made[1] or not products or wire in scope.outputs:
        return None
    x, y = tensors if made[0] else tensors[::-1]
    left, over = _turned(y), here.box.bound
    back = (*out[:-2], *out[-2:][::-1])
    if left is None or len(over) != 1 or not _multiplies(left, x, over[0], back):
        return None
    return permuted(chain("@", PRODUCT, [left.term, x.term], heavy=True), back, out)


def _turned(x: Operand) -> Operand | None:
    if len(x.axes) < 2:
        return None
    axes = (*x.axes[:-2], x.axes[-1], x.axes[-2])
    return Operand(permuted(x.term, x.axes, axes), axes, x.dtype)


def _multiplies(x: Operand, y: Operand, k: int, out: Order) -> bool:
    """Whether `x @ y` sums over k and nothing else, with the axes of the result in order."""
    if not x.axes or not y.axes or x.axes[-1] != k:
        return False
    rows = x.axes[:-1]
    if y.axes == (k,):
        return out == rows
    if y.axes[-2:-1] != (k,) or y.axes[-1] in rows:
        return False
    batch, column = y.axes[:-2], y.axes[-1]
    return (not batch or (len(rows) == len(batch) + 1 and rows[:-1] == batch)) and out == (
        *rows,
        column,
    )


# -- add ----------------------------------------------------------------------------------------


def add(here: Here) -> list[Term]:
    """The sum of all inputs, those that are subtracted behind those that are not."""
    out, dtype = here.out(), here.dtype()
    plus: list[Term] = []
    minus: list[Term] = []
    numbers: list[Number] = []
    operands: list[tuple[Operand, bool]] = []
    for port in range(len(here.box.maps)):
        number, negated = here.number(port), here.absorbed(port, dtype)
        if number is not None and not number.below:
            numbers.append(number)
        else:
            operands.append((negated or here.operand(port, dtype), negated is not None))
    if not operands:  # numbers of which the sum is none: one of them becomes a tensor
        operands = [(Operand(here.scope.full(numbers.pop(0)), (), dtype), False)]
    # x + self.bias, scores + mask: parameters last, and what has most axes first.
    operands.sort(key=lambda o: (o[0].term.text.startswith("self."), -len(o[0].axes)))
    for operand, negative in operands:
        (minus if negative else plus).append(here.aligned(operand, out))
    for number in numbers:
        negative = number.literal and number.amount < 0
        top = (number._replace(value=-number.value) if negative else number).top(here.scope.lengths)
        (minus if negative else plus).append(top)
    if not plus:
        first, *minus = minus
        plus = [Term(f"-{first.at(SIGN)}", SIGN, first.operations + 1, first.heavy)]
    term = chain("+", SUM, plus) if len(plus) > 1 else plus[0]
    for one in minus:
        term = chain("-", SUM, [term, one])
    return [term]
