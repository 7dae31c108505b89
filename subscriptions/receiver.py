"""Letting notifications in: known subscription, right secret, right tenant; then one commit, and Graph hears 202.

Nothing is looked into and Graph is never asked here, so the answer takes no longer than the commit. Encrypted content
is passed on after it, and never kept: its hint is held back for a moment, and looked into as any other should nobody
have opened the content by then.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

import storage
from storage import folders, gaps, hints, subscriptions
from storage.hints import ComeIn, NewHint
from storage.origins import ORIGIN
from storage.subscriptions import SubscriptionState, Watch
from subscriptions import ledger
from subscriptions.clock import Clock
from subscriptions.falling_back import guid
from subscriptions.notifications import MAX_BODY_BYTES, Change, ChangeType, Lifecycle, LifecycleEvent, Malformed, parse
from subscriptions.plan import may_reauthorize

log = logging.getLogger(__name__)
security = logging.getLogger(f"{__name__}.security")

NAMED_REFUSALS: Final = 10  # subscriptions in the line about a request
READ_AGAIN_AFTER: Final = timedelta(seconds=1)
# So long a hint waits for its content to be opened. What has not been opened by then is fetched.
HELD_FOR: Final = timedelta(seconds=30)
NO_REASONS: Final[Mapping["Reason", int]] = {}


class Reason(StrEnum):
    """Why an item is not let in."""

    MALFORMED = "malformed"
    UNKNOWN_SUBSCRIPTION = "unknown_subscription"
    FORGED_CLIENT_STATE = "forged_client_state"
    WRONG_TENANT = "wrong_tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a request's items. `ignored` are right, but of a mailbox that is not watched any more.

    `reasons` counts the refused.
    """

    kept: int
    refused: int
    ignored: int
    reasons: Mapping[Reason, int] = field(default_factory=dict, compare=False)


