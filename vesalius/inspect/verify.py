"""Verifying what the library claims: every rule, schema and derivation, through every tier.

    for result in verify():
        print(result)

A rule is checked by itself, and where it stands in its worked example: found there, applied, and
the diagrams before and after compared. A schema has no sides of its own, so it is checked where
it stands in the worked examples of the library. A derivation is checked step by step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from vesalius.diagrams.errors import FormatError
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.names import meant
from vesalius.rewrite.check import check
from vesalius.rewrite.checking.networks import with_networks
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.float_behaviour import FloatBehaviour, float_behaviour
from vesalius.rewrite.moves import places
from vesalius.rewrite.rule import Rule
from vesalius.rewrite.schema import Schema
from vesalius.rewrite.verdict import Verdict, weakest

Kind = Literal["rule", "schema", "derivation"]
PLACES = 12  # where a schema is looked at
FLOATS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Result:
    """What was found of one rule, schema or derivation.

    `verdict` is the mark of the evidence: `exact`, `rational`, `sampled` or `outside`. `trials`
    counts evaluations of both sides. `floats` is what floats make of an equality.
    """

    name: str
    kind: Kind
    grade: str
    verdict: str
    ok: bool
    trials: int
    seconds: float
    reason: str = ""
    law: str = ""
    counterexample: str = ""
    floats: FloatBehaviour | None = field(default=None, repr=False)

    floats_of = FLOATS

    def as_json(self) -> dict[str, Any]:
        """The result in JSON's types."""
        found = {
            key: getattr(self, key)
            for key in ("name", "kind", "grade", "verdict", "ok", "trials", "reason", "law")
        }
        found["seconds"] = round(self.seconds, 3)
        if self.counterexample:
            found["counterexample"] = self.counterexample
        if self.floats is not None:
            found["floats"] = [
                {
                    "dtype": row.dtype,
                    "magnitude": row.magnitude,
                    "left": row.left,
                    "right": row.right,
                    "left_lost": row.left_lost,
                    "right_lost": row.right_lost,
                }
                for row in self.floats.rows
            ]
        return found


@dataclass(frozen=True)
class Claim:
    """Something to verify, by name."""

    name: str
    kind: Kind
    thing: Callable[[], Rule | Schema | Derivation]


def claims(names: Sequence[str] = ()) -> list[Claim]:
    """All that the library claims, or what is named. Raises `FormatError` for an unknown name."""
    from vesalius.anatomy.derivations import DERIVATIONS
    from vesalius.rewrite.rules import RULES, SCHEMAS

    every = [Claim(name, "rule", lambda rule=rule: rule) for name, rule in RULES.items()]  # type: ignore[misc]
    every += [Claim(name, "schema", lambda one=one: one) for name, one in SCHEMAS.items()]  # type: ignore[misc]
    every += [
        Claim(name, "derivation", lambda name=name: DERIVATIONS[name])  # type: ignore[misc]
        for name in DERIVATIONS
    ]
    known = [claim.name for claim in every]
    for name in names:
        if name not in known:
            why = meant(name, known)
            raise FormatError(f"there is no rule, schema or derivation called {name!r}; {why}")
    return [claim for claim in every if not names or claim.name in names]


def verify(wanted: Iterable[Claim] | None = None, seed: int = 0) -> Iterator[Result]:
    """Verify claims one by one, in order; all of the library's unless said."""
    for claim in claims() if wanted is None else wanted:
        start = time.perf_counter()
        thing = claim.thing()
        verdicts = list(_verdicts(claim, thing, seed))
        floats = None
        if isinstance(thing, Rule) and thing.grade.name == "equal":
            floats = float_behaviour(thing, seed=seed)
        yield _result(claim, thing, verdicts, time.perf_counter() - start, floats)


def _verdicts(claim: Claim, thing: Rule | Schema | Derivation, seed: int) -> Iterator[Verdict]:
    from vesalius.rewrite.rules import EXAMPLES

    if isinstance(thing, Derivation):
        yield check(thing, seed=seed)
        return
    if isinstance(thing, Rule):
        yield check(thing, seed=seed)
        if thing.grade.name != "equal":
            return
        hosts: Iterable[Diagram] = [EXAMPLES[claim.name]]
        count = 1
    else:
        own = [EXAMPLES[claim.name]] if claim.name in EXAMPLES else []
        hosts = [*own, *EXAMPLES.values()]
        count = PLACES
    found = ((host, after) for host in hosts for _, after in islice(places(thing, host), 2))
    seen = 0
    for before, after in islice(found, count):
        seen += 1
        yield check(with_networks(before, after), seed=seed, explain=False)
    if not seen:
        reason = "it is found in no worked example"
        yield Verdict(claim.name, thing.grade.name, False, "outside", reason)


def _result(
    claim: Claim,
    thing: Rule | Schema | Derivation,
    verdicts: Sequence[Verdict],
    seconds: float,
    floats: FloatBehaviour | None,
) -> Result:
    failed = next((verdict for verdict in verdicts if not verdict), None)
    # A rule's own mark is that of its check by itself: the example only has to agree.
    judged = verdicts[:1] if claim.kind == "rule" else verdicts
    doc = getattr(thing, "doc", "") or ""
    shown = failed.counterexample if failed is not None else None
    return Result(
        claim.name,
        claim.kind,
        thing.grade.name,
        failed.mark if failed is not None else weakest([verdict.mark for verdict in judged]),
        failed is None,
        sum(verdict.trials for verdict in verdicts),
        seconds,
        failed.reason if failed is not None else "",
        doc.partition("\n")[0],
        "" if shown is None else str(shown),
        floats,
    )


def counted(results: Iterable[Result]) -> str:
    """How many results there are, by kind and by verdict, as a line."""
    found = list(results)
    kinds = {
        kind: sum(one.kind == kind for one in found) for kind in ("rule", "schema", "derivation")
    }
    marks = ("exact", "rational", "sampled", "outside")
    told = [f"{count} {kind}s" for kind, count in kinds.items() if count]
    told.append(", ".join(f"{sum(r.verdict == mark for r in found)} {mark}" for mark in marks))
    bad = sum(not one.ok for one in found)
    told.append(f"{bad} FAILED" if bad else "all hold")
    return "; ".join(told)
