"""What a report says."""

from dataclasses import dataclass
from enum import StrEnum


class Nature(StrEnum):
    """What a report is about."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    READ = "read"
    NOT_READ = "not_read"
    COMPLAINT = "complaint"


class Action(StrEnum):
    """What became of a letter on its way to one recipient: RFC 3464 section 2.3.3, mildest first."""

    DELIVERED = "delivered"
    EXPANDED = "expanded"
    RELAYED = "relayed"
    DELAYED = "delayed"
    FAILED = "failed"


# The gravest of a report's actions says what it is: MS-OXCMAIL 2.2.3.7.1.1.
GRAVITY: tuple[Action, ...] = tuple(Action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Of one recipient. `addresses`: as the letter named it and as it was in the end, one of them or both.

    `status` is an enhanced status code (RFC 3463), `diagnostic` what the other mail system answered.
    """

    addresses: tuple[str, ...]
    action: Action
    status: str | None = None
    diagnostic: str | None = None

    @property
    def is_permanent(self) -> bool | None:
        """None when the report does not say: RFC 3463 section 3, the first figure."""
        return None if self.status is None else self.status.startswith("5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`message_ids`: which message it is about, if it says; `send_uid`: the same by our own header.

    `is_formal`: its recipients stand in fields. Those of prose are every address that is mentioned, so some of them
    may be no recipient of the letter.
    """

    nature: Nature
    deliveries: tuple[Delivery, ...] = ()
    message_ids: tuple[str, ...] = ()
    send_uid: str | None = None
    is_formal: bool = False

    def of_action(self, action: Action) -> tuple[Delivery, ...]:
        """Those recipients of whom it says this."""
        return tuple(one for one in self.deliveries if one.action is action)
