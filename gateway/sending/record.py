"""Writing a decision down: the row, and the event that tells SELMA of it, in one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.sending.machine import State, shown
from storage import Transaction, events, outbox
from storage.outbox import Letter

EVENTS: Final[Mapping[State, str]] = {
    State.ACCEPTED: "message.accepted",
    State.SUBMITTED: "message.submitted",
    State.SENT: "message.sent",
    State.BOUNCED: "message.bounced",
    State.FAILED: "message.failed",
    State.NEEDS_REVIEW: "message.needs_review",
    State.CANCELLED: "message.cancelled",
}


def write_down(
    tx: Transaction, before: Letter, after: Letter, now: datetime, *, keep_lease: bool = False, **data: Any
) -> Letter:
    """Keep what was decided of a letter; returns it. Entering a state that SELMA wants to know of is an event."""
    outbox.save(tx, after, keep_lease=keep_lease)
    if after.state != before.state and State(after.state) in EVENTS:
        tell(tx, after, now, **data)
    return after


def tell(tx: Transaction, letter: Letter, now: datetime, **data: Any) -> None:
    """Record the event of the state that a letter is in."""
    code = None if letter.problem is None else letter.problem.get("code")
    events.record(
        tx,
        letter.account_id,
        EVENTS[State(letter.state)],
        thread_id=letter.thread_id,
        message_id=letter.message_id,
        data={"status": shown(letter.state), **({} if code is None else {"code": code}), **data},
        now=now,
    )
