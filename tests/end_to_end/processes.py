"""Real processes of the gateway and the sandbox, started as an operator starts them."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson
from typer.testing import CliRunner

from gateway.cli.app import app

COMMAND: Final = (sys.executable, "-m", "gateway")
LOUD: Final = frozenset({"error", "critical"})


class Ended(AssertionError):
    """A process that ended when it should not have."""


class Process:
    """A running command. What it logs is read line by line, as JSON; nothing is polled.

    `serve` logs on stdout, and there its last words on stderr are read along; other commands log on stderr.

    `under` is a command that runs it, or becomes it: strace, nsenter.
    """

    PATIENCE_S = 60

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, under: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*under, *COMMAND, *arguments],
            env=_environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if "serve" in arguments else subprocess.PIPE,
        )
        self._log = self.process.stderr or self.process.stdout
        self._is_under_another = bool(under)
        self.seen: list[bytes] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)  # so that a chatty process never waits for us
        self._reader.start()

    def _read(self) -> None:
        assert self._log is not None
        for line in self._log:
            self._lines.put(line)
        self._lines.put(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def log_line(self, event: str) -> dict[str, Any]:
        """Wait for the log line with this event. Raises `Ended` when the process does so first."""
        while line := self._lines.get(timeout=self.PATIENCE_S):
            self.seen.append(line)
            fields = _fields(line)
            if fields.get("event") == event:
                return fields
        self._lines.put(b"")  # for whoever asks for the rest
        raise Ended(f"the process ended before it logged {event!r}: {b''.join(self.seen).decode()}")

    def output_line(self) -> bytes:
        """Wait for the next line of standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def lives_until(self, moment: float) -> None:
        """Come back at `moment`, of `time.perf_counter`. Raises `Ended` when the process does not live so long."""
        try:
            code = self.process.wait(timeout=max(0.0, moment - time.perf_counter()))
        except subprocess.TimeoutExpired:
            return
        raise Ended(f"the process ended by itself with exit code {code}: {self.rest()}")

    @property
    def pid(self) -> int:
        """Of the command itself, not of what it runs under: strace takes no signals for it."""
        own = self.process.pid
        if not self._is_under_another:
            return own
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(children[0]) if children else own

    def kill(self) -> None:
        """`kill -9`, if it still lives."""
        self._signal(signal.SIGKILL)
        self._end()

    def terminate(self) -> tuple[int, str]:
        """SIGTERM; the exit code, and what it said until then."""
        self._signal(signal.SIGTERM)
        self._end()
        return self.process.returncode, self.rest()

    def rest(self) -> str:
        """All that it logged, once it has ended."""
        while line := self._lines.get(timeout=self.PATIENCE_S):
            self.seen.append(line)
        self._lines.put(b"")
        return b"".join(self.seen).decode()

    def cries(self) -> list[str]:
        """What it logged as an error, and whole lines that are no log lines, once it has ended."""
        lines = self.rest().splitlines(keepends=True)
        whole = [line.rstrip() for line in lines if line.endswith("\n")]  # a killed process may leave half a line
        return [line for line in whole if _fields(line.encode()).get("level", "error") in LOUD]

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.kill(self.pid, number)

    def _end(self) -> None:
        self.process.wait(timeout=self.PATIENCE_S)
        self._reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def _fields(line: bytes) -> dict[str, Any]:
    """Of a log line; none of anything else."""
    try:
        fields: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields


def run(*arguments: str, env: Mapping[str, str] | None = None, under: Sequence[str] = ()) -> str:
    """Run a command that is to succeed; what it printed."""
    done = tried(*arguments, env=env, under=under)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tried(
    *arguments: str, env: Mapping[str, str] | None = None, under: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is."""
    return subprocess.run(
        [*under, *COMMAND, *arguments], env=_environment(env), capture_output=True, text=True, timeout=60, check=False
    )


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "COLUMNS": "200"} | dict(env or {})


def started(env: Mapping[str, str], *, under: Sequence[str] = ()) -> Process:
    """A gateway that has taken up its work."""
    process = Process("serve", env=env, under=under)
    process.log_line("recovered")
    return process


@dataclass(frozen=True, slots=True, kw_only=True)
class Microsoft:
    """The sandbox of another process: where it is, and what an admin would copy from its portal."""

    url: str
    tenant_id: str
    client_id: str
    client_secret: str
    mailboxes: Sequence[str]
    students: Sequence[str]

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """From what `sandbox --json` prints when it listens."""
        said = orjson.loads(line)
        return cls(
            url=said["url"],
            tenant_id=said["tenant_id"],
            client_id=said["client_id"],
            client_secret=said["client_secret"],
            mailboxes=said["mailboxes"],
            students=[student["address"] for student in said["students"]],
        )


def settings(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a gateway that keeps its file in `folder` and takes any free port."""
    return {"GATEWAY_DATABASE": str(folder / "gateway.db"), "GATEWAY_PORT": "0"} | more


# What is tested with real processes is not the pace that Microsoft 365 allows.
UNHURRIED: Final = {
    "GATEWAY_LETTERS_PER_MINUTE": "100000",
    "GATEWAY_RECIPIENTS_PER_DAY": "1000000",
    "GATEWAY_REQUESTS_PER_10_MINUTES": "1000000",
    "GATEWAY_REQUESTS_PER_MINUTE": "0",
}


def settings_for(microsoft: Microsoft, folder: Path) -> dict[str, str]:
    """The environment of a gateway that works with this sandbox, at the same address after each restart."""
    port = free_port()
    return settings(
        folder,
        GATEWAY_PORT=str(port),
        GATEWAY_PUBLIC_URL=f"http://127.0.0.1:{port}",
        GATEWAY_GRAPH_URL=microsoft.url,
        GATEWAY_LOGIN_URL=microsoft.url,
        GATEWAY_SWEEP_INTERVAL="10",
        **UNHURRIED,
    )


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def connect(env: Mapping[str, str], microsoft: Microsoft, *, under: Sequence[str] = ()) -> str:
    """Connect the school by command line; a key of all scopes.

    Without `under` the commands are given within this process, which has imported what would take a second each.
    """

    def give(*arguments: str, **more: str) -> str:
        return run(*arguments, env={**env, **more}, under=under) if under else said(*arguments, env={**env, **more})

    give(
        *("account", "set", "--tenant-id", microsoft.tenant_id, "--client-id", microsoft.client_id),
        SELMA_CLIENT_SECRET=microsoft.client_secret,
    )
    give("mailboxes", "add", *microsoft.mailboxes)
    made = give("keys", "create", "--scope", "send", "--scope", "read", "--scope", "settings", "--json")
    return str(orjson.loads(made)["key"])


def said(*arguments: str, env: Mapping[str, str]) -> str:
    """As `run`, in this process; not from within an event loop."""
    done = CliRunner().invoke(app, arguments, env=env)
    assert done.exit_code == 0, done.output
    return done.stdout


def a_letter(number: int, microsoft: Microsoft, *, text: str = "Kia ora") -> dict[str, Any]:
    """From each mailbox to each student in turn."""
    return {
        "from": microsoft.mailboxes[number % len(microsoft.mailboxes)],
        "to": [{"name": None, "address": microsoft.students[number % len(microsoft.students)]}],
        "subject": f"Letter {number}",
        "text": text,
        "objects": [{"type": "student", "id": f"S{number}"}],
    }
