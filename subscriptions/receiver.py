"""Letting notifications in: known subscription, right secret, right tenant; then one commit, and Graph hears 202.

Nothing is looked into and Graph is never asked here, so the answer takes no longer than the commit. Encrypted content
is passed on after it, and never kept: its hint is held back for a moment, and looked into as any other should nobody
have opened the content by then.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import storage
from storage import hints, subscriptions
from storage.hints import ComeIn, NewHint
from subscriptions.arrivals import arrived, hint_of, is_more_than_a_hint, keep
from subscriptions.clock import Clock
from subscriptions.judging import Open, Reason, Refused, Trusted, by_heart, is_sealed, is_strange, is_watched, judge
from subscriptions.notifications import MAX_BODY_BYTES, Change, Lifecycle, Malformed, parse

log = logging.getLogger(__name__)
security = logging.getLogger(f"{__name__}.security")

NAMED_REFUSALS: Final = 10  # subscriptions in the line about a request
READ_AGAIN_AFTER: Final = timedelta(seconds=1)
# So long a hint waits for its content to be opened. What has not been opened by then is fetched.
HELD_FOR: Final = timedelta(seconds=30)
NO_REASONS: Final[Mapping[Reason, int]] = {}


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
