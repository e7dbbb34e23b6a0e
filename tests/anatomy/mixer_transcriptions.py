"""The formulas of papers whose tokens are mixed without queries and keys, one loop at a time."""

from math import cos, erf, exp, floor, log, pi, sin

from transcriptions import attend


def affine(x, w, bias):
    """Σ_d x[d]·w[d][c] + bias[c]"""
    return [bias[c] + sum(x[d] * w[d][c] for d in range(len(x))) for c in range(len(bias))]


def relu(row):
    return [max(entry, 0.0) for entry in row]


def sigma(x):
    return 1 / (1 + exp(-x))


def joined(x, wv, wo, scores_of, causal, keep):
    """Heads of Σ_m softmax_m(scores)·(x·W_v), each brought back by its W_o."""
    total = [[0.0] * len(x[0]) for _ in x]
    for h in range(len(wo)):
        values = [
            [sum(row[d] * wv[d][h][e] for d in range(len(row))) for e in range(len(wo[h]))]
            for row in x
        ]
        out = attend(scores_of(h), values, causal=causal, keep=keep)
        for n in range(len(x)):
            for d in range(len(x[0])):
                total[n][d] += sum(out[n][e] * wo[h][e][d] for e in range(len(wo[h])))
    return total


def hidden_of(x, hidden, hidden_bias, h):
    """relu(x·W + b) of one head, for each token."""
    return [relu(affine(row, [w[h] for w in hidden], hidden_bias[h])) for row in x]


def synthesizer_dense(x, wv, hidden, hidden_bias, scores, scores_bias, wo, causal, keep):
    """Tay et al. 2020, equations 3 and 4: B_i = F(X_i), F(X) = W(σ(W(X) + b)) + b."""

    def scores_of(h):
        units = hidden_of(x, hidden, hidden_bias, h)
        return [affine(row, scores[h], scores_bias[h]) for row in units]

    return joined(x, wv, wo, scores_of, causal, keep)


def synthesizer_random(x, wv, scores, wo, causal, keep):
    """Tay et al. 2020, equation 5: Y = softmax(R)·G(X)."""
    return joined(x, wv, wo, lambda h: scores[h], causal, keep)


def synthesizer_factorised(x, wv, left, right, wo, causal, keep):
    """Tay et al. 2020, equation 7: Y = softmax(R_1·R_2ᵀ)·G(X)."""

    def scores_of(h):
        return [
            [sum(a * b for a, b in zip(one, other, strict=True)) for other in right[h]]
            for one in left[h]
        ]

    return joined(x, wv, wo, scores_of, causal, keep)


