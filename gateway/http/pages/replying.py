"""Answering in a thread from its page: what the box shows, and what its form does."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gateway.http import values
from gateway.sending import choices
from gateway.sending.accept import accept
from gateway.sending.answering import addressees, latest_to_answer
from gateway.sending.posted import KeyReused, LetterRefused, NewLetter
from gateway.sending.rules import Rules
from gateway.threads.html import text_as_html
from storage import Conflict, NotFound, Transaction, mailboxes, messages, threads
from storage.mailboxes import MailboxState
from storage.messages import BodyType
from storage.threads import Address, Object

LONGEST_TEXT: Final = 50_000  # characters: in the form they may be nine bytes each, and 256 KiB are taken
KEY_FORM: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")

TOO_LONG: Final = f"A reply from here has at most {LONGEST_TEXT:,} characters. Send longer ones from Outlook."
NOTHING_WRITTEN: Final = "Write something first."
NO_NAME: Final = "Write your name: it is shown beside your reply."
NOT_WHOLE: Final = "The form did not come whole. Reload the page; copy what you wrote first."
SENT_BEFORE: Final = (
    "This reply was sent before, in other words: what you have changed since is not sent. Reload the page to write "
    "another reply."
)
NOT_VALIDATED: Final = "Nothing can be sent from {} now: the mailbox is not validated. Ask whoever set up the gateway."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyBox:
    """The form. `key` makes one sending of it; `original` is the message that it answers, so that a reply goes to the
    people that the page has named, whatever came in meanwhile.

    `obstacle` is why there is no form; `problem` why the form was not taken, with what was written in it.
    """

    mailbox: str
    to: Sequence[Address] = ()
    cc: Sequence[Address] = ()
    original: str = ""
    key: str = ""
    obstacle: str | None = None
    problem: str | None = None
    text: str = ""
    staff: str = ""

    @property
    def names(self) -> str:
        """Who gets it, shortly."""
        return ", ".join(one.name or one.address for one in (*self.to, *self.cc))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a form brought, checked."""

    text: str
    staff: str
    key: str
    original: str


class NotTaken(Exception):
    """The reply was not taken; the text is a sentence for who wrote it."""


def read_box(tx: Transaction, account_id: str, thread_id: str) -> ReplyBox:
    """An empty box, or why there is none."""
    thread = threads.get(tx, account_id, thread_id)
    mailbox = mailboxes.get(tx, thread.mailbox_id)
    if mailbox.state is not MailboxState.VALIDATED:
        return ReplyBox(mailbox=thread.mailbox, obstacle=NOT_VALIDATED.format(thread.mailbox))
    try:
        _, message_id = latest_to_answer(tx, account_id, thread_id)
        to, cc = addressees(messages.get(tx, account_id, message_id))
    except (Conflict, LetterRefused) as error:
        return ReplyBox(mailbox=thread.mailbox, obstacle=str(error))
    return ReplyBox(mailbox=thread.mailbox, to=to, cc=cc, original=message_id, key=new_key())


def new_key() -> str:
    """What makes the next reply single."""
    return secrets.token_urlsafe(18)


def checked(form: Mapping[str, str], staff: str | None) -> Written:
    """What was written. Raises `NotTaken`."""
    name = " ".join((staff or form.get("staff", "")).split())
    text = form.get("text", "").replace("\r\n", "\n").strip("\n")
    key, original = form.get("key", ""), form.get("original", "")
    if not KEY_FORM.fullmatch(key) or not original:
        raise NotTaken(NOT_WHOLE)
    if not text.strip():
        raise NotTaken(NOTHING_WRITTEN)
    if len(text) > LONGEST_TEXT:
        raise NotTaken(TOO_LONG)
    return Written(text=_sound(text), staff=checked_name(name), key=key, original=original)


def checked_name(name: str) -> str:
    """A staff member's name. Raises `NotTaken`."""
    if not name or len(name) > 200:
        raise NotTaken(NO_NAME)
    try:
        return values.one_line(name)
    except ValueError:
        raise NotTaken(NO_NAME) from None


def letter_from(written: Written, mailbox: str) -> NewLetter:
    """As the outbox takes it. What was written is text; it leaves as HTML that shows just that."""
    return NewLetter(
        sender=mailbox,
        subject=None,
        body_type=BodyType.HTML,
        body=text_as_html(written.text),
        created_by=written.staff,
        in_reply_to=written.original,
    )


def take(
    tx: Transaction,
    account_id: str,
    what: Object,
    thread_id: str,
    letter: NewLetter,
    *,
    key: str,
    rules: Rules,
    refusal: LetterRefused | None = None,
    now: datetime,
) -> str:
    """Put the reply into the outbox; its message id. The same key brings one letter only, however often it comes.

    Raises `NotTaken`, and `storage.NotFound` when the thread is none of this object's.
    """
    threads.check_linked(tx, threads.get(tx, account_id, thread_id).id, what)
    try:
        original = messages.get(tx, account_id, letter.in_reply_to or "")
        if original.thread_id != thread_id:
            raise NotTaken(NOT_WHOLE)
        one_of_its_kind = f"page:{thread_id}:{key}"
        return accept(
            tx, account_id, letter, idempotency_key=one_of_its_kind, rules=rules, refusal=refusal, now=now
        ).message_id
    except NotFound:
        raise NotTaken(NOT_WHOLE) from None
    except KeyReused:
        raise NotTaken(SENT_BEFORE) from None
    except LetterRefused as error:
        raise NotTaken(str(error)) from error


def cancel(tx: Transaction, account_id: str, what: Object, thread_id: str, message_id: str, *, now: datetime) -> None:
    """Do not send a letter of this thread that has not left. Raises `storage.NotFound`, `storage.Conflict`."""
    threads.check_linked(tx, threads.get(tx, account_id, thread_id).id, what)
    if messages.get(tx, account_id, message_id).thread_id != thread_id:
        raise NotFound("There is no such letter in this thread.")
    choices.cancel(tx, account_id, message_id, now=now)


def echoed(box: ReplyBox, form: Mapping[str, str], problem: str) -> ReplyBox:
    """The box again as it was sent, with what is wrong."""
    key = form.get("key", "")
    return replace(
        box,
        problem=problem,
        text=form.get("text", "").replace("\r\n", "\n"),
        staff=form.get("staff", ""),
        key=key if KEY_FORM.fullmatch(key) and problem != SENT_BEFORE else box.key,
    )


def _sound(text: str) -> str:
    try:
        return values.mail_body(text)
    except ValueError as error:
        raise NotTaken(str(error)) from None
