"""Round trips followed: each letter from the outbox to its mailbox and back, by what the tables say of it.

Asked for by a person, or, once a day, begun for every validated mailbox. A step that is late is an alarm: the event
`mailbox.unhealthy`, a line in the log, a metric; the next one that passes is `mailbox.healthy`.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import storage
from gateway import tracing
from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, TokenError
from gateway.sending import choices
from gateway.sending.draft import TAG
from gateway.sending.machine import UNSENT
from gateway.setup.account import BadConfiguration
from gateway.setup.connections import GraphSource
from gateway.setup.probe import delete_for_good
from gateway.setup.self_test import MISSED_AFTER, Noticing, begin, follow, next_morning
from gateway.setup.values import address_problem
from gateway.waiting import first_of
from storage import Store, Transaction, accounts, chores, events, folders, hints, mailboxes, outbox, preferences
from storage import round_trips as trips
from storage.folders import WellKnown
from storage.mailboxes import MailboxState
from storage.outbox import Letter
from storage.round_trips import Kind, RoundTrip, State

log = logging.getLogger(__name__)

CHORE: Final = "self-test"
LOOK_EVERY: Final = timedelta(seconds=1)
CLEAN_AT_ONCE: Final = 20
CLEAN_AGAIN: Final = timedelta(minutes=10)
# What a mailbox that cannot be opened still holds after this long is for a person: its subject says what it is.
CLEANED_WITHIN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is to be said aloud of a trip."""

    trip: RoundTrip
    healthy: bool


class RoundTrips:
    """Begins, follows, and cleans up after them."""

    def __init__(
        self, store: Store, graphs: GraphSource, clock: Clock, *, public_url: str | None, sweep_interval: timedelta
    ) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock
        self._noticing = Noticing(is_live=public_url is not None, sweeps=sweep_interval)

    async def ask(self, account_id: str, address: str, to: str | None = None) -> RoundTrip:
        """Begin one for a person: to the mailbox itself by default.

        Raises `storage.NotFound`, `MailboxNotValidated`, and `BadConfiguration` when `to` is no address.
        """
        problem = None if to is None else address_problem(to)
        if problem is not None:
            raise BadConfiguration({"to": problem})
        wanted = None if to is None else to.strip()
        return await self._store.write(
            begin, account_id, address, wanted, kind=Kind.ASKED, noticing=self._noticing, now=self._clock.now()
        )

    async def run(self, tick: asyncio.Event) -> None:
        """Look at every tick, and every second while one is under way."""
        with self._store.watching("round_trips") as news:
            while True:
                news.clear()
                tick.clear()
                is_busy = False
                try:
                    await self.begin_due()
                    is_busy = await self.follow_all() > 0
                    await self.clean_due()
                except storage.StorageUnavailable:
                    log.warning("round trips not followed: the store is not to be had")
                if is_busy:
                    await first_of(tick.wait(), self._clock.sleep(LOOK_EVERY))
                else:
                    await first_of(tick.wait(), news.wait())

    async def begin_due(self) -> int:
        """Begin the daily ones whose hour has come; how many. Raises `StorageUnavailable`."""
        return await self._store.write(_begin_due, self._noticing, now=self._clock.now())

    async def follow_all(self) -> int:
        """See how far each is; how many are still under way. Raises `StorageUnavailable`."""
        told, left = await self._store.write(_follow_all, now=self._clock.now())
        for one in told:
            fields = {"mailbox_id": one.trip.mailbox_id, "round_trip_id": one.trip.id, "step": one.trip.missed}
            if one.healthy:
                log.info("mailbox healthy again", extra=fields)
            else:
                log.warning("mailbox unhealthy: a round trip is late", extra=fields)
        return left

    async def clean_due(self) -> int:
        """Delete from the mailboxes what is over; of how many nothing is left. Raises `StorageUnavailable`."""
        due = await self._store.read(trips.to_clean, self._clock.now(), limit=CLEAN_AT_ONCE)
        cleaned = 0
        for trip in due:
            with tracing.begun(round_trip_id=trip.id, mailbox_id=trip.mailbox_id):
                cleaned += await self._clean(trip)
        return cleaned

    async def _clean(self, trip: RoundTrip) -> bool:
        """Every copy there is, in whatever folder; a letter that may still leave is looked for again."""
        mailbox = await self._store.read(mailboxes.get, trip.mailbox_id)
        letter = await self._store.read(outbox.get, trip.account_id, trip.message_id)
        is_clean = False
        if mailbox.state is not MailboxState.REMOVED:
            try:
                graph = await self._graphs.graph(trip.account_id)
                found = await graph.find_by_tag(mailbox.user, TAG, letter.send_uid)
                if letter.internet_message_id is not None:
                    found += await graph.find_by_internet_message_id(mailbox.user, letter.internet_message_id)
                ids = {one.id for one in found} | ({trip.graph_id} if trip.graph_id else set())
                for graph_id in sorted(ids):
                    await delete_for_good(graph, mailbox.user, graph_id)
                is_clean = letter.next_attempt_at is None
            except (GraphError, TokenError, NotConnected) as error:
                log.info("self-test not deleted yet", extra={"mailbox_id": mailbox.id, "error": type(error).__name__})
        now = self._clock.now()
        given_up = trip.ended_at is not None and now - trip.ended_at > CLEANED_WITHIN
        is_over = is_clean or given_up or mailbox.state is MailboxState.REMOVED
        await self._store.write(trips.clean_at, trip.id, None if is_over else now + CLEAN_AGAIN)
        return is_over


