from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from gateway.sending.tidy import Tidier
from gateway.sending.worker import OutboxWorker
from storage import (
    Store,
    Transaction,
    accounts,
    events,
    folders,
    mailboxes,
    messages,
    open_store,
    outbox,
    threads,
)
from storage.folders import WellKnown
from storage.ids import new_id
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.outbox import Letter
from storage.threads import Address, Object, ObjectType
from tests.fakes.clock import FakeClock
from tests.sending.fake_mailbox import FakeMailboxes, StoredItem

SENDER = "admissions@school.example"
STUDENT = Object(type=ObjectType.STUDENT, id="S1001")


def a_letter(**changes: Any) -> NewLetter:
    values: dict[str, Any] = {
        "sender": SENDER,
        "to": (Address(name="Aroha Ngata", address="aroha@student.example"),),
        "subject": "Your enrolment",
        "body_type": BodyType.HTML,
        "body": "<p>Kia ora <b>Aroha</b></p>",
    }
    return NewLetter(**(values | changes))


def add_mailbox(tx: Transaction, account_id: str, address: str, clock: FakeClock, *, user_id: str | None = None) -> str:
    mailbox = mailboxes.add(tx, account_id, address, now=clock.now())
    mailboxes.mark_validated(
        tx, mailbox.id, user_id=user_id or f"user-{address}", display_name="Admissions", now=clock.now()
    )
    for folder in WellKnown:
        folders.watch(
            tx, account_id, mailbox.id, folder, folder_id=f"{folder}-of-{address}", since=clock.now(), now=clock.now()
        )
    return mailbox.id


def a_mail_came(
    tx: Transaction, account_id: str, mailbox_id: str, item: StoredItem, *, now: datetime, **changes: Any
) -> str:
    """What the puller makes of a mail from Aroha that stands in a mailbox: a message in a thread; its id."""
    thread_id = threads.create(tx, account_id, mailbox_id, subject="A question", now=now)
    threads.link(tx, account_id, thread_id, [STUDENT])
    values: dict[str, Any] = {
        "id": new_id("msg", now),
        "account_id": account_id,
        "mailbox_id": mailbox_id,
        "thread_id": thread_id,
        "direction": Direction.IN,
        "kind": Kind.MAIL,
        "placement": Placement.PLACED,
        "graph_id": item.id,
        "conversation_id": item.conversation_id,
        "internet_message_id": item.internet_message_id,
        "subject": "A question",
        "sender": Address(name="Aroha Ngata", address="aroha@student.example"),
        "recipients": Recipients(to=(Address(name=None, address=SENDER),)),
        "body_type": BodyType.TEXT,
        "body": "When does it begin?",
        "preview": "When does it begin?",
        "attachments": (),
        "evidence": None,
        "created_by": None,
        "message_at": now,
        "created_at": now,
    }
    message = Message(**(values | changes))
    messages.insert(tx, message)
    return message.id


@dataclass
class Office:
    """A store with one account and one validated mailbox, a fake Microsoft 365, and a worker between them."""

    store: Store
    clock: FakeClock
    mail: FakeMailboxes
    account_id: str
    mailbox_id: str
    worker: OutboxWorker
    tidier: Tidier

    async def post(self, letter: NewLetter | None = None, *, key: str | None = None) -> str:
        accepted = await self.store.write(
            accept, self.account_id, letter or a_letter(), idempotency_key=key, now=self.clock.now()
        )
        return accepted.message_id

    async def received(self, **changes: Any) -> str:
        """A mail from Aroha in a thread of ours, in the mailbox and in the store; its message id."""
        item = self.mail.arrives(f"user-{SENDER}", subject="A question")
        now = self.clock.now()
        return await self.store.write(a_mail_came, self.account_id, self.mailbox_id, item, now=now, **changes)

    async def letter(self, message_id: str) -> Letter:
        return await self.store.read(outbox.get, self.account_id, message_id)

    async def state(self, message_id: str) -> str:
        return (await self.letter(message_id)).state

    async def pass_time(self, duration: timedelta, *, steps: int = 1) -> None:
        for _ in range(steps):
            self.clock.advance(duration / steps)
            await self.worker.run_due()

    async def told(self) -> list[str]:
        found = await self.store.read(events.after, self.account_id, 0, limit=1000)
        return [event.type for event in found]

    def new_worker(self, owner: str = "another", **options: Any) -> OutboxWorker:
        self.worker = OutboxWorker(self.store, self.mail, self.clock, owner=owner, **options)
        return self.worker


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    clock = FakeClock()
    async with open_store(tmp_path / "gateway.db") as store:
        account = await store.write(accounts.add, "school", now=clock.now())
        mailbox_id = await store.write(add_mailbox, account.id, SENDER, clock)
        mail = FakeMailboxes(clock)
        yield Office(
            store=store,
            clock=clock,
            mail=mail,
            account_id=account.id,
            mailbox_id=mailbox_id,
            worker=OutboxWorker(store, mail, clock, owner="first"),
            tidier=Tidier(store, mail, clock),
        )
