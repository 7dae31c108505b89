"""A message's own frame: what others wrote as HTML, the pictures in it, and its attachments.

The frame is sandboxed: no script runs in it, no form is sent, it cannot lead the page around it anywhere. It keeps our
origin (`allow-same-origin`) so that the page's script can measure it and give it its height; without `allow-scripts`
nothing inside can make use of that. The answer says all of it once more in its policy, so that the same holds when
somebody opens the frame in a tab of its own.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http import attachments, auth
from gateway.http.auditing import Audited, Deed, Unaudited, actor, begun, reads, unaudited
from gateway.http.downloads import HEADERS as DOWNLOAD_HEADERS
from gateway.http.pages.errors import NotSignedIn, as_page_error, no_such_page
from gateway.http.pages.guard import Endpoint, Guard, check_key
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.sessions import Passes
from gateway.http.problems import log_unforeseen, request_id
from gateway.http.services import Services
from gateway.threads.attachments import Download
from gateway.threads.framed import Framed, framed_html
from gateway.threads.html import text_as_html
from gateway.threads.reading import IMAGES, added_by, pictures
from storage import NotFound, Transaction, messages, threads
from storage.api_keys import Scope
from storage.audit import Via
from storage.messages import BodyType, Message, Placement
from storage.threads import Object, ObjectType

PATH: Final = "/objects/{type}/{id:path}/events/messages/{message_id}"
SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox allow-same-origin"
SHOWN: Final = frozenset({Placement.PLACED, Placement.HELD})  # what is held is read in the review tray

READS_MESSAGE: Final = reads("message.read", message_id="message_id")
READS_ATTACHMENT: Final = reads("attachment.read", message_id="message_id", attachment_id="attachment_id")
PART_OF_IT: Final = unaudited("It stands in a message that is being read.")

Part = Literal["new", "whole"]

STYLE: Final = Markup((files("gateway.http.pages") / "static" / "mail.css").read_text("utf-8"))  # noqa: S704 - ours
STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {"referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin"}
OVER: Final = "This page was open for long. Reload it to read the message."
BROKEN: Final = "The gateway made a mistake. Its log has the rest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who may see one message of an account, or a message of this object if it is one."""

    request: Request
    account_id: str
    what: Object
    message_id: str
    deed: Deed

    def address(self, part: Part, *, images: bool) -> str:
        """The frame's own address with other wishes, and the pass it came with."""
        query = self.request.query_params
        wishes = {"part": part} | ({"images": "1"} if images else {}) | {"pass": query.get("pass", "")}
        return f"{self.request.url.path}?{urlencode(wishes)}"


