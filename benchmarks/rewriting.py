"""Rewriting: two boxes into one, five thousand times, beside the peers; and what no match costs.

python benchmarks/rewriting.py [--quick] [--json] [--only CASE]

Ours finds all matches and rewrites them in one pass: every box that it puts in is typed, its sizes
agree, equal boxes are shared, and the diagram that it started from is left as it was. The peers
change their graph in place, but for tinygrad, which makes new nodes.
"""

from __future__ import annotations

from typing import Any

import ours
from harness import Case, Local, Remote, Settings, Side, Target, main
from sampling import Operation

PEERS = ("tinygrad", "xdsl", "onnxscript", "inductor", "pyzx", "torch_fx", "chyp")


def fusing(n: int) -> Operation:
    """tanh(exp(x)) becomes sin(x), all over a chain of n boxes."""
    rule = ours.fusion()
    return Operation(
        lambda diagram: ours.rewrite_everywhere(diagram, rule),
        prepare=lambda: (ours.build_chain(n),),
        check=lambda d: ours.boxes(d) == n // 2,
    )


def chain(n: int, quick: bool) -> Case:
    """Find all and rewrite all."""
    workers = PEERS[:5] if quick else PEERS
    others: dict[str, Side] = {
        w.replace("_", "-"): Remote(w, "rewrite_chain", {"n": n}) for w in workers
    }
    targets = tuple(Target(1.0, name) for name in others)
    return Case(f"rewrite chain {n}", Local(fusing(n)), others, targets=targets)


def linearity(sizes: list[int]) -> list[Case]:
    """Time a box of ever longer chains, beside the shortest."""
    shortest = Local(fusing(sizes[0]), per=sizes[0])
    return [
        Case(
            f"linear {n}",
            Local(fusing(n), per=n),
            {f"ours at {sizes[0]}": shortest},
            unit="s/box",
        )
        for n in sizes[1:]
    ]


def finding(name: str, host: Any, rules: Any, target: float, per: int = 1) -> Case:
    """All matches of many rules in one diagram, found again for every sample."""
    operation = Operation(ours.find_all, prepare=lambda: (ours.fresh(host), rules))
    unit = "s" if per == 1 else "s/box"
    return Case(name, Local(operation, per=per), targets=(Target(target),), unit=unit)


def cases(settings: Settings) -> list[Case]:
    """All cases; a quick run is patient with the fast peers only."""
    n = 10_000
    attention = ours.attention_of_fifty()
    listed = [
        chain(n, settings.quick),
        finding("attention, all rules", attention, ours.all_rules(), 0.010),
        finding("no match, one rule", ours.build_silu(n), ours.one_rule(), 2e-6, n),
        finding("no match, all rules", ours.build_silu(n), ours.all_rules(), 2e-6, n),
    ]
    sizes = [10_000, 100_000] if settings.quick else [10_000, 100_000, 1_000_000]
    return listed + linearity(sizes)


if __name__ == "__main__":
    raise SystemExit(main(__doc__ or "", cases))
