"""Many writes in one commit, and what each of their callers is told."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storage
from storage import Transaction, accounts, chores
from storage.measures import Commit
from storage.origins import NOWHERE, ORIGIN, Origin
from storage.store import QUEUE_LIMIT
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import raw


class Broken(Exception):
    pass


def add(tx: Transaction, name: str) -> str:
    return accounts.add(tx, name, now=A_MONDAY).id


def add_and_break(tx: Transaction, name: str) -> None:
    add(tx, name)
    raise Broken(name)


def names(tx: Transaction) -> list[str]:
    return sorted(account.name for account in accounts.all_of_them(tx))


def names_on_disk(path: Path) -> list[str]:
    with raw(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM accounts ORDER BY name")]


class Gate:
    """Holds the writer's thread inside a work until it is opened, so that others have to wait together."""

    def __init__(self) -> None:
        self._inside = threading.Event()
        self._open = threading.Event()

    def hold(self, _: Transaction) -> None:
        self._inside.set()
        self._open.wait(timeout=30)

    async def until_held(self) -> None:
        await asyncio.to_thread(self._inside.wait, 30)

    def open(self) -> None:
        self._open.set()


async def all_together(store: storage.Store, *works: object) -> list[object]:
    """Run works that wait at the same time, and so go into one group; what each gave or raised."""
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate.hold))
        await gate.until_held()
        waiting = asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        gate.open()
        return await waiting


async def test_a_hundred_writes_at_once_share_a_few_commits(store: storage.Store) -> None:
    statements: list[str] = []
    await store.write(lambda tx: tx.set_trace_callback(statements.append))
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(store.write(add, f"account {number}"))
    await store.write(lambda tx: tx.set_trace_callback(None))
    assert len(await store.read(names)) == 100
    assert statements.count("COMMIT") <= 4


async def test_whoever_is_answered_finds_the_row_on_disk(store: storage.Store, path: Path) -> None:
    missing: list[str] = []

    async def write_and_look(name: str) -> None:
        await store.write(add, name)
        if name not in names_on_disk(path):
            missing.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(write_and_look(f"account {number}"))
    assert missing == []


async def test_nothing_is_on_disk_before_its_group_is_committed(store: storage.Store, path: Path) -> None:
    gate = Gate()

    def add_and_hold(tx: Transaction) -> None:
        add(tx, "early")
        gate.hold(tx)

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(store.write(add_and_hold))
        await gate.until_held()
        assert names_on_disk(path) == []
        assert not writing.done()
        gate.open()
    assert names_on_disk(path) == ["early"]


async def test_a_loop_that_is_busy_keeps_no_group_waiting(store: storage.Store, path: Path) -> None:
    gate, is_next = Gate(), threading.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate.hold))
        await gate.until_held()
        second = group.create_task(store.write(lambda tx: (add(tx, "second"), is_next.set())))
        await asyncio.sleep(0)
        gate.open()
        assert is_next.wait(timeout=30)  # all the while the loop does nothing else
        assert not second.done()


async def test_one_work_that_fails_does_not_spoil_its_neighbours(store: storage.Store) -> None:
    first, broken, last = await all_together(
        store, lambda tx: add(tx, "first"), lambda tx: add_and_break(tx, "broken"), lambda tx: add(tx, "last")
    )
    assert isinstance(broken, Broken)
    assert await store.read(names) == ["first", "last"]
    assert {first, last} == {account.id for account in await store.read(accounts.all_of_them)}


async def items_together(store: storage.Store, work: object, *items: str) -> list[object]:
    """Items of one work that wait at the same time, beside another write; what became of each."""
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate.hold))
        await gate.until_held()
        each = (store.write_together(work, item) for item in items)  # type: ignore[arg-type]
        waiting = asyncio.gather(*each, store.write(add, "beside"), return_exceptions=True)
        await asyncio.sleep(0)
        gate.open()
        return await waiting


async def test_what_waits_for_one_work_is_its_to_do_at_once(store: storage.Store) -> None:
    calls: list[list[str]] = []

    def add_all(tx: Transaction, items: Sequence[str]) -> None:
        calls.append(list(items))
        for item in items:
            add(tx, item)

    assert (await items_together(store, add_all, "one", "two", "three"))[:3] == [None, None, None]
    assert calls == [["one", "two", "three"]]
    assert sorted(await store.read(names)) == ["beside", "one", "three", "two"]


