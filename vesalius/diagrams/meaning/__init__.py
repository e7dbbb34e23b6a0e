"""The meaning of a diagram: one evaluator, several algebras."""

from vesalius.diagrams.meaning.evaluate import algebra_named, evaluate

__all__ = ["algebra_named", "evaluate"]
