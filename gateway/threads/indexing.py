"""The messages that an earlier release stored, taken into the search index bit by bit, beside the day's work."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.steady import in_small_steps
from gateway.threads.html import html_as_text
from storage import Store, Transaction, search_backlogs
from storage.messages import BodyType
from storage.search_backlogs import Backlog

log = logging.getLogger(__name__)

AT_ONCE: Final = 50  # messages in one transaction: ten to twenty milliseconds of the one writer
PAUSE: Final = timedelta(milliseconds=20)


class Indexer:
    """Reads on where the last step ended, also after a restart. There is work only after an upgrade."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self, tick: asyncio.Event) -> None:
        """For ever: what is there to do, with breath between the steps."""
        await in_small_steps("indexing", self.step, tick, self._clock, pause=PAUSE)

    async def step(self) -> bool:
        """Index some messages; False when there was nothing to do. Raises `StorageUnavailable`."""
        backlogs = await self._store.read(search_backlogs.backlogs)
        if not backlogs:
            return False
        backlog = backlogs[0]
        if backlog.total is None:
            await self._store.write(search_backlogs.count_backlog, backlog.account_id)
        texts = await self._store.read(_next_texts, backlog)
        await self._store.write(search_backlogs.take_in, backlog, texts)
        if not texts:
            log.info("indexed", extra={"account": backlog.account_id, "messages": backlog.indexed})
        return True


def _next_texts(tx: Transaction, backlog: Backlog) -> list[tuple[str, str | None]]:
    """What of each is to be searched, read out of its body where that has to be."""
    return [
        (message_id, html_as_text(body) if body is not None and body_type == BodyType.HTML else body)
        for message_id, body_type, body in search_backlogs.not_yet(tx, backlog, limit=AT_ONCE)
    ]


def sentence(backlogs: list[Backlog]) -> str:
    """For people: how far it is."""
    if not backlogs:
        return "All messages can be found."
    indexed = sum(one.indexed for one in backlogs)
    if any(one.total is None for one in backlogs):
        return f"Messages of an earlier release are being made searchable: {indexed:,} so far."
    total = sum(one.total or 0 for one in backlogs)
    return f"Messages of an earlier release are being made searchable: {indexed:,} of {max(indexed, total):,}."
