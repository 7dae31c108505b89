"""The composition root: joined, running, ending."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.main import gateway, listen, run
from gateway.sending.worker import OutboxWorker
from gateway.settings import Settings


class DyingWorker(OutboxWorker):
    """A worker with a fault that nobody foresaw."""

    def __init__(self) -> None:
        pass

    async def recover(self) -> None:
        pass

    async def run(self, tick: asyncio.Event) -> None:
        raise LookupError("a fault of ours")


class IdleWorker(DyingWorker):
    """A worker that stops working without a word."""

    async def run(self, tick: asyncio.Event) -> None:
        return


@pytest.mark.parametrize(("worker", "error"), [(DyingWorker, LookupError), (IdleWorker, RuntimeError)])
async def test_a_dead_worker_ends_everything(
    tmp_path: Path, worker: type[OutboxWorker], error: type[Exception]
) -> None:
    settings = Settings(database=tmp_path / "gateway.db", port=0)
    async with gateway(settings) as built:
        broken = replace(built, outbox=worker())
        with listen("127.0.0.1", 0) as listener, pytest.RaisesGroup(pytest.RaisesGroup(error), allow_unwrapped=False):
            await run(broken, listener, asyncio.Event())


async def test_it_stops_when_told_to(tmp_path: Path) -> None:
    stop = asyncio.Event()
    async with gateway(Settings(database=tmp_path / "gateway.db", port=0)) as built:
        with listen("127.0.0.1", 0) as listener:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(run(built, listener, stop))
                stop.set()
                async with asyncio.timeout(20):
                    await running
        assert built.stopping.is_set()


async def test_it_is_not_ready_before_recovery_is_done(tmp_path: Path) -> None:
    async with gateway(Settings(database=tmp_path / "gateway.db", port=0)) as built:
        before = {part.name: part.ok for part in (await built.health.readiness()).parts}
        await built.recover()
        after = {part.name: part.ok for part in (await built.health.readiness()).parts}
    assert before["recovery"] is False
    assert after["recovery"] is True
    assert after["store"] is True
