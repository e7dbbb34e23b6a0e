"""The formulas of sparse attention and of other normalisers, one loop at a time, on Python floats.

Written from the papers, without looking at how the catalogue puts its parts together.
"""

from math import exp, inf

from transcriptions import attend, scaled_scores, sees


def patterned(pattern, q, k, v, causal=False, keep=None):
    """Softmax over the keys of a pattern: `pattern(i, j)` says whether query i looks at key j."""
    scores = scaled_scores(q, k)
    for i in range(len(q)):
        for j in range(len(k)):
            if not pattern(i, j):
                scores[i][j] = -inf
    return attend(scores, v, causal, keep)


def sliding_window(q, k, v, width, **masks):
    """Beltagy et al. 2020, section 3.1: a band around the diagonal."""
    return patterned(lambda i, j: -width < i - j < width, q, k, v, **masks)


def strided(q, k, v, stride, **masks):
    """Child et al. 2019, section 4.3: A¹ = {max(0, i − l) < j}, A² = {(i − j) mod l = 0}."""
    return patterned(lambda i, j: abs(i - j) < stride or (i - j) % stride == 0, q, k, v, **masks)


def fixed(q, k, v, stride, kept, **masks):
    """Child et al. 2019, section 4.3: ⌊j/l⌋ = ⌊i/l⌋, or j mod l in {l − c, …, l − 1}."""
    return patterned(
        lambda i, j: i // stride == j // stride or j % stride >= stride - kept, q, k, v, **masks
    )


def big_bird(q, k, v, links, length, **masks):
    """Zaheer et al. 2020, section 2: blocks that touch, random blocks, and global ones."""
    blocks = len(links)
    chosen = [[int((x + 1) * blocks / 2) for x in row] for row in links]

    def pattern(i, j):
        a, b = i // length, j // length
        return abs(a - b) <= 1 or {a, b} & {0, blocks - 1} or b in chosen[a]

    return patterned(pattern, q, k, v, **masks)


def top_k(q, k, v, kept, causal=False, keep=None):
    """Zhao et al. 2019, section 2: what is below the k-th largest of a row is −∞."""
    scores = scaled_scores(q, k)
    for i, row in enumerate(scores):
        seen = sorted((row[j] for j in range(len(k)) if sees(i, j, causal, keep)), reverse=True)
        least = seen[kept - 1] if kept <= len(seen) else -inf
        scores[i] = [score if score >= least else -inf for score in row]
    return attend(scores, v, causal, keep)


def weighted(weigh, q, k, v, causal=False, keep=None):
    """Σ_j w_ij·v_j, where `weigh` gives the weights of the scores that a query sees, in order."""
    rows = []
    for i, row in enumerate(scaled_scores(q, k)):
        seen = [j for j in range(len(k)) if sees(i, j, causal, keep)]
        out = [0.0] * len(v[0])
        for weight, j in zip(weigh([row[j] for j in seen], len(k)), seen, strict=True):
            for channel in range(len(out)):
                out[channel] += weight * v[j][channel]
        rows.append(out)
    return rows


def sigmoid_bias(q, k, v, b, **masks):
    """Ramapuram et al. 2024, equation 3."""
    return weighted(lambda row, n: [1 / (1 + exp(-s - b)) for s in row], q, k, v, **masks)


def relu_normalised(*arrays, **masks):
    """relu(s), divided by the sum of a row and 10⁻⁶."""

    def weigh(row, n):
        total = sum(max(s, 0.0) for s in row) + 1e-6
        return [max(s, 0.0) / total for s in row]

    return weighted(weigh, *arrays, **masks)


def relu_squared_by_length(*arrays, **masks):
    """relu(s)² / L."""
    return weighted(lambda row, n: [max(s, 0.0) ** 2 / n for s in row], *arrays, **masks)


def sparsemax(*arrays, **masks):
    """Martins and Astudillo 2016, algorithm 1."""

    def weigh(row, n):
        total, level = 0.0, 0.0
        for size, score in enumerate(sorted(row, reverse=True), 1):
            total += score
            if 1 + size * score > total:
                level = (total - 1) / size
        return [max(s - level, 0.0) for s in row]

    return weighted(weigh, *arrays, **masks)


def entmax(*arrays, **masks):
    """Peters et al. 2019, algorithm 2, for α = 1.5."""

    def weigh(row, n):
        half = sorted((s / 2 for s in row), reverse=True)
        level = 0.0
        for size in range(1, len(half) + 1):
            mean = sum(half[:size]) / size
            spread = sum((s - mean) ** 2 for s in half[:size])
            if spread > 1:
                break
            tried = mean - ((1 - spread) / size) ** 0.5
            if tried > half[size - 1]:
                break
            level = tried
        return [max(s / 2 - level, 0.0) ** 2 for s in row]

    return weighted(weigh, *arrays, **masks)


