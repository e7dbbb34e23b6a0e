"""Draw the steps of the compiler: `python docs/steps.py` writes them to docs/pictures/."""

from __future__ import annotations

from pathlib import Path

from kept import PICTURES, write


def made() -> dict[Path, str]:
    """The pictures of compiling.md, of the diagram with which it begins."""
    import vesalius as vs
    from vesalius.compile import steps

    @vs.diagram
    def attention(q: "n c", k: "m c", v: "m e") -> "n e":
        scores = vs.contract(q / vs.sqrt(vs.size("c")), k, over="c")
        scores = vs.where(vs.iota("n") < vs.iota("m"), float("-inf"), scores)
        e = vs.exp(scores - vs.max(scores, "m"))
        return vs.contract(e, v, over="m") / vs.sum(e, "m")

    shown = steps(attention.over("b h"))
    return {
        PICTURES / "steps-normalised.svg": shown.normalised.svg(),
        PICTURES / "steps-chosen.svg": shown.layout.draw().svg(),
    }


if __name__ == "__main__":
    write(made())
