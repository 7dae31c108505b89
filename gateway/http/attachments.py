"""`/v1/messages/{id}/attachments`: what came with a message or goes with a letter, fetched from the mailbox."""

import logging
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from gateway.connections import NotConnected
from gateway.graph import GraphError, TokenError, TokenErrorKind
from gateway.http import schemas
from gateway.http.auditing import reads
from gateway.http.downloads import HEADERS, Passing, disposition, item_name, safe_name, told_type
from gateway.http.problem_types import (
    GONE_FROM_MAILBOX,
    KEPT_ELSEWHERE,
    MICROSOFT_365,
    MICROSOFT_365_BUSY,
    NOT_CONNECTED,
    NOT_FOUND,
)
from gateway.http.problems import Problem, as_problem
from gateway.http.routing import Call, Operation, json_response
from gateway.http.services import Services
from gateway.http.sight import Sees
from gateway.threads.attachments import PLACED, Download, GoneFromMailbox, KeptElsewhere
from gateway.threads.views import AttachmentView, attachment_views
from storage import NotFound, Transaction, messages
from storage.api_keys import Scope
from storage.messages import Placement

log = logging.getLogger(__name__)

TRY_AGAIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentsView:
    """All attachments of a message, those that are pictures in its text too."""

    items: Sequence[AttachmentView]


async def show_all(call: Call[schemas.Nothing]) -> Response:
    return json_response(
        AttachmentsView(items=await call.services.store.read(_attachments, call.account_id, call.path("id")))
    )


def _attachments(tx: Transaction, account_id: str, message_id: str) -> list[AttachmentView]:
    message = messages.get(tx, account_id, message_id)
    if message.placement is not Placement.PLACED:
        raise NotFound("There is no such message.")
    return attachment_views(message)


async def show(call: Call[schemas.Nothing]) -> Response:
    found = await opened(call.services, call.account_id, call.path("id"), call.path("attachment_id"))
    return saved(found)


async def opened(
    services: Services, account_id: str, message_id: str, attachment_id: str, *, placements: Set[Placement] = PLACED
) -> Download:
    """The attachment. Raises `storage.NotFound`, and a Problem for all that can go wrong with the mailbox.

    Microsoft's passing troubles say when to try again (503).
    """
    try:
        return await services.attachments.open(account_id, message_id, attachment_id, placements=placements)
    except GraphError as error:
        log.warning("attachment not fetched", extra={"message_id": message_id, **error.log_fields()})
        if not error.transient:
            raise as_problem(error) from error
        raise _busy(error.retry_after) from error
    except TokenError as error:
        if error.kind is not TokenErrorKind.TRANSIENT:
            raise as_problem(error) from error
        raise _busy(error.retry_after) from error
    except (GoneFromMailbox, KeptElsewhere, NotConnected) as error:
        raise as_problem(error) from error


def saved(found: Download) -> Response:
    """An answer that a browser saves as a file."""
    one = found.attachment
    name = item_name(one.name, found.first) if one.kind == "item" else safe_name(one.name)
    content_type = "application/octet-stream" if one.kind == "item" else told_type(one.content_type)
    headers = {**HEADERS, "content-type": content_type, "content-disposition": disposition(name)}
    return passing(found, headers)


def passing(found: Download, headers: Mapping[str, str]) -> Response:
    """The bytes as the mailbox gives them. When it breaks off, so do we: what is wrong is in the log already."""
    return Passing(found.first, found.rest, headers=headers, breaks=GraphError)


def _busy(retry_after: timedelta | None) -> Problem:
    seconds = math.ceil((retry_after or TRY_AGAIN).total_seconds())
    return Problem(
        MICROSOFT_365_BUSY,
        "Microsoft 365 cannot be asked for this attachment now. Try again in a moment.",
        headers={"retry-after": str(seconds)},
    )


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/messages/{id}/attachments",
        scope=Scope.READ,
        summary="The attachments of a message, without their bytes",
        takes=schemas.Nothing,
        does=show_all,
        audit=reads("message.read", id="message_id"),
        gives=AttachmentsView,
        problems=(NOT_FOUND,),
        sees=Sees.MESSAGE,
    ),
    Operation(
        method="GET",
        path="/v1/messages/{id}/attachments/{attachment_id:path}",
        scope=Scope.READ,
        summary="An attachment, streamed from the mailbox",
        takes=schemas.Nothing,
        does=show,
        audit=reads("attachment.read", id="message_id", attachment_id="attachment_id"),
        gives=bytes,
        media_type="application/octet-stream",
        problems=(
            NOT_FOUND,
            GONE_FROM_MAILBOX,
            KEPT_ELSEWHERE,
            NOT_CONNECTED,
            MICROSOFT_365,
            MICROSOFT_365_BUSY,
        ),
        sees=Sees.MESSAGE,
    ),
)
