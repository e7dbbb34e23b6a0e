"""From the exponential kernel to others: related, not equal."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import rule


@rule("variant")
def exponential_to_elu_kernel(q: "c", k: "c") -> "":
    """exp(q·k) → φ(q)·φ(k), φ = elu + 1 (Transformers are RNNs, arXiv 2006.16236)"""
    return (
        vs.exp(vs.contract(q, k, over="c")),
        vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c"),
    )


@rule("variant")
def scaled_exponential_to_elu_kernel(q: "c", k: "c", w: "") -> "":
    """exp(w·(q·k)) → φ(q)·φ(k), φ = elu + 1 (Transformers are RNNs, arXiv 2006.16236)"""
    features = vs.contract(vs.elu(q) + 1, vs.elu(k) + 1, over="c")
    return vs.exp(w * vs.contract(q, k, over="c")), vs.like(features, w)
