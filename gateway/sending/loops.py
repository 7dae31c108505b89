"""Two machines that answer each other for ever: our side of it stops.

SELMA may send a letter for each answer, and a recipient's machine an answer for each letter. A recipient whose last
answers were all automatic gets so many letters within an hour, and the next waits until the hour has passed; a person
may let it go sooner. Letters to everybody else are not touched.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.sending.rules import Allowance
from storage import Transaction, answerers
from storage.outbox import Letter
from storage.threads import Address

WITHIN: Final = timedelta(hours=1)
IN_A_ROW: Final = 3  # one automatic answer is a holiday; three without a word from a person are a machine


def may_leave_at(
    tx: Transaction, letter: Letter, people: Sequence[Address], allowance: Allowance, now: datetime
) -> datetime:
    """When this letter may go to all of them: now, or later."""
    most = allowance.letters_to_a_machine
    return max((_for_one(tx, letter, one.address, most, now) for one in people), default=now)


def _for_one(tx: Transaction, letter: Letter, address: str, most: int, now: datetime) -> datetime:
    if answerers.in_a_row(tx, letter.account_id, address) < IN_A_ROW:
        return now
    left = answerers.left_since(tx, letter.account_id, address, now - WITHIN, but_for=letter.message_id)
    return now if len(left) < most else max(left[-most] + WITHIN, now)


def leaves(tx: Transaction, letter: Letter, people: Sequence[Address], now: datetime) -> None:
    """It is about to go to these."""
    answerers.leaves(tx, letter.account_id, letter.message_id, (one.address for one in people), now=now)
