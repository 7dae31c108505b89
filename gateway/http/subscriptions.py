"""`/v1/subscriptions`: how the mailboxes are watched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, unaudited
from gateway.http.routing import Call, Operation, json_response
from gateway.threads.standing import why_plain
from storage import Transaction, folders, mailboxes, subscriptions
from storage.api_keys import Scope
from storage.folders import WellKnown
from storage.subscriptions import SubscriptionState


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription at Microsoft Graph. `subscription_id` and `expiration_date_time` are Graph's.

    `rich`: its notifications bring encrypted metadata.
    """

    id: str
    mailbox: str
    folder: WellKnown
    state: SubscriptionState
    rich: bool
    subscription_id: str | None
    expiration_date_time: datetime | None
    next_step_at: datetime | None
    problem: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFolderView:
    """A folder that is watched, by notifications or by sweeps alone. `problem` is why the last pull failed.

    `plain_because` is why its notifications are plain though rich ones are switched on and meant for it.
    """

    mailbox: str
    folder: WellKnown
    last_pulled_at: datetime | None
    next_pull_at: datetime
    problem: str | None
    plain_because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchingView:
    """`sweeping_only` says why no notifications come, when that is so by settings."""

    items: Sequence[SubscriptionView]
    next: None
    folders: Sequence[WatchedFolderView]
    sweeping_only: str | None


NO_PUBLIC_URL: Final = (
    "GATEWAY_PUBLIC_URL is not set, so Microsoft Graph cannot reach this gateway. Mail is found by sweeping."
)


def watching(tx: Transaction, account_id: str, *, public: bool, rich: bool, now: datetime) -> WatchingView:
    """Everything that is watched for an account. `public` and `rich` are by settings."""
    addresses = {one.id: one.address for one in mailboxes.list_mailboxes(tx, account_id)}
    watched = [folder for mailbox_id in addresses for folder in folders.of_mailbox(tx, mailbox_id)]
    found = subscriptions.open_of_account(tx, account_id)
    return WatchingView(
        items=[_subscription_view(tx, one) for one in found],
        next=None,
        folders=[
            WatchedFolderView(
                mailbox=addresses[one.mailbox_id],
                folder=one.well_known,
                last_pulled_at=one.last_pulled_at,
                next_pull_at=one.next_pull_at,
                problem=one.problem,
                plain_because=why_plain(tx, one, now) if rich else None,
            )
            for one in watched
        ],
        sweeping_only=None if public else NO_PUBLIC_URL,
    )


def _subscription_view(tx: Transaction, subscription: subscriptions.Subscription) -> SubscriptionView:
    return SubscriptionView(
        id=subscription.id,
        mailbox=mailboxes.get(tx, subscription.mailbox_id).address,
        folder=folders.get(tx, subscription.folder_id).well_known,
        state=subscription.state,
        rich=subscription.is_rich,
        subscription_id=subscription.subscription_id,
        expiration_date_time=subscription.expiration_date_time,
        next_step_at=subscription.next_step_at,
        problem=subscription.problem,
        created_at=subscription.created_at,
    )


async def show(call: Call[schemas.Nothing]) -> Response:
    settings = call.services.settings
    view = await call.services.store.read(
        watching,
        call.account_id,
        public=settings.public_url is not None,
        rich=settings.rich_notifications,
        now=call.services.clock.now(),
    )
    return json_response(view)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/subscriptions",
        scope=Scope.SETTINGS,
        summary="How the mailboxes are watched",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=WatchingView,
    ),
)
