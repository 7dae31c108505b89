"""What changed on an Events page, as it changes: server-sent events that name threads, and say nothing of their mail.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.http import values
from gateway.http.services import Services
from gateway.http.stream import HEARTBEAT, RETRY_MS, told_live
from gateway.waiting import first_of
from storage import Transaction, events
from storage.events import Event
from storage.threads import Object

BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The threads of an object that changed, with what happened last in each. `seq` is how far the log was read."""

    seq: int
    threads: dict[str, str]
    all_read: bool
    events: Sequence[Event] = ()


def read_news(tx: Transaction, account_id: str, what: Object, after: int) -> News:
    """What happened behind `after`. A position beyond the log's end, from another life of the file, is its end."""
    last = events.last_seq(tx, account_id)
    found = events.of_object(tx, account_id, min(after, last), object_type=what.type, object_id=what.id, limit=BATCH)
    all_read = len(found) < BATCH
    # Only the last mention counts, so a thread that is mentioned again moves to the end.
    latest = {event.thread_id: event.type for event in found if event.thread_id is not None}
    return News(seq=last if all_read else found[-1].seq, threads=latest, all_read=all_read, events=found)


async def live(
    services: Services, account_id: str, what: Object, *, after: int, allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """One message per changed thread, until the reader, the process or `allowed` ends it."""
    with services.store.watching("events") as bell:
        yield f"retry: {RETRY_MS}\n\n"
        while await allowed():
            bell.clear()
            news = await services.store.read(read_news, account_id, what, after)
            after = news.seq
            for line in messages(news):
                yield line
            for event in news.events:
                told_live(event)
            if services.stopping.is_set():
                return
            if not news.all_read:
                continue
            await first_of(bell.wait(), services.stopping.wait(), services.clock.sleep(HEARTBEAT))
            if not bell.is_set():
                yield ": still here\n\n"


def messages(news: News) -> list[str]:
    """As they go over the wire. Only the last one moves the reader's position: a break before it loses nothing."""
    lines = [
        f"event: thread\ndata: {orjson.dumps({'thread_id': thread_id, 'type': event_type}).decode()}\n\n"
        for thread_id, event_type in news.threads.items()
    ]
    return [*lines[:-1], f"id: {news.seq}\n{lines[-1]}"] if lines else []


def position(last_event_id: str | None, given: str | None) -> int | None:
    """Where to go on from: what the browser heard last counts more than what the page said. None: from now."""
    for text in (last_event_id, given):
        if text and text.isascii() and text.isdecimal() and len(text) < 20:
            return min(int(text), values.LARGEST_SEQ)
    return None