async def test_work_for_many_bears_the_name_of_no_request_that_came_before(store: storage.Store) -> None:
    seen: list[Origin] = []

    def look(tx: Transaction, items: Sequence[bool]) -> None:
        seen.append(tx.origin)
        if any(items):
            raise Broken

    token = ORIGIN.set(Origin(request_id="somebody-s"))
    try:
        await store.write(lambda tx: None)
    finally:
        ORIGIN.reset(token)
    await store.write_together(look, False)
    with pytest.raises(Broken):
        await store.write_together(look, True)
    assert seen == 3 * [NOWHERE]


async def test_an_item_that_its_work_stumbles_over_fails_alone(store: storage.Store) -> None:
    def add_all(tx: Transaction, items: Sequence[str]) -> None:
        for item in items:
            (add_and_break if item == "broken" else add)(tx, item)

    one, broken, two, _ = await items_together(store, add_all, "one", "broken", "two")
    assert (one, two) == (None, None)
    assert isinstance(broken, Broken)
    assert sorted(await store.read(names)) == ["beside", "one", "two"]


async def test_even_an_exception_that_no_future_takes_harms_nobody_else(store: storage.Store) -> None:
    outcomes = await all_together(store, lambda _: next(iter([])), lambda tx: add(tx, "neighbour"))
    assert isinstance(outcomes[0], RuntimeError)
    assert await store.read(names) == ["neighbour"]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["good", "breaks", "against the rules"]), min_size=1, max_size=12))
def test_whatever_the_neighbours_each_gets_what_it_deserves(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    def work(tx: Transaction, number: int, kind: str) -> str:
        account_id = add(tx, f"{number:02}")
        if kind == "breaks":
            raise Broken(number)
        if kind == "against the rules":
            tx.execute("UPDATE accounts SET cloud = 'moon' WHERE id = :id", {"id": account_id})
        return account_id

    async def scenario() -> None:
        async with storage.open_store(tmp_path_factory.mktemp("store") / "gateway.db") as store:
            works = [lambda tx, n=n, kind=kind: work(tx, n, kind) for n, kind in enumerate(kinds)]
            outcomes = await all_together(store, *works)
            kinds_of_outcome = {str: "good", Broken: "breaks", sqlite3.IntegrityError: "against the rules"}
            assert [kinds_of_outcome[type(outcome)] for outcome in outcomes] == kinds
            assert await store.read(names) == [f"{n:02}" for n, kind in enumerate(kinds) if kind == "good"]

    asyncio.run(scenario())


async def test_a_commit_that_fails_fails_everybody_in_it_and_keeps_nothing(store: storage.Store) -> None:
    """A deferred foreign key is only looked at by COMMIT."""

    def break_the_commit(tx: Transaction) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        chores.done(tx, "acc_of_nobody", "expiry", next_at=A_MONDAY)

    outcomes = await all_together(store, lambda tx: add(tx, "neighbour"), break_the_commit)
    assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError, sqlite3.IntegrityError]
    assert await store.read(names) == []
    await store.write(add, "after")
    assert await store.read(names) == ["after"]


async def test_a_neighbour_that_gave_up_waiting_has_written_all_the_same(store: storage.Store) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(gate.hold))
        await gate.until_held()
        impatient = group.create_task(store.write(add, "impatient"))
        patient = group.create_task(store.write(add, "patient"))
        await asyncio.sleep(0)
        impatient.cancel()
        gate.open()
    assert impatient.cancelled()
    assert patient.result()
    assert await store.read(names) == ["impatient", "patient"]


class TestAnnouncements:
    async def test_a_watcher_hears_of_its_topics_after_the_commit(self, store: storage.Store, path: Path) -> None:
        def add_and_announce(tx: Transaction) -> None:
            add(tx, "news")
            tx.announce("accounts")

        with store.watching("accounts", "outbox") as mine, store.watching("outbox") as other:
            writing = store.write(add_and_announce)
            async with asyncio.TaskGroup() as group:
                group.create_task(writing)
                await mine.wait()
                assert names_on_disk(path) == ["news"]
            assert not other.is_set()

    async def test_what_was_undone_is_not_announced(self, store: storage.Store) -> None:
        def announce_and_break(tx: Transaction) -> None:
            tx.announce("outbox")
            raise Broken

        with store.watching("outbox") as outbox, store.watching("accounts") as accounts_:
            await all_together(store, announce_and_break, lambda tx: tx.announce("accounts"))
            assert (outbox.is_set(), accounts_.is_set()) == (False, True)

    async def test_a_commit_that_failed_announces_nothing(self, store: storage.Store) -> None:
        def announce_and_break_the_commit(tx: Transaction) -> None:
            tx.announce("outbox")
            tx.execute("PRAGMA defer_foreign_keys = ON")
            chores.done(tx, "acc_of_nobody", "expiry", next_at=A_MONDAY)

        with store.watching("outbox") as outbox:
            await all_together(store, announce_and_break_the_commit)
            await store.write(add, "after")
            assert not outbox.is_set()

    async def test_who_has_stopped_watching_hears_nothing(self, store: storage.Store) -> None:
        with store.watching("accounts") as event:
            pass
        await store.write(lambda tx: tx.announce("accounts"))
        assert not event.is_set()


