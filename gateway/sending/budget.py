"""How many letters a mailbox may send, and to how many people: kept before Microsoft 365 has to hold them back.

Calls and uploads are counted by the client (`gateway.graph.budget`); letters and recipients here, in the transaction
that says a letter is about to leave. A bucket of time counts until it has wholly left the window, so in no window,
wherever it begins, is more spent than allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from gateway.sending.rules import Allowance
from storage import Transaction, mailboxes, outbox, spending
from storage.outbox import Letter
from storage.spending import Bucket, Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """So much in so long, counted in buckets."""

    kind: Spent
    length: timedelta
    bucket: timedelta

    def free_at(self, spent: Sequence[Bucket], allowed: int, wanted: int, now: datetime) -> datetime:
        """When `wanted` more may be spent. More than is ever allowed is allowed alone, when nothing else counts."""
        left = allowed - sum(one.amount for one in spent)
        at = now
        for one in spent:
            if left >= min(wanted, allowed):
                break
            at = max(at, one.begins_at + self.bucket + self.length)
            left += one.amount
        return at


LETTERS: Final = Window(kind=Spent.LETTERS, length=timedelta(minutes=1), bucket=timedelta(seconds=1))
RECIPIENTS: Final = Window(kind=Spent.RECIPIENTS, length=timedelta(days=1), bucket=timedelta(minutes=10))
SET_BACK: Final = timedelta(minutes=1)
LONGEST_WINDOW: Final = RECIPIENTS.length + RECIPIENTS.bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a mailbox may still send now, and when the next letter may leave."""

    letters: int
    recipients: int
    next_letter_at: datetime


def may_leave_at(tx: Transaction, mailbox_id: str, recipients: int, allowance: Allowance, now: datetime) -> datetime:
    """When a letter to so many people may leave this mailbox: now, or later."""
    letters = LETTERS.free_at(_spent(tx, mailbox_id, LETTERS, now), allowance.letters_per_minute, 1, now)
    people = _spent(tx, mailbox_id, RECIPIENTS, now)
    return max(letters, RECIPIENTS.free_at(people, allowance.recipients_per_day, recipients, now))


def spend(tx: Transaction, letter: Letter, allowance: Allowance, now: datetime) -> None:
    """This letter is about to leave. Writes down when the next one may."""
    for window, amount in ((LETTERS, 1), (RECIPIENTS, letter.recipients)):
        spending.spend(tx, letter.mailbox_id, window.kind, amount, width=window.bucket, now=now)
    at = may_leave_at(tx, letter.mailbox_id, 1, allowance, now)
    mailboxes.next_letter_at(tx, letter.mailbox_id, at if at > now else None)


def left(tx: Transaction, mailbox_id: str, allowance: Allowance, now: datetime) -> Left:
    """For people and metrics."""
    letters, people = (_spent(tx, mailbox_id, window, now) for window in (LETTERS, RECIPIENTS))
    return Left(
        letters=max(allowance.letters_per_minute - sum(one.amount for one in letters), 0),
        recipients=max(allowance.recipients_per_day - sum(one.amount for one in people), 0),
        next_letter_at=may_leave_at(tx, mailbox_id, 1, allowance, now),
    )


def done_by(tx: Transaction, mailbox_id: str, allowance: Allowance, now: datetime) -> datetime:
    """When the last of the letters that wait in this mailbox will have left, if nothing goes wrong.

    Days of recipients first, then minutes of letters in the last of them: what a person would reckon on paper.
    """
    queue = outbox.waiting(tx, mailbox_id)
    if queue.letters == 0:
        return now
    today = left(tx, mailbox_id, allowance, now)
    days = ceil(max(queue.recipients - today.recipients, 0) / allowance.recipients_per_day)
    of_last_day = min(queue.letters, ceil(queue.letters * allowance.recipients_per_day / queue.recipients))
    minutes = ceil(max((of_last_day if days else queue.letters) - today.letters, 0) / allowance.letters_per_minute)
    reckoned = max(today.next_letter_at, now) + days * RECIPIENTS.length + minutes * LETTERS.length
    return max(reckoned, queue.last_due or now)


def _spent(tx: Transaction, mailbox_id: str, window: Window, now: datetime) -> list[Bucket]:
    """What still counts; a moment ahead too, for clocks are set back a little. The rest was of one that ran ahead."""
    since = spending.since(tx, mailbox_id, window.kind, now - window.length - window.bucket)
    return [one for one in since if one.begins_at <= now + SET_BACK]
