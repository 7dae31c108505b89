"""Looking elsewhere: mail of our conversations that neither of the watched folders shows, wherever a rule put it.

At intervals Graph is asked for the conversations that are alive, over the whole mailbox. What it names and we do not
have becomes a hint of the Inbox, as if Graph had announced it, and goes the way of all mail. So does what was in the
conversations before their mailbox was watched: a mailbox that is validated is looked through at once.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway import tracing
from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, MailFolder, Message, TokenError
from gateway.threads.erased import is_erased
from storage import (
    StorageUnavailable,
    Store,
    Transaction,
    chores,
    folders,
    hints,
    identities,
    mailboxes,
    threads,
)
from storage.folders import WellKnown
from storage.hints import NewHint
from storage.mailboxes import Mailbox

log = logging.getLogger(__name__)

CHORE: Final = "elsewhere"
ELSEWHERE: Final = "elsewhere"  # a hint of our own: found by asking for its conversation
ALIVE: Final = timedelta(days=30)  # since a conversation's last message
CONVERSATIONS: Final = 200  # of a mailbox in a round
AT_ONCE: Final = 2  # calls, half of what Graph lets an app make at once in a mailbox: letters come first
ROUND_LIMIT: Final = timedelta(minutes=10)
SOON: Final = timedelta(minutes=5)  # after a round that could not be ended
DELETED_ITEMS: Final = "deleteditems"


class Finder(Protocol):
    """Finding one tenant's mail. Raises GraphError and TokenError."""

    async def get_folder(self, user: str, folder: str) -> MailFolder: ...

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]: ...


class GraphSource(Protocol):
    """Where an account's client comes from. Raises NotConnected."""

    async def graph(self, account_id: str) -> Finder: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What Graph named of some conversations, and what kept it from naming all."""

    mail: tuple[Message, ...]
    trouble: GraphError | TokenError | None


class Elsewhere:
    """Looks through the mailboxes of all accounts, once in an `interval`."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock, *, interval: timedelta) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock
        self._interval = interval

    async def run(self, tick: asyncio.Event) -> None:
        """Look where it is due, at each `tick`, for ever."""
        while True:
            tick.clear()
            try:
                await self.run_due()
            except StorageUnavailable:
                log.warning("not looked elsewhere: the store is not to be had")
            await tick.wait()

    async def run_due(self) -> int:
        """Look through what is due; how many mails were found. Raises `StorageUnavailable`."""
        now = self._clock.now()
        latest = now + 2 * self._interval
        due = await self._store.read(chores.due, CHORE, now, latest=latest)
        return sum([await self._look_through(account_id) for account_id in due])

    async def _look_through(self, account_id: str) -> int:
        """One account. When it is due again is written first, for a mailbox validated meanwhile makes it due."""
        await self._put_off(account_id, self._interval)
        found = 0
        for mailbox in await self._store.read(mailboxes.list_validated, account_id):
            try:
                with tracing.begun(mailbox_id=mailbox.id):
                    async with asyncio.timeout(ROUND_LIMIT.total_seconds()):
                        found += await self._look_into(mailbox)
            except NotConnected:
                break
            except (GraphError, TokenError, TimeoutError) as error:
                fields = error.log_fields() if isinstance(error, GraphError | TokenError) else {"error": "timeout"}
                log.warning("not looked elsewhere", extra={"mailbox_id": mailbox.id, **fields})
                if is_soon_over(error):
                    await self._put_off(account_id, min(SOON, self._interval))
            except StorageUnavailable:
                raise
            except Exception:
                # A fault of ours with one mailbox must not keep the others, nor stop the process.
                log.exception("looking elsewhere stumbled", extra={"mailbox_id": mailbox.id})
        return found

    async def _put_off(self, account_id: str, wait: timedelta) -> None:
        await self._store.write(chores.done, account_id, CHORE, next_at=self._clock.now() + wait)

    async def _look_into(self, mailbox: Mailbox) -> int:
        """One mailbox; what was found before trouble is kept. Raises GraphError, TokenError and NotConnected."""
        now = self._clock.now()
        alive = await self._store.read(threads.conversations_since, mailbox.id, now - ALIVE)
        if not alive:
            return 0
        graph = await self._graphs.graph(mailbox.account_id)
        deleted_items = await graph.get_folder(mailbox.user, DELETED_ITEMS)
        found = await self._find(graph, mailbox, whose_turn(alive, round_number=self._round_number(now)))
        seen = [one for one in found.mail if not one.is_draft and one.parent_folder_id != deleted_items.id]
        new = await self._store.read(_unknown, mailbox, seen)
        if new:
            await self._store.write(_announce, mailbox, new, now=self._clock.now())
            log.info("mail found elsewhere", extra={"mailbox_id": mailbox.id, "count": len(new)})
        if found.trouble is not None:
            raise found.trouble
        return len(new)

    def _round_number(self, now: datetime) -> int:
        return int(now.timestamp() // self._interval.total_seconds())

    async def _find(self, graph: Finder, mailbox: Mailbox, conversations: Sequence[str]) -> Found:
        """A few at a time, until trouble that would meet the others, too."""
        mail: dict[str, Message] = {}
        for start in range(0, len(conversations), AT_ONCE):
            some = conversations[start : start + AT_ONCE]
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(_ask(graph, mailbox, one)) for one in some]
            for answer in (task.result() for task in asked):
                if isinstance(answer, GraphError | TokenError):
                    return Found(mail=tuple(mail.values()), trouble=answer)
                mail |= {one.id: one for one in answer}
        return Found(mail=tuple(mail.values()), trouble=None)


