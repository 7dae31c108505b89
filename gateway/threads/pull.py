"""Pulling: whatever made a folder due, its delta is followed to the end and its hints are looked into.

Several folders at once, one pull per folder: the claim is a lease in the folder's row, so a pull that dies is taken up
by whoever finds the lease run out. Everything a pull has done so far is in the store, so it can end anywhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gateway import tracing
from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import BadRequest, DeltaPage, ForeignUrl, Gone, GraphError, Message, TokenError
from gateway.steady import SteadyStore
from gateway.threads.graph import GraphSource, MailReader
from gateway.threads.keep import DELETED, Kept, Stumbled, keep
from gateway.threads.problems import plainly, wait_after
from gateway.threads.rounds import Page
from gateway.threads.sift import Sieve, Sifted, Watched
from gateway.tracing import span
from gateway.waiting import first_of, under_way
from storage import Conflict, StorageUnavailable, Store, Transaction, folders, gaps, hints, mailboxes
from storage.folders import Folder
from storage.gaps import Reason
from storage.origins import Origin

log = logging.getLogger(__name__)

AT_ONCE: Final = 8  # folders
LEASE: Final = timedelta(minutes=5)
PULL_LIMIT: Final = timedelta(minutes=4)  # within the lease
# Three whole batches read a page that is all ours, and what is stored together shares a commit and a piece of the
# index. More would be cheaper still, but all bodies of a page are in memory, and letters wait while it is stored.
PAGE_SIZE: Final = 60
PAGES_AT_ONCE: Final = 16  # then the others have their turn
HINTS_AT_ONCE: Final = 200
# So long the copies of letters that leave one after the other are gathered before Sent Items are asked for them: of the
# 30 letters that Microsoft lets a mailbox send in a minute, five share a call. A letter alone is looked for at once.
GATHER: Final = timedelta(seconds=10)
MOST_LINKS: Final = 20  # of a span, to the notifications that a pull serves
OVERLAP: Final = timedelta(days=1)  # a folder begun again starts this much before its last pull
STORE_RETRY: Final = timedelta(seconds=5)
AT_ONCE_AGAIN: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimed:
    """What is to be pulled now, and when the next folder can be claimed."""

    folders: Sequence[Folder]
    next_due: datetime | None


class Puller:
    """Pulls the folders of all accounts. `sweep_interval` is the longest that a folder is left unpulled."""

    def __init__(
        self, store: Store, graphs: GraphSource, clock: Clock, *, owner: str, sweep_interval: timedelta
    ) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock
        self._owner = owner
        self._sweep_interval = sweep_interval
        self._last_look = clock.now()

    async def run_due(self) -> int:
        """Pull everything that is due now, and what becomes due by that; how many pulls it took."""
        pulls = 0
        while claimed := (await self._claim(AT_ONCE)).folders:
            pulls += len(claimed)
            async with asyncio.TaskGroup() as group:
                for folder in claimed:
                    group.create_task(self._pull(folder), name=f"pull {folder.id}")
        return pulls

    async def run(self, tick: asyncio.Event) -> None:
        """Pull what is due, for ever: woken by `tick`, by whoever makes a folder due, and by the next due time."""
        finished = asyncio.Event()
        running = 0

        async def pull(folder: Folder) -> None:
            nonlocal running
            try:
                await self._pull(folder)
            finally:
                running -= 1
                finished.set()

        with self._store.watching("folders") as due:
            async with asyncio.TaskGroup() as group:
                while True:
                    for bell in (due, tick, finished):
                        bell.clear()
                    wake_at = None
                    try:
                        await self._heed_the_clock()
                        claimed = await self._claim(AT_ONCE - running)
                        for folder in claimed.folders:
                            running += 1
                            group.create_task(pull(folder), name=f"pull {folder.id}")
                        wake_at = claimed.next_due if running < AT_ONCE else None
                    except StorageUnavailable:
                        log.warning("folders not claimed: the store is not to be had")
                        wake_at = self._clock.now() + STORE_RETRY
                    waits: list[Coroutine[Any, Any, object]] = [due.wait(), tick.wait(), finished.wait()]
                    if wake_at is not None:
                        waits.append(self._clock.sleep(wake_at - self._clock.now()))
                    await first_of(*waits)

    async def _heed_the_clock(self) -> None:
        """A clock that was set back by two hours would leave all folders alone for as long: look at once."""
        now = self._clock.now()
        if now < self._last_look:
            log.warning("the clock was set back", extra={"by_s": (self._last_look - now).total_seconds()})
            await self._store.write(folders.pull_everything, now)
        self._last_look = now

    async def _claim(self, limit: int) -> _Claimed:
        if limit <= 0:
            return _Claimed(folders=(), next_due=None)
        return await self._store.write(_claim, owner=self._owner, limit=limit, now=self._clock.now())

    async def _pull(self, folder: Folder) -> None:
        """Pull a claimed folder and hand it back: a step of the trace of the notification that has waited longest."""
        told = await self._told(folder)
        first = Origin(traceparent=next(iter(told), None))
        with (
            tracing.taken_up(first, folder_id=folder.id, mailbox_id=folder.mailbox_id),
            span("pull", links=told[1:], notifications=len(told)),
        ):
            await self._pull_and_hand_back(folder)

    async def _told(self, folder: Folder) -> list[str]:
        """The traces of the notifications that the pull serves; it is no reason not to pull that they are not known."""
        with contextlib.suppress(StorageUnavailable):
            return await self._store.glance(hints.origins, folder.id, self._clock.now(), limit=MOST_LINKS)
        return []

    async def _pull_and_hand_back(self, folder: Folder) -> None:
        try:
            async with asyncio.timeout(PULL_LIMIT.total_seconds()):
                more = await self._follow(folder)
            await self._store.write(self._hand_back, folder, AT_ONCE_AGAIN if more else self._sweep_interval)
        except (GraphError, TokenError, NotConnected, TimeoutError, StorageUnavailable) as error:
            await self._hand_back_unpulled(folder, error)
        except Conflict as error:
            log.warning("folder not pulled", extra={"folder_id": folder.id, "error": type(error).__name__})
        except Exception as error:
            # A fault of ours with one folder must not keep all the others, nor stop the process again and again.
            log.exception("pull stumbled", extra={"folder_id": folder.id})
            await self._hand_back_unpulled(folder, error)

    def _hand_back(self, tx: Transaction, folder: Folder, wait: timedelta) -> None:
        now = self._clock.now()
        next_pull_at = min(now + wait, hints.next_retry(tx, folder.id) or now + wait)
        folders.pulled(tx, folder, owner=self._owner, next_pull_at=next_pull_at, now=now)

    async def _hand_back_unpulled(self, folder: Folder, error: Exception) -> None:
        wait = wait_after(error, folder.failures, self._sweep_interval)
        fields = error.log_fields() if isinstance(error, GraphError | TokenError) else {"error": type(error).__name__}
        log.warning("folder not pulled", extra={"folder_id": folder.id, "wait_s": wait.total_seconds(), **fields})
        # However long the file cannot be written: else nobody could pull the folder before the lease has run out.
        await SteadyStore(self._store, self._clock).write(self._put_off, folder, plainly(error), wait)

    def _put_off(self, tx: Transaction, folder: Folder, problem: str, wait: timedelta) -> None:
        now = self._clock.now()
        folders.pull_failed(tx, folder, owner=self._owner, problem=problem, next_pull_at=now + wait)
        gaps.begin(tx, folder.id, Reason.PULL_FAILING, now)

    async def _follow(self, folder: Folder) -> bool:
        """The delta to its end, then the hints; whether more waits."""
        graph = await self._graphs.graph(folder.account_id)
        watched = Watched(folder=folder, mailbox=await self._store.glance(mailboxes.get, folder.mailbox_id))
        sieve = Sieve(self._store, graph, watched)
        try:
            ended = await self._read_pages(graph, sieve, watched)
        except (Gone, ForeignUrl, BadRequest) as error:
            if watched.folder.delta_link is None and not isinstance(error, Gone):
                raise
            log.warning("delta begun again", extra={"folder_id": folder.id, **error.log_fields()})
            watched = replace(watched, folder=await self._store.write(_begin_again, folder, self._clock.now()))
            ended = await self._read_pages(graph, sieve, watched)
        return not ended or await self._look_into_hints(sieve, watched)

    async def _read_pages(self, graph: MailReader, sieve: Sieve, watched: Watched) -> bool:
        """Whether the round came to its end. Pages are stored one after the other, each while the next is asked for."""
        folder, taken_up_at = watched.folder, self._clock.now()
        round_began_at = folder.round_began_at or taken_up_at
        answer = await _ask(graph, watched, folder.delta_link)
        for following in reversed(range(PAGES_AT_ONCE)):
            sifted = await self._sift(sieve, watched, answer)
            link = answer.next_link or answer.delta_link or ""  # it has one of them
            is_last = answer.delta_link is not None
            page = Page(
                link=link,
                items=len(answer.items),
                is_last=is_last,
                round_began_at=round_began_at,
                taken_up_at=taken_up_at,
            )
            if is_last or not following:
                kept = await self._keep(watched, sifted, page)
                return is_last and not kept.begins_again
            async with under_way(_ask(graph, watched, link)) as asked:
                await self._keep(watched, sifted, page)
                answer = await asked
        return False

    async def _sift(self, sieve: Sieve, watched: Watched, answer: DeltaPage) -> Sifted:
        """One page. What Graph told in a way that we do not understand is looked at again, by itself."""
        with span("fetch", items=len(answer.items)) as step:
            sifted = await sieve.sift([item for item in answer.items if isinstance(item, Message)])
            step.say(ours=len(sifted.ours), unrelated=len(sifted.unrelated))
        unreadable = frozenset(item.id for item in answer.unreadable if item.id)
        if answer.unreadable:
            told = {"folder_id": watched.folder.id, "graph_ids": sorted(unreadable)}
            log.warning("items not understood", extra=told)
        return replace(sifted, failed=sifted.failed | unreadable)

    async def _look_into_hints(self, sieve: Sieve, watched: Watched) -> bool:
        """Those whose mail the delta has not shown; whether there are more of them than fit in one go."""
        due = await self._store.glance(hints.due, watched.folder.id, self._clock.now(), limit=HINTS_AT_ONCE)
        if due:
            deleted = {hint.message_id for hint in due if hint.change_type == DELETED}
            with span("fetch", items=len(due)):
                found = await sieve.look_up({hint.message_id for hint in due}, deleted=deleted)
            await self._keep(watched, found, None)
        return len(due) == HINTS_AT_ONCE

    async def _keep(self, watched: Watched, sifted: Sifted, page: Page | None) -> Kept:
        with span("store") as step:
            kept = await self._stored(watched, sifted, page)
            step.say(stored=kept.stored, unrelated=kept.unrelated, again=kept.again, gone=kept.gone)
        for message_id, origin in kept.seen_sent:
            log.info("letter seen in Sent Items", extra={"message_id": message_id, **_named(origin)})
            tracing.mark("seen in Sent", of=origin.traceparent or "", facts={"message_id": message_id})
        for graph_id, error in kept.stumbled:
            log.error("mail not stored", extra={"graph_id": graph_id, "error": error})
        if kept.stored or kept.again or kept.gone:
            fields = {"stored": kept.stored, "unrelated": kept.unrelated, "again": kept.again, "gone": kept.gone}
            log.info("folder pulled", extra={"folder_id": watched.folder.id, **fields})
        if kept.begins_again:
            log.warning(
                "a filtered delta may have been cut off; reading the folder whole",
                extra={"folder_id": watched.folder.id},
            )
        if kept.unannounced:
            told = {"folder_id": watched.folder.id, "mails": kept.unannounced}
            log.warning("mail came that no notification had announced", extra=told)
        return kept

    async def _stored(self, watched: Watched, sifted: Sifted, page: Page | None) -> Kept:
        """All together; and where that went wrong, each mail by itself."""
        owner, now = self._owner, self._clock.now()
        with contextlib.suppress(Stumbled):
            return await self._store.write(keep, watched, sifted, owner=owner, page=page, now=now)
        return await self._store.write(keep, watched, sifted, owner=owner, page=page, now=now, each_by_itself=True)


def _named(origin: Origin) -> dict[str, str]:
    """The letter's own ids: the pull that saw it has others."""
    trace = tracing.parse(origin.traceparent)
    named = {"request_id": origin.request_id, "trace_id": None if trace is None else trace.trace_id}
    return {name: value for name, value in named.items() if value is not None}


