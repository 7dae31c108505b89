"""Server-sent events: the event log as it grows (https://html.spec.whatwg.org/multipage/server-sent-events.html).

The stream reads the log; the store's announcement is only the bell. So nothing is missed between two reads, and a
client that comes back with `Last-Event-ID` goes on where it was.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

from starlette.responses import StreamingResponse

from gateway import tracing
from gateway.http.services import Services
from gateway.waiting import first_of
from storage import events
from storage.events import Event

HEARTBEAT: Final = timedelta(seconds=15)  # keeps proxies from thinking the connection dead
BATCH: Final = 100
RETRY_MS: Final = 2000


def event_stream(
    services: Services,
    account_id: str,
    *,
    after: int,
    to_lines: Callable[[Event], str],
    allowed: Callable[[], Awaitable[bool]],
) -> StreamingResponse:
    """All events behind `after`, and each new one as it comes, until the client, the process or `allowed` ends it.

    `to_lines` makes the message of an event.
    """
    return StreamingResponse(
        _messages(services, account_id, after, to_lines, allowed),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def told_live(event: Event) -> None:
    """The last step of its trace: somebody sees it now."""
    tracing.mark(
        "live update", of=event.origin.traceparent or "", facts={"event": event.type, "message_id": event.message_id}
    )


async def _messages(
    services: Services,
    account_id: str,
    after: int,
    to_lines: Callable[[Event], str],
    allowed: Callable[[], Awaitable[bool]],
) -> AsyncIterator[str]:
    spoke_at = services.clock.now()
    with services.store.watching("events") as bell:
        yield f"retry: {RETRY_MS}\n\n"
        while not services.stopping.is_set() and await allowed():
            bell.clear()
            found = await services.store.glance(events.after, account_id, after, limit=BATCH)
            for event in found:
                after = event.seq
                yield to_lines(event)
                told_live(event)
            if found:
                spoke_at = services.clock.now()
                continue
            # The bell rings for other accounts too, so quiet is counted from the last word and not from the last ring.
            quiet_for = services.clock.now() - spoke_at
            if quiet_for >= HEARTBEAT:
                yield ": still here\n\n"
                spoke_at = services.clock.now()
                continue
            await first_of(
                bell.wait(), services.stopping.wait(), services.clock.sleep(min(HEARTBEAT, HEARTBEAT - quiet_for))
            )
