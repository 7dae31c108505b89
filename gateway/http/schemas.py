"""What SELMA may send: one strict model per body and per query string. Unknown fields are refused, nothing is coerced.

The OpenAPI document is made from these same models.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from gateway.graph import Cloud
from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.reading import Nothing, Taken
from gateway.setup.account import AccountConfiguration
from gateway.setup.values import start_of_day
from gateway.threads.query import LONGEST_QUERY
from gateway.threads.search import Question, ask
from storage.api_keys import Scope
from storage.deliveries import DeliveryState
from storage.messages import Direction
from storage.threads import Object, ObjectType

__all__ = [
    "Acceptance",
    "AccountSettings",
    "AuditQuery",
    "ByPerson",
    "DeliveriesQuery",
    "EventStreamQuery",
    "EventsQuery",
    "FileQuery",
    "Letter",
    "LettersQuery",
    "Linking",
    "Move",
    "NewBatch",
    "NewEmbedLink",
    "NewErasure",
    "NewKey",
    "NewMailbox",
    "NewMessage",
    "NewReply",
    "NewSnooze",
    "NewThread",
    "NewValidation",
    "NewWebhook",
    "Nothing",
    "ObjectThreadsQuery",
    "PageQuery",
    "Person",
    "ReadUpTo",
    "Reader",
    "RetentionRules",
    "ReviewsQuery",
    "StaffQuery",
    "TestLetter",
    "ThreadsQuery",
    "Unlinking",
]

MOST_RECIPIENTS: Final = 500  # over to, cc and bcc (facts 3.8)
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
MOST_ATTACHMENTS: Final = 250
MOST_OBJECTS: Final = 20
MOST_HEADERS: Final = 5  # https://learn.microsoft.com/graph/api/resources/message
MOST_LETTERS: Final = 5000
MOST_MAILBOXES: Final = 100
MOST_NETWORKS: Final = 50
LARGEST_SEQ: Final = 2**63 - 1
LONGEST_LINK_S: Final = 12 * 60 * 60
LONGEST_WAIT_S: Final = 30


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


class ObjectRef(Taken):
    """A record of SELMA's that the letter concerns: the letter shows on its Events tab."""

    type: Annotated[ObjectType, Field(strict=False)]
    id: values.ObjectId


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


class NewThread(Taken):
    """A conversation that is in a mailbox, named by Graph's id of it or by the Message-ID of one of its mails.

    It becomes a thread about the `objects`, with all its mail; that comes within moments. Asked for again it is the
    same thread.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "mailbox": "admissions@school.example",
                    "internet_message_id": "<CAF3=xyz@mail.example>",
                    "objects": [{"type": "student", "id": "S1001"}],
                }
            ]
        }
    )

    mailbox: values.MailAddress = Field(description="A validated mailbox of the account.")
    conversation_id: values.GraphId | None = None
    internet_message_id: values.MessageId | None = Field(default=None, description="With its angle brackets.")
    objects: list[ObjectRef] = Field(min_length=1, max_length=MOST_OBJECTS)

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """One name, not two."""
        if (raw.get("conversation_id") is None) == (raw.get("internet_message_id") is None):
            detail = "Give either conversation_id or internet_message_id."
            yield BadValue(pointer="/conversation_id", detail=detail)


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


class ByPerson(Taken):
    """Something that a person decides."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe"}]})

    by: values.Staff = Field(description="The staff member, as the Events tab is to show them.")


class Acceptance(ByPerson):
    """Where a message is accepted: by default into the proposed thread, else into `thread_id`.

    With `objects` it begins a thread of its own, about these records.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe"}]})

    thread_id: values.RowId | None = None
    objects: list[ObjectRef] = Field(default=[], max_length=MOST_OBJECTS)

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """One place."""
        if raw.get("thread_id") is not None and raw.get("objects"):
            yield BadValue(pointer="/objects", detail="Give either thread_id or objects, not both.")


class Move(ByPerson):
    """Where a message is to stand."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "Jane Doe", "thread_id": "thr_019cadc69a80b7c8e760bb7a3845"}]}
    )

    thread_id: values.RowId


