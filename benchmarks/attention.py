"""Attention: our modules beside the naive text, torch.compile of it, and the best by hand.

python benchmarks/attention.py [--lengths 1024,2048] [--device cuda] [--dtype bfloat16]
                               [--threads 2] [--compiled] [--memory] [options of the harness]

Each mechanism at each length, forward and forward+backward; sides take turns, so ratios are
interleaved. On a GPU, flex_attention written by hand is one more side. `--compiled` adds
torch.compile of the naive text (seconds each), `--memory` cases of peak memory above the inputs.
The last side, `floor`, is the least that the device takes for it, however written (`floor.py`).
Results are checked against the naive text before anything is timed. On a GPU what is timed is the
device, by events, its cache emptied before each run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from convolutions import LONG_CONVOLUTION
from documents import DOCUMENTS, ENDS
from floor import Floor, computing, elapsed
from harness import Case, Local, Settings, Side, Target, main, parser
from linear_forms import LINEAR_FORMS
from mechanisms import MECHANISMS, Mechanism
from positions import POSITIONS
from sampling import Operation
from states import STATES

import vesalius as vs
from vesalius.inspect.machine import peak_bytes

SIZES = {"b": 2, "h": 8, "k": 2, "g": 4, "c": 64, "e": 64, "buckets": 32, "reach": 257}
Call = Callable[[], Any]


def sizes_of(length: int, options: argparse.Namespace) -> dict[str, int]:
    """The lengths of all axes."""
    return {**SIZES, "n": length, "m": length, "o": 2 * length - 1, **options.sizes}


def tensors(mechanism: Mechanism, length: int, options: argparse.Namespace) -> list[torch.Tensor]:
    """Random inputs; those of one axis (slopes, temperatures) are positive, whole ones in order."""
    sizes = sizes_of(length, options)
    made = []
    for text in mechanism.shapes:
        if text == "b n int":
            made.append(numbers(sizes["b"], length).to(options.device))
            continue
        shape = [sizes[axis] for axis in text.split()]
        x = torch.rand(shape) if len(shape) == 1 else torch.randn(shape)
        made.append(x.to(options.device, getattr(torch, options.dtype)))
    return made


def numbers(batches: int, length: int) -> torch.Tensor:
    """The number of the document at each position: eight, the longest 15 times the shortest."""
    ends = torch.tensor(ENDS) * length // ENDS[-1]
    one = torch.bucketize(torch.arange(length), ends, right=True)
    return torch.stack([(7 - one).flip(0) if k % 2 else one for k in range(batches)])


class Sides:
    """The functions that compute one mechanism, made when the first of them is run."""

    def __init__(self, mechanism: Mechanism, length: int, options: argparse.Namespace) -> None:
        self.mechanism = mechanism
        self.length = length
        self.options = options
        self._inputs: list[torch.Tensor] | None = None
        self._functions: dict[str, Any] = {}

    def function(self, name: str) -> Any:
        """The function of a side."""
        if name not in self._functions:
            self._functions[name] = self._made(name)
        return self._functions[name]

    def _made(self, name: str) -> Any:
        mechanism = self.mechanism
        if name == "compiled":
            return torch.compile(mechanism.naive)
        if name == "ours":
            dtype = getattr(torch, self.options.dtype)
            return vs.to_torch(mechanism.diagram, dtype, self.options.device)
        return mechanism.others.get(name) or getattr(mechanism, name)

    @property
    def inputs(self) -> list[torch.Tensor]:
        """The inputs of all sides."""
        if self._inputs is None:
            torch.manual_seed(0)
            self._inputs = tensors(self.mechanism, self.length, self.options)
            with torch.no_grad():
                wanted = self._wanted(self._inputs).double()
                found = self.function("ours")(*self._inputs).double()
            error = (found - wanted).norm() / wanted.norm()
            if not error < {"float32": 1e-4, "float64": 1e-9}.get(self.options.dtype, 2e-2):
                raise ArithmeticError(f"{self.mechanism.name} is off by {error:.1e}")
        return self._inputs

    def _wanted(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """What the naive text computes, or the best by hand where memory is too short for that."""
        try:
            return self.mechanism.naive(*inputs)
        except torch.OutOfMemoryError:
            if self.mechanism.best is None:
                raise
        torch.cuda.empty_cache()
        return self.mechanism.best(*inputs)

    def forward(self, name: str) -> Operation:
        """The function alone, without a graph of gradients."""

        def run() -> None:
            with torch.no_grad():
                self.function(name)(*self.inputs)

        return self._operation(run)

    def both(self, name: str) -> Operation:
        """Forward and backward, down to all inputs."""

        def run() -> None:
            inputs = [x.detach().requires_grad_(x.is_floating_point()) for x in self.inputs]
            out = self.function(name)(*inputs)
            wanted = [x for x in inputs if x.requires_grad]
            torch.autograd.grad(out, wanted, torch.ones_like(out))

        return self._operation(run)

    def memory(self, name: str) -> Operation:
        """The peak of what forward and backward hold above the inputs, in bytes."""
        run = self.both(name).run

        def peak() -> float:
            run()
            return float(peak_bytes(run, self.options.device))

        return Operation(peak)

    def floor(self, backward: bool) -> Side:
        """The least that the device takes, measured when it is asked for."""

        def seconds() -> float:
            sizes = sizes_of(self.length, self.options)
            shapes = [[sizes[a] for a in text.removesuffix(" int").split()]
                      for text in self.mechanism.shapes]  # fmt: skip
            read = sum(map(prod, shapes))
            moved = read + prod(shapes[0][:-1]) * sizes["e"]  # the output is as long as the first
            least = self.mechanism.floor(sizes)
            if backward:  # the output's gradient is read, too
                least, moved = least._replace(products=3 * least.products), 2 * moved + read
            dtype = getattr(torch, self.options.dtype)
            return Floor(least, moved * dtype.itemsize, dtype, self.options.device).seconds(
                device_seconds if self.options.device == "cuda" else self.options.clock
            )

        return Local(Operation(seconds), "value")

    def side(self, operation: Operation) -> Side:
        """What is timed: this process by its clock, or the GPU by its own events."""
        if self.options.device != "cuda":
            return Local(operation)
        timed = Operation(lambda: device_seconds(operation.run), prepare=operation.prepare)
        return Local(timed, "value")

    def _operation(self, run: Call) -> Operation:
        """What is timed; before it is timed first, it runs once: plans and kernels are then made.

        However long that takes, it is no sample.
        """
        warm = False

        def prepare() -> tuple[()]:
            nonlocal warm
            assert self.inputs
            if not warm:
                run()
                warm = True
            return ()

        return Operation(run, prepare=prepare)


CACHE = 1 << 28  # bytes, several times the cache of any GPU


def device_seconds(run: Call, times: int = 5) -> float:
    """The mean time that a GPU takes for one run, its cache emptied before each.

    Emptying takes longer than to launch a kernel from here, so launching is not waited for; that is
    how `triton.testing.do_bench` measures, too.
    """
    whatever = torch.empty(CACHE, dtype=torch.int8, device="cuda")
    pairs = []
    for _ in range(times):
        whatever.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize()
    return sum(start.elapsed_time(end) for start, end in pairs) / times / 1000


def cases_of(sides: Sides) -> list[Case]:
    """Forward, forward and backward, and memory where it is asked for."""
    mechanism, options = sides.mechanism, sides.options
    names = ["naive", *(["best"] if mechanism.best else []), *mechanism.others]
    flexible = mechanism.flexible is not None and options.device == "cuda"
    names += ["flexible"] if flexible else []
    names += ["compiled"] if options.compiled else []
    targets = []
    if mechanism.to_best is not None:
        targets.append(Target(mechanism.to_best, "best"))
    if mechanism.to_naive is not None:
        targets.append(Target(mechanism.to_naive, "naive"))
    if flexible:
        targets.append(Target(1.05, "flexible"))
    title = f"{mechanism.name}, {sides.length}"
    made = []
    for what, operation in (("forward", sides.forward), ("forward+backward", sides.both)):
        others: dict[str, Side] = {name: sides.side(operation(name)) for name in names}
        others["floor"] = sides.floor(what != "forward")
        ours = sides.side(operation("ours"))
        made.append(Case(f"{title}, {what}", ours, others, targets=tuple(targets)))
    if options.memory:
        others = {name: Local(sides.memory(name), "value") for name in names if name != "compiled"}
        ours = Local(sides.memory("ours"), "value")
        made.append(Case(f"{title}, memory", ours, others, "peak memory", "B", repetitions=1))
    return made


def read(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our own options, and what is left for the harness."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    add("--lengths", default="1024,2048", metavar="N,…", help="lengths of queries and keys")
    add("--device", default="cpu", help="cpu or cuda")
    add("--dtype", default="float32", help="element type of all inputs")
    add("--threads", type=int, default=2, help="threads that torch may use on a CPU")
    add("--sizes", default="", metavar="b=4,h=16", help="other sizes than B2 H8 D64")
    add("--compiled", action="store_true", help="torch.compile of the naive text, too")
    add("--memory", action="store_true", help="peak memory, too")
    ours, rest = options.parse_known_args(arguments)
    if {"-h", "--help"} & set(rest):
        both = argparse.ArgumentParser(
            description=__doc__.partition("\n")[0],
            parents=[options, parser("")],
            conflict_handler="resolve",
        )
        both.parse_args(rest)
    pairs = [item.partition("=") for item in ours.sizes.split(",") if item]
    ours.sizes = {name: int(value) for name, _, value in pairs}
    return ours, rest


def run(arguments: list[str]) -> int:
    """Measure what the command line asks for."""
    options, rest = read(arguments)
    torch.set_num_threads(options.threads)
    options.clock = computing if "--cpu" in rest else elapsed
    lengths = [int(length) for length in options.lengths.split(",")]

    def cases(settings: Settings) -> list[Case]:
        sides = [
            Sides(one, length, options)
            for one in (
                *MECHANISMS,
                *LINEAR_FORMS,
                *POSITIONS,
                DOCUMENTS,
                LONG_CONVOLUTION,
                *STATES,
            )
            for length in sorted({min(max(n, one.least), one.longest) for n in lengths})
        ]
        return [case for one in sides for case in cases_of(one)]

    return main(__doc__.partition("\n")[0], cases, [*rest, "--no-peers"])


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
