"""The pieces of the search index, merged bit by bit beside the day's work: no commit of anybody else's pays for it.

Each commit that changes the index leaves a piece; a search looks into all of them. What FTS5 would do by itself is
turned off (`storage/migrations/…_search_merging.sql`).
"""

import asyncio
from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.steady import in_small_steps
from storage import Store, search_index

# Pages of the index (4 KB) written in one transaction: a few milliseconds of the one writer. FTS5 stops between words
# only, so that the most frequent of a million messages takes a tenth of a second, in the rare merge of nearly all.
AT_ONCE: Final = 64
PAUSE: Final = timedelta(milliseconds=10)


class Merger:
    """Keeps the pieces few. Where a merge stands is in the file, so it goes on after a restart."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self, tick: asyncio.Event) -> None:
        """For ever: what is there to do, with breath between the steps."""
        await in_small_steps("merging", self.step, tick, self._clock, pause=PAUSE)

    async def step(self) -> bool:
        """Merge some; False when there was nothing to do. Raises `StorageUnavailable`."""
        return await self._store.write(search_index.merge, pages=AT_ONCE)
