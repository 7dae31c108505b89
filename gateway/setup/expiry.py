"""The countdown to the end of each credential that serves.

A certificate tells when it ends, and a federated assertion is made anew again and again. Nothing tells when a secret
ends unless the app may read applications, so the date is what a person entered:
https://learn.microsoft.com/graph/api/resources/passwordcredential
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.clock import Clock
from gateway.setup.alerts import warn_by_letter
from gateway.setup.values import day_of
from storage import Store, Transaction, accounts, chores, credentials, events
from storage.credentials import Credential, CredentialKind, CredentialState

log = logging.getLogger(__name__)

STEPS: Final = (90, 60, 30, 14, 7, 3, 1, 0)  # days before the end; 0 is the end
NOTICE_FROM: Final = STEPS[0]
WARNING_FROM: Final = 30
DEGRADED_FROM: Final = 1  # a letter would soon have to wait: say so while there is a day to act

CHORE: Final = "expiry"
READ_CHORE: Final = "expiry-date"  # of `expiry_reader`
LOOK_EVERY: Final = timedelta(days=1)
# A look that stands further ahead than the interval and this was written by a clock that ran ahead: look now.
SLACK: Final = timedelta(days=1)
DAY: Final = timedelta(days=1)

NOUNS: Final[Mapping[CredentialKind, str]] = {
    CredentialKind.CLIENT_SECRET: "client secret",
    CredentialKind.CERTIFICATE: "certificate",
    CredentialKind.FEDERATED: "federated credential",
}
CURES: Final[Mapping[CredentialKind, str]] = {
    CredentialKind.CLIENT_SECRET: "Add a new client secret to the app in Entra and enter its value under "
    "Account-Level Configuration",
    CredentialKind.CERTIFICATE: "Make a new certificate under Account-Level Configuration and upload it to the app "
    "in Entra",
    CredentialKind.FEDERATED: "Look at the federated credential of the app in Entra",
}


class Level(StrEnum):
    """How loudly to say it."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a credential stands. `days_left` counts begun days: 1 is the last day, 0 is over, None is not known."""

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


def standing(
    expires_at: datetime | None,
    now: datetime,
    *,
    time_zone: str,
    kind: CredentialKind = CredentialKind.CLIENT_SECRET,
) -> Standing:
    """Where a credential stands at `now`, with days as the account's `time_zone` has them."""
    noun, cure = NOUNS[kind], CURES[kind]
    if kind is CredentialKind.FEDERATED and expires_at is None:
        sentence = "The federated credential has no end: its assertions are made anew by whoever issues them."
        return Standing(days_left=None, level=Level.OK, sentence=sentence)
    if expires_at is None:
        return Standing(
            days_left=None,
            level=Level.NOTICE,
            sentence=f"It is not known when the {noun} expires. Enter the date that Entra shows beside it, and "
            "the gateway will warn in time.",
        )
    left, day = days_left(expires_at, now), day_of(expires_at, time_zone)
    if left == 0:
        return Standing(
            days_left=0,
            level=Level.EXPIRED,
            sentence=f"The {noun} expired on {day}. {cure} now: letters wait until then.",
        )
    if left > NOTICE_FROM:
        return Standing(days_left=left, level=Level.OK, sentence=f"The {noun} expires on {day}, in {left} days.")
    when = f"in {left} days, on {day}" if left > 1 else f"within a day, on {day}"
    return Standing(
        days_left=left,
        level=Level.WARNING if left <= WARNING_FROM else Level.NOTICE,
        sentence=f"The {noun} expires {when}. {cure} before then.",
    )


def standing_of(serving: Sequence[Credential], now: datetime, *, time_zone: str) -> Standing | None:
    """Where the account stands: where the credential does whose end is the end of all. None without any."""
    last = ending(serving)
    return None if last is None else standing(last.expires_at, now, time_zone=time_zone, kind=last.kind)


def ending(serving: Sequence[Credential]) -> Credential | None:
    """The one with whose end the account is without any: what serves longest, for that one takes over."""
    well = [one for one in serving if one.problem is None] or list(serving)
    if not well or well[0].expires_at is None:
        return well[0] if well else None
    end = well[0].expires_at
    return max(well, key=lambda one: one.expires_at or end)


def is_told_of(credential: Credential, serving: Sequence[Credential]) -> bool:
    """Whether its end matters: not that of an old one which a well active one outlives."""
    if credential.state is CredentialState.ACTIVE:
        return True
    return not any(
        one.state is CredentialState.ACTIVE and one.problem is None and _outlives(one, credential) for one in serving
    )


def _outlives(one: Credential, other: Credential) -> bool:
    if one.kind is CredentialKind.FEDERATED:
        return True
    return one.expires_at is not None and other.expires_at is not None and one.expires_at > other.expires_at


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
    """Looks daily at every account's credentials, and tells each step of the countdown once."""

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
        _retire_what_ended(tx, account_id, now)
        serving = credentials.serving(tx, account_id)
        ends = [one.expires_at for one in serving] or [None]
        for one in serving:
            if one.expires_at is not None and is_told_of(one, serving):
                told += _warn(tx, one, one.expires_at, now, by_letter=one == ending(serving))
        chores.done(tx, account_id, CHORE, next_at=min(next_look(end, now) for end in ends))
    return told


def _retire_what_ended(tx: Transaction, account_id: str, now: datetime) -> None:
    """The old one has served its time, once its day has come and the active one is well."""
    active = credentials.active(tx, account_id)
    old = credentials.in_slot(tx, account_id, CredentialState.STANDBY)
    if active is None or active.problem is not None or old is None or old.expires_at is None or old.expires_at > now:
        return
    credentials.retire(tx, account_id, CredentialState.STANDBY)
    data = {"credential_id": old.id, "kind": old.kind, "reason": "expired"}
    events.record(tx, account_id, "credential.removed", data=data, now=now)


def _warn(
    tx: Transaction, credential: Credential, expires_at: datetime, now: datetime, *, by_letter: bool
) -> list[Warned]:
    """`by_letter`, too, when the connection ends with it."""
    given = credentials.warnings_given(tx, credential.id, latest=now)
    steps = warnings_due(expires_at, given, now)
    for step in steps:
        credentials.record_warning(tx, credential, step, now=now)
    if not steps:
        return []
    left = days_left(expires_at, now)
    data = {
        "credential_id": credential.id,
        "kind": credential.kind,
        "state": credential.state,
        "days_left": left,
        "step": steps[0],
        "expires_at": expires_at.isoformat(),
    }
    events.record(tx, credential.account_id, "credential.expiring", data=data, now=now)
    if by_letter:
        time_zone = accounts.get(tx, credential.account_id).time_zone
        sentence = standing(expires_at, now, time_zone=time_zone, kind=credential.kind).sentence
        warn_by_letter(tx, credential.account_id, sentence, left=left, now=now)
    return [Warned(account_id=credential.account_id, credential_id=credential.id, days_left=left)]
