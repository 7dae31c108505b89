"""A mail in Sent Items: a letter of ours, or what staff wrote in Outlook inside one of our conversations."""

from dataclasses import replace
from datetime import datetime

from gateway.graph import Message as Item
from gateway.sending.draft import TAG
from gateway.sending.recognise import SENT_BEFORE, SentItem, recognise_sent
from gateway.threads import incoming
from gateway.threads.before import Before
from gateway.threads.belonging import let_in, take_part
from gateway.threads.erased import is_erased
from gateway.threads.matching import Hold, Join, NotOurs, Verdict, judge_written
from gateway.threads.sift import Watched
from gateway.threads.storing import (
    Outcome,
    Settled,
    adopt,
    as_message,
    attachments,
    homes_of,
    says_more,
    stored_copies,
)
from gateway.threads.wording import Wording, wording_of
from storage import Conflict, Transaction, acts, events, identities, messages, placements, threads
from storage.messages import Direction, Kind, Message, Placement


def settle(
    tx: Transaction, watched: Watched, item: Item, now: datetime, *, before: Before, words: Wording | None = None
) -> Settled:
    """Recognise a letter, or store what was written in one of our conversations; once, however often it is seen."""
    account_id, mailbox_id = watched.mailbox.account_id, watched.mailbox.id
    letter = SentItem(
        graph_id=item.id,
        conversation_id=item.conversation_id,
        internet_message_id=item.internet_message_id,
        tag=item.extended_property(TAG) or None,
        sent_at=item.sent_at,
        attachments=None if item.attachments is None else attachments(item),
    )
    known = recognise_sent(tx, account_id, mailbox_id, letter, now=now)
    if known is not None:
        is_news = known.state not in SENT_BEFORE
        return Settled(outcome=Outcome.STORED, seen_sent=(known.message_id, known.origin) if is_news else None)
    if item.id in before.graph_ids:
        return Settled(outcome=Outcome.STORED)
    if before.erasures and is_erased(tx, watched.mailbox, item):
        return Settled(outcome=Outcome.NOT_OURS)
    if item.body is None:
        raise Conflict("The letter that this was taken for is gone: it is to be read whole.")
    verdict = _judge(tx, watched, item)
    copies = stored_copies(tx, watched, item, Direction.OUT, before)
    if copies and (isinstance(verdict, NotOurs) or verdict.thread_id in homes_of(tx, copies[0])):
        return _settle_copy(tx, watched, item, copies[0], now)
    if isinstance(verdict, NotOurs):
        return Settled(outcome=Outcome.NOT_OURS)
    return _store(tx, watched, item, verdict, words or wording_of(item), now)


def _judge(tx: Transaction, watched: Watched, item: Item) -> Verdict:
    mailbox_id = watched.mailbox.id
    conversation = threads.by_conversation(tx, mailbox_id, item.conversation_id) if item.conversation_id else None
    if conversation is None or item.conversation_id is None:
        return NotOurs()
    sharing = {conversation, *identities.threads_with_letters_in(tx, mailbox_id, item.conversation_id)}
    return judge_written(
        conversation,
        {thread_id: frozenset(one.address for one in threads.participants(tx, thread_id)) for thread_id in sharing},
        [one.address for one in (*(item.to or ()), *(item.cc or ()), *(item.bcc or ()))],
    )


def _store(
    tx: Transaction, watched: Watched, item: Item, verdict: Join | Hold, words: Wording, now: datetime
) -> Settled:
    held = isinstance(verdict, Hold)
    message = as_message(
        watched,
        item,
        verdict.thread_id,
        direction=Direction.OUT,
        kind=Kind.MAIL,
        placement=Placement.HELD if held else Placement.PLACED,
        evidence={
            "reason": verdict.reason.value,
            "conversation_is_ours": True,
            "references_name_ours": False,
            "sender_is_participant": True,
            "new_participant": False,
            "letters": [],
        },
        words=words,
        now=now,
    )
    messages.insert(tx, message, text=words.text)
    if not held:
        take_part(tx, message)
        _let_in(tx, message.thread_id, now)
    _tell(tx, message, "review.opened" if held else "thread.updated", now)
    return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id)


def _settle_copy(tx: Transaction, watched: Watched, item: Item, stored: Message, now: datetime) -> Settled:
    """Its other copy came first, in an Inbox of ours. That it stands in Sent Items proves who wrote it."""
    news = stored.placement is Placement.HELD and not acts.of_message(tx, stored.id)
    if news:
        placements.place(tx, stored.id, Placement.PLACED)
    thread = threads.get(tx, stored.account_id, stored.thread_id)
    is_placed = news or stored.placement is Placement.PLACED
    if says_more(stored, thread.mailbox_id, watched.mailbox.id, Direction.OUT):
        adopt(tx, watched, item, stored, Direction.OUT)
        if is_placed:
            take_part(tx, replace(stored, mailbox_id=watched.mailbox.id, direction=Direction.OUT))
            _let_in(tx, stored.thread_id, now)
        news = is_placed
    if news:
        _tell(tx, stored, "thread.updated", now)
    return Settled(outcome=Outcome.STORED, thread_id=stored.thread_id)


def _let_in(tx: Transaction, thread_id: str, now: datetime) -> None:
    """An answer to what staff wrote can be seen before that itself."""
    for one in let_in(tx, thread_id, now):
        incoming.tell(tx, one, incoming.EVENTS.get(one.kind, "thread.updated"), now)


def _tell(tx: Transaction, message: Message, event: str, now: datetime) -> None:
    events.record(
        tx,
        message.account_id,
        event,
        thread_id=message.thread_id,
        message_id=message.id,
        data={"direction": Direction.OUT.value, "kind": message.kind.value},
        now=now,
    )
