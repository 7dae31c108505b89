"""How calls leave this machine: httpx's interface over aiohttp's connections.

httpx's own pool looks through all its connections for each request; with two dozen calls at once that costs several
times what the call itself does (`tests/bench/sending.py`). Its proxies are a world of their own, so where the
environment names one, httpx stays by itself: `client.build_http`.
"""

import ssl
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import httpx
from yarl import URL

LONGEST_HEADER_BYTES: Final = 64 * 1024  # aiohttp's own limit, 8 KiB, is for browsers' lines
OURS_ALONE: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")  # headers that aiohttp would add


class PooledTransport(httpx.AsyncBaseTransport):
    """Connections that are kept for `keep_s` seconds, `most` at once; `trust` is whose certificates are believed.

    What it raises says whether a byte of the request may have left, and that is all its callers ask:
    `httpx.ConnectError` and `ConnectTimeout` only before the connection was there, TLS included; anything else after.
    """

    def __init__(self, trust: ssl.SSLContext, *, most: int, keep_s: float) -> None:
        self._trust = trust
        self._most = most
        self._keep_s = keep_s
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head, as soon as it is there."""
        try:
            answer = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),  # as it is: Graph's links are not to be made prettier
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(request.extensions.get("timeout", {})),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except aiohttp.ClientConnectorError as error:  # nobody there, no such name, no TLS
            raise httpx.ConnectError(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _after_sending(error) from error
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode("ascii", "ignore")},
        )

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first call, for it belongs to the loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust, limit=self._most, keepalive_timeout=self._keep_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # httpx does
                skip_auto_headers=OURS_ALONE,
                max_line_size=LONGEST_HEADER_BYTES,
                max_field_size=LONGEST_HEADER_BYTES,
            )
        return self._session

    async def aclose(self) -> None:
        """Hang up."""
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    """Of an answer, as it comes in. Closed before its end, it takes its connection with it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise _after_sending(error) from error

    async def aclose(self) -> None:
        self._answer.release()


def _timeout(asked: dict[str, float | None]) -> aiohttp.ClientTimeout:
    """aiohttp's `connect` is for a place in the pool and the connection together."""
    return aiohttp.ClientTimeout(
        total=None, connect=asked.get("pool"), sock_connect=asked.get("connect"), sock_read=asked.get("read")
    )


def _after_sending(error: Exception) -> httpx.TransportError:
    """For what may have happened while the server was already at work."""
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(str(error))
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return httpx.RemoteProtocolError(str(error))
    return httpx.ReadError(str(error))
