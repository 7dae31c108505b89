"""Addresses: where Graph is to send notifications, and what a subscription is about."""

from typing import Final

NOTIFICATIONS: Final = "/graph/notifications"
LIFECYCLE: Final = "/graph/lifecycle"
# Inbox and Sent Items are pulled from their delta, which sees the rest: one word when a message comes is enough.
CHANGE_TYPE: Final = "created"
METADATA: Final = (
    "id",
    "conversationId",
    "internetMessageId",
    "from",
    "receivedDateTime",
    "isDraft",
    "parentFolderId",
    "internetMessageHeaders",
)


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


def rich_resource_of(user_id: str, well_known: str) -> str:
    """The same, with what of a message its notification is to bring: what tells whether it is ours, and no more.

    A body cannot be had, and a subject is not wanted. Nor is anything kept of mail that is not ours.
    Source: https://learn.microsoft.com/graph/outlook-change-notifications-overview#include-resource-data-in-notification-payload
    """
    return f"{resource_of(user_id, well_known)}?$select={','.join(METADATA)}"


def same_resource(one: str, other: str) -> bool:
    """Microsoft's pages write them with and without a leading slash, and in any case.

    What is selected of it is no part of it: Graph lists a rich subscription with its query.
    """
    return _path(one) == _path(other)


def _path(resource: str) -> str:
    return resource.partition("?")[0].strip("/").casefold()
