"""The sandbox as an ASGI app: Entra, Graph, upload URLs and the admin routes on one origin."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from gateway.sandbox import admin, entra_admin
from gateway.sandbox.entra import TokenRefused
from gateway.sandbox.faults import ConnectionReset
from gateway.sandbox.graph.exchange import VERSION, Request, Response

if TYPE_CHECKING:
    from gateway.sandbox.box import Sandbox

JSON_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
TRANSIENT = 90033
"""AADSTS90033: a transient error, please try again later."""
NO_STORE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
TRANSPORT = "sandbox.transport"
"""Where the scope of a request holds its connection, if there is one."""


def build(sandbox: "Sandbox") -> Starlette:
    """The app of a sandbox; its lifespan runs the sandbox."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sandbox.running():
            yield

    async def graph(scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        request = await _request(http, prefix=f"/{VERSION}")
        response = await _http_response(sandbox.graph.answer(request))
        await response(scope, receive, send)

    async def upload(scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive)
        request = await _request(http, prefix="")
        response = await _http_response(sandbox.graph.answer_upload(request))
        await response(scope, receive, send)

    async def token(http: HttpRequest) -> HttpResponse:
        form = dict(parse_qsl((await http.body()).decode("utf-8", "replace"), keep_blank_values=True))
        fault = sandbox.faults.strike(http.method, http.url.path)
        if fault is not None and fault.delay:
            await sandbox.clock.sleep(fault.delay)
        if fault is not None and fault.reset:
            return BrokenOff()
        if fault is not None and fault.status is not None:
            refused = TokenRefused(status=fault.status, error=fault.code, number=TRANSIENT, text=fault.message)
            headers = {**fault.headers_at(sandbox.clock.now()), **NO_STORE}
            return JSONResponse(sandbox.entra.refusal(refused), refused.status, headers)
        tenant = http.path_params["tenant"]
        try:
            body = sandbox.entra.token(tenant, form, http.headers.get("authorization", ""), _origin(http))
        except TokenRefused as refused:
            return JSONResponse(sandbox.entra.refusal(refused), refused.status, NO_STORE)
        return JSONResponse(body, headers=NO_STORE)

    async def metadata(http: HttpRequest) -> HttpResponse:
        try:
            return JSONResponse(sandbox.entra.metadata(http.path_params["tenant"], _origin(http)))
        except TokenRefused as refused:
            return JSONResponse(sandbox.entra.refusal(refused), refused.status)

    async def common_metadata(http: HttpRequest) -> HttpResponse:
        return JSONResponse(sandbox.entra.common_metadata(_origin(http)))

    async def keys(http: HttpRequest) -> HttpResponse:
        return JSONResponse(sandbox.entra.keys())

    async def instance(http: HttpRequest) -> HttpResponse:
        endpoint = http.query_params.get("authorization_endpoint", "")
        tenant = next((part for part in endpoint.split("/")[3:] if part), sandbox.world.tenant)
        return JSONResponse(sandbox.entra.instance_discovery(tenant, _origin(http)))

    return _Served(
        lifespan=lifespan,
        routes=[
            Mount(f"/{VERSION}", graph),
            Mount("/api/v2.0", upload),
            Mount("/_sandbox", routes=[*admin.routes(sandbox), *entra_admin.routes(sandbox)]),
            Route("/common/discovery/instance", instance),
            Route("/common/.well-known/openid-configuration", common_metadata),
            Route("/common/discovery/keys", keys),
            Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", metadata),
            Route("/{tenant}/discovery/v2.0/keys", keys),
        ],
    )


class _Served(Starlette):
    """Keeps the connection within reach of those who break it off: ASGI has no word for that, uvicorn has a socket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


def _origin(http: HttpRequest) -> str:
    return f"{http.url.scheme}://{http.url.netloc}"


async def _request(http: HttpRequest, *, prefix: str) -> Request:
    """The request with its target as it came: an encoded slash in an id must stay encoded."""
    scope = http.scope
    raw_path = scope.get("raw_path") or scope["path"].encode()
    path = raw_path.decode("latin-1").partition("?")[0].removeprefix(prefix)
    query = scope["query_string"].decode("latin-1")
    return Request(
        method=http.method,
        target=f"{path}?{query}" if query else path,
        headers={name.lower(): value for name, value in http.headers.items()},
        body=await http.body(),
        origin=_origin(http),
    )


async def _http_response(answer: Awaitable[Response]) -> HttpResponse:
    """Graph's answer for the wire."""
    try:
        response = await answer
    except ConnectionReset:
        return BrokenOff()
    content, media_type = response.content, response.media_type
    if response.json is not None:
        content, media_type = orjson.dumps(response.json), JSON_TYPE
    return HttpResponse(content, response.status, dict(response.headers), media_type)


class BrokenOff(HttpResponse):
    """Closes the connection without a byte of an answer. Raises ConnectionReset where there is no connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get(TRANSPORT)
        if transport is None:
            raise ConnectionReset
        transport.abort()
        # The server takes an app that returns without an answer for broken, unless it knows that nobody waits for one.
        while (await receive())["type"] != "http.disconnect":
            pass
