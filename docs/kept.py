"""What the programs share that make pages and pictures."""

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


def renew(folder: Path, made: Mapping[str, str]) -> None:
    """Write files into a folder; what is there already and the same stays as it is."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
