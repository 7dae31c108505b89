"""Housekeeping: what is no longer needed goes, by itself."""

import logging
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from storage import Store, Transaction, chores, hints

log = logging.getLogger(__name__)

CHORE: Final = "housekeeping"
EVERY: Final = timedelta(hours=1)
# Long enough to see in the file why a reply was late; of mail that is not ours nothing, not even an id, is to stay.
CLOSED_HINTS_KEPT: Final = timedelta(days=1)


class Housekeeping:
    """Forgets closed hints a day after they were closed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run_due(self) -> int:
        """Tidy where it is due; how many rows went. Raises `StorageUnavailable`."""
        forgotten = await self._store.write(_tidy, now=self._clock.now())
        if forgotten:
            log.info("hints forgotten", extra={"hints": forgotten})
        return forgotten


def _tidy(tx: Transaction, *, now: datetime) -> int:
    forgotten = 0
    for account_id in chores.due(tx, CHORE, now, latest=now + 2 * EVERY):
        forgotten += hints.prune(tx, account_id, now - CLOSED_HINTS_KEPT)
        chores.done(tx, account_id, CHORE, next_at=now + EVERY)
    return forgotten
