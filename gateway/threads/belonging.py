"""What a thread learns of a mail that stands in it, and forgets with it: who takes part, and which conversations are
its own.

Who takes part in another student's threads is made a participant by nothing but a letter of ours: each of their mails
has to name a letter, or waits for a person. So a second student who was put into Cc stays in their own thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.threads.elsewhere import look_soon
from gateway.threads.matching import Reason, same_address
from storage import Transaction, acts, feeds, mailboxes, placements, threads
from storage.messages import Direction, Kind, Message, Placement
from storage.threads import Address

# What waits for nothing but its sender's taking part, and what it is in the thread for once they do.
ONLY_A_STRANGER: Final[Mapping[str, Reason]] = {
    Reason.STRANGER_IN_CONVERSATION: Reason.CONVERSATION,
    Reason.STRANGER_WITH_REFERENCES: Reason.REFERENCES,
}


def take_part(tx: Transaction, message: Message) -> None:
    """Whoever wrote in person takes part in the message's thread, and whom staff wrote to; a machine does not."""
    people = _people(tx, message)
    known = {one.address: one.name for one in threads.participants(tx, message.thread_id)} if people else {}
    welcome = [
        one
        for one in people
        if (one.address not in known or one.name not in (None, known[one.address]))
        and not threads.speaks_for_another_student(tx, message.account_id, message.thread_id, one.address)
    ]
    threads.add_participants(tx, message.account_id, message.thread_id, welcome)


def learn(tx: Transaction, message: Message, now: datetime) -> None:
    """A person let the message stand in its thread: what follows it may come without being asked about.

    Its conversation is the thread's from now on, unless it is another's; what came in it before was passed over, so
    the mailbox is looked through soon.
    """
    take_part(tx, message)
    if not message.conversation_id:
        return
    if threads.by_conversation(tx, message.mailbox_id, message.conversation_id) is None:
        threads.add_conversation(
            tx,
            message.account_id,
            message.thread_id,
            mailbox_id=message.mailbox_id,
            conversation_id=message.conversation_id,
            now=now,
        )
        look_soon(tx, message.account_id, now)


def let_in(tx: Transaction, thread_id: str, now: datetime) -> list[Message]:
    """Mail that was seen too early: it waits because its sender did not take part then, and does now. As it stands now.

    So it does not matter in which order mail is seen. What somebody has decided about is left to people.
    """
    held = placements.held_in(tx, thread_id)
    known = threads.participants(tx, thread_id) if held else ()
    welcome = [
        one
        for one in held
        if one.sender is not None
        and (one.evidence or {}).get("reason") in ONLY_A_STRANGER
        and any(same_address(one.sender.address, other.address) for other in known)
        and not acts.of_message(tx, one.id)
    ]
    return [_let_in(tx, one, now) for one in welcome]


def _let_in(tx: Transaction, message: Message, now: datetime) -> Message:
    evidence = message.evidence or {}
    evidence |= {"reason": ONLY_A_STRANGER[evidence["reason"]].value, "sender_is_participant": True}
    placed = replace(message, placement=Placement.PLACED, evidence=evidence)
    placements.move(tx, message.id, thread_id=message.thread_id, placement=placed.placement, evidence=evidence)
    learn(tx, placed, now)
    return placed


def forget(tx: Transaction, message: Message) -> None:
    """A person took the message, as it was, out of its thread. What nothing else there bears out goes with it."""
    left = feeds.of_thread(tx, message.thread_id)
    for one in _people(tx, message):
        if not any(_concerns(other, one.address) for other in left):
            threads.remove_participant(tx, message.thread_id, one.address)
    here = (message.mailbox_id, message.conversation_id)
    if message.conversation_id is None or any((one.mailbox_id, one.conversation_id) == here for one in left):
        return
    if threads.by_conversation(tx, message.mailbox_id, message.conversation_id) == message.thread_id:
        threads.remove_conversation(tx, mailbox_id=message.mailbox_id, conversation_id=message.conversation_id)


def _people(tx: Transaction, message: Message) -> Sequence[Address]:
    """Whom a message can make participants. A mailbox is none of its own thread."""
    if message.kind is not Kind.MAIL:
        return ()
    if message.direction is Direction.IN:
        return () if message.sender is None else (message.sender,)
    own = mailboxes.get(tx, message.mailbox_id).address
    sent_to = message.recipients
    return [one for one in (*sent_to.bcc, *sent_to.cc, *sent_to.to) if not same_address(one.address, own)]


def _concerns(message: Message, address: str) -> bool:
    """Whether somebody wrote a message in person, or got it from us."""
    if message.kind is not Kind.MAIL:
        return False
    if message.direction is Direction.IN:
        return message.sender is not None and same_address(message.sender.address, address)
    sent_to = message.recipients
    return any(same_address(one.address, address) for one in (*sent_to.to, *sent_to.cc, *sent_to.bcc))
