"""The gateway at work: what lives long, the loops that drive it, and how it is run until it is told to stop."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.applications import Starlette

import storage
from gateway import tracing
from gateway.alive import give_sign
from gateway.backups.keeper import BackupKeeper
from gateway.budgets import BudgetBook
from gateway.clock import Clock
from gateway.connections import Connections
from gateway.host.deliver import Deliverer
from gateway.host.webhooks import HostWebhooks
from gateway.housekeeping import Housekeeping
from gateway.http.auditing import Trail
from gateway.http.callers import Callers
from gateway.levels import Levels
from gateway.meters import Meters
from gateway.notify import Supervisor
from gateway.privacy.desk import PrivacyDesk
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.restored import Mark
from gateway.schedule import Schedule
from gateway.sending.tidy import Tidier
from gateway.sending.worker import OutboxWorker
from gateway.serving import server_for
from gateway.setup.expiry import ExpiryWatch
from gateway.setup.expiry_reader import ExpiryReader
from gateway.setup.service import Setup
from gateway.threads.completeness import CompletenessCheck
from gateway.threads.elsewhere import Elsewhere
from gateway.threads.indexing import Indexer
from gateway.threads.merging import Merger
from gateway.threads.opening import Openings
from gateway.threads.pull import Puller
from storage import folders
from subscriptions.keeper import Keeper

log = logging.getLogger(__name__)

OUTBOX_TICK: Final = timedelta(seconds=2)
PULL_TICK: Final = timedelta(seconds=2)
SUBSCRIPTION_TICK: Final = timedelta(seconds=15)
BOOKS_TICK: Final = timedelta(seconds=5)
WEBHOOK_TICK: Final = timedelta(seconds=2)
MERGE_TICK: Final = timedelta(seconds=1)
CHORE_TICK: Final = timedelta(seconds=30)
AUDIT_TICK: Final = timedelta(seconds=1)
NOBODY: Final = Supervisor()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything long-lived, joined. `app` answers requests; `work` does the rest."""

    app: Starlette
    clock: Clock
    store: storage.Store
    connections: Connections
    budgets: BudgetBook
    setup: Setup
    outbox: OutboxWorker
    puller: Puller
    elsewhere: Elsewhere
    indexer: Indexer
    merger: Merger
    completeness: CompletenessCheck
    trail: Trail
    privacy: PrivacyDesk
    backups: BackupKeeper
    openings: Openings
    keeper: Keeper
    tidier: Tidier
    expiry: ExpiryWatch
    expiry_reader: ExpiryReader
    housekeeping: Housekeeping
    webhooks: HostWebhooks
    deliverer: Deliverer
    mark: Mark
    callers: Callers
    levels: Levels
    health: Health
    meters: Meters
    pulse: Pulse
    session_key: bytes
    stopping: asyncio.Event

    async def recover(self) -> None:
        """Take up what the last run left: letters in hand, folders being pulled, and all mail since."""
        await self.mark.look()
        await self.levels.begin()
        await self.budgets.open()
        await self.outbox.recover()
        await self.deliverer.recover()
        await self.store.write(_all_folders_are_free_and_due, now=self.clock.now())
        self.health.recovered = True
        log.info("recovered")

    async def work(self, *, recovered: Callable[[], None] = lambda: None) -> None:
        """All loops, in one group: a dead one ends them all, and with them the process. Says when it has begun."""
        schedule = Schedule()
        loops: list[tuple[str, Callable[[asyncio.Event], Awaitable[None]], timedelta]] = [
            ("outbox", self.outbox.run, OUTBOX_TICK),
            ("openings", self.openings.run, CHORE_TICK),
            ("pull", self.puller.run, PULL_TICK),
            ("elsewhere", self.elsewhere.run, CHORE_TICK),
            ("subscriptions", self.keeper.run, SUBSCRIPTION_TICK),
            ("books", self._keep_books, BOOKS_TICK),
            ("chores", self._do_chores, CHORE_TICK),
            ("webhooks", self.deliverer.run, WEBHOOK_TICK),
            ("completeness", self.completeness.run, CHORE_TICK),
            ("round trips", self.setup.round_trips.run, CHORE_TICK),
            ("validations", self.setup.validating.run, CHORE_TICK),
            ("indexing", self.indexer.run, CHORE_TICK),
            ("merging", self.merger.run, MERGE_TICK),
            ("audit", self.trail.run, AUDIT_TICK),
            ("retention", self.privacy.retention.run, CHORE_TICK),
            ("backups", self.backups.run, CHORE_TICK),
        ]
        await self.recover()
        recovered()
        with schedule.running(), self.meters.loop.watching(tell=self.pulse.came):
            async with asyncio.TaskGroup() as group:
                for name, loop, interval in loops:
                    group.create_task(_endless(loop, schedule.every(interval)), name=name)

    async def _keep_books(self, tick: asyncio.Event) -> None:
        while True:
            try:
                await self.budgets.keep()
                await self.mark.keep()
                await self.callers.keep(self.store)
                await self.levels.keep()
                await self.store.write(give_sign, now=self.clock.now())
            except storage.StorageUnavailable:
                log.warning("books not kept: the store is not to be had")
            self.pulse.worked()
            tick.clear()
            await tick.wait()

    async def _do_chores(self, tick: asyncio.Event) -> None:
        while True:
            try:
                for chore in (
                    self.expiry_reader.run_due,
                    self.expiry.run_due,
                    self.connections.probe_due,
                    self.setup.confinement.run_due,
                    self.tidier.run_due,
                    self.housekeeping.run_due,
                ):
                    with tracing.begun():
                        await chore()
            except storage.StorageUnavailable:
                log.warning("chores put off: the store is not to be had")
            tick.clear()
            await tick.wait()


async def _endless(loop: Callable[[asyncio.Event], Awaitable[None]], tick: asyncio.Event) -> None:
    await loop(tick)
    raise RuntimeError("a loop that must not end has ended")


def _all_folders_are_free_and_due(tx: storage.Transaction, *, now: datetime) -> None:
    give_sign(tx, now=now)
    folders.release_all(tx)
    folders.pull_everything(tx, now)


async def run(built: Gateway, listener: socket.socket, stop: asyncio.Event, supervisor: Supervisor = NOBODY) -> None:
    """Answer requests and work, until `stop` is set."""
    server = server_for(built.app)
    host, port = listener.getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port})
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]), name="http")
        working = group.create_task(built.work(recovered=supervisor.ready), name="workers")
        living = group.create_task(supervisor.live(built.clock), name="signs of life")
        stopped = group.create_task(stop.wait(), name="stop")
        await asyncio.wait({serving, working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        supervisor.stopping()
        built.stopping.set()
        server.should_exit = True
        await asyncio.wait({serving})
        working.cancel()
        stopped.cancel()
        living.cancel()
