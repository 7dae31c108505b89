"""What an app may ask of its mailboxes, kept before Graph has to object. For one event loop.

Every call that concerns a mailbox is admitted by its budget: it waits for a place among the calls under way, and
until the requests and bytes of the last minutes and Graph's own Retry-After let it go. What would wait too long is
told so at once (OverBudget) and goes back to the caller's table.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from .clock import Clock
from .errors import OverBudget
from .window import Window

LONGEST_WAIT: Final = timedelta(seconds=10)  # until time lets a call go
LONGEST_QUEUE: Final = timedelta(seconds=30)  # until it is a call's turn and its places are free
REQUESTS_BUCKET: Final = timedelta(seconds=10)
UPLOAD_BUCKET: Final = timedelta(seconds=5)
MANY_BUDGETS: Final = 1_000  # from here on, idle ones are forgotten

NO_WAIT: Final = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What Outlook grants one app in one mailbox.

    Source: https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
    """

    at_once: int = 4
    requests: int = 10_000
    requests_window: timedelta = timedelta(minutes=10)
    upload_bytes: int = 150_000_000
    upload_window: timedelta = timedelta(minutes=5)


OUTLOOK: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a mailbox may still be asked. `closed_until` is there while Graph's Retry-After lasts."""

    places: int
    requests: int
    upload_bytes: int
    closed_until: datetime | None


