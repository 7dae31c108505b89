"""The outbox worker: takes what is due from the table, a few letters of each mailbox at a time, and carries them."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.sending import commits
from gateway.sending.carry import Carrier
from gateway.sending.commits import Claimed
from gateway.sending.looking import GraphSource
from gateway.sending.rules import Allowance
from gateway.waiting import first_of
from storage import StorageUnavailable, Store

log = logging.getLogger(__name__)

CONCURRENCY: Final = 24
# As many calls as Graph serves of an app in one mailbox; a letter makes one at a time. Whoever reads the mailbox
# meanwhile waits its turn with them: gateway.graph.budget. https://learn.microsoft.com/graph/throttling-limits
PER_MAILBOX: Final = 4
LONGEST_WAIT: Final = timedelta(minutes=1)
SHORTEST_WAIT: Final = timedelta(seconds=1)
STORE_RETRY: Final = timedelta(seconds=5)

Tasks = set[asyncio.Task[None]]


class OutboxWorker:
    """Sends letters. `owner` names this process in leases.

    Any number of them may work on one file: a letter belongs to whoever claimed it, until the lease ends.
    """

    def __init__(
        self,
        store: Store,
        graphs: GraphSource,
        clock: Clock,
        *,
        owner: str,
        allowance: Allowance = Allowance(),  # noqa: B008 - frozen
        concurrency: int = CONCURRENCY,
        per_mailbox: int = PER_MAILBOX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._concurrency = concurrency
        self._per_mailbox = per_mailbox
        self._carrier = Carrier(store, graphs, clock, allowance)

    async def recover(self) -> None:
        """At start: letters that a dead process had in hand are free again; what was being submitted is uncertain."""
        found = await self._store.write(commits.recover, now=self._clock.now())
        if found:
            log.info("letters recovered", extra={"letters": found})

    async def run_due(self) -> int:
        """Carry all that is due, and what becomes due meanwhile; how many claims that took."""
        handled = 0
        running: Tasks = set()
        async with asyncio.TaskGroup() as group:
            while True:
                claimed = await self._start_due(group, running)
                handled += len(claimed.claims)
                if not running:
                    return handled
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)

    async def run(self, tick: asyncio.Event) -> None:
        """Carry letters for ever: woken by new ones, by those that finish, by `tick`, and by the next due time.

        Cancelled, it hands back what it has in hand: at once what was not being submitted, the rest as uncertain.
        """
        running: Tasks = set()
        with self._store.watching("outbox") as news:
            async with asyncio.TaskGroup() as group:
                while True:
                    news.clear()
                    tick.clear()
                    wait = await self._round(group, running, news.set)
                    await first_of(news.wait(), tick.wait(), self._clock.sleep(wait))

    async def _round(self, group: asyncio.TaskGroup, running: Tasks, done: Callable[[], None]) -> timedelta:
        """Start what can be started, and say how long to wait for the next."""
        try:
            claimed = await self._start_due(group, running, done)
        except StorageUnavailable:
            log.warning("the outbox waits: the store is not to be had")
            return STORE_RETRY
        return self._until(claimed.next_due)

    def _until(self, due: datetime | None) -> timedelta:
        # What is due now and was not taken waits for a place, and a letter that finishes wakes us.
        wait = LONGEST_WAIT if due is None else due - self._clock.now()
        return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)

    async def _start_due(
        self, group: asyncio.TaskGroup, running: Tasks, done: Callable[[], None] = lambda: None
    ) -> Claimed:
        places = self._concurrency - len(running)
        if places <= 0:
            return Claimed(claims=(), next_due=None)  # whoever finishes makes a place and wakes us
        claimed = await self._store.write(
            commits.claim, owner=self._owner, limit=places, per_mailbox=self._per_mailbox, now=self._clock.now()
        )
        for claim in claimed.claims:
            task = group.create_task(self._carrier.carry(claim), name=f"letter {claim.letter.message_id}")
            running.add(task)
            task.add_done_callback(running.discard)
            task.add_done_callback(lambda _: done())
        return claimed
