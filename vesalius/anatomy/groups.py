"""Mechanisms and their variants: those that the literature treats as one stand in one group."""

from __future__ import annotations

from collections.abc import Collection

GROUPS: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in """
    bahdanau
    luong_dot luong_general luong_concat
    scaled_dot_product multihead multihead_cross
    multi_query grouped_query
    talking_heads
    latent
    differential
    qk_norm cosine joint_qk_norm
    softcap
    sink softmax_one
    hopfield
    shaw
    transformer_xl
    t5
    alibi
    rope
    forgetting
    sliding_window longformer
    strided fixed big_bird
    top_k indexed
    native_sparse
    reformer routing sinkhorn
    gat gat_v2
    sigmoid sigmoid_bias
    relu relu_squared relu_normalised relu_squared_by_length
    sparsemax entmax
    spherical
    slot_attention
    stick_breaking
    linear
    performer rfa rfa_gated
    cosformer
    efficient
    based based_layers
    retnet
    gla
    mamba2
    delta_net gated_delta_net
    rwkv
    aft_full aft_local aft_simple
    fastformer
    linformer
    nystromformer
    set_attention induced_set_attention set_pooling
    perceiver
    synthesizer_dense synthesizer_random synthesizer_factorised synthesizer_factorised_dense
    gmlp
    mlp_mixer
    fnet
    poolformer
    light_convolution dynamic_convolution
    hyena
    gau flash
    mega
    """.strip().splitlines()
)
"""By name; four of the groups are built around attention, and stand outside the taxonomy."""


def with_one_of(names: Collection[str]) -> list[tuple[str, ...]]:
    """The groups of which one mechanism, at least, is among these."""
    return [group for group in GROUPS if any(name in names for name in group)]
