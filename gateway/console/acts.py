"""What the buttons of the console do: one transaction's work each, and as good twice as once.

None of them sends a letter of SELMA's: they say that what waits is to be tried now, and the loops that do the work look
at it as they always do. Each raises `storage.NotFound` for a thing of another account's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.console.letters import PATIENT
from gateway.console.snapshot import DAY
from gateway.sending.machine import RELEASED, UNSENT
from gateway.setup.self_test import Noticing, begin
from storage import NotFound, Transaction, accounts, deliveries, flow, folders, mailboxes, outbox, round_trips, webhooks
from storage.mailboxes import Mailbox
from storage.round_trips import Kind, RoundTrip, State

NOT_HURRIED: Final = PATIENT | {RELEASED}


def mailbox_of(tx: Transaction, account_id: str, mailbox_id: str) -> Mailbox:
    """A validated mailbox of this account. Raises `NotFound`."""
    for one in mailboxes.list_validated(tx, account_id):
        if one.id == mailbox_id:
            return one
    raise NotFound("There is no such mailbox.")


def resume_outbox(tx: Transaction, account_id: str, *, now: datetime) -> None:
    """A token may be had again: try what waits, of every mailbox."""
    accounts.resume_outbox(tx, account_id)
    for mailbox in mailboxes.list_validated(tx, account_id):
        flow.hasten(tx, mailbox.id, UNSENT, but=NOT_HURRIED, now=now)


def resume_mailbox(tx: Transaction, account_id: str, mailbox_id: str, *, now: datetime) -> None:
    """What paused a mailbox may be mended: try what waits. Not where Microsoft 365 said how long to wait."""
    mailbox = mailbox_of(tx, account_id, mailbox_id)
    if mailbox.paused_until is not None:
        problem = outbox.problem_near(tx, mailbox.id, mailbox.paused_until) or {}
        if problem.get("code", "throttled") in PATIENT:
            return
    flow.resume_mailbox(tx, mailbox.id)
    flow.hasten(tx, mailbox.id, UNSENT, but=NOT_HURRIED, now=now)


def pull(tx: Transaction, account_id: str, mailbox_id: str, *, now: datetime) -> None:
    """Read both folders of a mailbox now."""
    for folder in folders.of_mailbox(tx, mailbox_of(tx, account_id, mailbox_id).id):
        folders.pull_soon(tx, folder.id, now)


def look_again(tx: Transaction, account_id: str, mailbox_id: str, *, now: datetime) -> None:
    """Try now to take in the mail that could not be taken in before."""
    for folder in folders.of_mailbox(tx, mailbox_of(tx, account_id, mailbox_id).id):
        flow.look_again(tx, folder.id, now=now)


def redeliver(tx: Transaction, account_id: str, webhook_id: str, *, now: datetime) -> Sequence[int]:
    """Deliver once more what a webhook would not take within a day; which events."""
    found = webhooks.get(tx, account_id, webhook_id)
    refused = flow.refused_events(tx, found.id, since=now - DAY)
    for seq in refused:
        deliveries.afresh(tx, found.id, seq, now=now)
    return refused


def try_round_trip(
    tx: Transaction, account_id: str, mailbox_id: str, *, noticing: Noticing, now: datetime
) -> RoundTrip:
    """Have a mailbox write to itself, or follow the letter that is under way already: one at a time is enough."""
    mailbox = mailbox_of(tx, account_id, mailbox_id)
    newest = round_trips.newest(tx, mailbox.id)
    if newest and newest[0].state is State.UNDER_WAY:
        return newest[0]
    return begin(tx, account_id, mailbox.address, None, kind=Kind.ASKED, noticing=noticing, now=now)