class Unlinking(ByPerson):
    """Out of its thread: back into the review tray, or away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe", "dismiss": False}]})

    dismiss: bool = Field(default=False, description="It belongs nowhere: nobody is to be asked about it again.")


class Linking(ObjectRef):
    """A record that a thread is to be shown with, too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "student", "id": "S1001", "by": "Jane Doe"}]})

    by: values.Staff | None = Field(default=None, description="The staff member, for the audit log.")


class StaffQuery(Taken):
    """By whom something is done."""

    by: values.Staff | None = Field(default=None, description="The staff member, for the audit log.")


class FileQuery(Taken):
    """What the uploaded file is called. Its type is the request's Content-Type."""

    name: values.FileName


class AccountSettings(Taken):
    """How the account reaches Microsoft 365. Without `client_secret`, the stored one stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "tenant_id": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
                    "client_id": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11",
                    "client_secret": "the-value-not-the-id",
                    "secret_expires_at": "2028-01-31",
                    "time_zone": "Pacific/Auckland",
                }
            ]
        }
    )

    tenant_id: values.Tenant
    client_id: values.Client
    client_secret: values.ClientSecret | None = Field(default=None, description="Stored sealed; never given back.")
    secret_expires_at: values.MomentOrDate = Field(
        default=None, description="As the portal shows it. A bare date begins in `time_zone`."
    )
    cloud: Annotated[Cloud, Field(strict=False)] = Cloud.GLOBAL
    time_zone: values.TimeZone = "UTC"
    alert_address: values.MailAddress | None = Field(
        default=None, description="Who gets letters of warning; null: nobody. Not given, it stays as it was."
    )
    self_test: bool | None = Field(
        default=None, description="Whether each validated mailbox writes to itself daily. Not given, it stays."
    )

    def wishes(self) -> dict[str, Any]:
        """What was given of what is to be done by itself, as `gateway.setup.wishes.wish` takes it."""
        given: dict[str, Any] = {"self_test": self.self_test}
        if "alert_address" in self.model_fields_set:
            given["alert_address"] = self.alert_address or ""
        return given

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


class NewSnooze(Taken):
    """Why a warning is put off, by whom, and until when: by default, and at most, until the next one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The new one comes on Friday", "by": "Jane Doe"}]}
    )

    reason: Annotated[str, StringConstraints(max_length=300)]
    until: values.Moment | None = None
    by: values.Staff | None = None


class NewMailbox(Taken):
    """A mailbox that letters are to come from."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address": "registry@school.example"}]})

    address: values.MailAddress


class NewKey(Taken):
    """An API key to be made. What is left out, the key is not held to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Admissions app",
                    "scopes": ["send", "read"],
                    "mailboxes": ["admissions@school.example"],
                    "networks": ["198.51.100.0/24"],
                    "expires_at": "2027-12-31T00:00:00Z",
                }
            ]
        }
    )

    name: values.KeyName
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(min_length=1, max_length=len(Scope))
    mailboxes: list[values.MailAddress] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_MAILBOXES,
        description="To the key, the account has these mailboxes and no others. Only with `send` and `read`.",
    )
    networks: list[values.Network] | None = Field(
        default=None, min_length=1, max_length=MOST_NETWORKS, description="The key can be used from there alone."
    )
    expires_at: values.Moment = Field(default=None, description="From then on the key is refused.")


class NewValidation(Taken):
    """Mailboxes to be added, where they are not there yet, and validated."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"addresses": ["registry@school.example", "bursar@school.example"]}]}
    )

    addresses: Annotated[list[values.MailAddress], Field(min_length=1, max_length=200)]


class TestLetter(Taken):
    """Where a test letter goes; by default to the mailbox itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "office@school.example"}]})

    to: values.MailAddress | None = None


class PageQuery(Taken):
    """Which page of a list."""

    limit: Annotated[int, Field(strict=False, ge=1, le=100)] = 50
    after: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="The `next` of the page before."
    )


