"""The test email: a letter like any other, so that what it proves is true of all of them."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from gateway.setup.account import BadConfiguration
from gateway.setup.values import address_problem
from storage import Store, Transaction, accounts, mailboxes
from storage.messages import BodyType
from storage.threads import Address, Object, ObjectType

# A letter concerns somebody; this one must not land on a student's Events tab.
CONCERNS: Final = Object(type=ObjectType.USER, id="test-message")
SENT_BY: Final = "Mail gateway"


async def send_test_message(store: Store, clock: Clock, account_id: str, address: str, to: str | None = None) -> str:
    """Put a test letter from this mailbox into the outbox; its message id, by which it can be followed.

    It goes to the mailbox itself when `to` is None. Raises `storage.NotFound` for an address that is none of the
    account's mailboxes, `MailboxNotValidated`, and `BadConfiguration` when `to` is no address.
    """
    problem = None if to is None else address_problem(to)
    if problem is not None:
        raise BadConfiguration({"to": problem})
    return await store.write(_accept, account_id, address, to, now=clock.now())


def _accept(tx: Transaction, account_id: str, address: str, to: str | None, *, now: datetime) -> str:
    mailbox = mailboxes.get_by_address(tx, account_id, address)
    recipient = Address(name=None, address=to.strip()) if to else Address(name=None, address=mailbox.address)
    zone = ZoneInfo(accounts.get(tx, account_id).time_zone)
    letter = NewLetter(
        sender=mailbox.address,
        to=(recipient,),
        subject="Test email from SELMA",
        body_type=BodyType.TEXT,
        body=_body(mailbox.address, now.astimezone(zone)),
        objects=(CONCERNS,),
        created_by=SENT_BY,
    )
    return accept(tx, account_id, letter, idempotency_key=None, now=now).message_id


def _body(sender: str, asked_at: datetime) -> str:
    return (
        f"This is a test of the connection between SELMA and Microsoft 365, asked for on {asked_at.day} "
        f"{asked_at:%B %Y at %H:%M %Z}.\n\n"
        f"SELMA has sent it from the mailbox {sender}, and a copy stands in that mailbox's Sent Items. "
        "You can answer it to test replies; nobody waits for the answer.\n"
    )
