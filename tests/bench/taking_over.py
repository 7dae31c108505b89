"""Letters that the gateway takes for its own without having sent them: threads, for measuring what comes into them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from storage import Transaction, accounts, mailboxes, messages, threads
from storage.ids import new_id
from storage.mailboxes import Mailbox
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address, Object, ObjectType


def take_over(tx: Transaction, mailbox: str, letters: Sequence[Mapping[str, str]], now: datetime) -> list[str]:
    """The threads of the letters, in their order."""
    [account, *_] = accounts.all_of_them(tx)
    box = mailboxes.get_by_address(tx, account.id, mailbox)
    return [_take_over(tx, box, number, letter, now) for number, letter in enumerate(letters)]


def _take_over(tx: Transaction, mailbox: Mailbox, number: int, letter: Mapping[str, str], now: datetime) -> str:
    account_id, student = mailbox.account_id, Address(name=None, address=letter["student"])
    thread_id = threads.create(tx, account_id, mailbox.id, subject=letter["subject"], now=now)
    threads.link(tx, account_id, thread_id, [Object(type=ObjectType.STUDENT, id=f"S{number}")])
    threads.add_participants(tx, account_id, thread_id, [student])
    threads.add_conversation(
        tx, account_id, thread_id, mailbox_id=mailbox.id, conversation_id=letter["conversation_id"], now=now
    )
    written = Message(
        id=new_id("msg", now),
        account_id=account_id,
        mailbox_id=mailbox.id,
        thread_id=thread_id,
        direction=Direction.OUT,
        kind=Kind.MAIL,
        placement=Placement.PLACED,
        graph_id=None,
        conversation_id=letter["conversation_id"],
        internet_message_id=letter["internet_message_id"],
        subject=letter["subject"],
        sender=Address(name=None, address=mailbox.address),
        recipients=Recipients(to=(student,)),
        body_type=BodyType.TEXT,
        body="…",
        preview="…",
        attachments=(),
        evidence=None,
        created_by="Jane Doe",
        message_at=now,
        created_at=now,
    )
    messages.insert(tx, written)
    threads.summarise(tx, thread_id)
    return thread_id
