"""`/v1/embed-links`: a short-lived link to one record's Events page, for an iframe in SELMA."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.http import auth, schemas
from gateway.http.auditing import does
from gateway.http.pages.sessions import Embedded, embed_path
from gateway.http.routing import Call, Operation, json_response
from storage.api_keys import Scope
from storage.threads import Object

NOBODY: Final = (
    "No host may show this page in an iframe: browsers will refuse it. The gateway's operator allows SELMA's host by "
    "the setting GATEWAY_EMBED_HOSTS. The link can be opened in a window of its own."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedLinkView:
    """A link for an iframe: whoever has it, has the page, so make a new one each time SELMA shows the tab.

    It can be opened until `expires_at`; the open page keeps itself going for up to 12 hours, or until the API key
    that made it is revoked. `embed_hosts` may show it; `note` says so when none may.
    """

    url: str
    expires_at: datetime
    embed_hosts: Sequence[str]
    note: str | None


async def create(call: Call[schemas.NewEmbedLink]) -> Response:
    given, settings = call.given, call.services.settings
    if given.can_reply:
        auth.require(call.key, Scope.SEND)
    now = call.now.replace(microsecond=0)
    embedded = Embedded(
        key_id=call.key.id,
        what=Object(type=given.object.type, id=given.object.id),
        staff=given.staff,
        can_reply=given.can_reply,
        made_at=now,
        ends_at=now + timedelta(seconds=given.expires_in),
    )
    call.deed.about(object_type=given.object.type, object_id=given.object.id)
    view = EmbedLinkView(
        url=settings.url + embed_path(call.services.session_key, embedded),
        expires_at=embedded.ends_at,
        embed_hosts=settings.embed_hosts,
        note=None if settings.embed_hosts else NOBODY,
    )
    return json_response(view, HTTPStatus.CREATED)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/embed-links",
        scope=Scope.READ,
        summary="A link to one record's Events page, for an iframe in SELMA",
        takes=schemas.NewEmbedLink,
        does=create,
        audit=does("embed_link.create"),
        gives=EmbedLinkView,
        status=HTTPStatus.CREATED,
        locates=False,
    ),
)
