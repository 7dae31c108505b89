"""Taking letters in, one or many. Each function is one transaction's work."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.sending import budget
from gateway.sending.answering import as_answer, original_of
from gateway.sending.attached import attach, described
from gateway.sending.machine import State
from gateway.sending.posted import (
    InBatch,
    KeyReused,
    LetterRefused,
    MailboxNotValidated,
    NewLetter,
    UnknownMailbox,
)
from gateway.sending.record import tell
from gateway.sending.rules import Allowance, Rules
from gateway.sending.steps import ENTERED
from storage import (
    Transaction,
    attachments,
    batches,
    events,
    idempotency_keys,
    mailboxes,
    messages,
    outbox,
    threads,
)
from storage.idempotency_keys import RememberedKey
from storage.ids import new_id, new_uuid
from storage.mailboxes import Mailbox, MailboxState
from storage.messages import Direction, Kind, Message, Placement, Recipients
from storage.outbox import Letter
from storage.threads import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`repeated`: this key brought this letter before, and nothing new was done."""

    letter: Letter
    repeated: bool

    @property
    def message_id(self) -> str:
        """The letter's id."""
        return self.letter.message_id


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedBatch:
    """The same for a batch."""

    batch_id: str
    repeated: bool


DEFAULT_RULES: Final = Rules()
NOT_VALIDATED: Final = {
    MailboxState.ADDED: "has not been validated yet. Validate it under Mailbox Set-up, then post the letter again.",
    MailboxState.REFUSED: "failed its validation. Mailbox Set-up says what is wrong with it; validate it anew.",
}


def accept(
    tx: Transaction,
    account_id: str,
    letter: NewLetter,
    *,
    idempotency_key: str | None,
    rules: Rules = DEFAULT_RULES,
    refusal: LetterRefused | None = None,
    now: datetime,
) -> Accepted:
    """Take the letter in: once this is committed, it will be sent or somebody will hear why not.

    The same key with the same letter is answered as the first time, for as long as the letter is kept.
    Raises `LetterRefused`'s children, and `refusal`, which is for new letters.
    """
    known = _recalled(tx, account_id, idempotency_key, letter.fingerprint)
    if known is not None and known.message_id is not None:
        return Accepted(letter=outbox.get(tx, account_id, known.message_id), repeated=True)
    if refusal is not None:
        raise refusal
    taken = _take(tx, account_id, letter, rules, now)
    if idempotency_key is not None:
        idempotency_keys.remember(
            tx, account_id, idempotency_key, fingerprint=letter.fingerprint, message_id=taken.message_id, now=now
        )
    return Accepted(letter=taken, repeated=False)


def accept_batch(
    tx: Transaction,
    account_id: str,
    letters: Sequence[NewLetter],
    *,
    name: str | None,
    created_by: str | None,
    idempotency_key: str | None,
    rules: Rules = DEFAULT_RULES,
    refusal: LetterRefused | None = None,
    now: datetime,
) -> AcceptedBatch:
    """Take many letters in, all or none: each its own draft, tag and thread. Raises `InBatch`, `KeyReused`.

    Raises `refusal` too, which is for new batches.
    """
    print_of_it = hashlib.sha256(b"".join(letter.fingerprint for letter in letters)).digest()
    known = _recalled(tx, account_id, idempotency_key, print_of_it)
    if known is not None and known.batch_id is not None:
        return AcceptedBatch(batch_id=known.batch_id, repeated=True)
    if refusal is not None:
        raise refusal
    batch_id = batches.insert(tx, account_id, name=name, created_by=created_by, letters=len(letters), now=now)
    for position, letter in enumerate(letters):
        try:
            _take(tx, account_id, letter, rules, now, batch=(batch_id, position))
        except LetterRefused as error:
            raise InBatch(position) from error
    batches.forecast(tx, batch_id, done_by=done_by(tx, batch_id, rules.allowance, now))
    if idempotency_key is not None:
        idempotency_keys.remember(tx, account_id, idempotency_key, fingerprint=print_of_it, batch_id=batch_id, now=now)
    data = {"batch_id": batch_id, "percent": 0, "letters": {"queued": len(letters)}}
    events.record(tx, account_id, "batch.accepted", data=data, now=now)
    return AcceptedBatch(batch_id=batch_id, repeated=False)


def done_by(tx: Transaction, batch_id: str, allowance: Allowance, now: datetime) -> datetime:
    """When a batch will be over by its mailboxes' budgets, with all that waits there, if nothing goes wrong."""
    senders = batches.mailboxes_of(tx, batch_id)
    return max((budget.done_by(tx, mailbox_id, allowance, now) for mailbox_id in senders), default=now)


def _recalled(tx: Transaction, account_id: str, key: str | None, print_of_it: bytes) -> RememberedKey | None:
    known = None if key is None else idempotency_keys.recall(tx, account_id, key)
    if known is not None and known.fingerprint != print_of_it:
        raise KeyReused("This Idempotency-Key was used before, for something else. Use a new key for each letter.")
    return known


