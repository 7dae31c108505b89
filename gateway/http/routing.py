"""What an operation is: one method on one path, who may use it, what it takes and gives, and what does it.

The route table, the authorisation and the OpenAPI document are all read off the same `Operation`s.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http import auth, reading, sight, values
from gateway.http.auditing import Audited, Deed, Unaudited, actor, begun
from gateway.http.problem_types import ProblemType
from gateway.http.problems import BadValue, invalid
from gateway.http.services import Services
from gateway.http.sight import Sees
from gateway.threads.views import json_of
from storage.api_keys import ApiKey, Scope
from storage.audit import Via

T = TypeVar("T", bound=reading.Taken)

METHODS_WITH_BODY: Final = frozenset({"POST", "PUT"})
STAFF: Final = "selma-staff"
LONGEST_NAME: Final = 200
ABOUT_STAFF: Final = (
    "For whom you ask: the staff member, for the audit log. Percent-encoded UTF-8 where it is not ASCII; a field of "
    "the request that names one goes first."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One use of an operation: who asks, and what was given, already checked."""

    services: Services
    request: Request
    key: ApiKey
    given: T
    deed: Deed

    @property
    def account_id(self) -> str:
        """Whose things may be seen."""
        return self.key.account_id

    @property
    def now(self) -> datetime:
        """The time now."""
        return self.services.clock.now()

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """`takes` is the body of a POST or PUT and the query of anything else; `gives` the type of the answer's JSON.

    With `raw` the body is no JSON but bytes of any type, which `does` reads as they come, and `takes` is the query.

    `name` is its id in the contract, where the one that its path makes is another's.

    `headers` are those of the request that it reads, with what they mean; `problems` what it can answer beside the
    problems that every operation has. `audit` is what the audit log says of it; `sees` is of what it tells, for keys
    that are held to mailboxes. `locates`: `Location` says where what it made can be read; by default where
    201 or 202 says that it made something.
    """

    method: str
    path: str
    scope: Scope
    summary: str
    takes: type[T]
    does: Callable[[Call[T]], Awaitable[Response]]
    audit: Audited | Unaudited
    gives: Any = None
    status: HTTPStatus = HTTPStatus.OK
    media_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    problems: Sequence[ProblemType] = ()
    raw: bool = False
    sees: Sees = Sees.WHOLE
    locates: bool | None = None
    name: str | None = None

    @property
    def takes_body(self) -> bool:
        """Whether what it takes stands in the body."""
        return self.method in METHODS_WITH_BODY and not self.raw

    async def answer(self, services: Services, request: Request) -> Response:
        """Let in, check, do, and see that it stands in the audit log."""
        key = await auth.authenticate(services, request)
        auth.require(key, self.scope)
        await sight.check(services.store, key, self.sees, str(request.path_params.get("id", "")))
        if self.takes_body:
            given = await reading.body_as(request, self.takes)
        else:
            given = reading.query_as(request, self.takes)
        deed = begun(
            services.store,
            services.trail,
            self.audit,
            request.path_params,
            account_id=key.account_id,
            by=actor(request, key, Via.API, given.names_staff or _staff(request)),
            at=services.clock.now(),
        )
        response = await self.does(Call(services=services, request=request, key=key, given=given, deed=deed))
        await deed.ended(response)
        return response


def _staff(request: Request) -> str | None:
    """Whom the header names. Raises `Problem` (422)."""
    given = reading.header(request, STAFF)
    if given is None:
        return None
    try:
        name = values.one_line(values.not_blank(unquote(given, errors="strict")))
    except ValueError as error:
        raise invalid(BadValue(where="header", pointer="/" + STAFF, detail=str(error))) from None
    if len(name) > LONGEST_NAME:
        detail = f"A name has at most {LONGEST_NAME} characters."
        raise invalid(BadValue(where="header", pointer="/" + STAFF, detail=detail))
    return name


def routes_of(operations: Sequence[Operation[Any]], services: Services) -> list[BaseRoute]:
    """One Starlette route per path, so that a wrong method is answered with all the right ones."""
    by_path: dict[str, dict[str, Operation[Any]]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [Route(path, _endpoint(by_method, services), methods=list(by_method)) for path, by_method in by_path.items()]


def _endpoint(by_method: Mapping[str, Operation[Any]], services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await by_method[method].answer(services, request)

    return endpoint


def json_response(
    content: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON of views and plain values; times in UTC with a Z, `from_` spelled `from`."""
    return Response(json_of(content), status_code=status, media_type="application/json", headers=dict(headers or {}))


def no_content() -> Response:
    """204."""
    return Response(status_code=HTTPStatus.NO_CONTENT)
