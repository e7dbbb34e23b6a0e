"""Where the catalogue's initial values come from, as data, and with what the tests compare them.

Linear maps start as those of `torch.nn.Linear`, uniform within ±1/√fan, and gains and shifts of
norms at 1 and 0, unless the paper of a mechanism or its authors' code has them otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Start(NamedTuple):
    """`source` says whose values they are; `package`, with whose layers the tests compare them."""

    source: str
    package: str = ""


LINEAR = Start("linear maps as those of `torch.nn.Linear`")

_UNITS = (
    "scales and shifts as the paper has them, and so linear maps: those of the package are "
    "`nn.Linear`'s"
)

_HEADS = (
    "linear maps as those of `torch.nn.Linear`, biases of attention 0; the package has Glorot's "
    "width for the maps to queries, keys and values, and is compared in all others"
)

STARTS: Mapping[str, Start] = {
    "bahdanau": Start("the paper, appendix B: maps of deviation 0.001, and v at 0"),
    "luong_general": Start("the paper: all parameters within ±0.1"),
    "luong_concat": Start("the paper: all parameters within ±0.1"),
    "aft_full": Start("the table of deviation 0.01 as in the paper, linear maps", "aft-pytorch"),
    "aft_local": Start("the table of deviation 0.01 as in the paper, linear maps as in aft_full"),
    "fastformer": Start("the authors' code: maps of deviation 0.02"),
    "multihead": Start(_HEADS, "torch"),
    "multihead_cross": Start(_HEADS, "torch"),
    "block": Start(_HEADS, "torch"),
    "encoder": Start(_HEADS, "torch"),
    "language_model": Start("tables of deviation 0.02, as in GPT-2; layers as in block"),
    "light_convolution": Start("the authors' code: Glorot's widths, biases 0"),
    "dynamic_convolution": Start("the authors' code for the gated linear unit"),
    "gau": Start(_UNITS, "FLASH-pytorch"),
    "flash": Start(_UNITS, "FLASH-pytorch"),
    "mega": Start("the authors' code; their factor 1/√k of η stands in its deviation"),
    "gat": Start("Glorot's widths, as the authors", "torch-geometric"),
    "gat_v2": Start("Glorot's widths, as the authors", "torch-geometric"),
    "talking_heads": Start("the identity: heads do not talk yet", "x-transformers"),
    "sink": Start("the sink at 0", "x-transformers"),
    "differential": Start("λ by vectors of deviation 0.1, as in the paper", "transformers"),
    "performer": Start("directions as in the paper", "performer-pytorch"),
    "linformer": Start("combinations of tokens", "linformer"),
    "nystromformer": Start("the filter", "nystrom-attention"),
    "induced_set_attention": Start("Glorot's width of points", "torch-geometric"),
    "set_pooling": Start("Glorot's width of seeds", "torch-geometric"),
    "perceiver": Start("latents of deviation 0.02", "transformers"),
    "gmlp": Start("weights of places near 0 and biases 1, as in the paper", "g-mlp-pytorch"),
    "mlp_mixer": Start("linear maps", "mlp-mixer-pytorch"),
    "shaw": Start("the table of deviation 0.02", "transformers"),
    "transformer_xl": Start("u and v of deviation 0.02, as the authors", "transformers"),
    "t5": Start("queries narrower by √c, as scores are not divided by it", "transformers"),
    "mamba2": Start("rates 1, 2, … and steps log-uniform from 0.001 to 0.1", "transformers"),
    "gated_delta_net": Start(
        "rates uniform up to 16; steps as in mamba2, where the package has 1", "transformers"
    ),
    "rwkv": Start(
        "ramps over channels, of the first layer; `u` as the authors have it, where the package "
        "has 1",
        "transformers",
    ),
    "slot_attention": Start("all parameters", "slot-attention"),
}
"""Of the mechanisms that have more than `LINEAR` says, or are compared."""


def started(name: str) -> Start:
    """Where the initial values of a mechanism come from."""
    return STARTS.get(name, LINEAR)
