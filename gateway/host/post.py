"""One request to one webhook, and what came of it in plain words."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import httpx

from gateway.host.targets import Guarded, Network, Resolve, TargetRefused, looked_up

TIMEOUT_S: Final = 15.0  # for all of it: a receiver stores and answers, as we do for Graph
CONNECT_TIMEOUT_S: Final = 5.0
LONGEST_ANSWER: Final = 64 * 1024  # nothing in it is read; a longer one costs the connection
MOST_HOSTS: Final = 100
GONE: Final = 410

Behind: TypeAlias = Callable[[], httpx.AsyncBaseTransport]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`problem` is None when the event was taken. `status` is None when no answer came."""

    status: int | None
    problem: str | None
    took_ms: int

    @property
    def gone(self) -> bool:
        """The receiver asks to be left alone (Standard Webhooks: 410 disables)."""
        return self.status == GONE


def plain_transport() -> httpx.AsyncBaseTransport:
    """Connections as the machine makes them: no proxy, and the usual certificate authorities."""
    return httpx.AsyncHTTPTransport(trust_env=False, limits=httpx.Limits(max_keepalive_connections=8))


class Poster:
    """Posts to webhooks. A client for each host: connections of one are never used for another."""

    def __init__(
        self, allowed: Sequence[Network], *, behind: Behind = plain_transport, resolve: Resolve = looked_up
    ) -> None:
        self._allowed = allowed
        self._behind = behind
        self._resolve = resolve
        self._clients: OrderedDict[str, httpx.AsyncClient] = OrderedDict()

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> Answer:
        """Never raises for what the other side does."""
        began = time.perf_counter()
        status, problem = None, None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._status(url, headers, body)
            problem = _problem_of(status)
        except TargetRefused as error:
            problem = str(error)
        except (TimeoutError, httpx.TimeoutException):
            problem = f"It did not answer within {TIMEOUT_S:.0f} seconds."
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            problem = f"It could not be reached: {_why(error)}."
        return Answer(status=status, problem=problem, took_ms=round((time.perf_counter() - began) * 1000))

    async def aclose(self) -> None:
        """Close all connections."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def _status(self, url: str, headers: Mapping[str, str], body: str) -> int:
        client = await self._client(httpx.URL(url).host)
        async with client.stream("POST", url, headers=headers, content=body.encode()) as response:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > LONGEST_ANSWER:
                    break
            return response.status_code

    async def _client(self, host: str) -> httpx.AsyncClient:
        known = self._clients.pop(host, None)
        if known is None:
            known = httpx.AsyncClient(
                transport=Guarded(self._behind(), self._allowed, self._resolve),
                timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                follow_redirects=False,
            )
        self._clients[host] = known
        if len(self._clients) > MOST_HOSTS:
            await self._clients.popitem(last=False)[1].aclose()
        return known


def _problem_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status == GONE:
        return "It answered 410: it is gone."
    if 300 <= status < 400:
        return f"It answered {status}, a redirect, which is not followed. Enter the address that it leads to."
    return f"It answered {status} instead of 2xx."


def _why(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
