"""Signs of life: one is written down every few seconds, so that a start knows since when nobody was there.

It is a chore that is always due: its due time is when the last sign was given.
"""

from datetime import datetime, timedelta
from typing import Final

from storage import Transaction, accounts, chores, folders, gaps, mailboxes
from storage.gaps import Reason

SIGN: Final = "alive"
LONGEST_SILENCE: Final = timedelta(seconds=20)  # several signs: a slow disk is no absence


def give_sign(tx: Transaction, *, now: datetime) -> int:
    """Write down that the gateway lives. If the last sign is too old, it was down: how many folders have a gap by that.

    Not only at start: a machine that was asleep has not started anew.
    """
    noted = 0
    for account in accounts.all_of_them(tx):
        last = chores.due_at(tx, account.id, SIGN)
        if last is not None and now - last > LONGEST_SILENCE:
            noted += _note_absence(tx, account.id, since=last, now=now)
        chores.done(tx, account.id, SIGN, next_at=now)
    return noted


def _note_absence(tx: Transaction, account_id: str, *, since: datetime, now: datetime) -> int:
    watched = [
        folder for mailbox in mailboxes.list_validated(tx, account_id) for folder in folders.of_mailbox(tx, mailbox.id)
    ]
    for folder in watched:
        gaps.note(tx, folder.id, Reason.GATEWAY_DOWN, began_at=since, ended_at=now)
        folders.pull_soon(tx, folder.id, now)
    return len(watched)
