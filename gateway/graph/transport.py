"""The one place where a described call becomes HTTP: token, retry, errors, counting."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx

from . import links, wire
from .budget import Budgets
from .clock import Clock
from .endpoints import check_origin
from .errors import GraphError, Throttled, Unauthorized, Unreachable
from .parsing import Json
from .token import TokenSource

CONNECT_TIMEOUT_S: Final = 10.0
POOL_TIMEOUT_S: Final = 30.0
WHOLE_CALL_S: Final = 120.0  # one try, headers and body, however slowly it drips; streams are exempt

# Raised before the connection was there, TLS included, so before a byte of the request could leave.
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that was made, for metrics and logs. `status` is None when no answer came.

    `route` has no ids. `items` is how many requests Graph counts, more than one in a batch.
    """

    method: str
    route: str
    status: int | None
    duration_s: float
    request_id: str | None
    client_request_id: str
    items: int = 1


Observer = Callable[[Call], None]
OnWait = Callable[[GraphError], None]


def ignore(_: object) -> None:
    """The observer of those who do not count."""


class Transport:
    """Makes calls to one Graph server. The bearer token goes to `graph_url` and nowhere else."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        tokens: TokenSource,
        graph_url: str,
        *,
        clock: Clock,
        random: random.Random,
        observer: Observer,
        on_wait: OnWait,
        budgets: Budgets,
        new_request_id: Callable[[], str] = wire.new_request_id,
    ) -> None:
        self._http = http
        self._tokens = tokens
        self._origin = check_origin(graph_url)
        self._clock = clock
        self._random = random
        self._observer = observer
        self._on_wait = on_wait
        self._budgets = budgets
        self._new_request_id = new_request_id

    def url(self, path: str) -> str:
        return f"{self._origin}/v1.0/{path}"

    def follow(self, link: str) -> str:
        """A link of an answer, to be used as it is. Raises ForeignUrl."""
        return links.own_url(link, self._origin)

    def upload_url(self, url: str) -> str:
        """The URL of an upload session, to be used as it is. Raises ForeignUrl."""
        return links.upload_url(url, self._origin)

    async def json(self, request: wire.Request) -> Json:
        """The answer's object. Raises GraphError, and TokenError when there is no token to ask with."""
        async with self._answer(request) as response:
            return wire.json_object(response.content)

    async def done(self, request: wire.Request) -> None:
        """Make the call and expect no content. Raises as `json`."""
        async with self._answer(request):
            pass

    async def whole(self, request: wire.Request) -> tuple[int, bytes]:
        """Which of its two successes the call had, and the body. Raises as `json`."""
        async with self._answer(request) as response:
            return response.status_code, response.content

    async def stream(self, request: wire.Request) -> AsyncGenerator[bytes, None]:
        """The answer's bytes as they come. Retries only until the first of them; then raises Unreachable."""
        async with self._answer(request, whole=False) as response:
            try:
                async for chunk in response.aiter_bytes():
                    yield chunk
            except (httpx.RequestError, OSError) as error:
                raise Unreachable(type(error).__name__, sent=True) from error

    async def pause(self, attempt: int, error: GraphError, waited: timedelta) -> timedelta | None:
        """Wait as a failure demands; how long it was, or None if it is not worth waiting for."""
        delay = wire.after_failure(attempt, error, waited=waited, roll=self._random.random())
        if delay is not None:
            await self._clock.sleep(delay)
        return delay

    def heed(self, mailbox: str | None, error: GraphError) -> None:
        """Leave a mailbox alone for as long as an answer about it asks."""
        if error.retry_after is not None or isinstance(error, Throttled):
            self._on_wait(error)
        if mailbox is not None and isinstance(error, Throttled) and error.retry_after is not None:
            self._budgets.of(mailbox).closed_for(error.retry_after)

    def error(self, status: int, headers: dict[str, str], body: object) -> GraphError:
        return wire.error_from(status, headers, body, now=self._clock.now())

    @asynccontextmanager
    async def _answer(self, request: wire.Request, *, whole: bool = True) -> AsyncIterator[httpx.Response]:
        async with AsyncExitStack() as held:
            yield await self._persist(request, held, whole=whole)

    async def _persist(self, request: wire.Request, held: AsyncExitStack, *, whole: bool) -> httpx.Response:
        """The answer, after as many tries as it takes. `held` gets what is to be released when it has been used."""
        waited, attempt = timedelta(), 1
        while True:
            try:
                return await self._with_token(request, held, whole=whole)
            except GraphError as error:
                if not wire.may_retry(request.retry, error):
                    raise
                delay = await self.pause(attempt, error, waited)
                if delay is None:
                    raise
                waited, attempt = waited + delay, attempt + 1

    async def _with_token(self, request: wire.Request, held: AsyncExitStack, *, whole: bool) -> httpx.Response:
        if request.pre_authorized:
            return await self._once(request, None, held, whole=whole)
        token = await self._tokens.token()
        try:
            return await self._once(request, token, held, whole=whole)
        except Unauthorized:
            if not request.second_token:
                raise
            another = await self._tokens.token(refused=token)
            if another == token:
                raise
        return await self._once(request, another, held, whole=whole)

    async def _once(
        self, request: wire.Request, token: str | None, held: AsyncExitStack, *, whole: bool
    ) -> httpx.Response:
        """One try, in its place among the calls to its mailbox; an answer keeps the place until it is closed."""
        async with AsyncExitStack() as place:
            await place.enter_async_context(self._admitted(request))
            response = await self._exchange(request, token, whole=whole)
            place.push_async_callback(response.aclose)
            held.push_async_exit(place.pop_all())
        return response

    def _admitted(self, request: wire.Request) -> AbstractAsyncContextManager[None]:
        if request.mailbox is None:
            return nullcontext()
        size = len(request.content or b"")
        return self._budgets.of(request.mailbox).admitted(items=request.items, upload_bytes=size)

    async def _exchange(self, request: wire.Request, token: str | None, *, whole: bool) -> httpx.Response:
        client_request_id, began = self._new_request_id(), time.perf_counter()
        response: httpx.Response | None = None
        try:
            response = await self._send(request, wire.headers(request, token, client_request_id), whole=whole)
        except (httpx.RequestError, OSError) as error:  # a TimeoutError is an OSError, and so is TLS trouble
            sent = not isinstance(error, NOT_SENT)
            raise Unreachable(type(error).__name__, sent=sent, client_request_id=client_request_id) from error
        finally:
            self._observer(call_of(request, response, time.perf_counter() - began, client_request_id))
        if request.succeeded(response.status_code):
            return response
        failure = wire.error_from(
            response.status_code,
            dict(response.headers),
            response.content,
            now=self._clock.now(),
            client_request_id=client_request_id,
        )
        self.heed(request.mailbox, failure)
        raise failure

    async def _send(self, request: wire.Request, headers: dict[str, str], *, whole: bool) -> httpx.Response:
        """The answer, read to its end unless it is a success that the caller wants as a stream."""
        read_s = request.timeout.total_seconds()
        outgoing = self._http.build_request(
            request.method,
            request.url,
            headers=headers,
            content=request.content,
            timeout=httpx.Timeout(read_s, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S),
        )
        async with asyncio.timeout(WHOLE_CALL_S):
            response = await self._http.send(outgoing, stream=True, follow_redirects=False)
            try:
                if whole or not request.succeeded(response.status_code):
                    await response.aread()
                    # httpx lets a response and its stream hold each other: a page of a delta would stay in memory
                    # until the garbage collector comes, which is seldom (`gateway.serving.collect_seldom`).
                    response.stream = httpx.ByteStream(b"")
            except BaseException:
                await response.aclose()
                raise
        return response


def call_of(request: wire.Request, response: httpx.Response | None, duration_s: float, client_request_id: str) -> Call:
    return Call(
        method=request.method,
        route=request.route,
        status=response.status_code if response is not None else None,
        duration_s=duration_s,
        request_id=response.headers.get("request-id") if response is not None else None,
        client_request_id=client_request_id,
        items=request.items,
    )
