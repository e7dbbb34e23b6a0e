"""Random mixers of positions: scores, masks, normalisers, sums along positions, in any spelling.

Diagrams that grow a verb at a time hardly ever hold what a kernel serves; these hold little else.
"""

import random

import vesalius as vs

INF = float("inf")


def dot(q, k):
    return vs.contract(q, k, over="c")


class Mixer:
    """One random diagram: `diagram`, with lengths of its size variables in `sizes`."""

    def __init__(self, seed, empty=False):
        self.choose = random.Random(seed)
        least = 0 if empty else 1
        self.sizes = {name: self.choose.randint(least, 7) for name in "bhnme"}
        self.sizes["c"] = self.choose.randint(1, 7)  # a norm over no channels has no value
        self.builder = vs.Builder("mixer")
        self.tubes = self.choose.choice(["", "h", "b h"])
        self.alone = self.choose.random() < 0.5  # one sequence: as many keys as queries
        self.keys = "m:n" if self.alone else "m"
        form = self.choose.choice(["pairs", "pairs", "pairs", "sums", "scans", "products"])
        self.wires = {}
        self.distances = None if empty else f"o:n+{self.keys[-1]}-1"
        kinds = {"sequence": "n int", "keep": f"{self.keys} bool", "shown": f"n {self.keys} bool"}
        for name, axes in {
            "q": "n c", "k": f"{self.keys} c", "v": f"{self.keys} e", "u": self.keys,
            "bias": f"n {self.keys}", "table": "o:5", "gain": "c", "rate": "",
            "spread": f"n {self.distances or ''}", **kinds,
        }.items():  # fmt: skip
            tubes = self.some(self.tubes) if name in "kv" else ""
            tubes = self.tubes if name == "q" or (form != "pairs" and name in "kv") else tubes
            self.wires[name] = self.builder.input(name, f"{tubes} {axes}".strip())
        with self.builder:
            out = getattr(self, form)(*(self.wires[name] for name in "qkv"))
            if self.choose.random() < 0.3:
                out = vs.tanh(out) + 1
        self.diagram = self.builder.diagram(out)

    def some(self, tubes):
        return self.choose.choice([tubes, tubes, tubes.rpartition(" ")[2], ""])

    def one(self, *options):
        """What one of some functions gives."""
        return self.choose.choice(options)()

    # -- pairs of queries and keys ----------------------------------------------------------------

    def pairs(self, q, k, v):
        scores = self.masked(self.score(q, k))
        return self.one(
            lambda: self.normalised(scores, v),
            lambda: self.normalised(scores, v),
            lambda: self.weighted(self.score(q, k), v),
        )

    def score(self, q, k):
        gain, n, m = self.wires["gain"], vs.iota("n"), vs.iota(self.keys)
        far, places = vs.to_float(n - m), m - n + (vs.size("n") - 1)
        near = vs.minimum(vs.maximum(m - n, -2), 2) + 2
        root = vs.sqrt(vs.size("c") + 1)

        def unit(x):
            return x / (vs.sqrt(vs.sum(x * x, "c")) + 0.1)

        def norm(x):
            return gain * x / vs.sqrt(vs.mean(x * x, "c") + 0.1)

        scores = self.one(
            lambda: dot(q, k),
            lambda: dot(q / root, k),
            lambda: vs.contract(k, gain, q, gain, over="c") / root,
            lambda: 2 * dot(unit(q), unit(k)),
            lambda: dot(norm(q), norm(k)),
            lambda: 3 * vs.tanh(dot(q, k) / 3),
            lambda: vs.contract(gain, vs.tanh(q + k), over="c"),
        )
        return self.one(
            lambda: scores,
            lambda: scores,
            lambda: scores + self.wires["bias"],
            lambda: self.wires["u"] + scores,
            lambda: scores - vs.softplus(self.wires["rate"]) * vs.abs(far),
            lambda: scores + vs.gather(self.wires["table"], near, over="o"),
            lambda: (
                scores + vs.gather(self.wires["spread"], places, over="o")
                if self.distances
                else scores
            ),
        )

    def masked(self, scores, hidden=-INF):
        n, m, keep = vs.iota("n"), vs.iota(self.keys), self.wires["keep"]
        own = self.wires["sequence"]
        shown = self.one(
            lambda: None,
            lambda: m <= n,
            lambda: ~(n < m),
            lambda: (n - m >= 0) & (n - m < 3),
            lambda: vs.abs(m - n) <= 1,
            lambda: keep,
            lambda: self.wires["shown"],
            lambda: keep & (n >= m),
            lambda: vs.equal(own, own.rename(n="m")) & (m <= n) if self.alone else keep,
        )
        if shown is None:
            return scores
        return self.one(
            lambda: vs.where(shown, scores, hidden),
            lambda: vs.where(~shown, hidden, scores),
            lambda: (
                scores + vs.where(shown, 0.0, hidden)
                if hidden
                else scores * vs.where(shown, 1.0, 0.0)
            ),
        )

    def normalised(self, scores, v):
        """Softmax in some spelling; what is hidden whole is zero by definition in all of them."""
        largest = vs.max(vs.where(vs.iota(self.keys) < 0, 0.0, vs.maximum(scores, -1e9)), "m")
        e = vs.exp(scores - largest)
        return self.one(
            lambda: vs.contract(vs.softmax(scores, "m"), v, over="m"),
            lambda: vs.contract(v, vs.softmax(scores - largest, "m"), over="m"),
            lambda: vs.contract(e, v, over="m") / vs.sum(e, "m"),
            lambda: vs.contract(e / vs.sum(e, "m"), v, over="m"),
            lambda: vs.contract(e, v, over="m") / (vs.sum(e, "m") + 0.5),
            lambda: vs.contract(vs.softmax(scores, "m"), v, over="m") * self.wires["rate"],
        )

    def weighted(self, scores, v):
        """Weights of other kinds, plain or divided by their sum."""
        weights = self.one(
            lambda: vs.sigmoid(scores), lambda: vs.power(vs.relu(scores), 2), lambda: scores
        )
        weights = self.masked(weights, 0.0)
        out = vs.contract(weights, v, over="m")
        return self.one(lambda: out, lambda: out / (vs.sum(vs.abs(weights), "m") + 1))

    # -- sums along positions ---------------------------------------------------------------------

    def sums(self, q, k, v):
        """Causal sums whose state does not grow, means, weights by distance."""
        k, v = (x.rename(m="n") if self.alone else x for x in (k, v))
        if not self.alone:
            return self.pairs(q, k, v)
        keys, values = k.rename(n="m"), v.rename(n="m")
        n, m = vs.iota("n"), vs.iota("m:n")
        far, past = vs.to_float(n - m), m <= n
        fading = vs.exp(-vs.softplus(self.wires["rate"]) * far)

        def total(x):
            return vs.sum(vs.where(past, x.rename(n="m"), 0.0), "m")

        def mixed(weights):
            return vs.contract(vs.where(past, weights, 0.0), values, over="m")

        level = vs.exp(vs.sum(k, "c"))
        return self.one(
            lambda: mixed(dot(q, keys)),
            lambda: mixed(dot(vs.elu(q) + 1, vs.elu(keys) + 1) * fading),
            lambda: mixed(fading) + 0 * vs.sum(q, "c"),
            lambda: total(level * v) / total(level),
            lambda: total(v) + vs.sum(q, "c"),
            lambda: vs.contract(
                vs.softmax(self.wires["bias"] + vs.sum(keys, "c"), "m"), values, over="m"
            ),
        )

    def scans(self, q, k, v):
        """States: running sums, gates, a state that is a matrix."""
        if not self.alone:
            return self.pairs(q, k, v)
        k, v = k.rename(m="n"), v.rename(m="n")

        @vs.diagram
        def gated(s: "e", f: "", x: "e") -> {"s": "e", "each": "e"}:
            s = vs.sigmoid(f) * s + (1 - vs.sigmoid(f)) * x
            return {"s": s, "each": s}

        @vs.diagram
        def deep(s: "e", f: "", x: "e") -> {"s": "e", "each": "e"}:
            s = vs.tanh(f * s + x)
            return {"s": s, "each": s}

        @vs.diagram
        def corrected(s: "c e", q: "c", k: "c", v: "e") -> {"s": "c e", "each": "e"}:
            s = vs.exp(-q * q) * s + k * (v - dot(k, s) / (vs.size("c") + 1))
            return {"s": s, "each": dot(q, s)}

        gates, start = vs.sum(q, "c"), vs.expand(0.0, "e")
        matrix = vs.expand(0.0, "c e")
        return self.one(
            lambda: vs.scan(gated, over="n", states=[start], sequences=[gates, v])[1],
            lambda: vs.scan(deep, over="n", states=[start], sequences=[gates, v])[1],
            lambda: vs.scan(corrected, over="n", states=[matrix], sequences=[q, vs.tanh(k), v])[1],
        )

    def products(self, q, k, v):
        """Products in an expensive order, and transforms."""
        n, m = vs.to_float(vs.iota("n")), vs.to_float(vs.iota("m:n"))
        real, imaginary = vs.fourier(vs.sum(q, "c"), over="n")
        other, crossed = vs.fourier(vs.sum(self.wires["bias"], "m"), over="n")
        real, imaginary = real * other - imaginary * crossed, real * crossed + imaginary * other
        waves = vs.cos(n * m * vs.divide(6.283185307179586, vs.size("n")))
        return self.one(
            lambda: vs.contract(dot(q, k), v, over="m"),
            lambda: vs.contract(waves, v, over="m") if self.alone else dot(q, k) * vs.sum(v, "e"),
            lambda: vs.fourier(real, imaginary, over="n", inverse=True)[0],
            lambda: vs.sum(q * q, "c") * vs.sqrt(vs.sum(k * k, "c") + 0.1),
        )
