"""What the programs share that make pages and pictures which are kept in the repository."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
sys.path.insert(0, str(HERE.parent))  # this tree's library, installed or not


def write(files: Mapping[Path, str]) -> None:
    """Write texts to files, with the same bytes on every system."""
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
