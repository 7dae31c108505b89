"""Plain notifications are taken in without a task: in the storm that Graph can be, nearly all of them are plain.

What is taken here is what `doorway` would answer with 202: whole, understood, with the right secret, a hint and nothing
else. It is kept by the same receiver, stands in the same line and has the same time. Whatever is unlike that is left
alone, and `doorway` answers it, as it does all of them where a request is to be told step by step in a log or a trace.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.direct import Answer
from gateway.http import middleware
from gateway.http.deadline import Deadline
from gateway.http.doorway import EMPTY, PATIENCE_S, is_notification, too_late, too_many
from gateway.http.headers import Raw, hardened_headers
from gateway.http.middleware import given_name
from gateway.http.problems import FORESEEN, log_unforeseen, response_for
from gateway.http.services import Services
from gateway.tracing import Trace
from gateway.tracing.recorder import recorder

ACCEPTED: Final = HTTPStatus.ACCEPTED.value


class NotificationsShortWay:
    """A `gateway.direct.ShortWay` to the receiver. Who takes it stands in the line of the doorway."""

    def __init__(self, services: Services, *, trusted_proxies: Sequence[str]) -> None:
        self.services = services
        self.line = services.line
        self.in_time = Deadline(PATIENCE_S)
        self._is_https = (services.settings.public_url or "").startswith("https:")
        self._behind = ProxyHeadersMiddleware(_nowhere, trusted_hosts=list(trusted_proxies))  # type: ignore[arg-type]
        self._accepted = {tls: lines(hardened_headers([EMPTY], over_tls=tls)) for tls in (False, True)}

    def is_for(self, scope: Scope) -> bool:
        """A notification, and nobody asks how it fares."""
        is_told = middleware.log.isEnabledFor(logging.DEBUG) or recorder() is not None
        return not is_told and is_notification(scope)

    def take(self, scope: Scope, body: bytes, answer: Answer) -> bool:
        """Whether all there is to do is under way."""
        began, trace = time.perf_counter(), Trace.begin(sampled=False)
        waiting = Waiting(self, answer, given_name(scope) or trace.trace_id, began, over_tls=self._is_over_tls(scope))
        if self.line.is_too_long(began):
            asyncio.get_running_loop().call_soon(waiting.refuse)
            return True
        try:
            taken = self.services.receiver.take(body, traceparent=trace.traceparent)
        except Exception:  # whatever it is, the doorway comes upon it, too, and says what it is
            return False
        if taken is None:
            return False
        waiting.kept = taken.kept
        self.line.joins(waiting, began, len(body))
        self.in_time.begins(taken.done)
        taken.done.add_done_callback(waiting.end)
        return True

    def accepted(self, *, over_tls: bool) -> bytes:
        """The headers of a 202, its name apart."""
        return self._accepted[over_tls]

    def _is_over_tls(self, scope: Scope) -> bool:
        """As the application sees it, which is told by a proxy that is trusted. The middleware waits for nothing."""
        if not self._is_https:
            return False
        seen = dict(scope)
        for _ in self._behind(seen, None, None).__await__():  # type: ignore[arg-type]
            raise AssertionError("the middleware waits")
        return seen.get("scheme") == "https"


class Waiting:
    """A request whose notifications are being kept."""

    __slots__ = ("_answer", "_began", "_name", "_over_tls", "_way", "kept")

    def __init__(self, way: NotificationsShortWay, answer: Answer, name: str, began: float, *, over_tls: bool) -> None:
        self._way = way
        self._answer = answer
        self._name = name
        self._began = began
        self._over_tls = over_tls
        self.kept = 0

    def end(self, done: "asyncio.Future[None]") -> None:
        """All is kept, or nothing, or it took too long."""
        self._way.line.leaves(self)
        self._way.in_time.ends(done)
        if done.cancelled():
            self._say(response_for(too_late(), self._name))
        elif (error := done.exception()) is not None:
            if not isinstance(error, FORESEEN):
                log_unforeseen(error, self._name)  # type: ignore[arg-type]
            self._say(response_for(error, self._name))  # type: ignore[arg-type]
        else:
            self._way.services.door.kept(self.kept)
            self._send(ACCEPTED, self._way.accepted(over_tls=self._over_tls), b"")

    def refuse(self) -> None:
        """It comes too late for the line."""
        self._say(response_for(too_many(), self._name))

    def _say(self, response: Response) -> None:
        headers = hardened_headers(response.raw_headers, over_tls=self._over_tls)
        self._send(response.status_code, lines(headers), bytes(response.body))

    def _send(self, status: int, headers: bytes, body: bytes) -> None:
        self._answer(status, b"%bx-request-id: %b\r\n" % (headers, self._name.encode("latin-1")), body)
        services = self._way.services
        services.door.answered(status, time.perf_counter() - self._began, services.clock)


def lines(headers: Sequence[Raw]) -> bytes:
    """As they are sent."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    pass
