"""The `vesalius` command: its verbs, what they are asked, and what they tell."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Importing verbs enters them, in the order of `--help`.
from vesalius.cli import verbs, measures  # isort: skip
from vesalius.cli.app import app
from vesalius.cli.arguments import message

__all__ = ["app", "main", "measures", "verbs"]


def main() -> None:
    """Run the command. Errors that are the user's are one message, and the exit status 1."""
    try:
        with _ended_by_who_reads():
            app(prog_name="vesalius")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        from vesalius.diagrams.errors import VesaliusError

        if not isinstance(error, VesaliusError):
            raise
        _fail(message(error))


@contextmanager
def _ended_by_who_reads() -> Iterator[None]:
    """Where nobody reads on, as in `vesalius list | head -1`, end as other commands do."""
    pipe = getattr(signal, "SIGPIPE", None)
    before = signal.signal(pipe, signal.SIG_DFL) if pipe is not None else None
    try:
        yield
    finally:
        if pipe is not None:
            signal.signal(pipe, before)


def _fail(text: str) -> None:
    print(f"vesalius: {text}", file=sys.stderr)
    sys.exit(1)
