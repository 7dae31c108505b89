"""What goes over the wire and what comes back, without a wire: only values in, only values out."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final
from urllib.parse import quote

import orjson

from .errors import (
    KNOWN_CODES,
    GraphError,
    OverBudget,
    Throttled,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    error_class,
)
from .parsing import Json

USER_AGENT: Final = "selma-gateway"
# https://learn.microsoft.com/graph/outlook-immutable-id: asked for on every request, or ids change with a move
IMMUTABLE_ID: Final = 'IdType="ImmutableId"'

MAX_TRIES: Final = 4
MAX_WAITING: Final = timedelta(seconds=30)
FIRST_BACKOFF: Final = timedelta(seconds=1)  # at most, before the second try; then 2 s, then 4 s
LONGEST_RETRY_AFTER: Final = timedelta(days=1)  # nobody means more; also keeps the arithmetic finite


class Retry(Enum):
    """After which failures a call is made again by the client itself."""

    NEVER = auto()
    IF_REFUSED = auto()  # Graph said that it did nothing, or nothing was sent
    HARMLESS = auto()  # doing it twice is doing it once


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call, described. `route` is the path without ids, for logs and metrics."""

    method: str
    route: str
    url: str = field(repr=False)
    retry: Retry
    expect: int
    or_else: int | None = None  # another status that is success
    content: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    content_range: str | None = None
    prefer: tuple[str, ...] = ()
    timeout: timedelta = timedelta(seconds=30)  # of silence while reading; connecting has its own
    second_token: bool = True  # whether a 401 is answered with a new token and a second try
    pre_authorized: bool = False  # the URL carries its own right to be used: no token goes with it
    items: int = 1  # requests that Graph counts, more than one in a batch
    mailbox: str | None = field(default=None, repr=False)  # whose budget it is taken from

    def succeeded(self, status: int) -> bool:
        return status in (self.expect, self.or_else)


def segment(value: str) -> str:
    """An id, name or address as one segment of a path. Raises ValueError for what cannot be one."""
    if value in ("", ".", ".."):
        raise ValueError("an empty or dotted id cannot stand in a path")
    return quote(value, safe="@")


def user_path(user: str) -> str:
    """`users/…`, by object id or userPrincipalName; one that begins with `$` has its own form.

    Source: https://learn.microsoft.com/graph/api/user-get
    """
    if user.startswith("$"):
        return f"users('{quote(user.replace(chr(39), chr(39) * 2), safe='@$')}')"
    return f"users/{segment(user)}"


def literal(value: str) -> str:
    """An OData string literal: quotes doubled. OData 4.01 ABNF, `string`."""
    return "'" + value.replace("'", "''") + "'"


def query(**options: str | None) -> str:
    """`?$select=…&$filter=…`; what is None is left out. Spaces are %20: a plus is a plus."""
    pairs = [f"${name}={quote(value, safe='')}" for name, value in options.items() if value is not None]
    return "?" + "&".join(pairs) if pairs else ""


def tag_filter(property_id: str, value: str) -> str:
    """Source: https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get"""
    matches = f"ep/id eq {literal(property_id)} and ep/value eq {literal(value)}"
    return f"singleValueExtendedProperties/Any(ep: {matches})"


def expand_extended(property_ids: Sequence[str]) -> str | None:
    """Source: as `tag_filter`. Several ids joined by `or` are practice, not documentation."""
    if not property_ids:
        return None
    wanted = " or ".join(f"id eq {literal(property_id)}" for property_id in property_ids)
    return f"singleValueExtendedProperties($filter={wanted})"


def utc_text(moment: datetime) -> str:
    """A time as Graph's filters and bodies take it: UTC, `Z`. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def body_preference(body_type: str | None) -> tuple[str, ...]:
    """Source: https://learn.microsoft.com/graph/api/message-get"""
    return (f'outlook.body-content-type="{body_type}"',) if body_type else ()


def headers(request: Request, token: str | None, client_request_id: str) -> dict[str, str]:
    """The headers of a call. Several preferences share one header, RFC 7240 section 2.

    Without a token there are no preferences either: such a call goes past Graph.
    """
    sent = {
        "Accept": "application/json",
        "User-Agent": USER_AGENT,
        # https://learn.microsoft.com/graph/best-practices-concept#reliability-and-support: a GUID, for Microsoft's
        # support. Asked to, Microsoft's services say in the answer that they have noted it.
        "client-request-id": client_request_id,
        "return-client-request-id": "true",
    }
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
        sent["Prefer"] = ", ".join((IMMUTABLE_ID, *request.prefer))
    if request.content is not None:
        sent["Content-Type"] = request.content_type
    if request.content_range is not None:
        sent["Content-Range"] = request.content_range
    return sent


