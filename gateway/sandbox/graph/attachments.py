"""Attachments of a message: list, read, bytes, add, remove."""

from typing import Final

from gateway.sandbox.graph import entities, errors, odata
from gateway.sandbox.graph.exchange import Call, Response, Route
from gateway.sandbox.graph.folders import READ, WRITE
from gateway.sandbox.graph.messages import incoming
from gateway.sandbox.model import Attachment

_CAST: Final = "microsoft.graph.fileattachment/"


async def list_attachments(call: Call) -> Response:
    odata.refuse_others(call.request.query, ("$select", "$top", "$skip"))
    select = _select(call)
    items, next_link = odata.page(call, list(call.message().attachments.values()), default=1000)
    value = [entities.attachment(each, select=select) for each in items]
    return Response(status=200, json=odata.collection(_context(call), value, next_link))


async def get_attachment(call: Call) -> Response:
    json = {"@odata.context": f"{_context(call)}/$entity", **entities.attachment(_find(call), select=_select(call))}
    return Response(status=200, json=json)


async def get_bytes(call: Call) -> Response:
    """The bytes of a file, the MIME of an item. Source: https://learn.microsoft.com/graph/api/attachment-get"""
    found = _find(call)
    if found.kind == "reference":
        raise errors.method_not_allowed()
    return Response(status=200, content=found.content, media_type=found.content_type)


async def create_attachment(call: Call) -> Response:
    mailbox, message = call.mailbox(), call.message()
    new = incoming(call).attachment(call.json())
    mailbox.update(message, attachments={**message.attachments, new.id: new})
    return Response(status=201, json={"@odata.context": f"{_context(call)}/$entity", **entities.attachment(new)})


async def delete_attachment(call: Call) -> Response:
    mailbox, message, gone = call.mailbox(), call.message(), _find(call)
    mailbox.update(message, attachments={id: each for id, each in message.attachments.items() if id != gone.id})
    return Response(status=204)


def _find(call: Call) -> Attachment:
    found = call.message().attachments.get(call.params["attachment"])
    if found is None:
        raise errors.item_not_found()
    return found


def _select(call: Call) -> frozenset[str] | None:
    """Properties of the base type; those of fileAttachment also with its name before them."""
    query = dict(call.request.query)
    if "$select" in query:
        parts = (part.strip() for part in query["$select"].split(","))
        query["$select"] = ",".join(part[len(_CAST) :] if part.lower().startswith(_CAST) else part for part in parts)
    return odata.select(query, known=entities.ATTACHMENT_PROPERTIES, type_name="attachment")


def _context(call: Call) -> str:
    return call.context(f"users('{call.user().id}')/messages('{call.params['message']}')/attachments")


ROUTES: Final = tuple(
    Route(
        method=method,
        path=f"/users/{{user}}{place}/messages/{{message}}/attachments{rest}",
        handler=handler,
        roles=roles,
    )
    for place in ("", "/mailFolders/{folder}")
    for method, rest, handler, roles in (
        ("GET", "", list_attachments, READ),
        ("POST", "", create_attachment, WRITE),
        ("GET", "/{attachment}", get_attachment, READ),
        ("GET", "/{attachment}/$value", get_bytes, READ),
        ("DELETE", "/{attachment}", delete_attachment, WRITE),
    )
)
