"""Letters and answers, one by one and in batches, and the files that go with them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.reading import Taken
from gateway.http.schemas.pieces import MOST_OBJECTS, ObjectRef, PageQuery

MOST_RECIPIENTS: Final = 500  # over to, cc and bcc (facts 3.8)
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
MOST_ATTACHMENTS: Final = 250
MOST_HEADERS: Final = 5  # https://learn.microsoft.com/graph/api/resources/message
MOST_LETTERS: Final = 5000


class Person(Taken):
    """A recipient."""

    name: values.PersonName | None = None
    address: values.MailAddress


class NewAttachment(Taken):
    """A file that goes with the letter: its `content` in base64, or the id of an uploaded `file`.

    `content_id` is what a `cid:` link in the HTML names.
    """

    name: values.FileName | None = Field(default=None, description="An uploaded file has one already.")
    content_type: values.MediaType | None = Field(
        default=None, description="By default the uploaded file's, else application/octet-stream."
    )
    content: values.Base64 | None = Field(
        default=None, description="Base64; smaller than 3,000,000 bytes once decoded."
    )
    file: values.RowId | None = Field(default=None, description="What `POST /v1/files` gave: for files of any size.")
    content_id: values.ContentId | None = None


class Header(Taken):
    """A header that the letter carries to its readers. So nothing private belongs here."""

    name: values.HeaderName
    value: values.HeaderValue


A_LETTER: Final[dict[str, Any]] = {
    "from": "admissions@school.example",
    "to": [{"name": "Aroha Ngata", "address": "aroha@student.example"}],
    "subject": "Your enrolment",
    "html": "<p>Kia ora</p>",
    "attachments": [{"name": "offer.pdf", "content_type": "application/pdf", "content": "JVBERi0xLjcK"}],
    "objects": [{"type": "enrolment", "id": "E77"}, {"type": "student", "id": "S1001"}],
    "created_by": "Jane Doe",
}


class Letter(Taken):
    """What every letter can have, however it is posted."""

    to: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    cc: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    bcc: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    reply_to: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    subject: values.Subject | None = Field(default=None, description="Only an answer has one of its own accord.")
    html: values.MailBody | None = None
    text: values.MailBody | None = None
    attachments: list[NewAttachment] = Field(default=[], max_length=MOST_ATTACHMENTS)
    headers: list[Header] = Field(default=[], max_length=MOST_HEADERS)
    objects: list[ObjectRef] = Field(default=[], max_length=MOST_OBJECTS)
    created_by: values.Author | None = Field(
        default=None, description="The staff member, as the Events tab is to show them."
    )
    send_at: values.Moment = Field(default=None, description="Not before this time; null or a past time: at once.")
    importance: Literal["low", "normal", "high"] = "normal"
    metadata: values.Metadata = Field(default={}, description="Yours: kept with the letter and given back. ≤ 4 KiB.")

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """One body, not too many recipients, each attachment from one place, no name for two things."""
        if raw.get("html") is None and raw.get("text") is None:
            yield BadValue(pointer="/html", detail="Give either html or text.")
        elif raw.get("html") is not None and raw.get("text") is not None:
            yield BadValue(pointer="/text", detail="Give either html or text, not both.")
        if recipients_in(raw) > MOST_RECIPIENTS:
            yield BadValue(pointer="/to", detail=f"At most {MOST_RECIPIENTS} recipients over to, cc and bcc.")
        yield from _sources_of(raw.get("attachments"))
        yield from _used_twice(raw.get("attachments"), "/attachments", "content_id")
        yield from _used_twice(raw.get("headers"), "/headers", "name")


class NewMessage(Letter):
    """A letter. Exactly one of `html` and `text`; one to 500 recipients over `to`, `cc` and `bcc`.

    With `in_reply_to` it is an answer in that message's thread: then subject, recipients and objects may be left out.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [A_LETTER]})

    from_: values.MailAddress = Field(alias="from", description="A validated mailbox of the account.")
    in_reply_to: values.RowId | None = Field(default=None, description="A message of either direction, by its id.")

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """As every letter; and only an answer has a subject, recipients and objects of its own accord."""
        yield from super().across(raw)
        if raw.get("in_reply_to") is not None:
            return
        if raw.get("subject") is None:
            yield BadValue(pointer="/subject", detail="This is required.")
        if recipients_in(raw) == 0:
            yield BadValue(pointer="/to", detail="Name at least one recipient in to, cc or bcc.")
        if not raw.get("objects"):
            yield BadValue(pointer="/objects", detail="Name at least one record that the letter concerns.")


class NewReply(Letter):
    """An answer in a thread, to its latest message, from the thread's mailbox."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"html": "<p>Ngā mihi</p>", "created_by": "Jane Doe"}]})


class NewBatch(Taken):
    """Many letters at once, taken all or none. Each has its own draft and thread, and leaves as the mailbox may."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Offers 2027", "created_by": "Jane Doe", "letters": [A_LETTER]}]}
    )

    name: values.BatchName | None = None
    created_by: values.Author | None = None
    letters: list[NewMessage] = Field(min_length=1, max_length=MOST_LETTERS)

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """As each letter."""
        letters = raw.get("letters")
        for position, letter in enumerate(letters[:MOST_LETTERS] if isinstance(letters, list) else []):
            if isinstance(letter, Mapping):
                for one in NewMessage.across(letter):
                    yield replace(one, pointer=f"/letters/{position}{one.pointer}")


class LettersQuery(PageQuery):
    """Which letters: all, or those of a batch."""

    batch: values.RowId | None = Field(default=None, description="Only those of this batch.")


class FileQuery(Taken):
    """What the uploaded file is called. Its type is the request's Content-Type."""

    name: values.FileName


def recipients_in(raw: Mapping[str, Any]) -> int:
    """How many people a letter of any shape is addressed to."""
    return sum(len(raw[field]) for field in ("to", "cc", "bcc") if isinstance(raw.get(field), list))


def _sources_of(attachments: object) -> Iterator[BadValue]:
    for position, one in enumerate(attachments if isinstance(attachments, list) else []):
        if not isinstance(one, dict):
            continue
        pointer = f"/attachments/{position}"
        content, file = one.get("content"), one.get("file")
        if (content is None) == (file is None):
            yield BadValue(pointer=f"{pointer}/content", detail="Give either content or the id of an uploaded file.")
        if content is not None and one.get("name") is None:
            yield BadValue(pointer=f"{pointer}/name", detail="This is required.")


def _used_twice(items: object, place: str, field: str) -> Iterator[BadValue]:
    seen = set()
    for position, one in enumerate(items if isinstance(items, list) else []):
        value = one.get(field) if isinstance(one, dict) else None
        if not isinstance(value, str):
            continue
        if value.casefold() in seen:
            yield BadValue(pointer=f"{place}/{position}/{field}", detail=f"Another one here has this {field}.")
        seen.add(value.casefold())
