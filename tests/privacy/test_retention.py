"""Retention by age: off by default, by rules, in steps, with receipts; the audit log too."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

import storage
from gateway.privacy.erasing import EXPIRED_AT_ONCE, Eraser
from gateway.privacy.retention import EVERY, Retention
from storage import Store, Transaction, audit, erasures, messages, retention, threads
from storage.erasures import What
from storage.threads import Object, ObjectType
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.storage import scene as rows
from tests.storage.scene import Scene

DAY = timedelta(days=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def scene(store: Store) -> Scene:
    return await store.write(rows.build)


@pytest.fixture
def chore(store: Store) -> Retention:
    clock = FakeClock()
    return Retention(store, Eraser(store, clock), clock)


def a_thread(tx: Transaction, scene: Scene, name: str, age: int, *types: ObjectType, state: str | None = None) -> None:
    """A thread whose last message is `age` days old."""
    at = A_MONDAY - age * DAY
    thread_id = threads.create(tx, scene.account_id, scene.mailbox_id, subject=name, now=at)
    threads.link(tx, scene.account_id, thread_id, [Object(type=one, id="1") for one in types or (ObjectType.CLASS,)])
    if state is None:
        messages.insert(tx, rows.a_message(scene, f"msg_{name}", thread_id=thread_id, message_at=at))
    else:
        rows.post(tx, scene, f"msg_{name}", state=state)
        tx.execute("UPDATE messages SET thread_id = ?, message_at = ? WHERE id = ?", (thread_id, at, f"msg_{name}"))
    threads.summarise(tx, thread_id)


async def left(store: Store) -> set[str]:
    found = await store.read(lambda tx: [row["subject"] for row in tx.execute("SELECT subject FROM threads")])
    return set(found) - {"Your enrolment"}


async def test_without_a_rule_all_is_kept_for_ever(store: Store, scene: Scene, chore: Retention) -> None:
    await store.write(a_thread, scene, "ancient", 30_000)
    assert await chore.run_due() == 0
    assert await left(store) == {"ancient"}


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({"threads": 365}, {"young student", "young class"}),
        ({"student": 365}, {"young student", "young class", "old class"}),
        ({"threads": 50, "student": 500}, {"young student", "old student", "old both"}),
        ({"class": 50, "student": 500}, {"young student", "old student", "old both"}),
        ({"audit": 1}, {"young student", "young class", "old student", "old class", "old both"}),
    ],
    ids=["all", "students", "all but students", "two types", "the log alone"],
)
async def test_the_longest_rule_of_a_threads_records_counts_and_else_the_one_for_all(
    store: Store, scene: Scene, chore: Retention, rules: dict[str, int], kept: set[str]
) -> None:
    student, group = ObjectType.STUDENT, ObjectType.CLASS
    for name, age, types in (
        ("young student", 100, (student,)),
        ("young class", 100, (group,)),
        ("old student", 400, (student,)),
        ("old class", 400, (group,)),
        ("old both", 400, (student, group)),
    ):
        await store.write(a_thread, scene, name, age, *types)
    await store.write(retention.set_rules, scene.account_id, rules)
    before, _ = await chore.preview(scene.account_id)
    assert await left(store) == {"young student", "young class", "old student", "old class", "old both"}
    assert await chore.run_due() == before.threads == 5 - len(kept)
    assert await left(store) == kept


async def test_a_thread_goes_when_its_last_message_is_older_than_the_rule_not_on_the_day(
    store: Store, scene: Scene, chore: Retention
) -> None:
    await store.write(a_thread, scene, "on the day", 365)
    await store.write(a_thread, scene, "a day before", 366)
    await store.write(retention.set_rules, scene.account_id, {"threads": 365})
    await chore.run_due()
    assert await left(store) == {"on the day"}


@pytest.mark.parametrize("state", ["accepted", "needs_review"])
async def test_what_is_on_its_way_is_waited_for(store: Store, scene: Scene, chore: Retention, state: str) -> None:
    await store.write(a_thread, scene, "waits", 400, state="accepted")
    if state == "needs_review":
        await store.write(
            lambda tx: tx.execute("UPDATE outbox SET state = ?, next_attempt_at = NULL, problem = '{}'", (state,))
        )
    await store.write(retention.set_rules, scene.account_id, {"threads": 365})
    assert await chore.run_due() == 0
    assert await left(store) == {"waits"}


async def test_many_go_in_steps_each_with_a_receipt(store: Store, scene: Scene, chore: Retention) -> None:
    for number in range(EXPIRED_AT_ONCE + 3):
        await store.write(a_thread, scene, f"old {number}", 400 + number)
    await store.write(retention.set_rules, scene.account_id, {"threads": 365})
    assert await chore.run_due() == EXPIRED_AT_ONCE + 3
    found = await store.read(erasures.newest, scene.account_id, limit=9)
    assert {one.what for one in found} == {What.RETENTION}
    assert sorted(one.removed["rows"]["threads"] for one in found) == [3, EXPIRED_AT_ONCE]
    assert all(one.purged_at is not None for one in found)
    assert [one.proof["left"] for one in found if one.proof is not None] == [0]
    told = await store.read(audit.newest, scene.account_id, limit=9)
    assert [one.act for one in told] == ["retention.expire", "retention.expire"]


async def test_it_is_done_once_a_day(store: Store, scene: Scene) -> None:
    clock = FakeClock()
    chore = Retention(store, Eraser(store, clock), clock)
    await store.write(retention.set_rules, scene.account_id, {"threads": 365})
    await chore.run_due()
    await store.write(a_thread, scene, "old", 400)
    assert await chore.run_due() == 0
    clock.advance(EVERY)
    assert await chore.run_due() == 1


async def test_the_audit_log_is_kept_as_long_as_its_rule_says(store: Store, scene: Scene, chore: Retention) -> None:
    for age in (40, 31, 29):
        await store.write(audit.record, scene.account_id, audit.SYSTEM, f"day.{age}", {}, now=A_MONDAY - age * DAY)
    await store.write(retention.set_rules, scene.account_id, {"audit": 30})
    assert (await chore.preview(scene.account_id))[1] == 2
    await chore.run_due()
    assert [one.act for one in await store.read(audit.newest, scene.account_id, limit=9)] == ["audit.forget", "day.29"]
