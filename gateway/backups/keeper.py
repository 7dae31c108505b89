"""The gateway backs itself up: what is due is read from the folder, so that a restart or a missed tick heals itself.

The work is done in a thread, in small steps; a gateway that is told to stop ends it after the step in hand.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self, TypeVar

import storage
from gateway.backups import rehearsals
from gateway.backups.errors import Interrupted, UnderWay
from gateway.backups.making import Order, Watcher, make
from gateway.backups.manifest import Manifest, Reason
from gateway.backups.rehearsals import Rehearsal
from gateway.backups.scratch import clear_away
from gateway.backups.shelf import Shelf
from gateway.clock import Clock
from gateway.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

TRY_AGAIN: Final = timedelta(minutes=15)
REHEARSE_EVERY: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with the backups. `failure` is the sentence of the last try, None when it went well."""

    wanted: bool
    newest_at: datetime | None = None
    failure: str | None = None
    rehearsal: Rehearsal | None = None

    @classmethod
    def of_none(cls) -> Self:
        """Where nobody wants backups."""
        return cls(wanted=False)

    def age(self, now: datetime) -> timedelta | None:
        """Of the newest good backup."""
        return None if self.newest_at is None else now - self.newest_at

    @property
    def has_failed(self) -> bool:
        """Whether the last try, or the last rehearsal, went wrong."""
        return self.failure is not None or (self.rehearsal is not None and self.rehearsal.problem is not None)

    @property
    def sentence(self) -> str:
        """For an operator."""
        if not self.wanted:
            return "The gateway makes no backups: GATEWAY_BACKUPS is not set."
        newest = "There is no backup yet."
        if self.newest_at is not None:
            newest = f"The newest backup is of {self.newest_at:%Y-%m-%d %H:%M} UTC."
        failed = f"The last one failed: {self.failure}" if self.failure else ""
        rehearsed = self.rehearsal
        wrong = ""
        if rehearsed is not None and rehearsed.problem is not None:
            wrong = f"The rehearsal with {rehearsed.backup} failed: {rehearsed.problem}"
        return " ".join(part for part in (newest, failed, wrong) if part)


def seen(settings: Settings) -> Standing:
    """What the folder itself tells, for whoever looks while no gateway runs. Raises OSError."""
    shelf = Shelf.of(settings)
    newest_at = _newest(one for _, one in shelf.good())
    return Standing(wanted=settings.backups is not None, newest_at=newest_at, rehearsal=rehearsals.last(shelf))


class BackupKeeper:
    """Makes what is due, forgets what is old, rehearses each week. `standing` is what it saw last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._shelf = Shelf.of(settings)
        self._wanted = settings.backups is not None
        self._failed_at: datetime | None = None
        self._scheduled_at: datetime | None = None
        self.standing = Standing(wanted=self._wanted)

    async def run(self, tick: asyncio.Event) -> None:
        """Do what is due, at each `tick`, for ever."""
        await asyncio.to_thread(clear_away, self._settings.database)
        while True:
            tick.clear()
            await self.run_due()
            await tick.wait()

    async def run_due(self) -> None:
        """Do what is due. Trouble is said in log, readiness and metrics, and never ends it."""
        if self._failed_at is not None and self._clock.now() < self._failed_at + TRY_AGAIN:
            return
        try:
            await self._look()
            if self._backup_is_due():
                await self._back_up()
            await self._in_thread(lambda watch: self._shelf.forget_old(self._clock.now()))
            if self._rehearsal_is_due():
                await self._rehearse()
        except UnderWay:
            return  # by hand; what is due then is seen at the next tick
        except (storage.StorageError, OSError) as error:
            self._failed_at = self._clock.now()
            self.standing = replace(self.standing, failure=str(error))
            log.error("backup failed", extra={"reason": str(error)})

    def _backup_is_due(self) -> bool:
        if not self._wanted:
            return False
        now, newest = self._clock.now(), self._scheduled_at
        # One from the future was made by a clock that ran ahead, and must not keep the next from being made.
        return newest is None or now >= newest + self._settings.backup_interval or newest > now

    async def _back_up(self) -> None:
        order = Order.of(self._settings, Reason.SCHEDULED)
        made = await self._in_thread(lambda watch: make(order, self._clock.now(), watch))
        self._failed_at = None
        self.standing = replace(self.standing, failure=None)
        log.info("backed up", extra={"backup": made.path.name, "bytes": made.file_bytes})
        await self._look()

    def _rehearsal_is_due(self) -> bool:
        last = self.standing.rehearsal
        return (
            self._wanted
            and self.standing.newest_at is not None
            and (last is None or not last.at <= self._clock.now() < last.at + REHEARSE_EVERY)
        )

    async def _rehearse(self) -> None:
        done = await self._in_thread(
            lambda watch: rehearsals.rehearse(self._shelf, self._settings, self._clock.now(), watch)
        )
        self.standing = replace(self.standing, rehearsal=done)
        if done.problem is not None:
            log.error("backup rehearsal failed", extra={"backup": done.backup, "reason": done.problem})
        else:
            log.info("backup rehearsed", extra={"backup": done.backup, "opened": done.opened})

    async def _look(self) -> None:
        good, rehearsal = await self._in_thread(lambda watch: (self._shelf.good(), rehearsals.last(self._shelf)))
        self._scheduled_at = _newest(one for _, one in good if one.reason is Reason.SCHEDULED)
        self.standing = replace(self.standing, newest_at=_newest(one for _, one in good), rehearsal=rehearsal)

    async def _in_thread(self, work: Callable[[Watcher], T]) -> T:
        """Run it; when this is cancelled, have it end at its next step and wait for that."""
        given_up = threading.Event()

        def watch(what: str, done: int, total: int) -> None:
            if given_up.is_set():
                raise Interrupted

        working = asyncio.get_running_loop().run_in_executor(None, work, watch)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            given_up.set()
            await asyncio.wait({working})
            working.exception()
            raise


def _newest(manifests: Iterable[Manifest]) -> datetime | None:
    return max((one.made_at for one in manifests), default=None)
