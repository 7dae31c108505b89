"""Erasing what is kept of some objects, or of a person by their address; or first saying what that would remove.

Objects: their threads go whole, but of a thread that somebody else has too only the link goes. Somebody is a student,
a contact, an organisation or a user; an enrolment, an intake or a class keeps a thread only where no person is to be
erased. An address: threads with nobody else go whole; in the
others, what that person wrote goes, and in what others wrote the address gives way to "[erased]". Their name in the
words of others cannot be told from other words, and stays; the receipt says so.

A letter that has not left, or waits for a person's decision, is refused: cancel or close it first. What was erased does
not come back: see `storage/tombstones.py`. It is done in three steps. The rows go in one transaction, which writes the
receipt. Then the words go out of the search index, step by step beside the work, and the write-ahead log is emptied; a
crash in between is made up for at the next start. Last, the files are searched.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.clock import Clock
from gateway.privacy import proof
from storage import (
    Conflict,
    StorageUnavailable,
    Store,
    Transaction,
    audit,
    erasures,
    events,
    mailboxes,
    messages,
    persons,
    privacy,
    retention,
    search_index,
    threads,
)
from storage.audit import Actor
from storage.erasures import Erasure, What
from storage.ids import before_ids
from storage.messages import Message
from storage.persons import Place
from storage.privacy import Reach
from storage.threads import Address, Object

log = logging.getLogger(__name__)

MOST_STEPS: Final = 100_000
EXPIRED_AT_ONCE: Final = 25
BY_AGE: Final = "older than the account keeps it"
OVERLAP: Final = timedelta(minutes=1)
LOG_TRIES: Final = 50
LOG_WAIT: Final = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be erased: either objects or an address."""

    objects: tuple[Object, ...] = ()
    address: str | None = None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where an address stood, and before which ids that is all."""

    place: Place
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an order would remove. `unlinked` threads stay and lose their link; `edited` messages lose the address."""

    what: What
    reach: Reach
    unlinked: tuple[str, ...]
    edited: tuple[str, ...]
    left: tuple[str, ...]
    rows: dict[str, int]

    @property
    def is_empty(self) -> bool:
        """Nothing is kept of it."""
        return not (self.reach.threads or self.reach.messages or self.unlinked or self.edited)

    def as_removed(self) -> dict[str, Any]:
        """Ids and counts, for a receipt."""
        return {
            "threads": list(self.reach.threads),
            "messages": list(self.reach.messages),
            "unlinked_threads": list(self.unlinked),
            "edited_messages": list(self.edited),
            "rows": self.rows,
        }


