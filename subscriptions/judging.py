"""Whether an item of a notification is to be believed: a subscription that we know, its secret, its tenant.

Anybody can find the door. So an item is compared with what we know by heart, nothing of it is looked into before, and
what it says beyond that is only ever a reason to ask Graph.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.subscriptions import SubscriptionState, Watch
from subscriptions.falling_back import guid
from subscriptions.notifications import Change, ChangeType, Lifecycle, Malformed


class Reason(StrEnum):
    """Why an item is not let in."""

    MALFORMED = "malformed"
    UNKNOWN_SUBSCRIPTION = "unknown_subscription"
    FORGED_CLIENT_STATE = "forged_client_state"
    WRONG_TENANT = "wrong_tenant"


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is not let in. `row_id` is ours, and None where the item names nothing of ours."""

    reason: Reason
    why: str
    row_id: str | None = None


@dataclass(frozen=True, slots=True)
class Trusted:
    """An item that only Graph can have sent, and the subscription that it came by."""

    watch: Watch
    item: Change | Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """All subscriptions that are not gone, as they stood at `read_at`."""

    by_subscription_id: dict[str, Watch]
    being_created: dict[bytes, Watch]
    read_at: datetime

    def find(self, item: Change | Lifecycle, digest: bytes) -> Watch | None:
        """By id; or by the digest of the secret, for the first notifications overtake the 201 that tells the id."""
        return self.by_subscription_id.get(item.subscription_id) or self.being_created.get(digest)


def by_heart(watches: Sequence[Watch], now: datetime) -> Open:
    """The open subscriptions, to be found by Graph's id or by secret."""
    return Open(
        by_subscription_id={
            watch.subscription.subscription_id: watch
            for watch in watches
            if watch.subscription.subscription_id is not None
        },
        being_created={
            watch.subscription.client_state_digest: watch
            for watch in watches
            if watch.subscription.state is SubscriptionState.CREATING and watch.subscription.subscription_id is None
        },
        read_at=now,
    )


def digest_of(item: Change | Lifecycle) -> bytes:
    """What is stored of a `clientState`."""
    return hashlib.sha256(item.client_state.encode()).digest()


def is_strange(item: Change | Lifecycle | Malformed, known: Open) -> bool:
    """Whether an item names a subscription that we do not know of."""
    if isinstance(item, Malformed) or item.subscription_id in known.by_subscription_id:
        return False
    return digest_of(item) not in known.being_created


def judge(item: Change | Lifecycle | Malformed, known: Open) -> Trusted | Refused:
    """Whether an item is to be believed. The secret is compared in constant time."""
    if isinstance(item, Malformed):
        return Refused(Reason.MALFORMED, item.why)
    digest = digest_of(item)
    watch = known.find(item, digest)
    if watch is None:
        return Refused(Reason.UNKNOWN_SUBSCRIPTION, "the subscription is not ours")
    subscription = watch.subscription
    if not hmac.compare_digest(digest, subscription.client_state_digest):
        return Refused(Reason.FORGED_CLIENT_STATE, "clientState is not the subscription's", subscription.id)
    if not is_same_tenant(watch.tenant_id, item.tenant_id):
        return Refused(Reason.WRONG_TENANT, "tenantId is not the account's", subscription.id)
    return Trusted(watch, item)


def is_same_tenant(ours: str | None, theirs: str | None) -> bool:
    """Whether an item's `tenantId`, when it has one, is the account's, when that is an id and not a domain name."""
    if ours is None or theirs is None or ours == theirs or (tenant_id := guid(ours)) is None:
        return True
    return guid(theirs) == tenant_id


def is_watched(watch: Watch) -> bool:
    """Whether anybody still wants to know."""
    return watch.validated and watch.subscription.state is not SubscriptionState.REMOVING


def is_sealed(trusted: Trusted) -> bool:
    """Whether it brings content that was encrypted for us. What a plain subscription brings is not looked at."""
    item = trusted.item
    return (
        isinstance(item, Change)
        and item.encrypted_content is not None
        and item.message_id is not None
        and item.change_type is not ChangeType.DELETED
        and trusted.watch.subscription.is_rich
    )
