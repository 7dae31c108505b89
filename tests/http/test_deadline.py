"""One deadline for many tasks: each has its time, and no task is late for another's sake."""

import asyncio

import pytest

from gateway.http.deadline import Deadline


async def wait(deadline: Deadline, for_: asyncio.Event, seen: list[str]) -> None:
    try:
        async with deadline:
            await for_.wait()
            seen.append("in time")
    except TimeoutError:
        seen.append("late")


async def test_who_waits_too_long_hears_so_and_who_does_not_goes_on() -> None:
    deadline, seen, came = Deadline(0.05), list[str](), asyncio.Event()
    came.set()
    await asyncio.gather(wait(deadline, asyncio.Event(), seen), wait(deadline, came, seen))
    assert seen == ["in time", "late"]


async def test_each_has_its_own_time() -> None:
    deadline, order = Deadline(0.05), list[int]()

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with deadline:
                await asyncio.Event().wait()
        order.append(number)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))


async def test_nobody_is_late_before_their_time_however_often_it_is_looked() -> None:
    """The timer has come by at 0.2 s when what is waited for comes."""
    seen, came = list[str](), asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, came.set)
    await wait(Deadline(2), came, seen)
    assert seen == ["in time"]


async def test_whoever_cancels_from_outside_cancels() -> None:
    seen = list[str]()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(wait(Deadline(60), asyncio.Event(), seen))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert seen == []


async def test_an_error_of_ones_own_stays_what_it_is_and_one_can_come_again() -> None:
    deadline = Deadline(60)
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            async with deadline:
                raise ValueError("mine")


async def test_the_timer_rests_when_nobody_waits() -> None:
    deadline, seen, came = Deadline(0.02), list[str](), asyncio.Event()
    came.set()
    await wait(deadline, came, seen)
    await asyncio.sleep(0.01)
    await wait(deadline, asyncio.Event(), seen)
    assert seen == ["in time", "late"]