def stick_breaking(q, k, v, causal=False, keep=None):
    """Tan et al. 2024, equation 2; without `causal`, the stick breaks from the last key on."""
    scores = scaled_scores(q, k)
    rows = []
    for i in range(len(q)):
        left, out = 1.0, [0.0] * len(v[0])
        for j in reversed(range(min(i, len(k)) if causal else len(k))):
            if keep is not None and not keep[j]:
                continue
            share = 1 / (1 + exp(-scores[i][j]))
            for channel in range(len(out)):
                out[channel] += left * share * v[j][channel]
            left *= 1 - share
        rows.append(out)
    return rows


def argmax(row):
    return max(range(len(row)), key=lambda k: (row[k], -k))


def matrix(x, w):
    """x[n][d]·w[d][c]"""
    return [[sum(row[d] * w[d][c] for d in range(len(w))) for c in range(len(w[0]))] for row in x]


def joined(heads, wo):
    """Σ over heads of what each made, times its output projection."""
    total = None
    for out, w in zip(heads, wo, strict=True):
        moved = matrix(out, w)
        total = (
            moved
            if total is None
            else [
                [a + b for a, b in zip(x, y, strict=True)]
                for x, y in zip(total, moved, strict=True)
            ]
        )
    return total


def of_head(w, h):
    return [row[h] for row in w]


def reformer(x, wq, wv, rotations, wo, causal=False, keep=None):
    """Kitaev et al. 2020, section 2: equation 2 with the hash of section 2.1, in all rounds.

    k_j = q_j / |q_j|; a position attends to itself only where there is nothing else.
    """
    n, outs = len(x), []
    rounds = len(rotations[0][0])
    for h in range(len(wo)):
        q, v = matrix(x, of_head(wq, h)), matrix(x, of_head(wv, h))
        hashes = []
        for row in q:
            own = []
            for u in range(rounds):
                turned = matrix([row], [channel[u] for channel in rotations[h]])[0]
                own.append(argmax([*turned, *(-y for y in turned)]))
            hashes.append(own)
        scores = []
        for i in range(n):
            row = []
            for j in range(n):
                length = sum(y * y for y in q[j]) ** 0.5
                dot = sum(a * b for a, b in zip(q[i], q[j], strict=True))
                shared = any(a == b for a, b in zip(hashes[i], hashes[j], strict=True))
                row.append(dot / length / len(q[i]) ** 0.5 if shared else -inf)
            others = [j for j in range(n) if j != i and row[j] > -inf and sees(i, j, causal, keep)]
            if others:
                row[i] = -inf
            scores.append(row)
        outs.append(attend(scores, v, causal, keep))
    return joined(outs, wo)


def standard(row):
    mean = sum(row) / len(row)
    deviation = (sum((y - mean) ** 2 for y in row) / len(row) + 1e-5) ** 0.5
    return [(y - mean) / deviation for y in row]


def routing(q, k, v, centroids, causal=False, keep=None):
    """Roy et al. 2020, equations 6 and 7: Q and K on the unit ball, clusters by the nearest μ."""
    q, k = [standard(row) for row in q], [standard(row) for row in k]
    of_q, of_k = ([argmax(row) for row in matrix(y, centroids)] for y in (q, k))
    return patterned(lambda i, j: of_q[i] == of_k[j], q, k, v, causal, keep)


def balanced_routing(q, k, v, centroids, taken, causal=False, keep=None):
    """Roy et al. 2020, algorithm 1: each centroid takes its nearest, what it makes is put back."""
    q, k = [standard(row) for row in q], [standard(row) for row in k]
    near_q, near_k = matrix(q, centroids), matrix(k, centroids)
    scores = scaled_scores(q, k)
    made = [[] for _ in q]
    for s in range(len(centroids[0])):
        kept = [j for j in range(len(k)) if keep is None or keep[j]]
        queries = sorted(range(len(q)), key=lambda i, s=s: -near_q[i][s])[:taken]
        keys = sorted(kept, key=lambda j, s=s: -near_k[j][s])[:taken]
        for i in queries:
            row = [scores[i][j] if j in keys else -inf for j in range(len(k))]
            made[i].append(attend([row], v, False, [not causal or j <= i for j in range(len(k))]))
    return [
        [sum(out[0][c] for out in outs) / max(len(outs), 1) for c in range(len(v[0]))]
        for outs in made
    ]


def moved_centroids(q, k, centroids, decay, keep=None):
    """Roy et al. 2020, section 4.1: a centroid moves to the sum of what it is nearest to."""
    q, k = [standard(row) for row in q], [standard(row) for row in k]
    k = [row for j, row in enumerate(k) if keep is None or keep[j]]
    moved = [[decay * mu for mu in row] for row in centroids]
    for row in (*q, *k):
        (near,) = matrix([row], centroids)
        for c, x in enumerate(row):
            moved[c][argmax(near)] += (1 - decay) / 2 * x
    return moved