class Eraser:
    """Erases, purges and proves. One erasure at a time: the proof of one would find what the next is about to purge.

    `forget` drops what this process has in memory of what it read before an erasure, told the number of the last one.
    """

    def __init__(self, store: Store, clock: Clock, *, forget: Callable[[int], None] = lambda last: None) -> None:
        self._store = store
        self._clock = clock
        self._forget = forget
        self._alone = asyncio.Lock()

    async def preview(self, account_id: str, order: Order) -> Plan:
        """What it would remove; nothing is changed. Raises `Conflict` for an address of the school's own."""
        return await self._store.read(plan, account_id, order)

    async def erase(self, account_id: str, order: Order, *, by: Actor) -> Erasure:
        """Remove it, purge, and prove it. Raises `Conflict` while letters of it are on their way.

        When it raises anything else, the rows are gone all the same if there is a receipt: `purge_due` goes on.
        """
        async with self._alone:
            seen = await self._look(account_id, order)
            found = await self._store.write(carry_out, account_id, order, by=by, now=self._clock.now(), seen=seen)
            await self._purge(found.id)
            await self._prove(found)
        return await self._store.read(erasures.get, account_id, found.id)

    async def _look(self, account_id: str, order: Order) -> Seen | None:
        """Look through all text beside the work, so that the transaction has only what came since."""
        if order.address is None:
            return None
        since = before_ids("msg", self._clock.now() - OVERLAP)
        return Seen(
            place=await self._store.read(persons.look_for, account_id, order.address),
            since=since,
        )

    async def expire(self, account_id: str) -> int:
        """Remove the threads that are older than the account's rules allow, some at a time; how many went."""
        gone, last = 0, None
        async with self._alone:
            while (found := await self._store.write(_expire_some, account_id, now=self._clock.now())) is not None:
                gone, last = gone + found.threads, found
            if last is not None:
                await self._purge(last.id)
                await self._prove(last)
        return gone

    async def forget_erased(self) -> None:
        """Of what was erased, by this process or another, nothing stays in memory. Raises `StorageUnavailable`."""
        self._forget(await self._store.read(erasures.number_of_last))

    async def purge_due(self) -> bool:
        """Go on where a crash interrupted; whether there was something to do. Raises `StorageUnavailable`."""
        if self._alone.locked():
            return False
        async with self._alone:
            id = await self._store.read(erasures.not_purged)
            if id is None:
                return False
            await self._purge(id)
        return True

    async def _purge(self, id: str) -> None:
        more, first = True, True
        for _ in range(MOST_STEPS):
            more = await self._store.write(search_index.purge_a_little, first=first)
            first = False
            if not more:
                break
        for _ in range(LOG_TRIES):
            if await self._store.empty_log():
                break
            await self._clock.sleep(LOG_WAIT)
        else:
            raise StorageUnavailable(
                "The rows are removed, but the log of the database could not be emptied: another program reads it. "
                "The gateway tries again by itself."
            )
        await self.forget_erased()
        await self._store.write(erasures.purged, id, now=self._clock.now())

    async def _prove(self, found: "_Removed") -> None:
        """Search the files for words of what was erased, as they are and as the index has them."""
        endings = proof.endings_of(found.words)
        looked_for = [*found.words, *endings]
        seen = await asyncio.to_thread(proof.search, self._store.files, looked_for)
        left = in_index = 0
        for word in (looked_for[number] for number in seen.hits):
            if word in endings:
                in_index += not await self._store.read(persons.is_an_ordinary_word, word, endings[word])
            else:
                left += not await self._store.read(persons.lives, word)
        told = {
            "searched_for": len(found.words),
            "spellings": proof.SPELLINGS,
            "files": list(seen.files),
            "bytes": seen.bytes_searched,
            "searched_for_in_index": len(endings),
            "left": left,
            "left_in_index": in_index,
            "searched_at": self._clock.now(),
        }
        if left or in_index:
            log.error("an erasure left something", extra={"erasure_id": found.id, "left": left + in_index})
        await self._store.write(erasures.proved, found.id, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Removed:
    """A receipt's id, and words of what is gone, for the search alone."""

    id: str
    words: list[str]
    threads: int = 0


def plan(tx: Transaction, account_id: str, order: Order, seen: Seen | None = None) -> Plan:
    """What an order takes; with what was `seen`, without a look through all text.

    Raises `Conflict` for an address of the school's own.
    """
    if order.address is not None:
        return _plan_of_address(tx, account_id, order.address, seen)
    about = privacy.about(tx, account_id, order.objects)
    reach = privacy.reach(tx, account_id, about.alone)
    rows = privacy.count(tx, account_id, reach)
    return Plan(what=What.OBJECTS, reach=reach, unlinked=about.shared, edited=(), left=(), rows=rows)


def _plan_of_address(tx: Transaction, account_id: str, address: str, seen: Seen | None) -> Plan:
    if mailboxes.ever(tx, account_id, address) is not None:
        raise Conflict("This address is a mailbox of the school's own: all letters come from it.")
    if seen is None:
        place = persons.look_for(tx, account_id, address)
    else:
        place = persons.look_for(tx, account_id, address, before=seen.place, since=seen.since)
    reach = privacy.reach(tx, account_id, place.alone, place.written)
    edited = tuple(one for one in place.named if one not in set(reach.messages))
    rows = privacy.count(tx, account_id, reach)
    return Plan(what=What.ADDRESS, reach=reach, unlinked=(), edited=edited, left=place.shared, rows=rows)


def carry_out(
    tx: Transaction, account_id: str, order: Order, *, by: Actor, now: datetime, seen: Seen | None = None
) -> _Removed:
    """The rows go, the receipt comes; one transaction's work. Raises `Conflict`."""
    if order.address is not None and order.address.lower() in order.reason.lower():
        raise Conflict("The reason names the address, so the receipt would keep it. Give it in other words.")
    found = plan(tx, account_id, order, seen)
    removed = remove(tx, account_id, found, address=order.address, now=now)
    for thread_id in found.unlinked:
        for what in order.objects:
            threads.unlink(tx, account_id, thread_id, what)
    id = erasures.insert(
        tx,
        account_id,
        what=found.what,
        objects=[{"type": one.type.value, "id": one.id} for one in order.objects],
        reason=order.reason,
        done_by=by.staff or by.key_name,
        removed=found.as_removed(),
        now=now,
    )
    audit.record(tx, account_id, by, "erasure.do", {"erasure_id": id}, now=now)
    data = {"erasure_id": id, "threads": len(found.reach.threads), "messages": len(found.reach.messages)}
    events.record(tx, account_id, "erasure.done", data=data, now=now)
    return _Removed(id=id, words=removed)


def _expire_some(tx: Transaction, account_id: str, *, now: datetime) -> _Removed | None:
    old = retention.old_threads(tx, account_id, now=now, limit=EXPIRED_AT_ONCE)
    if not old:
        return None
    reach = privacy.reach(tx, account_id, old)
    rows = privacy.count(tx, account_id, reach)
    found = Plan(what=What.RETENTION, reach=reach, unlinked=(), edited=(), left=(), rows=rows)
    words = remove(tx, account_id, found, address=None, now=now)
    id = erasures.insert(
        tx,
        account_id,
        what=What.RETENTION,
        objects=[],
        reason=BY_AGE,
        done_by=None,
        removed=found.as_removed(),
        now=now,
    )
    audit.record(tx, account_id, audit.SYSTEM, "retention.expire", {"erasure_id": id}, now=now)
    return _Removed(id=id, words=words, threads=len(old))


def remove(tx: Transaction, account_id: str, found: Plan, *, address: str | None, now: datetime) -> list[str]:
    """Delete and edit; words of what is gone. Raises `Conflict` while letters of it are on their way."""
    if found.reach.under_way:
        raise Conflict(
            f"{len(found.reach.under_way)} letters of this have not left, wait for a person's decision, or leave a "
            f"draft to be tidied: cancel or close them first, and ask again in some minutes. The first is "
            f"{found.reach.under_way[0]}."
        )
    words = _words(tx, account_id, found, address)
    others = _threads_beside(tx, account_id, found)
    privacy.erase(tx, account_id, found.reach, now=now)
    if address is not None:
        persons.take_out(tx, account_id, address, found.edited)
        persons.leave_threads(tx, address, found.left)
        privacy.forget_habits(tx, account_id, [address])
    for thread_id in others:
        threads.summarise(tx, thread_id)
    return words


def _words(tx: Transaction, account_id: str, found: Plan, address: str | None) -> list[str]:
    told: list[Message] = [messages.get(tx, account_id, one) for one in (*found.reach.messages, *found.edited)]
    if address is not None:
        stored = [person.address for message in told for person in _people_of(message)]
        spelled = {one for one in stored if one.casefold() == address.casefold()}
        return sorted({address, address.lower(), *spelled})[: proof.MOST]
    people: list[Address] = [one for thread in found.reach.threads for one in threads.participants(tx, thread)]
    return proof.words_of(told, people)


def _people_of(message: Message) -> Sequence[Address]:
    groups = (message.recipients.to, message.recipients.cc, message.recipients.bcc, message.recipients.reply_to)
    return [*([message.sender] if message.sender else []), *(one for group in groups for one in group)]


def _threads_beside(tx: Transaction, account_id: str, found: Plan) -> Sequence[str]:
    """Threads that stay and have lost messages, or words."""
    changed = (*found.reach.messages, *found.edited)
    beside = {messages.get(tx, account_id, one).thread_id for one in changed} | set(found.left)
    return sorted(beside - set(found.reach.threads))
