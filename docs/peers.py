"""Draw residual attention with other libraries: `.peers/bin/python docs/peers.py` (`make peers`).

Each draws the same block by its own public call and default style, into docs/pictures/peers-*.svg.
Chyp draws in its editor's scene, which needs `.peers/bin/pip install PySide6-Essentials cvxpy`.
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "vesalius"  # the same ids each time

HERE = Path(__file__).parent / "pictures"


def discopy() -> None:
    """A diagram of a Markov category: copies are its own, everything else is a box."""
    from discopy.markov import Box, Copy, Ty

    x = Ty("x")

    def box(name: str, inputs: int = 1) -> Box:
        return Box(name, x**inputs, x)

    diagram = Copy(x) >> Copy(x) @ x >> Copy(x) @ x @ x
    diagram = diagram >> box("W_q") @ box("W_k") @ box("W_v") @ x
    for one in (box("QK", 2), box("1/√c"), box("softmax")):
        diagram = diagram >> one @ x @ x
    diagram = diagram >> box("AV", 2) @ x >> box("W_o") @ x >> box("+", 2)
    diagram.draw(path=str(HERE / "peers-discopy.svg"), show=False)


def chyp() -> None:
    """A term, laid out by its convex program, in the scene that its editor shows."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from chyp.graph import gen, identity
    from chyp.gui.graphscene import GraphScene
    from chyp.layout import convex_layout
    from PySide6.QtCore import QMarginsF, QRectF, QSize
    from PySide6.QtGui import QPainter
    from PySide6.QtSvg import QSvgGenerator
    from PySide6.QtWidgets import QApplication

    wire = identity()
    graph = gen("copy", 1, 4) >> gen("W_q", 1, 1) * gen("W_k", 1, 1) * gen("W_v", 1, 1) * wire
    for box in (gen("QK", 2, 1), gen("1/√c", 1, 1), gen("softmax", 1, 1)):
        graph = graph >> box * wire * wire
    graph = graph >> gen("AV", 2, 1) * wire >> gen("W_o", 1, 1) * wire >> gen("+", 2, 1)
    convex_layout(graph)
    application = QApplication.instance() or QApplication([])
    scene = GraphScene()
    scene.set_graph(graph)
    shown = [item for item in scene.items() if item.isVisible()]
    around = QRectF()
    for item in shown:
        around = around.united(item.sceneBoundingRect())
    around = around.marginsAdded(QMarginsF(10, 10, 10, 10))
    file = HERE / "peers-chyp.svg"
    paper = QSvgGenerator()
    paper.setFileName(str(file))
    paper.setSize(QSize(int(around.width()), int(around.height())))
    paper.setViewBox(QRectF(0, 0, around.width(), around.height()))
    painter = QPainter(paper)
    scene.render(painter, QRectF(0, 0, around.width(), around.height()), around)
    painter.end()
    del application


def pyzx() -> None:
    """An open graph; ZX has no boxes of one's own, so each is an H-box or a spider."""
    import pyzx as zx
    from pyzx.utils import VertexType

    graph = zx.Graph()
    places = {
        "x": (VertexType.BOUNDARY, 1.5, 0), "copy": (VertexType.Z, 1.5, 1),
        "q": (VertexType.H_BOX, 0, 2), "k": (VertexType.H_BOX, 1, 2),
        "v": (VertexType.H_BOX, 2, 2), "scores": (VertexType.X, 0.5, 3),
        "scale": (VertexType.H_BOX, 0.5, 4), "softmax": (VertexType.H_BOX, 0.5, 5),
        "mix": (VertexType.X, 1, 6), "o": (VertexType.H_BOX, 1, 7),
        "+": (VertexType.X, 1.5, 8), "y": (VertexType.BOUNDARY, 1.5, 9),
    }  # fmt: skip
    at = {name: graph.add_vertex(*place) for name, place in places.items()}
    wires = (
        "x copy, copy q, copy k, copy v, copy +, q scores, k scores, scores scale, "
        "scale softmax, softmax mix, v mix, mix o, o +, + y"
    )
    for wire in wires.split(", "):
        source, target = wire.split()
        graph.add_edge((at[source], at[target]))
    graph.set_inputs((at["x"],))
    graph.set_outputs((at["y"],))
    figure = zx.draw_matplotlib(graph)
    figure.savefig(HERE / "peers-pyzx.svg", metadata={"Date": None})


if __name__ == "__main__":
    discopy()
    chyp()
    pyzx()
