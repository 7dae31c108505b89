"""What the console knows of an account, read on one snapshot of the store. Nothing is asked of anybody outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.alive import SIGN
from gateway.sending.machine import LOOP, UNSENT, State
from gateway.settings import Settings
from gateway.setup.expiry import Standing, standing_of
from gateway.threads.standing import Completeness, read_completeness
from storage import (
    Transaction,
    accounts,
    batches,
    chores,
    credentials,
    deliveries,
    flow,
    folders,
    mailboxes,
    outbox,
    preferences,
    round_trips,
    search_backlogs,
    subscriptions,
    webhooks,
)
from storage.accounts import Account
from storage.credentials import Credential
from storage.deliveries import Waiting
from storage.flow import Happened, OpenHints, Queue
from storage.folders import Folder
from storage.mailboxes import Mailbox, MailboxState
from storage.round_trips import RoundTrip
from storage.search_backlogs import Backlog
from storage.subscriptions import Subscription
from storage.webhooks import Webhook

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
STUBBORN_AFTER: Final = timedelta(minutes=10)  # as long as the longest wait between two looks at a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A watched folder, the subscription that is to tell of it, and what was told and has not come to its end."""

    folder: Folder
    subscription: Subscription | None
    hints: OpenHints


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A validated mailbox. `problem`: what the letters met that paused it. `trip` has a verdict, `trying` not yet."""

    mailbox: Mailbox
    waiting: int
    problem: Mapping[str, Any] | None
    watches: Sequence[Watch]
    completeness: Completeness
    trip: RoundTrip | None
    trying: RoundTrip | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """`waiting` are those that may leave; `held` for their recipients' machines; `failed` of those of a day."""

    waiting: Queue
    oldest_due: datetime | None
    undecided: int
    held: int
    failed: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook, what waits for it, and which of the newest events it would not take."""

    webhook: Webhook
    waiting: Waiting
    refused: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of one account. `alive_at` is the last sign of life of a gateway, None where none ever worked."""

    now: datetime
    account: Account
    serving: Sequence[Credential]
    expiry: Standing | None
    self_tests: bool
    public: bool
    sweeps: timedelta
    alive_at: datetime | None
    happened: Happened
    letters: Letters
    boxes: Sequence[Box]
    unproved: Sequence[Mailbox]
    held_mail: Queue
    hooks: Sequence[Hook]
    backlog: Backlog | None

    @property
    def is_connected(self) -> bool:
        """Whether there is an app, and something to sign in with."""
        return self.account.client_id is not None and bool(self.serving)


def read_snapshot(tx: Transaction, account_id: str, *, settings: Settings, now: datetime) -> Snapshot:
    """Everything. Raises `storage.NotFound` for an account that is not there."""
    account, serving = accounts.get(tx, account_id), credentials.serving(tx, account_id)
    found = mailboxes.list_mailboxes(tx, account_id)
    return Snapshot(
        now=now,
        account=account,
        serving=serving,
        expiry=standing_of(serving, now, time_zone=account.time_zone),
        self_tests=preferences.get(tx, account_id).self_test,
        public=settings.public_url is not None,
        sweeps=settings.sweep_interval,
        alive_at=chores.due_at(tx, account_id, SIGN),
        happened=flow.happened(tx, account_id, hour=now - HOUR, day=now - DAY),
        letters=_letters(tx, account_id, now),
        boxes=[_box(tx, one, now) for one in found if one.state is MailboxState.VALIDATED],
        unproved=[one for one in found if one.state is not MailboxState.VALIDATED],
        held_mail=flow.held_mail(tx, account_id),
        hooks=[
            Hook(
                webhook=one,
                waiting=deliveries.waiting(tx, one.id),
                refused=flow.refused_events(tx, one.id, since=now - DAY),
            )
            for one in webhooks.of_account(tx, account_id)
        ],
        backlog=next((one for one in search_backlogs.backlogs(tx) if one.account_id == account_id), None),
    )


def _letters(tx: Transaction, account_id: str, now: datetime) -> Letters:
    return Letters(
        waiting=flow.waiting_letters(tx, account_id, UNSENT, now=now),
        oldest_due=outbox.oldest_due(tx, account_id, now),
        undecided=outbox.counts_in(tx, account_id, [State.NEEDS_REVIEW]).get(State.NEEDS_REVIEW, 0),
        held=outbox.drafted_with_problem(tx, account_id, LOOP),
        failed=flow.ended_so(tx, account_id, State.FAILED, posted_since=now - DAY),
        batches=len(batches.under_way(tx, account_id)),
    )


def _box(tx: Transaction, mailbox: Mailbox, now: datetime) -> Box:
    newest, until = next(iter(round_trips.newest(tx, mailbox.id)), None), mailbox.paused_until
    return Box(
        mailbox=mailbox,
        waiting=outbox.waiting(tx, mailbox.id).letters,
        problem=outbox.problem_near(tx, mailbox.id, until) if until is not None and until > now else None,
        watches=[_watch(tx, one, now) for one in folders.of_mailbox(tx, mailbox.id)],
        completeness=read_completeness(tx, mailbox, now),
        trip=round_trips.last_verdict(tx, mailbox.id),
        trying=newest if newest is not None and newest.state is round_trips.State.UNDER_WAY else None,
    )


def _watch(tx: Transaction, folder: Folder, now: datetime) -> Watch:
    return Watch(
        folder=folder,
        subscription=subscriptions.current_of_folder(tx, folder.id),
        hints=flow.open_hints(tx, folder.id, stubborn_before=now - STUBBORN_AFTER),
    )
