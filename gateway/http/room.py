"""Room in memory for large bodies: who brings one gets it, or hears 503 at once and comes again.

Anybody may post to Graph's doors, and the sender is known only when the body has been read. What is no larger than a
plain request may be is free; of anything more there is so much for all requests together, however many come.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request

from gateway.http.problem_types import BAD_REQUEST, UNAVAILABLE
from gateway.http.problems import Problem
from subscriptions.notifications import MAX_BODY_BYTES

ROOM: Final = 16 * 1024 * 1024  # bytes


class Room:
    """Counts what all requests have beyond `free` bytes each."""

    def __init__(self, size: int = ROOM, *, free: int = MAX_BODY_BYTES) -> None:
        self._left = size
        self._free = free

    @asynccontextmanager
    async def body_of(self, request: Request) -> AsyncIterator[bytes]:
        """The body as it came, for as long as the block needs it.

        Raises `Problem`: 503 when there is no room now, 400 when the caller hung up before its end.
        """
        taken, came, parts = 0, 0, []
        try:
            try:
                async for part in request.stream():
                    parts.append(part)
                    came += len(part)
                    beyond = max(came - self._free, 0) - taken
                    if beyond > self._left:
                        raise Problem(UNAVAILABLE, "Too much is being received at once.")
                    self._left -= beyond
                    taken += beyond
            except ClientDisconnect:
                raise Problem(BAD_REQUEST, "The body ended before its end.") from None
            yield b"".join(parts)
        finally:
            self._left += taken
