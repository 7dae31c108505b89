"""What the parts of Graph have in common: one transport, calls about a mailbox, and lists in pages."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

import orjson

from . import parsing
from .errors import UnexpectedAnswer
from .parsing import Json
from .transport import Transport
from .wire import Request, Retry, segment, user_path

UPLOAD: Final = timedelta(seconds=60)  # up to 4 MB in one body


class Resource:
    """A part of Graph, spoken to through one transport."""

    def __init__(self, graph: Transport) -> None:
        self._graph = graph

    async def _items(self, first: Request) -> AsyncIterator[Json]:
        """The items of a list, page by page; `@odata.nextLink` is followed as it is.

        Raises ForeignUrl for a link to another server, UnexpectedAnswer for one that leads in a circle.
        Source: https://learn.microsoft.com/graph/paging
        """
        seen: set[str] = set()
        request = first
        while True:
            page = await self._graph.json(request)
            items = parsing.objects(page, "value")
            if items is None:
                raise UnexpectedAnswer("value is missing")
            for item in items:
                yield item
            link = parsing.text(page, "@odata.nextLink")
            if not link:
                return
            if link in seen:
                raise UnexpectedAnswer("a nextLink that was followed before")
            seen.add(link)
            request = replace(first, url=self._graph.follow(link))


class MailboxResource(Resource):
    """A part of Graph that lies within mailboxes."""

    def _get(self, user: str, route: str, path: str, *, prefer: tuple[str, ...] = ()) -> Request:
        return Request(
            method="GET",
            route=route,
            url=self._graph.url(path),
            retry=Retry.HARMLESS,
            expect=200,
            prefer=prefer,
            mailbox=user,
        )

    def _post(self, user: str, route: str, path: str, payload: Mapping[str, object], retry: Retry) -> Request:
        return Request(
            method="POST",
            route=route,
            url=self._graph.url(path),
            retry=retry,
            expect=201,
            content=orjson.dumps(payload),
            timeout=UPLOAD,
            mailbox=user,
        )


def message_path(user: str, message_id: str) -> str:
    return f"{user_path(user)}/messages/{segment(message_id)}"
