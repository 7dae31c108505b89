"""What SELMA may send: one strict model per body and per query string. Unknown fields are refused, nothing is coerced.

The OpenAPI document is made from these same models.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from gateway.graph import Cloud
from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.reading import Nothing, Taken
from gateway.setup.account import AccountConfiguration
from gateway.setup.values import start_of_day
from storage.threads import ObjectType

__all__ = [
    "AccountSettings",
    "EventStreamQuery",
    "EventsQuery",
    "NewMailbox",
    "NewMessage",
    "Nothing",
    "PageQuery",
    "Person",
    "TestLetter",
]

MOST_RECIPIENTS: Final = 500  # over to, cc and bcc (facts 3.8)
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
MOST_ATTACHMENTS: Final = 250
MOST_OBJECTS: Final = 20
LARGEST_SEQ: Final = 2**63 - 1


class Person(Taken):
    """A recipient."""

    name: values.PersonName | None = None
    address: values.MailAddress


class NewAttachment(Taken):
    """A file that goes with the letter. `content_id` is what a `cid:` link in the HTML names."""

    name: values.FileName
    content_type: values.MediaType = "application/octet-stream"
    content: values.Base64 = Field(description="Base64; smaller than 3,000,000 bytes once decoded.")
    content_id: values.ContentId | None = None


class ObjectRef(Taken):
    """A record of SELMA's that the letter concerns: the letter shows on its Events tab."""

    type: Annotated[ObjectType, Field(strict=False)]
    id: values.ObjectId


def _no_reply_yet(value: object) -> None:
    if value is not None:
        raise ValueError("Replies cannot be sent through the API yet: leave this out, or null.")


A_LETTER: Final[dict[str, Any]] = {
    "from": "admissions@school.example",
    "to": [{"name": "Aroha Ngata", "address": "aroha@student.example"}],
    "subject": "Your enrolment",
    "html": "<p>Kia ora</p>",
    "attachments": [{"name": "offer.pdf", "content_type": "application/pdf", "content": "JVBERi0xLjcK"}],
    "objects": [{"type": "enrolment", "id": "E77"}, {"type": "student", "id": "S1001"}],
    "created_by": "Jane Doe",
}


class NewMessage(Taken):
    """A letter. Exactly one of `html` and `text`; one to 500 recipients over `to`, `cc` and `bcc`."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_LETTER]})

    from_: values.MailAddress = Field(alias="from", description="A validated mailbox of the account.")
    to: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    cc: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    bcc: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    reply_to: list[Person] = Field(default=[], max_length=MOST_RECIPIENTS)
    subject: values.Subject
    html: values.MailBody | None = None
    text: values.MailBody | None = None
    attachments: list[NewAttachment] = Field(default=[], max_length=MOST_ATTACHMENTS)
    objects: list[ObjectRef] = Field(min_length=1, max_length=MOST_OBJECTS)
    created_by: values.Author | None = Field(
        default=None, description="The staff member, as the Events tab is to show them."
    )
    in_reply_to: Annotated[None, BeforeValidator(_no_reply_yet), WithJsonSchema({"type": "null"})] = None
    send_at: values.Moment = Field(default=None, description="Not before this time; null or a past time: at once.")
    importance: Literal["low", "normal", "high"] = "normal"
    metadata: values.Metadata = Field(default={}, description="Yours: kept with the letter and given back. ≤ 4 KiB.")

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """One body, some recipients but not too many, no two attachments under one content id."""
        if raw.get("html") is None and raw.get("text") is None:
            yield BadValue(pointer="/html", detail="Give either html or text.")
        elif raw.get("html") is not None and raw.get("text") is not None:
            yield BadValue(pointer="/text", detail="Give either html or text, not both.")
        recipients = sum(len(raw[field]) for field in ("to", "cc", "bcc") if isinstance(raw.get(field), list))
        if recipients == 0:
            yield BadValue(pointer="/to", detail="Name at least one recipient in to, cc or bcc.")
        elif recipients > MOST_RECIPIENTS:
            yield BadValue(pointer="/to", detail=f"At most {MOST_RECIPIENTS} recipients over to, cc and bcc.")
        yield from _content_ids_used_twice(raw.get("attachments"))


def _content_ids_used_twice(attachments: object) -> Iterator[BadValue]:
    seen = set()
    for position, one in enumerate(attachments if isinstance(attachments, list) else []):
        content_id = one.get("content_id") if isinstance(one, dict) else None
        if isinstance(content_id, str) and content_id in seen:
            pointer = f"/attachments/{position}/content_id"
            yield BadValue(pointer=pointer, detail="Another attachment of this letter has this content_id.")
        seen.add(content_id if isinstance(content_id, str) else None)


class AccountSettings(Taken):
    """How the account reaches Microsoft 365. Without `client_secret`, the stored one stays."""

    tenant_id: values.Tenant
    client_id: values.Client
    client_secret: values.ClientSecret | None = Field(default=None, description="Stored sealed; never given back.")
    secret_expires_at: values.MomentOrDate = Field(
        default=None, description="As the portal shows it. A bare date begins in `time_zone`."
    )
    cloud: Annotated[Cloud, Field(strict=False)] = Cloud.GLOBAL
    time_zone: values.TimeZone = "UTC"

    def configuration(self) -> AccountConfiguration:
        """The same, with the expiry as a moment: a bare date counts from its first second, to warn rather early."""
        expires_at = self.secret_expires_at
        if expires_at is not None and not isinstance(expires_at, datetime):
            expires_at = start_of_day(expires_at, self.time_zone)
        return AccountConfiguration(
            tenant_id=self.tenant_id,
            client_id=self.client_id,
            client_secret=self.client_secret,
            secret_expires_at=expires_at,
            cloud=self.cloud.value,
            time_zone=self.time_zone,
        )


class NewMailbox(Taken):
    """A mailbox that letters are to come from."""

    address: values.MailAddress


class TestLetter(Taken):
    """Where a test letter goes; by default to the mailbox itself."""

    to: values.MailAddress | None = None


class PageQuery(Taken):
    """Which page of a list."""

    limit: Annotated[int, Field(strict=False, ge=1, le=100)] = 50
    after: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="The `next` of the page before."
    )


class EventsQuery(Taken):
    """Which part of the event log."""

    after: Annotated[int, Field(strict=False, ge=0, le=LARGEST_SEQ)] = Field(
        default=0, description="The `id` of the last event that you have."
    )
    limit: Annotated[int, Field(strict=False, ge=1, le=1000)] = 100


class EventStreamQuery(Taken):
    """Where the stream begins."""

    after: Annotated[int, Field(strict=False, ge=0, le=LARGEST_SEQ)] | None = Field(
        default=None, description="As `Last-Event-ID`, which counts more; without either, only what is new."
    )
