"""Attachments: small ones in one body, large ones piece by piece, and their bytes.

As `mail.py`. Sizes: see `uploads`.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from . import uploads, wire
from .errors import BadRequest, NotFound, UnexpectedAnswer
from .message import AttachmentInfo
from .resource import UPLOAD, MailboxResource, message_path
from .uploads import UploadSession
from .wire import Request, Retry, segment

ATTACHMENT: Final = "id,name,contentType,size,isInline"
SESSION_ROUTE: Final = "AttachmentSessions/{id}"


class Attachments(MailboxResource):
    async def add_attachment(self, user: str, message_id: str, payload: Mapping[str, object]) -> AttachmentInfo:
        """Attach under 3 MB to a draft. Never repeated: after a failure, list what is attached.

        Source: https://learn.microsoft.com/graph/api/message-post-attachments
        """
        path = f"{message_path(user, message_id)}/attachments"
        request = self._post(user, "users/{id}/messages/{id}/attachments", path, payload, Retry.NEVER)
        return AttachmentInfo.from_graph(await self._graph.json(request))

    async def create_upload_session(
        self, user: str, message_id: str, *, name: str, content_type: str, size: int, content_id: str | None
    ) -> UploadSession:
        """Begin to attach `size` bytes, SMALLEST_SESSION to LARGEST_ATTACHMENT, to a draft.

        With a `content_id` the file is inline. Harmless to repeat: a session that nobody fills attaches nothing.
        Source: https://learn.microsoft.com/graph/api/attachment-createuploadsession
        """
        item: dict[str, object] = {
            "attachmentType": "file",
            "name": name,
            "contentType": content_type,
            "size": size,
            "isInline": content_id is not None,
        }
        if content_id is not None:
            item["contentId"] = content_id
        path = f"{message_path(user, message_id)}/attachments/createUploadSession"
        route = "users/{id}/messages/{id}/attachments/createUploadSession"
        request = self._post(user, route, path, {"AttachmentItem": item}, Retry.HARMLESS)
        return UploadSession.from_graph(await self._graph.json(request))

    async def upload_piece(self, url: str, piece: bytes, *, offset: int, total: int, user: str) -> int | None:
        """Upload the bytes from `offset` of `total`, at most UPLOAD_PIECE; the next offset, None after the last.

        In order, and never repeated: after a failure begin a new session, for how to ask an old one for its state
        is not documented. The URL's own right goes with it instead of our token. Raises ForeignUrl.
        Source: https://learn.microsoft.com/graph/outlook-large-attachments
        """
        end = offset + len(piece)
        request = Request(
            method="PUT",
            route=SESSION_ROUTE,
            url=self._graph.upload_url(url),
            retry=Retry.NEVER,
            expect=201,
            or_else=200,
            content=piece,
            content_type="application/octet-stream",
            content_range=f"bytes {offset}-{end - 1}/{total}",
            timeout=UPLOAD,
            pre_authorized=True,
            mailbox=user,
        )
        status, content = await self._graph.whole(request)
        if status == 200:
            return uploads.next_offset(wire.json_object(content))
        if end != total:
            raise UnexpectedAnswer("the upload was ended before its last piece")
        return None

    async def cancel_upload(self, url: str) -> None:
        """Give a session up; one that is over is as good. Takes nothing of the mailbox's budget.

        Source: as `upload_piece`
        """
        request = Request(
            method="DELETE",
            route=SESSION_ROUTE,
            url=self._graph.upload_url(url),
            retry=Retry.NEVER,
            expect=204,
            pre_authorized=True,
        )
        try:
            await self._graph.done(request)
        except NotFound:
            return

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]:
        """All attachments without their bytes, inline ones too.

        `contentId` belongs to files alone, so it is selected by a cast, which is practice and not documentation:
        where a server refuses that, it is left out.
        Source: https://learn.microsoft.com/graph/api/message-list-attachments
        """
        path = f"{message_path(user, message_id)}/attachments"
        try:
            return await self._attachments(user, path, f"{ATTACHMENT},microsoft.graph.fileAttachment/contentId")
        except BadRequest:
            return await self._attachments(user, path, ATTACHMENT)

    def attachment_bytes(self, user: str, message_id: str, attachment_id: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, or the MIME of an attached item, as they come; close the iterator if you stop early.

        The errors come from the first step of the iteration; Unreachable also later, when the stream breaks.
        Source: https://learn.microsoft.com/graph/api/attachment-get
        """
        path = f"{message_path(user, message_id)}/attachments/{segment(attachment_id)}/$value"
        return self._graph.stream(self._get(user, "users/{id}/messages/{id}/attachments/{id}/$value", path))

    async def _attachments(self, user: str, path: str, select: str) -> list[AttachmentInfo]:
        request = self._get(user, "users/{id}/messages/{id}/attachments", path + wire.query(select=select))
        return [AttachmentInfo.from_graph(item) async for item in self._items(request)]
