"""What can be done next with what an answer gives: the links of the OpenAPI document.

https://spec.openapis.org/oas/v3.1.1#link-object
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

OF_MESSAGE: Final = ("get-messages-one", "post-messages-cancel", "post-messages-move", "post-messages-unlink")
OF_THREAD: Final = (
    "get-threads-one",
    "post-threads-replies",
    "post-threads-objects",
    "post-threads-read",
    "post-threads-unread",
)
OF_BATCH: Final = ("get-batches-one", "post-batches-cancel")
OF_REVIEW: Final = ("post-reviews-accept", "post-reviews-dismiss")
OF_MAILBOX: Final = (
    "get-mailboxes-one",
    "delete-mailboxes-one",
    "post-mailboxes-validate",
    "post-mailboxes-test-message",
)
OF_WEBHOOK: Final = (
    "get-webhooks-one",
    "delete-webhooks-one",
    "post-webhooks-rotate-secret",
    "post-webhooks-enable",
    "post-webhooks-test",
    "get-webhooks-deliveries",
)
UNDOING: Final = ("post-acts-undo",)

# By operation: where in its answer something is named, as which parameter it goes on, and to which operations.
LINKS: Final[Mapping[str, Sequence[tuple[str, str, Sequence[str]]]]] = {
    "post-messages": (("/id", "id", OF_MESSAGE), ("/thread_id", "id", OF_THREAD)),
    "get-messages": (("/items/0/id", "id", (*OF_MESSAGE, "post-messages-retry", "post-messages-close")),),
    "post-batches": (("/id", "id", OF_BATCH), ("/messages/0", "id", OF_MESSAGE)),
    "get-batches": (("/items/0/id", "id", OF_BATCH),),
    "post-files": (("/id", "id", ("get-files-one",)),),
    "post-threads": (("/id", "id", OF_THREAD),),
    "get-threads": (("/items/0/id", "id", OF_THREAD),),
    "post-threads-replies": (("/id", "id", OF_MESSAGE),),
    "get-reviews": (("/items/0/id", "id", OF_REVIEW),),
    "post-reviews-accept": (("/id", "id", UNDOING),),
    "post-reviews-dismiss": (("/id", "id", UNDOING),),
    "post-messages-move": (("/id", "id", UNDOING),),
    "post-messages-unlink": (("/id", "id", UNDOING),),
    "post-mailboxes": (("/address", "address", OF_MAILBOX),),
    "get-mailboxes": (("/items/0/address", "address", OF_MAILBOX),),
    "post-mailboxes-test-message": (("/id", "id", OF_MESSAGE),),
    "post-webhooks": (("/id", "id", OF_WEBHOOK),),
    "get-webhooks": (("/items/0/id", "id", OF_WEBHOOK),),
    "get-erasures": (("/items/0/id", "id", ("get-erasures-one",)),),
    "post-keys": (("/id", "id", ("delete-keys-one",)),),
}


def links_of(operation_id: str) -> dict[str, Any]:
    """As they stand in the answer."""
    return {
        target: {"operationId": target, "parameters": {name: f"$response.body#{place}"}}
        for place, name, targets in LINKS.get(operation_id, ())
        for target in targets
    }