class TestLimits:
    async def test_a_full_queue_refuses_more_and_takes_them_again_once_it_has_room(self, store: storage.Store) -> None:
        gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(store.write(gate.hold))
            await gate.until_held()
            waiting = [group.create_task(store.write(lambda _: None)) for _ in range(QUEUE_LIMIT)]
            await asyncio.sleep(0)
            with pytest.raises(storage.StorageUnavailable, match="no more writes"):
                await store.write(add, "one too many")
            gate.open()
        assert all(one.done() for one in waiting)
        await store.write(add, "later")
        assert await store.read(names) == ["later"]

    async def test_after_closing_nothing_more_is_taken(self, path: Path) -> None:
        async with storage.open_store(path) as store:
            await store.write(add, "before")
        with pytest.raises(storage.StorageUnavailable):
            await store.write(add, "after")
        assert names_on_disk(path) == ["before"]


class TestEnding:
    async def test_what_waits_when_the_block_ends_is_still_written(self, path: Path) -> None:
        async with asyncio.TaskGroup() as group, storage.open_store(path) as store:
            waiting = [group.create_task(store.write(add, f"{number}")) for number in range(5)]
            await asyncio.sleep(0)
        assert all(one.result() for one in waiting)
        assert len(names_on_disk(path)) == 5

    async def test_what_waits_when_the_block_breaks_is_still_written(self, path: Path) -> None:
        gate = Gate()

        async def scenario(group: asyncio.TaskGroup) -> None:
            async with storage.open_store(path) as store:
                group.create_task(store.write(gate.hold))
                await gate.until_held()
                group.create_task(store.write(add, "waiting"))
                await asyncio.sleep(0)
                asyncio.get_running_loop().call_soon(gate.open)
                raise Broken

        async with asyncio.TaskGroup() as group:
            with pytest.raises(Broken):
                await scenario(group)
        assert names_on_disk(path) == ["waiting"]

    async def test_the_block_raises_what_was_raised_in_it(self, path: Path) -> None:
        with pytest.raises(storage.WrongMasterKey):
            async with storage.open_store(path):
                raise storage.WrongMasterKey("as it is, not wrapped")

    async def test_a_cancelled_block_is_cancelled(self, path: Path) -> None:
        opened = asyncio.Event()

        async def wait_for_ever() -> None:
            async with storage.open_store(path):
                opened.set()
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(wait_for_ever())
            await opened.wait()
            task.cancel()
        assert task.cancelled()


class Heard:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.failed_writes: list[int] = []

    def committed(self, commit: Commit) -> None:
        self.commits.append(commit)

    def failed(self, writes: int) -> None:
        self.failed_writes.append(writes)

    @property
    def measures(self) -> list[tuple[str, float]]:
        return [one for commit in self.commits for one in commit.measures]


async def test_whoever_observes_hears_of_each_group_and_once_of_what_its_writes_measured(store: storage.Store) -> None:
    def measure(tx: Transaction, what: str) -> None:
        tx.measure(what, 1.5)

    def measure_and_break(tx: Transaction) -> None:
        tx.measure("broken", 1)
        add_and_break(tx, "broken")

    store.observer = heard = Heard()
    await all_together(store, lambda tx: measure(tx, "first"), measure_and_break, lambda tx: measure(tx, "last"))
    assert heard.measures == [("first", 1.5), ("last", 1.5)]  # though the first has run twice
    assert [commit.writes for commit in heard.commits] == [1, 3]
    assert all(0 < commit.disk_s <= commit.took_s for commit in heard.commits)
    assert heard.failed_writes == []


async def test_whoever_observes_hears_of_a_group_of_which_nothing_was_kept(store: storage.Store) -> None:
    def fill_the_disk(tx: Transaction) -> None:
        tx.measure("lost", 1)
        tx.execute("PRAGMA max_page_count = 1")
        add(tx, "x" * 1_000_000)

    store.observer = heard = Heard()
    with pytest.raises(storage.StorageUnavailable):
        await store.write(fill_the_disk)
    assert (heard.commits, heard.failed_writes) == ([], [1])
