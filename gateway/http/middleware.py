"""What surrounds every request: its id, its size limit, what its answer is told beside, and the last net for errors."""

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import tracing
from gateway.http.problem_types import BAD_REQUEST, BODY_TOO_LARGE
from gateway.http.problems import Problem, log_unforeseen, request_id, response_for
from gateway.settings import Settings

log = logging.getLogger(__name__)

KIB: Final = 1024
MIB: Final = 1024 * KIB
FILES: Final = "/v1/files"

OTHER_BODIES: Final = 256 * KIB

DISCARD_FOR_S: Final = 0.5
QUIET_AFTER_S: Final = 0.1

GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class RequestId:
    """Names each request: by the caller's own `x-request-id` when it is a plain word, else afresh.

    All that is logged and written down for it carries that, and the trace of the caller's `traceparent`. What comes in
    at Graph's doors, whose senders nobody knows, is named by `doorway` and has a trace of our own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, traceparent = name_of(scope), _header(scope, b"traceparent")
        scope.setdefault("state", {})["request_id"] = name
        began = time.perf_counter()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = name
                log_answer(scope, getattr(scope.get("route"), "path", None), message["status"], began)
            await send(message)

        with tracing.begun(name, traceparent=traceparent):
            await self._app(scope, receive, named)


def name_of(scope: Scope) -> str:
    """What the request is to be called."""
    return given_name(scope) or uuid.uuid4().hex


def given_name(scope: Scope) -> str | None:
    """What the caller calls the request, when that is a plain word."""
    given = _header(scope, b"x-request-id")
    return given if given and GIVEN_ID.fullmatch(given) else None


def _header(scope: Scope, name: bytes) -> str | None:
    """The first of this name, which is in lower case."""
    for one, value in scope["headers"]:
        if one == name:
            return str(value, "latin-1")
    return None


def log_answer(scope: Scope, route: str | None, status: int, began: float) -> None:
    """`route` as it is declared: a path can name a student."""
    if log.isEnabledFor(logging.DEBUG):
        took_ms = round((time.perf_counter() - began) * 1000, 1)
        log.debug("answered", extra={"method": scope["method"], "route": route, "status": status, "took_ms": took_ms})


class AnswerHeaders:
    """Gives an answer, a problem too, the headers that were found for it before the work began."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get("headers", {}))
            await send(message)

        await self._app(scope, receive, told)


class _Gone(Exception):
    """Nobody is there any more to whom something could be sent."""


class LastNet:
    """Turns an error that nobody foresaw into a 500 that tells nothing, and logs where it happened, once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            try:
                await send(message)
            except (OSError, RuntimeError) as error:
                raise _Gone from error

        try:
            await self._app(scope, receive, noticed)
        except _Gone as gone:
            log.info("the connection ended under the answer", extra={"error": type(gone.__cause__).__name__})
        except Exception as error:
            log_unforeseen(error, request_id(scope))
            if not started:
                await response_for(error, request_id(scope))(scope, receive, send)


def body_limits(settings: Settings) -> Sequence[tuple[str, int]]:
    """By the beginning of the path; the first that fits counts. Letters carry small attachments in base64."""
    letters = ("/v1/messages", "/v1/batches", "/v1/threads")
    largest = [(path, settings.largest_request) for path in letters]
    return (*largest, (FILES, settings.largest_attachment), ("", OTHER_BODIES))


class BodyLimit:
    """Refuses a body that is too large: at once when it says so, else as soon as it has come too far."""

    def __init__(self, app: ASGIApp, limits: Sequence[tuple[str, int]]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next(limit for beginning, limit in self._limits if scope["path"].startswith(beginning))
        try:
            await check_length(scope, receive, limit)
        except Problem as problem:
            await response_for(problem, request_id(scope))(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                await discard(receive)
                raise too_large(limit)
            return message

        await self._app(scope, counted, send)


async def check_length(scope: Scope, receive: Receive, limit: int) -> None:
    """Raises `Problem` when the body says of itself that it is longer than `limit`, in bytes."""
    try:
        _check_declared(_header(scope, b"content-length"), limit)
    except Problem:
        if _header(scope, b"expect") is None:  # whoever asks first has sent nothing yet
            await discard(receive)
        raise


def _check_declared(length: str | None, limit: int) -> None:
    if length is None:
        return
    if not (length.isascii() and length.isdecimal()):
        raise Problem(BAD_REQUEST, "Content-Length must be a number of bytes.")
    if len(length) > 20 or int(length) > limit:
        raise too_large(limit)


async def discard(receive: Receive) -> None:
    """Let go by what is under way, for a moment: most clients read an answer only after they have sent everything."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_FOR_S):
            more = True
            while more:
                async with asyncio.timeout(QUIET_AFTER_S):
                    more = bool((await receive()).get("more_body", False))


def too_large(limit: int) -> Problem:
    """For a body of more bytes than that."""
    # What is still to come is not waited for: the connection ends with this answer.
    return Problem(BODY_TOO_LARGE, f"At most {limit:,} bytes are taken here.", headers={"connection": "close"})
