"""The states of a letter on its way, and every decision about what follows. Pure: values and the time in, values out.

    ACCEPTED ─▶ DRAFTING ─201─▶ DRAFTED ─▶ SUBMITTING ─202─▶ SUBMITTED ─seen in Sent─▶ SENT ◀─▶ BOUNCED
                                   ▲           │ any other end    │ not seen in time
                                   │           ▼                  │
                                   └─a draft─ UNKNOWN ◀───────────┘ ─no proof in time─▶ NEEDS_REVIEW

BOUNCED becomes SENT again only when a person takes back that the report was about it.

A row that a restored backup brought back is UNKNOWN first, whatever it was: what it says of the mailbox is old.

A second `/send` for one send_uid is issued only when Graph never answered the first with 202 and reads have shown the
item still to be a draft after the settle time. What Graph accepted is never submitted again by the machine: if it is
not seen in Sent, a person decides.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gateway.sending.errors import Outcome, Verdict, patience
from gateway.sending.reasons import problem
from storage import Conflict
from storage.outbox import Letter


class State(StrEnum):
    """Where a letter is. The column `outbox.state` holds these."""

    ACCEPTED = "accepted"
    DRAFTING = "drafting"
    DRAFTED = "drafted"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"
    CANCELLED = "cancelled"


S = State

# SENT can follow almost anything: whoever sees the item in Sent knows better than any row.
TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    S.ACCEPTED: frozenset({S.DRAFTING, S.FAILED, S.CANCELLED, S.SENT, S.UNKNOWN}),
    S.DRAFTING: frozenset({S.DRAFTED, S.FAILED, S.NEEDS_REVIEW, S.CANCELLED, S.SENT, S.UNKNOWN}),
    S.DRAFTED: frozenset({S.SUBMITTING, S.DRAFTING, S.FAILED, S.NEEDS_REVIEW, S.CANCELLED, S.SENT, S.UNKNOWN}),
    S.SUBMITTING: frozenset({S.SUBMITTED, S.UNKNOWN, S.DRAFTED, S.FAILED, S.SENT, S.BOUNCED}),
    S.SUBMITTED: frozenset({S.UNKNOWN, S.SENT, S.BOUNCED}),
    S.UNKNOWN: frozenset({S.ACCEPTED, S.DRAFTED, S.FAILED, S.NEEDS_REVIEW, S.SENT, S.BOUNCED}),
    S.SENT: frozenset({S.BOUNCED}),
    S.BOUNCED: frozenset({S.SENT}),
    S.FAILED: frozenset({S.ACCEPTED, S.SENT}),
    S.NEEDS_REVIEW: frozenset({S.ACCEPTED, S.CANCELLED, S.SENT, S.BOUNCED}),
    S.CANCELLED: frozenset({S.SENT}),
}
FINISHED: Final = frozenset({S.SENT, S.BOUNCED, S.FAILED, S.NEEDS_REVIEW, S.CANCELLED})
UNSENT: Final = frozenset({S.ACCEPTED, S.DRAFTING, S.DRAFTED})

SHOWN: Final[Mapping[State, str]] = {
    S.ACCEPTED: "queued",
    S.DRAFTING: "queued",
    S.DRAFTED: "queued",
    S.SUBMITTING: "sending",
    S.UNKNOWN: "sending",
    S.SUBMITTED: "submitted",
    S.SENT: "sent",
    S.BOUNCED: "bounced",
    S.FAILED: "failed",
    S.NEEDS_REVIEW: "needs_review",
    S.CANCELLED: "cancelled",
}

# When an uncertain letter is looked for, counted from when it became uncertain; later ones every LATER_LOOKS.
UNKNOWN_LOOKS: Final = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 600, 900))
# The same for one that Graph accepted; a notification or the pull of Sent Items normally comes first.
SUBMITTED_LOOKS: Final = tuple(timedelta(seconds=s) for s in (60, 120, 300, 600, 900))
LATER_LOOKS: Final = timedelta(minutes=5)
NOT_SEEN_AFTER: Final = timedelta(minutes=15)  # accepted, but not in Sent Items
SETTLED_AFTER: Final = timedelta(minutes=15)  # only then is "still a draft" believed …
SETTLED_APART: Final = timedelta(minutes=1)  # … and only of two reads this far apart
REVIEW_AFTER: Final = timedelta(minutes=30)  # uncertain for so long: a person decides
MAX_SUBMITS: Final = 3
LOOP: Final = "loop"  # the codes of two reasons in `reasons`
RELEASED: Final = "released"
TIDY_AFTER: Final = timedelta(minutes=3)  # by then a draft that was being made when it was given up is there


class ImpossibleTransition(Exception):
    """A transition that is not in the table: a fault of ours."""


def shown(state: str) -> str:
    """The status that the API and the pages show for a state."""
    return SHOWN[State(state)]


def _to(letter: Letter, state: State, now: datetime, **changes: Any) -> Letter:
    before = State(letter.state)
    if state not in TRANSITIONS[before]:
        raise ImpossibleTransition(f"{letter.message_id}: {before} → {state}")
    if state in FINISHED:
        changes["next_attempt_at"] = None
    # A draft that nobody sends any more must not lie where somebody could send it by hand.
    left_behind = state in (S.FAILED, S.CANCELLED) and letter.attempts > 0 and letter.submits == 0
    changes["tidy_at"] = now + TIDY_AFTER if left_behind else None
    return replace(letter, state=state.value, state_since=now, **changes)


def _expect(letter: Letter, *states: State) -> None:
    """What is decided here makes sense in these states only."""
    if letter.state not in states:
        raise ImpossibleTransition(f"{letter.message_id} is {letter.state}, not {' or '.join(states)}")


# Making the draft


def begin(letter: Letter, now: datetime) -> Letter:
    """About to make, or look for, the draft."""
    _expect(letter, S.ACCEPTED)
    return _to(letter, S.DRAFTING, now)


def drafted(letter: Letter, now: datetime) -> Letter:
    """The draft is there, and which item it is has been written down."""
    _expect(letter, S.DRAFTING)
    return _to(letter, S.DRAFTED, now, next_attempt_at=now, still_draft_at=None, problem=None)


def draft_vanished(letter: Letter, now: datetime) -> Letter:
    """The draft is gone. One that was never submitted is made again; of any other a person has to judge."""
    _expect(letter, S.DRAFTING, S.DRAFTED)
    if letter.submits > 0:
        return _to(letter, S.NEEDS_REVIEW, now, problem=problem("draft_vanished"))
    if letter.state == S.DRAFTING:
        return letter
    return _to(letter, S.DRAFTING, now, next_attempt_at=now, still_draft_at=None)


def draft_failed(letter: Letter, verdict: Verdict, now: datetime) -> Letter:
    """The draft could not be made, or not completed, in this attempt. Nothing was submitted."""
    _expect(letter, S.DRAFTING, S.DRAFTED)
    match verdict.outcome:
        case Outcome.FAIL:
            return _to(letter, S.FAILED, now, problem=verdict.problem)
        case Outcome.ASK:
            return _to(letter, S.NEEDS_REVIEW, now, problem=verdict.problem)
    if now - (letter.still_draft_at or letter.state_since) >= patience(verdict.problem):
        return _to(letter, S.FAILED, now, problem=verdict.problem)
    return replace(letter, next_attempt_at=now + verdict.after, problem=verdict.problem)


def mailbox_removed(letter: Letter, now: datetime) -> Letter:
    """The mailbox was removed before the letter left."""
    _expect(letter, *UNSENT)
    return _to(letter, S.FAILED, now, problem=problem("mailbox_removed"))


def held_back(letter: Letter, at: datetime, why: str = "budget") -> Letter:
    """The mailbox has sent as much as it may: the draft waits, and its patience counts from when it may leave.

    With `LOOP`, it is its recipient who has got as much as may be.
    """
    _expect(letter, S.DRAFTED)
    return replace(letter, next_attempt_at=at, still_draft_at=at, problem=problem(why))


def is_held(letter: Letter) -> bool:
    """Whether it waits because its recipient answers automatically."""
    return letter.state == S.DRAFTED and letter.problem is not None and letter.problem.get("code") == LOOP


def is_released(letter: Letter) -> bool:
    """Whether a person has let it go all the same."""
    return letter.problem is not None and letter.problem.get("code") == RELEASED


# Submitting


def intend(letter: Letter, now: datetime, lease_ends_at: datetime) -> Letter:
    """About to submit. Whoever finds this row after the lease does not know what became of the attempt."""
    return _to(letter, S.SUBMITTING, now, submits=letter.submits + 1, submitted_at=None, next_attempt_at=lease_ends_at)


def submitted(letter: Letter, now: datetime) -> Letter:
    """Graph answered 202: final, whatever else the answer held. `submitted_at` is kept as the proof of it."""
    return _to(
        letter,
        S.SUBMITTED,
        now,
        submitted_at=now,
        still_draft_at=None,
        problem=None,
        next_attempt_at=now + SUBMITTED_LOOKS[0],
    )


def not_sent(letter: Letter, verdict: Verdict, now: datetime) -> Letter:
    """Not a byte of the submission left: the draft is what it was, and the attempt does not count.

    `still_draft_at` keeps since when the draft has been waiting for a chance to leave.
    """
    _expect(letter, S.SUBMITTING)
    waiting_since = letter.still_draft_at or now
    if now - waiting_since >= patience(verdict.problem):
        return _to(letter, S.FAILED, now, submits=letter.submits - 1, problem=verdict.problem)
    return _to(
        letter,
        S.DRAFTED,
        now,
        submits=letter.submits - 1,
        still_draft_at=waiting_since,
        next_attempt_at=now + verdict.after,
        problem=verdict.problem,
    )


def ambiguous(letter: Letter, verdict: Verdict | None, now: datetime) -> Letter:
    """The submission ended in anything but a 202. A refusal is kept for when the item proves to be still a draft."""
    _expect(letter, S.SUBMITTING)
    why = problem("interrupted") if verdict is None else verdict.problem
    return _to(letter, S.UNKNOWN, now, still_draft_at=None, problem=why, next_attempt_at=now + UNKNOWN_LOOKS[0])


# Looking for what was submitted


def sent(letter: Letter, sent_at: datetime, now: datetime) -> Letter:
    """The item was seen and is not a draft."""
    return _to(letter, S.SENT, now, sent_at=sent_at, restored_at=None, problem=None)


def still_draft(letter: Letter, now: datetime) -> Letter:
    """A read found our item, and it is a draft."""
    _expect(letter, S.SUBMITTED, S.UNKNOWN)
    first = letter.still_draft_at or now
    if letter.state == S.SUBMITTED:
        return _unseen(replace(letter, still_draft_at=first), now)
    settled = now - letter.state_since >= SETTLED_AFTER and now - first >= SETTLED_APART
    if settled and _never_submitted(letter):
        return _as_before_the_backup(letter, now)
    if not settled or letter.submitted_at is not None:
        return _unproved(replace(letter, still_draft_at=first), now, "accepted_but_draft")
    if letter.problem is not None and letter.problem.get("final"):
        return _to(letter, S.FAILED, now, problem=letter.problem)
    if letter.submits >= MAX_SUBMITS:
        return _to(letter, S.NEEDS_REVIEW, now, problem=problem("stays_draft", because=letter.problem))
    return _to(letter, S.DRAFTED, now, next_attempt_at=now, still_draft_at=None, restored_at=None)


def not_found(letter: Letter, now: datetime) -> Letter:
    """Every read succeeded and none found the item."""
    _expect(letter, S.SUBMITTED, S.UNKNOWN)
    letter = replace(letter, still_draft_at=None)
    if _never_submitted(letter) and now - letter.state_since >= REVIEW_AFTER:
        return _as_before_the_backup(letter, now)
    return _unseen(letter, now) if letter.state == S.SUBMITTED else _unproved(letter, now, "not_found")


def look_failed(letter: Letter, verdict: Verdict, now: datetime) -> Letter:
    """A read failed: that proves nothing, so only time passes."""
    _expect(letter, S.SUBMITTED, S.UNKNOWN)
    at = max(next_look(letter, now), now + verdict.after)
    if letter.state == S.SUBMITTED:
        return replace(_unseen(letter, now), next_attempt_at=at)  # uncertain or not, no sooner than the failure asks
    if now - letter.state_since >= patience(verdict.problem):
        return _to(letter, S.NEEDS_REVIEW, now, problem=problem("cannot_look", because=verdict.problem))
    return replace(letter, next_attempt_at=at)


def _unseen(letter: Letter, now: datetime) -> Letter:
    if now - letter.state_since >= NOT_SEEN_AFTER:
        return _to(letter, S.UNKNOWN, now, problem=problem("not_seen"), next_attempt_at=now + UNKNOWN_LOOKS[0])
    return replace(letter, next_attempt_at=next_look(letter, now))


def _unproved(letter: Letter, now: datetime, why: str) -> Letter:
    if now - letter.state_since >= REVIEW_AFTER:
        return _to(letter, S.NEEDS_REVIEW, now, problem=problem(why, because=letter.problem))
    return replace(letter, next_attempt_at=next_look(letter, now))


def next_look(letter: Letter, now: datetime) -> datetime:
    """When a letter that was submitted is to be looked for next."""
    looks = SUBMITTED_LOOKS if letter.state == S.SUBMITTED else UNKNOWN_LOOKS
    planned = (letter.state_since + look for look in looks)
    return next((at for at in planned if at > now), now + LATER_LOOKS)


# Interruptions


def restored(letter: Letter, now: datetime) -> Letter:
    """A backup was restored: since it was made, the letter may have gone any way. It is looked for before all else."""
    if letter.state == S.UNKNOWN:
        return replace(letter, state_since=now, restored_at=now, still_draft_at=None, next_attempt_at=now)
    if letter.state == S.SUBMITTED:
        return replace(letter, restored_at=now, next_attempt_at=now)
    return _to(
        letter,
        S.UNKNOWN,
        now,
        restored_at=now,
        still_draft_at=None,
        problem=problem("restored", because=letter.problem),
        next_attempt_at=now,
    )


def _never_submitted(letter: Letter) -> bool:
    """Only a restored row can be UNKNOWN without a submission that it knows of."""
    return letter.state == S.UNKNOWN and letter.submits == 0


def _as_before_the_backup(letter: Letter, now: datetime) -> Letter:
    """Reads over the whole mailbox, long after the restoring, show that it has not left: it goes its way.

    Its first step looks for the tag, since this is not its first attempt, and adopts a draft if there is one.
    """
    return _to(
        letter,
        S.ACCEPTED,
        now,
        restored_at=None,
        still_draft_at=None,
        problem=None,
        next_attempt_at=max(letter.send_at or now, now),
    )


def lease_lost(letter: Letter, now: datetime) -> Letter:
    """Whoever had the letter in hand is gone, or hands it back: only a submission under way is uncertain."""
    return ambiguous(letter, None, now) if letter.state == S.SUBMITTING else letter


def bounced(letter: Letter, why: Mapping[str, Any], now: datetime) -> Letter:
    """A report of non-delivery came. It also proves that the letter left."""
    return _to(letter, S.BOUNCED, now, sent_at=letter.sent_at or now, problem=dict(why))


def bounced_further(letter: Letter, why: Mapping[str, Any]) -> Letter:
    """Another report came of the same letter, about another of its recipients."""
    _expect(letter, S.BOUNCED)
    return replace(letter, problem=dict(why))


def unreported(letter: Letter, before: State, why: Mapping[str, Any] | None, now: datetime) -> Letter:
    """A person took back that a report is about this letter. That it left is proved by its copy in Sent Items or,
    where only the report said so, by nothing: then it stays what it is.
    """
    _expect(letter, S.SENT, S.BOUNCED)
    if before not in (S.SENT, S.BOUNCED):
        return letter
    told = None if why is None else dict(why)
    return replace(letter, problem=told) if letter.state == before else _to(letter, before, now, problem=told)


def delayed(letter: Letter, why: Mapping[str, Any]) -> Letter:
    """A report says that it is still on its way: it is what it was, and people see why nobody answers."""
    _expect(letter, S.SENT)
    return replace(letter, problem=dict(why))


# What people want. Each raises storage.Conflict with a sentence when the letter is past that.


def cancel(letter: Letter, now: datetime) -> Letter:
    """Do not send it."""
    if letter.state not in UNSENT:
        raise Conflict(f"This letter is {shown(letter.state)} and can no longer be cancelled.")
    return _to(letter, S.CANCELLED, now)


def retry(letter: Letter, now: datetime) -> Letter:
    """Try a failed letter again. It is the same sending: its tag is looked for before a draft is made.

    Or let one go at once that is held because its recipient answers automatically.
    """
    if is_held(letter):
        return replace(letter, next_attempt_at=now, still_draft_at=now, problem=problem(RELEASED))
    if letter.state != S.FAILED:
        raise Conflict(f"This letter is {shown(letter.state)}; only a failed or held letter can be tried again.")
    return _to(letter, S.ACCEPTED, now, still_draft_at=None, problem=None, next_attempt_at=now)


def resend(letter: Letter, send_uid: str, now: datetime) -> Letter:
    """A person has looked and wants it sent anew, knowing that it may be a second time: another sending."""
    if letter.state != S.NEEDS_REVIEW:
        raise Conflict(f"This letter is {shown(letter.state)}; only one that needs review can be sent anew.")
    return _to(
        letter,
        S.ACCEPTED,
        now,
        send_uid=send_uid,
        submits=0,
        submitted_at=None,
        still_draft_at=None,
        problem=None,
        next_attempt_at=now,
        graph_id=None,
        conversation_id=None,
        internet_message_id=None,
    )


def close(letter: Letter, now: datetime) -> Letter:
    """A person has looked and wants nothing more done."""
    if letter.state != S.NEEDS_REVIEW:
        raise Conflict(f"This letter is {shown(letter.state)}; only one that needs review can be closed.")
    return _to(letter, S.CANCELLED, now, problem=problem("closed", because=letter.problem))
