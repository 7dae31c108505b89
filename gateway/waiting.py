"""Waiting for whichever comes first, and doing one thing while another is under way."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


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


@asynccontextmanager
async def under_way(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Future[T]]:
    """Let `work` go on while the block runs; what it comes to is there to be awaited.

    Trouble of the block's own is raised as it is, and ends `work`; trouble of `work` is raised where it is awaited.
    """
    outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def carry_out() -> None:
        try:
            outcome.set_result(await work)
        except Exception as error:
            outcome.set_exception(error)
            outcome.exception()  # looked at: the block may end without awaiting it

    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(carry_out())
        try:
            yield outcome
        except BaseException as error:
            failure = error  # raised below as it is: the group would wrap it
        finally:
            task.cancel()
    if failure is not None:
        raise failure
