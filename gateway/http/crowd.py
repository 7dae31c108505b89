"""How many may be in the gateway at once, and what they may bring: whoever comes beyond that hears so at once.

Microsoft Graph's doors and the supervisor's are outside of this: they are always open, and have bounds of their own.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problem_types import TOO_MANY_REQUESTS, UNAVAILABLE
from gateway.http.problems import Problem, request_id, response_for
from subscriptions.addresses import LIFECYCLE, NOTIFICATIONS

AT_WORK: Final = 1_500  # requests under way; fewer than the connections of `gateway.patience`, so that Graph finds one
STREAMS: Final = 1_000  # live streams and long polls
STREAMS_OF_A_KEY: Final = 100
UPLOADS: Final = 16  # each holds a piece in memory, and may bring a largest attachment beyond the files that may wait
EXPORTS: Final = 2  # each reads whole mailboxes, and waits in temporary files
BODIES: Final = 128 * 1024 * 1024  # bytes of letters being received, beyond `FREE` of each
FREE: Final = 256 * 1024
RETRY_AFTER_S: Final = 5

ALWAYS_OPEN: Final = frozenset({NOTIFICATIONS, LIFECYCLE, "/healthz", "/readyz"})
HELD_WHOLE: Final = ("/v1/messages", "/v1/batches", "/v1/threads")
UNTIL_OVER: Final = "until_over"


class Places:
    """So many at once, and so many of one holder. `what` they are, in a sentence's plural."""

    def __init__(self, most: int, what: str, *, of_one: int | None = None) -> None:
        self._most = most
        self._what = what
        self._of_one = of_one
        self._taken = Counter[str | None]()

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._taken.total()

    def take(self, request: Request, holder: str | None = None) -> None:
        """A place until the answer to this request is over. Raises `Problem`: 503, or 429 for a holder's own number."""
        if holder is not None and self._of_one is not None and self._taken[holder] >= self._of_one:
            detail = f"{self._of_one:,} {self._what} of yours are open already. Close some of them first."
            raise Problem(TOO_MANY_REQUESTS, detail, headers={"retry-after": str(RETRY_AFTER_S)})
        if self.taken >= self._most:
            raise too_many(f"{self._most:,} {self._what} are under way already. Try again in a moment.")
        until_over: ExitStack = request.scope["state"][UNTIL_OVER]
        until_over.enter_context(self._held(holder))

    @contextmanager
    def _held(self, holder: str | None) -> Iterator[None]:
        self._taken[holder] += 1
        try:
            yield
        finally:
            self._taken[holder] -= 1
            if not self._taken[holder]:
                del self._taken[holder]  # or it would grow with everybody who ever came


class Crowd:
    """All bounds of one gateway."""

    def __init__(
        self,
        *,
        at_work: int = AT_WORK,
        streams: int = STREAMS,
        streams_of_a_key: int = STREAMS_OF_A_KEY,
        uploads: int = UPLOADS,
        exports: int = EXPORTS,
        bodies: int = BODIES,
    ) -> None:
        self.most_at_work = at_work
        self.at_work = 0
        self.bodies_left = bodies
        self.streams = Places(streams, "streams", of_one=streams_of_a_key)
        self.uploads = Places(uploads, "uploads")
        self.exports = Places(exports, "exports")


class Crowded:
    """Counts requests, and what is received of those that are held in memory whole."""

    def __init__(self, app: ASGIApp, crowd: Crowd) -> None:
        self._app = app
        self._crowd = crowd

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_OPEN:
            await self._app(scope, receive, send)
            return
        crowd = self._crowd
        if crowd.at_work >= crowd.most_at_work:
            problem = too_many("More is being asked than can be answered at once. Try again in a moment.")
            await response_for(problem, request_id(scope))(scope, receive, send)
            return
        crowd.at_work += 1
        try:
            with ExitStack() as until_over:
                scope.setdefault("state", {})[UNTIL_OVER] = until_over
                if scope["path"].startswith(HELD_WHOLE):
                    receive = until_over.enter_context(_counted(crowd, receive))
                await self._app(scope, receive, send)
        finally:
            crowd.at_work -= 1


@contextmanager
def _counted(crowd: Crowd, receive: Receive) -> Iterator[Receive]:
    """What comes by it takes room of all, until the request is over. It raises `Problem` (503) when there is none."""
    came = taken = 0

    async def counted() -> Message:
        nonlocal came, taken
        message = await receive()
        came += len(message.get("body", b""))
        beyond = max(came - FREE, 0) - taken
        if beyond > crowd.bodies_left:
            raise too_many("Too much is being received at once. Try again in a moment.", closes=True)
        crowd.bodies_left -= beyond
        taken += beyond
        return message

    try:
        yield counted
    finally:
        crowd.bodies_left += taken


def too_many(detail: str, *, closes: bool = False) -> Problem:
    """503, and when to come again."""
    headers = {"retry-after": str(RETRY_AFTER_S)} | ({"connection": "close"} if closes else {})
    return Problem(UNAVAILABLE, detail, headers=headers)
