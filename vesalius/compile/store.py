"""Small facts about this machine, kept between runs: a file of JSON for each, in a cache folder.

The folder is `VESALIUS_CACHE` if that is set, else `vesalius` in the user's folder for caches. A
file is written whole under another name and then renamed, so readers find the old or the new one;
of several writers the last one stays. What cannot be read is taken not to be there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Where files are kept."""
    own = os.environ.get("VESALIUS_CACHE")
    if own:
        return Path(own)
    if sys.platform == "win32":
        usual = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        usual = Path.home() / "Library" / "Caches"
    else:
        usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(usual) / "vesalius"


def path_of(what: str, key: Any) -> Path:
    """The file of a fact: what it is about, and a digest of what it holds for."""
    text = json.dumps(key, sort_keys=True)
    return folder() / f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def read(what: str, key: Any) -> Any:
    """What was written for this key, or None where nothing was, or nothing that can be read."""
    try:
        entry = json.loads(path_of(what, key).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(entry, dict) or entry.get("key") != json.loads(json.dumps(key)):
        return None
    return entry.get("value")


def write(what: str, key: Any, value: Any) -> bool:
    """Keep a value for a key; False where the folder cannot be written."""
    path = path_of(what, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"key": key, "value": value}, file, indent=1, sort_keys=True)
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        return False
    return True