class SpendingKind(StrEnum):
    REQUESTS = "requests"
    UPLOAD_BYTES = "upload_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """How much was spent within a few seconds, from `bucket` on."""

    kind: SpendingKind
    bucket: datetime
    amount: int


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    weight: int
    ready: asyncio.Future[None]


class MailboxBudget:
    """One mailbox's. Calls are let in in the order they came; who gives up lets the next go."""

    def __init__(self, clock: Clock, limits: Limits = OUTLOOK, *, longest_queue: timedelta = LONGEST_QUEUE) -> None:
        self._clock = clock
        self._limits = limits
        self._longest_queue = longest_queue
        self._free = limits.at_once
        self._line: deque[Waiter] = deque()
        self._closed_until: datetime | None = None
        self._requests = Window(limits.requests, limits.requests_window, REQUESTS_BUCKET)
        self._uploads = Window(limits.upload_bytes, limits.upload_window, UPLOAD_BUCKET)
        self._windows = {SpendingKind.REQUESTS: self._requests, SpendingKind.UPLOAD_BYTES: self._uploads}

    @asynccontextmanager
    async def admitted(self, *, items: int = 1, upload_bytes: int = 0) -> AsyncIterator[None]:
        """Within it, a call of `items` requests may be under way; Graph runs a batch's items 4 at a time.

        Raises OverBudget before anything is sent. Counts whatever becomes of the call.
        Source: https://learn.microsoft.com/graph/throttling-limits, on JSON batching
        """
        weight = min(items, self._limits.at_once)
        wait = self._wait(items, upload_bytes)
        if wait > LONGEST_WAIT:
            raise OverBudget("the mailbox is given a rest", retry_after=wait)
        if wait or self._line or weight > self._free:
            await self._queue(weight, items, upload_bytes)
        else:
            self._take(weight, items, upload_bytes)
        try:
            yield
        finally:
            self._free += weight
            self._serve()

    def closed_for(self, retry_after: timedelta) -> None:
        """Let nobody in before this is over: calls made meanwhile count against us.

        Source: https://learn.microsoft.com/graph/throttling
        """
        until = self._clock.now() + retry_after
        self._closed_until = max(until, self._closed_until or until)

    def left(self, now: datetime) -> Left:
        is_closed = self._closed_until is not None and now < self._closed_until
        return Left(
            places=self._free,
            requests=self._requests.left(second_of(now)),
            upload_bytes=self._uploads.left(second_of(now)),
            closed_until=self._closed_until if is_closed else None,
        )

    def spent(self) -> list[Spending]:
        """What still counts, for who keeps it over a restart."""
        second = second_of(self._clock.now())
        return [
            Spending(kind=kind, bucket=datetime.fromtimestamp(begins, UTC), amount=amount)
            for kind, window in self._windows.items()
            for begins, amount in window.spent(second)
        ]

    def take_back(self, spendings: Iterable[Spending]) -> None:
        """Count what was spent before a restart, beside what has been spent since."""
        for spending in spendings:
            self._windows[spending.kind].take_back(second_of(spending.bucket), spending.amount)

    def is_idle(self, now: datetime) -> bool:
        """Whether a fresh budget would do as well."""
        limits = self._limits
        everything = Left(
            places=limits.at_once, requests=limits.requests, upload_bytes=limits.upload_bytes, closed_until=None
        )
        return not self._line and self.left(now) == everything

    async def _queue(self, weight: int, items: int, upload_bytes: int) -> None:
        """Stand in line; the first keeps its turn until it is let in or gives up."""
        waiter = Waiter(weight, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        self._serve()
        try:
            await self._turn(waiter)
            await self._time(items, upload_bytes)
            self._take(weight, items, upload_bytes)  # with no await since, so nothing is taken in vain
        finally:
            self._line.remove(waiter)
            self._serve()

    async def _turn(self, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(self._longest_queue.total_seconds()):
                await waiter.ready
        except TimeoutError:
            raise OverBudget("the mailbox is busy", retry_after=LONGEST_WAIT) from None

    async def _time(self, items: int, upload_bytes: int) -> None:
        deadline = self._clock.now() + LONGEST_WAIT
        while wait := self._wait(items, upload_bytes):
            if self._clock.now() + wait > deadline:
                raise OverBudget("the mailbox is given a rest", retry_after=wait)
            await self._clock.sleep(wait)

    def _serve(self) -> None:
        """Tell the first in line as soon as its places are free. Nobody else can take them meanwhile."""
        if self._line and self._line[0].weight <= self._free and not self._line[0].ready.done():
            self._line[0].ready.set_result(None)

    def _wait(self, items: int, upload_bytes: int) -> timedelta:
        """How long, from now, until time lets this call go."""
        now = self._clock.now()
        second = second_of(now)
        free_at = max(self._requests.free_at(second, items), self._uploads.free_at(second, upload_bytes))
        wait = datetime.fromtimestamp(free_at, UTC) - now if free_at > second else NO_WAIT
        return wait if self._closed_until is None else max(wait, self._closed_until - now, NO_WAIT)

    def _take(self, weight: int, items: int, upload_bytes: int) -> None:
        self._free -= weight
        second = second_of(self._clock.now())
        self._requests.spend(second, items)
        self._uploads.spend(second, upload_bytes)


class Budgets:
    """The budgets of one app's mailboxes, each made when it is first asked for.

    A mailbox has one for its id and one for its address: call it always the same, or its limits count double.
    """

    def __init__(self, clock: Clock, limits: Limits = OUTLOOK) -> None:
        self._clock = clock
        self._limits = limits
        self._of: dict[str, MailboxBudget] = {}
        self._sweep_at = MANY_BUDGETS

    def of(self, user: str) -> MailboxBudget:
        key = user.casefold()
        if (budget := self._of.get(key)) is None:
            self._forget_idle()
            budget = self._of[key] = MailboxBudget(self._clock, self._limits)
        return budget

    def all(self) -> Mapping[str, MailboxBudget]:
        """By user, in lower case."""
        return MappingProxyType(self._of)

    def _forget_idle(self) -> None:
        if len(self._of) < self._sweep_at:
            return
        now = self._clock.now()
        for user in [user for user, budget in self._of.items() if budget.is_idle(now)]:
            del self._of[user]
        self._sweep_at = max(MANY_BUDGETS, 2 * len(self._of))


def second_of(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down."""
    return int(moment.timestamp())
