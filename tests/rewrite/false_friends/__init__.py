"""Tempting rewritings that are wrong.

Every one of them has been made, in code or in print. A checker that certifies one of them is
worth nothing.
"""

from false_friends import corners, draws, linear, positions, softmax
from false_friends.claims import WRONG, equal

__all__ = ["WRONG", "corners", "draws", "equal", "linear", "positions", "softmax"]