def new_request_id() -> str:
    return str(uuid.uuid4())


def json_object(content: bytes) -> Json:
    """A body that must be a JSON object. Raises UnexpectedAnswer."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnexpectedAnswer("the body is not JSON") from error
    if not isinstance(value, dict):
        raise UnexpectedAnswer("the body is not an object")
    return value


def error_from(
    status: int, headers: Mapping[str, str], body: object, *, now: datetime, client_request_id: str | None = None
) -> GraphError:
    """The error that an answer is, whatever its body holds: bytes, parsed JSON, nothing.

    Source: https://learn.microsoft.com/graph/errors
    """
    named = {name.lower(): value for name, value in headers.items()}
    levels = error_levels(body)
    code = most_specific(level.get("code") for level in levels)
    return error_class(status, code)(
        first_text(level.get("message") for level in levels) or "",
        status=status,
        code=code,
        request_id=named.get("request-id") or first_text(level.get("request-id") for level in levels),
        client_request_id=client_request_id or named.get("client-request-id"),
        date=http_date(named.get("date", "")),
        retry_after=retry_after(named.get("retry-after"), now),
        diagnostic=named.get("x-ms-ags-diagnostic"),
    )


def error_levels(body: object) -> list[Json]:
    """`error` and its inner errors, outermost first; both spellings of innerError occur."""
    if isinstance(body, bytes):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            return []
    level = body.get("error") if isinstance(body, dict) else None
    levels: list[Json] = []
    while isinstance(level, dict) and len(levels) < 10:
        levels.append(level)
        level = level.get("innerError") or level.get("innererror")
    return levels


def most_specific(codes: Iterable[object]) -> str:
    """The innermost code we know, in our spelling; else the outermost that is not empty; else ""."""
    given = [code for code in codes if isinstance(code, str) and code]
    known = [KNOWN_CODES[code.casefold()] for code in given if code.casefold() in KNOWN_CODES]
    return known[-1] if known else next(iter(given), "")


def first_text(values: Iterable[object]) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)


def http_date(value: str) -> datetime | None:
    """An HTTP-date of any of RFC 9110's forms, or None."""
    try:
        parsed = parsedate_to_datetime(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long Retry-After asks to wait: RFC 9110 section 10.2.3, seconds or a date. None if it says neither."""
    value = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value, re.ASCII):
        seconds = min(float(value), LONGEST_RETRY_AFTER.total_seconds())
        return timedelta(seconds=seconds)
    date = http_date(value)
    return None if date is None else min(max(date - now, timedelta()), LONGEST_RETRY_AFTER)


def may_retry(retry: Retry, error: GraphError) -> bool:
    """Whether a call of this kind may be made again after this failure.

    Over budget, it has waited already: what is left of the wait is too long for the client.
    """
    if isinstance(error, OverBudget):
        return False
    match retry:
        case Retry.NEVER:
            return False
        case Retry.HARMLESS:
            return error.transient
        case Retry.IF_REFUSED:
            return was_refused(error)


def was_refused(error: GraphError) -> bool:
    """Whether the failure itself says that nothing was done. For `/send` not even this is believed."""
    match error:
        case Unreachable():
            return not error.sent
        case Throttled():
            return True
        case Unavailable():
            return error.status == 503 and error.retry_after is not None
    return False


def after_failure(attempt: int, error: GraphError, *, waited: timedelta, roll: float) -> timedelta | None:
    """How long to wait before trying again after the `attempt`-th failure (1, 2, …), or None: give up.

    At most MAX_TRIES tries and MAX_WAITING of waiting in all; what asks for more is for the caller's table.
    Full jitter (`roll` from 0 to 1): at most 1 s, 2 s, 4 s. After Retry-After never earlier than it says,
    since calls made meanwhile count: https://learn.microsoft.com/graph/throttling
    """
    if attempt >= MAX_TRIES:
        return None
    delay = FIRST_BACKOFF * (roll * 2.0 ** (attempt - 1))
    if error.retry_after is not None:
        delay = error.retry_after + FIRST_BACKOFF * roll
        if waited + error.retry_after > MAX_WAITING:
            return None
    return min(delay, max(MAX_WAITING - waited, error.retry_after or timedelta()))
