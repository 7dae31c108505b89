"""The search index of a busy gateway: no commit merges it, and yet its pieces stay few and nothing gets lost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.threads.merging import PAUSE, Merger
from gateway.threads.search import ask, search
from storage import Store, Transaction, messages, open_store, placements, search_index
from storage.entering import enter
from storage.messages import Placement
from storage.migrate import bring_up_to_date
from tests.fakes.clock import FakeClock
from tests.storage.scene import Scene, a_message, build

STORED = 60
FEW = 4  # of one level: so many are merged


def pieces(tx: Transaction) -> int:
    """How many there are: each has pages of its own, and a page's number begins with its piece's."""
    return int(tx.execute("SELECT count(DISTINCT segid) FROM search_idx").fetchone()[0])


def words_of(number: int) -> str:
    """Some pages of the index."""
    return f"number{number} " + " ".join(f"number{number}x{position}" for position in range(300))


def found(tx: Transaction, scene: Scene, words: str) -> int:
    return len(search(tx, scene.account_id, ask(words), limit=STORED).threads)


def check(tx: Transaction) -> None:
    """Raises when the index is not what the tables say."""
    tx.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def scene(store: Store) -> Scene:
    """A message in each of many commits, as mail comes."""
    scene = await store.write(build)
    for number in range(STORED):
        await store.write(messages.insert, a_message(scene, f"msg_{number:03}", new_text=words_of(number)))
    return scene


async def test_many_messages_of_a_commit_are_one_piece(store: Store) -> None:
    """Of many requests, too, that share a commit."""
    scene = await store.write(build)

    def many(tx: Transaction, first: int) -> None:
        for number in range(first, first + 10):
            messages.insert(tx, a_message(scene, f"msg_{number:02}", new_text="common"))

    await asyncio.gather(store.write(many, 0), store.write(many, 10))
    assert await store.read(found, scene, "common") == 1
    assert await store.read(pieces) == 1
    await store.write(check)


async def test_what_comes_and_goes_within_a_commit_never_was_in_the_index(store: Store) -> None:
    scene = await store.write(build)

    def come_and_go(tx: Transaction) -> None:
        for name in ("msg_deleted", "msg_held"):
            messages.insert(tx, a_message(scene, name, new_text="common"))
        tx.execute("DELETE FROM messages WHERE id = 'msg_deleted'")
        placements.place(tx, "msg_held", Placement.HELD)

    await store.write(come_and_go)
    assert await store.read(pieces) == 0
    await store.write(placements.place, "msg_held", Placement.PLACED)
    assert await store.read(found, scene, "common") == 1
    await store.write(check)


async def test_a_commit_adds_a_piece_and_merges_nothing(store: Store, scene: Scene) -> None:
    assert await store.read(pieces) == STORED


async def test_the_pieces_become_few_and_all_is_found_as_before(store: Store, scene: Scene) -> None:
    clock, tick = FakeClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Merger(store, clock).run(tick))
        while await store.read(pieces) >= FEW:
            clock.advance(PAUSE)
        task.cancel()
    await store.write(check)
    assert [await store.read(found, scene, f"number{number}") for number in (0, STORED - 1, STORED)] == [1, 1, 0]


async def test_with_nothing_to_merge_nothing_is_written(store: Store, scene: Scene) -> None:
    merger = Merger(store, FakeClock())
    while await merger.step():
        pass
    before = await store.read(changes_of_the_file)
    assert not await merger.step()
    assert await store.read(changes_of_the_file) == before


def changes_of_the_file(tx: Transaction) -> int:
    return int(tx.execute("PRAGMA data_version").fetchone()[0])


async def test_a_merge_goes_on_where_the_last_run_left_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    async with open_store(path) as store:
        scene = await store.write(build)
        for number in range(STORED):
            await store.write(messages.insert, a_message(scene, f"msg_{number:03}", new_text=words_of(number)))
        for _ in range(3):
            assert await store.write(search_index.merge, pages=1)
        assert await store.read(pieces) > STORED  # the new one is not finished, those before it are still there
    async with open_store(path) as store:
        while await store.write(search_index.merge, pages=1):
            pass
        assert await store.read(pieces) < FEW
        await store.write(check)
        assert await store.read(found, scene, "number7x100") == 1


def test_a_piece_too_many_is_no_reason_to_refuse_a_commit() -> None:
    """Where nobody merges: FTS5 has room for 2,000 pieces."""
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as tx:
        bring_up_to_date(tx)
        scene = build(tx)
        for number in range(2_100):
            messages.insert(tx, a_message(scene, f"msg_{number:04}", new_text="common"))
            enter(tx)
        assert pieces(tx) < 1_200
        check(tx)
