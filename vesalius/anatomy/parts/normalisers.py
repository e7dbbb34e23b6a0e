"""Normalisers: from scores to weights; each knows what hides a score from it."""

from __future__ import annotations

import math

from vesalius.anatomy.parts.axes import axes_of
from vesalius.anatomy.parts.similarity import talk
from vesalius.diagrams import verbs as vs
from vesalius.diagrams.wire import Wire


def softmax(scores: Wire, allowed: Wire | None) -> Wire:
    """softmax over m; a hidden score is −∞, a row without any key is 0"""
    if allowed is not None:
        scores = vs.where(allowed, scores, float("-inf"))
    return vs.softmax(scores, "m")


def row_sum(scores: Wire, allowed: Wire | None) -> Wire:
    """scores / Σ_m scores; a hidden score is 0"""
    scores = shown(scores, allowed)
    return scores / vs.sum(scores, "m")


def clamped_row_sum(scores: Wire, allowed: Wire | None, least: float = 1e-6) -> Wire:
    """scores / max(Σ_m scores, least); a hidden score is 0"""
    scores = shown(scores, allowed)
    return scores / vs.maximum(vs.sum(scores, "m"), least)


def shown(weights: Wire, allowed: Wire | None) -> Wire:
    """weights, 0 where hidden"""
    return weights if allowed is None else vs.where(allowed, weights, 0.0)


def sigmoid(scores: Wire, allowed: Wire | None) -> Wire:
    """σ(scores − log |m|); a hidden weight is 0"""
    length = vs.log(vs.to_float(vs.constant(scores.axes["m"])))
    return shown(vs.sigmoid(scores + -1 * length), allowed)


def relu_by_length(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores) / |m|; a hidden weight is 0"""
    return shown(vs.relu(scores), allowed) / scores.axes["m"]


def squared_relu(scores: Wire, allowed: Wire | None, eps: float = 1e-6) -> Wire:
    """relu(scores)² / (Σ_m relu(scores)² + eps); a hidden weight is 0"""
    weights = shown(vs.power(vs.relu(scores), 2), allowed)
    return weights / (vs.sum(weights, "m") + eps)


def softmax_one(scores: Wire, allowed: Wire | None, nothing: Wire | float = 0.0) -> Wire:
    """exp(scores) / (1 + Σ_m exp(scores)); a hidden weight is 0"""
    if allowed is not None:
        scores = vs.where(allowed, scores, float("-inf"))
    top = vs.maximum(vs.max(scores, "m"), nothing)
    weights = vs.exp(scores + -1 * top)
    return weights / (vs.exp(nothing + -1 * top) + vs.sum(weights, "m"))


def sink(scores: Wire, allowed: Wire | None) -> Wire:
    """exp(scores) / (exp(b) + Σ_m exp(scores)), b learned for each head; a hidden weight is 0"""
    return softmax_one(scores, allowed, vs.parameter("b", axes_of(scores, "h"), init="zeros"))


def talking_softmax(scores: Wire, allowed: Wire | None) -> Wire:
    """Σ_h R[h,g]·softmax_m(scores)"""
    return talk(softmax(scores, allowed), "r")


def spherical(scores: Wire, allowed: Wire | None, eps: float = 1e-6) -> Wire:
    """scores / √(Σ_m scores² + eps); a hidden weight is 0"""
    weights = shown(scores, allowed)
    return weights / vs.sqrt(vs.contract(weights, weights, over="m") + eps)


def sigmoid_of_bias(scores: Wire, allowed: Wire | None) -> Wire:
    """σ(scores + b), with a learned b; a hidden weight is 0"""
    return shown(vs.sigmoid(scores + vs.parameter("b", "", init="zeros")), allowed)


def relu_by_sum(scores: Wire, allowed: Wire | None, eps: float = 1e-6) -> Wire:
    """relu(scores) / (Σ_m relu(scores) + eps); a hidden weight is 0"""
    weights = shown(vs.relu(scores), allowed)
    return weights / (vs.sum(weights, "m") + eps)


def squared_relu_by_length(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores)² / |m|; a hidden weight is 0"""
    return relu_squares(scores, allowed) / scores.axes["m"]


def relu_squares(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores)²; a hidden weight is 0"""
    return shown(vs.power(vs.relu(scores), 2), allowed)


def relu_squares_of_mean(scores: Wire, allowed: Wire | None) -> Wire:
    """relu(scores / |m|)²; a hidden weight is 0"""
    return relu_squares(scores / scores.axes["m"], allowed)


def laplace(scores: Wire, allowed: Wire | None) -> Wire:
    """½·(1 + erf(√2π·(scores − √½))); a hidden weight is 0"""
    root = math.sqrt(2 * math.pi)
    return shown(0.5 * (1 + vs.erf(root * (scores - math.sqrt(0.5)))), allowed)


def softmax_of_queries(scores: Wire, eps: float = 1e-8) -> Wire:
    """w / Σ_m w, w = softmax_n(scores) + eps: the queries compete for each key"""
    weights = vs.softmax(scores, "n") + eps
    return weights / vs.sum(weights, "m")
