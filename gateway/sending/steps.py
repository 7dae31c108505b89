"""How long letters take, step by step. Pure: what a letter was and is, and the time, in; durations out."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.sending.machine import State
from storage.outbox import Letter

# What a write tells the observer of the store; see `Transaction.measure`.
WHOLE: Final = "letter"
STEP: Final = "letter.step."
ENTERED: Final = "letter.entered."


class Step(StrEnum):
    """The parts of a letter's way. One after the other they make the whole of it, when nothing goes wrong."""

    DRAFT = "draft"
    WAIT = "wait"
    SUBMIT = "submit"
    ARRIVE = "arrive"


def measures(before: Letter, after: Letter, now: datetime) -> Iterator[tuple[str, float]]:
    """What to measure of a letter that has gone from one state to another.

    Of one that a backup brought back nothing but that: how long it had been away is not how long it took.
    """
    yield ENTERED + after.state, 1
    if before.restored_at is not None:
        return
    if after.state == State.DRAFTED and before.state == State.DRAFTING and before.submits == 0:
        yield STEP + Step.DRAFT, _seconds(due(after), now)
    elif after.state == State.SUBMITTING:
        yield STEP + Step.WAIT, _seconds(before.state_since, now)
    elif after.state == State.SUBMITTED:
        yield STEP + Step.SUBMIT, _seconds(before.state_since, now)
    elif after.state == State.SENT:
        if before.submitted_at is not None:
            yield STEP + Step.ARRIVE, _seconds(before.submitted_at, now)
        yield WHOLE, _seconds(due(after), now)


def due(letter: Letter) -> datetime:
    """Since when it was to be sent: since it was accepted, or from a later time that SELMA named."""
    return max(letter.created_at, letter.send_at or letter.created_at)


def _seconds(since: datetime, now: datetime) -> float:
    """Not less than nothing, though clocks are set back."""
    return max(now - since, timedelta()).total_seconds()
