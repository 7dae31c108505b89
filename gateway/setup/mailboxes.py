"""Mailbox Set-up: mailboxes added, proved, removed."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.graph import TokenError, roles_of
from gateway.setup.account import BadConfiguration
from gateway.setup.connections import ConnectionSource
from gateway.setup.probe import Findings, probe
from gateway.setup.refusals import Rights
from gateway.setup.report import Report
from gateway.setup.values import address_problem
from gateway.threads.elsewhere import look_soon
from storage import Store, Transaction, events, folders, mailboxes
from storage.mailboxes import Mailbox, MailboxState

log = logging.getLogger(__name__)

# Mail from now on is what matters; the slack is for clocks that disagree, ours and Microsoft's.
WATCH_SLACK: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation(Report):
    """What validating a mailbox found, and the mailbox as it stands now.

    Not `ok` with a state that is not `refused`: nothing could be decided, the last check says why.
    """

    mailbox: Mailbox


class Mailboxes:
    """Adds, validates and removes mailboxes. Any number of validations may run at once."""

    def __init__(self, store: Store, connections: ConnectionSource, clock: Clock) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock

    async def add(self, account_id: str, address: str) -> Mailbox:
        """Raises `AlreadyExists`, and `BadConfiguration` for what is no address."""
        problem = address_problem(address)
        if problem is not None:
            raise BadConfiguration({"address": problem})
        return await self._store.write(mailboxes.add, account_id, address.strip(), now=self._clock.now())

    async def validate(self, account_id: str, address: str) -> Validation:
        """Prove that the mailbox exists and can be used, and keep what was found, under its primary address.

        What says nothing of the mailbox (throttling, an outage, no token) leaves its state as it was. Raises
        `NotFound` when it is not, or no longer, one of this account's mailboxes, and `NotConnected`.
        """
        mailbox = await self._store.read(mailboxes.get_by_address, account_id, address)
        graph = await self._connections.graph(account_id)
        since = self._clock.now() - WATCH_SLACK
        findings = await probe(graph, mailbox.address, since=since, rights=await self._rights(mailbox))
        kept = await self._store.write(_keep, mailbox, findings, since=since, now=self._clock.now())
        code = None if findings.refusal is None else findings.refusal.code
        log.info("mailbox probed", extra={"mailbox_id": mailbox.id, "proved": findings.proved, "code": code})
        return Validation(mailbox=kept, checks=tuple(findings.checks))

    async def _rights(self, mailbox: Mailbox) -> Rights:
        """What tells a missing permission from a policy and a scope; for a diagnosis only."""
        roles: frozenset[str] = frozenset()
        with suppress(TokenError):  # the probe meets it too, and says it
            roles = roles_of(await (await self._connections.tokens(mailbox.account_id)).token())
        validated = await self._store.read(mailboxes.list_validated, mailbox.account_id)
        return Rights(roles=roles, opens_others=any(one.id != mailbox.id for one in validated))

    async def remove(self, account_id: str, address: str) -> None:
        """No more letters, no more watching; its threads stay. Raises `NotFound`.

        The keeper ends its subscriptions, and the outbox worker fails the letters that have not left, with this as
        the reason. Added again, the mailbox goes on with its threads.
        """
        await self._store.write(_remove, account_id, address, now=self._clock.now())


def _keep(tx: Transaction, probed: Mailbox, findings: Findings, *, since: datetime, now: datetime) -> Mailbox:
    mailbox = mailboxes.get_by_address(tx, probed.account_id, probed.address)
    if findings.proved:
        mailbox = _under_primary(tx, mailbox, findings.primary, now)
        _mark_validated(tx, mailbox, findings, since=since, now=now)
    elif findings.refusal is not None:
        mailboxes.mark_refused(tx, mailbox.id, findings.refusal.as_problem())
        data = {"mailbox_id": mailbox.id, "code": findings.refusal.code}
        events.record(tx, mailbox.account_id, "mailbox.refused", data=data, now=now)
    return mailboxes.get(tx, mailbox.id)


def _mark_validated(tx: Transaction, mailbox: Mailbox, findings: Findings, *, since: datetime, now: datetime) -> None:
    user_id = findings.user_id or mailbox.user_id or mailbox.address
    mailboxes.mark_validated(tx, mailbox.id, user_id=user_id, display_name=findings.display_name, now=now)
    for well_known, folder_id in findings.folder_ids.items():
        folders.watch(tx, mailbox.account_id, mailbox.id, well_known, folder_id=folder_id, since=since, now=now)
    look_soon(tx, mailbox.account_id, now)
    tx.announce("subscriptions")
    events.record(tx, mailbox.account_id, "mailbox.validated", data={"mailbox_id": mailbox.id}, now=now)


def _under_primary(tx: Transaction, entered: Mailbox, primary: str | None, now: datetime) -> Mailbox:
    """The mailbox that an address led to: the one of its primary address, which this one becomes if there is none.

    Two that were both validated before stay two: each has threads of its own to watch.
    """
    if primary is None or primary.casefold() == entered.address.casefold():
        mailboxes.forget_alias(tx, entered.account_id, entered.address)
        return entered
    known = mailboxes.ever(tx, entered.account_id, primary)
    if known is None:
        mailboxes.rename(tx, entered.id, primary)
    elif entered.validated_at is not None:
        return entered
    else:
        mailboxes.mark_removed(tx, entered.id)
        if known.state is MailboxState.REMOVED:
            mailboxes.add(tx, entered.account_id, primary, now=now)
    mailboxes.forget_alias(tx, entered.account_id, primary)
    owner = mailboxes.get_by_address(tx, entered.account_id, primary)
    mailboxes.add_alias(tx, entered.account_id, entered.address, of=owner.id, now=now)
    return owner


def _remove(tx: Transaction, account_id: str, address: str, *, now: datetime) -> None:
    mailbox = mailboxes.get_by_address(tx, account_id, address)
    mailboxes.mark_removed(tx, mailbox.id)
    tx.announce("subscriptions")
    tx.announce("outbox")
    events.record(tx, account_id, "mailbox.removed", data={"mailbox_id": mailbox.id}, now=now)
