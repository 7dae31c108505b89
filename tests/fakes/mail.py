"""Mailboxes in memory, as the puller sees Graph: delta, reading by id, finding by conversation."""

import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.graph import (
    AttachmentInfo,
    Body,
    BodyType,
    DeltaPage,
    Gone,
    GraphError,
    MailFolder,
    Message,
    MessageRequest,
    NotFound,
    Recipient,
    Removed,
    Unreadable,
)

SELECTED = {
    "body": ("body", None),
    "uniqueBody": ("unique_body", None),
    "bodyPreview": ("body_preview", None),
    "subject": ("subject", None),
    "internetMessageHeaders": ("internet_message_headers", None),
    "toRecipients": ("to", None),
}


def recipient(address: str) -> Recipient:
    return Recipient(name=address.partition("@")[0], address=address)


def mail(
    id: str,
    *,
    sender: str | None,
    at: datetime,
    conversation: str | None = None,
    message_id: str | None = None,
    answers: Sequence[str] = (),
    to: Sequence[str] = (),
    subject: str = "Re: Your enrolment",
    text: str = "Thank you.",
    headers: Iterable[tuple[str, str]] = (),
    message_class: str = "IPM.Note",
    **fields: object,
) -> Message:
    """A mail as it lies in a mailbox. `answers`: the Message-IDs in its References."""
    chain = (("References", " ".join(answers)), ("In-Reply-To", answers[-1])) if answers else ()
    whole = Message(
        id=id,
        conversation_id=conversation,
        internet_message_id=message_id or f"<{id}@mail.example>",
        subject=subject,
        from_=recipient(sender) if sender else None,
        to=tuple(recipient(one) for one in to),
        is_draft=False,
        received_at=at,
        sent_at=at,
        body=Body(content_type=BodyType.TEXT, content=text),
        body_preview=text,
        has_attachments=False,
        internet_message_headers=(*chain, *headers),
        extended_properties={"String 0x001A": message_class},
    )
    return replace(whole, **fields)  # type: ignore[arg-type]


@dataclass
class FakeFolder:
    """A folder with a log of what changed. Tokens of an older generation are dead."""

    name: str
    items: dict[str, Message] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    generation: int = 0


