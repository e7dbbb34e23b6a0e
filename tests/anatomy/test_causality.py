"""What each mechanism claims about causality, found out by perturbation."""

import pytest
import torch

import vesalius as vs

N = 6
SIZES = {"m": N, "n": N, "d": 4, "h": 2, "c": 3, "e": 5, "a": 4, "f": 7, "v": 9, "p": N}


def inputs_of(diagram, seed=0):
    """Random inputs, and for each the dimension that runs along positions of keys or tokens."""
    generator = torch.Generator().manual_seed(seed)
    given = {}
    for name, type_ in diagram.input_types.items():
        shape = [size.at(SIZES) for size in type_.axes.values()]
        if type_.dtype == "int":
            given[name] = torch.randint(9, shape, generator=generator)
        else:
            given[name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    return given


def outputs_that_change(diagram, at, seed=0):
    """The positions of the output that move when every input changes from position `at` on."""
    first, other = inputs_of(diagram, seed), inputs_of(diagram, seed + 1)
    mixed = {}
    for name, x in first.items():
        if x.dtype == torch.int64:
            mixed[name] = torch.cat([x[:at], (x[at:] + 1) % 9])
        else:
            mixed[name] = torch.cat([x[:at], other[name][at:]])
    before = diagram.evaluate(*first.values(), sizes=SIZES)
    after = diagram.evaluate(*mixed.values(), sizes=SIZES)
    return [bool((before[n] - after[n]).abs().max() > 1e-13) for n in range(N)]


def causal_diagrams():
    for mechanism in vs.anatomy:
        if mechanism.causal == "always":
            yield pytest.param(mechanism(), id=mechanism.name)
        elif mechanism.causal == "request":
            yield pytest.param(mechanism(causal=True), id=mechanism.name)
        for form in ("weights", "scan"):
            if "form" in mechanism.options and mechanism.causal != "never":
                forms = {"form": form}
                if mechanism.causal == "request":
                    forms["causal"] = True
                if "attention" in mechanism.options:
                    forms["attention"] = "linear"
                yield pytest.param(mechanism(**forms), id=f"{mechanism.name}-{form}")


@pytest.mark.parametrize("diagram", list(causal_diagrams()))
@pytest.mark.parametrize("at", range(1, N))
def test_an_output_of_a_causal_mechanism_does_not_depend_on_later_positions(diagram, at):
    assert outputs_that_change(diagram, at) == [n >= at for n in range(N)]


@pytest.mark.parametrize(
    "mechanism",
    [pytest.param(m, id=m.name) for m in vs.anatomy if m.causal != "always"],
)
def test_without_the_request_every_output_depends_on_every_position(mechanism):
    # A weight that is cut off at 0 may stay there: what counts is what can happen.
    found = zip(*(outputs_that_change(mechanism(), N - 1, seed) for seed in range(8)), strict=True)
    assert all(any(row) for row in found)


def test_the_option_is_there_exactly_where_causality_can_be_requested():
    for mechanism in vs.anatomy:
        assert ("causal" in mechanism.options) == (mechanism.causal == "request"), mechanism.name
