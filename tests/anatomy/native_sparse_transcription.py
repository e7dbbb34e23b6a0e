"""Native sparse attention, one loop at a time, on Python floats.

Written from Yuan et al. 2025, section 3, without looking at how the catalogue puts it together.
"""

from math import cos, exp, inf, sin


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(row, w):
    """row[d]·w[d][c]"""
    return [sum(row[d] * w[d][c] for d in range(len(w))) for c in range(len(w[0]))]


def turned(row, place):
    """Su et al. 2021, equation 34, of pairs that are half of all channels apart."""
    half = len(row) // 2
    out = [0.0] * len(row)
    for f in range(half):
        angle = place * 10000.0 ** (-f / half)
        a, b = row[f], row[half + f]
        out[f] = a * cos(angle) - b * sin(angle)
        out[half + f] = a * sin(angle) + b * cos(angle)
    return out


def attend(q, keys, values, width):
    """softmax(q·k/√c)·v over lists that may be empty, and the weights."""
    scores = [dot(q, k) / len(q) ** 0.5 for k in keys]
    top = max(scores, default=0.0)
    total = sum(exp(s - top) for s in scores)
    weights = [exp(s - top) / total for s in scores]
    out = [sum(w * v[e] for w, v in zip(weights, values, strict=True)) for e in range(width)]
    return out, weights


def compress(rows, place, up, down):
    """φ of one block: a network with a hidden layer, on vectors that know their place in it."""
    hidden = [0.0] * len(down)
    for p, row in enumerate(rows):
        for c, x in enumerate(row):
            for f in range(len(hidden)):
                hidden[f] += (x + place[p][c]) * up[p][c][f]
    return times([max(y, 0.0) for y in hidden], down)


def native_sparse(x, weights, block, span, stride, kept, window, rotary=False, keep=None):
    """Equations 5 to 12; the first block, that of the query and the one before are always kept."""
    n = len(x)
    groups, heads = len(weights["wo"]), len(weights["wo"][0])
    width = len(weights["wo"][0][0])
    real = [True] * n if keep is None else keep
    blocks = -(-n // block)
    out = [[0.0] * len(weights["wo"][0][0][0]) for _ in range(n)]

    for g in range(groups):

        def memory(branch, g=g):
            keys = [times(row, [w[g] for w in weights[f"wk_{branch}"]]) for row in x]
            values = [times(row, [w[g] for w in weights[f"wv_{branch}"]]) for row in x]
            return [turned(k, i) for i, k in enumerate(keys)] if rotary else keys, values

        k, v = memory("compressed")
        starts = range(0, n - span + 1, stride)
        k_cmp, v_cmp = (
            [
                compress(
                    y[i : i + span], *(weights[f"{kind}_{w}"] for w in ("place", "up", "down"))
                )
                for i in starts
            ]
            for y, kind in ((k, "k"), (v, "v"))
        )
        k_slc, v_slc = memory("selected")
        k_win, v_win = memory("window")

        for i in range(n):
            qs = [times(x[i], [w[g][h] for w in weights["wq"]]) for h in range(heads)]
            qs = [turned(q, i) for q in qs] if rotary else qs
            whole = [
                s for s, at in enumerate(starts) if at + span - 1 <= i and all(real[at : at + span])
            ]
            parts = {}
            importance = [0.0] * blocks
            for h, q in enumerate(qs):
                o, p = attend(q, [k_cmp[s] for s in whole], [v_cmp[s] for s in whole], width)
                parts["compressed", h] = o
                # equation 9, counted from 1: p[(l'/d)·j − m − n]
                cmp = dict(zip(whole, p, strict=True))
                for j in range(blocks):
                    for m in range(block // stride):
                        for r in range(span // stride):
                            importance[j] += cmp.get((block // stride) * (j + 1) - 1 - m - r, 0.0)
            own = i // block
            for j in {0, own, own - 1} & set(range(blocks)):
                importance[j] = inf
            chosen = sorted(range(blocks), key=lambda j: -importance[j])[:kept]
            seen = [
                j
                for b in chosen
                for j in range(b * block, min((b + 1) * block, n))
                if j <= i and real[j]
            ]
            near = [j for j in range(max(0, i - window + 1), i + 1) if real[j]]
            for h, q in enumerate(qs):
                for branch, places, keys, values in (
                    ("selected", seen, k_slc, v_slc), ("window", near, k_win, v_win)
                ):  # fmt: skip
                    found = attend(q, [keys[j] for j in places], [values[j] for j in places], width)
                    parts[branch, h] = found[0]
                for branch in ("compressed", "selected", "window"):
                    gate = dot(x[i], [w[g][h] for w in weights[f"gate_{branch}"]])
                    share = 1 / (1 + exp(-gate))
                    for e in range(width):
                        for d in range(len(out[i])):
                            out[i][d] += share * parts[branch, h][e] * weights["wo"][g][h][e][d]
    return out
