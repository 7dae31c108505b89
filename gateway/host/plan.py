"""When a webhook that did not take an event is asked again. Pure.

Two troubles are told apart. A receiver that takes nothing is *down*: everything waits, one event at a time is tried,
and nothing is given up, however long it takes. A receiver that takes others but not this one is asked for three days,
and then the event is left to a person, so that it does not hold up its thread for ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: a schedule of three days.
WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
DOWN_AFTER: Final = 5  # failures in a row
FIRST_PROBE: Final = timedelta(seconds=10)
LONGEST_PROBE: Final = timedelta(hours=1)
JITTER: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """This delivery is tried again at `at`. `down`: the webhook is, and nothing else is tried before."""

    at: datetime
    down: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The receiver would not take it in three days in which it took others."""


def after_failure(
    *,
    attempts: int,
    failures: int,
    is_down: bool,
    first_failed_at: datetime | None,
    last_success_at: datetime | None,
    now: datetime,
    roll: float,
) -> Again | GiveUp:
    """`attempts` of this delivery, `failures` of the webhook in a row, this one included; `roll` is from [0, 1)."""
    if is_down or failures >= DOWN_AFTER:
        doublings = min(max(failures - DOWN_AFTER, 0), 16)
        return Again(at=now + _about(min(FIRST_PROBE * 2**doublings, LONGEST_PROBE), roll), down=True)
    if attempts <= len(WAITS):
        return Again(at=now + _about(WAITS[attempts - 1], roll), down=False)
    took_others = last_success_at is not None and first_failed_at is not None and last_success_at > first_failed_at
    return GiveUp() if took_others else Again(at=now + _about(WAITS[-1], roll), down=False)


def _about(wait: timedelta, roll: float) -> timedelta:
    """Not all at once, when many wait for the same receiver."""
    return wait * (1 + JITTER * (roll - 0.5))