class MessageBody:
    """`/objects/…/events/messages/{message_id}/…`."""

    def __init__(self, services: Services, guard: Guard, renderer: Renderer) -> None:
        self._services = services
        self._guard = guard
        self._renderer = renderer
        self._passes = Passes(key=services.session_key)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route(PATH + "/body", self._in_frame(self.body, READS_MESSAGE)),
            Route(
                PATH + "/pictures/{attachment_id:path}",
                self._guard.net(self._for(self.picture, PART_OF_IT), fetched=True),
            ),
            Route(
                PATH + "/attachments/{attachment_id:path}",
                self._guard.net(self._for(self.attachment, READS_ATTACHMENT)),
            ),
        ]

    async def body(self, visitor: Visitor) -> Response:
        """`GET …/body`: the `part` "new" or "whole"; with `images` also the pictures that are elsewhere."""
        query = visitor.request.query_params
        part: Part = "new" if query.get("part") == "new" else "whole"
        with_remote = query.get("images") == "1"
        message = await self._services.store.read(_message, visitor)
        found = await asyncio.to_thread(_framed, message, visitor, part, with_remote)
        return self._frame(
            with_remote=with_remote,
            mail=Markup(found.html),  # noqa: S704 - cleaned
            left_out=found.left_out,
            with_pictures=visitor.address(part, images=True),
        )

    async def picture(self, visitor: Visitor) -> Response:
        """`GET …/pictures/{attachment_id}`: a picture that came with the mail, for its frame alone."""
        found = await self._open(visitor)
        content_type = found.attachment.content_type.lower()
        if content_type not in IMAGES:
            await found.rest.aclose()
            raise NotFound("There is no such picture.")
        headers = {**DOWNLOAD_HEADERS, "content-type": content_type, "content-disposition": "inline"}
        return attachments.passing(found, headers)

    async def attachment(self, visitor: Visitor) -> Response:
        """`GET …/attachments/{attachment_id}`: to be saved."""
        return attachments.saved(await self._open(visitor))

    async def _open(self, visitor: Visitor) -> Download:
        await self._services.store.read(_message, visitor)
        attachment_id = str(visitor.request.path_params["attachment_id"])
        return await attachments.opened(
            self._services, visitor.account_id, visitor.message_id, attachment_id, placements=SHOWN
        )

    def _for(self, handler: Callable[[Visitor], Awaitable[Response]], audit: Audited | Unaudited) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            visitor = await self._visitor(request, audit)
            response = await handler(visitor)
            await visitor.deed.ended(response)
            return response

        return endpoint

    def _in_frame(self, handler: Callable[[Visitor], Awaitable[Response]], audit: Audited | Unaudited) -> Endpoint:
        """As `Guard.net`, but what went wrong is said within the frame: a page of ours lets itself not be framed."""

        guarded = self._for(handler, audit)

        async def endpoint(request: Request) -> Response:
            try:
                return await guarded(request)
            except NotSignedIn:
                return self._frame(status=HTTPStatus.UNAUTHORIZED, sorry=OVER)
            except Exception as error:
                known = as_page_error(error)
                if known is None:
                    log_unforeseen(error, request_id(request.scope))
                    return self._frame(status=HTTPStatus.INTERNAL_SERVER_ERROR, sorry=BROKEN)
                return self._frame(status=known.status, sorry=known.detail)

        return endpoint

    async def _visitor(self, request: Request, audit: Audited | Unaudited) -> Visitor:
        """By the pass in the address, else by the session. Raises `NotSignedIn`, `PageError`."""
        object_type, message_id = request.path_params["type"], str(request.path_params["message_id"])
        if object_type not in set(ObjectType):
            raise no_such_page()
        now, staff = self._services.clock.now(), None
        key_id = self._passes.read(request.query_params.get("pass", ""), message_id, now=now)
        if key_id is not None:
            key = await self._services.store.read(auth.live, key_id, now)
        else:
            visit = await self._guard.visit(request, audit)
            key, staff = visit.key, visit.staff
        if key is None:
            raise NotSignedIn
        check_key(key, Scope.READ)
        deed = begun(
            self._services.store,
            self._services.trail,
            audit,
            request.path_params,
            account_id=key.account_id,
            by=actor(request, key, Via.PAGE, staff),
            at=now,
        )
        return Visitor(
            request=request,
            account_id=key.account_id,
            what=Object(type=ObjectType(object_type), id=str(request.path_params["id"])),
            message_id=message_id,
            deed=deed,
        )

    def _frame(
        self, *, status: HTTPStatus = HTTPStatus.OK, with_remote: bool = False, sorry: str | None = None, **context: Any
    ) -> Response:
        page = self._renderer.page("mail.html", status=status, style=STYLE, sorry=sorry, **context)
        page.headers.update(HEADERS)
        hosts = self._services.settings.embed_hosts
        page.headers["content-security-policy"] = policy(with_remote=with_remote, embed_hosts=hosts)
        return page


def policy(*, with_remote: bool, embed_hosts: Sequence[str] = ()) -> str:
    """What the frame may do: show text, our style, the colours of the mail, and pictures. `sandbox` as around it.

    The page around it may itself be in a frame of `embed_hosts`: browsers ask about every ancestor.
    """
    ancestors = " ".join(["'self'", *embed_hosts])
    images = "'self' https:" if with_remote else "'self'"
    return (
        f"default-src 'none'; img-src {images}; style-src-elem 'sha256-{STYLE_DIGEST}'; "
        "style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {ancestors}; "
        f"sandbox {SANDBOX}"
    )


def _message(tx: Transaction, visitor: Visitor) -> Message:
    """Raises `storage.NotFound` when it is not one of this object's."""
    message = messages.get(tx, visitor.account_id, visitor.message_id)
    if message.placement not in SHOWN or visitor.what not in threads.objects_of(tx, message.thread_id):
        raise NotFound("There is no such message on this Events tab.")
    return message


def _framed(message: Message, visitor: Visitor, part: Part, with_remote: bool) -> Framed:
    html: str | None
    if part == "new":
        new = added_by(message)
        html, text = new.html, new.text
    else:
        html, text = (message.body, "") if message.body_type is BodyType.HTML else (None, message.body)
    if html is None:
        return Framed(html=text_as_html(text), left_out=0)
    base = visitor.request.url.path.removesuffix("/body")
    given = urlencode({"pass": visitor.request.query_params.get("pass", "")})
    found = {key: f"{base}/pictures/{quote(id, safe='')}?{given}" for key, id in pictures(message).items()}
    return framed_html(html, pictures=found, with_remote=with_remote)
