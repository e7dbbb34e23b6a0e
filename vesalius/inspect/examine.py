"""Examining a mechanism: is it what its entry says, and does what it is compiled to compute it?

    print(vs.examine("linformer"))
    assert vs.examine("mine").ok

All that holds for every entry of the catalogue is tried on one: that it survives JSON and
dissection, that it is causal and cacheable exactly where it says so, by perturbation, and that the
compiled module has its values and gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from vesalius.anatomy.mechanism import CATALOGUE, Mechanism
from vesalius.diagrams.errors import SizeError, StructureError
from vesalius.diagrams.graph import Diagram
from vesalius.inspect.perturb import arrays_at, grows, leaks, shallow, sizes_at

if TYPE_CHECKING:
    from torch import Tensor

LENGTHS = (3, 4, 7, 8)
TOLERANCE = 1e-9  # of the compiled module in float64, relative to the reference


class Finding(NamedTuple):
    """One thing that was looked at: what was said of it, what was found, and whether that fits."""

    what: str
    said: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Examination:
    """What was found of a mechanism; `ok` when all of it holds."""

    mechanism: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it is said to be."""
        return all(finding.holds for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        findings = [finding._asdict() for finding in self.findings]
        return {"mechanism": self.mechanism, "ok": self.ok, "findings": findings}

    def __str__(self) -> str:
        rows = [("", "said", "found")]
        rows += [(f.what, f.said, f.found + ("" if f.holds else "  NO")) for f in self.findings]
        wide = [max(len(row[k]) for row in rows) for k in range(2)]
        lines = [f"{a:{wide[0]}}  {b:{wide[1]}}  {c}".rstrip() for a, b, c in rows]
        return "\n".join(
            [f"{self.mechanism}: {'all holds' if self.ok else 'does not hold'}", *lines]
        )


def examine(mechanism: str | Mechanism, lengths: Sequence[int] | None = None) -> Examination:
    """Try all that an entry of the catalogue promises, at these numbers of positions.

    Without them at a few, which blocks divide where there are blocks. Raises `UnknownMechanism` for
    a name that the catalogue lacks, `StructureError` for what is no mechanism.
    """
    entry = CATALOGUE[mechanism] if isinstance(mechanism, str) else mechanism
    if not isinstance(entry, Mechanism):
        raise StructureError(
            f"examine takes a mechanism of the catalogue or its name, not {type(entry).__name__}: "
            f"it tries what the entry promises"
        )
    return Examination(entry.name, tuple(_findings(entry, lengths or _fitting(entry))))


def _fitting(entry: Mechanism) -> list[int]:
    """The usual lengths, or where its sizes do not go with all of these, up to four that do."""
    diagram = shallow(entry)

    def fits(n: int) -> bool:
        try:
            diagram.substitute(**sizes_at(diagram, n))
        except SizeError:
            return False
        return True

    if all(map(fits, LENGTHS)):
        return list(LENGTHS)
    return [n for n in range(min(LENGTHS), 2 * max(LENGTHS)) if fits(n)][:4]


def _findings(entry: Mechanism, lengths: Sequence[int]) -> Iterator[Finding]:
    plain = shallow(entry)
    asked = shallow(entry, causal=True) if "causal" in entry.options else plain
    same = Diagram.from_json(plain.to_json()) == plain
    yield Finding("JSON", "the same", "the same" if same else "another diagram", same)
    same = entry.dissected().unfold() == entry().unfold()
    yield Finding("dissection", "the same", "the same" if same else "another diagram", same)
    for what, said, moves in (
        ("causal", entry.causal, leaks),
        ("cacheable", entry.cacheable, grows),
    ):
        always, on_request = (not moves(one, lengths) for one in (plain, asked))
        found = "always" if always else "request" if on_request else "never"
        yield Finding(what, said, found, found == said)
    for diagram in dict.fromkeys((plain, asked)):
        error = compiled_error(diagram, lengths[-1])
        what = "compiled" if diagram is plain else "compiled, causal"
        said = f"within {TOLERANCE:g}"
        yield Finding(what, said, f"values and gradients {error:.0e}", error <= TOLERANCE)


def compiled_error(diagram: Diagram, n: int) -> float:
    """The largest difference of the module's values and gradients from the reference's.

    In float64, each relative to the largest number of the same array or 1.
    """
    import torch

    from vesalius.compile.module import to_torch

    sizes = sizes_at(diagram, n)
    parameters = arrays_at(diagram.parameters, sizes, 1, scale=0.5)
    inputs = list(arrays_at(diagram.input_types, sizes, 2).values())
    module = to_torch(diagram, torch.float64, sizes=sizes)
    module.load_state_dict(parameters)
    ours, theirs = _leaves(inputs), _leaves(inputs)
    trained = dict(module.named_parameters())
    own = {name: x.clone().requires_grad_(name in trained) for name, x in parameters.items()}
    found = module(*ours)
    wanted = diagram.evaluate(*theirs, parameters=own, sizes=sizes)
    pairs = [(found.detach(), wanted.detach())]
    reached = [x for x in (*own.values(), *theirs) if x.requires_grad]
    others = [x for x in (*map(trained.get, own), *ours) if x is not None]
    others = [x for x in others if x.requires_grad]
    if reached and wanted.requires_grad:
        weight = torch.randn(
            wanted.shape, dtype=wanted.dtype, generator=torch.Generator().manual_seed(3)
        )
        pairs += zip(
            torch.autograd.grad(found, others, weight, allow_unused=True, materialize_grads=True),
            torch.autograd.grad(wanted, reached, weight, allow_unused=True, materialize_grads=True),
            strict=True,
        )
    return max(float((a - b).abs().max() / max(1.0, float(b.abs().max()))) for a, b in pairs)


def _leaves(inputs: Sequence[Tensor]) -> list[Any]:
    return [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
