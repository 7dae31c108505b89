import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import Budgets, Left, Limits, MailboxBudget, OverBudget, Spending, SpendingKind
from tests.fakes.clock import A_MONDAY, FakeClock

SMALL = Limits(
    at_once=3,
    requests=8,
    requests_window=timedelta(seconds=60),
    upload_bytes=100,
    upload_window=timedelta(seconds=30),
)
SECOND = timedelta(seconds=1)


@dataclass(eq=False)
class Asked:
    """A call, from asking for admission to its end."""

    number: int
    items: int
    upload_bytes: int
    admitted_at: datetime | None = None
    refused: OverBudget | None = None
    task: asyncio.Task[None] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Mailbox:
    """A budget under test, who asked of it, and who was let in, in order."""

    def __init__(self, group: asyncio.TaskGroup, **options: timedelta) -> None:
        self.clock = FakeClock()
        self.budget = MailboxBudget(self.clock, SMALL, **options)
        self.group = group
        self.asked: list[Asked] = []
        self.admitted: list[Asked] = []
        self.under_way: list[Asked] = []
        self.closed_until = A_MONDAY

    def ask(self, *, items: int = 1, upload_bytes: int = 0) -> Asked:
        call = Asked(len(self.asked), items, upload_bytes)
        self.asked.append(call)
        call.task = self.group.create_task(self.make(call))
        return call

    async def make(self, call: Asked) -> None:
        try:
            async with self.budget.admitted(items=call.items, upload_bytes=call.upload_bytes):
                call.admitted_at = self.clock.now()
                assert self.clock.now() >= self.closed_until
                self.admitted.append(call)
                self.under_way.append(call)
                try:
                    assert sum(min(one.items, SMALL.at_once) for one in self.under_way) <= SMALL.at_once
                    await call.done.wait()
                finally:
                    self.under_way.remove(call)
        except OverBudget as refusal:
            call.refused = refusal

    def close(self, retry_after: timedelta) -> None:
        self.closed_until = max(self.closed_until, self.clock.now() + retry_after)
        self.budget.closed_for(retry_after)

    async def advance(self, duration: timedelta) -> None:
        self.clock.advance(duration)
        await settle()

    async def finish(self, *calls: Asked) -> None:
        for call in calls:
            call.done.set()
        await settle()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@asynccontextmanager
async def mailbox(**options: timedelta):
    async with asyncio.TaskGroup() as group:
        scene = Mailbox(group, **options)
        yield scene
        for call in scene.asked:
            call.done.set()


async def test_no_more_calls_are_under_way_than_places_and_the_next_goes_when_one_ends():
    async with mailbox() as scene:
        first, *rest = [scene.ask() for _ in range(5)]
        await settle()
        assert [call.number for call in scene.admitted] == [0, 1, 2]
        await scene.finish(first)
        assert [call.number for call in scene.admitted] == [0, 1, 2, 3]
        await scene.finish(*rest)
        assert len(scene.admitted) == 5


async def test_a_batch_takes_all_places_and_is_not_overtaken():
    async with mailbox() as scene:
        single, batch, late = scene.ask(), scene.ask(items=5), scene.ask()
        await settle()
        assert scene.admitted == [single]
        await scene.finish(single)
        assert scene.admitted == [single, batch]
        await scene.finish(batch)
        assert scene.admitted == [single, batch, late]


async def test_who_gives_up_lets_the_next_go():
    async with mailbox() as scene:
        single, batch, late = scene.ask(), scene.ask(items=5), scene.ask()
        await settle()
        batch.task.cancel()
        await settle()
        assert scene.admitted == [single, late]


async def test_who_is_cancelled_when_its_turn_has_just_come_takes_no_place_with_it():
    async with mailbox() as scene:
        async with scene.budget.admitted(items=3):
            cancelled, late = scene.ask(), scene.ask()
            await settle()
        cancelled.task.cancel()  # nobody has run since the places became free
        await settle()
        assert scene.admitted == [late]
        assert scene.budget.left(A_MONDAY).places == 2


async def test_who_waits_too_long_for_a_place_is_told_so_and_the_next_takes_its_turn():
    async with mailbox(longest_queue=timedelta()) as scene:
        holders = [scene.ask() for _ in range(3)]
        await settle()
        late = scene.ask()
        await late.task
        assert late.refused.retry_after == timedelta(seconds=10)
        await scene.finish(holders[0])
        assert scene.budget.left(scene.clock.now()).places == 1


async def test_a_short_wait_for_requests_is_waited_out():
    async with mailbox() as scene:
        await scene.finish(*[scene.ask() for _ in range(8)])
        await scene.advance(timedelta(seconds=61))
        late = scene.ask()
        await settle()
        assert late.admitted_at is None
        await scene.advance(timedelta(seconds=8.5))
        assert late.admitted_at is None
        await scene.advance(timedelta(seconds=0.5))
        assert late.admitted_at == A_MONDAY + timedelta(seconds=70)


async def test_a_long_wait_is_refused_at_once_and_says_how_long_it_is():
    async with mailbox() as scene:
        await scene.finish(*[scene.ask() for _ in range(8)])
        late = scene.ask()
        await settle()
        assert late.refused.retry_after == timedelta(seconds=70)
        assert late.refused.transient


async def test_bytes_are_counted_apart_from_requests():
    async with mailbox() as scene:
        await scene.finish(scene.ask(upload_bytes=100))
        upload, read = scene.ask(upload_bytes=1), scene.ask()
        await settle()
        assert upload.refused.retry_after == timedelta(seconds=35)
        assert scene.admitted[-1] is read


