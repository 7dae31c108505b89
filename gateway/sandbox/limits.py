"""What one app may do in one mailbox, and what a mailbox may send; the count of what was refused or had to wait.

The figures are fields of `Behaviour`; a limit that is None is not kept. What a client is refused counts as used all the
same: "Microsoft Graph continues to log resource usage while a client is being throttled" (concepts/throttling).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import Clock
from gateway.sandbox.model import User

REQUESTS_SPAN: Final = timedelta(minutes=10)
UPLOAD_SPAN: Final = timedelta(minutes=5)
LETTERS_SPAN: Final = timedelta(minutes=1)
RECIPIENTS_SPAN: Final = timedelta(days=1)
A_MOMENT: Final = timedelta(seconds=1)
"""What to wait after too many at once. Graph's own figure is not documented; an example prints 10."""


class Limit(StrEnum):
    """What can run out."""

    CONCURRENCY = "concurrency"
    REQUESTS = "requests"
    UPLOAD = "upload"
    RECIPIENTS = "recipients"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OverLimit(Exception):
    """A call that comes too soon: after `wait` there is room for it, if nobody else takes it."""

    limit: Limit
    wait: timedelta


class Window:
    """What was used within a span that slides, to the second: no more entries than the span has seconds."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._used: deque[tuple[datetime, int]] = deque()
        self._total = 0

    def use(self, amount: int, now: datetime) -> None:
        second = now.replace(microsecond=0)
        if self._used and self._used[-1][0] == second:
            amount_before = self._used.pop()[1]
            self._used.append((second, amount_before + amount))
        else:
            self._used.append((second, amount))
        self._total += amount

    def has_room(self, amount: int, limit: int, now: datetime) -> bool:
        """Whether `amount` more stays within `limit`."""
        while self._used and self._used[0][0] + self._span <= now:
            self._total -= self._used.popleft()[1]
        return self._total + amount <= limit

    def wait(self, amount: int, limit: int, now: datetime) -> timedelta:
        """How long until there is room for `amount`; the whole span if there never is."""
        excess = self._total + amount - limit
        for second, used in self._used:
            excess -= used
            if excess <= 0:
                return second + self._span - now
        return self._span


@dataclass(slots=True, kw_only=True)
class Use:
    """What one app does in one mailbox. A call is in flight while a `with` block over it lasts."""

    in_flight: int = 0
    requests: Window = field(default_factory=lambda: Window(REQUESTS_SPAN))
    uploaded: Window = field(default_factory=lambda: Window(UPLOAD_SPAN))

    def __enter__(self) -> None:
        self.in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1


class Limits:
    """Keeps the limits of all mailboxes. None of its answers takes longer the more there was before."""

    def __init__(self, *, clock: Clock, behaviour: Callable[[], Behaviour]) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._uses: dict[tuple[str, str], Use] = {}
        self._recipients: dict[str, Window] = {}
        self._departures: dict[str, deque[datetime]] = {}
        self.busiest: dict[str, int] = {}
        """By address, the most calls of one app that were ever in flight there together, refused ones included."""
        self.refused = dict.fromkeys(Limit, 0)
        self.carried_over = 0
        """Letters that left later because their minute was full."""

    def call(self, app_id: str, user: User, *, uploaded_bytes: int) -> Use:
        """A call through Graph's own host, to be held in flight. Raises OverLimit."""
        use = self._use(app_id, user)
        self.busiest[user.mail] = max(self.busiest.get(user.mail, 0), use.in_flight + 1)
        self._take(Limit.REQUESTS, use.requests, 1, self._behaviour().requests_per_10_minutes)
        self._take(Limit.UPLOAD, use.uploaded, uploaded_bytes, self._behaviour().upload_bytes_per_5_minutes)
        most = self._behaviour().mailbox_concurrency
        if most is not None and use.in_flight >= most:
            raise self._refusal(Limit.CONCURRENCY, A_MOMENT)
        return use

    def upload(self, app_id: str, user: User, size_bytes: int) -> None:
        """Bytes that come by an upload URL: another host, so only they count. Raises OverLimit."""
        use = self._use(app_id, user)
        self._take(Limit.UPLOAD, use.uploaded, size_bytes, self._behaviour().upload_bytes_per_5_minutes)

    def departure(self, user: User) -> datetime:
        """When the next letter of this mailbox leaves: now, or in the first minute after that has room for it."""
        now, most = self._clock.now(), self._behaviour().letters_per_minute
        if most is None:
            return now
        before = self._departures.get(user.id, deque())
        if before.maxlen != most:
            before = self._departures[user.id] = deque(before, maxlen=most)
        leaves = max(now, before[0] + LETTERS_SPAN) if len(before) == most else now
        before.append(leaves)
        self.carried_over += leaves > now
        return leaves

    def may_reach(self, user: User, recipients: int) -> bool:
        """Whether this mailbox may write to so many more people today; they count if it may."""
        now, most = self._clock.now(), self._behaviour().recipients_per_day
        if most is None:
            return True
        window = self._recipients.setdefault(user.id, Window(RECIPIENTS_SPAN))
        if not window.has_room(recipients, most, now):
            self.refused[Limit.RECIPIENTS] += 1
            return False
        window.use(recipients, now)
        return True

    def _use(self, app_id: str, user: User) -> Use:
        key = (app_id, user.id)
        found = self._uses.get(key)
        if found is None:
            found = self._uses[key] = Use()
        return found

    def _take(self, limit: Limit, window: Window, amount: int, most: int | None) -> None:
        if most is None or not amount:
            return
        now = self._clock.now()
        has_room = window.has_room(amount, most, now)
        window.use(amount, now)
        if not has_room:
            raise self._refusal(limit, window.wait(amount, most, now))

    def _refusal(self, limit: Limit, wait: timedelta) -> OverLimit:
        self.refused[limit] += 1
        return OverLimit(limit=limit, wait=wait)
