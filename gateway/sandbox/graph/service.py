"""Graph's front door: token, route, permission; then the handler; and every refusal in Graph's shape."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final

from gateway.sandbox.faults import ConnectionReset, Effect, Fault, Faults
from gateway.sandbox.graph import (
    applications,
    attachments,
    delta,
    errors,
    folders,
    messages,
    sending,
    subscribing,
    uploads,
    users,
)
from gateway.sandbox.graph.batch import batch
from gateway.sandbox.graph.errors import GraphError
from gateway.sandbox.graph.exchange import MAIL_ROLES, VERSION, Call, Request, Response, Route, split_path
from gateway.sandbox.limits import OverLimit
from gateway.sandbox.notifier import Notifier
from gateway.sandbox.tokens import BadToken, TokenMint, seconds
from gateway.sandbox.world import World

ROUTES: Final = (
    *users.ROUTES,
    *applications.ROUTES,
    *folders.ROUTES,
    *delta.ROUTES,
    *messages.ROUTES,
    *sending.ROUTES,
    *uploads.ROUTES,
    *attachments.ROUTES,
    *subscribing.ROUTES,
)
GRAPH_AUDIENCES: Final = frozenset(
    {
        "https://graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
        "00000003-0000-0000-c000-000000000000",
    }
)


Handle = Callable[[], Awaitable[Response]]
_USER_SEGMENTS: Final = 2
"""`/users/{id}` itself is of the directory; what is longer goes into the mailbox."""
_UPLOADING: Final = frozenset({"PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the claims of the token that matter."""

    app_id: str
    roles: frozenset[str]


class GraphService:
    """Answers requests, each with its `request-id`. The same door stands before every item of a batch."""

    def __init__(self, *, world: World, notifier: Notifier, mint: TokenMint, faults: Faults) -> None:
        self._world = world
        self._notifier = notifier
        self._mint = mint
        self._faults = faults
        self._uploads = uploads.Uploads(world)

    async def answer(self, request: Request) -> Response:
        """A request below `/v1.0`. Raises ConnectionReset where a fault breaks the connection off."""

        async def handle() -> Response:
            caller = self._authenticate(request)
            segments = split_path(request.path)
            with self._in_flight(caller, request, segments):
                path = f"/{VERSION}{request.path}"
                return await self._despite_faults(request, path, lambda: self._handle(request, caller, segments))

        return await self._answer(request, handle)

    async def answer_upload(self, request: Request) -> Response:
        """A PUT or DELETE to an upload URL. Another host than Graph's, so it does not count as in flight there."""

        async def take() -> Response:
            await self._take_time()
            return self._uploads.answer(request)

        return await self._answer(request, lambda: self._despite_faults(request, request.path, take))

    async def _answer(self, request: Request, handle: Handle) -> Response:
        request_id = self._world.identities.guid()
        client_request_id = request.headers.get("client-request-id", request_id)
        try:
            response = await handle()
        except GraphError as error:
            response = self._refusal(error, request_id, client_request_id)
        except OverLimit as over:
            response = self._refusal(errors.throttled(over), request_id, client_request_id)
        ids = {"request-id": request_id, "client-request-id": client_request_id}
        return replace(response, headers={**ids, **response.headers})

    def _in_flight(self, caller: Caller, request: Request, segments: list[str]) -> AbstractContextManager[None]:
        """Counts a call that goes into a mailbox, from here to its answer. Raises OverLimit."""
        is_in_mailbox = len(segments) > _USER_SEGMENTS and segments[0].lower() == "users"
        user = self._world.directory.find(segments[1]) if is_in_mailbox else None
        if user is None:
            return nullcontext()
        uploaded_bytes = len(request.body) if request.method in _UPLOADING else 0
        return self._world.limits.call(caller.app_id, user, uploaded_bytes=uploaded_bytes)

    async def _despite_faults(self, request: Request, path: str, act: Handle) -> Response:
        fault = self._faults.strike(request.method, path)
        if fault is None:
            return await act()
        if fault.effect is Effect.BEFORE:
            await self._suffer(fault)
            return await act()
        response = await act()
        await self._suffer(fault)
        return replace(response, headers={**response.headers, **self._headers(fault)})

    async def _take_time(self) -> None:
        if self._world.behaviour.latency:
            await self._world.clock.sleep(self._world.behaviour.latency)

    async def _suffer(self, fault: Fault) -> None:
        if fault.delay:
            await self._world.clock.sleep(fault.delay)
        if fault.reset:
            raise ConnectionReset
        if fault.status is not None:
            headers = self._headers(fault)
            raise GraphError(status=fault.status, code=fault.code, message=fault.message, headers=headers)

    def _headers(self, fault: Fault) -> dict[str, str]:
        return fault.headers_at(self._world.clock.now())

    def _refusal(self, error: GraphError, request_id: str, client_request_id: str) -> Response:
        inner = {
            "date": self._world.clock.now().strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": client_request_id,
        }
        body = {"error": {"code": error.code, "message": error.message, "innerError": inner}}
        return Response(status=error.status, json=body, headers=error.headers)

    async def _handle(self, request: Request, caller: Caller, segments: list[str]) -> Response:
        if len(request.body) > errors.MOST_BYTES:
            raise errors.too_long()
        if segments[0].lower() == "me":
            raise errors.no_permissions()
        if segments == ["$batch"] and request.method == "POST":
            return await batch(self._call(request, caller, {}), self.answer)
        await self._take_time()
        route, params = _route(request.method, segments)
        is_scoped = self._has_scope(caller) and not (route.roles or MAIL_ROLES) & caller.roles
        if route.roles and not route.roles & (caller.roles | (MAIL_ROLES if is_scoped else frozenset())):
            raise errors.insufficient_privileges() if route.is_directory else errors.access_denied()
        return await route.handler(replace(self._call(request, caller, params), is_scoped=is_scoped))

    def _has_scope(self, caller: Caller) -> bool:
        return self._world.directory.apps[caller.app_id].scoped_mailboxes is not None

    def _call(self, request: Request, caller: Caller, params: dict[str, str]) -> Call:
        return Call(
            request=request,
            params=params,
            app=self._world.directory.apps[caller.app_id],
            roles=caller.roles,
            world=self._world,
            notifier=self._notifier,
            uploads=self._uploads,
        )

    def _authenticate(self, request: Request) -> Caller:
        """Whose token this is, if it is ours, of its time, and for Graph. Raises GraphError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise errors.invalid_token("Access token is empty.")
        try:
            claims = self._mint.read(token.strip())
        except BadToken as bad:
            raise errors.invalid_token("CompactToken parsing failed with error code: 80049217") from bad
        now = seconds(self._world.clock.now())
        if not claims["nbf"] <= now < claims["exp"]:
            raise errors.invalid_token()
        if claims["aud"] not in GRAPH_AUDIENCES | {request.origin} and not _is_loopback(claims["aud"]):
            raise errors.invalid_token("Access token validation failure. Invalid audience.")
        if claims["tid"] != self._world.tenant or claims["appid"] not in self._world.directory.apps:
            raise errors.invalid_token("Access token validation failure. Invalid issuer.")
        return Caller(app_id=claims["appid"], roles=frozenset(claims.get("roles", ())))


def _is_loopback(audience: str) -> bool:
    return audience.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))


def _route(method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
    """The route for a path. Raises GraphError."""
    is_known_path = False
    for route in ROUTES:
        params = route.match(segments)
        if params is None:
            continue
        if route.method == method:
            return route, params
        is_known_path = True
    raise errors.method_not_allowed() if is_known_path else errors.no_such_segment(segments[-1])
