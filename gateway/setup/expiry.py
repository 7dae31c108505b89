"""The countdown to the end of a client secret.

Nothing tells when a secret ends unless the app may read applications, so the date is what a person entered:
https://learn.microsoft.com/graph/api/resources/passwordcredential
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.clock import Clock
from storage import Store, Transaction, chores, credentials, events
from storage.credentials import Credential

log = logging.getLogger(__name__)

STEPS: Final = (90, 60, 30, 14, 7, 3, 1, 0)  # days before the end; 0 is the end
NOTICE_FROM: Final = STEPS[0]
WARNING_FROM: Final = 30
DEGRADED_FROM: Final = 1  # a letter would soon have to wait: say so while there is a day to act

CHORE: Final = "expiry"
LOOK_EVERY: Final = timedelta(days=1)
# A look that stands further ahead than the interval and this was written by a clock that ran ahead: look now.
SLACK: Final = timedelta(days=1)
DAY: Final = timedelta(days=1)

CURE: Final = "Add a new client secret to the app in Entra and enter its value under Account-Level Configuration"


class Level(StrEnum):
    """How loudly to say it."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a secret stands. `days_left` counts begun days: 1 is the last day, 0 is over, None is not known."""

    days_left: int | None
    level: Level
    sentence: str

    @property
    def degraded(self) -> bool:
        """Whether the gateway should no longer call itself ready."""
        return self.days_left is not None and self.days_left <= DEGRADED_FROM


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A step of the countdown that was just told."""

    account_id: str
    credential_id: str
    days_left: int


def days_left(expires_at: datetime, now: datetime) -> int:
    """Begun days until the end, never below 0."""
    return max(0, -((now - expires_at) // DAY))


def standing(expires_at: datetime | None, now: datetime) -> Standing:
    """Where a secret stands at `now`."""
    if expires_at is None:
        return Standing(
            days_left=None,
            level=Level.NOTICE,
            sentence="It is not known when the client secret expires. Enter the date that Entra shows beside it, and "
            "the gateway will warn in time.",
        )
    left, day = days_left(expires_at, now), f"{expires_at.day} {expires_at:%B %Y}"
    if left == 0:
        return Standing(
            days_left=0,
            level=Level.EXPIRED,
            sentence=f"The client secret expired on {day}. {CURE} now: letters wait until then.",
        )
    if left > NOTICE_FROM:
        return Standing(days_left=left, level=Level.OK, sentence=f"The client secret expires on {day}, in {left} days.")
    when = f"in {left} days, on {day}" if left > 1 else f"within a day, on {day}"
    return Standing(
        days_left=left,
        level=Level.WARNING if left <= WARNING_FROM else Level.NOTICE,
        sentence=f"The client secret expires {when}. {CURE} before then.",
    )


def warnings_due(expires_at: datetime, given: Iterable[int], now: datetime) -> list[int]:
    """The steps that were reached and not told, nearest to the end first: that one is told, all count as told.

    A step further from the end than one that was told is past: nobody wants to hear "60 days" after "30 days".
    """
    left, nearest = days_left(expires_at, now), min(given, default=NOTICE_FROM + 1)
    return sorted(step for step in STEPS if left <= step < nearest)


def next_look(expires_at: datetime | None, now: datetime) -> datetime:
    """Tomorrow, or when the next step is reached, whichever is sooner."""
    steps = [] if expires_at is None else [expires_at - step * DAY for step in STEPS]
    return min([now + LOOK_EVERY, *(at for at in steps if at > now)])


class ExpiryWatch:
    """Looks daily at every account's secret, and tells each step of the countdown once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run_due(self) -> int:
        """Look where a look is due; how many warnings were given. Raises `StorageUnavailable`."""
        told = await self._store.write(_look, now=self._clock.now())
        for one in told:
            log.warning(
                "credential expiring",
                extra={
                    "account_id": one.account_id,
                    "credential_id": one.credential_id,
                    "days_left": one.days_left,
                },
            )
        return len(told)

    async def next_due(self) -> datetime | None:
        """When the next look is due; None while there is no account."""
        return await self._store.read(chores.next_due, CHORE, self._clock.now())


def _look(tx: Transaction, *, now: datetime) -> list[Warned]:
    told: list[Warned] = []
    for account_id in chores.due(tx, CHORE, now, latest=now + LOOK_EVERY + SLACK):
        credential = credentials.active(tx, account_id)
        if credential is not None and credential.expires_at is not None:
            told += _warn(tx, credential, credential.expires_at, now)
        ends = None if credential is None else credential.expires_at
        chores.done(tx, account_id, CHORE, next_at=next_look(ends, now))
    return told


def _warn(tx: Transaction, credential: Credential, expires_at: datetime, now: datetime) -> list[Warned]:
    given = credentials.warnings_given(tx, credential.id, latest=now)
    steps = warnings_due(expires_at, given, now)
    for step in steps:
        credentials.record_warning(tx, credential, step, now=now)
    if not steps:
        return []
    left = days_left(expires_at, now)
    data = {"credential_id": credential.id, "days_left": left, "step": steps[0], "expires_at": expires_at.isoformat()}
    events.record(tx, credential.account_id, "credential.expiring", data=data, now=now)
    return [Warned(account_id=credential.account_id, credential_id=credential.id, days_left=left)]
