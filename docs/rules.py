"""The rule reference. `python docs/rules.py` measures every rule and writes docs/rules.json.

With names, only those are measured anew; what is no rule any more goes.

The pages themselves, with both sides of each rule drawn, are made whenever the documentation is
built: they need no measuring, and no place in the repository.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

MEASURED = HERE / "rules.json"

SIGNS = {
    "equal": "=",
    "reparametrised": "=",
    "limit": "→",
    "reduces": "⊒",
    "generalises": "⊑",
    "approximates": "≈",
    "variant": "→",
}


def measured() -> dict[str, dict[str, str]]:
    """What was measured of each rule, by name: the mark of its verdict, its float behaviour."""
    found: dict[str, dict[str, str]] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


# -- measuring ------------------------------------------------------------------------------------


def measure(rule: Any) -> dict[str, str]:
    """The mark of a rule's verdict, what that is a verdict on, and how both sides do in floats."""
    from vesalius.rewrite.check import check

    verdict = check(rule)
    if not verdict:
        raise SystemExit(str(verdict))
    found = {"grade": rule.grade.name, "mark": verdict.mark}
    if verdict.notes:
        found["notes"] = "; ".join(verdict.notes)
    if rule.grade.name == "equal":
        found["floats"] = floats(rule)
    elif verdict.measured is not None:
        found["error"] = f"{verdict.measured:.0e}"
    return found


def floats(rule: Any) -> str:
    """One sentence on rounding, and one on what overflows."""
    from vesalius.rewrite.float_behaviour import MAGNITUDES, float_behaviour

    table = float_behaviour(rule)
    one = table.row("float32", 1.0)
    text = f"error in float32 at magnitude 1: left {one.left:.0e}, right {one.right:.0e}"
    for side in ("left", "right"):
        lost = {
            dtype: [m for m in MAGNITUDES if getattr(table.row(dtype, m), f"{side}_lost")]
            for dtype in ("float32", "bfloat16")
        }
        where = [f"{m[0]:g} ({dtype})" for dtype, m in lost.items() if m]
        if where:
            text += f"; the {side} side loses entries at magnitude {' and '.join(where)}"
    return "; ".join([text, *table.notes])


def main(*names: str) -> None:
    """Measure every rule anew, or those that are named; show where we are."""
    from vesalius.rewrite.rules import RULES

    known = measured() if names else {}
    found = {}
    for k, (name, rule) in enumerate(RULES.items(), 1):
        print(f"\r{k}/{len(RULES)} {name:50}", end="", file=sys.stderr, flush=True)
        found[name] = measure(rule) if name in names or name not in known else known[name]
    print(file=sys.stderr)
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in found.items()
    )
    MEASURED.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8", newline="\n")


# -- pages ----------------------------------------------------------------------------------------


def family_of(module: ModuleType) -> str:
    """The name of a family."""
    return module.__name__.rpartition(".")[2]


def pages() -> dict[str, str]:
    """A page for each family and every picture, by file name."""
    from vesalius.diagrams.drawing.strips import Change, strip
    from vesalius.rewrite.rule import Rule
    from vesalius.rewrite.rules import FAMILIES
    from vesalius.rewrite.schema import Schema

    known = measured()
    files: dict[str, str] = {}
    for module in FAMILIES:
        name = family_of(module)
        parts = [f"# {name.capitalize()}\n\n{(module.__doc__ or '').strip()}\n"]
        for value in vars(module).values():
            if isinstance(value, Rule):
                step = Change(sign=SIGNS[value.grade.name], grade=value.grade.name)
                picture = strip([value.left, value.right], changes=[step])
                files[f"pictures/{value.name}.svg"] = picture.svg()
                parts.append(rule_section(value, known.get(value.name, {})))
            elif isinstance(value, Schema):
                parts.append(schema_section(value))
        files[f"{name}.md"] = "\n".join(parts)
    return files


def rule_section(rule: Any, known: dict[str, str]) -> str:
    """A rule: its law, both sides, grade, verdict, behaviour in floats and worked example."""
    from vesalius.rewrite.rules import EXAMPLES

    law, _, rest = rule.doc.partition("\n")
    lines = [f"## `{rule.name}`\n", f"**{rule.grade.name}**: {escaped(law)}\n"]
    if rest.strip():
        lines.append(escaped(rest.strip()) + "\n")
    lines.append(f"![Both sides of {rule.name}](pictures/{rule.name}.svg)\n")
    if rule.grade.name == "variant":
        lines.append("- verdict: promises nothing; values at which the sides differ are known")
    elif "mark" in known:
        lines.append(f"- verdict: *{known['mark']}*" + said(known.get("notes")))
    if "floats" in known:
        lines.append(f"- in floats: {known['floats']}")
    if "error" in known:
        lines.append(f"- measured: {known['error']}")
    example = EXAMPLES.get(rule.name)
    if example is not None:
        lines.append(f"\nFound, for example, in:\n\n```text\n{example}\n```\n")
    return "\n".join(lines)


def schema_section(schema: Any) -> str:
    """A schema has no sides before there is a host."""
    law, _, rest = schema.doc.partition("\n")
    text = f"## `{schema.name}`\n\n**{schema.grade.name}**, a schema: {escaped(law)}\n"
    return text + (f"\n{escaped(rest.strip())}\n" if rest.strip() else "")


def said(notes: str | None) -> str:
    """What a verdict notes beside its mark."""
    return f" ({notes})" if notes else ""


def escaped(text: str) -> str:
    """A law as text: its stars, bars and underlines are no marks."""
    parts = text.split("`")
    parts[::2] = ["".join(f"\\{c}" if c in "*_|<>[]" else c for c in part) for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
