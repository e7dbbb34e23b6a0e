"""Pooled and recurrent attention as the papers have it, one loop at a time, on lists of floats."""

from math import exp, sqrt


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
