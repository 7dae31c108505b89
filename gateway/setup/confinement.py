"""The proof of least privilege: a mailbox that must be refused is tried, at once and then daily.

A refusal proves something only while the app can open a mailbox of ours: without any rights it is refused everywhere.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import AccessDenied, GraphError, NotFound, TokenError
from gateway.setup.account import BadConfiguration
from gateway.setup.answers import explain
from gateway.setup.connections import Graph, GraphSource
from gateway.setup.least_privilege import Scripts, scripts
from gateway.setup.values import address_problem
from storage import Conflict, Store, Transaction, accounts, chores, confinements, events, mailboxes
from storage.confinements import Confinement, ConfinementState
from storage.folders import WellKnown

log = logging.getLogger(__name__)

CHORE: Final = "confinement"
EVERY: Final = timedelta(days=1)

REFUSED: Final = "Exchange refuses the app this mailbox, and lets it into the validated ones."
READABLE: Final = (
    "The app can open this mailbox, which is none of ours: it is not limited to the validated mailboxes, or no longer."
)
NO_MAILBOX: Final = "There is no mailbox with this address, so trying it proves nothing. Choose one that exists."
REFUSED_EVERYWHERE: Final = (
    "The app is refused the validated mailboxes too, so that this one is refused proves nothing. Check the connection."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastPrivilege:
    """The commands for exactly the validated mailboxes, and the proof; None before a mailbox was chosen for it."""

    mailboxes: tuple[str, ...]
    scripts: Scripts
    proof: Confinement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    state: ConfinementState
    detail: str


class ConfinementWatch:
    """Hands out the commands, tries the mailbox that must be refused, and tells when it is not."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def show(self, account_id: str) -> LeastPrivilege:
        """Raises `Conflict` before the account has an app, or no mailbox is validated."""
        return await self._store.read(_read, account_id)

    async def prove(self, account_id: str, address: str) -> Confinement:
        """Try this mailbox, now and daily from now on.

        Raises `BadConfiguration` for what is no address or one of ours, `Conflict` as `show`, and `NotConnected`.
        """
        problem = address_problem(address)
        if problem is not None:
            raise BadConfiguration({"address": problem})
        await self._store.write(_choose, account_id, address.strip(), now=self._clock.now())
        return await self._try(account_id)

    async def run_due(self) -> int:
        """Try where it is due; how many were tried. Raises `StorageUnavailable`."""
        now, tried = self._clock.now(), 0
        for account_id in await self._store.read(chores.due, CHORE, now, latest=now + 2 * EVERY):
            await self._store.write(chores.done, account_id, CHORE, next_at=now + EVERY)
            if await self._store.read(confinements.get, account_id) is None:
                continue
            try:
                await self._try(account_id)
            except (NotConnected, Conflict):
                continue
            tried += 1
        return tried

    async def _try(self, account_id: str) -> Confinement:
        known = await self.show(account_id)
        assert known.proof is not None  # noqa: S101 - for mypy: the callers have looked
        graph = await self._graphs.graph(account_id)
        found = await _probe(graph, known.proof.address, known.mailboxes[0])
        now = self._clock.now()
        is_news = await self._store.write(_keep, account_id, known.proof.address, found, now=now)
        if is_news and found.state is ConfinementState.READABLE:
            log.warning("the app can open a mailbox that it must not", extra={"account_id": account_id})
        return await self._store.read(_proof, account_id)


async def _probe(graph: Graph, address: str, ours: str) -> _Tried:
    """Opening a folder asks licence, policy and scope at once; it changes nothing and reads no mail."""
    try:
        await graph.get_folder(address, WellKnown.INBOX)
    except AccessDenied:
        return await _refused_here_only(graph, ours)
    except NotFound:
        return _Tried(state=ConfinementState.UNKNOWN, detail=NO_MAILBOX)
    except (GraphError, TokenError) as error:
        plainly = explain(error)
        return _Tried(state=ConfinementState.UNKNOWN, detail=f"{plainly.found} {plainly.cure}")
    return _Tried(state=ConfinementState.READABLE, detail=READABLE)


async def _refused_here_only(graph: Graph, ours: str) -> _Tried:
    try:
        await graph.get_folder(ours, WellKnown.INBOX)
    except (GraphError, TokenError):
        return _Tried(state=ConfinementState.UNKNOWN, detail=REFUSED_EVERYWHERE)
    return _Tried(state=ConfinementState.REFUSED, detail=REFUSED)


def _read(tx: Transaction, account_id: str) -> LeastPrivilege:
    account = accounts.get(tx, account_id)
    ours = tuple(one.address for one in mailboxes.list_validated(tx, account_id))
    if account.client_id is None or not ours:
        raise Conflict("Connect the account and validate its mailboxes first: the commands are for exactly those.")
    return LeastPrivilege(
        mailboxes=ours, scripts=scripts(account.client_id, ours), proof=confinements.get(tx, account_id)
    )


def _choose(tx: Transaction, account_id: str, address: str, *, now: datetime) -> None:
    known = _read(tx, account_id)
    if address.casefold() in {one.casefold() for one in known.mailboxes}:
        raise BadConfiguration(
            {"address": "This mailbox is one of the validated ones. Choose one that the app must never open."}
        )
    confinements.choose(tx, account_id, address, now=now)
    chores.done(tx, account_id, CHORE, next_at=now + EVERY)


def _keep(tx: Transaction, account_id: str, address: str, found: _Tried, *, now: datetime) -> bool:
    is_news = confinements.record(tx, account_id, address, found.state, found.detail, now=now)
    if is_news:
        name = "confinement.proved" if found.state is ConfinementState.REFUSED else "confinement.missing"
        events.record(tx, account_id, name, now=now)
    return is_news


def _proof(tx: Transaction, account_id: str) -> Confinement:
    found = confinements.get(tx, account_id)
    assert found is not None  # noqa: S101 - it was chosen, and is never deleted
    return found
