"""Delta queries over the messages of a folder (concepts/delta-query-messages).

A token holds the whole state of the walk, so nothing is kept between rounds. A round ends at the change that was the
latest when it began: what changes meanwhile comes in the next one, and an item comes at most once in each.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, Self
from urllib.parse import quote

import orjson

from gateway.sandbox.changes import Change, ChangeType
from gateway.sandbox.clock import parse_timestamp
from gateway.sandbox.graph import entities, errors, odata
from gateway.sandbox.graph.exchange import Call, Response, Route, as_key
from gateway.sandbox.graph.folders import READ
from gateway.sandbox.graph.messages import preference_applied, view
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Folder

MOST_FILTERED: Final = 5000
_FILTER: Final = re.compile(r"receivedDateTime\s+(ge|gt)\s+(\S+)", re.I)
_ORDER: Final = re.compile(r"receivedDateTime\s+desc", re.I)
_OPTIONS: Final = ("$select", "$top", "$expand", "$filter", "$orderby", "changeType")
_LINKS: Final = ("$deltatoken", "$skiptoken")


class BadToken(ValueError):
    """Not a token that was handed out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where a client stands in a folder. `since` is where the round began, `seen` the last change it has been given."""

    folder_id: str
    generation: int
    since: int = 0
    seen: int = 0
    upto: int = 0
    given: int = 0
    """Messages in this round so far."""
    options: dict[str, str]

    @classmethod
    def from_token(cls, token: str) -> Self:
        """Raises BadToken."""
        try:
            return cls(**orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
        except (ValueError, TypeError) as error:
            raise BadToken(token) from error

    def token(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(asdict(self))).decode().rstrip("=")


async def delta(call: Call) -> Response:
    mailbox, folder = call.mailbox(), call.folder()
    walk = _walk(call, mailbox, folder)
    seen = view(replace(call, request=replace(call.request, target=_with_options(call, walk))))
    size = _page_size(call, walk)
    changes = list(islice(_wanted(mailbox, walk), size + 1))
    page, is_last = changes[:size], len(changes) <= size
    if "$filter" in walk.options and walk.since == 0 and walk.given + len(page) >= MOST_FILTERED:
        page, is_last = page[: MOST_FILTERED - walk.given], True
    body: dict[str, Any] = {"@odata.context": call.context("Collection(message)")}
    if is_last:
        done = replace(walk, since=walk.upto, seen=walk.upto, upto=0, given=0)
        body["@odata.deltaLink"] = _link(call, folder, "$deltatoken", done)
    else:
        further = replace(walk, seen=page[-1].number, given=walk.given + len(page))
        body["@odata.nextLink"] = _link(call, folder, "$skiptoken", further)
    body["value"] = [_item(mailbox, change, seen) for change in page]
    return Response(status=200, json=body, headers=preference_applied(call))


def _walk(call: Call, mailbox: Mailbox, folder: Folder) -> Walk:
    """The walk that the request goes on with, or a new one. Raises GraphError."""
    query, log = call.request.query, mailbox.log(folder.id)
    token = next((query[name] for name in _LINKS if query.get(name)), None)
    if token is None:
        _check_options(query)
        options = {name: value for name, value in query.items() if name in _OPTIONS}
        return Walk(folder_id=folder.id, generation=log.generation, upto=mailbox.change_number, options=options)
    if token == "latest":  # noqa: S105
        raise errors.invalid_query("The '$deltatoken=latest' option is not supported for this resource.")
    try:
        walk = Walk.from_token(token)
    except BadToken as error:
        raise errors.bad_request("Badly formed token.", "ErrorInvalidUrlQuery") from error
    if walk.folder_id != folder.id or walk.generation != log.generation:
        empty = f"{_path(call, folder)}?$deltatoken="
        raise errors.sync_state_not_found(walk.generation, log.generation + 8, empty)
    return walk if walk.upto else replace(walk, upto=mailbox.change_number)


def _check_options(query: dict[str, str]) -> None:
    """Few options go with delta, and few forms of those (concepts/delta-query-messages). Raises GraphError."""
    odata.refuse_others(query, (*_OPTIONS, *_LINKS))
    if "$filter" in query:
        _received(query["$filter"])
    if "$orderby" in query and _ORDER.fullmatch(query["$orderby"].strip()) is None:
        raise errors.invalid_query(
            "The '$orderby' parameter value is not supported for 'Messages' resource; "
            "only a value of 'receivedDateTime desc' is supported."
        )
    if "changeType" in query and query["changeType"].lower() not in list(ChangeType):
        raise errors.invalid_query(f"The 'changeType' parameter value '{query['changeType']}' is not supported.")


def _received(text: str) -> tuple[bool, datetime]:
    """Whether the moment itself counts, and the moment. Raises GraphError."""
    match = _FILTER.fullmatch(text.strip())
    try:
        if match is not None:
            return match.group(1).lower() == "ge", parse_timestamp(match.group(2))
    except ValueError:
        pass
    raise errors.invalid_query(
        "The '$filter' parameter value is not supported for 'Messages' resource; "
        "only a value of 'receivedDateTime ge value' is supported."
    )


def _wanted(mailbox: Mailbox, walk: Walk) -> Iterator[Change]:
    """What is still to be told in this round, in the order of the changes."""
    received = _received(walk.options["$filter"]) if "$filter" in walk.options else None
    kind = walk.options.get("changeType", "").lower()
    for change in mailbox.log(walk.folder_id).between(walk.seen, walk.upto):
        if change.is_removed:
            if walk.since and kind in ("", ChangeType.DELETED):
                yield change
            continue
        message = mailbox.find(change.immutable_id)
        if message is None or (walk.since and kind not in ("", change.type_since(walk.since))):
            continue
        if received is not None:
            counts, moment = received
            if message.received_date_time < moment or (message.received_date_time == moment and not counts):
                continue
        yield change


def _item(mailbox: Mailbox, change: Change, seen: entities.View) -> dict[str, Any]:
    if change.is_removed:
        gone = change.immutable_id if seen.immutable_ids else change.id
        return {"@odata.type": "#microsoft.graph.message", "id": gone, "@removed": {"reason": "deleted"}}
    message = mailbox.find(change.immutable_id)
    if message is None:
        raise LookupError(change.immutable_id)
    return {"@odata.type": "#microsoft.graph.message", **entities.message(message, seen)}


def _page_size(call: Call, walk: Walk) -> int:
    wanted = call.request.preferences.get("odata.maxpagesize", "")
    default = int(wanted) if wanted.isdecimal() and int(wanted) else call.world.behaviour.delta_page_size
    return odata.number(walk.options, "$top", default, least=1, most=odata.LARGEST_PAGE)


def _with_options(call: Call, walk: Walk) -> str:
    """The request as if it gave again what lives in the token."""
    pairs = (f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in walk.options.items())
    return f"{call.request.path}?{'&'.join(pairs)}"


def _path(call: Call, folder: Folder) -> str:
    return f"{call.base}/users/{call.user().id}/mailFolders('{as_key(folder.id)}')/messages/delta"


def _link(call: Call, folder: Folder, name: str, walk: Walk) -> str:
    return f"{_path(call, folder)}?{name}={walk.token()}"


ROUTES: Final = (
    Route(method="GET", path="/users/{user}/mailFolders/{folder}/messages/delta", handler=delta, roles=READ),
)
