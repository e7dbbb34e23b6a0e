"""Our side of the benchmarks: all that they call of Vesalius, in one place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from checkout import ROOT
from shapes import brick_offsets

import vesalius as vs

Diagram = Any


def build_chain(n: int, source: str = "x", target: str = "y") -> Diagram:
    """A typed chain of n boxes, exp and tanh in turn, from ``source`` to ``target``."""
    b = vs.Builder()
    x = b.input(source, "n c")
    for _ in range(n // 2):
        x = vs.tanh(vs.exp(x))
    return b.diagram(**{target: x if n % 2 == 0 else vs.exp(x)})


@cache
def brick_box() -> Any:
    """A typed two-in two-out box; a box is declared once."""
    return vs.box("brick", "c, c -> c, c", lambda left, right: (left, right))


def build_brick(n: int, wires: int) -> Diagram:
    """A brick wall of n typed two-in two-out boxes."""
    brick = brick_box()
    b = vs.Builder()
    ends = [b.input(f"x{i}", "n c") for i in range(wires)]
    for k in brick_offsets(n, wires):
        ends[k : k + 2] = brick(*ends[k : k + 2])
    return b.diagram(**{f"y{i}": end for i, end in enumerate(ends)})


def halves(n: int) -> tuple[Diagram, Diagram]:
    """Two chains of n boxes that compose."""
    return build_chain(n, "x", "y"), build_chain(n, "y", "z")


def compose(first: Diagram, second: Diagram) -> Diagram:
    """One after the other."""
    return first >> second


def equal(a: Diagram, b: Diagram) -> bool:
    """Structural equality."""
    return bool(a == b)


def json_round_trip(diagram: Diagram) -> Diagram:
    """To JSON text and back."""
    return vs.Diagram.from_json(diagram.to_json())


def svg(diagram: Diagram) -> str:
    """A picture of every box."""
    return str(diagram.svg())


def boxes(diagram: Diagram) -> int:
    """How many boxes there are, inputs not counted."""
    return len(diagram.nodes) - len(diagram.inputs)


def import_seconds(module: str = "vesalius", python: str = sys.executable) -> float:
    """How long a fresh interpreter takes to import a module, its own start not counted."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(_output([python, "-c", code]).split()[-1])


def modules_of_torch() -> int:
    """How many modules of torch the import of vesalius loads in a fresh interpreter."""
    code = (
        "import sys, vesalius\n"
        "print(sum(name.partition('.')[0] == 'torch' for name in sys.modules))"
    )
    return int(_output([sys.executable, "-c", code]))


def help_seconds() -> float:
    """How long ``vesalius --help`` takes, from the start of the process to its end."""
    script = Path(sys.executable).with_name("vesalius")
    call = "from vesalius.cli import main; main()"
    command = [str(script)] if script.exists() else [sys.executable, "-c", call]
    return process_seconds([*command, "--help"])


def process_seconds(command: list[str]) -> float:
    """How long a process takes, from its start to its end."""
    start = time.perf_counter()
    _output(command)
    return time.perf_counter() - start


def _output(command: list[str]) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().rpartition("\n")[2] or f"status {run.returncode}")
    return run.stdout


# -- rewriting --------------------------------------------------------------------------------


@cache
def fusion() -> Any:
    """tanh(exp(x)) → sin(x): two boxes into one."""

    @vs.rule("variant")
    def fuse(x: "") -> "":
        """tanh(exp x) → sin x"""
        return vs.tanh(vs.exp(x)), vs.sin(x)

    return fuse


def rewrite_everywhere(diagram: Diagram, rule: Any) -> Diagram:
    """All matches, in one pass."""
    from vesalius.rewrite.strategy import everywhere

    return everywhere(diagram, rule)[0]


def all_rules() -> Any:
    """Every rule of the library, in one table."""
    from vesalius.rewrite.rules import RULES
    from vesalius.rewrite.ruleset import RuleSet

    return RuleSet(*RULES.values())


def one_rule() -> Any:
    """A rule that begins with another kind of box."""
    from vesalius.rewrite.rules import RULES
    from vesalius.rewrite.ruleset import RuleSet

    return RuleSet(RULES["reassociate"])


def find_all(diagram: Diagram, rules: Any) -> int:
    """How many matches there are."""
    return sum(1 for _ in rules.matches(diagram))


def fresh(diagram: Diagram) -> Diagram:
    """The same diagram, of which nothing is remembered."""
    return vs.Builder.resume(diagram).finish(diagram.outputs)


def build_silu(n: int) -> Diagram:
    """A chain of n boxes with which no rule of the library begins."""
    b = vs.Builder()
    x = b.input("x", "n c")
    for k in range(n):
        x = vs.floor(x) if k % 2 else vs.sign(x)
    return b.diagram(y=x)


def attention_of_fifty() -> Diagram:
    """A layer of causal multi-head attention with norms and a feed-forward net, 50 boxes or so."""
    return vs.anatomy["block"]().unfold()