async def _ask(graph: Finder, mailbox: Mailbox, conversation_id: str) -> list[Message] | GraphError | TokenError:
    """What is in a conversation; nothing when Graph will never tell. Trouble is returned: it must not cancel others."""
    try:
        return await graph.find_by_conversation(mailbox.user, conversation_id)
    except TokenError as error:
        return error
    except GraphError as error:
        if error.transient:
            return error
        log.warning("conversation not searched", extra={"mailbox_id": mailbox.id, **error.log_fields()})
        return []


def is_soon_over(error: Exception) -> bool:
    """Whether it is worth looking again before the next round is due."""
    return isinstance(error, TokenError) or (isinstance(error, GraphError) and error.transient)


def look_soon(tx: Transaction, account_id: str, now: datetime) -> None:
    """Do not wait for the next round: there is a mailbox that may have a history."""
    chores.done(tx, account_id, CHORE, next_at=now)


def whose_turn(alive: Sequence[str], *, round_number: int, at_most: int = CONVERSATIONS) -> list[str]:
    """The conversations to ask for, of those that are `alive`, newest first.

    Where they are too many for a round, half of it goes to the newest and half to the others, in turn: a bulk letter
    makes thousands of conversations at once, and none of them may be left out for good.
    """
    if len(alive) <= at_most:
        return list(alive)
    newest, others = alive[: at_most // 2], alive[at_most // 2 :]
    step = at_most - len(newest)
    start = round_number * step % len(others)
    return list(dict.fromkeys([*newest, *(others[(start + one) % len(others)] for one in range(step))]))


def _unknown(tx: Transaction, mailbox: Mailbox, seen: Sequence[Message]) -> list[Message]:
    """Those that are neither stored nor were looked at in vain: a copy of what is stored keeps no id of its own."""
    looked_at = {id for one in folders.of_mailbox(tx, mailbox.id) for id in hints.told(tx, one.id, ELSEWHERE)}
    return [
        one
        for one in seen
        if one.id not in looked_at
        and identities.by_graph_id(tx, mailbox.id, one.id) is None
        and not is_erased(tx, mailbox, one)
    ]


def _announce(tx: Transaction, mailbox: Mailbox, new: Sequence[Message], *, now: datetime) -> None:
    """As hints of the folder they are in, and of the Inbox where that one is not watched.

    Only what lies in Sent Items was proved to be written in the mailbox; elsewhere a sender is no more than a claim.
    """
    watched = folders.of_mailbox(tx, mailbox.id)
    by_graph_folder = {one.folder_id: one.id for one in watched}
    inboxes = [one.id for one in watched if one.well_known is WellKnown.INBOX]
    told = [
        NewHint(
            account_id=mailbox.account_id,
            folder_id=by_graph_folder.get(one.parent_folder_id or "", inbox),
            change_type=ELSEWHERE,
            message_id=one.id,
        )
        for inbox in inboxes
        for one in new
    ]
    hints.insert(tx, told, now=now)
