"""What a supervisor hears, on the other end of its socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.notify import Supervisor
from tests.end_to_end.processes import Process, settings
from tests.fakes.clock import FakeClock

PATIENCE_S = 10


class Ear:
    """A supervisor's socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)

    def hears(self) -> str:
        """The next datagram, without what is meant for people."""
        return self.socket.recv(1024).decode().partition("\n")[0]

    def hears_soon(self, what: str) -> bool:
        """Whether it is among the next few datagrams."""
        return any(self.hears() == what for _ in range(3))

    def hears_nothing(self) -> bool:
        """Whether none has come."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1024)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)
        return False


@pytest.fixture(params=["a file", "no file"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    is_file = request.param == "a file"
    heard = Ear(str(tmp_path / "n") if is_file else f"@selma-gateway-test-{os.getpid()}")
    with heard.socket:
        yield heard


async def test_the_event_loop_gives_a_sign_of_life_twice_as_often_as_asked(ear: Ear) -> None:
    clock = FakeClock()
    supervisor = Supervisor.from_env({"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "60000000"})
    living = asyncio.get_running_loop().create_task(supervisor.live(clock))
    for _ in range(3):
        await clock.somebody_sleeps()
        assert ear.hears() == "WATCHDOG=1"
        clock.advance(timedelta(seconds=29))
        await asyncio.sleep(0)
        assert ear.hears_nothing()
        clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0)
    living.cancel()


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"WATCHDOG_USEC": "0"}, id="no time"),
        pytest.param({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, id="another process"),
    ],
)
async def test_nobody_is_told_of_life_who_did_not_ask(asked: dict[str, str], tmp_path: Path) -> None:
    supervisor = Supervisor.from_env({"NOTIFY_SOCKET": str(tmp_path / "notify")} | asked)
    await asyncio.wait_for(supervisor.live(FakeClock()), PATIENCE_S)


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/notify"])
def test_without_a_supervisor_nothing_fails(address: str) -> None:
    Supervisor.from_env({"NOTIFY_SOCKET": address}).ready()


def test_a_supervisor_hears_that_the_process_is_ready_lives_and_stops(tmp_path: Path) -> None:
    ear = Ear(str(tmp_path / "notify"))
    asked = {"NOTIFY_SOCKET": ear.address, "WATCHDOG_USEC": "1000000"}
    with ear.socket, Process("serve", env=settings(tmp_path, **asked)) as process:
        assert ear.hears() == "WATCHDOG=1"
        process.log_line("recovered")
        assert ear.hears_soon("READY=1")
        assert ear.hears() == "WATCHDOG=1"
        code, said = process.terminate()
        assert ear.hears_soon("STOPPING=1")
    assert code == 0, said