class Taken(NamedTuple):
    """A request whose items are all right. `done` as soon as all of them are kept, or `StorageUnavailable`."""

    done: asyncio.Future[None]
    kept: int


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
class Arrived:
    """What is to be kept of one request. `more`: those of its items that are more than a hint."""

    come_in: ComeIn
    more: Sequence[Trusted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The encrypted contents of a request, whose hints are held: all of them by subscriptions that we know, with the
    right secret. Nothing of it is proven. `size` is of the whole request, in bytes.
    """

    changes: Sequence[Trusted]
    validation_tokens: object = field(repr=False)
    size: int
    received_at: datetime


class Openings(Protocol):
    """Where encrypted contents are opened, in time and within its memory."""

    def reserve(self, size: int) -> bool:
        """Whether there is room for so many bytes; then it is the caller's, until `open` or `release`."""
        ...

    def open(self, sealed: Sealed) -> None:
        """Take it on: each of its hints will be closed, or looked into."""
        ...

    def release(self, size: int) -> None:
        """It does not come after all."""
        ...


class NoOpenings:
    """Where nothing is opened."""

    def reserve(self, size: int) -> bool:
        """There is no room."""
        return False

    def open(self, sealed: Sealed) -> None:
        """Never called."""

    def release(self, size: int) -> None:
        """Never called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """All subscriptions that are not gone, as they stood at `read_at`."""

    by_subscription_id: dict[str, Watch]
    being_created: dict[bytes, Watch]
    read_at: datetime

    def find(self, item: Change | Lifecycle, digest: bytes) -> Watch | None:
        """By id; or by the digest of the secret, for the first notifications overtake the 201 that tells the id."""
        return self.by_subscription_id.get(item.subscription_id) or self.being_created.get(digest)


class Receiver:
    """Judges what comes in and keeps it. Knows the open subscriptions by heart, as long as the store says no other.

    `longest_body` is in bytes.
    """

    def __init__(
        self,
        store: storage.Store,
        clock: Clock,
        *,
        openings: Openings = NoOpenings(),  # noqa: B008 - stateless, safe to share
        longest_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._store = store
        self._clock = clock
        self._openings = openings
        self._longest_body = longest_body
        self._watching = contextlib.ExitStack()  # for as long as the store: both live as long as the process
        self._changed = self._watching.enter_context(store.watching("subscriptions", "accounts"))
        self._reading: asyncio.Event | None = None  # set when what is being read has been read, or is not to be had
        self._open: Open | None = None

    async def receive(self, body: bytes) -> Receipt:
        """Keep what a request to either URL tells; Graph may mix both kinds.

        Raises `MalformedNotification` when it is none, and `StorageUnavailable` when it could not be kept: then
        Graph is to hear 503 and will send it again.
        """
        notifications = parse(body, longest=self._longest_body)
        known = await self._known(notifications.items)
        judged = [judge(item, known) for item in notifications.items]
        trusted = [one for one in judged if isinstance(one, Trusted)]
        watched = [one for one in trusted if is_watched(one.watch)]
        sealed = [one for one in watched if is_sealed(one)]
        if sealed and self._openings.reserve(len(body)):
            now = self._clock.now()
            await self._keep_and_open(
                watched,
                Sealed(
                    changes=sealed,
                    validation_tokens=notifications.validation_tokens,
                    size=len(body),
                    received_at=now,
                ),
            )
        elif watched:
            await self._store.write_together(keep, arrived(watched, self._clock.now()))
        log_lifecycle(watched)
        refused = [one for one in judged if isinstance(one, Refused)]
        log_refusals(refused)
        reasons = Counter(one.reason for one in refused) if refused else NO_REASONS
        ignored = len(trusted) - len(watched)
        return Receipt(kept=len(watched), refused=len(refused), ignored=ignored, reasons=reasons)

    def take(self, body: bytes, *, traceparent: str) -> Taken | None:
        """What `receive` does, where all there is to do is to keep a hint of each item; else None, and nothing is done.

        Raises what `receive` raises before it waits for anything.
        """
        known = self._open
        if known is None or self._changed.is_set():
            return None
        items = parse(body, longest=self._longest_body).items
        new: dict[NewHint, None] = {}
        for item in items:
            one = judge(item, known)
            if isinstance(one, Refused) or not is_watched(one.watch) or is_sealed(one) or is_more_than_a_hint(one):
                return None
            hint = hint_of(one)
            if hint is not None:
                new[hint] = None
        if not new:
            return None
        come_in = ComeIn(hints=tuple(new), at=self._clock.now(), traceparent=traceparent)
        return Taken(self._store.begin_together(hints.insert_all, come_in), len(items))

    async def _keep_and_open(self, watched: Sequence[Trusted], sealed: Sealed) -> None:
        now = sealed.received_at
        try:
            await self._store.write_together(keep, arrived(watched, now, held_until=now + HELD_FOR))
        except asyncio.CancelledError:  # the answer is late, and yet it may be kept: then somebody must see to it
            self._openings.open(sealed)
            raise
        except BaseException:
            self._openings.release(sealed.size)
            raise
        self._openings.open(sealed)

    async def _known(self, items: Sequence[Change | Lifecycle | Malformed]) -> Open:
        """The open subscriptions; read again when an item names another, as a second process may have made it."""
        known = await self._current(self._open)
        if any(is_strange(item, known) for item in items) and self._is_old(known):
            self._changed.set()
            known = await self._current(known)
        return known

    def _is_old(self, known: Open) -> bool:
        return abs(self._clock.now() - known.read_at) >= READ_AGAIN_AFTER

    async def _current(self, known: Open | None) -> Open:
        if known is not None and not self._changed.is_set():
            return known
        while self._open is None or self._changed.is_set():
            if self._reading is None:
                await self._read_again()
            else:  # all who wait go on at once: by a lock they would go one by one, each in a turn of the loop
                await self._reading.wait()
        return self._open

    async def _read_again(self) -> None:
        self._reading = asyncio.Event()
        self._changed.clear()
        try:
            self._open = by_heart(await self._store.read(subscriptions.watches), self._clock.now())
        except BaseException:
            self._changed.set()
            raise
        finally:
            self._reading.set()
            self._reading = None


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


def arrived(trusted: Sequence[Trusted], now: datetime, *, held_until: datetime | None = None) -> Arrived:
    """What is to be kept of one request. With `held_until` hints that bring content wait so long for it."""
    new = dict.fromkeys(hint for one in trusted if (hint := hint_of(one)) is not None)
    return Arrived(
        come_in=ComeIn(hints=tuple(new), at=now, held_until=held_until, traceparent=ORIGIN.get().traceparent),
        more=[one for one in trusted if is_more_than_a_hint(one)],
    )


def keep(tx: storage.Transaction, requests: Sequence[Arrived]) -> None:
    """Everything of these requests, in one transaction."""
    hints.insert_all(tx, [one.come_in for one in requests])
    for request in requests:
        for one in request.more:
            _keep_more(tx, one, request.come_in.at)


def _keep_more(tx: storage.Transaction, trusted: Trusted, now: datetime) -> None:
    watch, item = trusted.watch, trusted.item
    if watch.subscription.subscription_id is None:
        subscriptions.witness(tx, watch.subscription.id, item.subscription_id)
    if isinstance(item, Lifecycle):
        react(tx, watch, item.event, now)
    elif item.message_id is None:
        folders.pull_soon(tx, watch.subscription.folder_id, now)


def is_more_than_a_hint(trusted: Trusted) -> bool:
    """Whether there is something to be done beside keeping its hint, or in place of that."""
    item = trusted.item
    return isinstance(item, Lifecycle) or item.message_id is None or trusted.watch.subscription.subscription_id is None


def hint_of(trusted: Trusted) -> NewHint | None:
    """The hint that a change is. None when Graph did not say which message: then the folder is pulled all the same."""
    if not isinstance(trusted.item, Change) or trusted.item.message_id is None:
        return None
    return NewHint(
        account_id=trusted.watch.subscription.account_id,
        folder_id=trusted.watch.subscription.folder_id,
        change_type=trusted.item.change_type.value,
        message_id=trusted.item.message_id,
        held=is_sealed(trusted),
    )


def react(tx: storage.Transaction, watch: Watch, event: LifecycleEvent, now: datetime) -> None:
    """What a lifecycle event asks for, written down for the keeper and the puller.

    Source: https://learn.microsoft.com/graph/change-notifications-lifecycle-events
    """
    subscription = subscriptions.get(tx, watch.subscription.id)
    if subscription.state is SubscriptionState.GONE:
        return
    match event:
        case LifecycleEvent.SUBSCRIPTION_REMOVED:
            ledger.vanished(tx, subscription.id, now)
        case LifecycleEvent.REAUTHORIZATION_REQUIRED:
            if may_reauthorize(subscription, now):
                subscriptions.save(tx, replace(subscription, reauthorize=True, next_step_at=now))
        case LifecycleEvent.MISSED | LifecycleEvent.UNKNOWN:
            since = ledger.last_certainty(tx, subscription.folder_id, now)
            gaps.note(tx, subscription.folder_id, gaps.Reason.NOTIFICATIONS_MISSED, began_at=since, ended_at=now)
            folders.pull_soon(tx, subscription.folder_id, now)


def log_lifecycle(trusted: Sequence[Trusted]) -> None:
    """One line each: they are rare, and the first thing to look for when mail is late."""
    for one in trusted:
        if isinstance(one.item, Lifecycle):
            row_id, event = one.watch.subscription.id, one.item.event.value
            log.info("lifecycle event", extra={"subscription": row_id, "lifecycle_event": event})


def log_refusals(refused: Sequence[Refused]) -> None:
    """One line for a request, however many items it has, without anything that the sender wrote."""
    if not refused:
        return
    named = dict.fromkeys(one.row_id for one in refused if one.row_id is not None)
    security.warning(
        "notifications refused",
        extra={"why": dict(Counter(one.why for one in refused)), "subscriptions": list(named)[:NAMED_REFUSALS]},
    )
