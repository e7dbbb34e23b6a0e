"""The `vesalius` command: its verbs, what they are asked, and what they tell."""

from __future__ import annotations

import sys

from vesalius.cli.arguments import message
from vesalius.cli.verbs import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command. Errors that are the user's are one message, and the exit status 1."""
    try:
        app(prog_name="vesalius")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        from vesalius.diagrams.errors import VesaliusError

        if not isinstance(error, VesaliusError):
            raise
        _fail(message(error))


def _fail(text: str) -> None:
    print(f"vesalius: {text}", file=sys.stderr)
    sys.exit(1)
