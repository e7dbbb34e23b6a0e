"""Windows with gaps and anchors, one loop at a time, on Python floats.

Written from Beltagy et al. 2020, section 3.1, without a look at how the catalogue puts it together.
"""

from math import inf

from sparse_transcriptions import joined, matrix, of_head
from transcriptions import attend, scaled_scores


def longformer(x, anchors, weights, width, dilation, causal=False, keep=None):
    """Sliding windows with gaps; what is global attends to all, by its own projections, and back.

    Names of weights are those of the paper, Q_s, K_s, V_s and Q_g, K_g, V_g, each for all heads.
    """
    outs = []
    for h in range(len(weights["wo"])):
        gap = dilation[h % len(dilation)]
        s, g = (
            [matrix(x, of_head(weights[f"{w}{suffix}"], h)) for w in ("wq", "wk", "wv")]
            for suffix in ("", "_global")
        )
        scores, of_anchors = scaled_scores(s[0], s[1]), scaled_scores(g[0], g[1])
        for i in range(len(x)):
            for j in range(len(x)):
                steps, rest = divmod(abs(i - j), gap)
                if not anchors[j] and (rest or steps >= width):
                    scores[i][j] = -inf
        local = attend(scores, s[2], causal, keep)
        whole = attend(of_anchors, g[2], causal, keep)
        outs.append([whole[i] if anchors[i] else local[i] for i in range(len(x))])
    return joined(outs, weights["wo"])
