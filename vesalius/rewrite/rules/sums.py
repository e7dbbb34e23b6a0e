"""Sums and products: distributivity in its several uses. The engine of linear attention."""

from vesalius.diagrams import verbs as vs
from vesalius.rewrite.rule import many, rule


@rule("equal")
def pull_out_of_sum(ws: many(""), xs: many("j")) -> "":
    """Σ_j w·x_j = w·Σ_j x_j"""
    return vs.contract(ws, xs, over="j"), vs.contract(ws, vs.contract(xs, over="j"))


@rule("equal")
def reassociate(q: "r", k: "r j", v: "j") -> "":
    """Σ_j (Σ_r q_r·k_rj)·v_j = Σ_r q_r·(Σ_j k_rj·v_j)"""
    scores = vs.contract(q, k, over="r")
    return (
        vs.contract(scores, v, over="j"),
        vs.contract(q, vs.contract(k, v, over="j"), over="r"),
    )


@rule("equal")
def scale_one_factor(w: "", x: "j", y: "j") -> "":
    """w·(Σ_j x_j·y_j) = Σ_j (w·x_j)·y_j"""
    return w * vs.contract(x, y, over="j"), vs.contract(w * x, y, over="j")


@rule("equal")
def sum_of_sums(x: "j", y: "j") -> "":
    """Σ_j (x_j + y_j) = Σ_j x_j + Σ_j y_j"""
    return vs.sum(x + y, "j"), vs.sum(x, "j") + vs.sum(y, "j")


@rule("equal")
def distribute(w: "", x: "", y: "") -> "":
    """w·(x + y) = w·x + w·y"""
    return w * (x + y), w * x + w * y


@rule("equal")
def contract_a_sum(w: "j", x: "j", y: "j") -> "":
    """Σ_j w_j·(x_j + y_j) = Σ_j w_j·x_j + Σ_j w_j·y_j"""
    return (
        vs.contract(w, x + y, over="j"),
        vs.contract(w, x, over="j") + vs.contract(w, y, over="j"),
    )
