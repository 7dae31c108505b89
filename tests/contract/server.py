"""A gateway with a school in it, in a process of its own: nothing behind it, so that all it does is answer."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

import orjson

from gateway.serving import listen, server_for
from storage import open_store
from tests.fakes.clock import FakeClock
from tests.http.matrix import set_stage
from tests.http.scene import build

MOMENT_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where it is, and a key that may do all."""

    url: str
    key: str
    pid: int


class Impatient(FakeClock):
    """Stands still, but lets nobody wait for long: a long poll for which nothing comes would never be answered."""

    async def sleep(self, duration: timedelta) -> None:
        """A moment, in place of whatever was asked for."""
        await asyncio.sleep(min(duration.total_seconds(), MOMENT_S))


async def serve(out: IO[bytes]) -> None:
    """Say where, then answer until the process is ended."""
    with tempfile.TemporaryDirectory() as folder, listen("127.0.0.1", 0) as listener:
        async with open_store(Path(folder) / "gateway.db") as store:
            scene = (await build(store, Impatient())).with_settings(requests_per_minute=0)
            await set_stage(scene)
            host, port = listener.getsockname()
            out.write(orjson.dumps({"url": f"http://{host}:{port}", "key": scene.key}) + b"\n")
            out.flush()
            server = server_for(scene.app)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
            await server.serve(sockets=[listener])


@contextmanager
def served() -> Iterator[Served]:
    """One that runs as long as the block."""
    command = [sys.executable, "-m", "tests.contract.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stdout is not None
        try:
            yield Served(**orjson.loads(process.stdout.readline()), pid=process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve(sys.stdout.buffer))
