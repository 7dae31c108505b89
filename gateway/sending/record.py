"""Writing a decision down: the row, and the events that tell SELMA of it, in one transaction."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.sending.machine import FINISHED, State, shown
from gateway.sending.steps import measures
from storage import Transaction, batches, events, outbox
from storage.outbox import Letter

STEP_PERCENT: Final = 10

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
    if after.state == before.state:
        return after
    for what, value in measures(before, after, now):
        tx.measure(what, value)
    if State(after.state) in EVENTS:
        tell(tx, after, now, **data)
    if after.batch_id is not None and State(after.state) in FINISHED and State(before.state) not in FINISHED:
        tell_of_batch(tx, after.batch_id, now)
    return after


def tell_of_batch(tx: Transaction, batch_id: str, now: datetime) -> None:
    """Record how far a batch is, whenever another tenth of it is over; and its end."""
    batch = batches.by_id(tx, batch_id)
    still_open = batches.open_letters(tx, batch_id)
    percent = (batch.letters - still_open) * 100 // batch.letters // STEP_PERCENT * STEP_PERCENT
    if percent <= batch.told_percent and still_open > 0:
        return
    batches.told(tx, batch_id, percent)
    letters = Counter[str]()
    for state, count in batches.counts(tx, batch_id).items():
        letters[shown(state)] += count
    data = {"batch_id": batch_id, "percent": percent, "letters": dict(letters)}
    events.record(tx, batch.account_id, "batch.progress" if still_open else "batch.finished", data=data, now=now)


def tell(tx: Transaction, letter: Letter, now: datetime, **data: Any) -> None:
    """Record the event of the state that a letter is in."""
    tell_that(tx, letter, EVENTS[State(letter.state)], now, **data)


def tell_that(tx: Transaction, letter: Letter, event: str, now: datetime, **data: Any) -> None:
    """Record that something happened to a letter, with how it stands and why."""
    code = None if letter.problem is None else letter.problem.get("code")
    events.record(
        tx,
        letter.account_id,
        event,
        thread_id=letter.thread_id,
        message_id=letter.message_id,
        data={"status": shown(letter.state), **({} if code is None else {"code": code}), **data},
        origin=letter.origin,
        now=now,
    )
