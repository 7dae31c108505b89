"""What is kept of a request's items, once they are believed: hints, and what a lifecycle event asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import storage
from storage import folders, gaps, hints, subscriptions
from storage.hints import ComeIn, NewHint
from storage.origins import ORIGIN
from storage.subscriptions import SubscriptionState, Watch
from subscriptions import ledger
from subscriptions.judging import Trusted, is_sealed
from subscriptions.notifications import Change, Lifecycle, LifecycleEvent
from subscriptions.plan import may_reauthorize


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What is to be kept of one request. `more`: those of its items that are more than a hint."""

    come_in: ComeIn
    more: Sequence[Trusted]


def arrived(trusted: Sequence[Trusted], now: datetime, *, held_until: datetime | None = None) -> Arrived:
    """What is to be kept of one request. With `held_until` hints that bring content wait so long for it."""
    new = dict.fromkeys(hint for one in trusted if (hint := hint_of(one)) is not None)
    return Arrived(
        come_in=ComeIn(hints=tuple(new), at=now, held_until=held_until, traceparent=ORIGIN.get().traceparent),
        more=[one for one in trusted if is_more_than_a_hint(one)],
    )


def keep(tx: storage.Transaction, requests: Sequence[Arrived]) -> None:
    """Everything of these requests, in one transaction."""
    hints.insert_all(tx, [one.come_in for one in requests])
    for request in requests:
        for one in request.more:
            _keep_more(tx, one, request.come_in.at)


def _keep_more(tx: storage.Transaction, trusted: Trusted, now: datetime) -> None:
    watch, item = trusted.watch, trusted.item
    if watch.subscription.subscription_id is None:
        subscriptions.witness(tx, watch.subscription.id, item.subscription_id)
    if isinstance(item, Lifecycle):
        react(tx, watch, item.event, now)
    elif item.message_id is None:
        folders.pull_soon(tx, watch.subscription.folder_id, now)


def is_more_than_a_hint(trusted: Trusted) -> bool:
    """Whether there is something to be done beside keeping its hint, or in place of that."""
    item = trusted.item
    return isinstance(item, Lifecycle) or item.message_id is None or trusted.watch.subscription.subscription_id is None


def hint_of(trusted: Trusted) -> NewHint | None:
    """The hint that a change is. None when Graph did not say which message: then the folder is pulled all the same."""
    if not isinstance(trusted.item, Change) or trusted.item.message_id is None:
        return None
    return NewHint(
        account_id=trusted.watch.subscription.account_id,
        folder_id=trusted.watch.subscription.folder_id,
        change_type=trusted.item.change_type.value,
        message_id=trusted.item.message_id,
        held=is_sealed(trusted),
    )


def react(tx: storage.Transaction, watch: Watch, event: LifecycleEvent, now: datetime) -> None:
    """What a lifecycle event asks for, written down for the keeper and the puller.

    Source: https://learn.microsoft.com/graph/change-notifications-lifecycle-events
    """
    subscription = subscriptions.get(tx, watch.subscription.id)
    if subscription.state is SubscriptionState.GONE:
        return
    match event:
        case LifecycleEvent.SUBSCRIPTION_REMOVED:
            ledger.vanished(tx, subscription.id, now)
        case LifecycleEvent.REAUTHORIZATION_REQUIRED:
            if may_reauthorize(subscription, now):
                subscriptions.save(tx, replace(subscription, reauthorize=True, next_step_at=now))
        case LifecycleEvent.MISSED | LifecycleEvent.UNKNOWN:
            since = ledger.last_certainty(tx, subscription.folder_id, now)
            gaps.note(tx, subscription.folder_id, gaps.Reason.NOTIFICATIONS_MISSED, began_at=since, ended_at=now)
            folders.pull_soon(tx, subscription.folder_id, now)
