"""The processes of a benchmark: each gets its plan as one line of JSON on stdin and says what it has to in such lines.

The end of its stdin tells it to stop, so that none outlives the benchmark, however that ends.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import orjson

ROOT: Final = Path(__file__).parents[2]
OF_KIB: Final = 1024 / 1_000_000
PATIENCE_S: Final = 60


class Broken(Exception):
    """A benchmark that proves nothing: something did not answer, or what was answered is not so."""


class Child:
    """`python -m module`, with a dataclass as its plan."""

    def __init__(self, module: str, plan: Any) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(plan) + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def heard(self) -> Any:
        """The next thing it says. Raises `Broken` when it has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Broken(f"{self._module} ended with exit code {self._process.wait(PATIENCE_S)}")
        return orjson.loads(line)

    def processor_time(self) -> float:
        """How many seconds of its processor it has used until now. For children that are in `told_to_stop`."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return float(self.heard())

    def memory_mb(self, which: Literal["VmRSS", "VmHWM"]) -> float | None:
        """What it has in memory now, or had at most, in 10^6 bytes. None where the system does not tell, or no more."""
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        line = next((one for one in lines if one.startswith(which)), None)
        return None if line is None else int(line.split()[1]) * OF_KIB

    def tell(self, what: Any) -> None:
        """Give an order. For children that read `orders`."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(what) + b"\n")
        self._process.stdin.flush()

    def ask_to_stop(self) -> None:
        """It ends in its own time; what it still says can be heard."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """`kill -9`, unless it has ended."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def plan_from_stdin() -> dict[str, Any]:
    """For the child: what it was given."""
    plan: dict[str, Any] = orjson.loads(sys.stdin.readline())
    return plan


def say(what: Any) -> None:
    """For the child: tell the benchmark a dataclass, or anything else that JSON can hold."""
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


async def orders() -> AsyncIterator[dict[str, Any]]:
    """For the child: what the benchmark wants next, until it wants no more, or is gone; see `Child.processor_time`."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            yield orjson.loads(line)
        else:
            say(time.process_time())


async def told_to_stop() -> None:
    """For the child: come back when the benchmark wants no more of it, or is gone; see `Child.processor_time`."""
    while await asyncio.to_thread(sys.stdin.readline):
        say(time.process_time())
