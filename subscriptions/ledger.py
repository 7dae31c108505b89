"""What the keeper writes down, one function for each of its transactions.

Records are read again in each, because a notification, a person or another gateway may have changed them while
Graph was asked.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from storage import Transaction, accounts, chores, folders, gaps, rich_troubles, subscriptions
from storage.gaps import Reason
from storage.subscriptions import Subscription, SubscriptionState, Watch
from subscriptions.comparing import Ours
from subscriptions.falling_back import given_up, is_to_be_rich
from subscriptions.graph import GraphSubscription
from subscriptions.plan import (
    CLOCK_NOISE,
    LONGEST_LIFE,
    ON_PAPER,
    OVERLAP,
    TOUCH_AGAIN_AFTER,
    Forget,
    Recreate,
    Rest,
    Retire,
    Step,
    after_losses,
    half_of_life,
    plan,
)

COMPARE: Final = "subscriptions"  # the chore: compare the table with what Graph lists
COMPARE_EVERY: Final = timedelta(days=1)
COMPARE_AGAIN_AFTER: Final = timedelta(minutes=10)
UNANSWERED: Final = "Graph has been asked and has not answered yet."
LEASE: Final = timedelta(minutes=4)  # longer than any step may take
AT_ONCE: Final = 8  # steps that are claimed, and then taken, together
KEPT_AFTER_THE_END: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A step that is ours to take until the lease ends. `watch` is as it stands with the attempt counted."""

    watch: Watch
    step: Step


def take_up(tx: Transaction, now: datetime) -> None:
    """At start: do again at once what the last run was waiting for, and compare with Graph."""
    for watch in subscriptions.watches(tx):
        if watch.subscription.problem == UNANSWERED:
            subscriptions.save(tx, replace(watch.subscription, next_step_at=now))
    for account in accounts.all_of_them(tx):
        chores.done(tx, account.id, COMPARE, next_at=now)


def hurry(tx: Transaction, account_id: str, now: datetime) -> None:
    """A person asks: try again now whatever waits after a failure, and compare with Graph."""
    for subscription in subscriptions.open_of_account(tx, account_id):
        if subscription.failures and subscription.problem != UNANSWERED:
            subscriptions.save(tx, replace(subscription, next_step_at=now))
    chores.done(tx, account_id, COMPARE, next_at=now)


def claim_due(tx: Transaction, now: datetime, *, notification_url: str | None, rich: bool = False) -> list[Claimed]:
    """Bring the table up to date with what is wanted, then take the steps that are due, counting each attempt first.

    `rich`: where folders can have rich notifications, they are to.
    """
    if notification_url is not None:
        _intend_for_the_unwatched(tx, notification_url, now)
    for watch in subscriptions.watches(tx):
        step = _step(watch, now, notification_url, rich)
        if isinstance(step, ON_PAPER):
            _write_down(tx, watch.subscription, step, notification_url, now)
    _note_the_expired(tx, now)
    due = [(watch, _step(watch, now, notification_url, rich)) for watch in subscriptions.watches(tx)]
    waiting = [(watch, step) for watch, step in due if not isinstance(step, Rest)]
    return [Claimed(watch=_claim(tx, watch, now), step=step) for watch, step in waiting[:AT_ONCE]]


def _step(watch: Watch, now: datetime, notification_url: str | None, rich: bool) -> Step:
    wanted_at = notification_url if watch.validated else None
    return plan(watch.subscription, now, notification_url=wanted_at, rich=rich and is_to_be_rich(watch, now))


def _intend_for_the_unwatched(tx: Transaction, notification_url: str, now: datetime) -> None:
    for folder_id in subscriptions.unwatched_folders(tx):
        lost = subscriptions.gone_since(tx, folder_id, now - TOUCH_AGAIN_AFTER)
        _intend(tx, folder_id, notification_url, at=now + after_losses(lost), now=now)


def _note_the_expired(tx: Transaction, now: datetime) -> None:
    """One whose end came before Graph renewed it tells nothing any more."""
    for watch in subscriptions.watches(tx):
        ends_at = watch.subscription.expiration_date_time
        if watch.subscription.state is SubscriptionState.LIVE and ends_at is not None and ends_at <= now:
            gaps.begin(tx, watch.subscription.folder_id, Reason.NO_SUBSCRIPTION, ends_at)


def _intend(tx: Transaction, folder_id: str, notification_url: str, *, at: datetime, now: datetime) -> None:
    """A row for one to be created. Its digest is of nothing yet: each attempt brings its own."""
    folder = folders.get(tx, folder_id)
    gaps.begin(tx, folder.id, Reason.NO_SUBSCRIPTION, now)
    subscriptions.add(
        tx,
        account_id=folder.account_id,
        mailbox_id=folder.mailbox_id,
        folder_id=folder.id,
        client_state_digest=secrets.token_bytes(32),
        notification_url=notification_url,
        next_step_at=at,
        now=now,
    )


