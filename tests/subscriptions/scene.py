"""A school with one validated mailbox, whose two folders are to be watched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import storage
from storage import accounts, folders, mailboxes, subscriptions
from storage.folders import Folder, WellKnown
from storage.subscriptions import Subscription, SubscriptionState
from subscriptions.graph import GraphSubscription
from subscriptions.keeper import Keeper
from tests.fakes.clock import FakeClock
from tests.fakes.graph_subscriptions import FakeGraph, Held

TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
PUBLIC_URL = "https://mail.school.example"
NOTIFICATION_URL = f"{PUBLIC_URL}/graph/notifications"


@dataclass
class Scene:
    """What a test of subscriptions looks at and pushes."""

    store: storage.Store
    clock: FakeClock
    graph: FakeGraph
    keeper: Keeper
    account_id: str
    mailbox_id: str
    inbox: Folder
    sent: Folder

    async def rows(self, *states: SubscriptionState) -> list[Subscription]:
        """All that are not gone, or those in `states`."""
        watches = await self.store.read(subscriptions.watches)
        rows = [watch.subscription for watch in watches]
        return [row for row in rows if not states or row.state in states]

    async def of_inbox(self) -> Subscription:
        """The current one of the inbox."""
        row = await self.store.read(subscriptions.current_of_folder, self.inbox.id)
        assert row is not None
        return row

    def at_graph(self, row: Subscription) -> Held:
        """What Graph holds of it."""
        return next(held for held in self.graph.held if held.subscription.subscription_id == row.subscription_id)

    @property
    def inbox_resource(self) -> str:
        return "users/u-admissions/mailFolders('inbox')/messages"

    def inboxes_at_graph(self) -> Sequence[GraphSubscription]:
        return [held.subscription for held in self.graph.of_resource(self.inbox_resource)]

    async def not_due(self) -> None:
        """Let no folder be due, so that a pull that becomes due is seen."""
        await self.store.write(put_off, self.clock.now() + timedelta(days=1000))

    async def pull_is_due(self, folder: Folder | None = None) -> bool:
        found = await self.store.read(folders.get, (folder or self.inbox).id)
        return found.next_pull_at <= self.clock.now()

    def restarted(self, *, public_url: str | None = PUBLIC_URL) -> Keeper:
        """A new process on the same file."""
        self.keeper = Keeper(self.store, self.graph, self.clock, public_url)
        return self.keeper

    async def remove_mailbox(self) -> None:
        await self.store.write(mailboxes.mark_removed, self.mailbox_id)

    async def validate_mailbox(self) -> None:
        await self.store.write(
            mailboxes.mark_validated,
            self.mailbox_id,
            user_id="u-admissions",
            display_name="Admissions",
            now=self.clock.now(),
        )


def put_off(tx: storage.Transaction, later: datetime) -> None:
    tx.execute("UPDATE folders SET next_pull_at = :later", {"later": later})


def school(tx: storage.Transaction, *, now: datetime) -> tuple[str, str]:
    """An account and its validated mailbox, with both folders."""
    account = accounts.add(tx, "SELMA", now=now)
    accounts.configure(
        tx,
        account.id,
        tenant_id=TENANT,
        client_id="24d3b144-21ae-4080-943f-7067b395b913",
        cloud="global",
        time_zone="UTC",
        now=now,
    )
    return account.id, add_mailbox(tx, account.id, "admissions", now=now)


def add_mailbox(tx: storage.Transaction, account_id: str, name: str, *, now: datetime) -> str:
    """Another validated mailbox, with both folders."""
    mailbox = mailboxes.add(tx, account_id, f"{name}@school.example", now=now)
    mailboxes.mark_validated(tx, mailbox.id, user_id=f"u-{name}", display_name=name, now=now)
    for well_known in WellKnown:
        folders.watch(tx, account_id, mailbox.id, well_known, folder_id=f"f-{well_known}", since=now, now=now)
    return mailbox.id


async def build(store: storage.Store, clock: FakeClock, graph: FakeGraph) -> Scene:
    """The scene on an empty store."""
    account_id, mailbox_id = await store.write(school, now=clock.now())
    inbox, sent = await store.read(folders.of_mailbox, mailbox_id)
    return Scene(
        store=store,
        clock=clock,
        graph=graph,
        keeper=Keeper(store, graph, clock, PUBLIC_URL),
        account_id=account_id,
        mailbox_id=mailbox_id,
        inbox=inbox,
        sent=sent,
    )
