"""Diagrams to draw: the catalogue, some of our own, and random ones."""

import random

import vesalius as vs


@vs.diagram
def attention(q: "n c", k: "m c", v: "m e") -> "n e":
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    return vs.contract(vs.softmax(scores, over="m"), v, over="m")


@vs.diagram
def causal(x: "n d") -> "n d":
    q = vs.linear(x, "d", "h c", name="wq")
    k = vs.linear(x, "d", "h c", name="wk").rename(n="m")
    v = vs.linear(x, "d", "h e", name="wv").rename(n="m")
    scores = vs.contract(q, k, over="c") / vs.sqrt(vs.size("c"))
    seen = vs.less_equal(vs.iota("m:n"), vs.iota("n"))
    weights = vs.softmax(vs.where(seen, scores, float("-inf")), over="m")
    return vs.linear(vs.contract(weights, v, over="m"), "h e", "d", name="wo", bias=True)


@vs.diagram
def norm(x: "n d") -> "n d":
    centred = x - vs.mean(x, "d")
    scale = vs.sqrt(vs.mean(centred * centred, "d") + 1e-5)
    return centred / scale * vs.parameter("gain", "d", init="ones")


@vs.diagram
def block(x: "n d") -> "n d":
    y = x + causal.boxed(norm.boxed(x))
    return y + vs.linear(
        vs.gelu(vs.linear(norm.boxed(y), "d", "f", name="up")), "f", "d", name="down"
    )


@vs.diagram
def encoder(x: "n d") -> "n d":
    for _ in range(12):
        x = block.boxed(x)
    return norm.boxed(x)


@vs.diagram
def several(x: "n c", unused: "n") -> {"best": "n k:3", "places": "{n, k:3} int", "x": "n c"}:
    best, places = vs.topk(x, "c", "k:3")
    return {"best": best, "places": places, "x": x}


@vs.diagram
def learned(x: "n c", y: "m c") -> "n m":
    return vs.learner("score", x, y, binds="c") + vs.random("n m", "normal")


# Everything that ships: each mechanism as it comes, and causal where that is a choice.
SHIPPED = [mechanism() for mechanism in vs.anatomy.CATALOGUE]
SHIPPED += [m(causal=True) for m in vs.anatomy.CATALOGUE if "causal" in m.options]

OWN = [attention, attention.over("b h"), causal, norm, block, encoder, several, learned]


def random_diagram(seed: int, boxes: int) -> vs.Diagram:
    """A diagram of so many boxes of many kinds; the same for the same seed."""
    chance = random.Random(seed)
    with vs.Builder(f"random_{seed}") as builder:
        wires = [
            builder.input(name, axes)
            for name, axes in zip("qkv", ("n c", "m c", "m e"), strict=True)
        ][: chance.randint(1, 3)]
        for step in range(boxes):
            x, y = chance.choice(wires), chance.choice(wires[-4:])
            kind = chance.randrange(9)
            axes = x.names
            if kind == 0 and axes:
                made = vs.softmax(x, over=chance.choice(axes))
            elif kind == 1 and axes:
                made = vs.sum(x, chance.choice(axes))
            elif kind in (2, 3):
                shared = [axis for axis in axes if axis in y.names]
                over = chance.sample(shared, min(len(shared), chance.randint(0, 1)))
                made = vs.contract(x, y, over=tuple(over))
            elif kind == 4 and axes:
                made = vs.linear(x, axes[0], f"a{step}:8", name=f"w_{step}")
            elif kind == 5:
                made = vs.where(vs.less(x, y), x, 0.0)
            elif kind == 6:
                made = vs.tanh(x) * 0.5
            elif kind == 7:
                made = vs.maximum(x, y)
            else:
                made = x + y
            if len(made.names) <= 4:
                wires.append(made)
        return builder.diagram(*wires[-chance.randint(1, 2) :])


SMALL = [random_diagram(seed, 10) for seed in range(12)]
LARGE = [random_diagram(seed, 40) for seed in range(100, 102)]
