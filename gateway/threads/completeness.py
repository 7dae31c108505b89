"""Completeness: what Microsoft 365 has of our conversations, against what is here.

The proof of the pudding: it asks for each conversation, and trusts neither notifications nor deltas. What is missing
becomes a hint, so that it comes by the same way as everything else.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway import tracing
from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, Message, TokenError
from gateway.threads.erased import is_erased
from gateway.threads.graph import GraphSource, MailReader
from gateway.threads.matching import usable_message_id
from gateway.threads.problems import plainly
from gateway.threads.rounds import MISSING
from gateway.waiting import first_of
from storage import (
    StorageUnavailable,
    Store,
    Transaction,
    accounts,
    chores,
    completeness,
    events,
    folders,
    hints,
    identities,
)
from storage.completeness import NewMissing
from storage.folders import Folder
from storage.hints import NewHint
from storage.mailboxes import Mailbox, list_validated

log = logging.getLogger(__name__)

CHORE: Final = "completeness"
HOUR_OF_NIGHT: Final = 3  # on the account's clock: nobody writes letters, and nobody waits for one
EVERY: Final = timedelta(days=1)
AGAIN_AFTER: Final = timedelta(hours=1)  # a check that broke off
ACTIVE_FOR: Final = timedelta(days=90)
PAGE_SIZE: Final = 20  # conversations, asked for one after the other: letters and pulls come first
MOST_NAMED: Final = 1000  # of the missing; of more it is only said how many
# What is younger is not missing: a sweep may not have had its turn.
SETTLED_AFTER: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """So many mails were compared, and so many of them were not here; `which` names the first MOST_NAMED of these."""

    compared: int = 0
    missing: int = 0
    which: tuple[NewMissing, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            compared=self.compared + other.compared,
            missing=self.missing + other.missing,
            which=(*self.which, *other.which)[:MOST_NAMED],
        )


class CompletenessCheck:
    """Checks every validated mailbox at night, and when a person asks."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def run(self, tick: asyncio.Event) -> None:
        """Check what is due, for ever: at each `tick`, and when a person asks. A loop of its own: it may take long."""
        with self._store.watching("completeness") as asked:
            while True:
                tick.clear()
                asked.clear()
                try:
                    await self.run_due()
                except StorageUnavailable:
                    log.warning("completeness not checked: the store is not to be had")
                await first_of(tick.wait(), asked.wait())

    async def run_due(self) -> int:
        """Check the accounts that are due; how many. Raises `StorageUnavailable`."""
        now = self._clock.now()
        due = await self._store.read(chores.due, CHORE, now, latest=now + 2 * EVERY)
        for account_id in due:
            await self._check_account(account_id)
        return len(due)

    async def _check_account(self, account_id: str) -> None:
        checked = []
        for one in await self._store.read(list_validated, account_id):
            with tracing.begun(mailbox_id=one.id):
                checked.append(await self._check_mailbox(one))
        await self._store.write(_done, account_id, went_well=all(checked), now=self._clock.now())

    async def _check_mailbox(self, mailbox: Mailbox) -> bool:
        """Whether it went through. Trouble with one mailbox is no trouble of the others'."""
        try:
            graph = await self._graphs.graph(mailbox.account_id)
            outcome = await self._compare_all(graph, mailbox)
        except StorageUnavailable:
            raise
        except (GraphError, TokenError, NotConnected) as error:
            fields = error.log_fields() if isinstance(error, GraphError | TokenError) else {}
            log.warning("completeness not checked", extra={"mailbox_id": mailbox.id, **fields})
            await self._store.write(completeness.broke_off, mailbox.id, plainly(error))
            return False
        except Exception as error:
            # A fault of ours with one mailbox must not stop the process again and again.
            log.exception("completeness check stumbled", extra={"mailbox_id": mailbox.id})
            await self._store.write(completeness.broke_off, mailbox.id, plainly(error))
            return False
        found = {"compared": outcome.compared, "missing": outcome.missing}
        await self._store.write(_checked, mailbox, outcome, now=self._clock.now())
        level = logging.ERROR if outcome.missing else logging.INFO
        log.log(level, "completeness checked", extra={"mailbox_id": mailbox.id, **found})
        return True

    async def _compare_all(self, graph: MailReader, mailbox: Mailbox) -> Outcome:
        """Page by page, so that memory stays small however much there is."""
        total, after, done = Outcome(), "", 0
        since = self._clock.now() - ACTIVE_FOR
        conversations = await self._store.read(completeness.count_active, mailbox.id, since=since)
        while True:
            await self._store.write(completeness.under_way, mailbox.id, done=done, conversations=conversations)
            page = await self._store.read(
                completeness.active_conversations, mailbox.id, since=since, after=after, limit=PAGE_SIZE
            )
            found = await _all_of(graph, mailbox, page)
            total += await self._store.write(_compare, mailbox, found, now=self._clock.now())
            if len(page) < PAGE_SIZE:
                return total
            after, done = page[-1], done + len(page)