def synthesizer_factorised_dense(
    x, wv, hidden, hidden_bias, short, short_bias, coarse, coarse_bias, wo, causal, keep
):
    """Tay et al. 2020, equation 6: C = H_A(A)·H_B(B), A and B tiled to the length."""

    def scores_of(h):
        found = []
        for row in hidden_of(x, hidden, hidden_bias, h):
            a, b = affine(row, short[h], short_bias[h]), affine(row, coarse[h], coarse_bias[h])
            found.append([a[m % len(a)] * b[m // len(a)] for m in range(len(a) * len(b))])
        return found

    return joined(x, wv, wo, scores_of, causal, keep)


def dynamic_convolution(x, w, w_bias, v, v_bias, filter, wo, wo_bias, causal):
    """Wu et al. 2019, equation 4: LightConv(X, f(X_i)_h, i, c), after a gated linear unit.

    Offsets are those of equation 3, i + j − ⌈(k + 1)/2⌉ for j = 1 … k, or i + j − k if causal.
    """
    heads, channels, width = len(w[0]), len(w[0][0]), len(filter[0][0][0])
    y = []
    for row in x:
        gated = []
        for h in range(heads):
            value = affine(row, [column[h] for column in w], w_bias[h])
            gate = affine(row, [column[h] for column in v], v_bias[h])
            gated.append([a * sigma(b) for a, b in zip(value, gate, strict=True)])
        y.append(gated)
    back = width if causal else floor((width + 2) / 2)
    out = []
    for i in range(len(x)):
        row = list(wo_bias)
        for h in range(heads):
            scores = [
                sum(y[i][g][c] * filter[g][c][h][j] for g in range(heads) for c in range(channels))
                for j in range(width)
            ]
            total = sum(exp(score) for score in scores)
            for c in range(channels):
                mixed = 0.0
                for j in range(1, width + 1):
                    if 0 <= i + j - back < len(x):
                        mixed += exp(scores[j - 1]) / total * y[i + j - back][h][c]
                for d in range(len(row)):
                    row[d] += mixed * wo[h][c][d]
        out.append(row)
    return out


def hyena(x, maps, biases, short, waves, filters, wo, wo_bias, context):
    """Poli et al. 2023, definition 3.1 with the filters of section 3.3, order len(maps) − 1.

    `maps` are those of v, x_1, x_2, …, `short` their filters of few taps; `waves` the two layers
    of the network of the position, `filters` its last one for each order.
    """
    n, d = len(x), len(x[0])
    branches = []
    for weight, bias, taps in zip(maps, biases, short, strict=True):
        mapped = [affine(row, weight, bias) for row in x]
        width = len(taps[0])
        branches.append(
            [
                [
                    sum(
                        taps[c][width - 1 - back] * mapped[i - back][c]
                        for back in range(min(width, i + 1))
                    )
                    for c in range(d)
                ]
                for i in range(n)
            ]
        )
    z, *gates = branches
    bands = (len(waves[0][0]) - 1) // 2
    for gate, last in zip(gates, filters, strict=True):
        taps = []
        for i in range(n):
            t = i / context
            angles = [2 * pi * k * t for k in range(bands)]
            row = [t, *(cos(a) for a in angles), *(sin(a) for a in angles)]
            for weight, bias in waves:
                row = [sin(10.0 * entry) for entry in affine(row, weight, bias)]
            row = affine(row, last, [0.0] * d)
            slow, fast = log(100) / 1.5, log(100) / 0.3
            rates = [slow + (fast - slow) * (c + 1) / d for c in range(d)]
            taps.append([row[c] * (exp(-rates[c] * t) + 0.05) for c in range(d)])
        z = [
            [gate[i][c] * sum(taps[i - j][c] * z[j][c] for j in range(i + 1)) for c in range(d)]
            for i in range(n)
        ]
    return [affine(row, wo, wo_bias) for row in z]


def silu(row):
    return [entry * sigma(entry) for entry in row]


def mega(x, own, causal, weights, chunk):
    """Ma et al. 2022: equations 2 (damped moving average) and 7 to 15; Laplace, equation 16.

    `own` are the parameters by name; tokens see those of their own `chunk` alone.
    """
    n, d, many = len(x), len(x[0]), len(own["eta"][0])
    state = [[0.0] * many for _ in range(d)]
    averaged = []
    for row in x:
        out = []
        for c in range(d):
            for k in range(many):
                alpha, delta = sigma(own["alpha"][c][k]), sigma(own["delta"][c][k])
                state[c][k] *= 1 - alpha * delta
                state[c][k] += alpha * own["beta_in"][c][k] * row[c]
            out.append(sum(own["eta"][c][k] * state[c][k] for k in range(many)))
        averaged.append(out)
    z = [silu(affine(row, own["z"], own["z_bias"])) for row in averaged]
    q, k = (
        [
            [a * gamma + beta for a, gamma, beta in zip(row, own[g], own[b], strict=True)]
            for row in z
        ]
        for g, b in (("gamma", "beta"), ("gamma_1", "beta_1"))
    )
    v = [silu(affine(row, own["v"], own["v_bias"])) for row in x]
    middle = (len(own["bias"]) + 1) // 2 - 1
    result = []
    for i in range(n):
        first = i // chunk * chunk
        seen = [j for j in range(first, first + chunk) if not causal or j <= i]
        dots = [sum(a * b for a, b in zip(q[i], k[j], strict=True)) for j in seen]
        if weights == "softmax":
            scores = [s / len(q[i]) ** 0.5 for s in dots]
        else:
            scores = [s / chunk for s in dots]
        scores = [s + own["bias"][middle + j - i] for s, j in zip(scores, seen, strict=True)]
        if weights == "softmax":
            total = sum(exp(s) for s in scores)
            row = [exp(s) / total for s in scores]
        else:
            mean, deviation = 0.5**0.5, (1 / (4 * pi)) ** 0.5
            row = [0.5 * (1 + erf((s - mean) / (deviation * 2**0.5))) for s in scores]
        o = [sum(w * v[j][e] for w, j in zip(row, seen, strict=True)) for e in range(len(v[0]))]
        reset = silu(affine(averaged[i], own["reset"], own["reset_bias"]))
        update = [sigma(entry) for entry in affine(averaged[i], own["update"], own["update_bias"])]
        gated = [a * b for a, b in zip(reset, o, strict=True)]
        seen_new = affine(averaged[i], own["new"], own["new_bias"])
        new = silu(affine(gated, own["wo"], seen_new))
        result.append([p * h + (1 - p) * y for p, h, y in zip(update, new, x[i], strict=True)])
    return result
