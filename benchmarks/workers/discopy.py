"""DisCoPy: diagrams of the free monoidal category, the lightest of its levels that fits.

``>>`` copies the layers of both sides and checks them again; the best bulk call hands all layers
to the constructor at once (``then(*boxes)`` and ``decode`` are loops over ``>>``). Equality is
that of lists of layers; up to isomorphism there is only the hypergraph, measured apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from discopy.cat import dumps, loads
from discopy.monoidal import Box, Diagram, Layer, Ty
from discopy.symmetric import Box as SymmetricBox
from discopy.symmetric import Hypergraph
from discopy.symmetric import Ty as SymmetricTy
from sampling import Operation
from shapes import brick_offsets

DISTRIBUTION = "discopy"

x = Ty("x")
BOXES = (Box("f", x, x), Box("g", x, x))
BRICK = Box("b", x @ x, x @ x)


def chain(n: int) -> Diagram:
    """Box after box by ``>>``."""
    diagram = Diagram.id(x)
    for i in range(n):
        diagram = diagram >> BOXES[i % 2]
    return diagram


def chain_bulk(n: int) -> Diagram:
    """All layers to the constructor; equal layers are one object."""
    layers = [Layer.cast(box) for box in BOXES]
    return Diagram(tuple(layers[i % 2] for i in range(n)), x, x)


def brick(n: int, wires: int) -> Diagram:
    """Box after box by ``@`` and ``>>``."""
    diagram = Diagram.id(x**wires)
    for k in brick_offsets(n, wires):
        diagram = diagram >> x**k @ BRICK @ x ** (wires - 2 - k)
    return diagram


def brick_bulk(n: int, wires: int) -> Diagram:
    """All layers to the constructor; equal layers are one object."""
    layers = [Layer(x**k, BRICK, x ** (wires - 2 - k)) for k in range(wires - 1)]
    inside = tuple(layers[k] for k in brick_offsets(n, wires))
    return Diagram(inside, x**wires, x**wires)


def hypergraph(n: int) -> Hypergraph:
    """A chain as a hypergraph, its wiring given at once."""
    ty = SymmetricTy("x")
    boxes = (SymmetricBox("f", ty, ty), SymmetricBox("g", ty, ty))
    wiring = tuple(((i,), (i + 1,)) for i in range(n))
    return Hypergraph(ty, ty, tuple(boxes[i % 2] for i in range(n)), ((0,), wiring, (n,)))


def building(build: Callable[..., Diagram]) -> Callable[..., Operation]:
    """The operation that builds, and checks how many boxes there are."""

    def operation(n: int, **more: int) -> Operation:
        return Operation(lambda: build(n, **more), check=lambda d: len(d.inside) == n)

    return operation


def compose(n: int) -> Operation:
    """Two chains of n boxes, by ``>>``."""
    return Operation(
        lambda first, second: first >> second,
        prepare=lambda: (chain_bulk(n), chain_bulk(n)),
        check=lambda d: len(d.inside) == 2 * n,
    )


def equal(n: int) -> Operation:
    """Two chains made of their own boxes and types, layer by layer."""

    def apart() -> Diagram:
        ty = Ty("x")
        layers = Layer.cast(Box("f", ty, ty)), Layer.cast(Box("g", ty, ty))
        return Diagram(tuple(layers[i % 2] for i in range(n)), ty, ty)

    return Operation(lambda a, b: a == b, prepare=lambda: (apart(), apart()), check=bool)


def equal_hypergraphs(n: int) -> Operation:
    """Two chains, up to isomorphism."""
    return Operation(
        lambda a, b: a == b, prepare=lambda: (hypergraph(n), hypergraph(n)), check=bool
    )


def json_round_trip(n: int) -> Operation:
    """A chain to JSON text and back."""
    return Operation(
        lambda d: loads(dumps(d)),
        prepare=lambda: (chain_bulk(n),),
        check=lambda d: d == chain_bulk(n),
    )


def drawing(build: Callable[..., Diagram]) -> Callable[..., Operation]:
    """The operation that writes an SVG, laid out anew; matplotlib stands ready."""

    def draw(diagram: Diagram) -> str:
        import matplotlib

        matplotlib.use("svg")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x.svg"
            diagram.draw(path=str(path), show=False)
            return path.read_text()

    def operation(n: int, **more: int) -> Operation:
        return Operation(
            draw, prepare=lambda: (build(n, **more),), check=lambda text: "<svg" in text
        )

    return operation


OPERATIONS = {
    "draw_chain": drawing(chain_bulk),
    "draw_brick": drawing(brick_bulk),
    "build_chain": building(chain),
    "build_chain_bulk": building(chain_bulk),
    "build_brick": building(brick),
    "build_brick_bulk": building(brick_bulk),
    "build_hypergraph": lambda n: Operation(lambda: hypergraph(n), check=lambda d: d.n_spiders > n),
    "compose": compose,
    "equal": equal,
    "equal_hypergraphs": equal_hypergraphs,
    "json_round_trip": json_round_trip,
}
