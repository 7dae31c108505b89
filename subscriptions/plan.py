"""What a subscription needs next. Pure: records and times in, a step out.

A step that fails is tried again, by and by, for as long as the folder is to be watched; nothing waits for a person.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from storage.subscriptions import Subscription, SubscriptionState

# The pages say 10,080 minutes; the service refuses more than 10,070, and who asks for too much gets nothing.
# https://learn.microsoft.com/graph/api/resources/subscription#subscription-lifetime
LONGEST_LIFE: Final = timedelta(minutes=10_000)
# "Rich" ones: 1,440 minutes, "under one day": the same page
LONGEST_RICH_LIFE: Final = timedelta(minutes=1_400)
SHORTEST_LIFE: Final = timedelta(minutes=60)
# "Do not reauthorize and renew within 10 minutes": https://learn.microsoft.com/graph/change-notifications-lifecycle-events
TOUCH_AGAIN_AFTER: Final = timedelta(minutes=10)
FIRST_BACKOFF: Final = timedelta(seconds=10)
LONGEST_BACKOFF: Final = timedelta(minutes=10)
LONGEST_WAIT: Final = timedelta(hours=1)  # however long a Retry-After asks for
# Graph repeats a notification that nobody took for 4 hours; so long the one before is still listened to.
# https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
OVERLAP: Final = timedelta(hours=4)
CLOCK_NOISE: Final = timedelta(minutes=5)  # clocks are set back this much without anything being wrong


@dataclass(frozen=True, slots=True)
class Create:
    """Ask Graph for it, to live until `until`. `rich`: with encrypted metadata in its notifications."""

    until: datetime
    rich: bool = False


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask for a new end, `until`; this reauthorizes too, and brings a rich one the current certificate."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Reauthorize:
    """Keep it going until its end, which stays."""


@dataclass(frozen=True, slots=True)
class Recreate:
    """It tells the wrong address, or too much, or too little: put another in its place, and listen to both for a
    while.
    """


@dataclass(frozen=True, slots=True)
class Retire:
    """Nobody wants it any more: write that down, then delete it."""


@dataclass(frozen=True, slots=True)
class Delete:
    """End it at Graph."""


@dataclass(frozen=True, slots=True)
class Forget:
    """It is over, and Graph need not be asked."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing, until then."""

    until: datetime


Step: TypeAlias = Create | Renew | Reauthorize | Recreate | Retire | Delete | Forget | Rest
ON_PAPER: Final = (Recreate, Retire, Forget)  # done by writing it down: due at once, and Graph is not asked


def plan(subscription: Subscription, now: datetime, *, notification_url: str | None, rich: bool = False) -> Step:
    """What it needs at `now`, when its folder's notifications are to go to `notification_url` (None: to nobody).

    `rich`: with encrypted metadata.
    """
    if subscription.next_step_at is None:
        return Forget()
    step = _next_step(subscription, now, notification_url, rich)
    if isinstance(step, ON_PAPER) or is_due(subscription, now):
        return step
    return Rest(until=subscription.next_step_at)


def _next_step(subscription: Subscription, now: datetime, notification_url: str | None, rich: bool) -> Step:
    until = now + life_to_ask_for(subscription.failures, rich=rich)
    match subscription.state:
        case SubscriptionState.CREATING:
            return Forget() if notification_url is None else Create(until=until, rich=rich)
        case SubscriptionState.LIVE | SubscriptionState.SUPERSEDED if notification_url is None:
            return Retire()
        case SubscriptionState.LIVE if notification_url != subscription.notification_url:
            return Recreate()
        case SubscriptionState.LIVE if rich is not subscription.is_rich:
            return Recreate()
        case SubscriptionState.LIVE:
            return Renew(until=until)
    if subscription.expiration_date_time is None or subscription.expiration_date_time <= now:
        return Forget()  # those that have ended vanish by themselves
    reauthorize = subscription.reauthorize and subscription.state is SubscriptionState.SUPERSEDED
    return Reauthorize() if reauthorize else Delete()


def is_due(subscription: Subscription, now: datetime) -> bool:
    """Whether its time has come. Also when its time lies further ahead than we ever plan: the clock was set back."""
    if subscription.next_step_at is None or subscription.next_step_at <= now:
        return subscription.next_step_at is not None
    ahead = subscription.next_step_at - now - CLOCK_NOISE
    if subscription.failures == 0 and subscription.state is SubscriptionState.LIVE:
        granted_at = subscription.renewed_at or subscription.created_at
        return ahead > longest_life(rich=subscription.is_rich) / 2 or now < granted_at - CLOCK_NOISE
    if subscription.failures == 0 and subscription.state is SubscriptionState.SUPERSEDED:
        return False  # at worst it ends by itself
    return ahead > LONGEST_WAIT


def longest_life(*, rich: bool) -> timedelta:
    """How much life Graph grants at most, less a margin."""
    return LONGEST_RICH_LIFE if rich else LONGEST_LIFE


def life_to_ask_for(failures: int, *, rich: bool = False) -> timedelta:
    """How much life to ask for after so many failures: less each time, in case it was the life that was refused.

    That happens when our clock runs ahead of Graph's by hours.
    """
    return max(longest_life(rich=rich) / 2.0 ** min(max(failures - 1, 0), 30), SHORTEST_LIFE)


def half_of_life(expiration_date_time: datetime, now: datetime) -> datetime:
    """When one that was granted until `expiration_date_time` at `now` is to be renewed."""
    return now + max((expiration_date_time - now) / 2, FIRST_BACKOFF)


def may_reauthorize(subscription: Subscription, now: datetime) -> bool:
    """Whether Graph's wish for reauthorization is to be followed: not when it was fulfilled within 10 minutes."""
    if subscription.state not in (SubscriptionState.LIVE, SubscriptionState.SUPERSEDED):
        return False
    since = None if subscription.renewed_at is None else now - subscription.renewed_at
    return since is None or not timedelta(0) <= since < TOUCH_AGAIN_AFTER


def backoff(failures: int, roll: float) -> timedelta:
    """How long to wait after the `failures`-th failure (1, 2, …): 10 s doubling to 10 min, half of it left to chance.

    `roll` is from 0 to 1.
    """
    whole = min(FIRST_BACKOFF * 2.0 ** min(max(failures - 1, 0), 30), LONGEST_BACKOFF)
    return whole * (0.5 + roll / 2)


def after_failure(subscription: Subscription, now: datetime, *, retry_after: timedelta | None, roll: float) -> datetime:
    """When to try again what has just failed: in time before the end, but never before Graph wants to hear of us."""
    delay = backoff(subscription.failures, roll)
    if subscription.state is SubscriptionState.LIVE and subscription.expiration_date_time is not None:
        left = subscription.expiration_date_time - now
        if left > timedelta(0):
            delay = min(delay, max(left / 2, FIRST_BACKOFF / 2))
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_WAIT))
    return now + delay


def after_losses(gone_lately: int) -> timedelta:
    """How long to wait before another is made where `gone_lately` were lost in ten minutes: not at all, at first."""
    return backoff(gone_lately - 2, 1.0) if gone_lately > 2 else timedelta(0)
