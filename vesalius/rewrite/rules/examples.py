"""Worked examples of the schemas: pieces of mechanisms in which they are found."""

from __future__ import annotations

from vesalius.diagrams import verbs as vs
from vesalius.diagrams.trace import diagram
from vesalius.rewrite.rules import fusion, linearity, named, reindexing, scans
from vesalius.rewrite.rules.worked import worked


@worked(reindexing.reindex_late)
def keys_of_a_window(x: "n d", wk: "d c") -> "n_:n-3 w:4 c":
    """Each window of tokens makes its keys anew, although windows overlap."""
    near = vs.window(x, "n", "n_ w:4")
    return vs.contract(near, wk, over="d")


@worked(reindexing.reindex_early)
def queries_of_the_last_token(x: "n d", wq: "d c") -> "n:1 c":
    """Only the last query is wanted, as when one token is generated."""
    q = vs.contract(x, wq, over="d")
    return vs.slice(q, "n", vs.size("n") - 1, length=1)


@worked(reindexing.concat_late)
def keys_of_a_prefix_and_a_token(prefix: "p d", token: "t d", wk: "d c") -> "m:p+t c":
    """The keys of old tokens are there already: a cache."""
    y = vs.concat(prefix, token, over=("p", "t"), into="m")
    return vs.contract(y, wk, over="d")


@worked(linearity.linear_of_multiple)
def windows_of_gated_channels(gate: "d", x: "n d") -> "n_:n-3 w:4 d":
    """A gate for each channel, before the windows of a convolution."""
    return vs.window(gate * x, "n", "n_ w:4")


@diagram
def read(state: "d", token: "d") -> {"state": "d", "seen": "d"}:  # type: ignore[misc]
    """A recurrent network that forgets everything."""
    return {"state": state, "seen": vs.tanh(token)}


@worked(scans.scan_without_state)
def a_network_that_forgets(x: "n d") -> "n d":
    """What does not read its state needs no order."""
    _, seen = vs.scan(read, over="n", states=[vs.expand(0.0, "d")], sequences=[x])
    return seen


@diagram
def add_up(total: "d", token: "d") -> {"total": "d", "before": "d"}:  # type: ignore[misc]
    """One step of a running sum."""
    return {"total": total + token, "before": total}


@worked(scans.prefix_of_scan)
def running_sum(x: "n d") -> "n d":
    """What came before each token, added up: the state of linear attention."""
    _, before = vs.scan(add_up, over="n", states=[vs.expand(0.0, "d")], sequences=[x])
    return before


@worked(fusion.compute_in_the_loop)
def running_sum_of_keys(x: "n d", wk: "d c") -> "n c":
    """The keys are made one by one, each when the loop comes to it."""
    k = vs.contract(x, wk, over="d").rename(c="d")
    _, before = vs.scan(add_up, over="n", states=[vs.expand(0.0, "d:c")], sequences=[k])
    return before.rename(d="c")


@worked(fusion.read_in_the_loop)
def queries_of_running_sums(q: "n d", x: "n d") -> "n":
    """Each query reads the state of its moment, and no other is kept."""
    _, before = vs.scan(add_up, over="n", states=[vs.expand(0.0, "d")], sequences=[x])
    return vs.contract(q, before, over="d")


@worked(scans.unroll_scan)
def three_steps(x: "n:3 d") -> "d":
    """A recurrence of three steps, written out."""
    total, _ = vs.scan(add_up, over="n", states=[vs.expand(0.0, "d")], sequences=[x])
    return total


@diagram
def centre(x: "d") -> "d":
    """A norm without its division."""
    return x - vs.mean(x, "d")


@worked(named.unfold_named)
def centred_tokens(x: "n d") -> "n d":
    """A box with a name, as a block has for its norms."""
    return centre.boxed(x)
