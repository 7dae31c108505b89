"""Graph's notifications are taken in before anything else is looked at: Graph gives three seconds, and sends thousands.

They need no key, no page and no route of their own, and what surrounds every other request costs more than keeping one.
So this stands in front of all that. An answer has what all answers have all the same: its id, the strictest headers, a
problem where something is wrong.
"""

import asyncio
import time
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import tracing
from gateway.http.headers import Raw, hardened_headers
from gateway.http.middleware import BodyLimit, log_answer, name_of
from gateway.http.problem_types import UNAVAILABLE
from gateway.http.problems import FORESEEN, Problem, log_unforeseen, response_for
from gateway.http.room import Room
from gateway.http.services import Services
from gateway.http.webhooks import DOORS, is_handshake
from gateway.tracing import span
from subscriptions.addresses import NOTIFICATIONS

PATIENCE_S: Final = 2.5  # Graph waits three seconds; a 503 in time is better than a late 202
EMPTY: Final[Raw] = (b"content-length", b"0")


class Doorway:
    """Takes in notifications, and lets everything else pass. `longest` is in bytes, of a body."""

    def __init__(self, app: ASGIApp, *, services: Services, longest: int) -> None:
        self._app = app
        self._services = services
        self._room = Room()
        self._is_https = (services.settings.public_url or "").startswith("https:")
        self._answer = BodyLimit(self._take_in, limits=[("", longest)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_notification(scope):
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["request_id"] = name = name_of(scope)
        with tracing.begun(name):
            await self._answer(scope, receive, self._surrounded(scope, send, name))

    def _surrounded(self, scope: Scope, send: Send, name: str) -> Send:
        """The answer gets what every answer has, and its time is taken, whoever gives it."""
        began, services = time.perf_counter(), self._services
        over_tls = self._is_https and scope.get("scheme") == "https"

        async def surrounded(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send(message)
                return
            headers = hardened_headers(message["headers"], over_tls=over_tls)
            headers.append((b"x-request-id", name.encode("latin-1")))
            message["headers"] = headers
            await send(message)
            took_s = time.perf_counter() - began
            services.door.answered(message["status"], timedelta(seconds=took_s), services.clock)
            log_answer(scope, message["status"], began)

        return surrounded

    async def _take_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._keep(scope["path"], receive)
        except TimeoutError:
            late = Problem(UNAVAILABLE, "The notifications could not be kept in time.")
            response = response_for(late, scope["state"]["request_id"])
        except Exception as error:
            if not isinstance(error, FORESEEN):
                log_unforeseen(error, scope["state"]["request_id"])
            response = response_for(error, scope["state"]["request_id"])
        else:
            await send({"type": "http.response.start", "status": HTTPStatus.ACCEPTED.value, "headers": [EMPTY]})
            await send({"type": "http.response.body", "body": b""})
            return
        await response(scope, receive, send)

    async def _keep(self, path: str, receive: Receive) -> None:
        receiver = self._services.receiver
        keep = receiver.receive if path == NOTIFICATIONS else receiver.receive_lifecycle
        body = await self._room.read(receive)
        try:
            with span("notification", bytes=len(body.content)) as step:
                receipt = await keep(body.content)
                step.say(kept=receipt.kept, refused=receipt.refused, ignored=receipt.ignored)
        finally:
            self._room.give_back(body)
        self._services.door.received(receipt)


def is_notification(scope: Scope) -> bool:
    """Whether a request is a notification, good or bad."""
    if scope["type"] != "http" or scope["path"] not in DOORS:
        return False
    return scope["method"] == "POST" and not (scope["query_string"] and is_handshake(scope["query_string"]))
