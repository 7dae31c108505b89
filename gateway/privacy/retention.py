"""Retention: what is older than the account's rules goes, in small steps, once a day; with receipts, as an erasure has.

Off until somebody sets a rule. A thread's age is that of its last message.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final

from gateway import tracing
from gateway.clock import Clock
from gateway.privacy.erasing import Eraser
from storage import StorageUnavailable, Store, Transaction, audit, chores, retention
from storage.retention import Expired

log = logging.getLogger(__name__)

CHORE: Final = "retention"
EVERY: Final = timedelta(days=1)
AUDIT_AT_ONCE: Final = 2_000


class Retention:
    """Forgets what is too old, and goes on with erasures that a crash interrupted, or another process made."""

    def __init__(self, store: Store, eraser: Eraser, clock: Clock) -> None:
        self._store = store
        self._eraser = eraser
        self._clock = clock

    async def preview(self, account_id: str) -> tuple[Expired, int]:
        """What would go now: threads, and rows of the audit log. Nothing is changed."""
        return await self._store.read(too_old, account_id, now=self._clock.now())

    async def run_due(self) -> int:
        """Forget where it is due; how many threads went. Raises `StorageUnavailable`."""
        await self._eraser.forget_erased()
        await self._eraser.purge_due()
        now = self._clock.now()
        due = await self._store.read(chores.due, CHORE, now, latest=now + 2 * EVERY)
        return sum([await self.forget(account_id) for account_id in due])

    async def run(self, tick: asyncio.Event) -> None:
        """Forget where it is due, at each `tick`, for ever."""
        while True:
            tick.clear()
            try:
                with tracing.begun():
                    await self.run_due()
            except StorageUnavailable as error:
                log.warning("what is too old not forgotten yet", extra={"error": type(error).__name__})
            await tick.wait()

    async def forget(self, account_id: str) -> int:
        """Forget now; how many threads went."""
        gone = await self._eraser.expire(account_id)
        while await self._store.write(_forget_audit, account_id, now=self._clock.now()):
            pass
        await self._store.write(chores.done, account_id, CHORE, next_at=self._clock.now() + EVERY)
        if gone:
            log.info("threads forgotten by age", extra={"account_id": account_id, "threads": gone})
        return gone


def too_old(tx: Transaction, account_id: str, *, now: datetime) -> tuple[Expired, int]:
    """How much is older than the rules allow: threads, and rows of the audit log."""
    before = _audit_before(tx, account_id, now)
    rows = 0 if before is None else audit.older(tx, account_id, before)
    return retention.expired(tx, account_id, now=now), rows


def run_soon(tx: Transaction, account_id: str, now: datetime) -> None:
    """The rules have changed: do not wait until tomorrow."""
    chores.done(tx, account_id, CHORE, next_at=now)


def _forget_audit(tx: Transaction, account_id: str, *, now: datetime) -> int:
    before = _audit_before(tx, account_id, now)
    return 0 if before is None else audit.forget(tx, account_id, before=before, limit=AUDIT_AT_ONCE, now=now)


def _audit_before(tx: Transaction, account_id: str, now: datetime) -> datetime | None:
    days = retention.rules(tx, account_id).get(retention.AUDIT)
    return None if days is None else now - timedelta(days=days)
