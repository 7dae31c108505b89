"""Many mailboxes validated one after the other, a few at once. What is left to do is in the table, so that a restart
goes on where it was, and whoever looks sees how far it is.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import storage
from gateway import tracing
from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, TokenError
from gateway.setup.account import BadConfiguration
from gateway.setup.answers import explain
from gateway.setup.mailboxes import Mailboxes
from gateway.setup.report import Check, Verdict
from gateway.setup.values import address_problem
from gateway.waiting import first_of
from storage import Store, Transaction, mailboxes, validations
from storage.mailboxes import MailboxState
from storage.validations import Item, Outcome

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
MOST: Final = 200

OUTCOMES: Final = {MailboxState.VALIDATED: Outcome.VALIDATED, MailboxState.REFUSED: Outcome.REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    outcome: Outcome
    checks: Sequence[Check] = ()
    mailbox_id: str | None = None


def ask(tx: Transaction, account_id: str, addresses: Sequence[str], *, now: datetime) -> str:
    """Keep that these are to be added, where they are not there yet, and validated; its id.

    An address that comes twice counts once. Raises `BadConfiguration` for what is no address, and for too many.
    """
    wanted = list({address.strip().casefold(): address.strip() for address in addresses}.values())
    problems = {
        f"addresses/{at}": problem for at, one in enumerate(wanted) if (problem := address_problem(one)) is not None
    }
    if not wanted:
        problems["addresses"] = "Enter one address at least."
    if len(wanted) > MOST:
        problems["addresses"] = f"These are {len(wanted)} addresses; at most {MOST} are taken at once."
    if problems:
        raise BadConfiguration(problems)
    return validations.insert(tx, account_id, wanted, now=now)


class Validating:
    """Does what was asked, `AT_ONCE` at a time."""

    def __init__(self, store: Store, mailboxes: Mailboxes, clock: Clock) -> None:
        self._store = store
        self._mailboxes = mailboxes
        self._clock = clock

    async def run(self, tick: asyncio.Event) -> None:
        """Work whenever something is asked, and at every tick."""
        with self._store.watching("validations") as asked:
            while True:
                asked.clear()
                tick.clear()
                try:
                    while await self.run_due():
                        pass
                except storage.StorageUnavailable:
                    log.warning("validations put off: the store is not to be had")
                await first_of(asked.wait(), tick.wait())

    async def run_due(self) -> int:
        """Validate the next few; of how many it is known now what came. Raises `StorageUnavailable`."""
        due = await self._store.read(validations.to_do, limit=AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._do(item)) for item in due]
        return sum(task.result() for task in tasks)

    async def _do(self, item: Item) -> bool:
        try:
            with tracing.begun():
                tried = await self._try(item.account_id, item.address)
            await self._store.write(
                validations.done,
                item,
                tried.outcome,
                checks=[asdict(check) for check in tried.checks],
                mailbox_id=tried.mailbox_id,
                now=self._clock.now(),
            )
        except storage.StorageUnavailable:
            log.warning("a validation is put off: the store is not to be had")
            return False
        return True

    async def _try(self, account_id: str, address: str) -> _Tried:
        try:
            await self._store.write(_add, account_id, address, now=self._clock.now())
            found = await self._mailboxes.validate(account_id, address)
        except storage.NotFound:
            return _Tried(outcome=Outcome.REMOVED)
        except NotConnected as error:
            return _Tried(outcome=Outcome.UNDECIDED, checks=[_failed(str(error), None)])
        except (GraphError, TokenError) as error:
            plainly = explain(error)
            return _Tried(outcome=Outcome.UNDECIDED, checks=[_failed(plainly.found, plainly.cure)])
        outcome = Outcome.UNDECIDED
        if found.ok or found.mailbox.state is MailboxState.REFUSED:
            outcome = OUTCOMES.get(found.mailbox.state, Outcome.UNDECIDED)
        return _Tried(outcome=outcome, checks=found.checks, mailbox_id=found.mailbox.id)


def _add(tx: Transaction, account_id: str, address: str, *, now: datetime) -> None:
    if mailboxes.find(tx, account_id, address) is None:
        mailboxes.add(tx, account_id, address, now=now)


def _failed(found: str, cure: str | None) -> Check:
    return Check(name="user", verdict=Verdict.FAIL, tried="Looked the user up.", found=found, cure=cure)
