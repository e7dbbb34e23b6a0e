"""Diagrams: building, composing, comparing and storing them, and starting up.

python benchmarks/diagrams.py [--quick] [--json] [--only CASE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import ours
from harness import Case, Local, Remote, Settings, Side, Target, main
from peers import interpreter
from sampling import Operation

WIRES = 10


def built(build: Callable[[], Any], n: int) -> Operation:
    """Something of ours that builds n boxes."""
    return Operation(build, check=lambda d: ours.boxes(d) == n)


def our_chain(n: int) -> Operation:
    """A typed chain."""
    return built(lambda: ours.build_chain(n), n)


def our_brick(n: int) -> Operation:
    """A typed brick wall."""
    return built(lambda: ours.build_brick(n, WIRES), n)


def our_composing(n: int) -> Operation:
    """Two chains of n boxes."""
    return Operation(
        ours.compose,
        prepare=lambda: ours.halves(n),
        check=lambda d: ours.boxes(d) == 2 * n,
    )


def our_equality(n: int) -> Operation:
    """Two equal chains, built apart for every comparison: nothing of them can be remembered."""
    return Operation(
        ours.equal,
        prepare=lambda: (ours.build_chain(n), ours.build_chain(n)),
        check=bool,
    )


def our_json(n: int) -> Operation:
    """A chain to JSON text and back."""
    return Operation(
        ours.json_round_trip,
        prepare=lambda: (ours.build_chain(n),),
        check=lambda d: ours.equal(d, ours.build_chain(n)),
    )


def remotes(operation: str, *workers: str, **arguments: int) -> dict[str, Side]:
    """The same operation of several peers."""
    return {w.replace("_", "-"): Remote(w, operation, arguments) for w in workers}


def faster_than(*names: str) -> tuple[Target, ...]:
    """Ours takes less time than each of these."""
    return tuple(Target(1.0, name) for name in names)


def building(n: int, quick: bool) -> list[Case]:
    """A chain: by each peer's operator, and by its best bulk call."""
    more = () if quick else ("networkx", "pyzx")
    others = remotes("build_chain", "tinygrad", "discopy", "open_hypergraphs", "chyp", *more, n=n)
    others["tinygrad, typed"] = Remote("tinygrad", "build_chain_by_methods", {"n": n})
    if n <= 1000:
        others["chyp, in place"] = Remote("chyp", "build_chain_in_place", {"n": n})
    bulk = remotes("build_chain_bulk", "discopy", "open_hypergraphs", "chyp", n=n)
    targets = (Target(4.0, "tinygrad"), *faster_than("discopy", "open-hypergraphs", "chyp"))
    chain = Local(our_chain(n))
    return [
        Case(f"build chain {n}", chain, others, targets=targets),
        Case(f"build chain {n} in bulk", chain, bulk),
    ]


def bricks(n: int, quick: bool) -> list[Case]:
    """A brick wall, likewise."""
    more = () if quick else ("networkx", "pyzx")
    peers = ("discopy", "open_hypergraphs", "chyp")
    others = remotes("build_brick", *peers, *more, n=n, wires=WIRES)
    bulk = remotes("build_brick_bulk", *peers, n=n, wires=WIRES)
    wall = Local(our_brick(n))
    return [
        Case(f"build brick {n}", wall, others),
        Case(f"build brick {n} in bulk", wall, bulk),
    ]


def linearity(sizes: list[int], quick: bool) -> list[Case]:
    """Time a box of ever longer chains, beside that of the shortest, in the same rounds."""
    shortest = Local(our_chain(sizes[0]), per=sizes[0])
    cases = [
        Case(
            f"linear {n}",
            Local(our_chain(n), per=n),
            {f"ours at {sizes[0]}": shortest},
            unit="s/box",
        )
        for n in sizes[1:]
    ]
    longest = sizes[-1]
    collected = Case(
        f"linear {longest}, collector on",
        Local(our_chain(longest), per=longest),
        {f"ours at {sizes[0]}": shortest},
        unit="s/box",
        collect=True,
    )
    return cases if quick else [*cases, collected]


def equality(n: int, *workers: str) -> Case:
    """Two equal chains built apart, beside the time that building one takes."""
    others: dict[str, Side] = {"our building": Local(our_chain(n))}
    others |= remotes("equal", *workers, n=n)
    targets = (Target(0.5, "our building"),)
    return Case(f"equal {n}", Local(our_equality(n)), others, targets=targets)


def json_trips(sizes: list[int], quick: bool) -> list[Case]:
    """JSON round trips, a box, beside the shortest."""
    shortest = Local(our_json(sizes[0]), per=sizes[0])
    cases = []
    for n in sizes:
        others: dict[str, Side] = {} if n == sizes[0] else {f"ours at {sizes[0]}": shortest}
        workers: tuple[str, ...] = () if quick else ("networkx", "pyzx")
        if n <= (1_000 if quick else 10_000):
            workers += ("discopy",)
        for worker in workers:
            others[worker] = Remote(worker, "json_round_trip", {"n": n}, per=n)
        cases.append(Case(f"json {n}", Local(our_json(n), per=n), others, unit="s/box"))
    return cases


def composing(n: int, quick: bool) -> Case:
    """Two halves."""
    more = () if quick else ("networkx", "pyzx", "tinygrad")
    others = remotes("compose", "discopy", "open_hypergraphs", "chyp", *more, n=n)
    others["chyp, in place"] = Remote("chyp", "compose_in_place", {"n": n})
    targets = (Target(0.1, "discopy"),)
    return Case(f"compose {n} + {n}", Local(our_composing(n)), others, targets=targets)


def fresh(seconds: Callable[[], float]) -> Local:
    """Something that times a fresh process itself."""
    return Local(Operation(seconds), kind="value")


def starting(settings: Settings) -> list[Case]:
    """Import, the command's help, and whether torch comes along."""
    others: dict[str, Side] = {}
    if settings.peers and not settings.quick:
        python = str(interpreter())
        for module in ("discopy", "tinygrad", "open_hypergraphs", "networkx", "pyzx"):
            name = module.replace("_", "-")
            others[name] = fresh(partial(ours.import_seconds, module, python))
    bare = [sys.executable, "-c", "pass"]
    return [
        Case(
            "import",
            fresh(ours.import_seconds),
            others,
            targets=(Target(0.1),),
        ),
        Case(
            "help",
            fresh(ours.help_seconds),
            {"bare python": fresh(partial(ours.process_seconds, bare))},
            targets=(Target(0.3),),
        ),
        Case(
            "torch imported",
            fresh(ours.modules_of_torch),
            metric="count",
            unit="modules",
            repetitions=1,
            targets=(Target(0.0),),
        ),
    ]


def cases(settings: Settings) -> list[Case]:
    """All cases; a quick run leaves out what takes long and what only gives context."""
    quick = settings.quick
    listed = [*starting(settings), *building(10_000, quick)]
    listed += [equality(10_000, "tinygrad", "discopy", "open_hypergraphs"), composing(5_000, quick)]
    sizes = [1_000, 10_000, 100_000]
    listed += linearity(sizes if quick else [*sizes, 1_000_000], quick)
    listed += json_trips(sizes, quick)
    if not quick:
        listed += [
            *building(1_000, quick)[:1],
            equality(1_000, "discopy", "open_hypergraphs", "chyp", "networkx"),
        ]
        listed += [*bricks(1_000, quick), *bricks(10_000, quick)]
    return listed


if __name__ == "__main__":
    raise SystemExit(main(__doc__ or "", cases))
