"""What a lowering works with: the text as a whole, one function of it, and one box in that.

`Program` is the text: the classes and functions of named boxes, what they need from elsewhere.
`Scope` is one function: a diagram with a layout, its statements, and where its sizes come from.
`Here` is a box where it stands: its operands as terms, its result's order of axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vesalius.compile import names
from vesalius.compile.folding import Number, fold
from vesalius.compile.layout import Order, is_within, layout
from vesalius.compile.lengths import Solution, size_term, solved
from vesalius.compile.masks import may_hide
from vesalius.compile.text import ANY, ATOM, PRODUCT, Block, Term, apply, index, method
from vesalius.diagrams.box import Box, Node as _Node  # noqa: F401
from vesalius.diagrams.box import Parameter
from vesalius.diagrams.errors import SizeError
from vesalius.diagrams.graph import Diagram, Node
from vesalius.diagrams.sizes import Size
