"""How each use of the API and the pages gets into the audit log.

Every operation and every page says when it is declared what it is called in the log (`does`, `reads`), that the work
writes its own record (`records_itself`), or why it has none (`unaudited`): there is no default, so none is forgotten.

- What somebody *does* stands in the log in the very transaction that does it (`Deed.write`); where the work commits by
  itself, as connecting to Microsoft 365 does, in a commit right after it and before the answer.
- What somebody *reads* is written down once an hour for each reader, place and thing, within a second or so, together
  with others: a page that is open all day is twenty-four rows. A crash loses at most what was read in that second;
  nothing that was done. When the log cannot be written for long, reading is refused rather than unrecorded.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.clock import Clock
from storage import StorageUnavailable, Store, Transaction, audit
from storage.api_keys import ApiKey
from storage.audit import Actor, Entry, Via

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

NO_MAIL: Final = "It tells of the gateway and its settings, not of mail."
ONCE_IN: Final = timedelta(hours=1)
MOST_REMEMBERED: Final = 20_000  # readings that are known to be in the log; beyond that the oldest is written again
MOST_WAITING: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What a use is called in the log: `act`, a noun and a verb, to `targets`: parts of the path, and what they are."""

    act: str
    targets: Mapping[str, str] = field(default_factory=dict)
    is_reading: bool = False
    by_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaudited:
    """Not in the log, because of `why`."""

    why: str


def does(act: str, **targets: str) -> Audited:
    """Something is done, or an answer is given that is worth a row each time."""
    return Audited(act=act, targets=targets)


def reads(act: str, **targets: str) -> Audited:
    """Something is read: one row an hour for each reader."""
    return Audited(act=act, targets=targets, is_reading=True)


def records_itself(act: str) -> Audited:
    """The work has its own record, with more in it than the door knows."""
    return Audited(act=act, by_itself=True)


def unaudited(why: str) -> Unaudited:
    """There is nothing in it that a log of mail should have."""
    return Unaudited(why=why)


def actor(request: Request, key: ApiKey, via: Via, staff: str | None) -> Actor:
    """The address is the caller's as far as proxies of GATEWAY_TRUSTED_PROXIES say it, else the connection's."""
    address = None if request.client is None else request.client.host
    return Actor(via=via, key_id=key.id, key_name=key.name, staff=staff, address=address)


class Trail:
    """What was read, on its way into the log."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: list[Entry] = []
        self._known: OrderedDict[object, datetime] = OrderedDict()

    async def read(self, entry: Entry) -> None:
        """Have it written down soon, unless it was within the hour. Raises `StorageUnavailable` when too much waits."""
        identity = (entry.account_id, entry.actor, entry.act, tuple(entry.targets.items()))
        written = self._known.get(identity)
        if written is not None and timedelta(0) <= entry.at - written < ONCE_IN:
            return
        if len(self._waiting) >= MOST_WAITING:
            await self.flush()
        self._known[identity] = entry.at
        self._known.move_to_end(identity)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        self._waiting.append(entry)

    async def did(self, entry: Entry) -> None:
        """Write down now what was done in another commit. Raises `StorageUnavailable`."""
        await self._store.write(audit.record_all, [entry])

    async def flush(self) -> None:
        """Write down what waits. Raises `StorageUnavailable`; then it waits on."""
        taken, self._waiting = self._waiting, []
        if not taken:
            return
        try:
            await self._store.write(audit.record_all, taken)
        except BaseException:
            self._waiting = taken + self._waiting
            raise

    async def close(self) -> None:
        """Write down the rest, if the store is still to be had."""
        with contextlib.suppress(StorageUnavailable):
            await self.flush()

    async def run(self, tick: asyncio.Event) -> None:
        """Write down what was read, at each tick."""
        while True:
            try:
                await self.flush()
            except StorageUnavailable:
                log.warning("readings not written down yet: the store is not to be had")
            tick.clear()
            await tick.wait()


@dataclass(slots=True, kw_only=True)
class Deed:
    """One use of the API or a page, on its way into the log."""

    store: Store
    trail: Trail
    account_id: str
    actor: Actor
    audited: Audited | Unaudited
    targets: dict[str, str | None]
    at: datetime
    is_recorded: bool = False

    def about(self, **targets: str | None) -> None:
        """Say more of what it is done to."""
        self.targets |= targets

    def is_called(self, act: str) -> None:
        """It turned out to be something more special than its declaration says."""
        if isinstance(self.audited, Audited):
            self.audited = replace(self.audited, act=act)

    async def write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Store.write`, and the record of it in the same transaction."""
        return await self.write_and(lambda found: {}, work, *args, **kwargs)

    async def write_and(
        self,
        targets_in: Callable[[T], Mapping[str, str | None] | None],
        work: Callable[Concatenate[Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `write`; `targets_in` finds in what the work returned what it was done to; None when nothing was."""
        if not isinstance(self.audited, Audited) or self.audited.by_itself:
            return await self.store.write(work, *args, **kwargs)
        found = await self.store.write(_and_record, self, targets_in, lambda tx: work(tx, *args, **kwargs))
        self.is_recorded = True
        return found

    async def ended(self, response: Response) -> None:
        """It was answered: see to it that it stands in the log, or soon will."""
        audited = self.audited
        if self.is_recorded or isinstance(audited, Unaudited) or audited.by_itself:
            return
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            return
        await (self.trail.read if audited.is_reading else self.trail.did)(self.entry(audited.act))

    def entry(self, act: str) -> Entry:
        """The row that is to be."""
        return Entry(account_id=self.account_id, actor=self.actor, act=act, targets=self.targets, at=self.at)


def begun(
    store: Store,
    trail: Trail,
    audited: Audited | Unaudited,
    parts: Mapping[str, Any],
    *,
    account_id: str,
    by: Actor,
    at: datetime,
) -> Deed:
    """A use that begins. `parts` are those of the path."""
    names = audited.targets if isinstance(audited, Audited) else {}
    targets: dict[str, str | None] = {name: str(parts[part]) for part, name in names.items() if part in parts}
    return Deed(store=store, trail=trail, account_id=account_id, actor=by, audited=audited, targets=targets, at=at)


def _and_record(
    tx: Transaction,
    deed: Deed,
    targets_in: Callable[[T], Mapping[str, str | None] | None],
    work: Callable[[Transaction], T],
) -> T:
    found = work(tx)
    targets = targets_in(found)
    if targets is not None and isinstance(deed.audited, Audited):
        audit.record(tx, deed.account_id, deed.actor, deed.audited.act, deed.targets | dict(targets), now=deed.at)
    return found
