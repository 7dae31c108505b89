"""A round trip: what it says, what it is to take, and when it is late. Pure, but for the letter taken in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.sending.accept import accept
from gateway.sending.machine import State as LetterState
from gateway.sending.posted import NewLetter
from storage import Transaction, accounts, mailboxes, round_trips
from storage.messages import BodyType
from storage.outbox import Letter
from storage.round_trips import Kind, RoundTrip, State
from storage.threads import Address

# Notifications of mail take under 1 minute on average and 3 at most, by
# https://learn.microsoft.com/graph/change-notifications-overview; the rest is the outbox's and Exchange's own time.
LATE_AFTER: Final = timedelta(minutes=10)
GIVEN_UP_AFTER: Final = timedelta(hours=1)
SENT_BY: Final = "Mail gateway"
HOUR: Final = 6  # on the account's clock: known before the office opens
# A morning that was missed is missed: nobody wants a heap of tests after a holiday, or a clock that ran ahead.
MISSED_AFTER: Final = timedelta(hours=3)

SUBJECTS: Final = {
    Kind.DAILY: "Self-test of SELMA’s mail gateway (deletes itself)",
    Kind.ASKED: "Round trip of SELMA’s mail gateway (a test)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticing:
    """How new mail is noticed here: `is_live` by notifications; else by sweeps, so often."""

    is_live: bool
    sweeps: timedelta

    @property
    def late_after(self) -> timedelta:
        """Since it was taken in."""
        return LATE_AFTER if self.is_live else LATE_AFTER + 2 * self.sweeps


def begin(
    tx: Transaction, account_id: str, address: str, to: str | None, *, kind: Kind, noticing: Noticing, now: datetime
) -> RoundTrip:
    """Put its letter into the outbox. Raises `storage.NotFound` and `MailboxNotValidated`."""
    mailbox = mailboxes.get_by_address(tx, account_id, address)
    recipient = None if to is None or to.casefold() == mailbox.address.casefold() else to
    zone = ZoneInfo(accounts.get(tx, account_id).time_zone)
    letter = NewLetter(
        sender=mailbox.address,
        to=(Address(name=None, address=recipient or mailbox.address),),
        subject=SUBJECTS[kind],
        body_type=BodyType.TEXT,
        body=_body(mailbox.address, recipient, now.astimezone(zone)),
        created_by=SENT_BY,
        metadata={"self_test": True},
        self_test=True,
    )
    message_id = accept(tx, account_id, letter, idempotency_key=None, now=now).message_id
    return round_trips.insert(
        tx,
        account_id=account_id,
        mailbox_id=mailbox.id,
        message_id=message_id,
        kind=kind,
        recipient=recipient,
        is_live=noticing.is_live,
        late_at=now + noticing.late_after,
        ends_at=now + noticing.late_after + GIVEN_UP_AFTER,
        now=now,
    )


def _body(sender: str, recipient: str | None, at: datetime) -> str:
    asked = f"{at.day} {at:%B %Y at %H:%M %Z}"
    if recipient is not None:
        return (
            f"This tries, on {asked}, whether mail from SELMA leaves {sender} and an answer comes back. "
            "Please answer with any word: SELMA notes that it came, and keeps nothing of what it says.\n"
        )
    return (
        f"The mailbox {sender} wrote this to itself on {asked}, to try whether mail from SELMA leaves and comes back. "
        "There is nothing to do: it is deleted as soon as it has come back. Who looks after SELMA can turn this off.\n"
    )


def follow(trip: RoundTrip, letter: Letter, *, notified_at: datetime | None, now: datetime) -> RoundTrip:
    """How far it is, as of `now`: each step keeps the time at which it was first seen."""
    is_sent = letter.state in (LetterState.SENT, LetterState.BOUNCED)
    submitted_at = trip.submitted_at or letter.submitted_at or (letter.state_since if is_sent else None)
    seen = replace(
        trip,
        drafted_at=trip.drafted_at or (min(now, submitted_at or now) if letter.graph_id or submitted_at else None),
        submitted_at=submitted_at,
        sent_at=trip.sent_at or (letter.state_since if is_sent else None),
        notified_at=trip.notified_at or (notified_at if trip.is_live else None),
    )
    return _ended(seen, letter, now)


def missing(trip: RoundTrip) -> str | None:
    """The first step that it has not taken."""
    return next((step for step in trip.steps if trip.at(step) is None), None)


def _ended(trip: RoundTrip, letter: Letter, now: datetime) -> RoundTrip:
    """Late from `late_at` on, over when all is there or nothing more is to be waited for."""
    step = missing(trip)
    if step is None:
        return _over(trip, State.LATE if trip.missed else State.PASSED, now)
    never = letter.state in (LetterState.FAILED, LetterState.CANCELLED, LetterState.BOUNCED, LetterState.NEEDS_REVIEW)
    if trip.recipient is not None and not never and trip.sent_at is not None:
        # A person answers when they like. Nobody is alarmed, and in the end what was tried of our own went well.
        return _over(trip, State.PASSED, now) if now >= trip.ends_at else trip
    if now >= trip.late_at or never:
        trip = replace(trip, missed=trip.missed or step)
    if never or now >= trip.ends_at:
        return _over(trip, State.FAILED, now)
    return trip


def _over(trip: RoundTrip, state: State, now: datetime) -> RoundTrip:
    """Of one to the mailbox itself nothing is left there."""
    return replace(trip, state=state, ended_at=now, clean_at=now if trip.recipient is None else None)


def next_morning(now: datetime, time_zone: str) -> datetime:
    """When the next self-tests are due in a zone of the tz database."""
    local = now.astimezone(ZoneInfo(time_zone))
    morning = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return (morning if morning > local else morning + timedelta(days=1)).astimezone(now.tzinfo)
