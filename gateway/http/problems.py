"""Every error in one shape: `application/problem+json` (RFC 9457), with a stable `type` that this server explains.

`PROBLEMS` is the one table from exceptions to problem types; an exception's parent covers its children.
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import storage
from gateway.connections import NotConnected
from gateway.graph import GraphError, TokenError
from gateway.http.problem_types import (
    ALREADY_EXISTS,
    BAD_REQUEST,
    BODY_TOO_LARGE,
    CONFLICT,
    DISK_NEARLY_FULL,
    GONE_FROM_MAILBOX,
    IDEMPOTENCY_KEY_REUSED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    KEPT_ELSEWHERE,
    LETTER_TOO_LARGE,
    MAILBOX_NOT_VALIDATED,
    METHOD_NOT_ALLOWED,
    MICROSOFT_365,
    NOT_CONNECTED,
    NOT_FOUND,
    UNAVAILABLE,
    UNKNOWN_FILE,
    UNKNOWN_MAILBOX,
    UNKNOWN_ORIGINAL,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemType,
)
from gateway.sending.posted import (
    KeyReused,
    MailboxNotValidated,
    TooMuchAttached,
    UnknownFile,
    UnknownMailbox,
    UnknownOriginal,
)
from gateway.setup.account import BadConfiguration
from gateway.space import DiskNearlyFull
from gateway.threads.attachments import GoneFromMailbox, KeptElsewhere
from subscriptions.handshake import BadHandshake
from subscriptions.notifications import MalformedNotification, NotificationTooLarge

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BadValue:
    """One value that cannot be taken: `pointer` (RFC 6901) into the `where`, which is body, query, path or header."""

    pointer: str
    detail: str
    where: str = "body"

    def as_json(self) -> dict[str, str]:
        """As it stands under `errors`."""
        return {"in": self.where, "pointer": self.pointer, "detail": self.detail}


class Problem(Exception):
    """An error that a route has found itself. `detail` is a sentence for the caller."""

    def __init__(
        self,
        type: ProblemType,
        detail: str,
        *,
        errors: Sequence[BadValue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.type = type
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def invalid(*errors: BadValue) -> Problem:
    """The problem of a request with these bad values."""
    many = f"{len(errors)} values" if len(errors) != 1 else "One value"
    return Problem(INVALID_REQUEST, f"{many} of the request cannot be taken; see errors.", errors=errors)


def pointer_to(path: Sequence[str | int]) -> str:
    """The RFC 6901 pointer of a path into a JSON document; '' is the whole."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1")[:200] for step in path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an exception is told. Without a `detail`, its own text is a sentence for the caller."""

    type: ProblemType
    detail: str | None = None
    retry_after_s: int = RETRY_AFTER_S  # where the status is 503


# A disk's or a server's own words stay inside: they can tell of files and addresses, and help no caller.
PROBLEMS: Final[Mapping[type[Exception], Rule]] = {
    storage.NotFound: Rule(type=NOT_FOUND),
    storage.AlreadyExists: Rule(type=ALREADY_EXISTS),
    storage.Conflict: Rule(type=CONFLICT),
    storage.StorageUnavailable: Rule(
        type=UNAVAILABLE, detail="The gateway's database cannot be used now. Nothing was kept."
    ),
    KeyReused: Rule(type=IDEMPOTENCY_KEY_REUSED),
    UnknownMailbox: Rule(type=UNKNOWN_MAILBOX),
    MailboxNotValidated: Rule(type=MAILBOX_NOT_VALIDATED),
    UnknownOriginal: Rule(type=UNKNOWN_ORIGINAL),
    UnknownFile: Rule(type=UNKNOWN_FILE),
    TooMuchAttached: Rule(type=LETTER_TOO_LARGE),
    DiskNearlyFull: Rule(type=DISK_NEARLY_FULL, retry_after_s=60),  # a person has to make room
    NotConnected: Rule(type=NOT_CONNECTED),
    GoneFromMailbox: Rule(type=GONE_FROM_MAILBOX),
    KeptElsewhere: Rule(type=KEPT_ELSEWHERE),
    BadHandshake: Rule(type=BAD_REQUEST),
    MalformedNotification: Rule(type=BAD_REQUEST),
    NotificationTooLarge: Rule(type=BODY_TOO_LARGE),
    GraphError: Rule(
        type=MICROSOFT_365, detail="Microsoft Graph refused, or could not be reached. Check the connection."
    ),
    TokenError: Rule(type=MICROSOFT_365, detail="Microsoft Entra gave no token. Check the connection."),
}

FORESEEN: Final = (Problem, BadConfiguration, *PROBLEMS)

OF_STATUS: Final[Mapping[int, ProblemType]] = {
    400: BAD_REQUEST,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    413: BODY_TOO_LARGE,
    415: UNSUPPORTED_MEDIA_TYPE,
}


async def answer(request: Request, error: Exception) -> Response:
    """The exception handler for everything in the table, for `Problem` and for Starlette's own errors."""
    return response_for(error, request_id(request.scope))


def response_for(error: Exception, instance: str) -> Response:
    """How any exception looks to the caller; one that nobody expected shows nothing of itself."""
    if isinstance(error, HTTPException):
        return _http_response(error, instance)
    problem = as_problem(error)
    headers = dict(problem.headers)
    if problem.type.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("retry-after", str(RETRY_AFTER_S))
    body: dict[str, Any] = {
        "type": problem.type.uri,
        "title": problem.type.title,
        "status": int(problem.type.status),
        "detail": problem.detail,
        "instance": instance,
    }
    if problem.errors:
        body["errors"] = [one.as_json() for one in problem.errors]
    return _response(body, headers)


def as_problem(error: Exception) -> Problem:
    """The problem that an exception is, by the table."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BadConfiguration):
        return invalid(
            *(BadValue(pointer=pointer_to(name.split("/")), detail=text) for name, text in error.problems.items())
        )
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            rule = PROBLEMS[kind]
            is_for_later = rule.type.status == HTTPStatus.SERVICE_UNAVAILABLE
            headers = {"retry-after": str(rule.retry_after_s)} if is_for_later else None
            return Problem(rule.type, rule.detail or str(error), headers=headers)
    return Problem(INTERNAL_ERROR, "Something went wrong that nobody foresaw. The log has it under this instance.")


def about(error: Exception, pointer: str) -> Problem:
    """The problem that an exception is, with the value of the body that it is about."""
    problem = as_problem(error)
    return Problem(problem.type, problem.detail, errors=[BadValue(pointer=pointer, detail=problem.detail)])


def _http_response(error: HTTPException, instance: str) -> Response:
    known = OF_STATUS.get(error.status_code)
    phrase = HTTPStatus(error.status_code).phrase
    body = {
        "type": "about:blank" if known is None else known.uri,
        "title": phrase if known is None else known.title,
        "status": error.status_code,
        "detail": f"{phrase}." if error.detail == phrase else error.detail,
        "instance": instance,
    }
    return _response(body, dict(error.headers or {}))


def _response(body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(
        orjson.dumps(body),
        status_code=int(body["status"]),
        media_type=MEDIA_TYPE,
        headers={**headers, "cache-control": "no-store"},
    )


def request_id(scope: Any) -> str:
    """What this request is called in the log and in the answer."""
    return str(scope.get("state", {}).get("request_id", ""))


def log_unforeseen(error: Exception, instance: str) -> None:
    """Write down where it happened. Not the exception's text: it can hold what no log may hold."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    log.error("unforeseen error", extra={"request_id": instance, "error": type(error).__qualname__, "frames": where})
