"""Messages of a release that had no search: found bit by bit, and where it stopped it goes on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.threads.indexing import AT_ONCE, PAUSE, Indexer, sentence
from gateway.threads.search import ask, search
from storage import Store, Transaction, messages, open_store, placements, search_backlogs
from storage.messages import BodyType, Placement
from storage.migrate import bring_up_to_date, released
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.storage.scene import Scene, a_message, build

SEARCH = next(step.version for step in released() if step.name.endswith("_search.sql"))
STORED = 2 * AT_ONCE + 7


def an_old_file(path: Path) -> Scene:
    """As a release without search left it."""
    with closing(sqlite3.connect(path, factory=Transaction, isolation_level=None)) as tx:
        bring_up_to_date(tx)
        scene = build(tx)
        for number in range(STORED):
            at = A_MONDAY + timedelta(days=number)
            placement = Placement.HELD if number == 3 else Placement.PLACED
            body = f"<p>Kia ora</p><style>hidden</style><p>number{number}</p>"
            messages.insert(
                tx,
                a_message(
                    scene,
                    f"msg_{number:03}",
                    message_at=at,
                    placement=placement,
                    body=body,
                    body_type=BodyType.HTML,
                    new_text="new words" if number == 5 else None,
                ),
            )
        tx.execute("DELETE FROM searched")
        tx.execute("UPDATE messages SET search_id = NULL")
        tx.execute("INSERT INTO search_backlogs (account_id) SELECT id FROM accounts")
        return scene


@pytest.fixture
def scene(path: Path) -> Scene:
    return an_old_file(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def store(scene: Scene, path: Path) -> AsyncIterator[Store]:
    async with open_store(path) as store:
        yield store


async def found(store: Store, scene: Scene, text: str) -> list[str]:
    page = await store.read(search, scene.account_id, ask(text), limit=5)
    return [match.message_id for thread in page.threads for match in thread.matches]


def check(tx: Transaction) -> int:
    tx.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
    return int(tx.execute("SELECT count(*) FROM searched").fetchone()[0])


def test_the_file_of_the_release_before_is_put_on_the_list() -> None:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as tx:
        bring_up_to_date(tx, [step for step in released() if step.version < SEARCH])
        tx.execute(
            "INSERT INTO messages (id, account_id, mailbox_id, thread_id, direction, kind, placement, subject,"
            " recipients, body_type, body, preview, attachments, message_at, created_at)"
            " VALUES ('m', 'acc', 'mbx', 'thr', 'in', 'mail', 'placed', '', '{}', 'text', '', '', '[]', 0, 0)"
        )
        bring_up_to_date(tx)
        assert [one.account_id for one in search_backlogs.backlogs(tx)] == ["acc"]


async def test_everything_is_found_in_the_end_and_each_step_is_small(store: Store, scene: Scene) -> None:
    indexer = Indexer(store, FakeClock())
    assert await found(store, scene, "number1") == []
    assert await indexer.step()
    assert await found(store, scene, "number1") == ["msg_001"]
    assert await found(store, scene, f"number{STORED - 1}") == []
    assert sentence(await store.read(search_backlogs.backlogs)) == (
        f"Messages of an earlier release are being made searchable: {AT_ONCE} of {AT_ONCE}."
    )
    while await indexer.step():
        pass
    assert await found(store, scene, f"number{STORED - 1}") == [f"msg_{STORED - 1:03}"]
    assert await found(store, scene, "hidden") == []
    assert await found(store, scene, "number3") == []  # held
    assert await found(store, scene, "number5") == []  # there is new text, and this is not in it
    assert sentence(await store.read(search_backlogs.backlogs)) == "All messages can be found."
    assert await store.write(check) == STORED


async def test_what_comes_meanwhile_is_indexed_once(store: Store, scene: Scene) -> None:
    indexer = Indexer(store, FakeClock())
    await indexer.step()
    await store.write(messages.insert, a_message(scene, "msg_999", new_text="fresh"))
    await store.write(placements.place, "msg_100", Placement.HELD)
    assert await found(store, scene, "fresh") == ["msg_999"]
    while await indexer.step():
        pass
    assert await found(store, scene, "number100") == []
    assert await store.write(check) == STORED + 1


async def test_after_a_restart_it_goes_on_where_it_was(scene: Scene, path: Path) -> None:
    async with open_store(path) as store:
        await Indexer(store, FakeClock()).step()
    async with open_store(path) as store:
        [backlog] = await store.read(search_backlogs.backlogs)
        assert (backlog.indexed, backlog.after_id) == (AT_ONCE, f"msg_{AT_ONCE - 1:03}")


async def test_the_loop_breathes_between_the_steps_and_then_waits(store: Store, scene: Scene) -> None:
    clock, tick = FakeClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Indexer(store, clock).run(tick))
        while await store.read(search_backlogs.backlogs):
            clock.advance(PAUSE)
        task.cancel()
    assert await store.write(check) == STORED
