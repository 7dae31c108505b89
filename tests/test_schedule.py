"""The schedule rings bells."""

import asyncio
from datetime import timedelta

from gateway.schedule import Schedule


async def test_a_bell_rings_again_and_again_while_running() -> None:
    schedule = Schedule()
    bell = schedule.every(timedelta(milliseconds=10))
    with schedule.running():
        for _ in range(3):
            async with asyncio.timeout(5):
                await bell.wait()
            bell.clear()
    assert not bell.is_set()
