"""The worker's commits: each function is the whole of one transaction, and between any two the process may die.

Each takes the letter as it was claimed and looks at the row again. If the letter is no longer this claim's (it was
cancelled, seen in Sent, or the lease ended and another claim was made), nothing is written and None comes back: the
caller lets go of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypedDict, Unpack

from gateway.graph import Message as Item
from gateway.sending import budget, loops, machine
from gateway.sending.draft import Original, Parts, divide, payload_of
from gateway.sending.errors import Pause, Verdict, internal
from gateway.sending.machine import State
from gateway.sending.recognise import SentItem, identify, mark_sent
from gateway.sending.record import tell_that, write_down
from gateway.sending.rules import Allowance
from storage import Transaction, accounts, attachments, claims, files, folders, mailboxes, messages, outbox
from storage.attachments import LetterAttachment
from storage.folders import WellKnown
from storage.mailboxes import MailboxState
from storage.messages import Message
from storage.outbox import Letter

# Longer than the longest a letter is carried without a pause; see carry.CARRY_LIMIT.
LEASE: Final = timedelta(minutes=15)
RESTORED_AT_ONCE: Final = 1000  # letters in memory
SENT_ITEMS_AFTER: Final = timedelta(seconds=5)  # the Sent copy is there by then, as a rule


class Limits(TypedDict):
    """Within which a letter may be submitted."""

    allowance: Allowance
    lease_ends_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a letter says. `inside` are the attachments that its draft is made with, read whole only when it is made.

    `original` is the mail that it answers; one that is no longer known in its mailbox is None, as for any other letter.
    """

    message: Message
    original: Original | None
    inside: list[tuple[LetterAttachment, bytes]]
    separate: tuple[LetterAttachment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A letter in hand. `user` is whose mailbox it leaves from, as Graph takes it.

    `content` is there where a draft is to be made and has no attachments; else it is read when it is needed.
    """

    letter: Letter
    user: str
    lease_ends_at: datetime
    content: Content | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a worker has taken, and when the next letter is due that it did not take."""

    claims: Sequence[Claim]
    next_due: datetime | None


def content(tx: Transaction, letter: Letter) -> Content:
    """What the letter says."""
    message = messages.get(tx, letter.account_id, letter.message_id)
    given = tuple(attachments.of_letter(tx, letter.message_id))
    parts = Parts(inside=(), separate=given)
    if given and letter.in_reply_to is None:
        parts = divide(payload_of(letter, message), given)
    wanted = parts.inside if letter.state == State.DRAFTING else ()
    return Content(
        message=message,
        original=_original(tx, letter),
        inside=[(one, files.read(tx, one.file_id or "", start=0, length=one.size)) for one in wanted],
        separate=parts.separate,
    )


def _original(tx: Transaction, letter: Letter) -> Original | None:
    if letter.in_reply_to is None:
        return None
    answered = messages.get(tx, letter.account_id, letter.in_reply_to)
    if answered.graph_id is None or answered.mailbox_id != letter.mailbox_id:
        return None
    return Original(graph_id=answered.graph_id, subject=answered.subject)


def recover(tx: Transaction, *, now: datetime) -> int:
    """At start, when nobody else lives: free what a dead process had in hand; how many letters that were."""
    left = claims.leased(tx)
    for letter in left:
        write_down(tx, letter, machine.lease_lost(letter, now), now)
    mailboxes.forget_budget_waits(tx)  # reckoned by the last run's clock; asked anew before each letter
    return len(left)


def doubt_all(tx: Transaction, *, now: datetime) -> int:
    """After a backup was restored: every letter that is not over is looked for first; how many those are."""
    doubted, after = 0, ""
    while some := outbox.unfinished(tx, after=after, limit=RESTORED_AT_ONCE):
        for letter in some:
            write_down(tx, letter, machine.restored(letter, now), now)
        doubted, after = doubted + len(some), some[-1].message_id
    return doubted


def claim(tx: Transaction, *, owner: str, limit: int, per_mailbox: int, now: datetime) -> Claimed:
    """Take what is due and say what is about to be tried. What needs no more than this transaction is not returned."""
    lease_ends_at = now + LEASE
    due = claims.claim_due(tx, owner=owner, now=now, lease_ends_at=lease_ends_at, limit=limit, per_mailbox=per_mailbox)
    taken = []
    for letter in due:
        mailbox = mailboxes.get(tx, letter.mailbox_id)
        if mailbox.state is MailboxState.REMOVED and letter.state in machine.UNSENT:
            write_down(tx, letter, machine.mailbox_removed(letter, now), now)
        elif letter.state == State.SUBMITTING:  # a lease ended in the middle of a submission
            write_down(tx, letter, machine.lease_lost(letter, now), now)
        else:
            begun = _begun(tx, letter, now)
            taken.append(
                Claim(letter=begun, user=mailbox.user, lease_ends_at=lease_ends_at, content=_at_hand(tx, begun))
            )
    return Claimed(claims=taken, next_due=claims.next_due(tx))


def drafted(tx: Transaction, claimed: Letter, item: Item, *, now: datetime) -> Letter | None:
    """The draft was made, or an earlier one found: which item it is, and its conversation, from now on the thread's."""
    letter = _held(tx, claimed)
    if letter is None:
        outbox.leave_untidy(tx, claimed.message_id, at=now)
        return None
    if item.id != letter.graph_id:
        attachments.forget_uploads(tx, letter.message_id)
    identify(tx, letter, item_of(item), now=now)
    letter = outbox.find(tx, letter.message_id) or letter  # with the ids that were just written
    return write_down(tx, letter, machine.drafted(letter, now), now, keep_lease=True)


def drafted_and_intended(tx: Transaction, claimed: Letter, item: Item, **limits: Unpack[Limits]) -> Letter | None:
    """Both at once, where nothing outside lies between: the draft is whole as soon as it is there."""
    if drafted(tx, claimed, item, now=limits["now"]) is None:
        return None
    return intend(tx, claimed, **limits)


def draft_vanished(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """The draft is not in the mailbox any more."""
    return _step(tx, claimed, lambda letter: machine.draft_vanished(letter, now), now)


def draft_failed(tx: Transaction, claimed: Letter, verdict: Verdict, *, now: datetime) -> Letter | None:
    """The draft could not be made or completed this time."""
    _pause(tx, claimed, verdict, now)
    return _step(tx, claimed, lambda letter: machine.draft_failed(letter, verdict, now), now)


def uploaded(
    tx: Transaction, claimed: Letter, attachment: LetterAttachment, *, url: str | None, offset: int
) -> LetterAttachment:
    """So far the upload of this attachment has come; without a URL it is over, or begins anew."""
    if _held(tx, claimed) is not None:
        attachments.uploaded(tx, claimed.message_id, attachment.position, url=url, offset=offset)
    return replace(attachment, upload_url=url, upload_offset=offset)


def intend(tx: Transaction, claimed: Letter, **limits: Unpack[Limits]) -> Letter | None:
    """The last word before `/send`: only who gets a letter back from this may submit it.

    It is counted here, so a letter that the mailbox may not send yet is handed back and waits as a draft.
    """
    letter = _held(tx, claimed)
    allowance, lease_ends_at, now = limits["allowance"], limits["lease_ends_at"], limits["now"]
    if letter is None or now >= lease_ends_at:
        return None
    if letter.graph_id is None:
        write_down(tx, letter, machine.draft_vanished(letter, now), now)
        return None
    may_leave_at = budget.may_leave_at(tx, letter.mailbox_id, letter.recipients, allowance, now)
    if may_leave_at > now:
        write_down(tx, letter, machine.held_back(letter, may_leave_at), now)
        return None
    people = messages.recipients_of(tx, letter.message_id)
    if not machine.is_released(letter) and (until := loops.may_leave_at(tx, letter, people, allowance, now)) > now:
        _hold(tx, letter, until, now)
        return None
    loops.leaves(tx, letter, people, now)
    budget.spend(tx, letter, allowance, now)
    return write_down(tx, letter, machine.intend(letter, now, lease_ends_at), now, keep_lease=True)


def _hold(tx: Transaction, letter: Letter, until: datetime, now: datetime) -> None:
    """Its recipient answers automatically. Told once, however often it has to wait again."""
    held = write_down(tx, letter, machine.held_back(letter, until, machine.LOOP), now)
    if not machine.is_held(letter):
        tell_that(tx, held, "message.held", now)


def submitted(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """Graph answered 202. The copy in Sent Items is looked for soon, should no notification come."""
    for folder in folders.of_mailbox(tx, claimed.mailbox_id):
        if folder.well_known is WellKnown.SENT_ITEMS:
            folders.pull_soon(tx, folder.id, now + SENT_ITEMS_AFTER)
    return _step(tx, claimed, lambda letter: machine.submitted(letter, now), now)


def not_sent(tx: Transaction, claimed: Letter, verdict: Verdict, *, now: datetime) -> Letter | None:
    """Not a byte of the submission left."""
    _pause(tx, claimed, verdict, now)
    return _step(tx, claimed, lambda letter: machine.not_sent(letter, verdict, now), now)


def ambiguous(tx: Transaction, claimed: Letter, verdict: Verdict, *, now: datetime) -> Letter | None:
    """The submission ended in anything but a 202."""
    _pause(tx, claimed, verdict, now)
    return _step(tx, claimed, lambda letter: machine.ambiguous(letter, verdict, now), now)


def seen_sent(tx: Transaction, claimed: Letter, item: Item, *, now: datetime) -> None:
    """A read found the item, and it is no draft. True whoever holds the letter now."""
    letter = outbox.find(tx, claimed.message_id)
    if letter is not None and letter.send_uid == claimed.send_uid:
        mark_sent(tx, letter, item_of(item), now=now)


def seen_draft(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """A read found the item, and it is a draft."""
    return _step(tx, claimed, lambda letter: machine.still_draft(letter, now), now)


def not_found(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """All reads succeeded and found nothing."""
    return _step(tx, claimed, lambda letter: machine.not_found(letter, now), now)


def look_failed(tx: Transaction, claimed: Letter, verdict: Verdict, *, now: datetime) -> Letter | None:
    """A read failed."""
    _pause(tx, claimed, verdict, now)
    return _step(tx, claimed, lambda letter: machine.look_failed(letter, verdict, now), now)


def hand_back(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """The worker stops, or took too long: whoever comes next may have the letter at once."""
    return _step(tx, claimed, lambda letter: machine.lease_lost(letter, now), now)


def stumbled(tx: Transaction, claimed: Letter, *, now: datetime) -> Letter | None:
    """A fault of ours met this letter. It is tried again later, and not for ever."""
    verdict = internal(claimed.attempts)

    def later(letter: Letter) -> Letter:
        if letter.state == State.SUBMITTING:
            return machine.ambiguous(letter, verdict, now)
        if letter.state in machine.UNSENT:
            return machine.draft_failed(letter, verdict, now)
        return machine.look_failed(letter, verdict, now)

    return _step(tx, claimed, later, now)


def item_of(item: Item) -> SentItem:
    """What a read or a new draft tells of an item."""
    return SentItem(
        graph_id=item.id,
        conversation_id=item.conversation_id,
        internet_message_id=item.internet_message_id,
        is_draft=item.is_draft is not False,
        sent_at=item.sent_at,
    )


def _at_hand(tx: Transaction, letter: Letter) -> Content | None:
    """Read here it saves the worker a way to another thread."""
    if letter.state != State.DRAFTING or attachments.of_letter(tx, letter.message_id):
        return None
    return content(tx, letter)


def _begun(tx: Transaction, letter: Letter, now: datetime) -> Letter:
    if letter.state != State.ACCEPTED:
        return letter
    return write_down(tx, letter, machine.begin(letter, now), now, keep_lease=True)


def _held(tx: Transaction, claimed: Letter) -> Letter | None:
    """The row as it is now, if it is still this claim's: each claim counts an attempt, which tells them apart."""
    letter = outbox.find(tx, claimed.message_id)
    if letter is None or letter.lease_owner is None:
        return None
    same = (letter.lease_owner, letter.attempts) == (claimed.lease_owner, claimed.attempts)
    return letter if same else None


def _step(tx: Transaction, claimed: Letter, decide: Callable[[Letter], Letter], now: datetime) -> Letter | None:
    """Decide on the row as it is now, keep that, and hand the letter back."""
    letter = _held(tx, claimed)
    return None if letter is None else write_down(tx, letter, decide(letter), now)


def _pause(tx: Transaction, claimed: Letter, verdict: Verdict, now: datetime) -> None:
    if verdict.pause is Pause.MAILBOX:
        mailboxes.pause(tx, claimed.mailbox_id, now + verdict.after)
    elif verdict.pause is Pause.ACCOUNT:
        accounts.pause_outbox(tx, claimed.account_id, now + verdict.after)
