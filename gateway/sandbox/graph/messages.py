"""Messages: reading, listing, drafting, changing, moving, deleting."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gateway.sandbox import conversations, mime
from gateway.sandbox.graph import entities, errors, filters, odata
from gateway.sandbox.graph.entities import View
from gateway.sandbox.graph.exchange import Call, Response, Route
from gateway.sandbox.graph.folders import READ, WRITE
from gateway.sandbox.graph.incoming import Changes, Incoming
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Message
from gateway.sandbox.text import unique_part

DEFAULT_PAGE: Final = 10
_NOT_SORTABLE: Final = frozenset({"conversationid", "internetmessageid", "parentfolderid"})


def view(call: Call) -> View:
    """How this call wants to see messages. Raises GraphError."""
    query = call.request.query
    known = (*entities.SELECTABLE_OF_MESSAGE, "singleValueExtendedProperties", "attachments")
    return View(
        immutable_ids=call.immutable_ids,
        select=odata.select(query, known=known, type_name="message"),
        text_bodies=_preferred_body_type(call) == "text",
        expand=odata.expand(query),
    )


def answer(call: Call, message: Message, *, status: int = 200, seen: View | None = None) -> Response:
    """A single message."""
    seen = view(call) if seen is None else seen
    shown = "" if seen.select is None else f"({','.join(sorted(seen.select))})"
    context = call.context(f"users('{call.user().id}')/messages{shown}/$entity")
    json = {"@odata.context": context, **entities.message(message, seen)}
    return Response(status=status, json=json, headers=preference_applied(call))


def preference_applied(call: Call) -> dict[str, str]:
    """Graph repeats the preference about bodies that it obeyed."""
    kind = _preferred_body_type(call)
    return {"Preference-Applied": f'outlook.body-content-type="{kind}"'} if kind in ("text", "html") else {}


def incoming(call: Call) -> Incoming:
    return Incoming(clock=call.world.clock, identities=call.world.identities)


def make_draft(call: Call, mailbox: Mailbox, folder_id: str, changes: Changes) -> Message:
    """A new draft with ids, a Message-ID and a conversation of its own, in no folder yet."""
    world = call.world
    now = world.clock.now()
    index = conversations.new_index(now, world.identities)
    draft = Message(
        id=world.identities.message_id(),
        immutable_id=world.identities.immutable_id(),
        change_key="",
        folder_id=folder_id,
        created_date_time=now,
        last_modified_date_time=now,
        received_date_time=now,
        sent_date_time=now,
        is_draft=True,
        internet_message_id=world.post.new_message_id(),
        conversation_index=index,
        conversation_id=conversations.id_in(mailbox.user.id, index),
    )
    for parent_id in (changes.get("in_reply_to"), *reversed(changes.get("references", ()))):
        for parent in mailbox.with_message_id(parent_id) if parent_id else []:
            index = conversations.child_index(parent.conversation_index, now)
            changes = {**changes, "conversation_index": index, "conversation_id": parent.conversation_id}
            return replace(draft, **changes)
    return replace(draft, **changes)


async def create_message(call: Call) -> Response:
    odata.refuse_others(call.request.query, ())
    mailbox = call.mailbox()
    folder = call.folder() if "folder" in call.params else mailbox.well_known("drafts")
    if call.request.headers.get("content-type", "").startswith("text/plain"):
        changes = incoming(call).mime(call.request.body)
    else:
        changes = incoming(call).message(call.json(), is_new=True)
    draft = mailbox.add(make_draft(call, mailbox, folder.id, changes))
    return answer(call, draft, status=201)


async def get_message(call: Call) -> Response:
    odata.refuse_others(call.request.query, ("$select", "$expand"))
    return answer(call, call.message())


async def get_mime(call: Call) -> Response:
    return Response(status=200, content=mime.render(call.message()), media_type="text/plain")


async def update_message(call: Call) -> Response:
    mailbox, message = call.mailbox(), call.message()
    changes = incoming(call).message(call.json(), is_draft=message.is_draft)
    if "extended_properties" in changes:
        changes["extended_properties"] = {**message.extended_properties, **changes["extended_properties"]}
    if "body" in changes:
        changes["unique_body"] = unique_part(changes["body"])
    mailbox.update(message, **changes)
    return answer(call, message)


async def delete_message(call: Call) -> Response:
    """To Deleted Items; from there for good."""
    mailbox, message = call.mailbox(), call.message()
    bin_id = mailbox.well_known("deleteditems").id
    if message.folder_id == bin_id:
        mailbox.remove(message)
    else:
        mailbox.move(message, bin_id)
    return Response(status=204)


async def move_message(call: Call) -> Response:
    mailbox, message = call.mailbox(), call.message()
    target = _destination(call)
    mailbox.move(message, call.find_folder(target).id)
    return answer(call, message, status=201)


async def copy_message(call: Call) -> Response:
    mailbox, message = call.mailbox(), call.message()
    identities = call.world.identities
    copy = replace(
        message,
        id=identities.message_id(),
        immutable_id=identities.immutable_id(),
        folder_id=call.find_folder(_destination(call)).id,
        extended_properties=dict(message.extended_properties),
        attachments=dict(message.attachments),
    )
    return answer(call, mailbox.add(copy), status=201)


async def list_messages(call: Call) -> Response:
    query = call.request.query
    odata.refuse_others(query, ("$select", "$filter", "$orderby", "$top", "$skip", "$expand", "$count"))
    mailbox = call.mailbox()
    seen = view(call)
    folder_id = call.folder().id if "folder" in call.params else None
    indexed_until = call.world.clock.now() - call.world.behaviour.tag_search_delay
    found = filters.parse(query["$filter"], indexed_until=indexed_until) if query.get("$filter") else None
    order = _order(query.get("$orderby", ""), found)
    messages = _sorted(_matching(mailbox, folder_id, found), order)
    items, next_link = odata.page(call, messages, default=DEFAULT_PAGE)
    shown = "" if seen.select is None else f"({','.join(sorted(seen.select))})"
    place = "messages" if folder_id is None else f"mailFolders('{call.params['folder']}')/messages"
    context = call.context(f"users('{mailbox.user.id}')/{place}{shown}")
    body = odata.collection(context, [entities.message(each, seen) for each in items], next_link)
    if query.get("$count", "").lower() == "true":
        body = {"@odata.context": context, "@odata.count": len(messages), **body}
    return Response(status=200, json=body, headers=preference_applied(call))


async def translate_ids(call: Call) -> Response:
    """Default ids to immutable ones and back (api/user-translateexchangeids)."""
    mailbox = call.mailbox()
    body = call.json()
    kinds = {"restid": "id", "restimmutableentryid": "immutable_id"}
    source, target = str(body.get("sourceIdType", "")).lower(), str(body.get("targetIdType", "")).lower()
    ids = body.get("inputIds")
    if source not in kinds or target not in kinds or not isinstance(ids, list) or len(ids) > 1000:
        raise errors.bad_request("Invalid id type or ids.", "ErrorInvalidArgument")
    value: list[dict[str, Any]] = []
    for each in ids:
        message = mailbox.find(str(each))
        if message is None:
            raise errors.item_not_found()
        value.append({"sourceId": each, "targetId": getattr(message, kinds[target])})
    context = call.context("Collection(microsoft.graph.convertIdResult)")
    return Response(status=200, json=odata.collection(context, value, None))


def _preferred_body_type(call: Call) -> str | None:
    return call.request.preferences.get("outlook.body-content-type", "").lower() or None


def _destination(call: Call) -> str:
    body = call.json()
    target = body.get("destinationId", body.get("DestinationId"))
    if not isinstance(target, str):
        raise errors.wrong_type("destinationId", "Edm.String")
    return target


def _matching(mailbox: Mailbox, folder_id: str | None, found: filters.Filter | None) -> list[Message]:
    if found is None:
        return list(mailbox.messages(folder_id))
    pool = mailbox.messages(folder_id) if found.candidates is None else iter(found.candidates(mailbox))
    return [each for each in pool if folder_id in (None, each.folder_id) and found.holds(each)]


def _order(text: str, found: filters.Filter | None) -> list[tuple[str, bool]]:
    """Pairs of property and whether it descends. What is sorted must also be filtered, first and in the same order."""
    parts = [part.split() for part in text.lower().split(",") if part.strip()]
    for part in parts:
        if part[0] not in filters.FIELDS or part[0] in _NOT_SORTABLE or part[1:] not in ([], ["asc"], ["desc"]):
            raise errors.invalid_query(f"The $orderby expression '{text}' is not supported.")
    order = [(part[0], part[1:] == ["desc"]) for part in parts]
    if found is not None and order:
        named = tuple(dict.fromkeys(found.fields))
        if tuple(name for name, _ in order) != named[: len(order)]:
            raise errors.inefficient_filter()
    return order


def _sorted(messages: list[Message], order: list[tuple[str, bool]]) -> list[Message]:
    """Latest first, unless told otherwise."""
    for name, descends in reversed(order or [("receiveddatetime", True)]):
        key: Callable[[Message], Any] = filters.FIELDS[name]
        messages = sorted(messages, key=key, reverse=descends)
    return messages


_TRANSLATE: Final = frozenset({"User.ReadBasic.All", "User.Read.All", "Mail.Read", "Mail.ReadWrite"})
ROUTES: Final = (
    Route(method="POST", path="/users/{user}/translateExchangeIds", handler=translate_ids, roles=_TRANSLATE),
    *(
        Route(method=method, path=f"/users/{{user}}{place}{rest}", handler=handler, roles=roles)
        for place in ("", "/mailFolders/{folder}")
        for method, rest, handler, roles in (
            ("GET", "/messages", list_messages, READ),
            ("POST", "/messages", create_message, WRITE),
            ("GET", "/messages/{message}", get_message, READ),
            ("PATCH", "/messages/{message}", update_message, WRITE),
            ("DELETE", "/messages/{message}", delete_message, WRITE),
            ("GET", "/messages/{message}/$value", get_mime, READ),
            ("POST", "/messages/{message}/move", move_message, WRITE),
            ("POST", "/messages/{message}/copy", copy_message, WRITE),
        )
    ),
)