@dataclass
class FakeMail:
    """A GraphSource whose one client is itself. A user's folders are named `{user}/{folder}`; ids are immutable."""

    folders: dict[tuple[str, str], FakeFolder] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Ids that are not visible yet: neither in the delta nor by id."""
    poisoned: dict[str, GraphError] = field(default_factory=dict)
    """Ids that cannot be read, and what Graph says instead."""
    trouble: list[Exception | None] = field(default_factory=list)
    """What the next calls of delta raise; None for one that goes well."""
    unreadable: list[str] = field(default_factory=list)
    """Ids that the next page shows in a form nobody understands."""
    attachments: dict[str, list[AttachmentInfo]] = field(default_factory=dict)
    mime: dict[str, bytes] = field(default_factory=dict)
    """What reports are, by id, as they came over the wire."""
    unreadable_mime: dict[str, GraphError] = field(default_factory=dict)
    read_as_mime: list[str] = field(default_factory=list)
    read_whole: list[str] = field(default_factory=list)
    """The ids of all that was read with its body."""
    closed: dict[str, Exception] = field(default_factory=dict)
    """Users whose folders cannot be looked at, and what Graph says instead."""
    searched: list[str] = field(default_factory=list)
    """The conversations that were asked for."""
    unsearchable: dict[str, Exception] = field(default_factory=dict)
    """Conversations that cannot be asked for, and what Graph says instead."""
    headers_in_delta: bool = True
    """Whether the delta shows them when they are selected; a link of an older release does not ask for them."""
    filter_ends_at: int | None = None
    """Where a first round that is bounded by a filter ends, without a word."""
    deltas: int = 0
    page_size: int = 50
    asked: list[str] = field(default_factory=list)
    asked_for_headers: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def graph(self, account_id: str) -> "FakeMail":
        return self

    # What happens in Microsoft 365

    def folder(self, user: str, name: str) -> FakeFolder:
        return self.folders.setdefault((user, name), FakeFolder(name))

    def put(self, user: str, name: str, message: Message) -> Message:
        """Let it arrive, or change."""
        folder = self.folder(user, name)
        kept = replace(message, parent_folder_id=f"{user}/{name}")
        folder.items[message.id] = kept
        folder.log.append(message.id)
        return kept

    def take_away(self, user: str, name: str, id: str) -> None:
        folder = self.folder(user, name)
        del folder.items[id]
        folder.log.append(id)

    def show(self, *ids: str) -> None:
        """What was hidden is there now."""
        for folder in self.folders.values():
            folder.log += [id for id in ids if id in folder.items]
        self.hidden -= set(ids)

    def say_again(self) -> None:
        """Let the next delta repeat everything, newest first."""
        for folder in self.folders.values():
            folder.log += list(reversed(folder.items))

    def forget_tokens(self) -> None:
        for folder in self.folders.values():
            folder.generation += 1

    # What Graph answers

    async def delta(
        self,
        user: str,
        folder: str,
        *,
        link: str | None = None,
        since: datetime | None = None,
        select: Sequence[str],
        expand_properties: Sequence[str] = (),
        page_size: int = 50,
    ) -> DeltaPage:
        self.deltas += 1
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is not None:
            raise trouble
        found = self.folder(user, folder)
        start, generation = (int(part) for part in (link or f"0 {found.generation}").split())
        if generation != found.generation:
            raise Gone(status=410, code="SyncStateNotFound")
        changed = found.log[start : start + self.page_size]
        end = start + len(changed)
        if link is None and since is not None and self.filter_ends_at is not None:
            changed, end = found.log[: self.filter_ends_at], len(found.log)
        shown = [found.items.get(id) or Removed(id=id, reason="deleted") for id in changed if id not in self.hidden]
        unreadable, self.unreadable = self.unreadable, []
        is_last = end == len(found.log)
        select = select if self.headers_in_delta else [name for name in select if name != "internetMessageHeaders"]
        return DeltaPage(
            items=tuple(
                item if isinstance(item, Removed) else without(item, select)
                for item in shown
                if item.id not in unreadable
                and (isinstance(item, Removed) or since is None or (item.received_at or since) >= since)
            ),
            next_link=None if is_last else f"{end} {generation}",
            delta_link=f"{end} {generation}" if is_last else None,
            unreadable=tuple(Unreadable(id=id, problem="it is none") for id in unreadable),
        )

    async def get_messages(self, user: str, requests: Sequence[MessageRequest]) -> dict[str, Message | GraphError]:
        self.asked += [request.id for request in requests]
        self.asked_for_headers += [one.id for one in requests if "internetMessageHeaders" in one.select]
        return {request.id: self._read(user, request) for request in requests}

    async def get_mime(self, user: str, id: str, *, limit: int) -> bytes:
        self.read_as_mime.append(id)
        if id in self.unreadable_mime:
            raise self.unreadable_mime[id]
        return self.mime.get(id, b"")[:limit]

    async def mime_pieces(self, user: str, id: str) -> AsyncGenerator[bytes, None]:
        yield await self.get_mime(user, id, limit=len(self.mime.get(id, b"")))

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]:
        return self.attachments.get(message_id, [])

    async def get_folder(self, user: str, folder: str) -> MailFolder:
        if (trouble := self.closed.get(user)) is not None:
            raise trouble
        return MailFolder(id=f"{user}/{folder}")

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]:
        self.searched.append(conversation_id)
        if (trouble := self.unsearchable.get(conversation_id)) is not None:
            raise trouble
        everything = (
            item for (owner, _), folder in self.folders.items() if owner == user for item in folder.items.values()
        )
        return [without(item, ()) for item in everything if item.conversation_id == conversation_id]

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Message]:
        everything = (
            item
            for (owner, name), found in self.folders.items()
            if owner == user and folder in (None, name)
            for item in found.items.values()
        )
        return [without(item, ()) for item in everything if item.internet_message_id == internet_message_id]

    def _read(self, user: str, request: MessageRequest) -> Message | GraphError:
        if request.id in self.poisoned:
            return self.poisoned[request.id]
        for (owner, _), folder in self.folders.items():
            if owner == user and request.id in folder.items and request.id not in self.hidden:
                if "body" in request.select:
                    self.read_whole.append(request.id)
                return without(folder.items[request.id], request.select)
        return NotFound(status=404, code="ErrorItemNotFound")


def without(message: Message, select: Sequence[str]) -> Message:
    """What is left of it when only this is selected. Headers of what we sent are never shown."""
    missing = {field: empty for name, (field, empty) in SELECTED.items() if name not in select}
    if "sentitems" in (message.parent_folder_id or ""):
        missing["internet_message_headers"] = None
    return replace(message, **missing)  # type: ignore[arg-type]