def _begin_due(tx: Transaction, noticing: Noticing, *, now: datetime) -> int:
    """The first look at an account only plans its next morning: a gateway that starts does not write to anybody."""
    begun = 0
    for account_id in chores.due(tx, CHORE, now, latest=now + timedelta(days=2)):
        due_at = chores.due_at(tx, account_id, CHORE)
        next_at = next_morning(now, accounts.get(tx, account_id).time_zone)
        chores.done(tx, account_id, CHORE, next_at=next_at)
        if due_at is None or not due_at <= now <= due_at + MISSED_AFTER:
            continue
        if not preferences.get(tx, account_id).self_test:
            continue
        for mailbox in mailboxes.list_validated(tx, account_id):
            if _is_tried_now(tx, mailbox.id):
                continue
            begin(tx, account_id, mailbox.address, None, kind=Kind.DAILY, noticing=noticing, now=now)
            begun += 1
    return begun


def _is_tried_now(tx: Transaction, mailbox_id: str) -> bool:
    newest = trips.newest(tx, mailbox_id)
    return bool(newest) and newest[0].state is State.UNDER_WAY and newest[0].recipient is None


def _follow_all(tx: Transaction, *, now: datetime) -> tuple[Sequence[_Told], int]:
    told: list[_Told] = []
    left = 0
    for before in trips.under_way(tx):
        letter = outbox.get(tx, before.account_id, before.message_id)
        was_well = _was_well(tx, before)
        after = follow(before, letter, notified_at=_notified_at(tx, before), now=now)
        if after.state is State.FAILED:
            _cancel(tx, letter, now)
        if after != before:
            trips.save(tx, after)
        left += after.state is State.UNDER_WAY
        if after.recipient is None or after.missed is not None:
            told += _tell(tx, before, after, was_well, now)
    return told, left


def _was_well(tx: Transaction, trip: RoundTrip) -> bool:
    """What the one before this showed; nothing known is well."""
    last = trips.last_verdict(tx, trip.mailbox_id)
    return last is None or last.id == trip.id or last.missed is None


def _tell(tx: Transaction, before: RoundTrip, after: RoundTrip, was_well: bool, now: datetime) -> list[_Told]:
    """Once when it becomes late, and once when the first one passes after that."""
    data = {"mailbox_id": after.mailbox_id, "round_trip_id": after.id}
    if after.missed is not None and before.missed is None:
        events.record(tx, after.account_id, "mailbox.unhealthy", data={**data, "step": after.missed}, now=now)
        return [_Told(trip=after, healthy=False)]
    if after.state is State.PASSED and not was_well:
        events.record(tx, after.account_id, "mailbox.healthy", data=data, now=now)
        return [_Told(trip=after, healthy=True)]
    return []


def _notified_at(tx: Transaction, trip: RoundTrip) -> datetime | None:
    if trip.notified_at is not None or trip.graph_id is None:
        return trip.notified_at
    for folder in folders.of_mailbox(tx, trip.mailbox_id):
        if folder.well_known is WellKnown.INBOX:
            return hints.told_of(tx, folder.id, trip.graph_id)
    return None


def _cancel(tx: Transaction, letter: Letter, now: datetime) -> None:
    """Nobody waits for it any more."""
    if letter.state in UNSENT:
        choices.cancel(tx, letter.account_id, letter.message_id, now=now)
