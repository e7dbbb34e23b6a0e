"""The peers: where they are installed, and a client for their worker processes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sampling import Kind, Measurement

BENCHMARKS = Path(__file__).resolve().parent
START_TIMEOUT = 60.0
"""Seconds for a peer to be imported: the slowest takes two, the very first time many."""


class PeerError(Exception):
    """A peer could not be started, or failed at what was asked of it."""


class TooSlowError(Exception):
    """What was asked took longer than it may; ``seconds`` is how long it was given."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"> {seconds:.3g} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Request:
    """One sample wanted from a worker."""

    operation: str
    arguments: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "time"
    collect: bool = False
    batch: int = 1

    def line(self) -> bytes:
        """The request as the line that goes to the worker."""
        return (json.dumps(self.__dict__) + "\n").encode()


class Worker:
    """A long-lived process that answers requests, one JSON line each.

    It starts when first asked. After an overrun it is killed, and starts again when asked again:
    nothing that a peer does can hang the run.
    """

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.command = command
        self.environment = environment
        self.version: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the worker)
        self._buffer = b""

    def sample(self, request: Request, timeout: float) -> Measurement:
        """Take one sample; the preparation and the measurement may take ``timeout`` s each."""
        process = self.start()
        assert process.stdin is not None
        try:
            process.stdin.write(request.line())
            process.stdin.flush()
            answer = self._prepared(timeout)
            if answer.get("phase") == "running":
                answer = self._read(timeout)
        except OSError as error:
            raise self._broken() from error
        if "error" in answer:
            raise PeerError(answer["error"])
        return Measurement(answer["value"], answer["batch"], answer["preparation"])

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def start(self, timeout: float = START_TIMEOUT) -> subprocess.Popen[bytes]:
        """Start the process, unless it is alive."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=self.environment,
            bufsize=0,
        )
        try:
            self.version = self._read(timeout).get("version")
        except TooSlowError as error:
            raise PeerError(f"did not start in {timeout:g} s") from error
        return self._process

    def _prepared(self, timeout: float) -> dict[str, Any]:
        try:
            return self._read(timeout)
        except TooSlowError as error:
            raise PeerError(f"could not be prepared in {timeout:g} s") from error

    def _read(self, timeout: float) -> dict[str, Any]:
        """The next line, within ``timeout`` seconds; otherwise the process is killed."""
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        end = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.close()
                raise TooSlowError(timeout)
            data = os.read(pipe, 1 << 16)
            if not data:
                raise self._broken()
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _broken(self) -> PeerError:
        self.close()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return PeerError(lines[-1] if lines else "ended without a word")


def interpreter() -> Path:
    """The Python of the peers' environment: ``VESALIUS_PEERS``, or ``.peers`` at the root."""
    home = os.environ.get("VESALIUS_PEERS")
    root = Path(home) if home else BENCHMARKS.parent / ".peers"
    return root if root.is_file() else root / "bin" / "python"


def installed() -> bool:
    """Whether there is an environment of peers."""
    return interpreter().exists()


HOW_TO_INSTALL = (
    "the peers are not installed: run `make peers`, or set VESALIUS_PEERS to a virtual "
    "environment that has benchmarks/peers.txt; measuring ours alone"
)


class Pool:
    """The workers of a run, one a peer, started when first needed."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def __getitem__(self, name: str) -> Worker:
        if name not in self._workers:
            command = [str(interpreter()), str(BENCHMARKS / "worker.py"), name]
            environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            self._workers[name] = Worker(command, environment | {"MPLBACKEND": "Agg"})
        return self._workers[name]

    def versions(self) -> dict[str, str]:
        """The versions of the peers that have answered."""
        started = {k.replace("_", "-"): w.version for k, w in self._workers.items()}
        return {name: version for name, version in started.items() if version is not None}

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()
