"""Upload sessions for attachments of 3 to 150 MB (concepts/outlook-large-attachments)."""

import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.sandbox.clock import precise_timestamp
from gateway.sandbox.graph import errors
from gateway.sandbox.graph.exchange import Call, Request, Response, Route, as_key, split_path
from gateway.sandbox.graph.folders import WRITE
from gateway.sandbox.graph.incoming import Incoming
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Message
from gateway.sandbox.world import World

LEAST_BYTES: Final = 3 * 1024 * 1024
MOST_BYTES: Final = 150 * 1024 * 1024
_BASE: Final = "/api/v2.0"
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(slots=True, kw_only=True)
class Session:
    """An upload under way. Its expiry never moves. The pieces are joined once, when they are all there."""

    app_id: str
    mailbox: Mailbox
    message: Message
    name: str
    size: int
    is_inline: bool
    content_id: str | None
    content_type: str
    authtoken: str
    expires: datetime
    pieces: list[bytes] = field(default_factory=list)
    received_bytes: int = 0

    def take(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.received_bytes += len(piece)


class Uploads:
    """The sessions, and the PUTs that fill them. An upload URL carries its own right to be used."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}

    def open(self, session: Session) -> str:
        """Register a session; its id."""
        session_id = self._world.identities.attachment_id()
        self._sessions[session_id] = session
        return session_id

    def answer(self, request: Request) -> Response:
        """A PUT or DELETE to an upload URL. Raises GraphError."""
        session_id, session = self._find(request)
        if "authorization" in request.headers:
            raise errors.invalid_token("An upload URL is used without an Authorization header.")
        if request.method == "DELETE":
            del self._sessions[session_id]
            return Response(status=204)
        if request.method != "PUT":
            raise errors.method_not_allowed()
        most = self._world.behaviour.max_upload_piece_bytes
        if most is not None and len(request.body) > most:
            raise errors.too_long()
        self._world.limits.upload(session.app_id, session.mailbox.user, len(request.body))
        self._take(session, request)
        if session.received_bytes < session.size:
            return self._progress(request, session)
        del self._sessions[session_id]
        return self._finish(request, session)

    def _find(self, request: Request) -> tuple[str, Session]:
        session_id = split_path(request.path)[-1]
        session = self._sessions.get(session_id)
        if session is None or session.expires <= self._world.clock.now():
            raise errors.item_not_found()
        if not hmac.compare_digest(session.authtoken, request.query.get("authtoken", "")):
            raise errors.invalid_token()
        return session_id, session

    def _take(self, session: Session, request: Request) -> None:
        match = _RANGE.fullmatch(request.headers.get("content-range", ""))
        if match is None:
            raise errors.bad_request("Content-Range header is missing or malformed.", "ErrorInvalidRequest")
        first, last, total = (int(group) for group in match.groups())
        if total != session.size or last - first + 1 != len(request.body) or first != session.received_bytes:
            raise errors.bad_request("The Content-Range does not fit the expected range.", "invalidRange")
        session.take(request.body)

    def _progress(self, request: Request, session: Session) -> Response:
        """Between two PUTs: a capital E and a bare number, as the service prints them."""
        return Response(
            status=200,
            json={
                "@odata.context": f"{request.origin}{_BASE}/$metadata#Users('{session.mailbox.user.id}')"
                f"/Messages('{session.message.id}')/AttachmentSessions/$entity",
                "ExpirationDateTime": precise_timestamp(session.expires),
                "nextExpectedRanges": [str(session.received_bytes)],
            },
        )

    def _finish(self, request: Request, session: Session) -> Response:
        """The attachment appears. Raises GraphError if its draft is gone, or was sent, meanwhile."""
        if session.mailbox.find(session.message.immutable_id) is not session.message:
            raise errors.item_not_found()
        incoming = Incoming(clock=self._world.clock, identities=self._world.identities)
        new = incoming.file(
            name=session.name,
            content_type=session.content_type,
            content=b"".join(session.pieces),
            is_inline=session.is_inline,
            content_id=session.content_id,
        )
        session.mailbox.update(session.message, attachments={**session.message.attachments, new.id: new})
        place = f"Users('{session.mailbox.user.id}')/Messages('{as_key(session.message.id)}')"
        location = f"{request.origin}{_BASE}/{place}/Attachments('{as_key(new.id)}')"
        return Response(status=201, headers={"Location": location})


async def create_session(call: Call) -> Response:
    mailbox, message = call.mailbox(), call.message()
    body = {name.lower(): value for name, value in call.json().items()}
    item = body.get("attachmentitem")
    if not isinstance(item, dict):
        raise errors.wrong_type("AttachmentItem", "microsoft.graph.attachmentItem")
    name, size = item.get("name"), item.get("size")
    if str(item.get("attachmentType", "")).lower() != "file" or not isinstance(name, str) or not isinstance(size, int):
        raise errors.wrong_type("AttachmentItem", "microsoft.graph.attachmentItem")
    is_inline, content_id = item.get("isInline", False), item.get("contentId")
    if not isinstance(is_inline, bool) or not isinstance(content_id, str | None):
        raise errors.wrong_type("AttachmentItem", "microsoft.graph.attachmentItem")
    if size < LEAST_BYTES:
        raise errors.attachment_too_small()
    if size > MOST_BYTES:
        raise errors.message_too_large()
    world = call.world
    session = Session(
        app_id=call.app.app_id,
        mailbox=mailbox,
        message=message,
        name=name,
        size=size,
        is_inline=is_inline,
        content_id=content_id,
        content_type=str(item.get("contentType") or "application/octet-stream"),
        authtoken=world.identities.token(48),
        expires=world.clock.now() + world.behaviour.upload_session_lifetime,
    )
    session_id = call.uploads.open(session)
    place = f"Users('{mailbox.user.id}@{world.tenant}')/Messages('{as_key(message.id)}')"
    session_key = f"AttachmentSessions('{as_key(session_id)}')"
    url = f"{call.request.origin}{_BASE}/{place}/{session_key}?authtoken={session.authtoken}"
    return Response(
        status=201,
        json={
            "@odata.context": call.context("microsoft.graph.uploadSession"),
            "uploadUrl": url,
            "expirationDateTime": precise_timestamp(session.expires),
            "nextExpectedRanges": ["0-"],
        },
    )


ROUTES: Final = tuple(
    Route(
        method="POST",
        path=f"/users/{{user}}{place}/messages/{{message}}/attachments/createUploadSession",
        handler=create_session,
        roles=WRITE,
    )
    for place in ("", "/mailFolders/{folder}")
)
