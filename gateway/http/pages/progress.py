"""How far a batch is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.http.batches import BatchView, batch_view
from gateway.http.pages.statuses import STATUSES, Status
from gateway.sending.rules import Allowance
from storage import Transaction, batches

# Letters with one of these may still leave, or have left without having been seen in Sent Items.
ON_THE_WAY: Final = frozenset({"queued", "sending", "submitted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """A batch and how far it is."""

    batch: BatchView

    @property
    def over(self) -> int:
        """How many of its letters nothing more happens to by itself."""
        return self.batch.letters - sum(n for status, n in self.batch.counts.items() if status in ON_THE_WAY)

    @property
    def counts(self) -> Sequence[tuple[Status, int]]:
        """How many letters have each status that one of them has, in the order of a letter's life."""
        counted: dict[str, int] = dict(self.batch.counts.items())
        return [(status, counted[name]) for name, status in STATUSES.items() if name in counted]

    @property
    def under_way(self) -> bool:
        """Whether some of it are still to leave."""
        return self.batch.status == "sending"


def read_batch(tx: Transaction, account_id: str, batch_id: str, *, allowance: Allowance, now: datetime) -> BatchLine:
    """Raises `storage.NotFound`, also for another account's."""
    return BatchLine(batch=batch_view(tx, batches.get(tx, account_id, batch_id), allowance=allowance, now=now))
