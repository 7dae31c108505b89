"""How complete a mailbox is, as far as is known: its last check, its gaps, and what no notification announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import Transaction, completeness, folders, gaps
from storage.completeness import Check
from storage.folders import WellKnown
from storage.gaps import Reason
from storage.mailboxes import Mailbox


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
    """`unannounced` counts all mail of the mailbox that a pull found and no notification had told of."""

    check: Check
    gaps: Sequence[OpenGap]
    unannounced: int

    @property
    def lasting(self) -> Sequence[OpenGap]:
        """The gaps whose cause is not over."""
        return [gap for gap in self.gaps if gap.ended_at is None]


def read_completeness(tx: Transaction, mailbox: Mailbox) -> Completeness:
    """How complete this mailbox is."""
    watched = folders.of_mailbox(tx, mailbox.id)
    names = {folder.id: folder.well_known for folder in watched}
    return Completeness(
        check=completeness.of_mailbox(tx, mailbox.id),
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
    )
