"""The kinds of error that a caller can meet: each with a stable name, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """A kind of error. `meaning` says what it is and what to do about it, for developers of the host application."""

    name: str
    status: HTTPStatus
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The `type` of the problem: a reference relative to this server."""
        return f"/problems/{self.name}"


def _type(name: str, status: HTTPStatus, title: str, meaning: str) -> ProblemType:
    return ProblemType(name=name, status=status, title=title, meaning=meaning)


BAD_REQUEST: Final = _type(
    "bad-request",
    HTTPStatus.BAD_REQUEST,
    "The request cannot be read",
    "The request is not well-formed HTTP, or not what this address takes. `detail` says what is wrong.",
)
MALFORMED_JSON: Final = _type(
    "malformed-json",
    HTTPStatus.BAD_REQUEST,
    "The body is not JSON",
    "The body must be one JSON document in UTF-8 (RFC 8259): no NaN, no duplicate names, no lone surrogates, not "
    "deeper than 1,000 levels. `detail` says where reading stopped.",
)
NOT_AUTHENTICATED: Final = _type(
    "not-authenticated",
    HTTPStatus.UNAUTHORIZED,
    "An API key is needed",
    "Send `Authorization: Bearer <key>` with a live API key. A revoked key is refused from that moment on."
    " So is one whose time is over.",
)
MISSING_SCOPE: Final = _type(
    "missing-scope",
    HTTPStatus.FORBIDDEN,
    "The API key may not do this",
    "The key is good, but lacks the scope that this route needs. `detail` names it. Create a key that has it.",
)
ADDRESS_NOT_ALLOWED: Final = _type(
    "address-not-allowed",
    HTTPStatus.FORBIDDEN,
    "The API key may not be used from here",
    "The key is good, but is held to other addresses. `detail` names the address that the request came from; behind a "
    "proxy, the gateway's operator names the proxy by the setting GATEWAY_TRUSTED_PROXIES.",
)
LIMITED_KEY: Final = _type(
    "limited-key",
    HTTPStatus.FORBIDDEN,
    "The API key is held to mailboxes",
    "This tells of the whole account, or is a page for people: that is closed to a key that is held to some mailboxes. "
    "Use a key without mailboxes.",
)
MORE_THAN_ITS_MAKER: Final = _type(
    "more-than-its-maker",
    HTTPStatus.FORBIDDEN,
    "A key cannot make a key that may do more",
    "The new key may have the scopes of the key that makes it, its addresses and its life, or less. `errors` says what "
    "would be more.",
)
NOT_FOUND: Final = _type(
    "not-found",
    HTTPStatus.NOT_FOUND,
    "There is no such thing",
    "There is nothing at this address, or it belongs to another account: the two are not told apart.",
)
METHOD_NOT_ALLOWED: Final = _type(
    "method-not-allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This address does not take that method",
    "The `Allow` header lists the methods that this address takes.",
)
CONFLICT: Final = _type(
    "conflict",
    HTTPStatus.CONFLICT,
    "That is not possible in the present state",
    "What was asked does not fit the state the thing is in, such as cancelling a letter that has left. Read it again.",
)
ALREADY_EXISTS: Final = _type(
    "already-exists",
    HTTPStatus.CONFLICT,
    "It is already there",
    "Something with this name or address exists. Use that one.",
)
NOT_CONNECTED: Final = _type(
    "not-connected",
    HTTPStatus.CONFLICT,
    "The account is not connected to Microsoft 365",
    "Tenant id, client id or client secret are missing. Enter them by `PUT /v1/account` or on the settings page.",
)
BODY_TOO_LARGE: Final = _type(
    "body-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large",
    "`detail` gives the limit in bytes. Nothing of the request was kept.",
)
UNSUPPORTED_MEDIA_TYPE: Final = _type(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The body must be JSON",
    "Send `Content-Type: application/json`, in UTF-8 and without `Content-Encoding`. Only files have another type.",
)
INVALID_REQUEST: Final = _type(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The request has values that cannot be taken",
    "`errors` lists every bad value: `in` says where it stood (body, query, path or header), `pointer` (RFC 6901) "
    "which one, `detail` what is wrong with it. Nothing of the request was kept.",
)
IDEMPOTENCY_KEY_REUSED: Final = _type(
    "idempotency-key-reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "This Idempotency-Key was used for another letter",
    "The same key with the same body gets the same answer; with another body it is refused. Use a fresh key for "
    "each letter.",
)
CREDENTIAL_REFUSED: Final = _type(
    "credential-refused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Entra does not accept this credential",
    "The credential was tried and Entra gave no token by it; `detail` says why and what to do. What served before "
    "serves on.",
)
UNKNOWN_MAILBOX: Final = _type(
    "unknown-mailbox",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The sender is not a mailbox of this account",
    "Letters come from mailboxes that were added and validated. `GET /v1/mailboxes` lists them.",
)
MAILBOX_NOT_VALIDATED: Final = _type(
    "mailbox-not-validated",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The sender's mailbox is not validated",
    "The mailbox is known, but it was never proved to work, or it failed. Validate it, then post the letter again.",
)
UNKNOWN_ORIGINAL: Final = _type(
    "unknown-original",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The message to answer cannot be answered",
    "`in_reply_to` names a message of either direction that stands in a thread, in the mailbox that the answer is "
    "sent from, and that has left if it is a letter. `detail` says what is amiss.",
)
UNKNOWN_FILE: Final = _type(
    "unknown-file",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "An attachment names a file that is not here",
    "Files are uploaded by `POST /v1/files` and kept for a day, or as long as a letter needs them. Upload it again.",
)
TOO_MANY_REQUESTS: Final = _type(
    "too-many-requests",
    HTTPStatus.TOO_MANY_REQUESTS,
    "The API key has made too many requests",
    "Send it again after `Retry-After` seconds, with the same Idempotency-Key. The headers `RateLimit` and "
    "`RateLimit-Policy` of every answer say how many requests are left. A batch of letters is one request.",
)
LETTER_TOO_LARGE: Final = _type(
    "letter-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The attachments together are too large",
    "`detail` gives the limit in bytes. Nothing of the letter was kept; its uploaded files are.",
)
TOO_MUCH_WAITING: Final = _type(
    "too-much-waiting",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "Too much that was uploaded waits for a letter",
    "Files are kept for a day until a letter names them, and not without bounds. Post the letters, or upload later.",
)
INTERNAL_ERROR: Final = _type(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The gateway made a mistake",
    "This is a fault of the gateway. Give its operator the `instance`: the log has the rest under that id.",
)
MICROSOFT_365: Final = _type(
    "microsoft-365",
    HTTPStatus.BAD_GATEWAY,
    "Microsoft 365 did not do what was asked",
    "Microsoft Graph or Entra refused or could not be reached. `POST /v1/account/check` says what is wrong and how "
    "to cure it.",
)
MICROSOFT_365_BUSY: Final = _type(
    "microsoft-365-busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Microsoft 365 cannot be asked now",
    "Microsoft Graph is busy, asks for patience, or cannot be reached at the moment. Try again after `Retry-After` "
    "seconds.",
)
GONE_FROM_MAILBOX: Final = _type(
    "gone-from-mailbox",
    HTTPStatus.NOT_FOUND,
    "The mailbox no longer has it",
    "Attachments stay in the mailbox. Somebody deleted the message or the attachment there, or moved it to where "
    "Microsoft Graph does not find it.",
)
KEPT_ELSEWHERE: Final = _type(
    "kept-elsewhere",
    HTTPStatus.CONFLICT,
    "The attachment is a link",
    "It leads to a file in the cloud, which its sender has shared. The mailbox has no bytes of it.",
)
DISK_NEARLY_FULL: Final = _type(
    "disk-nearly-full",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The gateway's disk is nearly full",
    "`detail` says how much is free and how much is wanted. Nothing of the request was kept: send it again after "
    "`Retry-After` seconds, with the same Idempotency-Key. Letters that were accepted leave, replies come in, and all "
    "can be read; the gateway's operator must make room.",
)
UNAVAILABLE: Final = _type(
    "unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The gateway cannot do this now",
    "Nothing of the request was kept. Send it again after `Retry-After` seconds, with the same Idempotency-Key.",
)

TYPES: Final[Mapping[str, ProblemType]] = {
    one.name: one
    for one in (
        BAD_REQUEST,
        MALFORMED_JSON,
        NOT_AUTHENTICATED,
        MISSING_SCOPE,
        ADDRESS_NOT_ALLOWED,
        LIMITED_KEY,
        MORE_THAN_ITS_MAKER,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        ALREADY_EXISTS,
        NOT_CONNECTED,
        BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        INVALID_REQUEST,
        IDEMPOTENCY_KEY_REUSED,
        CREDENTIAL_REFUSED,
        UNKNOWN_MAILBOX,
        MAILBOX_NOT_VALIDATED,
        UNKNOWN_ORIGINAL,
        UNKNOWN_FILE,
        TOO_MANY_REQUESTS,
        LETTER_TOO_LARGE,
        TOO_MUCH_WAITING,
        INTERNAL_ERROR,
        MICROSOFT_365,
        MICROSOFT_365_BUSY,
        GONE_FROM_MAILBOX,
        KEPT_ELSEWHERE,
        DISK_NEARLY_FULL,
        UNAVAILABLE,
    )
}
