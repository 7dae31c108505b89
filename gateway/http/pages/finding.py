"""Searching one record's threads on its Events tab: the words, which of the threads, and where in them."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from gateway.http.pages.events import Events, object_of
from gateway.http.pages.guard import Visit
from gateway.http.paging import from_text, not_ours, to_text
from gateway.http.services import Services
from gateway.threads.query import LONGEST_QUERY
from gateway.threads.search import FoundThread, ask, search
from storage import NotFound, Transaction
from storage.questions import Field
from storage.threads import Cursor, Object

PER_PAGE: Final = 20
WORDS: Final = {
    Field.SUBJECT: "Subject",
    Field.FROM: "From",
    Field.TO: "To",
    Field.ATTACHMENTS: "Attachment",
    Field.TEXT: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundView:
    """One page of what was found. `older` is where to go on: there may be more, however short this page is."""

    threads: tuple[FoundThread, ...]
    older: str | None


class Finding:
    """`…/events/search`."""

    def __init__(self, services: Services, events: Events) -> None:
        self._services = services
        self._events = events

    async def show(self, visit: Visit) -> Response:
        """`GET …/events/search`: what has the words; without any, what waits for an answer, or only the form."""
        query = visit.request.query_params
        words, unanswered = query.get("q", "")[:LONGEST_QUERY].strip(), query.get("unanswered") == "1"
        before = from_text(query.get("before"))
        found = None
        if words or unanswered:
            found = await self._services.store.read(
                _find, visit.account.id, object_of(visit), words, unanswered=unanswered, before=before
            )
        return self._events.page(
            visit, "found.html", found=found, words=words, unanswered=unanswered, is_first=before is None, places=WORDS
        )


def _find(
    tx: Transaction, account_id: str, what: Object, words: str, *, unanswered: bool, before: Cursor | None
) -> FoundView:
    question = ask(words, unanswered=True if unanswered else None, what=what)
    try:
        page = search(tx, account_id, question, before, limit=PER_PAGE)
    except NotFound:
        raise not_ours() from None
    return FoundView(threads=tuple(page.threads), older=None if page.next is None else to_text(page.next))
