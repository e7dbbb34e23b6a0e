"""Search: equality saturation over a typed e-graph with slots.

    found = vs.search(diagram, cost="flops", at={"n": 4096, "c": 64})
    found.end, found.before, found.after       # a derivation: it replays, draws and is checked

From the inside out: `egraph` holds what is equal, `local` matches rules there, `regroup` and
`erase` add what holds by the representation, `saturate` runs rounds within bounds, `price` and
`extract` say what is cheapest, `choose` takes it, `recover` finds the derivation, and
`optimum` is the verb.
"""

from vesalius.rewrite.search.optimum import Found, Statistics, search

__all__ = ["Found", "Statistics", "search"]
