"""Graph's notifications are taken in before anything else is looked at: Graph gives three seconds, and sends thousands.

They need no key, no page and no route of their own, and what surrounds every other request costs more than keeping one.
So this stands in front of all that. An answer has what all answers have all the same: its id, the strictest headers, a
problem where something is wrong.
"""

import time
from http import HTTPStatus
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import tracing
from gateway.http.deadline import Deadline
from gateway.http.headers import Raw, hardened_headers
from gateway.http.middleware import check_length, given_name, log_answer
from gateway.http.problem_types import UNAVAILABLE
from gateway.http.problems import FORESEEN, Problem, log_unforeseen, response_for
from gateway.http.room import Body, Room
from gateway.http.services import Services
from gateway.http.webhooks import DOORS, is_handshake
from gateway.tracing import span

PATIENCE_S: Final = 2.5  # and a tenth more at most. Graph waits three seconds; a 503 in time is better than a late 202
EMPTY: Final[Raw] = (b"content-length", b"0")


class Doorway:
    """Takes in notifications, and lets everything else pass. `longest` is in bytes, of a body."""

    def __init__(self, app: ASGIApp, *, services: Services, longest: int) -> None:
        self._app = app
        self._services = services
        self._longest = longest
        self._room = Room(longest=longest)
        self._in_time = Deadline(PATIENCE_S)
        self._line = services.line
        self._is_https = (services.settings.public_url or "").startswith("https:")
        self._accepted = {over_tls: hardened_headers([EMPTY], over_tls=over_tls) for over_tls in (False, True)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_notification(scope):
            await self._app(scope, receive, send)
            return
        began, over_tls = time.perf_counter(), self._is_https and scope.get("scheme") == "https"
        with tracing.begun(given_name(scope)) as unit:
            name = unit.request_id or unit.trace.trace_id
            response = await self._take_in(scope, receive, name)
            if response is None:
                status, headers, body = HTTPStatus.ACCEPTED.value, self._accepted[over_tls], b""
            else:
                status, body = response.status_code, bytes(response.body)
                headers = hardened_headers(response.raw_headers, over_tls=over_tls)
            named = [*headers, (b"x-request-id", name.encode("latin-1"))]
            await send({"type": "http.response.start", "status": status, "headers": named})
            await send({"type": "http.response.body", "body": body})
            self._services.door.answered(status, time.perf_counter() - began, self._services.clock)
            log_answer(scope, scope["path"], status, began)

    async def _take_in(self, scope: Scope, receive: Receive, name: str) -> Response | None:
        """None when all is kept, and else what Graph is to hear."""
        if self._line.is_too_long(time.perf_counter()):
            return response_for(too_many(), name)
        try:
            await check_length(scope, receive, self._longest)
            async with self._in_time:
                await self._keep(await self._read(receive))
        except TimeoutError:
            return response_for(too_late(), name)
        except Exception as error:
            if not isinstance(error, FORESEEN):
                log_unforeseen(error, name)
            return response_for(error, name)
        return None

    async def _read(self, receive: Receive) -> Body:
        self._line.comes()
        try:
            return await self._room.read(receive)
        finally:
            self._line.came()

    async def _keep(self, body: Body) -> None:
        self._line.joins(body, time.perf_counter(), len(body.content) - body.taken)  # for more there is `room`
        try:
            with span("notification", bytes=len(body.content)) as step:
                receipt = await self._services.receiver.receive(body.content)
                step.say(kept=receipt.kept, refused=receipt.refused, ignored=receipt.ignored)
        finally:
            self._line.leaves(body)
            self._room.give_back(body)
        self._services.door.received(receipt)


def too_many() -> Problem:
    """For who comes too late for the line."""
    return Problem(UNAVAILABLE, "More notifications come than can be kept in time.")


def too_late() -> Problem:
    """For who stood in it for too long."""
    return Problem(UNAVAILABLE, "The notifications could not be kept in time.")


def is_notification(scope: Scope) -> bool:
    """Whether a request is a notification, good or bad."""
    if scope["type"] != "http" or scope["path"] not in DOORS:
        return False
    return scope["method"] == "POST" and not (scope["query_string"] and is_handshake(scope["query_string"]))
