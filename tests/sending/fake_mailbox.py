"""A school's mailboxes in memory, as far as sending needs them, and faults that are scripted call by call."""

import asyncio
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from gateway.graph import AttachmentInfo, AttachmentKind, GraphError, Message, NotFound, TokenError
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
class StoredItem:
    id: str
    user: str
    tag: str
    payload: dict[str, Any]
    created_at: datetime
    conversation_id: str
    internet_message_id: str
    attachments: list[str]
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
    items: dict[str, StoredItem] = field(default_factory=dict)
    ledger: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    not_connected: Exception | None = None
    on_call: Callable[[str], None] = lambda step: None
    gate: asyncio.Event | None = None
    busy: Counter[str] = field(default_factory=Counter)
    busiest: Counter[str] = field(default_factory=Counter)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    # What tests do

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

    async def create_draft(self, user: str, payload: dict[str, Any]) -> Message:
        def act() -> Message:
            tag = next(one["value"] for one in payload["singleValueExtendedProperties"] if one["id"] == TAG)
            number = next(self._numbers)
            item = StoredItem(
                id=f"item-{number}",
                user=user,
                tag=tag,
                payload=payload,
                created_at=self.clock.now() + timedelta(microseconds=number),
                conversation_id=f"conversation-{number}",
                internet_message_id=f"<{number}@school.example>",
                attachments=[one["name"] for one in payload.get("attachments", ())],
            )
            self.items[item.id] = item
            return self._shown(item)

        return await self._call("create_draft", user, act)

    async def add_attachment(self, user: str, message_id: str, payload: dict[str, Any]) -> AttachmentInfo:
        def act() -> AttachmentInfo:
            item = self._item(message_id)
            item.attachments.append(payload["name"])
            return _attachment(payload["name"])

        return await self._call("add_attachment", user, act)

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]:
        def act() -> list[AttachmentInfo]:
            return [_attachment(name) for name in self._item(message_id).attachments]

        return await self._call("list_attachments", user, act)

    async def send_draft(self, user: str, message_id: str) -> None:
        def act() -> None:
            item = self._item(message_id)
            on_its_way = item.seen_in_sent_at is not None and item.seen_in_sent_at > self.clock.now()
            if item.sent_at is not None and not (on_its_way and not item.hidden_on_its_way):
                raise NotFound("gone", status=404, code="ErrorItemNotFound")
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


def _attachment(name: str) -> AttachmentInfo:
    return AttachmentInfo(
        id=f"attachment-{name}",
        name=name,
        content_type="application/pdf",
        size=1,
        is_inline=False,
        content_id=None,
        kind=AttachmentKind.FILE,
    )
