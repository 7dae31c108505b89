"""Threads: finding them, making one of a conversation, linking them, and what is read of them."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.reading import Taken
from gateway.http.schemas.pieces import MOST_OBJECTS, ObjectRef, PageQuery
from gateway.setup.values import start_of_day
from gateway.threads.query import LONGEST_QUERY
from gateway.threads.search import Question, ask
from storage.messages import Direction
from storage.threads import Object, ObjectType

LONGEST_LINK_S: Final = 12 * 60 * 60


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


class Linking(ObjectRef):
    """A record that a thread is to be shown with, too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "student", "id": "S1001", "by": "Jane Doe"}]})

    by: values.Staff | None = Field(default=None, description="The staff member, for the audit log.")


class Reader(Taken):
    """A member of staff, by name, as SELMA shows them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reader": "Jane Doe"}]})

    reader: values.Staff


class ReadUpTo(Reader):
    """Who has read, and how far."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reader": "Jane Doe", "up_to": 1042}]})

    up_to: Annotated[int, Field(ge=0, le=values.LARGEST_SEQ)] | None = Field(
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