def _write_down(
    tx: Transaction, subscription: Subscription, step: Step, notification_url: str | None, now: datetime
) -> None:
    match step:
        case Retire():
            _change(tx, subscription, SubscriptionState.REMOVING, next_step_at=now)
            _nothing_lacks(tx, subscription, now)
        case Recreate() if notification_url is not None:
            # It goes on until it ends, or until its successor has lived for a while: see `went_live`.
            ends_at = subscription.expiration_date_time or now
            _change(tx, subscription, SubscriptionState.SUPERSEDED, next_step_at=ends_at)
            _intend(tx, subscription.folder_id, notification_url, at=now, now=now)
        case Forget():
            if subscription.state is SubscriptionState.CREATING and subscription.failures:
                chores.done(tx, subscription.account_id, COMPARE, next_at=now)  # Graph may have made it
            if subscription.state is SubscriptionState.CREATING:
                _nothing_lacks(tx, subscription, now)
            ended(tx, subscription.id)


def _nothing_lacks(tx: Transaction, subscription: Subscription, now: datetime) -> None:
    """Its folder has the subscription that it is to have, or is to have none."""
    gaps.end(tx, subscription.folder_id, Reason.NO_SUBSCRIPTION, Reason.SUBSCRIPTION_REMOVED, at=now)


def _change(
    tx: Transaction, subscription: Subscription, state: SubscriptionState, *, next_step_at: datetime | None
) -> None:
    """Another state, and with it a fresh start."""
    changed = replace(subscription, state=state, next_step_at=next_step_at, reauthorize=False, failures=0, problem=None)
    subscriptions.save(tx, changed)


def _claim(tx: Transaction, watch: Watch, now: datetime) -> Watch:
    subscription = watch.subscription
    claimed = replace(subscription, next_step_at=now + LEASE, failures=subscription.failures + 1, problem=UNANSWERED)
    subscriptions.save(tx, claimed)
    return replace(watch, subscription=claimed)


def about_to_create(
    tx: Transaction, row_id: str, digest: bytes, notification_url: str, certificate_id: str | None = None
) -> bool:
    """Keep the digest of the `clientState` that Graph is about to be given, and for whom it is to encrypt.

    False when it is not wanted any more.
    """
    subscription = subscriptions.get(tx, row_id)
    if subscription.state is not SubscriptionState.CREATING:
        return False
    asked = replace(
        subscription,
        client_state_digest=digest,
        notification_url=notification_url,
        subscription_id=None,
        encryption_certificate_id=certificate_id,
    )
    subscriptions.save(tx, asked)
    return True


def went_live(tx: Transaction, row_id: str, digest: bytes, held: GraphSubscription, now: datetime) -> bool:
    """Graph made it, or it was found: watch by it, and pull what came before. False when it is not wanted any more."""
    subscription = subscriptions.get(tx, row_id)
    if subscription.client_state_digest != digest:  # another attempt has begun: this one is a stray
        chores.done(tx, subscription.account_id, COMPARE, next_at=now)
        return False
    made = replace(subscription, subscription_id=held.subscription_id, expiration_date_time=held.expiration_date_time)
    if subscription.state is not SubscriptionState.CREATING:
        _change(tx, made, SubscriptionState.REMOVING, next_step_at=now)
        return False
    _change(tx, made, SubscriptionState.LIVE, next_step_at=half_of_life(held.expiration_date_time, now))
    _end_overlap(tx, made, now + OVERLAP)
    _nothing_lacks(tx, made, now)
    folders.pull_soon(tx, subscription.folder_id, now)
    return True


def _end_overlap(tx: Transaction, successor: Subscription, at: datetime) -> None:
    for other in subscriptions.open_of_mailbox(tx, successor.mailbox_id):
        if other.folder_id == successor.folder_id and other.state is SubscriptionState.SUPERSEDED:
            subscriptions.save(tx, replace(other, next_step_at=min(other.next_step_at or at, at)))


def renewed(
    tx: Transaction,
    row_id: str,
    expiration_date_time: datetime,
    now: datetime,
    *,
    certificate_id: str | None = None,
) -> None:
    """Graph granted a new end, and took the certificate if one is named. Pulls too: delivery may have paused before."""
    subscription = subscriptions.get(tx, row_id)
    if subscription.state is SubscriptionState.GONE:
        return
    granted = replace(
        subscription,
        expiration_date_time=expiration_date_time,
        renewed_at=now,
        encryption_certificate_id=certificate_id or subscription.encryption_certificate_id,
    )
    next_step_at = half_of_life(expiration_date_time, now)
    if subscription.state is SubscriptionState.LIVE:
        _nothing_lacks(tx, subscription, now)
    else:
        next_step_at = subscription.next_step_at or now
    _change(tx, granted, subscription.state, next_step_at=next_step_at)
    folders.pull_soon(tx, subscription.folder_id, now)


