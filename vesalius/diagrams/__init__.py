"""What a diagram is: sizes, axes, array types, boxes, the diagram, its meaning, its cost.

Importing any module here declares all the primitive boxes.
"""

from vesalius.diagrams.boxes import (  # noqa: F401
    functions,
    indexing,
    learner,
    linear,
    nested,
    pointwise,
    reductions,
    shape,
    sources,
    spectral,
)