class ObjectThreadsQuery(PageQuery):
    """Which threads: all, or those with a message that has all that is asked. A page of a search may be short."""

    model_config = ConfigDict(populate_by_name=False)

    q: Annotated[str, Field(max_length=LONGEST_QUERY)] | None = Field(
        default=None,
        description=(
            'Words, all of which one message must have: `word`, `"a phrase"`, `begin*`, `-without`, `subject:word`; '
            "also `from:`, `to:` and `attachments:`. Case and accents do not count. Any text is taken."
        ),
    )
    from_: values.MomentOrDate = Field(
        default=None, alias="from", description="With a message from then on. A date begins in the account's zone."
    )
    to: values.MomentOrDate = Field(
        default=None, description="With a message before then; a date counts to its end in the account's zone."
    )
    mailbox: values.MailAddress | None = Field(default=None, description="Of this mailbox of ours.")
    direction: Annotated[Direction, Field(strict=False)] | None = Field(
        default=None, description="With a message that came `in`, or went `out`."
    )
    unanswered: Annotated[bool, Field(strict=False)] | None = Field(
        default=None, description="Whether the last word is the other side's."
    )
    reader: values.Staff | None = Field(
        default=None, description="A member of staff: then each thread says how many messages are `unread` to them."
    )

    @property
    def names_days(self) -> bool:
        """Whether it depends on a time zone."""
        return any(one is not None and not isinstance(one, datetime) for one in (self.from_, self.to))

    def question(self, time_zone: str, what: Object | None = None) -> Question:
        """What is asked. Raises OverflowError for a day that has no end."""
        until = self.to
        if until is not None and not isinstance(until, datetime):
            until += timedelta(days=1)
        return ask(
            self.q,
            since=_start(self.from_, time_zone),
            until=_start(until, time_zone),
            mailbox=self.mailbox,
            direction=self.direction,
            unanswered=self.unanswered,
            what=what,
        )


def _start(moment: datetime | date | None, time_zone: str) -> datetime | None:
    return moment if moment is None or isinstance(moment, datetime) else start_of_day(moment, time_zone)


class ThreadsQuery(ObjectThreadsQuery):
    """As within an object; here the object can be named too."""

    object_type: Annotated[ObjectType, Field(strict=False)] | None = Field(
        default=None, description="About this record of SELMA's, with `object_id`."
    )
    object_id: values.ObjectId | None = None

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """Both parts of an object, or neither."""
        if ("object_type" in raw) != ("object_id" in raw):
            missing = "/object_id" if "object_type" in raw else "/object_type"
            yield BadValue(pointer=missing, detail="Name both the type and the id of the record.", where="query")

    def what(self) -> Object | None:
        """The object that is named."""
        if self.object_type is None or self.object_id is None:
            return None
        return Object(type=self.object_type, id=self.object_id)


class Reader(Taken):
    """A member of staff, by name, as SELMA shows them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reader": "Jane Doe"}]})

    reader: values.Staff


class ReadUpTo(Reader):
    """Who has read, and how far."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reader": "Jane Doe", "up_to": 1042}]})

    up_to: Annotated[int, Field(ge=0, le=LARGEST_SEQ)] | None = Field(
        default=None, description="The `id` of the last event that was shown, as a number; null: all there is."
    )


