"""A mail that came into an Inbox: which thread it goes to, and what follows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from gateway.graph import Message as Item
from gateway.sending.recognise import mark_bounced
from gateway.threads.kinds import MESSAGE_CLASS, kind_of
from gateway.threads.matching import Evidence, Hold, Join, NotOurs, Verdict, judge, same_address
from gateway.threads.sift import Watched, letters_named
from gateway.threads.storing import Outcome, Settled, adopt, as_message, says_more, sender_of, stored_copies
from storage import Transaction, events, messages, outbox, threads
from storage.messages import Direction, Kind, Message, Placement

EVENTS: Final = {Kind.MAIL: "reply.received", Kind.AUTOMATIC: "reply.automatic"}
NOT_DELIVERED: Final = {
    "code": "not_delivered",
    "explanation": "The recipient's mail system reports that the letter was not delivered.",
    "cure": "Read its report in the thread, correct the address, and post a new letter.",
}


def settle(tx: Transaction, watched: Watched, item: Item, now: datetime) -> Settled:
    """Store it in its thread, hold it for a person, or leave it alone; once, however often it is seen."""
    if messages.by_graph_id(tx, watched.mailbox.id, item.id) is not None:
        return Settled(outcome=Outcome.STORED)
    kind = kind_of(
        message_class=item.extended_property(MESSAGE_CLASS),
        odata_type=item.odata_type,
        headers=item.internet_message_headers or (),
    )
    letters = letters_named(tx, watched.mailbox.account_id, item)
    evidence = _evidence(tx, watched, item, letters, report=kind is Kind.BOUNCE)
    verdict = judge(evidence)
    copies = stored_copies(tx, watched, item, Direction.IN)
    if not isinstance(verdict, NotOurs):
        copies = [copy for copy in copies if copy.thread_id == verdict.thread_id]
    if copies:
        return _settle_copy(tx, watched, item, verdict, copies[0], now)
    match verdict:
        case NotOurs():
            return Settled(outcome=Outcome.NOT_OURS)
        case Join():
            return _join(tx, watched, item, verdict, kind, letters, _testimony(evidence, verdict, letters), now)
        case Hold():
            return _hold(tx, watched, item, verdict, kind, _testimony(evidence, verdict, letters), now)


def _evidence(tx: Transaction, watched: Watched, item: Item, letters: Sequence[Message], *, report: bool) -> Evidence:
    conversation = None
    if item.conversation_id:
        conversation = threads.by_conversation(tx, watched.mailbox.id, item.conversation_id)
    answered = tuple(dict.fromkeys(letter.thread_id for letter in letters))
    candidates = {*answered, *([conversation] if conversation else [])}
    sender = sender_of(item)
    return Evidence(
        conversation=conversation,
        answered=answered,
        takes_part_in=frozenset(
            thread_id
            for thread_id in candidates
            if sender is not None
            and any(same_address(one.address, sender.address) for one in threads.participants(tx, thread_id))
        ),
        report=report,
    )


def _testimony(evidence: Evidence, verdict: Join | Hold, letters: Sequence[Message]) -> dict[str, Any]:
    """What is kept with the message, to answer "why is this here?". Ids and claims, nothing of the mail."""
    return {
        "reason": verdict.reason.value,
        "conversation_is_ours": evidence.conversation_is_ours,
        "references_name_ours": evidence.references_name_ours,
        "sender_is_participant": verdict.thread_id in evidence.takes_part_in,
        "new_participant": isinstance(verdict, Join) and verdict.new_participant,
        "letters": [letter.id for letter in letters[:10]],
    }


def _join(
    tx: Transaction,
    watched: Watched,
    item: Item,
    verdict: Join,
    kind: Kind,
    letters: Sequence[Message],
    testimony: dict[str, Any],
    now: datetime,
) -> Settled:
    message = as_message(
        watched,
        item,
        verdict.thread_id,
        direction=Direction.IN,
        kind=kind,
        placement=Placement.PLACED,
        evidence=testimony,
        now=now,
    )
    messages.insert(tx, message)
    _take_part(tx, message)
    remembered = verdict.remember and _remember(tx, watched, item, verdict.thread_id, now)
    _tell(tx, message, EVENTS.get(kind, "thread.updated"), now)
    if kind is Kind.BOUNCE:
        _bounce(tx, letters, verdict.thread_id, now)
    return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id, remembered=remembered)


def _hold(
    tx: Transaction,
    watched: Watched,
    item: Item,
    verdict: Hold,
    kind: Kind,
    testimony: dict[str, Any],
    now: datetime,
) -> Settled:
    message = as_message(
        watched,
        item,
        verdict.thread_id,
        direction=Direction.IN,
        kind=kind,
        placement=Placement.HELD,
        evidence=testimony,
        now=now,
    )
    messages.insert(tx, message)
    _tell(tx, message, "review.opened", now)
    return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id)


def _settle_copy(
    tx: Transaction, watched: Watched, item: Item, verdict: Verdict, stored: Message, now: datetime
) -> Settled:
    """The mail is stored already, from another folder or mailbox; this copy may tell more about it."""
    news = False
    if isinstance(verdict, Join) and stored.placement is Placement.HELD:
        messages.place(tx, stored.id, Placement.PLACED)
        _take_part(tx, stored)
        news = True
    thread = threads.get(tx, stored.account_id, stored.thread_id)
    if says_more(stored, thread.mailbox_id, watched.mailbox.id, Direction.IN):
        adopt(tx, watched, item, stored, Direction.IN)
        news = news or stored.direction is Direction.OUT
    if news:
        _tell(tx, stored, EVENTS.get(stored.kind, "thread.updated"), now)
    # A mail that waits for a person does not make its conversation ours.
    is_placed = news or stored.placement is Placement.PLACED
    remembered = is_placed and not isinstance(verdict, Hold) and _remember(tx, watched, item, stored.thread_id, now)
    return Settled(outcome=Outcome.STORED, thread_id=stored.thread_id, remembered=remembered)


def _take_part(tx: Transaction, message: Message) -> None:
    """Whoever wrote in person takes part; a machine does not."""
    if message.kind is Kind.MAIL and message.sender is not None:
        threads.add_participants(tx, message.account_id, message.thread_id, [message.sender])


def _remember(tx: Transaction, watched: Watched, item: Item, thread_id: str, now: datetime) -> bool:
    """Mail of this conversation belongs to this thread from now on; whether that is news."""
    if not item.conversation_id:
        return False
    if threads.by_conversation(tx, watched.mailbox.id, item.conversation_id) is not None:
        return False
    threads.add_conversation(
        tx,
        watched.mailbox.account_id,
        thread_id,
        mailbox_id=watched.mailbox.id,
        conversation_id=item.conversation_id,
        now=now,
    )
    return True


def _bounce(tx: Transaction, letters: Sequence[Message], thread_id: str, now: datetime) -> None:
    """Turn the letter that a report is about: the one it names, or the thread's only one."""
    named = letters or [one for one in messages.of_thread(tx, thread_id) if one.status is not None]
    letter = outbox.find(tx, named[0].id) if len(named) == 1 else None
    if letter is not None:
        mark_bounced(tx, letter, NOT_DELIVERED, now=now)


def _tell(tx: Transaction, message: Message, event: str, now: datetime) -> None:
    events.record(
        tx,
        message.account_id,
        event,
        thread_id=message.thread_id,
        message_id=message.id,
        data={"direction": Direction.IN.value, "kind": message.kind.value},
        now=now,
    )
