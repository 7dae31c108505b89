"""Housekeeping: closed hints are forgotten, open ones never."""

from datetime import timedelta
from pathlib import Path

from gateway.housekeeping import Housekeeping
from storage import Store, Transaction, accounts, folders, hints, mailboxes, open_store
from storage.folders import WellKnown
from storage.hints import HintOutcome, NewHint
from tests.fakes.clock import FakeClock

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def two_hints(store: Store, clock: FakeClock) -> str:
    """A folder with one hint that is closed and one that is open; our id of the folder."""

    def scene(tx: Transaction) -> str:
        now = clock.now()
        account = accounts.add(tx, "SELMA", now=now)
        mailbox = mailboxes.add(tx, account.id, "admissions@school.example", now=now)
        folders.watch(tx, account.id, mailbox.id, WellKnown.INBOX, folder_id="F", since=now, now=now)
        [folder] = folders.of_mailbox(tx, mailbox.id)
        for message_id in ("strange", "expected"):
            hint = NewHint(account_id=account.id, folder_id=folder.id, change_type="created", message_id=message_id)
            hints.insert(tx, [hint], now=now)
        hints.close(tx, folder.id, ["strange"], HintOutcome.NOT_OURS, now=now)
        return folder.id

    return await store.write(scene)


def kept(tx: Transaction) -> list[str]:
    return [row["message_id"] for row in tx.execute("SELECT message_id FROM hints ORDER BY id")]


async def test_a_closed_hint_is_forgotten_after_a_day_and_an_open_one_is_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path / "gateway.db") as store:
        await two_hints(store, clock)
        housekeeping = Housekeeping(store, clock)
        clock.advance(DAY - HOUR)
        assert await housekeeping.run_due() == 0
        clock.advance(2 * HOUR)
        assert await housekeeping.run_due() == 1
        assert await store.read(kept) == ["expected"]


async def test_it_looks_once_an_hour(tmp_path: Path) -> None:
    clock = FakeClock()
    async with open_store(tmp_path / "gateway.db") as store:
        await two_hints(store, clock)
        housekeeping = Housekeeping(store, clock)
        clock.advance(DAY)
        await housekeeping.run_due()  # not yet older than a day
        clock.advance(HOUR / 2)
        assert await housekeeping.run_due() == 0
        clock.advance(HOUR / 2)
        assert await housekeeping.run_due() == 1
