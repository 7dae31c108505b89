"""The store as workers need it: what Graph has done is not forgotten because the file cannot be written now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway.clock import Clock
from storage import StorageUnavailable, Store, Transaction

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

RETRY: Final = timedelta(seconds=2)


class SteadyStore:
    """Writes, and goes on trying while that is not possible."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Store.write`, however long it takes."""
        while True:
            try:
                return await self._store.write(work, *args, **kwargs)
            except StorageUnavailable:
                log.warning("the store is not to be had; trying again")
                await self._clock.sleep(RETRY)

    async def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Store.read`."""
        return await self._store.read(work, *args, **kwargs)


async def in_small_steps(
    what: str, step: Callable[[], Awaitable[bool]], tick: asyncio.Event, clock: Clock, *, pause: timedelta
) -> None:
    """Step until there is nothing to do, with a `pause` after each step; then wait for the `tick`. Never returns.

    `step` says whether it did something. `what` is the work's name in the log, when the store is not to be had.
    """
    while True:
        tick.clear()
        try:
            while await step():
                await clock.sleep(pause)
        except StorageUnavailable:
            log.warning("%s put off: the store is not to be had", what)
        await tick.wait()
