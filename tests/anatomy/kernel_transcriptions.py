"""Attention by features as the papers have it, one loop at a time, on lists of Python floats."""

from math import cos, pi, sin, sqrt

from transcriptions import sees


def weighed(weight, v, n, causal, keep, least=None):
    """Each query's mean of the values by weights that need not be positive."""
    rows = []
    for i in range(n):
        total, out = 0.0, [0.0] * len(v[0])
        for j in range(len(v)):
            if sees(i, j, causal, keep):
                w = weight(i, j)
                total += w
                for e in range(len(out)):
                    out[e] += w * v[j][e]
        total = total if least is None else max(total, least)
        rows.append([x / total for x in out])
    return rows


def rfa_features(x, omega, sigma):
    """Peng et al. 2021, equations 3 to 5: φ(x) of x with norm 1, directions w_r = σ ∘ ω_r."""
    norm = sqrt(sum(a * a for a in x))
    phases = []
    for row in omega:
        phases.append(sum(w * s * a / norm for w, s, a in zip(row, sigma, x, strict=True)))
    return [sin(p) for p in phases] + [cos(p) for p in phases]


def rfa(q, k, v, omega, sigma, causal=False, keep=None):
    """Peng et al. 2021, equation 6."""

    def weight(i, j):
        both = (rfa_features(x, omega, sigma) for x in (q[i], k[j]))
        return sum(a * b for a, b in zip(*both, strict=True))

    return weighed(weight, v, len(q), causal, keep)


def cosformer(q, k, v, longest, causal=False, keep=None):
    """Qin et al. 2022, equation 10: ReLU(Q_i) ReLU(K_j)ᵀ cos(π/2 · (i − j)/M)."""

    def weight(i, j):
        similarity = sum(max(a, 0.0) * max(b, 0.0) for a, b in zip(q[i], k[j], strict=True))
        return similarity * cos(pi / 2 * (i - j) / longest)

    return weighed(weight, v, len(q), causal, keep, least=1e-6)
