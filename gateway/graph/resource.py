"""What the parts of Graph have in common: one transport, and lists in pages."""

from collections.abc import AsyncIterator
from dataclasses import replace

from . import parsing
from .errors import UnexpectedAnswer
from .parsing import Json
from .transport import Transport
from .wire import Request


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
