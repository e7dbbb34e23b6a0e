"""One peer's long-lived process: ``.peers/bin/python benchmarks/worker.py NAME``.

Speaks JSON lines. A worker says hello, ``{"ready": true, "version": ...}``; a request is
``{"operation", "arguments", "kind", "collect", "batch"}``; the answers to it are
``{"phase": "running"}`` when its preparation is over, then ``{"value", "batch", "preparation"}``
or ``{"error"}``. End of input ends the worker. Whatever a peer prints goes to standard error.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from sampling import Operation, measure

Operations = Mapping[str, Callable[..., Operation]]


def answer(operations: Operations, request: dict[str, Any], say: Callable[..., None]) -> None:
    """Take the one sample that ``request`` asks for, and say it."""
    operation = operations[request["operation"]](**request["arguments"])
    sample = measure(
        operation,
        request["kind"],
        collect=request["collect"],
        batch=request["batch"],
        running=lambda: say(phase="running"),
    )
    say(value=sample.value, batch=sample.batch, preparation=sample.preparation)


def serve(operations: Operations, version: str, requests: TextIO, answers: TextIO) -> None:
    """Answer every line of ``requests`` until they end."""

    def say(**fields: object) -> None:
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    say(ready=True, version=version)
    for line in requests:
        try:
            answer(operations, json.loads(line), say)
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}")


def main(name: str) -> None:
    """Load ``workers/NAME.py`` and serve its ``OPERATIONS``."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    module = importlib.import_module(f"workers.{name}")
    version = importlib.metadata.version(module.DISTRIBUTION)
    serve(module.OPERATIONS, version, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
