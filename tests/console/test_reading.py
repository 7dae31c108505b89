"""Reading what the console knows: on one snapshot, and cheap however much is stored."""

import re
from datetime import timedelta
from typing import Final

from gateway.console.snapshot import Snapshot, read_snapshot
from gateway.sending.machine import UNSENT
from gateway.settings import Settings
from storage import Transaction, events, flow, folders, hints, mailboxes, outbox
from storage.folders import WellKnown
from storage.hints import NewHint
from tests.fakes.clock import A_MONDAY
from tests.http.matrix import set_stage
from tests.http.scene import MAILBOX, Scene
from tests.pages.conftest import scene

__all__ = ["scene"]

# These grow with the years; what grows with a school's size, such as `mailboxes` and `folders`, may be read whole.
LARGE: Final = ("messages", "outbox", "events", "hints", "deliveries", "threads", "conversations", "acts", "audit")
LARGER: Final = (*LARGE, "participants", "thread_objects", "spending", "departures", "searched", "round_trips")


def plans(tx: Transaction, scene: Scene) -> list[str]:
    """What SQLite means to do for each statement of a whole look."""
    asked: list[str] = []
    tx.set_trace_callback(asked.append)
    read_snapshot(tx, scene.account_id, settings=Settings(), now=scene.clock.now())
    tx.set_trace_callback(None)
    questions = [one for one in asked if one.lstrip().upper().startswith(("SELECT", "WITH"))]
    return [row["detail"] for one in questions for row in tx.execute(f"EXPLAIN QUERY PLAN {one}")]


async def test_a_look_reads_no_large_table_from_end_to_end(scene: Scene) -> None:
    await set_stage(scene)
    steps = await scene.store.read(plans, scene)
    scans = [step for step in steps if re.match(r"SCAN (\w+)", step)]
    assert len(steps) > 30
    assert [step for step in scans if re.match(rf"SCAN ({'|'.join(LARGER)})\b", step)] == []


async def read(scene: Scene, account_id: str | None = None) -> Snapshot:
    return await scene.store.read(
        read_snapshot, account_id or scene.account_id, settings=Settings(), now=scene.clock.now()
    )


async def test_what_is_read_is_the_accounts_own(scene: Scene) -> None:
    await set_stage(scene)
    other = await read(scene, await scene.new_account("Another school"))
    assert (other.happened.day, other.hooks, other.held_mail.count, other.letters.waiting.count) == ({}, [], 0, 0)
    own = await read(scene)
    assert own.happened.day
    assert own.hooks
    assert own.held_mail.count == 1
    assert own.letters.waiting.count > 0


async def test_what_happened_is_counted_from_the_very_second(scene: Scene) -> None:
    other, minute = await scene.new_account("Another school"), timedelta(minutes=1)
    times = [A_MONDAY + (number // 3) * minute for number in range(120)]

    def happen(tx: Transaction) -> None:
        for at in times:
            for account_id in (scene.account_id, other):
                events.record(tx, account_id, "message.sent", now=at)

    await scene.store.write(happen)
    now = times[-1]
    for hour, day in ((5, 20), (0, 39), (38, 40), (61, 400)):
        since = {"hour": now - timedelta(minutes=hour), "day": now - timedelta(minutes=day)}
        found = await scene.store.read(flow.happened, scene.account_id, **since)
        assert found.hour.get("message.sent", 0) == sum(at >= since["hour"] for at in times)
        assert found.day.get("message.sent", 0) == sum(at >= since["day"] for at in times)
        assert found.is_whole


async def test_hints_that_could_not_be_followed_are_stubborn_once_they_are_old(scene: Scene) -> None:
    now = scene.clock.now()

    def tell(tx: Transaction) -> str:
        box = mailboxes.get_by_address(tx, scene.account_id, MAILBOX)
        folders.watch(tx, scene.account_id, box.id, WellKnown.INBOX, folder_id="f", since=now, now=now)
        [folder] = folders.of_mailbox(tx, box.id)
        for name, age, tried in (("old", 20, True), ("untried", 20, False), ("young", 1, True)):
            new = NewHint(account_id=scene.account_id, folder_id=folder.id, change_type="created", message_id=name)
            hints.insert_for_later(tx, new, retry_at=now, now=now - timedelta(minutes=age))
            if tried:
                [hint] = hints.open_about(tx, folder.id, name)
                hints.postpone(tx, hint, now + timedelta(minutes=10))
        return folder.id

    folder_id = await scene.store.write(tell)
    found = (await read(scene)).boxes[0].watches[0].hints
    assert (found.waiting.count, found.waiting.oldest_at, found.stubborn) == (3, now - timedelta(minutes=20), 1)
    assert await scene.store.write(flow.look_again, folder_id, now=now) == 2
    assert await scene.store.write(flow.look_again, folder_id, now=now) == 0


async def test_letters_that_are_to_leave_later_do_not_wait(scene: Scene) -> None:
    await set_stage(scene)
    before = (await read(scene)).letters.waiting.count

    def put_off(tx: Transaction) -> None:
        letter = outbox.next_to_leave(tx, scene.account_id, UNSENT, now=scene.clock.now(), limit=1)[0]
        later = scene.clock.now() + timedelta(days=1)
        tx.execute("UPDATE outbox SET send_at = ? WHERE message_id = ?", (later, letter.message_id))

    await scene.store.write(put_off)
    assert (await read(scene)).letters.waiting.count == before - 1
