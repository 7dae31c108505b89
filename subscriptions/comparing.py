"""The table beside what Graph lists: pure questions about both."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.subscriptions import SubscriptionState, Watch
from subscriptions.addresses import resource_of, same_resource
from subscriptions.graph import GraphSubscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What we know to be ours: `watches` of all accounts, and the addresses that one account's notifications go to.

    Among these are former addresses, for as long as a subscription may live whose 201 was never read.
    """

    watches: Sequence[Watch]
    addresses: frozenset[str]


def missing(watches: Sequence[Watch], listed: Sequence[GraphSubscription]) -> list[Watch]:
    """Those that we count on and Graph does not list. `watches` are as they stood before the list was asked for."""
    there = {held.subscription_id for held in listed}
    return [
        watch
        for watch in watches
        if watch.subscription.state is not SubscriptionState.CREATING
        and watch.subscription.subscription_id not in there
    ]


def strays(ours: Ours, listed: Sequence[GraphSubscription]) -> list[GraphSubscription]:
    """Those that tell an address of ours and that we know nothing of; others' are not our business.

    `ours` is as it stood after the list was answered. A folder for which one is just being created is left to
    that step.
    """
    known = {watch.subscription.subscription_id for watch in ours.watches}
    return [
        held
        for held in listed
        if held.notification_url in ours.addresses
        and held.subscription_id not in known
        and not any(_is_being_created(watch, held.resource) for watch in ours.watches)
    ]


def _is_being_created(watch: Watch, resource: str) -> bool:
    return (
        watch.subscription.state is SubscriptionState.CREATING
        and watch.user_id is not None
        and same_resource(resource, resource_of(watch.user_id, watch.well_known))
    )


def witnessed(watch: Watch, listed: Sequence[GraphSubscription], notification_url: str) -> GraphSubscription | None:
    """The one whose 201 we never read, if a notification has told its id together with our secret."""
    wanted = watch.subscription.subscription_id
    return next(
        (
            held
            for held in listed
            if held.subscription_id == wanted
            and held.notification_url == notification_url == watch.subscription.notification_url
        ),
        None,
    )


def in_the_way(
    watch: Watch, ours: Ours, listed: Sequence[GraphSubscription], *, refused_as_double: bool
) -> list[GraphSubscription]:
    """What is to be deleted before `watch` is created: doubles of ours whose `clientState` nobody knows any more.

    One that it supersedes stays, unless Graph has refused a second one for the same resource.
    """
    assert watch.user_id is not None  # noqa: S101 - a validated mailbox has one
    resource = resource_of(watch.user_id, watch.well_known)
    owners = {other.subscription.subscription_id: other.subscription for other in ours.watches}

    def is_in_the_way(held: GraphSubscription) -> bool:
        owner = owners.get(held.subscription_id)
        if owner is None:
            return held.notification_url in ours.addresses
        if owner.id == watch.subscription.id:
            return True
        return refused_as_double and owner.folder_id == watch.subscription.folder_id

    return [held for held in listed if same_resource(held.resource, resource) and is_in_the_way(held)]
