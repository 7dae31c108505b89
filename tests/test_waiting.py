"""Doing one thing while another is under way."""

import asyncio

import pytest

from gateway.waiting import under_way


async def test_both_come_to_their_end() -> None:
    begun = asyncio.Event()

    async def work() -> str:
        begun.set()
        return "done"

    async with under_way(work()) as outcome:
        await begun.wait()
        assert await outcome == "done"


async def test_trouble_of_the_work_is_raised_where_it_is_awaited() -> None:
    async def work() -> None:
        raise LookupError("the work's")

    async with under_way(work()) as outcome:
        await asyncio.sleep(0)
        with pytest.raises(LookupError, match="the work's"):
            await outcome


class Endless:
    """Work that ends only when it is made to."""

    def __init__(self) -> None:
        self.has_ended = False

    async def go_on(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.has_ended = True


async def test_trouble_of_the_block_is_raised_as_it_is_and_ends_the_work() -> None:
    work = Endless()

    async def block() -> None:
        async with under_way(work.go_on()):
            await asyncio.sleep(0)
            raise LookupError("the block's")

    with pytest.raises(LookupError, match="the block's"):
        await block()
    assert work.has_ended


async def test_whoever_is_cancelled_meanwhile_ends_the_work_too() -> None:
    work = Endless()

    async def block() -> None:
        async with under_way(work.go_on()) as outcome:
            await asyncio.sleep(0)
            await outcome

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(block(), 0.01)
    assert work.has_ended
