"""Letters that answer a mail of a thread: which mail can be answered, and what an answer has of its own accord."""

from dataclasses import replace

from gateway.sending.draft import reply_subject
from gateway.sending.machine import State
from gateway.sending.posted import NewLetter, UnknownOriginal
from storage import Conflict, NotFound, Transaction, feeds, mailboxes, messages, threads
from storage.mailboxes import Mailbox
from storage.messages import Direction, Kind, Message, Placement
from storage.threads import Address


def latest_to_answer(tx: Transaction, account_id: str, thread_id: str) -> tuple[str, str]:
    """The thread's mailbox, and the latest message there that can be answered: what came in, if anything did.

    Raises `NotFound`, and `Conflict` when nothing in the thread can be answered yet.
    """
    thread = threads.get(tx, account_id, thread_id)
    candidates = [one for one in feeds.of_thread(tx, thread_id) if _can_be_answered(one, thread.mailbox_id)]
    came_in = [one for one in candidates if one.direction is Direction.IN and one.kind is Kind.MAIL]
    for one in reversed(came_in or candidates):
        return thread.mailbox, one.id
    raise Conflict("Nothing in this thread can be answered yet: its letter has not been seen in Sent Items.")


def _can_be_answered(message: Message, mailbox_id: str) -> bool:
    has_left = message.status in (None, State.SENT, State.BOUNCED)
    return message.mailbox_id == mailbox_id and message.graph_id is not None and has_left


def original_of(tx: Transaction, mailbox: Mailbox, message_id: str | None) -> Message | None:
    """The mail to answer, if it can be. Raises `UnknownOriginal`."""
    if message_id is None:
        return None
    try:
        found = messages.get(tx, mailbox.account_id, message_id)
    except NotFound:
        raise UnknownOriginal("There is no such message.") from None
    if found.placement is not Placement.PLACED:
        raise UnknownOriginal("There is no such message.")
    if found.mailbox_id != mailbox.id:
        home = mailboxes.get(tx, found.mailbox_id).address
        raise UnknownOriginal(f"This message is in the mailbox {home}: answer it from there.")
    if not _can_be_answered(found, mailbox.id):
        raise UnknownOriginal("This letter has not been seen in Sent Items yet, so it cannot be answered.")
    return found


def as_answer(letter: NewLetter, original: Message) -> NewLetter:
    """The same with what an answer has of its own accord: the subject, and whom it goes to."""
    subject = letter.subject or reply_subject(original.subject)
    if letter.to or letter.cc or letter.bcc:
        return replace(letter, subject=subject)
    to, cc = addressees(original)
    return replace(letter, subject=subject, to=to, cc=cc)


def addressees(original: Message) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """To whom an answer goes of its own accord, and who gets a copy. Raises `UnknownOriginal` when nobody is named."""
    if original.direction is Direction.OUT:
        to, cc = original.recipients.to, original.recipients.cc
    else:
        to, cc = original.recipients.reply_to or ((original.sender,) if original.sender is not None else ()), ()
    if not to and not cc:
        raise UnknownOriginal("This message does not say to whom an answer goes. Name a recipient.")
    return to, cc
