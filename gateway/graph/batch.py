"""Many messages in one round trip: https://learn.microsoft.com/graph/json-batching

Only reads are batched. One lost answer would make twenty unknown letters.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

import orjson

from . import parsing, wire
from .errors import GraphError, UnexpectedAnswer
from .message import Message
from .parsing import Json
from .resource import MailboxResource
from .wire import Request, Retry

BATCH_SIZE: Final = 20  # https://learn.microsoft.com/graph/json-batching


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest:
    """One message of a batch, and what is wanted of it."""

    id: str
    select: tuple[str, ...]
    expand_properties: tuple[str, ...] = ()
    body_type: str | None = None

    def path(self, user: str) -> str:
        return f"{wire.user_path(user)}/messages/{wire.segment(self.id)}{_options(self.select, self.expand_properties)}"


@lru_cache(maxsize=64)  # all messages of a batch ask for the same
def _options(select: tuple[str, ...], expand_properties: tuple[str, ...]) -> str:
    return wire.query(select=",".join(select) or None, expand=wire.expand_extended(expand_properties))


Outcome = Message | GraphError


class MessageBatch(MailboxResource):
    async def _get_messages(self, user: str, requests: Sequence[MessageRequest]) -> dict[str, Outcome]:
        wanted = list({request.id: request for request in requests}.values())
        outcomes: dict[str, Outcome] = {}
        for start in range(0, len(wanted), BATCH_SIZE):
            outcomes |= await self._persist(user, wanted[start : start + BATCH_SIZE])
        return outcomes

    async def _persist(self, user: str, wanted: Sequence[MessageRequest]) -> dict[str, Outcome]:
        """Ask, and ask again for what failed in passing, after the longest of the waits that were named."""
        outcomes: dict[str, Outcome] = {}
        waited, attempt, pending = timedelta(), 1, list(wanted)
        while pending:
            outcomes |= await self._round(user, pending)
            failed = {id: error for id, error in outcomes.items() if isinstance(error, GraphError) and error.transient}
            pending = [request for request in pending if request.id in failed]
            if not pending:
                break
            slowest = max(failed.values(), key=lambda error: error.retry_after or timedelta())
            delay = await self._graph.pause(attempt, slowest, waited)
            if delay is None:
                break
            waited, attempt = waited + delay, attempt + 1
        return outcomes

    async def _round(self, user: str, wanted: Sequence[MessageRequest]) -> dict[str, Outcome]:
        answer = await self._graph.json(
            Request(
                method="POST",
                route="$batch",
                url=self._graph.url("$batch"),
                retry=Retry.HARMLESS,  # nothing in it but GETs
                expect=200,
                content=orjson.dumps({"requests": batch_items(user, wanted)}),
                timeout=timedelta(seconds=60),
                items=len(wanted),
                mailbox=user,
            )
        )
        responses = {parsing.text(item, "id"): item for item in parsing.objects(answer, "responses") or ()}
        return {request.id: self._outcome(user, responses.get(str(number))) for number, request in enumerate(wanted)}

    def _outcome(self, user: str, response: Json | None) -> Outcome:
        """In any order, each with its own status, and a body that need not be JSON."""
        if response is None:
            return UnexpectedAnswer("the batch did not answer this item")
        try:
            status, body = inner_status(response), inner_body(response)
            if status == 200:
                return Message.from_graph(parsing.as_object(body, "body"))
            error = self._graph.error(status, inner_headers(response), body)
            self._graph.heed(user, error)
            return error
        except UnexpectedAnswer as error:
            return error


def batch_items(user: str, wanted: Sequence[MessageRequest]) -> list[dict[str, object]]:
    """The outer headers are not inherited, so each item asks for its own immutable id."""
    return [
        {
            "id": str(number),
            "method": "GET",
            "url": f"/{request.path(user)}",
            "headers": {"Prefer": ", ".join((wire.IMMUTABLE_ID, *wire.body_preference(request.body_type)))},
        }
        for number, request in enumerate(wanted)
    ]


def inner_status(response: Json) -> int:
    status = response.get("status")
    if isinstance(status, str) and status.isascii() and status.isdigit() and len(status) == 3:
        return int(status)
    if isinstance(status, int) and not isinstance(status, bool):
        return status
    raise UnexpectedAnswer("status is not a number")


def inner_headers(response: Json) -> dict[str, str]:
    headers = response.get("headers")
    return {name: str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}


def inner_body(response: Json) -> object:
    """A JSON body as it is; what Graph did not take for JSON comes in base64, and may be JSON all the same."""
    body = response.get("body")
    if not isinstance(body, str):
        return body
    try:
        return orjson.loads(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError):
        return body
