"""Mail: folders, drafts, sending, finding, changes.

`user` is an object id or userPrincipalName, `folder` a well-known name (`inbox`, `sentitems`, `drafts`, …) or an
id, `select` Graph's property names. Ids go into one path segment, whatever they hold.
Source: https://learn.microsoft.com/graph/api/resources/mail-api-overview
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Final

import orjson

from . import wire
from .batch import MessageBatch, MessageRequest
from .errors import GraphError, NotFound
from .message import Message
from .resource import UPLOAD, message_path
from .types import DeltaPage, MailFolder
from .wire import Request, Retry, segment, user_path

FOUND: Final = (
    "id",
    "conversationId",
    "internetMessageId",
    "isDraft",
    "parentFolderId",
    "sentDateTime",
    "createdDateTime",
)
PAGE_SIZE: Final = 100  # 1 to 1,000: https://learn.microsoft.com/graph/api/user-list-messages


class Mail(MessageBatch):
    async def get_folder(self, user: str, folder: str) -> MailFolder:
        """The probe that tells most of a mailbox: licence, location, policy and scope at once.

        NotFound and AccessDenied carry the code that says which.
        Source: https://learn.microsoft.com/graph/api/mailfolder-get
        """
        path = f"{user_path(user)}/mailFolders/{segment(folder)}{wire.query(select='id,displayName')}"
        return MailFolder.from_graph(await self._graph.json(self._get(user, "users/{id}/mailFolders/{id}", path)))

    async def create_draft(self, user: str, payload: Mapping[str, object]) -> Message:
        """Make a draft; the answer has its ids and its conversation, never the extended properties it was given.

        Repeated only where Graph refused (429, 503 with Retry-After) or nothing was sent: after any other failure
        a draft may exist, so look for its tag.
        Source: https://learn.microsoft.com/graph/api/user-post-messages
        """
        request = self._post(user, "users/{id}/messages", f"{user_path(user)}/messages", payload, Retry.IF_REFUSED)
        return Message.from_graph(await self._graph.json(request))

    async def create_reply(self, user: str, message_id: str, message: Mapping[str, object]) -> Message:
        """Make a draft that answers a message: In-Reply-To, References and conversation are Exchange's work.

        What `message` names replaces what Graph would have put there; without a body Graph quotes the original.
        Repeated as `create_draft`. 201, but an example prints 200.
        Source: https://learn.microsoft.com/graph/api/message-createreply
        """
        path = f"{message_path(user, message_id)}/createReply"
        request = self._post(user, "users/{id}/messages/{id}/createReply", path, {"message": message}, Retry.IF_REFUSED)
        return Message.from_graph(await self._graph.json(replace(request, or_else=200)))

    async def update_message(self, user: str, message_id: str, changes: Mapping[str, object]) -> Message:
        """Change a message: nearly all of a draft, little of a letter. A body replaces the whole body.

        Source: https://learn.microsoft.com/graph/api/message-update
        """
        request = Request(
            method="PATCH",
            route="users/{id}/messages/{id}",
            url=self._graph.url(message_path(user, message_id)),
            retry=Retry.HARMLESS,
            expect=200,
            content=orjson.dumps(changes),
            timeout=UPLOAD,
            mailbox=user,
        )
        return Message.from_graph(await self._graph.json(request))

    async def send_draft(self, user: str, message_id: str) -> None:
        """Send a draft: a 202 is success, whatever `Retry-After` it carries, and all else is not.

        Called once and never repeated, not even after a 401 or a 429. Whoever gets a GraphError does not know
        whether the letter left, with two exceptions: Unreachable with `sent` False, and OverBudget. A TokenError
        comes before.
        Source: https://learn.microsoft.com/graph/api/message-send; microsoftgraph/msgraph-sdk-java issue 1487
        """
        request = Request(
            method="POST",
            route="users/{id}/messages/{id}/send",
            url=self._graph.url(f"{message_path(user, message_id)}/send"),
            retry=Retry.NEVER,
            expect=202,
            timeout=UPLOAD,
            second_token=False,
            mailbox=user,
        )
        await self._graph.done(request)

    async def delete_message(self, user: str, message_id: str) -> None:
        """Delete a message; one that is not there (ErrorItemNotFound) is as good.

        Source: https://learn.microsoft.com/graph/api/message-delete
        """
        request = Request(
            method="DELETE",
            route="users/{id}/messages/{id}",
            url=self._graph.url(message_path(user, message_id)),
            retry=Retry.HARMLESS,
            expect=204,
            mailbox=user,
        )
        try:
            await self._graph.done(request)
        except NotFound as error:
            if not error.is_code("ErrorItemNotFound"):
                raise

    async def get_message(
        self,
        user: str,
        id: str,
        *,
        select: Sequence[str],
        expand_properties: Sequence[str] = (),
        body_type: str | None = None,
    ) -> Message:
        """One message as it is now. `body_type` "text" or "html" asks for both bodies in that form.

        Source: https://learn.microsoft.com/graph/api/message-get
        """
        wanted = MessageRequest(id=id, select=tuple(select), expand_properties=tuple(expand_properties))
        request = self._get(user, "users/{id}/messages/{id}", wanted.path(user), prefer=wire.body_preference(body_type))
        return Message.from_graph(await self._graph.json(request))

    async def get_mime(self, user: str, id: str, *, limit: int) -> bytes:
        """A message as RFC 5322 has it, or the first `limit` bytes of it.

        Source: https://learn.microsoft.com/graph/outlook-get-mime-message
        """
        request = self._get(user, "users/{id}/messages/{id}/$value", f"{message_path(user, id)}/$value")
        content = bytearray()
        async with aclosing(self._graph.stream(request)) as pieces:
            async for piece in pieces:
                content += piece
                if len(content) >= limit:
                    break
        return bytes(content[:limit])

    def mime_pieces(self, user: str, id: str) -> AsyncGenerator[bytes, None]:
        """A message as RFC 5322 has it, attachments included, as it comes; close the iterator if you stop early.

        The errors come from the first step of the iteration; Unreachable also later, when the stream breaks.
        Source: https://learn.microsoft.com/graph/outlook-get-mime-message
        """
        return self._graph.stream(
            self._get(user, "users/{id}/messages/{id}/$value", f"{message_path(user, id)}/$value")
        )

    async def find_by_tag(self, user: str, property_id: str, value: str, *, folder: str | None = None) -> list[Message]:
        """Messages with an extended property of this value, in one folder or, deleted ones too, in all.

        The value is compared without case, the property's name with it. The property itself is not in the answer.
        How soon a new draft is found is not documented: nothing found is no proof that nothing is there.
        """
        return await self._find(user, wire.tag_filter(property_id, value), folder)

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Message]:
        """Messages with this Message-ID, angle brackets included; a mailbox may hold several."""
        return await self._find(user, f"internetMessageId eq {wire.literal(internet_message_id)}", folder)

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]:
        """A conversation's messages in all folders, drafts and deleted ones too, in no order.

        Graph refuses to sort by time what is filtered by conversation (InefficientFilter).
        """
        return await self._find(user, f"conversationId eq {wire.literal(conversation_id)}", None)

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
        """One page of a folder's changes: the first of a round, or the one a stored link leads to.

        With `link` the other options are in it and are ignored here, but for `page_size`. `since` bounds the first
        round; Graph then ends it at 5,000 messages without saying so. Gone: the link is dead, begin anew.
        ForeignUrl: the link is to another server.
        Source: https://learn.microsoft.com/graph/delta-query-messages
        """
        if link is not None:
            url = self._graph.follow(link)
        else:
            after = f"receivedDateTime ge {wire.utc_text(since)}" if since is not None else None
            expand = wire.expand_extended(expand_properties)
            options = wire.query(select=",".join(select), expand=expand, filter=after)
            url = self._graph.url(f"{user_path(user)}/mailFolders/{segment(folder)}/messages/delta{options}")
        request = Request(
            method="GET",
            route="users/{id}/mailFolders/{id}/messages/delta",
            url=url,
            retry=Retry.HARMLESS,
            expect=200,
            prefer=(f"odata.maxpagesize={page_size}",),
            timeout=UPLOAD,
            mailbox=user,
        )
        return DeltaPage.from_graph(await self._graph.json(request))

    async def get_messages(self, user: str, requests: Sequence[MessageRequest]) -> dict[str, Message | GraphError]:
        """Many messages by id, 20 to a round trip; each has its own outcome, and every id asked for is answered.

        Items that met throttling or transient trouble are asked again, as a single call would be. GraphError is
        raised when a whole batch fails.
        Source: https://learn.microsoft.com/graph/json-batching
        """
        return await self._get_messages(user, requests)

    async def _find(self, user: str, filter: str, folder: str | None) -> list[Message]:
        place = user_path(user) if folder is None else f"{user_path(user)}/mailFolders/{segment(folder)}"
        route = "users/{id}/messages" if folder is None else "users/{id}/mailFolders/{id}/messages"
        options = wire.query(filter=filter, select=",".join(FOUND), top=str(PAGE_SIZE))
        request = self._get(user, route, f"{place}/messages{options}")
        return [Message.from_graph(item) async for item in self._items(request)]
