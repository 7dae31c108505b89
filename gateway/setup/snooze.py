"""Putting a warning off: the banner becomes one quiet line until the next step of the countdown, and no longer.

What is still to come is never silenced: event, letter, log and banner of the next step come as they would have. From
the last day on nothing can be put off.
"""

from datetime import datetime
from typing import Final

from gateway.setup.account import BadConfiguration
from gateway.setup.expiry import DAY, DEGRADED_FROM, NOTICE_FROM, STEPS, days_left, ending
from gateway.setup.values import day_of
from storage import Conflict, Transaction, accounts, audit, credentials, snoozes
from storage.audit import Actor
from storage.credentials import Credential
from storage.snoozes import Snooze

LONGEST_REASON: Final = 300


def latest_end(expires_at: datetime, now: datetime) -> datetime:
    """When the next step is reached, which is as long as a warning can be put off."""
    ahead = [at for step in STEPS if (at := expires_at - step * DAY) > now]
    return min(ahead, default=now)


def snooze(
    tx: Transaction, account_id: str, reason: str, *, until: datetime | None = None, by: Actor, now: datetime
) -> Snooze:
    """Put the warning off until then, by default until the next step.

    Raises `Conflict` when there is no warning to put off, or none that may be, and `BadConfiguration` for a reason or
    an end that will not do.
    """
    credential = ending(credentials.serving(tx, account_id))
    if credential is None or credential.expires_at is None or days_left(credential.expires_at, now) > NOTICE_FROM:
        raise Conflict("There is no warning to put off.")
    if days_left(credential.expires_at, now) <= DEGRADED_FROM:
        raise Conflict("The credential ends within a day, or has ended: that cannot be put off. Replace it now.")
    last = latest_end(credential.expires_at, now)
    problems = _problems(reason, until, last, now, accounts.get(tx, account_id).time_zone)
    if problems:
        raise BadConfiguration(problems)
    found = Snooze(
        account_id=account_id,
        credential_id=credential.id,
        expires_at=credential.expires_at,
        until=until or last,
        reason=reason.strip(),
        snoozed_by=by.staff or by.key_name or "The operator",
        created_at=now,
    )
    snoozes.save(tx, found)
    audit.record(tx, account_id, by, "expiry.snooze", {"credential_id": credential.id}, now=now)
    return found


def wake(tx: Transaction, account_id: str, *, by: Actor, now: datetime) -> None:
    """Say it again at once."""
    if snoozes.end(tx, account_id):
        audit.record(tx, account_id, by, "expiry.wake", {}, now=now)


def snoozed(tx: Transaction, credential: Credential | None, now: datetime) -> Snooze | None:
    """The snooze that keeps this credential's warning quiet now. A clock set back, or another date, ends it."""
    found = None if credential is None else snoozes.get(tx, credential.account_id)
    if found is None or credential is None or credential.expires_at is None:
        return None
    is_its = (found.credential_id, found.expires_at) == (credential.id, credential.expires_at)
    counts = found.created_at <= now < min(found.until, latest_end(credential.expires_at, found.created_at))
    return found if is_its and counts and days_left(credential.expires_at, now) > DEGRADED_FROM else None


def _problems(reason: str, until: datetime | None, last: datetime, now: datetime, time_zone: str) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not reason.strip():
        problems["reason"] = "Say why, for those who come after you."
    if len(reason) > LONGEST_REASON:
        problems["reason"] = f"Say it in {LONGEST_REASON} characters at most."
    if until is not None and not now < until <= last:
        problems["until"] = f"Choose a time between now and {day_of(last, time_zone)}: then comes the next warning."
    return problems
