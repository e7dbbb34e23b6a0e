"""The papers' formulas, one loop at a time, on nested lists of Python floats.

Written from the papers, without looking at how the catalogue puts its parts together, and slow on
purpose: no library, no broadcasting, no axis that is not an index.
"""

from math import exp, inf, log, sqrt, tanh


def softmax(row):
    """Weights of a row of scores; a row without any finite score gets none."""
    top = max(row, default=-inf)
    if top == -inf:
        return [0.0 for _ in row]
    powers = [exp(score - top) for score in row]
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]


def sees(i, j, causal, keep):
    return (not causal or j <= i) and (keep is None or keep[j])


def attend(scores, values, causal=False, keep=None):
    """Each query's weighted mean of the values it sees."""
    rows = []
    for i in range(len(scores)):
        row = [scores[i][j] if sees(i, j, causal, keep) else -inf for j in range(len(values))]
        weights = softmax(row)
        out = [0.0] * len(values[0])
        for j in range(len(values)):
            for channel in range(len(out)):
                out[channel] += weights[j] * values[j][channel]
        rows.append(out)
    return rows


def bahdanau(s, y, w, u, v, **masks):
    """Bahdanau et al. 2014, section A.1.2: e_ij = v·tanh(W s_i + U y_j)."""
    scores = []
    for query in s:
        row = []
        for key in y:
            score = 0.0
            for a in range(len(v)):
                inner = 0.0
                for p in range(len(query)):
                    inner += query[p] * w[p][a]
                for p in range(len(key)):
                    inner += key[p] * u[p][a]
                score += v[a] * tanh(inner)
            row.append(score)
        scores.append(row)
    return attend(scores, y, **masks)


def luong_dot(s, y, **masks):
    """Luong et al. 2015, equation 8, first line."""
    scores = [[sum(s_c * y_c for s_c, y_c in zip(a, b, strict=True)) for b in y] for a in s]
    return attend(scores, y, **masks)


def luong_local(s, y, width, predicted=None, causal=False, keep=None):
    """Luong et al. 2015, section 3.2, of dot scores: equations 9 and 10; `predicted` is (W, v)."""
    rows = []
    for i, state in enumerate(s):
        centre = i
        if predicted is not None:
            w, v = predicted
            hidden = [
                tanh(sum(state[c] * w[c][a] for c in range(len(state)))) for a in range(len(v))
            ]
            total = sum(a * b for a, b in zip(v, hidden, strict=True))
            centre = len(y) / (1 + exp(-total))
        seen = [j for j in range(len(y)) if abs(j - centre) <= width and sees(i, j, causal, keep)]
        weights = softmax([sum(a * b for a, b in zip(state, y[j], strict=True)) for j in seen])
        out = [0.0] * len(y[0])
        for weight, j in zip(weights, seen, strict=True):
            if predicted is not None:
                weight *= exp(-((j - centre) ** 2) / (2 * (width / 2) ** 2))
            for c in range(len(out)):
                out[c] += weight * y[j][c]
        rows.append(out)
    return rows


def hopfield(s, y, steps, beta=None, **masks):
    """Ramsauer et al. 2020, equation 3: states become means of patterns; β = 1/√c unless said."""
    beta = 1 / sqrt(len(s[0])) if beta is None else beta
    for _ in range(steps):
        scores = []
        for state in s:
            row = []
            for pattern in y:
                score = 0.0
                for c in range(len(state)):
                    score += state[c] * pattern[c]
                row.append(beta * score)
            scores.append(row)
        s = attend(scores, y, **masks)
    return s


def shaw(q, k, v, keys, values, far, **masks):
    """Shaw et al. 2018, equations 3 and 4: a vector for each distance is added to keys, values."""
    scores, channels = [], len(q[0])
    for i in range(len(q)):
        row = []
        for j in range(len(k)):
            place = max(-far, min(far, j - i)) + far
            score = 0.0
            for c in range(channels):
                score += q[i][c] * (k[j][c] + keys[place][c])
            row.append(score / sqrt(channels))
        scores.append(row)
    rows = []
    for i in range(len(q)):
        moved = []
        for j in range(len(v)):
            place = max(-far, min(far, j - i)) + far
            moved.append([v[j][e] + values[place][e] for e in range(len(v[0]))])
        # Every query has values of its own, so each is attended for alone.
        rows.append(attend(scores, moved, **masks)[i])
    return rows


def luong_general(s, y, w, **masks):
    """Luong et al. 2015, equation 8, second line."""
    scores = []
    for query in s:
        row = []
        for key in y:
            score = 0.0
            for c in range(len(query)):
                for e in range(len(key)):
                    score += query[c] * w[c][e] * key[e]
            row.append(score)
        scores.append(row)
    return attend(scores, y, **masks)


