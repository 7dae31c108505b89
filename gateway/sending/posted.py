"""A letter as SELMA posts it, what makes two of them the same, and why one may be refused."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.threads.html import html_as_text, preview_of
from storage.messages import BodyType
from storage.threads import Address, Object


class LetterRefused(Exception):
    """The letter cannot be taken; the text is a sentence for people. Nothing of it is kept."""


class UnknownMailbox(LetterRefused):
    """The sender is not one of the account's mailboxes."""

    @classmethod
    def named(cls, address: str) -> "UnknownMailbox":
        """In these words, whoever finds it out."""
        return cls(f"{address} is not one of this account's mailboxes. Add it under Mailbox Set-up.")


class MailboxNotValidated(LetterRefused):
    """The sender's mailbox has not been proved to work, or has ceased to."""


class KeyReused(LetterRefused):
    """The idempotency key was used for another letter."""


class UnknownOriginal(LetterRefused):
    """The mail that the letter is to answer cannot be answered."""


class UnknownFile(LetterRefused):
    """An attachment names a file that is not there."""


class TooMuchAttached(LetterRefused):
    """The attachments together are larger than a letter may be."""


class InBatch(Exception):
    """A letter of a batch was refused, so all were. `position` counts from 0; the refusal is the cause."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttachment:
    """Something to attach: either `content`, or the id of a file that was uploaded before.

    A file brings its name and type along; given here, they count more.
    """

    name: str | None
    content_type: str | None
    content_id: str | None = None
    content: bytes | None = None
    file_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLetter:
    """A letter as SELMA posted it, every value already checked at the edge. `sender` is a mailbox's address.

    `send_at` is aware; None, or a time that has passed, means now. Only with `in_reply_to`, the id of a message of a
    thread, may there be no `subject` and no recipient: then they are those of an answer. `fingerprint` is what makes
    two letters the same, `plain` the body as plain text, `preview` how that begins.

    The thread of a `self_test` is shown nowhere; nobody can post one.
    """

    sender: str
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str | None
    body_type: BodyType
    body: str
    attachments: tuple[NewAttachment, ...] = ()
    objects: tuple[Object, ...] = ()
    created_by: str | None = None
    importance: str = "normal"
    headers: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    in_reply_to: str | None = None
    send_at: datetime | None = None
    self_test: bool = False
    fingerprint: bytes = field(init=False, repr=False)
    plain: str = field(init=False, repr=False)
    preview: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """What costs time is reckoned here, so that it is over before the one writer of the store has it in hand."""
        object.__setattr__(self, "fingerprint", fingerprint(self))
        text = html_as_text(self.body) if self.body_type is BodyType.HTML else self.body
        object.__setattr__(self, "plain", text)
        object.__setattr__(self, "preview", preview_of(text))


def fingerprint(letter: NewLetter) -> bytes:
    """SHA-256 of all that a letter says, attachments by their own SHA-256."""
    said = [
        letter.sender.casefold(),
        letter.to,
        letter.cc,
        letter.bcc,
        letter.reply_to,
        letter.subject,
        letter.body_type,
        letter.body,
        [_digested(one) for one in letter.attachments],
        letter.objects,
        letter.created_by,
        letter.importance,
        letter.headers,
        letter.metadata,
        letter.in_reply_to,
        None if letter.send_at is None else letter.send_at.astimezone(UTC),
    ]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def _digested(attachment: NewAttachment) -> list[str | None]:
    content = attachment.content
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    return [attachment.name, attachment.content_type, attachment.content_id, attachment.file_id, digest]
