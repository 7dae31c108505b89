from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.graph import Message as Item
from gateway.sending.accept import accept
from gateway.sending.draft import TAG
from gateway.sending.posted import NewLetter
from gateway.threads.pull import Puller
from storage import (
    Store,
    Transaction,
    accounts,
    events,
    feeds,
    folders,
    hints,
    identities,
    mailboxes,
    messages,
    open_store,
    outbox,
    threads,
)
from storage.folders import Folder, WellKnown
from storage.hints import NewHint
from storage.messages import BodyType, Message
from storage.threads import Address, Object, ObjectType
from tests.fakes.clock import FakeClock
from tests.fakes.mail import FakeMail, mail

ADMISSIONS = "admissions@school.example"
OFFICE = "office@school.example"
AROHA = "aroha@student.example"
TANE = "tane@student.example"
STRANGER = "stranger@elsewhere.example"
SWEEP = timedelta(minutes=10)


@dataclass
class School:
    """A store with two validated mailboxes, a fake Microsoft 365, and a puller between them."""

    store: Store
    clock: FakeClock
    mail: FakeMail
    account_id: str
    mailbox_ids: dict[str, str]
    puller: Puller

    async def write_to(
        self,
        student: str,
        *,
        sender: str = ADMISSIONS,
        conversation: str | None = None,
        subject: str = "Your enrolment",
    ) -> "Letter":
        """A letter of ours, as it is once its draft was made: in the store, not yet seen in Sent Items."""
        number = next(self.mail.numbers)
        return await self.store.write(self._accept, student, sender, conversation or f"conv-{number}", subject, number)

    def _accept(
        self, tx: Transaction, student: str, sender: str, conversation: str, subject: str, number: int
    ) -> "Letter":
        now = self.clock.now()
        posted = NewLetter(
            sender=sender,
            to=(Address(name=None, address=student),),
            subject=subject,
            body_type=BodyType.TEXT,
            body="Kia ora",
            objects=(Object(type=ObjectType.STUDENT, id=student),),
        )
        message_id = accept(tx, self.account_id, posted, idempotency_key=None, now=now).message_id
        letter = outbox.get(tx, self.account_id, message_id)
        identities.identify(
            tx,
            message_id,
            graph_id=f"draft-{number}",
            conversation_id=conversation,
            internet_message_id=f"<letter-{number}@school.example>",
        )
        threads.add_conversation(
            tx,
            self.account_id,
            letter.thread_id,
            mailbox_id=letter.mailbox_id,
            conversation_id=conversation,
            now=now,
        )
        return Letter(
            school=self,
            id=message_id,
            thread_id=letter.thread_id,
            sender=sender,
            student=student,
            conversation=conversation,
            message_id=f"<letter-{number}@school.example>",
            graph_id=f"draft-{number}",
            tag=letter.send_uid,
        )

    def arrive(self, id: str, *, at: str = ADMISSIONS, folder: str = "inbox", **fields: Any) -> Item:
        """A second after whatever happened before."""
        self.clock.advance(timedelta(seconds=1))
        return self.mail.put(at, folder, mail(id, at=self.clock.now(), **fields))

    async def pull(self) -> int:
        return await self.puller.run_due()

    async def sweep(self) -> None:
        """Let the longest time pass that a folder is left alone, and pull."""
        self.clock.advance(SWEEP)
        await self.pull()

    async def hint(self, graph_id: str, *, folder: WellKnown = WellKnown.INBOX, change_type: str = "created") -> None:
        watched = await self.folder(folder)
        told = NewHint(account_id=self.account_id, folder_id=watched.id, change_type=change_type, message_id=graph_id)
        await self.store.write(hints.insert, [told], now=self.clock.now())

    async def folder(self, which: WellKnown = WellKnown.INBOX, mailbox: str = ADMISSIONS) -> Folder:
        found = await self.store.read(folders.of_mailbox, self.mailbox_ids[mailbox])
        return next(folder for folder in found if folder.well_known is which)

    async def thread(self, thread_id: str) -> list[Message]:
        """What staff see of it, but for our own first letter."""
        found = await self.store.read(feeds.of_thread, thread_id)
        return [message for message in found if message.status is None]

    async def stored(self) -> list[Message]:
        """Every mail that was kept, but for our own letters."""
        return await self.store.read(all_messages, self.account_id)

    async def told(self) -> list[str]:
        found = await self.store.read(events.after, self.account_id, 0, limit=1000)
        return [event.type for event in found if event.type != "message.accepted"]

    async def outcomes(self) -> list[str | None]:
        return await self.store.read(hint_outcomes)


@dataclass(frozen=True)
class Letter:
    """What a test needs to know of a letter of ours."""

    school: School
    id: str
    thread_id: str
    sender: str
    student: str
    conversation: str
    message_id: str
    graph_id: str
    tag: str

    def seen_in_sent_items(self, **changes: Any) -> Item:
        item = mail(
            self.graph_id,
            sender=self.sender,
            at=self.school.clock.now(),
            conversation=self.conversation,
            message_id=self.message_id,
            to=[self.student],
        )
        item = replace(item, extended_properties={TAG: self.tag, **item.extended_properties})
        return self.school.mail.put(self.sender, "sentitems", replace(item, **changes))


def all_messages(tx: Transaction, account_id: str) -> list[Message]:
    ids = [row["id"] for row in tx.execute("SELECT id FROM messages ORDER BY id")]
    return [one for one in (messages.get(tx, account_id, id) for id in ids) if one.status is None]


def hint_outcomes(tx: Transaction) -> list[str | None]:
    return [row["outcome"] for row in tx.execute("SELECT outcome FROM hints ORDER BY id")]


def furnish(tx: Transaction, clock: FakeClock) -> tuple[str, dict[str, str]]:
    account = accounts.add(tx, "SELMA", now=clock.now())
    ids = {}
    for address in (ADMISSIONS, OFFICE):
        mailbox = mailboxes.add(tx, account.id, address, now=clock.now())
        mailboxes.mark_validated(tx, mailbox.id, user_id=address, display_name=None, now=clock.now())
        for name in WellKnown:
            folders.watch(
                tx, account.id, mailbox.id, name, folder_id=f"{address}/{name}", since=clock.now(), now=clock.now()
            )
        ids[address] = mailbox.id
    return account.id, ids


@asynccontextmanager
async def open_school(path: Path) -> AsyncIterator[School]:
    clock, mailboxes_of_microsoft = FakeClock(), FakeMail()
    async with open_store(path) as store:
        account_id, mailbox_ids = await store.write(furnish, clock)
        puller = Puller(store, mailboxes_of_microsoft, clock, owner="this one", sweep_interval=SWEEP)
        yield School(store, clock, mailboxes_of_microsoft, account_id, mailbox_ids, puller)


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    async with open_school(tmp_path / "gateway.db") as opened:
        yield opened