def fell_back(tx: Transaction, folder_id: str, reason: str, now: datetime) -> None:
    """Rich notifications are not to be had for this folder: plain ones, for a day."""
    rich_troubles.save(tx, given_up(rich_troubles.of_folder(tx, folder_id), reason, now))


def replace_rich(tx: Transaction, row_id: str, now: datetime) -> None:
    """Graph does not take another certificate for it: another subscription is to take its place."""
    subscription = subscriptions.get(tx, row_id)
    if subscription.state is SubscriptionState.LIVE:
        _write_down(tx, subscription, Recreate(), subscription.notification_url, now)


def reauthorized(tx: Transaction, row_id: str, now: datetime) -> None:
    """One that was superseded goes on until its end, or until its successor has lived for a while."""
    subscription = subscriptions.get(tx, row_id)
    if subscription.state is not SubscriptionState.SUPERSEDED:
        return
    successor = subscriptions.current_of_folder(tx, subscription.folder_id)
    lives = successor is not None and successor.state is SubscriptionState.LIVE
    ends_at = subscription.expiration_date_time or now
    next_step_at = min(ends_at, now + OVERLAP) if lives else ends_at
    granted = replace(subscription, renewed_at=now)
    _change(tx, granted, SubscriptionState.SUPERSEDED, next_step_at=next_step_at)
    folders.pull_soon(tx, subscription.folder_id, now)


def ended(tx: Transaction, row_id: str) -> None:
    """It is no more, as was wanted."""
    _change(tx, subscriptions.get(tx, row_id), SubscriptionState.GONE, next_step_at=None)


def vanished(tx: Transaction, row_id: str, now: datetime) -> None:
    """It is no more, and we did not end it: pull what was missed. The folder is unwatched now, and so gets another."""
    subscription = subscriptions.get(tx, row_id)
    ended(tx, row_id)
    if subscription.state is SubscriptionState.LIVE:
        _note_loss(tx, subscription, now)
    folders.pull_soon(tx, subscription.folder_id, now)


def _note_loss(tx: Transaction, subscription: Subscription, now: datetime) -> None:
    ends_at = subscription.expiration_date_time
    if ends_at is not None and ends_at <= now:
        gaps.begin(tx, subscription.folder_id, Reason.NO_SUBSCRIPTION, ends_at)
    else:
        since = last_certainty(tx, subscription.folder_id, now)
        gaps.begin(tx, subscription.folder_id, Reason.SUBSCRIPTION_REMOVED, since)


def last_certainty(tx: Transaction, folder_id: str, now: datetime) -> datetime:
    """When a loss that Graph gives no time for began at the earliest: what came before the last pull has been seen."""
    folder = folders.get(tx, folder_id)
    return min(folder.last_pulled_at or folder.watch_since, now)


def failed(tx: Transaction, row_id: str, problem: str, *, again_at: datetime) -> None:
    """The step did not succeed; the attempt was counted when it was claimed."""
    subscription = subscriptions.get(tx, row_id)
    if subscription.state is not SubscriptionState.GONE and subscription.failures:
        subscriptions.save(tx, replace(subscription, problem=problem, next_step_at=again_at))


def claim_comparisons(tx: Transaction, now: datetime, *, with_public_url: bool) -> list[str]:
    """The accounts whose subscriptions are to be compared with Graph's list now."""
    due = chores.due(tx, COMPARE, now, latest=now + COMPARE_EVERY + CLOCK_NOISE)
    for account_id in due:
        chores.done(tx, account_id, COMPARE, next_at=now + COMPARE_AGAIN_AFTER)
    return [
        account_id
        for account_id in due
        if subscriptions.addresses(tx, account_id, now - LONGEST_LIFE)
        or (with_public_url and accounts.get(tx, account_id).tenant_id is not None)
    ]


def what_is_ours(tx: Transaction, account_id: str, notification_url: str | None, now: datetime) -> Ours:
    """All that are not gone, and the addresses that strays of this account's can have."""
    addresses = subscriptions.addresses(tx, account_id, now - LONGEST_LIFE)
    return Ours(
        watches=tuple(subscriptions.watches(tx)),
        addresses=frozenset(addresses if notification_url is None else {*addresses, notification_url}),
    )


def compared(tx: Transaction, account_id: str, now: datetime) -> None:
    """Not again before tomorrow."""
    chores.done(tx, account_id, COMPARE, next_at=now + COMPARE_EVERY)
    subscriptions.prune(tx, now - KEPT_AFTER_THE_END)
