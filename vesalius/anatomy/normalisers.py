"""Attention whose weights are no softmax: each is a few lines that name parts."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.mechanism import Paper
from vesalius.anatomy.variants import HUA, RAMAPURAM, WORTSMAN, variant

MARTINS = Paper(
    "From Softmax to Sparsemax: A Sparse Model of Attention and Multi-Label Classification",
    "Martins, Astudillo",
    2016,
    "1602.02068",
)
PETERS = Paper("Sparse Sequence-to-Sequence Models", "Peters, Niculae, Martins", 2019, "1905.05702")
TAN = Paper(
    "Scaling Stick-Breaking Attention: An Efficient Implementation and In-depth Study",
    "Tan, Shen, Yang, Courville, Panda",
    2024,
    "2410.17980",
)

variant(
    "sigmoid_bias",
    "Sigmoid attention with a bias",
    RAMAPURAM,
    "o[n,e] = Σ_m σ(Σ_c q[n,c]·k[m,c] / √c + b)·v[m,e]",
    check="x-transformers",
    normaliser=parts.sigmoid_of_bias,
)
variant(
    "relu_normalised",
    "ReLU attention, normalised",
    WORTSMAN,
    "o[n,e] = Σ_m r[n,m]·v[m,e] / (Σ_m r[n,m] + 10⁻⁶), r = relu(Σ_c q[n,c]·k[m,c] / √c)",
    check="x-transformers",
    normaliser=parts.relu_by_sum,
)
variant(
    "relu_squared_by_length",
    "Squared ReLU attention, by length",
    HUA,
    "o[n,e] = Σ_m relu(Σ_c q[n,c]·k[m,c] / √c)²·v[m,e] / |m|",
    check="x-transformers",
    cacheable="never",
    normaliser=parts.squared_relu_by_length,
)
variant(
    "sparsemax",
    "Sparsemax attention",
    MARTINS,
    "o[n,e] = Σ_m relu(s[n,m] − τ[n])·v[m,e], Σ_m relu(s[n,m] − τ[n]) = 1, "
    "s = Σ_c q[n,c]·k[m,c] / √c",
    check="entmax",
    normaliser=parts.sparsemax,
)
variant(
    "entmax",
    "1.5-entmax attention",
    PETERS,
    "o[n,e] = Σ_m relu(s[n,m]/2 − τ[n])²·v[m,e], Σ_m relu(s[n,m]/2 − τ[n])² = 1, "
    "s = Σ_c q[n,c]·k[m,c] / √c",
    check="entmax",
    normaliser=parts.entmax,
)
variant(
    "stick_breaking",
    "Stick-breaking attention",
    TAN,
    "o[n,e] = Σ_m σ(s[n,m])·(Π_{m<l<n} 1 − σ(s[n,l]))·v[m,e], s = Σ_c q[n,c]·k[m,c] / √c",
    check="fla-core",
    mask=parts.before,
    normaliser=parts.stick_breaking,
)