def _usable_mailbox(tx: Transaction, account_id: str, address: str) -> Mailbox:
    mailbox = mailboxes.find(tx, account_id, address)
    owner = mailboxes.by_alias(tx, account_id, address) if mailbox is None else None
    if owner is not None:
        # Exchange sends from the primary address whatever is asked; whoever posts is not to believe otherwise.
        raise UnknownMailbox(
            f"{address} is another address of the mailbox {owner.address}, and its letters leave from that one. Post "
            f"the letter from {owner.address}."
        )
    if mailbox is None:
        raise UnknownMailbox.named(address)
    if mailbox.state is not MailboxState.VALIDATED:
        raise MailboxNotValidated(f"The mailbox {mailbox.address} {NOT_VALIDATED[mailbox.state]}")
    return mailbox


def _take(
    tx: Transaction,
    account_id: str,
    letter: NewLetter,
    rules: Rules,
    now: datetime,
    *,
    batch: tuple[str, int] | None = None,
) -> Letter:
    mailbox = _usable_mailbox(tx, account_id, letter.sender)
    original = original_of(tx, mailbox, letter.in_reply_to)
    if original is not None:
        letter = as_answer(letter, original)
    message = _message(mailbox, _thread(tx, mailbox, letter, original, now), letter, now)
    attached = attach(tx, account_id, letter.attachments, largest=rules.largest_letter, now=now)
    message = replace(message, attachments=tuple(described(one) for one in attached))
    messages.insert(tx, message, text=letter.plain)
    taken = outbox.insert(
        tx,
        outbox.NewLetter(
            message_id=message.id,
            thread_id=message.thread_id,
            account_id=account_id,
            mailbox_id=mailbox.id,
            send_uid=new_uuid(now),
            importance=letter.importance,
            headers=letter.headers,
            metadata=letter.metadata,
            recipients=len(letter.to) + len(letter.cc) + len(letter.bcc),
            in_reply_to=letter.in_reply_to,
            send_at=letter.send_at,
            batch_id=None if batch is None else batch[0],
            batch_position=None if batch is None else batch[1],
            state=State.ACCEPTED.value,
            next_attempt_at=max(letter.send_at or now, now) + _in_turn(batch),
        ),
        now=now,
    )
    attachments.insert(tx, account_id, message.id, attached)
    if original is not None:
        threads.summarise(tx, message.thread_id)
    tx.measure(ENTERED + State.ACCEPTED, 1)
    if batch is None:
        tell(tx, taken, now)
    return taken


def _in_turn(batch: tuple[str, int] | None) -> timedelta:
    """The letters of a batch are due one after the other, so that they leave as they were posted."""
    return timedelta(microseconds=0 if batch is None else batch[1])


def _thread(tx: Transaction, mailbox: Mailbox, letter: NewLetter, original: Message | None, now: datetime) -> str:
    """The thread that the letter stands in: its own, or that of the mail it answers."""
    account_id = mailbox.account_id
    if original is None:
        thread_id = threads.create(
            tx,
            account_id,
            mailbox.id,
            subject=letter.subject or "",
            self_test=letter.self_test,
            beginning=threads.Beginning(
                direction=Direction.OUT, preview=letter.preview, has_attachments=bool(letter.attachments)
            ),
            now=now,
        )
    else:
        thread_id = original.thread_id
    threads.link(tx, account_id, thread_id, letter.objects)
    threads.add_participants(tx, account_id, thread_id, _outsiders(mailbox, letter))
    return thread_id


def _message(mailbox: Mailbox, thread_id: str, letter: NewLetter, now: datetime) -> Message:
    return Message(
        id=new_id("msg", now),
        account_id=mailbox.account_id,
        mailbox_id=mailbox.id,
        thread_id=thread_id,
        direction=Direction.OUT,
        kind=Kind.MAIL,
        placement=Placement.PLACED,
        graph_id=None,
        conversation_id=None,
        internet_message_id=None,
        subject=letter.subject or "",
        sender=Address(name=mailbox.display_name, address=mailbox.address),
        recipients=Recipients(to=letter.to, cc=letter.cc, bcc=letter.bcc, reply_to=letter.reply_to),
        body_type=letter.body_type,
        body=letter.body,
        preview=letter.preview,
        attachments=(),
        evidence=None,
        created_by=letter.created_by,
        message_at=now,
        created_at=now,
    )


def _outsiders(mailbox: Mailbox, letter: NewLetter) -> Iterable[Address]:
    """Whoever may be expected to write in: everybody addressed, also in bcc, and where replies are asked to go."""
    everybody = (*letter.reply_to, *letter.bcc, *letter.cc, *letter.to)
    return (one for one in everybody if one.address.casefold() != mailbox.address.casefold())
