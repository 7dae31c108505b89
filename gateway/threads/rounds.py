"""Delta rounds, and what one that has gone through proves: that nothing is missing of what came before it began."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.graph import Message as Item
from storage import Transaction, events, folders, gaps, hints, subscriptions
from storage.folders import Folder
from storage.gaps import Gap, Reason

# Until then a notification may still come: "average under 1 minute, maximum 3 minutes",
# https://learn.microsoft.com/graph/change-notifications-overview#latency
NOTIFIED_WITHIN: Final = timedelta(minutes=3)
# https://learn.microsoft.com/graph/delta-query-messages: with a filter "a delta query … returns only up to 5,000
# messages". It then ends like any round.
FILTER_ENDS_AT: Final = 5_000
AGAIN: Final = "again"  # a hint of our own: to be looked at once more
HISTORY: Final = "history"  # a hint of our own: in a conversation that has just turned out to be ours
MISSING: Final = "missing"  # a hint of our own: a check found it in Microsoft 365 and not here


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a delta round, with so many items, and the link to what follows. A round may take several pulls:
    `taken_up_at` is when the present one took it up.
    """

    link: str
    items: int
    is_last: bool
    round_began_at: datetime
    taken_up_at: datetime


def turn(tx: Transaction, folder: Folder, page: Page, *, unrelated: int, now: datetime) -> bool:
    """The page is stored: move the delta on. That Graph gave it ends what kept the folder from being pulled.

    False when a round that was bounded by a filter came to its end where Graph cuts them off: what it did not show is
    found by reading the folder whole, from the next pull on, and only that round closes gaps.
    """
    gaps.end(tx, folder.id, Reason.PULL_FAILING, at=page.taken_up_at)
    bounded = _bounded_items(folders.get(tx, folder.id), page)
    if page.is_last and bounded is not None and bounded >= FILTER_ENDS_AT:
        folders.restart_whole(tx, folder.id)
        return False
    folders.advance(
        tx,
        folder.id,
        page.link,
        unrelated=unrelated,
        round_began_at=None if page.is_last else page.round_began_at,
        bounded_items=None if page.is_last else bounded,
    )
    if page.is_last:
        for gap in gaps.close(tx, folder.id, round_began_at=page.round_began_at, now=now):
            events.record(tx, gap.account_id, "completeness.gap", data=told_of(gap, folder), now=now)
    return True


def _bounded_items(folder: Folder, page: Page) -> int | None:
    """What a round has shown with this page, if it is bounded: the first of a folder is, unless it is read whole."""
    before = 0 if folder.delta_link is None and not folder.is_whole else folder.bounded_items
    return None if before is None else before + page.items


def told_of(gap: Gap, folder: Folder) -> dict[str, object]:
    """What SELMA hears of a closed gap."""
    return {
        "gap_id": gap.id,
        "mailbox_id": gap.mailbox_id,
        "folder": folder.well_known.value,
        "reason": gap.reason.value,
        "began_at": gap.began_at.isoformat(),
        "lasted_s": 0 if gap.lasted is None else gap.lasted // timedelta(seconds=1),
        "unannounced": gap.unannounced,
    }


def is_unannounced(tx: Transaction, folder: Folder, item: Item, now: datetime) -> bool:
    """Whether a mail that is just being stored should have been announced and was not.

    Not when it is so young that its notification may still come, nor where there is nothing that could announce it.
    """
    came_at = item.received_at or item.sent_at
    if came_at is None or now - came_at < NOTIFIED_WITHIN:
        return False
    if subscriptions.current_of_folder(tx, folder.id) is None:
        return False
    return all(hint.change_type == AGAIN for hint in hints.open_about(tx, folder.id, item.id))


def count_unannounced(tx: Transaction, folder: Folder, count: int, *, now: datetime) -> None:
    """With the folder, and with each of its gaps that is not closed; whoever watches over the gateway is told."""
    if count:
        folders.count_unannounced(tx, folder.id, count)
        gaps.count_unannounced(tx, folder.id, count)
        told = {"mailbox_id": folder.mailbox_id, "folder": folder.well_known.value, "mails": count}
        events.record(tx, folder.account_id, "completeness.unannounced", data=told, now=now)
