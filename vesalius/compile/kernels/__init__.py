"""Kernels: a file each, with the box, how it is found, and how it is written.

`load()` reads those that come with the library; a kernel of your own is declared in a file of your
own by `vesalius.compile.kernels.kernel(Kernel(...))`, and is looked for from then on.
"""

from __future__ import annotations

from importlib import import_module

from vesalius.compile.kernels.kernel import (
    KERNELS,
    Found,
    Kernel,
    Place,
    Right,
    Target,
    Unserved,
    kernel,
    kernel_of,
)

SHIPPED = (  # in the order in which they are preferred
    "scaled_dot_product_attention",
    "flex_attention",
    "cumulative_sum",
    "chunked",
    "recurrence",
    "fast_weights",
    "exponential_means",
    "factored_exponentials",
    "convolution",
    "fourier_matrix",
    "real_spectra",
    "product_order",
    "tiles",
    "relative_shift",
    "vector_norm",
)


def load() -> None:
    """Declare the kernels that come with the library; they come first, in their order.

    A file may have been imported before this one asks for it, by a test or for its tools: what
    is preferred to what must not hang on that.
    """
    for name in SHIPPED:
        import_module(f"vesalius.compile.kernels.{name}")
    if tuple(KERNELS)[: len(SHIPPED)] != SHIPPED:
        for name in (*SHIPPED, *(name for name in KERNELS if name not in SHIPPED)):
            KERNELS[name] = KERNELS.pop(name)


__all__ = [
    "KERNELS",
    "SHIPPED",
    "Found",
    "Kernel",
    "Place",
    "Right",
    "Target",
    "Unserved",
    "kernel",
    "kernel_of",
    "load",
]
