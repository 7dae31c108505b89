"""Housekeeping: what is no longer needed goes, by itself."""

import logging
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.sending import loops
from gateway.sending.machine import State
from storage import (
    Store,
    Transaction,
    answerers,
    attachments,
    chores,
    deliveries,
    ended_sessions,
    files,
    gaps,
    hints,
    round_trips,
    validations,
    webhooks,
)

log = logging.getLogger(__name__)

CHORE: Final = "housekeeping"
EVERY: Final = timedelta(hours=1)
# Long enough to see in the file why a reply was late; of mail that is not ours nothing, not even an id, is to stay.
CLOSED_HINTS_KEPT: Final = timedelta(days=1)
ROUND_TRIPS_KEPT: Final = timedelta(days=400)
VALIDATIONS_KEPT: Final = timedelta(days=7)
GAPS_KEPT: Final = timedelta(days=365)
DELIVERIES_KEPT: Final = timedelta(days=30)
# The mailbox has what a letter brought along; here it is kept a while, should somebody ask what was sent.
FILES_KEPT: Final = timedelta(days=30)
DEPARTURES_KEPT: Final = 2 * loops.WITHIN
OVER: Final = (State.SENT, State.BOUNCED, State.CANCELLED)


class Housekeeping:
    """Forgets closed hints, old gaps and deliveries, files that no letter came for, and those of letters long over."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run_due(self) -> int:
        """Tidy where it is due; how many rows went. Raises `StorageUnavailable`."""
        forgotten = await self._store.write(_tidy, now=self._clock.now())
        if forgotten:
            log.info("tidied", extra={"rows": forgotten})
        return forgotten


def _tidy(tx: Transaction, *, now: datetime) -> int:
    forgotten = 0
    for account_id in chores.due(tx, CHORE, now, latest=now + 2 * EVERY):
        forgotten += answerers.forget(tx, account_id, before=now - DEPARTURES_KEPT)
        forgotten += hints.prune(tx, account_id, now - CLOSED_HINTS_KEPT)
        forgotten += gaps.prune(tx, account_id, now - GAPS_KEPT)
        forgotten += deliveries.forget(tx, account_id, before=now - DELIVERIES_KEPT)
        forgotten += webhooks.forget_old_secrets(tx, account_id, now=now)
        round_trips.prune(tx, account_id, now - ROUND_TRIPS_KEPT)
        validations.prune(tx, account_id, now - VALIDATIONS_KEPT)
        attachments.let_go(tx, account_id, states=OVER, before=now - FILES_KEPT)
        forgotten += files.forget_expired(tx, account_id, now=now)
        ended_sessions.prune(tx, account_id, now=now)
        chores.done(tx, account_id, CHORE, next_at=now + EVERY)
    return forgotten
