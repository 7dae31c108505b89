"""What a mailbox may still send, and when what waits in it will have left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.budgets import calls_left
from gateway.graph import Limits
from gateway.sending import budget
from gateway.sending.rules import Allowance
from storage import Transaction, accounts, mailboxes, outbox
from storage.accounts import Account
from storage.mailboxes import Mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """One mailbox: `letters` are left this minute, `recipients` today.

    `next_letter_at` is None when the next letter may leave at once, `done_by` when nothing waits. `calls` and
    `upload_bytes` are what else Graph still takes; None where that is not asked for.
    """

    address: str
    waiting: int
    letters: int
    recipients: int
    next_letter_at: datetime | None
    done_by: datetime | None
    calls: int | None = None
    upload_bytes: int | None = None

    @property
    def sentence(self) -> str:
        """In one line."""
        letters, recipients = _count(self.letters, "more letter"), _count(self.recipients, "recipient")
        return f"Sends {letters} this minute, {recipients} today."


def read_budget(tx: Transaction, mailbox: Mailbox, account: Account, allowance: Allowance, now: datetime) -> BudgetView:
    """Of one mailbox, without calls. A pause, its own or the account's, puts off its next letter and all behind it."""
    left = budget.left(tx, mailbox.id, allowance, now)
    waiting = outbox.waiting(tx, mailbox.id).letters
    next_letter_at = max(left.next_letter_at, mailbox.paused_until or now, account.outbox_paused_until or now)
    put_off = next_letter_at - left.next_letter_at
    return BudgetView(
        address=mailbox.address,
        waiting=waiting,
        letters=left.letters,
        recipients=left.recipients,
        next_letter_at=next_letter_at if next_letter_at > now else None,
        done_by=budget.done_by(tx, mailbox.id, allowance, now) + put_off if waiting else None,
    )


def read_budgets(
    tx: Transaction, account_id: str, *, allowance: Allowance, limits: Limits, now: datetime
) -> Sequence[BudgetView]:
    """Of every validated mailbox of an account, by address."""
    account, views = accounts.get(tx, account_id), []
    for one in mailboxes.list_validated(tx, account_id):
        asked = calls_left(tx, one.id, limits, now)
        view = read_budget(tx, one, account, allowance, now)
        views.append(replace(view, calls=asked.requests, upload_bytes=asked.upload_bytes))
    return views


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}s"
