"""Who was refused is written down: somebody tries keys, or SELMA's key was revoked and nobody told SELMA.

The audit log has what was done by those who may. This is for those who may not: no account is theirs to be logged in.
"""

import logging
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.clock import Clock
from gateway.http.problems import request_id

log = logging.getLogger(__name__)

REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
WINDOW: Final = timedelta(minutes=1)
MOST: Final = 60  # lines within a window: whoever knocks without end does not fill the disk


class Refusals:
    """Logs answers that refuse: their status, the caller's address and the request's id. Never a path, which may hold
    the link that was refused; never a key."""

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._began: datetime | None = None
        self._told = 0
        self._untold = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REFUSED:
                self._refused(scope, message["status"])
            await send(message)

        await self._app(scope, receive, seen)

    def _refused(self, scope: Scope, status: int) -> None:
        now = self._clock.now()
        if self._began is None or not self._began <= now < self._began + WINDOW:
            self._began, self._told = now, 0
        if self._told == MOST:
            self._untold += 1
            return
        self._told += 1
        caller = scope["client"][0] if scope.get("client") else None
        told = {"status": int(status), "caller": caller, "http_request_id": request_id(scope), "untold": self._untold}
        self._untold = 0
        log.warning("refused", extra=told)
