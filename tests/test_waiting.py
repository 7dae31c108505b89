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


async def test_trouble_of_the_block_is_raised_as_it_is_and_ends_the_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def block() -> None:
        async with under_way(work()):
            await asyncio.sleep(0)
            raise LookupError("the block's")

    with pytest.raises(LookupError, match="the block's"):
        await block()
    assert ended.is_set()


async def test_whoever_is_cancelled_meanwhile_ends_the_work_too() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), under_way(work()) as outcome:
            await outcome
    assert ended.is_set()
