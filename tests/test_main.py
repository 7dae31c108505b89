"""The composition root: joined, running, ending."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.main import gateway
from gateway.running import run
from gateway.sending.worker import OutboxWorker
from gateway.serving import listen
from gateway.settings import Settings
from storage import Transaction, accounts, folders, gaps, mailboxes
from storage.folders import WellKnown
from tests.fakes.clock import FakeClock


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


async def test_a_start_after_days_knows_since_when_the_gateway_was_down(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = Settings(database=tmp_path / "gateway.db", port=0)
    async with gateway(settings, clock=clock) as built:
        await built.recover()
        inbox_id = await built.store.write(a_watched_inbox, clock)
    was_last_there = clock.now()
    clock.advance(timedelta(days=3))
    async with gateway(settings, clock=clock) as built:
        await built.recover()
        (gap,) = await built.store.read(gaps.not_closed, [inbox_id])
    assert (gap.reason, gap.began_at, gap.ended_at) == (gaps.Reason.GATEWAY_DOWN, was_last_there, clock.now())


def a_watched_inbox(tx: Transaction, clock: FakeClock) -> str:
    (account,) = accounts.all_of_them(tx)
    mailbox = mailboxes.add(tx, account.id, "office@school.example", now=clock.now())
    mailboxes.mark_validated(tx, mailbox.id, user_id="u-office", display_name=None, now=clock.now())
    folders.watch(tx, account.id, mailbox.id, WellKnown.INBOX, folder_id="AAMk", since=clock.now(), now=clock.now())
    return folders.of_mailbox(tx, mailbox.id)[0].id
