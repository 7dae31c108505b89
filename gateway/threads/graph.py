"""What this package needs of Graph: `gateway.graph.GraphClient` is a reader, `gateway.connections` has a source."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from gateway.graph import AttachmentInfo, DeltaPage, GraphError, Message, MessageRequest

METADATA: Final = (
    "id",
    "conversationId",
    "internetMessageId",
    "from",
    "receivedDateTime",
    "sentDateTime",
    "isDraft",
    "parentFolderId",
    "hasAttachments",
)
HEADERS: Final = "internetMessageHeaders"
# The rest, where the headers are known already: they are most of what a mail is on the wire.
WHOLE: Final = (
    *METADATA,
    "subject",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "body",
    "uniqueBody",
    "bodyPreview",
)


class MailReader(Protocol):
    """Reading one tenant's mailboxes. Raises GraphError and TokenError."""

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
    ) -> DeltaPage: ...

    async def get_messages(self, user: str, requests: Sequence[MessageRequest]) -> dict[str, Message | GraphError]: ...

    async def get_mime(self, user: str, id: str, *, limit: int) -> bytes: ...

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]: ...

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]: ...


class GraphSource(Protocol):
    """Where an account's client comes from. Raises NotConnected."""

    async def graph(self, account_id: str) -> MailReader: ...
