"""Sinkhorn attention, one loop at a time, on Python floats.

Written from Tay et al. 2020, section 3, without a look at how the catalogue puts it together.
"""

from math import exp, inf

from sparse_transcriptions import joined, matrix, of_head
from transcriptions import attend, scaled_scores


def balanced(order, turns, causal):
    """Rows, then columns, are divided by their sums; causal, a column's up to each row."""
    blocks = len(order)
    for _ in range(turns):
        order = [[y / (sum(row) or 1.0) for y in row] for row in order]
        totals = [
            [
                sum(order[a][j] for a in range(i + 1 if causal else blocks)) or 1.0
                for j in range(blocks)
            ]
            for i in range(blocks)
        ]
        order = [
            [y / total for y, total in zip(*rows, strict=True)]
            for rows in zip(order, totals, strict=True)
        ]
    return order


def sinkhorn(x, wq, wk, wv, up, down, wo, length, turns, causal=False, keep=None):
    """Sections 3.1 to 3.3, without noise: blocks, sorted by SortNet; what is hidden is 0."""
    n, blocks, outs = len(x), len(x) // length, []
    real = [True] * n if keep is None else keep
    x = [row if kept else [0.0] * len(row) for row, kept in zip(x, real, strict=True)]
    for h in range(len(wo)):
        q, k, v = (matrix(x, of_head(w, h)) for w in (wq, wk, wv))
        pooled = []
        for b in range(blocks):
            at = range(b * length + 1) if causal else range(b * length, (b + 1) * length)
            pooled.append([sum(x[p][d] for p in at) for d in range(len(x[0]))])
        hidden = [[max(y, 0.0) for y in row] for row in matrix(pooled, of_head(up, h))]
        order = [
            [exp(y) if not causal or j < i else 0.0 for j, y in enumerate(row)]
            for i, row in enumerate(matrix(hidden, down))
        ]
        order = balanced(order, turns, causal)

        out = []
        for p in range(n):
            i = p // length
            keys, values, seen = [], [], []
            for m in range(i * length, (i + 1) * length):
                keys.append(k[m])
                values.append(v[m])
                seen.append(real[m] and (m <= p or not causal))
            for place in range(length):
                at = [j * length + place for j in range(blocks)]
                for y, into in ((k, keys), (v, values)):
                    into.append([sum(r * y[m][c] for r, m in zip(order[i], at, strict=True))
                                 for c in range(len(y[0]))])  # fmt: skip
                kept = (r for r, m in zip(order[i], at, strict=True) if real[m])
                seen.append(sum(kept) > 0)
            (scores,) = scaled_scores([q[p]], keys)
            scores = [score if there else -inf for score, there in zip(scores, seen, strict=True)]
            out += attend([scores], values)
        outs.append(out)
    return joined(outs, wo)
