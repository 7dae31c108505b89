"""What Graph was asked about each mailbox counts on over a restart."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.budgets import BudgetBook, calls_left
from gateway.graph import Limits, OverBudget
from storage import Store, Transaction, mailboxes, open_store
from tests.fakes.clock import FakeClock
from tests.storage.scene import Scene, build

MINUTE = timedelta(minutes=1)
SMALL = Limits(requests=10, upload_bytes=1000)


@dataclass
class Office:
    store: Store
    clock: FakeClock
    scene: Scene

    def book(self) -> BudgetBook:
        return BudgetBook(self.store, self.clock, SMALL)

    async def ask(self, book: BudgetBook, calls: int, upload_bytes: int = 0) -> None:
        """So many calls about the scene's mailbox, which Graph knows as user-1."""
        for _ in range(calls):
            async with book.of(self.scene.account_id).of("user-1").admitted(upload_bytes=upload_bytes):
                pass

    async def left(self) -> tuple[int, int]:
        left = await self.store.read(calls_left, self.scene.mailbox_id, SMALL, self.clock.now())
        return left.requests, left.upload_bytes


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_store(tmp_path / "gateway.db") as store:
        yield Office(store, FakeClock(), await store.write(build))


async def test_what_was_spent_is_not_spent_again_after_a_restart(office: Office) -> None:
    book = office.book()
    await office.ask(book, 10)
    assert await book.keep() == 1
    reborn = office.book()
    await reborn.open()
    with pytest.raises(OverBudget):
        await office.ask(reborn, 1)
    office.clock.advance(11 * MINUTE)
    await office.ask(reborn, 1)


async def test_people_see_what_is_left(office: Office) -> None:
    book = office.book()
    await office.ask(book, 3, upload_bytes=100)
    await book.keep()
    assert await office.left() == (7, 700)
    office.clock.advance(20 * MINUTE)
    assert await office.left() == (10, 1000)


async def test_only_what_has_changed_is_written(office: Office) -> None:
    book = office.book()
    assert await book.keep() == 0
    await office.ask(book, 1)
    assert (await book.keep(), await book.keep()) == (1, 0)


async def test_another_app_has_limits_of_its_own(office: Office) -> None:
    book = office.book()
    await office.ask(book, 10)
    async with book.of("acc_other").of("user-1").admitted():
        pass


async def test_a_mailbox_that_was_never_validated_is_known_by_its_address(office: Office) -> None:
    def add(tx: Transaction) -> str:
        return mailboxes.add(tx, office.scene.account_id, "new@school.example", now=office.clock.now()).id

    mailbox_id = await office.store.write(add)
    book = office.book()
    async with book.of(office.scene.account_id).of("new@school.example").admitted():
        pass
    await book.keep()
    left = await office.store.read(calls_left, mailbox_id, SMALL, office.clock.now())
    assert left.requests == 9


async def test_what_no_window_reaches_any_more_is_forgotten(office: Office) -> None:
    book = office.book()
    await office.ask(book, 1)
    await book.keep()
    office.clock.advance(timedelta(days=2))
    await office.ask(book, 1)
    await book.keep()

    def buckets(tx: Transaction) -> int:
        return int(tx.execute("SELECT count(*) FROM spending").fetchone()[0])

    assert await office.store.read(buckets) == 1
