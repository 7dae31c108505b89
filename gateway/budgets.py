"""The budgets of all accounts' mailboxes: how often and how much Graph was asked, kept over restarts.

While the gateway runs the client counts in memory, which no call has to wait for; every few seconds what has changed is
written down. After a kill at most those seconds are forgotten, far less than the margin of a window.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.graph import Budgets, Limits, Spending, SpendingKind
from gateway.sending.budget import LONGEST_WINDOW
from storage import Store, Transaction, accounts, mailboxes, spending
from storage.mailboxes import Mailbox
from storage.spending import Bucket, Spent

KINDS: Final[Mapping[SpendingKind, Spent]] = {
    SpendingKind.REQUESTS: Spent.REQUESTS,
    SpendingKind.UPLOAD_BYTES: Spent.UPLOAD_BYTES,
}
LOOK_BACK: Final = timedelta(minutes=15)  # further than the longest window that the client counts


class BudgetBook:
    """One set of budgets for each account: its app has limits of its own."""

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._of: dict[str, Budgets] = {}
        self._kept: dict[str, list[Spending]] = {}

    def of(self, account_id: str) -> Budgets:
        """The budgets of an account's mailboxes."""
        if account_id not in self._of:
            self._of[account_id] = Budgets(self._clock, self._limits)
        return self._of[account_id]

    async def open(self) -> None:
        """At start: what was spent before counts on."""
        for mailbox, spent in await self._store.read(_read, now=self._clock.now()):
            self.of(mailbox.account_id).of(mailbox.user).take_back(spent)

    async def keep(self) -> int:
        """Write down what has changed since the last time; of how many mailboxes. Raises `StorageUnavailable`."""
        boxes = await self._store.read(_all_mailboxes)
        spent = {box.id: self.of(box.account_id).of(box.user).spent() for box in boxes}
        news = {box_id: of_box for box_id, of_box in spent.items() if of_box != self._kept.get(box_id, [])}
        if news:
            await self._store.write(_keep, news, now=self._clock.now())
        self._kept = spent
        return len(news)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsLeft:
    """What a mailbox may still be asked: calls in 10 minutes, and bytes uploaded in 5. As of the last writing down."""

    requests: int
    upload_bytes: int


def calls_left(tx: Transaction, mailbox_id: str, limits: Limits, now: datetime) -> CallsLeft:
    """For people and metrics."""

    def spent(kind: Spent, window: timedelta) -> int:
        return sum(one.amount for one in spending.since(tx, mailbox_id, kind, now - window) if one.begins_at <= now)

    return CallsLeft(
        requests=max(limits.requests - spent(Spent.REQUESTS, limits.requests_window), 0),
        upload_bytes=max(limits.upload_bytes - spent(Spent.UPLOAD_BYTES, limits.upload_window), 0),
    )


def _all_mailboxes(tx: Transaction) -> list[Mailbox]:
    return [box for account in accounts.all_of_them(tx) for box in mailboxes.list_mailboxes(tx, account.id)]


def _read(tx: Transaction, *, now: datetime) -> list[tuple[Mailbox, list[Spending]]]:
    found = []
    for box in _all_mailboxes(tx):
        spent = [
            Spending(kind=kind, bucket=bucket.begins_at, amount=bucket.amount)
            for kind, stored in KINDS.items()
            for bucket in spending.since(tx, box.id, stored, now - LOOK_BACK)
        ]
        found.append((box, spent))
    return found


def _keep(tx: Transaction, news: Mapping[str, Iterable[Spending]], *, now: datetime) -> None:
    for mailbox_id, spent in news.items():
        buckets = defaultdict[Spent, list[Bucket]](list)
        for one in spent:
            buckets[KINDS[one.kind]].append(Bucket(begins_at=one.bucket, amount=one.amount))
        for kind, of_kind in buckets.items():
            spending.keep(tx, mailbox_id, kind, of_kind)
    spending.forget(tx, before=now - LONGEST_WINDOW)
