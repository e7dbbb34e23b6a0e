"""Draw the derivations of the chapters: `python docs/chapters.py` writes them to docs/pictures/.

A picture shows some diagrams of a derivation, by their numbers: 0 is the start, k is after step k.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from kept import PICTURES, write

WIDTH = 760.0  # of a page; a picture that would go beyond begins a new row

# Name of the file, derivation, numbers of the diagrams, whether loops stand open.
ENTRIES: list[tuple[str, str, tuple[int, ...], bool]] = [
    ("vaswani-holes", "bahdanau-to-vaswani", (2,), True),
    ("vaswani-loops", "bahdanau-to-vaswani", (3, 6), True),
    ("vaswani-roles", "bahdanau-to-vaswani", (6, 7, 8), False),
    ("vaswani-products", "bahdanau-to-vaswani", (9, 10, 11), False),
    ("vaswani-heads", "bahdanau-to-vaswani", (12, 13, 14), False),
    ("linear-unfolded", "softmax-to-linear", (0, 1, 2), False),
    ("linear-kernel", "softmax-to-linear", (2, 3), False),
    ("linear-order", "softmax-to-linear", (3, 5), False),
    ("linear-causal", "softmax-to-linear-causal", (1, 2, 3), False),
    ("linear-channel", "linear-to-recurrent", (2, 3), False),
    ("linear-loop", "linear-to-recurrent", (4,), True),
]


def drawn(name: str, numbers: tuple[int, ...], opened: bool) -> str:
    """These diagrams of a derivation as one SVG document, each with the law that led to it."""
    from vesalius.anatomy.derivations import DERIVATIONS
    from vesalius.diagrams.drawing.strips import strip
    from vesalius.rewrite.film import caption

    derivation = DERIVATIONS[name]
    diagrams = [derivation.diagrams[k] for k in numbers]
    if len(numbers) == 1:
        return diagrams[0].svg(depth=int(opened))
    captions = [f"after step {numbers[0]}" if numbers[0] else "the start"]
    captions += [caption(k, derivation.steps[k - 1]) for k in numbers[1:]]
    changes = [between(derivation[i:k]) for i, k in pairwise(numbers)]
    return strip(diagrams, captions, changes, width=WIDTH, depth=int(opened)).svg()


def between(steps: Any) -> Any:
    """What stands between two pictures: one step, or the grade that several compose to."""
    from vesalius.diagrams.drawing.strips import Change
    from vesalius.rewrite.film import change, sign

    if len(steps) == 1:
        return change(steps.steps[0])
    names = dict.fromkeys(step.name.replace("_", " ") for step in steps)
    rule = f"{', '.join(names)}, {len(steps)} times" if len(names) == 1 else ", ".join(names)
    return Change(sign=sign(steps.grade), rule=rule, grade=str(steps.grade))


def networks() -> str:
    """Bahdanau's score beside the hole that it is put into."""
    import vesalius as vs
    from vesalius.anatomy.derivations import recurrent
    from vesalius.diagrams.drawing.strips import Change, strip

    @vs.diagram
    def score(s: "c", left: "k", right: "e") -> "":
        return vs.learner("score", s, left, right, binds="c k e")

    up = Change(sign="⊑", rule="abstract score", grade="generalises")
    captions = ["Σ_a v·tanh(s·W + left·U + right·U')", "any function of s, left and right"]
    return strip([recurrent.align, score], captions, [up], width=WIDTH).svg()


def chunks() -> str:
    """The step into chunks where it is alone: for the numerators of causal linear attention."""
    from vesalius.anatomy.derivations import DERIVATIONS
    from vesalius.rewrite.derivation import derive
    from vesalius.rewrite.rules import EXAMPLES

    *_, step = DERIVATIONS["linear-to-chunked"]
    return derive(EXAMPLES[step.name], step.move).end.svg(depth=1)


def made() -> dict[Path, str]:
    """The pictures, by the files that hold them."""
    files = {PICTURES / f"{file}.svg": drawn(*what) for file, *what in ENTRIES}
    files[PICTURES / "vaswani-score.svg"] = networks()
    files[PICTURES / "linear-chunks.svg"] = chunks()
    return files


if __name__ == "__main__":
    write(made())