async def _all_of(graph: MailReader, mailbox: Mailbox, conversation_ids: Sequence[str]) -> list[Message]:
    """All mail of these conversations."""
    return [message for one in conversation_ids for message in await graph.find_by_conversation(mailbox.user, one)]


def _compare(tx: Transaction, mailbox: Mailbox, found: Sequence[Message], *, now: datetime) -> Outcome:
    """Compare with the store, and leave a hint for each mail that is missing."""
    watched = {folder.folder_id: folder for folder in folders.of_mailbox(tx, mailbox.id)}
    compared = [one for one in found if one.parent_folder_id in watched and not one.is_draft and _is_settled(one, now)]
    missing = [one for one in compared if not _is_here(tx, mailbox, one)]
    hints.insert(
        tx,
        [_hint(watched[one.parent_folder_id or ""], one) for one in missing if not _is_hinted(tx, watched, one)],
        now=now,
    )
    return Outcome(
        compared=len(compared),
        missing=len(missing),
        which=tuple(
            NewMissing(
                graph_id=one.id,
                folder_id=watched[one.parent_folder_id or ""].id,
                came_at=one.created_at or one.sent_at,
            )
            for one in missing[:MOST_NAMED]
        ),
    )


def _checked(tx: Transaction, mailbox: Mailbox, outcome: Outcome, *, now: datetime) -> None:
    """Keep what a whole check found. That something was missing is an alarm."""
    completeness.checked(
        tx, mailbox.id, compared=outcome.compared, missing=outcome.missing, which=outcome.which, now=now
    )
    if outcome.missing:
        told = {"mailbox_id": mailbox.id, "compared": outcome.compared, "missing": outcome.missing}
        events.record(tx, mailbox.account_id, "completeness.missing", data=told, now=now)


def _is_settled(message: Message, now: datetime) -> bool:
    came_at = message.created_at or message.sent_at
    return came_at is None or now - came_at >= SETTLED_AFTER


def _is_here(tx: Transaction, mailbox: Mailbox, message: Message) -> bool:
    """By its id in this mailbox, or, as one mail may lie in several folders and mailboxes, by its Message-ID.

    What was erased is meant to be missing.
    """
    if identities.by_graph_id(tx, mailbox.id, message.id) is not None:
        return True
    message_id = usable_message_id(message.internet_message_id)
    if message_id is not None and identities.by_internet_message_id(tx, mailbox.account_id, message_id):
        return True
    return is_erased(tx, mailbox, message)


def _is_hinted(tx: Transaction, watched: dict[str, Folder], message: Message) -> bool:
    """Whether the puller knows of it already."""
    return bool(hints.open_about(tx, watched[message.parent_folder_id or ""].id, message.id))


def _hint(folder: Folder, message: Message) -> NewHint:
    return NewHint(account_id=folder.account_id, folder_id=folder.id, change_type=MISSING, message_id=message.id)


def _done(tx: Transaction, account_id: str, *, went_well: bool, now: datetime) -> None:
    zone = accounts.get(tx, account_id).time_zone
    chores.done(tx, account_id, CHORE, next_at=next_night(now, zone) if went_well else now + AGAIN_AFTER)


def next_night(now: datetime, time_zone: str) -> datetime:
    """When the next check is due in a zone of the tz database: never twice in an hour, at most a day and an hour on."""
    local = now.astimezone(ZoneInfo(time_zone))
    tonight = local.replace(hour=HOUR_OF_NIGHT, minute=0, second=0, microsecond=0)
    at = tonight if tonight - local >= AGAIN_AFTER else tonight + EVERY
    return at.astimezone(now.tzinfo)


def is_due(tx: Transaction, account_id: str, now: datetime) -> bool:
    """Whether a check was asked for or has its time: until it is over, for only then it is put off."""
    due_at = chores.due_at(tx, account_id, CHORE)
    return due_at is not None and due_at <= now


def check_soon(tx: Transaction, account_id: str, now: datetime) -> None:
    """A person asks: the check is due now."""
    chores.done(tx, account_id, CHORE, next_at=now)
    tx.announce("completeness")
