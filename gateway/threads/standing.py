"""How a mailbox is watched and how complete it is, as far as is known: its last check, its gaps, what no notification
announced, and what keeps its notifications from being rich.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.threads.completeness import is_due
from storage import Transaction, accounts, completeness, folders, gaps, rich_troubles
from storage.completeness import Check
from storage.folders import Folder, WellKnown
from storage.gaps import Reason
from storage.mailboxes import Mailbox
from subscriptions.falling_back import RICH_FOLDERS, TENANT_BY_NAME, guid, is_given_up

MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingMail:
    """A mail of ours that Microsoft 365 has and we have not, by Graph's id; nothing that stands in it.

    `came_at`: when it came into the mailbox, as far as Graph tells. `missing_since`: the first check that missed it.
    """

    graph_id: str
    folder: WellKnown
    came_at: datetime | None
    missing_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGap:
    """A gap that no delta has passed yet. With `ended_at` its cause is over, and the next pull closes it."""

    folder: WellKnown
    reason: Reason
    began_at: datetime
    ended_at: datetime | None
    unannounced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """`unannounced` counts all mail of the mailbox that a pull found and no notification had told of.

    `missing_mail` are the first MOST_SHOWN that the last check missed and that have not come since. `is_checking`:
    a check is under way, or will be in a moment.
    """

    check: Check
    gaps: Sequence[OpenGap]
    unannounced: int
    missing_mail: Sequence[MissingMail]
    is_checking: bool

    @property
    def lasting(self) -> Sequence[OpenGap]:
        """The gaps whose cause is not over."""
        return [gap for gap in self.gaps if gap.ended_at is None]


def read_completeness(tx: Transaction, mailbox: Mailbox, now: datetime) -> Completeness:
    """How complete this mailbox is."""
    check, watched = completeness.of_mailbox(tx, mailbox.id), folders.of_mailbox(tx, mailbox.id)
    names = {folder.id: folder.well_known for folder in watched}
    return Completeness(
        check=check,
        gaps=[
            OpenGap(
                folder=names[gap.folder_id],
                reason=gap.reason,
                began_at=gap.began_at,
                ended_at=gap.ended_at,
                unannounced=gap.unannounced,
            )
            for gap in gaps.not_closed(tx, names)
        ],
        unannounced=sum(folder.unannounced for folder in watched),
        missing_mail=[
            MissingMail(
                graph_id=one.graph_id,
                folder=names[one.folder_id],
                came_at=one.came_at,
                missing_since=one.missing_since,
            )
            for one in completeness.missing(tx, mailbox.id, limit=MOST_SHOWN)
        ],
        is_checking=check.conversations is not None or is_due(tx, mailbox.account_id, now),
    )


def why_plain(tx: Transaction, folder: Folder, now: datetime) -> str | None:
    """Why this folder has plain notifications though rich ones are switched on, in a sentence for people.

    None when it has rich ones, and when it is not meant to have them.
    """
    if folder.well_known.value not in RICH_FOLDERS:
        return None
    tenant_id = accounts.get(tx, folder.account_id).tenant_id
    if tenant_id is not None and guid(tenant_id) is None:
        return TENANT_BY_NAME
    trouble = rich_troubles.of_folder(tx, folder.id)
    return trouble.reason if is_given_up(trouble.plain_until, now) else None
