"""Recognising a letter of ours among the items of its mailbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.sending import machine
from gateway.sending.machine import State
from gateway.sending.record import tell, tell_that, write_down
from storage import Transaction, identities, outbox, threads
from storage.messages import Attachment
from storage.outbox import Letter

SENT_BEFORE: Final = (State.SENT, State.BOUNCED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentItem:
    """What is known of an item in a mailbox. `tag` is its `draft.TAG` property, `attachments` None if not asked for."""

    graph_id: str
    conversation_id: str | None
    internet_message_id: str | None
    tag: str | None = None
    is_draft: bool = False
    sent_at: datetime | None = None
    attachments: Sequence[Attachment] | None = None


def letter_of(tx: Transaction, account_id: str, mailbox_id: str, item: SentItem) -> Letter | None:
    """The letter that this item of this mailbox is: by tag, then by Graph's id, then by Message-ID."""
    if item.tag is not None:
        tagged = outbox.by_send_uid(tx, account_id, item.tag)
        if tagged is not None:
            return tagged if tagged.mailbox_id == mailbox_id else None
    known = identities.by_graph_id(tx, mailbox_id, item.graph_id)
    if known is not None and known.status is not None:
        return outbox.find(tx, known.id)
    for message in identities.by_internet_message_id(tx, account_id, item.internet_message_id or ""):
        if message.mailbox_id == mailbox_id and message.status is not None:
            return outbox.find(tx, message.id)
    return None


def recognise_sent(
    tx: Transaction, account_id: str, mailbox_id: str, item: SentItem, *, now: datetime
) -> Letter | None:
    """If the item is a letter of ours, note that it was sent and which item it is; the letter as it was before that.

    For what the puller sees in Sent Items. May be told of the same item often. A draft proves nothing and changes
    nothing; anything else heals even a letter that needs review, or that had been given up.
    """
    letter = letter_of(tx, account_id, mailbox_id, item)
    if letter is not None and not item.is_draft:
        mark_sent(tx, letter, item, now=now)
    return letter


def mark_sent(tx: Transaction, letter: Letter, item: SentItem, *, now: datetime) -> None:
    """The letter is this item, which is no draft. Known before: only what is newer of the item is kept."""
    known = letter.state in SENT_BEFORE
    identify(tx, letter, item, message_at=None if known else item.sent_at, now=now)
    if not known:
        write_down(
            tx,
            letter,
            machine.sent(letter, item.sent_at or now, now),
            now,
            graph_id=item.graph_id,
            conversation_id=item.conversation_id or letter.conversation_id,
            internet_message_id=item.internet_message_id or letter.internet_message_id,
        )


def identify(
    tx: Transaction, letter: Letter, item: SentItem, *, message_at: datetime | None = None, now: datetime
) -> None:
    """Write down which item a letter is, and that its conversation is the thread's."""
    holder = identities.by_graph_id(tx, letter.mailbox_id, item.graph_id)
    taken = holder is not None and holder.id != letter.message_id
    identities.identify(
        tx,
        letter.message_id,
        graph_id=letter.graph_id if taken else item.graph_id,  # one item is one message
        conversation_id=item.conversation_id or letter.conversation_id,
        internet_message_id=item.internet_message_id or letter.internet_message_id,
        message_at=message_at,
        attachments=item.attachments,
    )
    if item.conversation_id:
        threads.add_conversation(
            tx,
            letter.account_id,
            letter.thread_id,
            mailbox_id=letter.mailbox_id,
            conversation_id=item.conversation_id,
            now=now,
        )
    threads.summarise(tx, letter.thread_id)


def mark_bounced(tx: Transaction, letter: Letter, why: Mapping[str, Any], *, now: datetime) -> None:
    """A report of non-delivery names this letter. `why` has `code`, `explanation` and `cure`, and `recipients`.

    The same once more changes nothing; what it says of further recipients does.
    """
    if letter.state == State.BOUNCED and why.get("recipients") != (letter.problem or {}).get("recipients"):
        further = write_down(tx, letter, machine.bounced_further(letter, why), now)
        tell(tx, further, now, **_numbers(why))
    elif State.BOUNCED in machine.TRANSITIONS[State(letter.state)]:
        write_down(tx, letter, machine.bounced(letter, why, now), now, **_numbers(why))


def mark_delayed(tx: Transaction, letter: Letter, why: Mapping[str, Any], *, now: datetime) -> None:
    """A report says that this letter is late. Not said of one that is not yet seen to be sent."""
    if letter.state != State.SENT:
        return
    late = write_down(tx, letter, machine.delayed(letter, why), now)
    tell_that(tx, late, "message.delayed", now, **_numbers(why))


def take_back(tx: Transaction, letter: Letter, before: State, why: Mapping[str, Any] | None, *, now: datetime) -> None:
    """A person took back that a report is about this letter, which stood so before that: see `machine.unreported`."""
    write_down(tx, letter, machine.unreported(letter, before, why, now), now)


def _numbers(why: Mapping[str, Any]) -> dict[str, Any]:
    """How many of how many it is about: an event names nobody."""
    return {"concerned": len(why.get("recipients", ())), "recipients": why["of"]} if "of" in why else {}
