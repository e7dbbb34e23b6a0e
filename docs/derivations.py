"""The derivations. `python docs/derivations.py` trains models and lets their weights travel.

What comes of it is written to docs/derivations.json. With names, only those are measured anew. The
pages themselves are made whenever the documentation is built.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from rules import escaped  # noqa: E402

MEASURED = HERE / "derivations.json"
STEPS = 6000
"""Steps of training: about a minute on one core."""

WAYS = {"there": "From the start to the end", "back": "From the end to the start"}

Row = dict[str, Any]


def measured() -> dict[str, Row]:
    """By derivation and direction, the losses before and after, or why weights can't travel."""
    found: dict[str, Row] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def measure(derivation: Any) -> Row:
    """Both directions, along the steps that have weights."""
    from vesalius.lab.travel import travelled

    whole = travelled(derivation)
    found: Row = {} if whole == derivation else {"last": len(whole)}
    for way, part in (("there", whole), ("back", whole.inverse())):
        found[way] = losses(part)
    return found


def losses(derivation: Any) -> Row:
    """Of one model, at the start and at the end."""
    from vesalius.lab.corpus import default_text
    from vesalius.lab.travel import journey
    from vesalius.rewrite.transport import NoWitness

    try:
        found = journey(derivation, default_text(), steps=STEPS)
    except NoWitness as reason:
        return {"refused": str(reason).split("\n")[0]}
    return {
        "untrained": round(found.untrained, 3),
        "before": round(found.before, 4),
        "after": round(found.after, 4),
        "change": float(f"{found.change:.1e}"),
    }


def main(*names: str) -> None:
    """Measure every derivation anew, or those that are named."""
    from vesalius.anatomy.derivations import DERIVATIONS

    known = measured() if MEASURED.exists() else {}
    for name in names or DERIVATIONS:
        print(name, file=sys.stderr, flush=True)
        known[name] = measure(DERIVATIONS[name])
        rows = [(name, known[name]) for name in DERIVATIONS if name in known]
        lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(r, ensure_ascii=False)}" for n, r in rows)
        MEASURED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")


# -- pages ----------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """A page and a picture for each derivation, by file name."""
    from vesalius.anatomy.derivations import DERIVATIONS

    known = measured()
    files: dict[str, str] = {}
    for name, entry in DERIVATIONS.entries.items():
        derivation = DERIVATIONS[name]
        files[f"pictures/{name}.svg"] = derivation.svg(width=1000)
        files[f"{name}.md"] = page(name, entry, derivation, known.get(name, {}))
    return files


def page(name: str, entry: Any, derivation: Any, known: Row) -> str:
    """Title, grade, steps with their laws, pictures, and what became of trained weights."""
    lines = [f"# {entry.title}\n", f"`{name}`: **{derivation.grade.name}**\n", f"{entry.doc}\n"]
    for number, step in enumerate(derivation, 1):
        decides = ", decides the grade" if step is derivation.decisive else ""
        law = escaped(step.move.doc.split("\n")[0])
        lines.append(f"{number}. `{step.name}` ({step.grade.name}{decides}): {law}")
    lines += ["", f"![The steps]( pictures/{name}.svg)\n".replace("( ", "("), *travels(known)]
    return "\n".join(lines) + "\n"


def travels(known: Row) -> list[str]:
    """What became of trained weights, a sentence for each direction."""
    if not known:
        return []
    lines = ["## Trained weights\n"]
    if "last" in known:
        lines.append(f"Only along the last {known['last']} steps, where no network is a hole.\n")
    for way, words in (
        ("there", "From the start to the end"),
        ("back", "From the end to the start"),
    ):
        row = known[way]
        if "refused" in row:
            lines.append(f"- {words}: refused: {escaped(row['refused'])}.")
        else:
            same = abs(row["change"]) < 1e-9
            change = "the same loss" if same else f"a change of {row['change']:+.1e}"
            lines.append(f"- {words}: {row['before']:.4f} → {row['after']:.4f} nats, {change}.")
    return lines


if __name__ == "__main__":
    main(*sys.argv[1:])
