"""The loop that runs for ever: what wakes it, and how it stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from gateway.sending.rules import Allowance
from gateway.sending.worker import OutboxWorker
from storage import StorageUnavailable, Store, claims
from tests.sending.conftest import Office, a_letter
from tests.sending.crashing import Crashes, CrashingStore


@asynccontextmanager
async def running(office: Office, tick: asyncio.Event | None = None) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(office.worker.run(tick or asyncio.Event()))
        yield task
        task.cancel()


async def wait_for_state(office: Office, message_id: str, state: str) -> None:
    with office.store.watching("outbox") as changed:
        while await office.state(message_id) != state:
            await changed.wait()
            changed.clear()


async def test_a_new_letter_wakes_the_worker(office: Office) -> None:
    async with running(office):
        message_id = await office.post()
        await wait_for_state(office, message_id, "submitted")


async def test_a_due_time_wakes_the_worker(office: Office) -> None:
    async with running(office):
        message_id = await office.post(a_letter(send_at=office.clock.now() + timedelta(seconds=30)))
        while await office.state(message_id) == "accepted":
            office.clock.advance(timedelta(seconds=10))
        await wait_for_state(office, message_id, "submitted")


async def test_a_tick_wakes_the_worker(office: Office) -> None:
    tick = asyncio.Event()
    async with running(office, tick):
        message_id = await office.post(a_letter(send_at=office.clock.now() + timedelta(hours=1)))
        await office.store.read(claims.next_due)
        office.clock.advance(timedelta(hours=1))
        tick.set()
        await wait_for_state(office, message_id, "submitted")


async def test_stopped_in_the_middle_of_a_draft_the_letter_is_free_at_once(office: Office) -> None:
    message_id = await office.post()
    office.mail.gate = asyncio.Event()
    drafting = office.mail.event_when(lambda: office.mail.called("create_draft") == 1)
    async with running(office):
        await drafting.wait()
    letter = await office.letter(message_id)
    assert (letter.state, letter.lease_owner) == ("drafting", None)
    office.mail.gate = None
    await office.new_worker().run_due()
    assert await office.state(message_id) == "submitted"


async def test_stopped_in_the_middle_of_a_submission_the_letter_is_uncertain(office: Office) -> None:
    message_id = await office.post()
    sending = office.mail.event_when(lambda: office.mail.called("send_draft") == 1)

    def close_the_gate(step: str) -> None:
        if step == "before send_draft":
            office.mail.gate = asyncio.Event()
            sending.set()

    office.mail.on_call = close_the_gate
    async with running(office):
        await sending.wait()
    letter = await office.letter(message_id)
    assert (letter.state, letter.lease_owner) == ("unknown", None)


async def test_a_full_disk_stops_nothing_for_good_and_forgets_no_202(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    class FullAtFirst(CrashingStore):
        refusals = 0

        async def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
            if work.__name__ == "submitted" and self.refusals < 3:
                self.refusals += 1
                raise StorageUnavailable("full")
            return await super().write(work, *args, **kwargs)

    store = FullAtFirst(office.store, Crashes())
    office.worker = OutboxWorker(cast("Store", store), office.mail, office.clock, owner="patient")
    message_id = await office.post()
    async with asyncio.TaskGroup() as group:
        done = group.create_task(office.worker.run_due())
        while not done.done():
            await office.store.read(claims.next_due)
            if office.clock.sleepers:
                office.clock.advance(timedelta(seconds=2))
    assert (await office.state(message_id), store.refusals) == ("submitted", 3)


async def test_a_hundred_letters_of_one_mailbox_all_leave(office: Office) -> None:
    office.new_worker(allowance=Allowance(letters_per_minute=100))
    async with running(office):
        ids = [await office.post() for _ in range(100)]
        for message_id in ids:
            await wait_for_state(office, message_id, "submitted")
    assert set(office.mail.ledger.values()) == {1}
    assert len(office.mail.ledger) == 100
