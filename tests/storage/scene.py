"""A school in rows: what most tests of storage need to stand there before they begin."""

import hashlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from storage import Transaction, accounts, files, folders, mailboxes, messages, outbox, subscriptions, threads
from storage import attachments as letter_attachments
from storage.acts import Act, ActKind, Place
from storage.attachments import LetterAttachment
from storage.files import File
from storage.folders import WellKnown
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.outbox import Letter
from storage.threads import Address, Object, ObjectType
from tests.fakes.clock import A_MONDAY

HOUR = timedelta(hours=1)
STUDENT = Object(type=ObjectType.STUDENT, id="S1001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Ids of what stands there."""

    account_id: str
    mailbox_id: str
    inbox_id: str
    thread_id: str


def build(tx: Transaction, name: str = "SELMA", *, now: datetime = A_MONDAY) -> Scene:
    """An account with a validated, watched mailbox and one thread of a student."""
    account_id = accounts.add(tx, name, now=now).id
    mailbox_id = mailboxes.add(tx, account_id, "office@school.example", now=now).id
    mailboxes.mark_validated(tx, mailbox_id, user_id="user-1", display_name="Office", now=now)
    folders.watch(tx, account_id, mailbox_id, WellKnown.INBOX, folder_id="AAMkInbox", since=now, now=now)
    (inbox,) = folders.of_mailbox(tx, mailbox_id)
    thread_id = threads.create(tx, account_id, mailbox_id, subject="Your enrolment", now=now)
    threads.link(tx, account_id, thread_id, [STUDENT])
    return Scene(account_id=account_id, mailbox_id=mailbox_id, inbox_id=inbox.id, thread_id=thread_id)


def an_act(scene: Scene, message_id: str, act_id: str = "act_1", **changes: Any) -> Act:
    """Somebody let a held mail stand in its thread, unless changed."""
    values: dict[str, Any] = {
        "id": act_id,
        "account_id": scene.account_id,
        "message_id": message_id,
        "kind": ActKind.ACCEPT,
        "asked": {"thread_id": scene.thread_id},
        "before": Place(thread_id=scene.thread_id, placement=Placement.HELD),
        "after": Place(thread_id=scene.thread_id, placement=Placement.PLACED),
        "done_by": "Jane Doe",
        "done_at": A_MONDAY,
    }
    return Act(**(values | changes))


def a_message(scene: Scene, message_id: str = "msg_1", **changes: Any) -> Message:
    """A letter of ours, unless changed."""
    values: dict[str, Any] = {
        "id": message_id,
        "account_id": scene.account_id,
        "mailbox_id": scene.mailbox_id,
        "thread_id": scene.thread_id,
        "direction": Direction.OUT,
        "kind": Kind.MAIL,
        "placement": Placement.PLACED,
        "graph_id": None,
        "conversation_id": None,
        "internet_message_id": None,
        "subject": "Your enrolment",
        "sender": Address(name="Office", address="office@school.example"),
        "recipients": Recipients(to=(Address(name="Aroha", address="aroha@student.example"),)),
        "body_type": BodyType.HTML,
        "body": "<p>Kia ora</p>",
        "preview": "Kia ora",
        "attachments": (),
        "evidence": None,
        "created_by": "Jane Doe",
        "message_at": A_MONDAY,
        "created_at": A_MONDAY,
    }
    return Message(**(values | changes))


def post(
    tx: Transaction,
    scene: Scene,
    message_id: str = "msg_1",
    *,
    due: datetime = A_MONDAY,
    attachments: Sequence[LetterAttachment] = (),
    **changes: Any,
) -> Letter:
    """A letter in the outbox."""
    messages.insert(tx, a_message(scene, message_id))
    values: dict[str, Any] = {
        "message_id": message_id,
        "thread_id": scene.thread_id,
        "account_id": scene.account_id,
        "mailbox_id": scene.mailbox_id,
        "send_uid": str(uuid.uuid4()),
        "importance": "normal",
        "metadata": {},
        "recipients": 1,
        "state": "accepted",
        "next_attempt_at": due,
    }
    letter = outbox.insert(tx, outbox.NewLetter(**(values | changes)), now=A_MONDAY)
    letter_attachments.insert(tx, scene.account_id, message_id, attachments)
    return letter


def a_file(tx: Transaction, scene: Scene, content: bytes = b"x", **changes: Any) -> File:
    """Something that can be attached."""
    values: dict[str, Any] = {
        "name": "offer.pdf",
        "content_type": "application/pdf",
        "content": content,
        "sha256": hashlib.sha256(content).digest(),
        "expires_at": A_MONDAY + HOUR,
        "now": A_MONDAY,
    }
    return files.store(tx, scene.account_id, **(values | changes))


def attached(file: File, position: int = 0, **changes: Any) -> LetterAttachment:
    """The file as a letter brings it."""
    values: dict[str, Any] = {
        "position": position,
        "name": file.name,
        "content_type": file.content_type,
        "content_id": None,
        "size": file.size,
        "sha256": file.sha256,
        "file_id": file.id,
    }
    return LetterAttachment(**(values | changes))


def subscribe(tx: Transaction, scene: Scene, *, now: datetime = A_MONDAY) -> subscriptions.Subscription:
    """The intent to watch the Inbox."""
    return subscriptions.add(
        tx,
        account_id=scene.account_id,
        mailbox_id=scene.mailbox_id,
        folder_id=scene.inbox_id,
        client_state_digest=bytes(32),
        notification_url="https://mail.school.example/graph/notifications",
        next_step_at=now,
        now=now,
    )


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process looking at the file: sees what is committed, and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        yield connection
    finally:
        connection.close()
