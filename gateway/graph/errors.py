"""What Graph can answer instead of success.

    GraphError                     any answer that is not the documented success
      BadRequest            400    ours, or the letter's: recipients, size of the header list, filter
      Unauthorized          401    the token; every call but `/send` has already tried a second one
      AccessDenied          403    permission, policy, scope of mailboxes
      NotFound              404    moved, deleted, never there; or a mailbox that REST cannot serve
      Conflict    409, 412, 416    it exists already, or changed meanwhile; a piece does not fit what was uploaded
      Gone             410, 40x    the delta link is dead: begin the folder again
      TooLarge              413    and ErrorMessageSizeExceeded at any status
      OutOfSpace            507    and ErrorQuotaExceeded at any status: the mailbox is full
      Throttled             429    `retry_after` says when, if Graph did
        OverBudget            -    we did not ask: the mailbox has been asked enough for now
      Unavailable   500, 502-504   transient trouble at Microsoft, also 408, 424 and 509
      Unreachable             -    no answer; `sent` says whether the request can have had an effect
      ForeignUrl              -    a link to a server that we were not told to talk to: never contacted
      UnexpectedAnswer  2xx, 3xx   not the documented status, or a body that says something else

A token that cannot be had is no GraphError: see `TokenError`.
Statuses and codes: https://learn.microsoft.com/graph/errors
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final


class GraphError(Exception):
    """An answer of Graph that is not success, or none.

    `code` is the most specific code that we know, in the spelling of Microsoft's page, or else the
    outermost; "" when there was none. `message` is Graph's sentence: it may name addresses, so it is for
    people who may see them and never for a log; `str()` leaves it out.
    `request_id` and `client_request_id` are what Microsoft's support asks for.
    """

    transient: ClassVar[bool] = False  # whether the same call may succeed a little later

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str = "",
        request_id: str | None = None,
        client_request_id: str | None = None,
        date: datetime | None = None,
        retry_after: timedelta | None = None,
        diagnostic: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.client_request_id = client_request_id
        self.date = date
        self.retry_after = retry_after
        self.diagnostic = diagnostic

    def is_code(self, *codes: str) -> bool:
        """Whether Graph's code is one of these, compared without case as Graph itself varies it."""
        return self.code.casefold() in {code.casefold() for code in codes}

    def log_fields(self) -> dict[str, object]:
        """What a log may hold: everything but Graph's sentence."""
        fields: dict[str, object] = {
            "error": type(self).__name__,
            "status": self.status,
            "code": self.code or None,
            "graph_request_id": self.request_id,
            "client_request_id": self.client_request_id,
            "date": self.date.isoformat() if self.date else None,
            "retry_after_s": self.retry_after.total_seconds() if self.retry_after is not None else None,
            "diagnostic": self.diagnostic,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.log_fields().items())


class BadRequest(GraphError):
    pass


class Unauthorized(GraphError):
    pass


class AccessDenied(GraphError):
    pass


class NotFound(GraphError):
    pass


class Conflict(GraphError):
    pass


class Gone(GraphError):
    pass


class TooLarge(GraphError):
    pass


class OutOfSpace(GraphError):
    pass


class Throttled(GraphError):
    transient = True


class OverBudget(Throttled):
    """We did not ask Graph: not a byte was sent. `retry_after` is how long it takes until we may."""


class Unavailable(GraphError):
    transient = True


class Unreachable(GraphError):
    """No answer came.

    `sent` is False only when it is certain that not one byte of the request left: the name did not
    resolve, the connection was refused or never made, the TLS handshake failed, no connection was free.
    Otherwise True: Graph may have done what it was asked.
    """

    transient = True

    def __init__(self, message: str = "", *, sent: bool, client_request_id: str | None = None) -> None:
        super().__init__(message, client_request_id=client_request_id)
        self.sent = sent

    def log_fields(self) -> dict[str, object]:
        return {**super().log_fields(), "sent": self.sent}


class ForeignUrl(GraphError):
    pass


class UnexpectedAnswer(GraphError):
    pass


BY_STATUS: Final[Mapping[int, type[GraphError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: AccessDenied,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Gone,
    412: Conflict,
    413: TooLarge,
    416: Conflict,
    424: Unavailable,
    429: Throttled,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: OutOfSpace,
    509: Unavailable,
}

# Codes that mean the same whatever status they come with; all were seen with several.
# https://learn.microsoft.com/graph/delta-query-overview, https://learn.microsoft.com/graph/throttling,
# microsoftgraph/microsoft-graph-docs issues 2350 and 2877, microsoft-graph-docs-contrib issue 2561;
# ErrorQuotaExceeded by clients' lists with 413, 429 and 507: no waiting makes room
BY_CODE: Final[Mapping[str, type[GraphError]]] = {
    "SyncStateNotFound": Gone,
    "SyncStateInvalid": Gone,
    "InvalidSyncStateData": Gone,
    "resyncRequired": Gone,
    "ErrorSyncFolderNotFound": Gone,
    "ApplicationThrottled": Throttled,
    "TooManyRequests": Throttled,
    "ErrorMessageSizeExceeded": TooLarge,
    "ErrorQuotaExceeded": OutOfSpace,
}

# Codes that someone acts upon: the ones worth finding in a nested error.
KNOWN_CODES: Final[Mapping[str, str]] = {
    code.casefold(): code
    for code in (
        *BY_CODE,
        "Authorization_RequestDenied",
        "ErrorAccessDenied",
        "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
        "ErrorCannotOpenFileAttachment",
        "ErrorExceededMessageLimit",
        "ErrorInternalServerError",
        "ErrorInternalServerTransientError",
        "ErrorInvalidIdMalformed",
        "ErrorInvalidRecipients",
        "ErrorInvalidUrlQuery",
        "ErrorInvalidUser",
        "ErrorItemNotFound",
        "ErrorMailboxNotEnabledForRESTAPI",
        "ErrorSendAsDenied",
        "ErrorServerBusy",
        "ErrorSubmissionQuotaExceeded",
        "ExtensionError",
        "InefficientFilter",
        "InvalidAuthenticationToken",
        "InvalidInternetMessageHeader",
        "InvalidInternetMessageHeaderCollection",
        "MailboxNotEnabledForRESTAPI",
        "NoPermissionsInAccessToken",
        "Request_ResourceNotFound",
        "ResourceNotFound",
        "ValidationError",
    )
}


def error_class(status: int, code: str) -> type[GraphError]:
    """Which error a status and a code in our spelling make."""
    if status < 400:
        return UnexpectedAnswer
    return BY_CODE.get(code) or BY_STATUS.get(status, GraphError)
