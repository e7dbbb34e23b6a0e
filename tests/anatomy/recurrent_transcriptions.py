"""Pooled and recurrent attention as the papers have it, one loop at a time, on lists of floats."""

from math import exp, sqrt

from kernel_transcriptions import rfa_features


def times(row, w):
    """row[d]·w[d][e]"""
    return [sum(row[d] * w[d][e] for d in range(len(w))) for e in range(len(w[0]))]


def fastformer(x, wq, wk, wv, aq, ak, wo, causal=False, keep=None):
    """Wu et al. 2021, section 3.1: equations 3 to 8, one head.

    Causal, position i is computed as if the sequence ended there.
    """
    width = len(x[0])

    def pooled(rows, a, seen):
        powers = [
            exp(sum(p * y for p, y in zip(a, rows[j], strict=True)) / sqrt(width)) for j in seen
        ]
        total = sum(powers)
        return [
            sum(power * rows[j][d] for power, j in zip(powers, seen, strict=True)) / total
            for d in range(width)
        ]

    def seen_by(i):
        return [j for j in range(len(x)) if (not causal or j <= i) and (keep is None or keep[j])]

    queries, keys, values = ([times(row, w) for row in x] for w in (wq, wk, wv))
    global_queries = [pooled(queries, aq, seen_by(i)) for i in range(len(x))]
    products = [
        [g * k for g, k in zip(global_queries[i], keys[i], strict=True)] for i in range(len(x))
    ]
    out = []
    for i in range(len(x)):
        global_key = pooled(products, ak, seen_by(i))
        mixed = times([g * v for g, v in zip(global_key, values[i], strict=True)], wo)
        out.append([m + q for m, q in zip(mixed, queries[i], strict=True)])
    return out


def rfa_gated(x, wq, wk, wv, omega, sigma, wf, bias, wo):
    """Peng et al. 2021, section 3.2: S_t = g·S_{t−1} + (1 − g)·φ(k) ⊗ v, z_t likewise; by heads."""
    width, out = len(x[0]), [[0.0] * len(x[0]) for _ in x]
    for h in range(len(wo)):
        queries, keys, values = ([times(row, [r[h] for r in w]) for row in x] for w in (wq, wk, wv))

        state = [[0.0] * len(values[0]) for _ in range(2 * len(omega))]
        total = [0.0] * (2 * len(omega))
        for i in range(len(x)):
            gate = 1 / (1 + exp(-sum(x[i][d] * wf[d][h] for d in range(width)) - bias[h]))
            written = rfa_features(keys[i], omega, sigma)
            for r in range(len(total)):
                total[r] = gate * total[r] + (1 - gate) * written[r]
                for e in range(len(values[0])):
                    state[r][e] = gate * state[r][e] + (1 - gate) * written[r] * values[i][e]
            asked = rfa_features(queries[i], omega, sigma)
            below = sum(a * z for a, z in zip(asked, total, strict=True))
            answer = [
                sum(asked[r] * state[r][e] for r in range(len(asked))) / below
                for e in range(len(values[0]))
            ]
            for d, y in enumerate(times(answer, wo[h])):
                out[i][d] += y
    return out