def scaled_dot_product(q, k, v, mask=None, **masks):
    """Vaswani et al. 2017, equation 1; `mask` is added to the scores."""
    scores = []
    for i, query in enumerate(q):
        row = []
        for j, key in enumerate(k):
            score = 0.0
            for c in range(len(query)):
                score += query[c] * key[c]
            row.append(score / sqrt(len(query)) + (0.0 if mask is None else mask[i][j]))
        scores.append(row)
    return attend(scores, v, **masks)


def phi(x):
    return x + 1.0 if x > 0 else exp(x)


def linear(q, k, v, causal=False, keep=None):
    """Katharopoulos et al. 2020, equation 4 with the feature map of equation 7."""
    rows = []
    for i, query in enumerate(q):
        numerator, denominator = [0.0] * len(v[0]), 0.0
        for j, key in enumerate(k):
            if not sees(i, j, causal, keep):
                continue
            similarity = 0.0
            for c in range(len(query)):
                similarity += phi(query[c]) * phi(key[c])
            denominator += similarity
            for channel in range(len(numerator)):
                numerator[channel] += similarity * v[j][channel]
        rows.append([entry / denominator for entry in numerator])
    return rows


def scaled_scores(q, k):
    """Σ_c q·k / √c for each query and key."""
    return [[sum(a * b for a, b in zip(x, y, strict=True)) / sqrt(len(x)) for y in k] for x in q]


def cosine(q, k, v, g, **masks):
    """Henry et al. 2020, equation 4: the vectors are normalised, one learned scalar scales."""

    def unit(row):
        length = sqrt(sum(x * x for x in row))
        return [x / length for x in row]

    scores = [[g * sum(a * b for a, b in zip(unit(x), unit(y), strict=True)) for y in k] for x in q]
    return attend(scores, v, **masks)


def softcap(q, k, v, **masks):
    """Gemma 2, section 2: logits ← soft_cap·tanh(logits / soft_cap), 50 in attention."""
    scores = [[50.0 * tanh(s / 50.0) for s in row] for row in scaled_scores(q, k)]
    return attend(scores, v, **masks)


def mixed(weigh, q, k, v, causal=False, keep=None):
    """Σ_j w_ij·v_j, where `weigh` gives the weights of the scores that a query sees."""
    rows = []
    for i, row in enumerate(scaled_scores(q, k)):
        seen = [j for j in range(len(k)) if sees(i, j, causal, keep)]
        weights = weigh([row[j] for j in seen], len(k))
        out = [0.0] * len(v[0])
        for weight, j in zip(weights, seen, strict=True):
            for channel in range(len(out)):
                out[channel] += weight * v[j][channel]
        rows.append(out)
    return rows


def sigmoid(*arrays, **masks):
    """Ramapuram et al. 2024, equation 3 with b = −log n."""
    return mixed(lambda row, n: [1 / (1 + exp(log(n) - s)) for s in row], *arrays, **masks)


def relu(*arrays, **masks):
    """Wortsman et al. 2023, section 2: relu(s) / L."""
    return mixed(lambda row, n: [max(s, 0.0) / n for s in row], *arrays, **masks)


def relu_squared(*arrays, **masks):
    """relu(s)², divided by the sum of a row and 10⁻⁶."""

    def weigh(row, n):
        squares = [max(s, 0.0) ** 2 for s in row]
        return [square / (sum(squares) + 1e-6) for square in squares]

    return mixed(weigh, *arrays, **masks)


def softmax_one(*arrays, **masks):
    """exp(s) / (1 + Σ exp(s))."""

    def weigh(row, n):
        powers = [exp(s) for s in row]
        return [power / (1 + sum(powers)) for power in powers]

    return mixed(weigh, *arrays, **masks)


def spherical(*arrays, **masks):
    """Abbott et al. 2025: rows of length 1 in the sense of Euclid, with 10⁻⁶ below the root."""

    def weigh(row, n):
        length = sqrt(sum(s * s for s in row) + 1e-6)
        return [s / length for s in row]

    return mixed(weigh, *arrays, **masks)


def project(x, w):
    """x[n][d]·w[d][channel]"""
    return [[sum(row[d] * w[d][c] for d in range(len(w))) for c in range(len(w[0]))] for row in x]


def multihead(core, x, y, wq, wk, wv, wo, **masks):
    """Vaswani et al. 2017, section 3.2.2; weights are wq[d][h][c], wv[d][h][e], wo[h][e][d]."""
    total = [[0.0] * len(x[0]) for _ in x]
    for h in range(len(wo)):
        heads = [[row[h] for row in w] for w in (wq, wk, wv)]
        q, k, v = project(x, heads[0]), project(y, heads[1]), project(y, heads[2])
        out = project(core(q, k, v, **masks), wo[h])
        for n in range(len(total)):
            for d in range(len(total[0])):
                total[n][d] += out[n][d]
    return total
