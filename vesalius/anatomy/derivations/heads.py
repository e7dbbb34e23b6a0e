"""From many heads to few keys and values."""

from __future__ import annotations

from vesalius.anatomy import parts
from vesalius.anatomy.derivations.registry import DERIVATIONS
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.graph import Diagram
from vesalius.diagrams.trace import diagram
from vesalius.diagrams.wire import Wire
from vesalius.rewrite.derivation import Derivation
from vesalius.rewrite.rules import learners


def _attend(q: Wire, k: Wire, v: Wire) -> Wire:
    """Softmax attention of x on itself, the keys' positions called m."""
    k, v = k.rename(n="m"), v.rename(n="m")
    return parts.weighted_sum(parts.softmax(parts.scaled_dot(q, k), None), v)


def _heads(keys: str, values: str) -> Diagram:
    """Self-attention whose keys and values have these axes; the queries have `h c`."""

    @diagram(name="heads")
    def heads(x: "n d") -> "n d":
        q = vs.linear(x, "d", "h c", name="wq")
        k = vs.linear(x, "d", keys, name="wk" if "h" in keys else "shared")
        v = vs.linear(x, "d", values, name="wv" if "h" in values else "shared")
        return parts.join_heads(_attend(q, k, v))

    return heads


@DERIVATIONS.enter("multihead-to-multiquery", "Multi-head attention to multi-query attention")
def multihead_to_multiquery() -> Derivation:
    """One key and one value for all heads, which a cache then holds once.

    What is left are the functions of a multi-head attention whose heads happen to agree.
    """
    found = Derivation(_heads("h c", "h e"))
    found = found.reach(learners.share_over_heads, _heads("c", "h e"))
    return found.reach(learners.share_over_heads, _heads("c", "e"))


def _groups(share_keys: bool, share_values: bool) -> Diagram:
    """Self-attention with heads in groups: g groups of r heads each."""

    @diagram(name="groups")
    def groups(x: "n d") -> "n d":
        def projected(shared: bool, channels: str, name: str) -> Wire:
            if not shared:
                return vs.linear(x, "d", f"g r {channels}", name=name)
            # The axis of groups stands first, as it does where the rule leaves it.
            weight = vs.parameter("shared", f"g d {channels}", fan="d")
            return vs.contract(x, weight, over="d")

        q = vs.linear(x, "d", "g r c", name="wq")
        k, v = projected(share_keys, "c", "wk"), projected(share_values, "e", "wv")
        return vs.linear(_attend(q, k, v), "g r e", "d", name="wo")

    return groups


@DERIVATIONS.enter("multihead-to-grouped-query", "Multi-head attention to grouped-query attention")
def multihead_to_grouped_query() -> Derivation:
    """One key and one value for each group of heads; with one group it is multi-query attention."""
    found = Derivation(_groups(False, False))
    found = found.reach(learners.share_over_heads, _groups(True, False))
    return found.reach(learners.share_over_heads, _groups(True, True))
