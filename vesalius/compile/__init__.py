"""Diagrams to PyTorch: `vs.to_torch(diagram)` is an `nn.Module` with readable source.

A chain of pure steps: `normalise` gives one spelling to what is equal, `choose` puts in the boxes
of kernels, `layout` gives every wire an order of axes, `lowerings` say how each kind of box is
written, `emit` puts the text together, `module` makes the module from it. `calibrate` measures a
machine, once, for the choice; `steps` shows what each step makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vesalius.compile.chain import steps
    from vesalius.compile.machine import calibrate
    from vesalius.compile.module import to_torch

__all__ = ["calibrate", "steps", "to_torch"]


def __getattr__(name: str) -> Any:
    if name == "to_torch":
        from vesalius.compile.module import to_torch

        return to_torch
    if name == "calibrate":
        from vesalius.compile.machine import calibrate

        return calibrate
    if name == "steps":
        from vesalius.compile.chain import steps

        return steps
    raise AttributeError(f"module 'vesalius.compile' has no attribute {name!r}")