def _claim(tx: Transaction, *, owner: str, limit: int, now: datetime) -> _Claimed:
    taken = folders.claim_due(tx, owner=owner, now=now, lease_ends_at=now + LEASE, limit=limit, gather=GATHER)
    return _Claimed(folders=taken, next_due=folders.next_due(tx, now=now, gather=GATHER))


async def _ask(graph: MailReader, watched: Watched, link: str | None) -> DeltaPage:
    """The page that the link leads to, or the first of all."""
    return await graph.delta(
        watched.mailbox.user,
        watched.folder.well_known.value,
        link=link,
        since=None if watched.folder.is_whole else watched.folder.watch_since,
        select=watched.selected,
        expand_properties=watched.expanded,
        page_size=PAGE_SIZE,
    )


def _begin_again(tx: Transaction, folder: Folder, now: datetime) -> Folder:
    """Forget the dead link. What came before the last whole pull is here already, but for a margin."""
    since, last_pulled_at = folder.watch_since, folder.last_pulled_at or folder.watch_since
    if folder.last_pulled_at is not None:
        since = max(since, folder.last_pulled_at - OVERLAP)
    gaps.note(tx, folder.id, Reason.DELTA_LOST, began_at=last_pulled_at, ended_at=now)
    folders.restart(tx, folder.id, since)
    return folders.get(tx, folder.id)
