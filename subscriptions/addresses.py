"""Addresses: where Graph is to send notifications, and what a subscription is about."""

from typing import Final

NOTIFICATIONS: Final = "/graph/notifications"
LIFECYCLE: Final = "/graph/lifecycle"
# Inbox and Sent Items are pulled from their delta, which sees the rest: one word when a message comes is enough.
CHANGE_TYPE: Final = "created"


def notification_url_of(public_url: str) -> str:
    """Where change notifications go."""
    return public_url.rstrip("/") + NOTIFICATIONS


def lifecycle_url_beside(notification_url: str) -> str:
    """Where lifecycle notifications go; Graph takes this at creation only."""
    return notification_url.removesuffix(NOTIFICATIONS) + LIFECYCLE


def resource_of(user_id: str, well_known: str) -> str:
    """The messages of a well-known folder. By object id, since addresses change.

    Source: https://learn.microsoft.com/graph/outlook-change-notifications-overview
    """
    return f"users/{user_id}/mailFolders('{well_known}')/messages"


def same_resource(one: str, other: str) -> bool:
    """Microsoft's pages write them with and without a leading slash, and in any case.

    What is selected of it is no part of it: Graph lists a rich subscription with its query.
    """
    return _path(one) == _path(other)


def _path(resource: str) -> str:
    return resource.partition("?")[0].strip("/").casefold()
