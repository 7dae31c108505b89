"""Room in memory for large bodies: who brings one gets it, or hears 503 at once and comes again.

Anybody may post to Graph's doors, and the sender is known only when the body has been read. What is no larger than a
plain request may be is free; of anything more there is so much for all requests together, however many come.
"""

from dataclasses import dataclass
from typing import Final

from starlette.types import Receive

from gateway.http.middleware import discard, too_large
from gateway.http.problem_types import BAD_REQUEST, UNAVAILABLE
from gateway.http.problems import Problem
from subscriptions.notifications import MAX_BODY_BYTES

ROOM: Final = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A body as it came, and what of the room it takes."""

    content: bytes
    taken: int


class Room:
    """Counts what all requests have beyond `free` bytes each. None may be longer than `longest`."""

    def __init__(self, size: int = ROOM, *, free: int = MAX_BODY_BYTES, longest: int = ROOM) -> None:
        self._left = size
        self._free = free
        self._longest = longest

    async def read(self, receive: Receive) -> Body:
        """The whole body; `give_back` what it takes when it is needed no more.

        Raises `Problem`: 413 when it is longer than may be, 503 when there is no room now, 400 when the caller hung up
        before its end.
        """
        taken, came, parts, more = 0, 0, [], True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(BAD_REQUEST, "The body ended before its end.")
                part, more = message.get("body", b""), message.get("more_body", False)
                parts.append(part)
                came += len(part)
                if came > self._longest:
                    await discard(receive)
                    raise too_large(self._longest)
                if came > self._free:
                    beyond = came - self._free - taken
                    if beyond > self._left:
                        raise Problem(UNAVAILABLE, "Too much is being received at once.")
                    self._left -= beyond
                    taken += beyond
        except BaseException:
            self._left += taken
            raise
        return Body(content=parts[0] if len(parts) == 1 else b"".join(parts), taken=taken)

    def give_back(self, body: Body) -> None:
        """It is needed no more."""
        self._left += body.taken
