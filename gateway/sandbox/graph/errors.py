"""Graph's refusals: status, code and message as the service words them (the tests hold the real bodies)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.sandbox.limits import Limit, OverLimit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphError(Exception):
    """Answered as `{"error": {"code", "message", "innerError"}}`."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a request body, after base64."""


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    return GraphError(status=400, code=code, message=message)


def invalid_token(message: str = "Access token has expired or is not yet valid.") -> GraphError:
    challenge = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="/common/oauth2/authorize"'}
    return GraphError(status=401, code="InvalidAuthenticationToken", message=message, headers=challenge)


def no_permissions() -> GraphError:
    return GraphError(
        status=401,
        code="NoPermissionsInAccessToken",
        message="The token contains no permissions, or permissions can not be understood.",
    )


def access_denied() -> GraphError:
    return GraphError(
        status=403, code="ErrorAccessDenied", message="Access is denied. Check credentials and try again."
    )


def blocked_by_policy() -> GraphError:
    return GraphError(status=403, code="ErrorAccessDenied", message="Access to OData is disabled.")


def insufficient_privileges() -> GraphError:
    return GraphError(
        status=403,
        code="Authorization_RequestDenied",
        message="Insufficient privileges to complete the operation.",
    )


def no_such_user(reference: str) -> GraphError:
    return GraphError(
        status=404,
        code="Request_ResourceNotFound",
        message=f"Resource '{reference}' does not exist or one of its queried reference-property objects are not "
        "present.",
    )


def invalid_user(reference: str) -> GraphError:
    return GraphError(status=404, code="ErrorInvalidUser", message=f"The requested user '{reference}' is invalid.")


def mailbox_not_enabled() -> GraphError:
    return GraphError(
        status=404,
        code="MailboxNotEnabledForRESTAPI",
        message="The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )


def item_not_found() -> GraphError:
    return GraphError(status=404, code="ErrorItemNotFound", message="The specified object was not found in the store.")


def malformed_id() -> GraphError:
    return bad_request("Id is malformed.", "ErrorInvalidIdMalformed")


def no_such_segment(segment: str) -> GraphError:
    return bad_request(f"Resource not found for the segment '{segment}'.")


def method_not_allowed() -> GraphError:
    return GraphError(
        status=405,
        code="Request_BadRequest",
        message="Specified HTTP method is not allowed for the request target.",
    )


def too_long() -> GraphError:
    return GraphError(status=413, code="BadRequest", message="The maximum request length supported is 4MB.")


def throttled(over: OverLimit) -> GraphError:
    """429 with `Retry-After` in whole seconds (concepts/throttling)."""
    headers = {"Retry-After": str(max(1, math.ceil(over.wait.total_seconds())))}
    if over.limit is Limit.CONCURRENCY:
        message = "Application is over its MailboxConcurrency limit."
        return GraphError(status=429, code="ApplicationThrottled", message=message, headers=headers)
    return GraphError(status=429, code="TooManyRequests", message="Please retry again later.", headers=headers)


def unreadable_json() -> GraphError:
    return bad_request(
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON "
        "format."
    )


def unknown_property(name: str, type_name: str) -> GraphError:
    return bad_request(
        f"The property '{name}' does not exist on type 'microsoft.graph.{type_name}'. "
        "Make sure to only use property names that are defined by the type or mark the type as open type.",
        "RequestBodyRead",
    )


def wrong_type(name: str, expected: str) -> GraphError:
    return bad_request(
        f"Property {name} in payload has a value that does not match schema: '{expected}' is expected.",
        "RequestBodyRead",
    )


def read_only(name: str) -> GraphError:
    return bad_request(f"Set action is invalid for property '{name}'.", "ErrorInvalidPropertySet")


def no_such_select(name: str, type_name: str) -> GraphError:
    return bad_request(
        f"Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.", "RequestBroker--ParseUri"
    )


def invalid_filter() -> GraphError:
    return bad_request("The query filter contains one or more invalid nodes.", "ErrorInvalidUrlQueryFilter")


def invalid_query(message: str) -> GraphError:
    return bad_request(message, "ErrorInvalidUrlQuery")


def inefficient_filter() -> GraphError:
    return bad_request("The restriction or sort order is too complex for this operation.", "InefficientFilter")


def no_recipients() -> GraphError:
    return bad_request(
        "At least one recipient isn't valid., A message can't be sent because it contains no recipients.",
        "ErrorInvalidRecipients",
    )


def unresolved_recipient(address: str) -> GraphError:
    return bad_request(
        f"At least one recipient isn't valid., Recipient \"{address}\" isn't resolved. "
        "All recipients must be resolved before a message can be submitted.",
        "ErrorInvalidRecipients",
    )


def send_as_denied() -> GraphError:
    return GraphError(
        status=403,
        code="ErrorSendAsDenied",
        message="The user account which was used to submit this request does not have the right to send mail on "
        "behalf of the specified sending account. Cannot submit message.",
    )


def too_many_headers() -> GraphError:
    return bad_request(
        "Maximum number of headers in one message should be less than or equal to 5.",
        "InvalidInternetMessageHeaderCollection",
    )


def bad_header_name(name: str) -> GraphError:
    return bad_request(
        f"The internet message header name '{name}' should start with 'x-' or 'X-'.", "InvalidInternetMessageHeader"
    )


def attachment_too_small() -> GraphError:
    return bad_request(
        "Attachment size must be greater than the minimum size.", "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
    )


def message_too_large() -> GraphError:
    return GraphError(
        status=413, code="ErrorMessageSizeExceeded", message="The message exceeds the maximum supported size."
    )


def bad_mime() -> GraphError:
    return bad_request("Invalid base64 string for MIME content.", "ErrorMimeContentInvalidBase64String")


def sync_state_not_found(generation: int, highest: int, empty_link: str) -> GraphError:
    return GraphError(
        status=410,
        code="SyncStateNotFound",
        message=f"The sync state generation is not found; generation={generation};[highest={highest}][{highest}].",
        headers={"Location": empty_link},
    )


def subscription_gone() -> GraphError:
    return GraphError(status=404, code="ResourceNotFound", message="The object was not found.")


def subscription_exists(subscription_id: str) -> GraphError:
    return GraphError(
        status=409,
        code="Conflict",
        message=f"Subscription Id {subscription_id} already exists for the requested combination",
    )


def extension_error(reason: str, *, status: int = 400, operation: str = "Create") -> GraphError:
    name = {400: "BadRequest", 403: "Forbidden", 404: "NotFound"}[status]
    return GraphError(
        status=status,
        code="ExtensionError",
        message=f"Operation: {operation}; Exception: [Status Code: {name}; Reason: {reason}]",
    )
