"""What people may do with a letter after it was taken in. Each function is one transaction's work.

Each raises `storage.NotFound`, and `storage.Conflict` with a sentence when the letter is past that.
"""

from datetime import datetime

from gateway.sending import machine
from gateway.sending.machine import State
from gateway.sending.record import tell_of_batch, write_down
from storage import Transaction, attachments, batches, identities, outbox
from storage.ids import new_uuid


def cancel(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Do not send a letter that has not left. Raises `storage.NotFound`, `storage.Conflict`."""
    letter = outbox.get(tx, account_id, message_id)
    write_down(tx, letter, machine.cancel(letter, now), now)


def retry(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Send a failed letter after all, or a held one at once; or, as a person's choice, one that needs review anew, with
    a new tag.

    Of the latter nobody knows whether it left, so the new one may be a second. Raises `storage.NotFound`, `Conflict`.
    """
    letter = outbox.get(tx, account_id, message_id)
    if letter.state != State.NEEDS_REVIEW:
        write_down(tx, letter, machine.retry(letter, now), now, retried=True)
        return
    again = machine.resend(letter, new_uuid(now), now)
    outbox.renew_send_uid(tx, message_id, again.send_uid)
    identities.forget_item(tx, message_id)
    attachments.forget_uploads(tx, message_id)
    write_down(tx, letter, again, now, resent=True)


def close(tx: Transaction, account_id: str, message_id: str, *, now: datetime) -> None:
    """Leave a letter that needs review as it is. Raises `storage.NotFound`, `storage.Conflict`."""
    letter = outbox.get(tx, account_id, message_id)
    write_down(tx, letter, machine.close(letter, now), now)


def cancel_batch(tx: Transaction, account_id: str, batch_id: str, *, now: datetime) -> int:
    """Do not send what of a batch has not left; how many letters that are. One event tells of them all."""
    batch = batches.get(tx, account_id, batch_id)
    letters = [one for one in outbox.unfinished_of(tx, batch.id) if one.state in machine.UNSENT]
    for letter in letters:
        outbox.save(tx, machine.cancel(letter, now))
    if letters:
        tell_of_batch(tx, batch.id, now)
    return len(letters)
