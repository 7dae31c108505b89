"""Real processes of the gateway and the sandbox, started as an operator starts them."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

COMMAND = (sys.executable, "-m", "gateway")


class Process:
    """A running command. Its standard error is read line by line, as JSON logs; nothing is polled."""

    PATIENCE_S = 60

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=_environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.seen: list[bytes] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)  # so that a chatty process never waits for us
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def log_line(self, event: str) -> dict[str, Any]:
        """Wait for the log line with this event."""
        while line := self._lines.get(timeout=self.PATIENCE_S):
            self.seen.append(line)
            fields: dict[str, Any] = orjson.loads(line) if line.startswith(b"{") else {}
            if fields.get("event") == event:
                return fields
        raise AssertionError(f"the process ended before it logged {event!r}: {b''.join(self.seen).decode()}")

    def output_line(self) -> bytes:
        """Wait for the next line of standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def kill(self) -> None:
        """`kill -9`, if it still lives."""
        self.process.kill()
        self._end()

    def terminate(self) -> tuple[int, str]:
        """SIGTERM; the exit code, and what it said until then."""
        self.process.terminate()
        self._end()
        while line := self._lines.get(timeout=self.PATIENCE_S):
            self.seen.append(line)
        return self.process.returncode, b"".join(self.seen).decode()

    def _end(self) -> None:
        self.process.wait(timeout=self.PATIENCE_S)
        self._reader.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()


def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=_environment(env), capture_output=True, text=True, timeout=60, check=False
    )


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "COLUMNS": "200"} | dict(env or {})


def settings(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a gateway that keeps its file in `folder` and takes any free port."""
    return {"GATEWAY_DATABASE": str(folder / "gateway.db"), "GATEWAY_PORT": "0"} | more
