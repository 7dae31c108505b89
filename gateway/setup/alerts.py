"""Letters of warning, through the gateway itself, to the address that an admin has given for them."""

from datetime import datetime
from typing import Final

from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from storage import Transaction, mailboxes, preferences
from storage.messages import BodyType
from storage.threads import Address

SENT_BY: Final = "Mail gateway"


def warn_by_letter(tx: Transaction, account_id: str, sentence: str, *, left: int, now: datetime) -> str | None:
    """Put a letter into the outbox, in the transaction that marks the step as told; its message id.

    None where nobody is to be written to, no mailbox is validated, or the credential has ended already: then no letter
    could leave. It leaves from the first validated mailbox, and is on no record's tab and in no search.
    """
    to = preferences.get(tx, account_id).alert_address
    senders = mailboxes.list_validated(tx, account_id)
    if to is None or not senders or left == 0:
        return None
    days = "within a day" if left == 1 else f"in {left} days"
    letter = NewLetter(
        sender=senders[0].address,
        to=(Address(name=None, address=to),),
        subject=f"SELMA’s connection to Microsoft 365 ends {days} unless it is renewed",
        body_type=BodyType.TEXT,
        body=(
            f"{sentence}\n\n"
            "When it has ended, letters from SELMA wait and replies do not come in, until it is renewed.\n\n"
            "This is written by SELMA’s mail gateway. Who is warned is set on its settings page, under Warnings and "
            "self-tests.\n"
        ),
        created_by=SENT_BY,
        importance="high",
        metadata={"alert": "credential.expiring"},
        self_test=True,
    )
    return accept(tx, account_id, letter, idempotency_key=None, now=now).message_id