async def test_nobody_calls_before_a_retry_after_is_over():
    async with mailbox() as scene:
        scene.close(timedelta(seconds=5))
        call = scene.ask()
        await scene.advance(timedelta(seconds=4.999))
        assert call.admitted_at is None
        await scene.advance(timedelta(seconds=0.001))
        assert call.admitted_at == A_MONDAY + timedelta(seconds=5)


async def test_a_shorter_retry_after_takes_nothing_from_a_longer_one():
    async with mailbox() as scene:
        scene.close(timedelta(seconds=20))
        scene.budget.closed_for(SECOND)
        call = scene.ask()
        await settle()
        assert call.refused.retry_after == timedelta(seconds=20)


async def test_who_waits_already_is_told_when_the_mailbox_is_closed_for_longer():
    async with mailbox() as scene:
        scene.close(timedelta(seconds=5))
        first, second = scene.ask(), scene.ask()
        await settle()
        scene.close(timedelta(seconds=60))
        await scene.advance(timedelta(seconds=5))
        assert [call.refused.retry_after for call in (first, second)] == [timedelta(seconds=55)] * 2


async def test_what_is_left_is_told():
    async with mailbox() as scene:
        scene.ask(items=2, upload_bytes=30)
        await settle()
        scene.close(timedelta(seconds=5))
        closed_until = A_MONDAY + timedelta(seconds=5)
        assert scene.budget.left(A_MONDAY) == Left(places=1, requests=6, upload_bytes=70, closed_until=closed_until)
        later = scene.budget.left(A_MONDAY + timedelta(minutes=2))
        assert later == Left(places=1, requests=8, upload_bytes=100, closed_until=None)


async def test_what_was_spent_is_kept_over_a_restart():
    async with mailbox() as before, mailbox() as after:
        await before.finish(before.ask(items=3, upload_bytes=30))
        assert before.budget.spent() == [
            Spending(kind=SpendingKind.REQUESTS, bucket=A_MONDAY, amount=3),
            Spending(kind=SpendingKind.UPLOAD_BYTES, bucket=A_MONDAY, amount=30),
        ]
        after.budget.take_back(before.budget.spent())
        assert after.budget.left(A_MONDAY) == before.budget.left(A_MONDAY)


def test_each_mailbox_has_its_own_budget_whatever_the_case_of_its_address():
    budgets = Budgets(FakeClock())
    assert budgets.of("Ada@school.example") is budgets.of("ada@School.example")
    assert budgets.of("ben@school.example") is not budgets.of("ada@school.example")
    assert list(budgets.all()) == ["ada@school.example", "ben@school.example"]


async def test_budgets_that_tell_nothing_are_forgotten_when_there_are_many():
    clock = FakeClock()
    budgets = Budgets(clock, SMALL)
    busy, spent = budgets.of("busy"), budgets.of("spent")
    async with busy.admitted():
        async with spent.admitted():
            pass
        for number in range(1_000):
            budgets.of(f"passing {number}")
        assert budgets.of("busy") is busy
        assert budgets.of("spent") is spent
        assert len(budgets.all()) < 10
        clock.advance(timedelta(minutes=5))
        for number in range(1_000):
            budgets.of(f"passing again {number}")
        assert "busy" in budgets.all()
        assert "spent" not in budgets.all()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 6), st.sampled_from([0, 0, 20, 60])),
        st.tuples(st.just("finish"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("advance"), st.integers(1, 25_000)),
        st.tuples(st.just("close"), st.integers(1, 15_000)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
    ),
    max_size=60,
)


async def step(scene: Mailbox, name: str, *values: int) -> None:
    match name, values:
        case "ask", (items, upload_bytes):
            scene.ask(items=items, upload_bytes=upload_bytes)
        case "finish", (which,) if scene.under_way:
            scene.under_way[which % len(scene.under_way)].done.set()
        case "cancel", (which,) if scene.asked:
            scene.asked[which % len(scene.asked)].task.cancel()
        case "advance", (milliseconds,):
            scene.clock.advance(timedelta(milliseconds=milliseconds))
        case "close", (milliseconds,):
            scene.close(timedelta(milliseconds=milliseconds))
        case "turn", (times,):
            for _ in range(times):
                await asyncio.sleep(0)


async def drain(scene: Mailbox) -> None:
    """Everyone finishes as soon as let in, and time goes on: who still waits then was forgotten."""
    for call in scene.asked:
        call.done.set()
    for _ in range(len(scene.asked) + 1):
        await scene.advance(timedelta(seconds=10))
    forgotten = [call for call in scene.asked if not call.task.done()]
    for call in forgotten:
        call.task.cancel()
    assert not forgotten


def spent_until(scene: Mailbox, end: datetime, window: timedelta, name: str) -> int:
    return sum(getattr(call, name) for call in scene.admitted if end - window < call.admitted_at <= end)


async def play(steps) -> None:
    async with asyncio.TaskGroup() as group:
        scene = Mailbox(group)
        for one in steps:
            await step(scene, *one)
        await drain(scene)
    now = scene.clock.now()
    assert [call.number for call in scene.admitted] == sorted(call.number for call in scene.admitted)
    assert scene.budget.left(now).places == SMALL.at_once
    assert scene.clock.sleepers == 0
    for call in scene.admitted:
        assert spent_until(scene, call.admitted_at, SMALL.requests_window, "items") <= SMALL.requests
        assert spent_until(scene, call.admitted_at, SMALL.upload_window, "upload_bytes") <= SMALL.upload_bytes


@given(steps)
def test_whatever_happens_limits_and_order_are_kept_and_nobody_is_forgotten(steps):
    asyncio.run(play(steps))
