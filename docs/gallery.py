"""Make the gallery: `python docs/gallery.py` writes docs/gallery.md and docs/pictures/.

Every picture is made by the code that stands above it, which is run here as it is shown.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from kept import HERE, PICTURES, write

HEAD = """\
# Gallery

Every picture on this page is drawn by the code above it; `python docs/gallery.py` makes the page.

Strings run from left to right, in the order of their ports. Beside a string stand its axes,
where they change. A shaded region is a *tube*: everything in it is mapped over the axis that it is
named after. Where two tubes would overlap without nesting, as those of queries and keys do, the
larger one has a region and the other follows its strings, with the axis in the same colour. Dark
boxes are learned, boxes with bars are diagrams of their own, a triangle is where something comes
from: a parameter, a constant, a mask. A small stroke across a string calls an axis by another name.

```python
import vesalius as vs
```
"""

# Title, name of the file, what to know, code that ends in a picture.
ENTRIES = [
    (
        "Scaled dot-product attention",
        "attention",
        "Queries have the axis `n`, keys and values `m`. Softmax binds `m`, and nothing binds `n`.",
        """
        @vs.diagram
        def attention(q: "n c", k: "m c", v: "m e") -> "n e":
            scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
            return vs.contract(vs.softmax(scores, over="m"), v, over="m")

        picture = vs.draw(attention)
        """,
    ),
    (
        "The same, over batches and heads",
        "tubes",
        "Two more axes are one more tube, and nothing else.",
        """
        picture = vs.draw(attention.over("b h"))
        """,
    ),
    (
        "Bahdanau's attention",
        "bahdanau",
        "",
        """
        picture = vs.draw(vs.anatomy["bahdanau"]())
        """,
    ),
    (
        "Causal multi-head self-attention",
        "multihead",
        "One input is read along `n` and along `m`: that is what the strokes say.",
        """
        picture = vs.draw(vs.anatomy["multihead"](causal=True))
        """,
    ),
    (
        "Linear attention",
        "linear",
        "",
        """
        picture = vs.draw(vs.anatomy["linear"]())
        """,
    ),
    (
        "A transformer block",
        "block",
        "Only attention interrupts the tube of the positions: nothing else mixes them.",
        """
        block = vs.anatomy["block"]()
        picture = vs.draw(block)
        """,
    ),
    (
        "The block, opened",
        "block-open",
        "",
        """
        picture = vs.draw(block, depth=1, direction="down")
        """,
    ),
    (
        "An encoder of twelve layers",
        "encoder",
        "",
        """
        picture = vs.draw(vs.anatomy["encoder"](layers=12))
        """,
    ),
    (
        "For paper",
        "print",
        "`print` has greys alone, `safe` colours that colour-blind readers tell apart.",
        """
        picture = vs.draw(attention, theme="print", legend=True)
        """,
    ),
    (
        "For dark pages",
        "dark",
        "",
        """
        picture = vs.draw(vs.anatomy["multihead"](), theme="dark")
        """,
    ),
    (
        "Two sides of an equation",
        "pair",
        "What goes is dashed, what comes is marked as with a broad pen.",
        """
        from vesalius.diagrams.drawing.strips import pair

        @vs.diagram
        def scores_first(q: "n c", k: "m c", v: "m e") -> "n e":
            return vs.contract(vs.contract(q, k, over="c"), v, over="m")

        @vs.diagram
        def values_first(q: "n c", k: "m c", v: "m e") -> "n e":
            return vs.contract(q, vs.contract(k, v, over="m"), over="c")

        picture = pair(scores_first, values_first, ["quadratic in n", "linear in n"]).svg()
        """,
    ),
    (
        "A strip",
        "strip",
        "As many pictures as there are; between them the rule, what it promises, and what changes.",
        """
        from vesalius.diagrams.drawing.strips import Change, strip

        @vs.diagram
        def unfolded(q: "n c", k: "m c", v: "m e") -> "n e":
            weights = vs.exp(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")))
            return vs.contract(weights / vs.sum(weights, "m"), v, over="m")

        @vs.diagram
        def late(q: "n c", k: "m c", v: "m e") -> "n e":
            weights = vs.exp(vs.contract(q, k, over="c") / vs.sqrt(vs.size("c")))
            return vs.contract(weights, v, over="m") / vs.sum(weights, "m")

        steps = [
            Change(rule="softmax unfolded", grade="equal", law="softmax(s) = exp(s) / Σ exp(s)"),
            Change(rule="normalised late", grade="equal", law="Σ (w·x)·y = w·Σ x·y"),
        ]
        picture = strip([attention, unfolded, late], changes=steps, width=1000).svg()
        """,
    ),
]


# The README's: name of the file, code that ends in a picture. Code hosts show a picture on light
# and on dark pages alike, so these have the paper's colours.
README = [
    ("readme-attention", 'picture = vs.draw(attention.over("b h"), theme="print")'),
    (
        "readme-multihead",
        'picture = vs.draw(vs.anatomy["multihead"](causal=True), theme="print")',
    ),
]

# Ours on the sheet beside other libraries' pictures, which docs/peers.py draws.
SHEET = """
@vs.diagram
def residual_attention(x: "n d") -> "n d":
    q = vs.contract(x, vs.parameter("W_q", "d c"), over="d")
    k = vs.contract(x, vs.parameter("W_k", "d c"), over="d").rename(n="m")
    v = vs.contract(x, vs.parameter("W_v", "d e"), over="d").rename(n="m")
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    mixed = vs.contract(vs.softmax(scores, over="m"), v, over="m")
    return x + vs.contract(mixed, vs.parameter("W_o", "e d"), over="e")

picture = vs.draw(residual_attention)
"""


def drawn(name: str, code: str, known: dict[str, object]) -> str:
    """The SVG that a piece of code ends in; what it defines stays in `known`."""
    exec(compile(code, f"<{name}>", "exec"), known)
    picture = known["picture"]
    return picture if isinstance(picture, str) else picture.svg()


def made() -> dict[Path, str]:
    """The page and all pictures, by the files that hold them."""
    import vesalius as vs

    known: dict[str, object] = {"vs": vs}
    lines, files = [HEAD], {}
    for title, name, words, code in ENTRIES:
        text = textwrap.dedent(code).strip()
        files[PICTURES / f"{name}.svg"] = drawn(name, text, known)
        lines += [f"## {title}\n", *([words + "\n"] if words else [])]
        lines += [f"```python\n{text}\n```\n", f"![{title}](pictures/{name}.svg)\n"]
    for name, code in README:
        files[PICTURES / f"{name}.svg"] = drawn(name, code, known)
    files[PICTURES / "peers-vesalius.svg"] = drawn("sheet", SHEET, known)
    files[HERE / "gallery.md"] = "\n".join(lines)
    return files


if __name__ == "__main__":
    write(made())
