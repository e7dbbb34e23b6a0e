"""Schemas: rules over all boxes and bodies, made for a place in a host."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vesalius import testing
from vesalius.rewrite.apply import apply
from vesalius.rewrite.match import matches
from vesalius.rewrite.rules import SCHEMAS

FOUND: Counter[str] = Counter()


@given(st.data())
@settings(max_examples=150)
def test_instances_hold_wherever_they_are_found(data: st.DataObject) -> None:
    """Applied at every match in random diagrams of all kinds of boxes."""
    host = data.draw(testing.diagrams(max_boxes=8))
    sizes = data.draw(testing.sizes_for(host))
    values = data.draw(testing.inputs_for(host, sizes))
    before = host.evaluate(*values, sizes=sizes)
    for schema in SCHEMAS.values():
        for match in matches(schema, host):
            FOUND[schema.name] += 1
            after = apply(host, match)
            assert after.output_types == host.output_types
            got = after.evaluate(*values, sizes=sizes)
            pairs = zip(before, got, strict=True) if isinstance(before, tuple) else [(before, got)]
            for a, b in ((a.double(), b.double()) for a, b in pairs):
                scale = 1 + float(a.abs().max()) if a.numel() else 1.0
                assert torch.allclose(a, b, rtol=1e-6, atol=1e-6 * scale), schema.name
