"""Predicted cost against measured time, over the catalogue: how well the ranks agree.

python benchmarks/costs.py [--length 1024] [--device cuda] [--dtype bfloat16] [--threads 1]
                           [--backward] [--only NAME] [--budget SECONDS] [--json]

Each mechanism of the catalogue is compiled at typical sizes and measured whole; its cost is
predicted from the diagram with kernels in it by `vesalius.inspect.machine`, calibrated on the spot.
Spearman's correlation is that of the ranks; outliers are those whose ratio of measured to predicted
time is further from the median than a factor of four.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch

from vesalius.anatomy.mechanism import CATALOGUE, Mechanism
from vesalius.inspect.heat import duration, quantity
from vesalius.inspect.profile import Profile, profile, sizes_for

FAR = 4.0  # the factor beyond which a mechanism is named


class Line(NamedTuple):
    """One mechanism: what was predicted and measured, in seconds."""

    name: str
    predicted: float
    measured: float
    flops: int
    bytes_moved: int
    kernels: Sequence[str]

    @property
    def ratio(self) -> float:
        """How many times longer it took than predicted."""
        return self.measured / self.predicted


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value; equal ones share the mean of theirs."""
    order = sorted(values)
    return [order.index(v) + (order.count(v) - 1) / 2 for v in values]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """The correlation of ranks."""
    return statistics.correlation(ranks(one), ranks(other))


def outliers(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Those that are far from the median ratio, furthest first, with the factor."""
    middle = statistics.median(line.ratio for line in lines)
    far = [(line, line.ratio / middle) for line in lines]
    far = [(line, by) for line, by in far if max(by, 1 / by) > FAR]
    return sorted(far, key=lambda pair: -max(pair[1], 1 / pair[1]))


def measured(mechanism: Mechanism, options: argparse.Namespace) -> Profile:
    """The profile of a mechanism; lengths are those asked for, other sizes typical."""
    layers = {"layers": 1} if "layers" in mechanism.options else {}
    diagram = mechanism.dissected(**layers).fold(mechanism.name)
    lengths = {name: options.length for name in ("n", "m") if name in diagram.size_variables}
    longest = {"p": max(options.length, 1024)} if "p" in diagram.size_variables else {}
    return profile(
        diagram,
        sizes=sizes_for(diagram, {**lengths, **longest}, mechanism.implied),
        device=options.device,
        dtype=getattr(torch, options.dtype),
        backward=options.backward,
        budget=options.budget,
    )


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--length", type=int, default=1024, help="positions of queries and keys")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="where to measure")
    add("--dtype", default="float32", help="element type of numbers")
    add("--threads", type=int, default=1, help="threads that torch may use on a CPU")
    add("--backward", action="store_true", help="gradients, too")
    add("--only", action="append", metavar="NAME", help="some mechanisms; can be repeated")
    add("--budget", type=float, default=1.0, help="seconds for each mechanism")
    add("--json", action="store_true", help="one JSON object and nothing else")
    return parser.parse_args(arguments)


def told(lines: Sequence[Line], correlation: float) -> str:
    """The table, the correlation and the outliers."""
    text = [
        f"{'mechanism':24} {'predicted':>10} {'measured':>10} {'ratio':>6} {'FLOPs':>8}  kernels"
    ]
    text += [
        f"{line.name:24} {duration(line.predicted):>10} {duration(line.measured):>10} "
        f"{line.ratio:6.2f} {quantity(line.flops):>8}  {', '.join(line.kernels)}"
        for line in sorted(lines, key=lambda line: line.predicted)
    ]
    text.append(f"\nSpearman's rank correlation over {len(lines)} mechanisms: {correlation:.3f}")
    for line, by in outliers(lines):
        how = f"{by:.1f} × slower" if by > 1 else f"{1 / by:.1f} × faster"
        text.append(f"outlier: {line.name}, {how} than the others beside their predictions")
    return "\n".join(text)


def run(arguments: Sequence[str]) -> int:
    """Measure and print."""
    options = read(arguments)
    torch.set_num_threads(options.threads)
    lines = []
    for mechanism in CATALOGUE:
        if options.only and mechanism.name not in options.only:
            continue
        whole = measured(mechanism, options).whole
        lines.append(Line(mechanism.name, whole.predicted, whole.seconds, whole.flops,
                          whole.bytes_moved, sorted(set(whole.kernels))))  # fmt: skip
        print(f"{mechanism.name} {duration(whole.seconds)}", file=sys.stderr, flush=True)
    if len(lines) < 2:
        print("a correlation needs two mechanisms", file=sys.stderr)
        return 1
    correlation = spearman([line.predicted for line in lines], [line.measured for line in lines])
    if options.json:
        far = {line.name: by for line, by in outliers(lines)}
        found = {"spearman": correlation, "outliers": far,
                 "mechanisms": [line._asdict() for line in lines]}  # fmt: skip
        print(json.dumps(found, indent=2))
    else:
        print(told(lines, correlation))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
