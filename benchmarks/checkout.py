"""This tree: benchmarks measure the code beside them, whatever else is installed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if str(ROOT) not in sys.path:
    sys.path.insert(1, str(ROOT))
