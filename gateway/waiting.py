"""Waiting for whichever comes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Come back when the first of these is over; the others are cancelled and gone by then."""
    over = asyncio.Event()

    async def watch(wait: Coroutine[Any, Any, object]) -> None:
        await wait
        over.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch(wait)) for wait in waits]
        await over.wait()
        for task in tasks:
            task.cancel()
