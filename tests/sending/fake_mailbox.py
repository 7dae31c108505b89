"""A school's mailboxes in memory, as far as sending needs them, and faults that are scripted call by call."""

import asyncio
import base64
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from gateway.graph import (
    AttachmentInfo,
    AttachmentKind,
    BadRequest,
    GraphError,
    Message,
    NotFound,
    TokenError,
    UploadSession,
)
from gateway.sending.draft import TAG
from tests.fakes.clock import FakeClock

Failure = GraphError | TokenError | Exception


class When(Enum):
    """Whether the act happened although its answer is a failure."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Fault:
    """What one call meets instead of its answer."""

    error: Failure
    when: When = When.BEFORE


@dataclass(kw_only=True)
class StoredAttachment:
    id: str
    name: str
    content_type: str
    content: bytes
    content_id: str | None

    def info(self) -> AttachmentInfo:
        """As Graph lists it: its size has some overhead."""
        return AttachmentInfo(
            id=self.id,
            name=self.name,
            content_type=self.content_type,
            size=len(self.content) + 137,
            is_inline=self.content_id is not None,
            content_id=self.content_id,
            kind=AttachmentKind.FILE,
        )


@dataclass(kw_only=True)
class StoredSession:
    message_id: str
    name: str
    content_type: str
    size: int
    content_id: str | None
    received: bytearray = field(default_factory=bytearray)


@dataclass(kw_only=True)
class StoredItem:
    id: str
    user: str
    tag: str
    payload: dict[str, Any]
    created_at: datetime
    conversation_id: str
    internet_message_id: str
    attachments: list[StoredAttachment]
    answers: str | None = None
    sent_at: datetime | None = None
    seen_in_sent_at: datetime | None = None  # until then it is on its way
    hidden_on_its_way: bool = False
    deleted: bool = False


@dataclass
class FakeMailboxes:
    """Stands for both `GraphSource` and its client. `ledger` counts what left, by tag."""

    clock: FakeClock
    sent_copy_delay: timedelta = timedelta(0)
    draft_stays_while_on_its_way: bool = True
    ids_survive_send: bool = True
    reply_drafts_take_the_tag: bool = False
    items: dict[str, StoredItem] = field(default_factory=dict)
    sessions: dict[str, StoredSession] = field(default_factory=dict)
    ledger: Counter[str] = field(default_factory=Counter)
    left: list[tuple[str, datetime]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    not_connected: Exception | None = None
    on_call: Callable[[str], None] = lambda step: None
    gate: asyncio.Event | None = None
    busy: Counter[str] = field(default_factory=Counter)
    busiest: Counter[str] = field(default_factory=Counter)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _others: "itertools.count[int]" = field(default_factory=itertools.count)

    # What tests do

    def arrives(
        self, user: str, *, subject: str = "RE: Your enrolment", conversation_id: str | None = None
    ) -> StoredItem:
        """Mail from outside stands in the mailbox."""
        item = self._new(user, {"subject": subject})
        item.conversation_id = conversation_id or item.conversation_id
        item.sent_at = item.seen_in_sent_at = self.clock.now()
        return item

    def script(self, call: str, *faults: Fault) -> None:
        """The next calls of this kind meet these."""
        self.faults[call].extend(faults)

    def called(self, name: str) -> int:
        return sum(1 for call, _ in self.calls if call == name)

    def event_when(self, true: Callable[[], bool]) -> asyncio.Event:
        """Set as soon as a call finds that this is so."""
        event = asyncio.Event()

        def look(step: str) -> None:
            if true():
                event.set()

        self.on_call = look
        return event

    def drafts(self) -> list[StoredItem]:
        return [item for item in self.items.values() if item.sent_at is None and not item.deleted]

    def in_sent(self) -> list[StoredItem]:
        now = self.clock.now()
        return [
            item for item in self.items.values() if item.seen_in_sent_at is not None and item.seen_in_sent_at <= now
        ]

    # What the worker does

    async def graph(self, account_id: str) -> "FakeMailboxes":
        if self.not_connected is not None:
            raise self.not_connected
        return self

    async def create_draft(self, user: str, payload: Mapping[str, Any]) -> Message:
        return await self._call("create_draft", user, lambda: self._shown(self._new(user, payload)))

    async def create_reply(self, user: str, message_id: str, message: Mapping[str, Any]) -> Message:
        def act() -> Message:
            original = self._item(message_id)
            subject = original.payload.get("subject", "")
            born = {"subject": f"RE: {subject}", **message}
            if not self.reply_drafts_take_the_tag:
                del born["singleValueExtendedProperties"]
            item = self._new(user, born)
            item.conversation_id, item.answers = original.conversation_id, original.id
            return self._shown(item)

        return await self._call("create_reply", user, act)

    async def update_message(self, user: str, message_id: str, changes: Mapping[str, Any]) -> Message:
        def act() -> Message:
            item = self._item(message_id)
            assert item.sent_at is None, "only drafts may be changed"
            assert "internetMessageHeaders" not in changes, "headers are taken when a message is made"
            item.payload = {**item.payload, **changes}
            item.tag = tag_in(changes) or item.tag
            return self._shown(item)

        return await self._call("update_message", user, act)

    async def add_attachment(self, user: str, message_id: str, payload: Mapping[str, Any]) -> AttachmentInfo:
        def act() -> AttachmentInfo:
            attached = self._attached(payload)
            self._item(message_id).attachments.append(attached)
            return attached.info()

        return await self._call("add_attachment", user, act)

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]:
        return await self._call(
            "list_attachments", user, lambda: [one.info() for one in self._item(message_id).attachments]
        )

    async def attachment_bytes(self, user: str, message_id: str, attachment_id: str) -> AsyncIterator[bytes]:
        content = await self._call("attachment_bytes", user, lambda: self._content(message_id, attachment_id))
        for start in range(0, len(content), 1_000_000):
            yield content[start : start + 1_000_000]

    def _content(self, message_id: str, attachment_id: str) -> bytes:
        return next(one.content for one in self._item(message_id).attachments if one.id == attachment_id)

    async def create_upload_session(
        self, user: str, message_id: str, *, name: str, content_type: str, size: int, content_id: str | None
    ) -> UploadSession:
        def act() -> UploadSession:
            self._item(message_id)
            url = f"https://outlook.office.com/session-{next(self._others)}"
            self.sessions[url] = StoredSession(
                message_id=message_id, name=name, content_type=content_type, size=size, content_id=content_id
            )
            return UploadSession(url=url, expires_at=None, next_offset=0)

        return await self._call("create_upload_session", user, act)

    async def upload_piece(self, url: str, piece: bytes, *, offset: int, total: int, user: str) -> int | None:
        def act() -> int | None:
            session = self.sessions.get(url)
            if session is None:
                raise NotFound("no such session", status=404, code="ErrorItemNotFound")
            if offset != len(session.received):
                raise BadRequest("not that range", status=400, code="invalidRange")
            assert total == session.size
            session.received += piece
            if len(session.received) < total:
                return len(session.received)
            del self.sessions[url]
            self.items[session.message_id].attachments.append(
                StoredAttachment(
                    id=f"attachment-{next(self._others)}",
                    name=session.name,
                    content_type=session.content_type,
                    content=bytes(session.received),
                    content_id=session.content_id,
                )
            )
            return None

        return await self._call("upload_piece", user, act)

    async def send_draft(self, user: str, message_id: str) -> None:
        def act() -> None:
            item = self._item(message_id)
            on_its_way = item.seen_in_sent_at is not None and item.seen_in_sent_at > self.clock.now()
            if item.sent_at is not None and not (on_its_way and not item.hidden_on_its_way):
                raise NotFound("gone", status=404, code="ErrorItemNotFound")
            self.left.append((user, self.clock.now()))
            self.ledger[item.tag] += 1  # a second /send of a draft that is still listed sends again: the worse case
            item.sent_at = self.clock.now()
            item.seen_in_sent_at = self.clock.now() + self.sent_copy_delay
            item.hidden_on_its_way = not self.draft_stays_while_on_its_way

        await self._call("send_draft", user, act)

    async def delete_message(self, user: str, message_id: str) -> None:
        def act() -> None:
            item = self.items[message_id]
            assert item.sent_at is None, "only drafts may be deleted"
            item.deleted = True

        await self._call("delete_message", user, act)

    async def get_message(self, user: str, id: str, *, select: Sequence[str]) -> Message:
        return await self._call("get_message", user, lambda: self._shown(self._item(id)))

    async def find_by_tag(self, user: str, property_id: str, value: str) -> list[Message]:
        assert property_id == TAG

        def act() -> list[Message]:
            return [self._shown(item) for item in self._visible(user) if item.tag == value]

        return await self._call("find_by_tag", user, act)

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Message]:
        assert folder == "sentitems"

        def act() -> list[Message]:
            return [
                self._shown(item)
                for item in self._visible(user)
                if item.internet_message_id == internet_message_id and self._arrived(item)
            ]

        return await self._call("find_by_internet_message_id", user, act)

    async def _call(self, name: str, user: str, act: Callable[[], Any]) -> Any:
        self.calls.append((name, user))
        self.busy[user] += 1
        self.busiest[user] = max(self.busiest[user], self.busy[user])
        try:
            self.on_call(f"before {name}")
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            fault = self.faults[name].popleft() if self.faults[name] else None
            if fault is not None and fault.when is When.BEFORE:
                raise fault.error
            answer = act()
            self.on_call(f"after {name}")
            if fault is not None:
                raise fault.error
            return answer
        finally:
            self.busy[user] -= 1

    def _new(self, user: str, payload: Mapping[str, Any]) -> StoredItem:
        number = next(self._numbers)
        item = StoredItem(
            id=f"item-{number}",
            user=user,
            tag=tag_in(payload),
            payload=dict(payload),
            created_at=self.clock.now() + timedelta(microseconds=number),
            conversation_id=f"conversation-{number}",
            internet_message_id=f"<{number}@school.example>",
            attachments=[self._attached(one) for one in payload.get("attachments", ())],
        )
        self.items[item.id] = item
        return item

    def _attached(self, payload: Mapping[str, Any]) -> StoredAttachment:
        return StoredAttachment(
            id=f"attachment-{next(self._others)}",
            name=payload["name"],
            content_type=payload["contentType"],
            content=base64.b64decode(payload["contentBytes"]),
            content_id=payload.get("contentId"),
        )

    def _arrived(self, item: StoredItem) -> bool:
        return item.seen_in_sent_at is not None and item.seen_in_sent_at <= self.clock.now()

    def _visible(self, user: str) -> list[StoredItem]:
        return [item for item in self.items.values() if item.user == user and self._exists(item)]

    def _exists(self, item: StoredItem) -> bool:
        on_its_way = item.sent_at is not None and not self._arrived(item)
        return not item.deleted and not (on_its_way and item.hidden_on_its_way)

    def _item(self, id: str) -> StoredItem:
        for item in self.items.values():
            if self._shown(item).id == id and self._exists(item):
                return item
        raise NotFound("not there", status=404, code="ErrorItemNotFound")

    def _shown(self, item: StoredItem) -> Message:
        arrived = self._arrived(item)
        message = Message(
            id=item.id,
            conversation_id=item.conversation_id,
            internet_message_id=item.internet_message_id,
            is_draft=not arrived,
            created_at=item.created_at,
            sent_at=item.sent_at,
        )
        return replace(message, id=f"{item.id}-sent") if arrived and not self.ids_survive_send else message


def tag_in(payload: Mapping[str, Any]) -> str:
    """The tag of what is made or changed; "" when it has none."""
    marks = payload.get("singleValueExtendedProperties", ())
    return next((str(one["value"]) for one in marks if one["id"] == TAG), "")
