"""Looking for a letter in its mailbox, and what the reads prove."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.graph import AttachmentInfo, NotFound, UploadSession
from gateway.graph import Message as Item
from gateway.sending.draft import TAG, oldest_first
from storage.outbox import Letter

SELECT: Final = (
    "id",
    "conversationId",
    "internetMessageId",
    "isDraft",
    "parentFolderId",
    "sentDateTime",
    "createdDateTime",
)


class Mailer(Protocol):
    """What sending needs of Graph; `gateway.graph.GraphClient` is one. Raises GraphError and TokenError."""

    async def create_draft(self, user: str, payload: Mapping[str, Any]) -> Item: ...

    async def create_reply(self, user: str, message_id: str, message: Mapping[str, Any]) -> Item: ...

    async def update_message(self, user: str, message_id: str, changes: Mapping[str, Any]) -> Item: ...

    async def create_upload_session(
        self, user: str, message_id: str, *, name: str, content_type: str, size: int, content_id: str | None
    ) -> UploadSession: ...

    async def upload_piece(self, url: str, piece: bytes, *, offset: int, total: int, user: str) -> int | None: ...

    def attachment_bytes(self, user: str, message_id: str, attachment_id: str) -> AsyncIterator[bytes]: ...

    async def add_attachment(self, user: str, message_id: str, payload: Mapping[str, Any]) -> AttachmentInfo: ...

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]: ...

    async def send_draft(self, user: str, message_id: str) -> None: ...

    async def delete_message(self, user: str, message_id: str) -> None: ...

    async def get_message(self, user: str, id: str, *, select: Sequence[str]) -> Item: ...

    async def find_by_tag(self, user: str, property_id: str, value: str) -> list[Item]: ...

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Item]: ...


class GraphSource(Protocol):
    """Where an account's client comes from; `gateway.connections.Connections` is one. Raises NotConnected."""

    async def graph(self, account_id: str) -> Mailer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What reads showed: the item that is no draft, if any; and the drafts with the letter's tag, oldest first."""

    sent: Item | None
    drafts: tuple[Item, ...]

    def has_draft(self, graph_id: str | None) -> bool:
        """Whether the very item that was submitted is still a draft. A stray one with the same tag proves nothing."""
        return any(item.id == graph_id for item in self.drafts)

    def proves_a_draft(self, letter: Letter) -> bool:
        """Whether the letter is still a draft; one that was never submitted may be any with its tag."""
        return bool(self.drafts) if letter.submits == 0 else self.has_draft(letter.graph_id)


async def look(graph: Mailer, user: str, letter: Letter) -> Found:
    """Search all folders for the tag, then ask for the item by id, then Sent Items by Message-ID.

    A read that fails raises: only reads that succeed can show that something is not there.
    """
    found = judge(letter, await graph.find_by_tag(user, TAG, letter.send_uid))
    if found.sent is not None or letter.graph_id is None or found.has_draft(letter.graph_id):
        return found
    try:
        item = await graph.get_message(user, letter.graph_id, select=SELECT)
    except NotFound:  # the mailbox is there, as the search has just shown: the item is not
        pass
    else:
        return judge(letter, (item, *found.drafts))
    if letter.submits == 0 or not letter.internet_message_id:
        return found
    copies = await graph.find_by_internet_message_id(user, letter.internet_message_id, folder="sentitems")
    return judge(letter, (*copies, *found.drafts))


def judge(letter: Letter, items: Sequence[Item]) -> Found:
    """Sort what was found. Of several that are no drafts, the one we know by id, or else the oldest."""
    sent = [item for item in oldest_first(items) if item.is_draft is False]
    known = [item for item in sent if item.id == letter.graph_id]
    return Found(
        sent=next(iter(known or sent), None),
        drafts=tuple(item for item in oldest_first(items) if item.is_draft is True),
    )