class NewEmbedLink(Taken):
    """A link to one record's Events page, for an iframe in SELMA."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"object": {"type": "student", "id": "S1001"}, "staff": "Jane Doe", "can_reply": True}]
        }
    )

    object: ObjectRef
    staff: values.Staff = Field(description="Who looks: shown on their replies, and what is unread is theirs.")
    can_reply: bool = Field(default=False, description="Needs a key with the scope `send`.")
    expires_in: Annotated[int, Field(ge=30, le=LONGEST_LINK_S)] = Field(
        default=600, description="Seconds in which the link can be opened. An open page goes on for up to 12 hours."
    )


class NewErasure(Taken):
    """What is to be erased: the threads of some records, or a person by their address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "objects": [{"type": "student", "id": "S1001"}, {"type": "enrolment", "id": "E77"}],
                    "reason": "Request 2026-14",
                    "by": "Jane Doe",
                    "dry_run": True,
                },
                {"address": "aroha@student.example", "reason": "Request 2026-15", "by": "Jane Doe"},
            ]
        }
    )

    objects: list[ObjectRef] = Field(
        default=[],
        max_length=MOST_OBJECTS,
        description="Their threads go; of threads that another student, contact, organisation or user has too, only "
        "the link. Where no such person is among them, any other record keeps a thread.",
    )
    address: values.MailAddress | None = Field(
        default=None, description="What this person wrote goes, and their address in the mail of others."
    )
    reason: values.Reason = Field(description="For the receipt, which is kept: without a name or an address.")
    by: values.Staff = Field(description="The staff member, for the receipt and the audit log.")
    dry_run: bool = Field(default=False, description="Say what would go, and change nothing.")

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        if bool(raw.get("objects")) == (raw.get("address") is not None):
            yield BadValue(pointer="/objects", detail="Name either `objects` or an `address`.")


Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionRules(Taken):
    """Days after the last message of a thread. Of a thread's records the longest rule counts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"threads": 2555, "audit": 1095}]})

    threads: Days | None = Field(default=None, description="For threads whose records have no rule of their own.")
    audit: Days | None = Field(default=None, description="For the audit log.")
    student: Days | None = None
    enrolment: Days | None = None
    intake: Days | None = None
    class_: Days | None = Field(default=None, alias="class")
    contact: Days | None = None
    organisation: Days | None = None
    user: Days | None = None

    def days(self) -> dict[str, int]:
        """The rules that are given."""
        return {name: days for name, days in self.model_dump(by_alias=True).items() if days is not None}


class LettersQuery(PageQuery):
    """Which letters: all, or those of a batch."""

    batch: values.RowId | None = Field(default=None, description="Only those of this batch.")


class ReviewsQuery(PageQuery):
    """Which part of the review tray: all, or what may belong to the threads of one record."""

    type: Annotated[ObjectType, Field(strict=False)] | None = None
    id: values.ObjectId | None = None

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """Both or neither."""
        for given, missing in (("type", "id"), ("id", "type")):
            if raw.get(given) is not None and raw.get(missing) is None:
                yield BadValue(where="query", pointer=f"/{missing}", detail="Give type and id, or neither.")


class AuditQuery(PageQuery):
    """Which part of the audit log: everything that is given must apply."""

    act: Annotated[str, Field(max_length=100)] | None = Field(default=None, description="Such as review.accept.")
    key: values.RowId | None = Field(default=None, description="The id of the API key.")
    by: values.Staff | None = Field(default=None, description="The staff member.")
    target: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The id of a message, thread, act or record that it was done to."
    )

    @property
    def names_staff(self) -> str | None:
        """Nobody: `by` is whose records are looked for."""
        return None


class EventsQuery(Taken):
    """Which part of the event log."""

    after: Annotated[int, Field(strict=False, ge=0, le=LARGEST_SEQ)] = Field(
        default=0, description="The `id` of the last event that you have."
    )
    limit: Annotated[int, Field(strict=False, ge=1, le=1000)] = 100
    wait: Annotated[int, Field(strict=False, ge=0, le=LONGEST_WAIT_S)] = Field(
        default=0, description="Seconds to wait for an event when there is none yet."
    )


class NewWebhook(Taken):
    """Where events are pushed to, signed as https://www.standardwebhooks.com/ says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://selma.school.example/mail-events", "types": ["reply.received"]}]
        }
    )

    url: values.Url = Field(description="An https address on the public internet, or where the operator allows it.")
    types: list[values.EventType] = Field(default=[], max_length=100, description="By default all events.")
    description: values.Description | None = None


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state: Annotated[DeliveryState, Field(strict=False)] | None = None


class EventStreamQuery(Taken):
    """Where the stream begins."""

    after: Annotated[int, Field(strict=False, ge=0, le=LARGEST_SEQ)] | None = Field(
        default=None, description="As `Last-Event-ID`, which counts more; without either, only what is new."
    )
