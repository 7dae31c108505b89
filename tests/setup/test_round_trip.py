"""A letter followed to its mailbox and back, through the whole gateway and the sandbox, on one clock."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.faults import Fault
from gateway.setup.account import BadConfiguration
from gateway.setup.self_test import LATE_AFTER, Noticing, follow, missing, next_morning
from gateway.setup.wishes import wish
from gateway.threads.search import ask, search
from storage import Transaction, chores, events, feeds, messages, outbox, placements, round_trips, threads
from storage.outbox import Letter
from storage.round_trips import Kind, RoundTrip, State
from tests.fire.one_clock import Site, site

OFFICE = "office@school.example"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


class Desk:
    """An admin, and the school on its clock. 6 o'clock in Auckland is 17:00 UTC in March."""

    def __init__(self, built: Site) -> None:
        self.site = built

    @property
    def trips(self) -> Any:
        return self.site.gateway.setup.round_trips

    async def ask(self, to: str | None = None) -> RoundTrip:
        found: RoundTrip = await self.trips.ask(self.site.account_id, OFFICE, to)
        return found

    async def pass_time(self, duration: timedelta, steps: int = 1) -> None:
        for _ in range(steps):
            await self.site.step(duration / steps)
            await self.trips.begin_due()
            await self.trips.follow_all()
            await self.trips.clean_due()

    async def see(self, trip: RoundTrip) -> RoundTrip:
        return await self.read(round_trips.get, trip.id)

    async def read(self, question: Any, *given: Any, **more: Any) -> Any:
        return await self.site.gateway.store.read(question, *given, **more)

    async def told(self) -> list[str]:
        found = await self.read(events.after, self.site.account_id, 0, limit=1000)
        return [one.type for one in found if one.type in ("mailbox.unhealthy", "mailbox.healthy")]

    async def wish(self, **wished: Any) -> None:
        await self.site.gateway.store.write(wish, self.site.account_id, **wished)

    def of_test(self) -> list[str]:
        """What of round trips is in the mailbox, in whatever folder."""
        box = self.site.sandbox.world.mailbox(OFFICE)
        return [one.subject for one in box.messages() if "mail gateway" in one.subject]

    async def all_trips(self) -> list[RoundTrip]:
        def every(tx: Transaction) -> list[RoundTrip]:
            return [RoundTrip.from_row(row) for row in tx.execute("SELECT * FROM round_trips ORDER BY id")]

        found: list[RoundTrip] = await self.read(every)
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with site(tmp_path, seed=1) as built:
        desk = Desk(built)
        await desk.pass_time(MINUTE, steps=3)
        yield desk


async def test_every_station_is_told_with_its_time_and_nothing_of_it_stays_in_the_mailbox(desk: Desk) -> None:
    trip = await desk.ask()
    await desk.pass_time(MINUTE, steps=4)
    done = await desk.see(trip)
    assert (done.state, missing(done), done.clean_at) == (State.PASSED, None, None)
    reached = [done.at(step) for step in done.steps]
    assert len(reached) == 7
    assert reached == sorted(at for at in reached if at is not None)
    assert desk.of_test() == []
    assert await desk.told() == []


async def test_it_is_in_no_list_no_search_no_review_and_on_nobodys_tab(desk: Desk) -> None:
    trip = await desk.ask()
    await desk.pass_time(MINUTE, steps=4)
    account_id = desk.site.account_id
    message = await desk.read(messages.get, account_id, trip.message_id)
    for question in (ask("round trip"), ask("self-test"), ask()):
        assert not (await desk.read(search, account_id, question, limit=10)).threads
    assert await desk.read(threads.objects_of, message.thread_id) == []
    assert await desk.read(placements.held, account_id, limit=10) == []
    assert [one.id for one in await desk.read(feeds.of_thread, message.thread_id)] == [message.id]


async def test_ids_that_change_with_the_send_confuse_nobody(desk: Desk) -> None:
    world = desk.site.sandbox.world
    world.behaviour = replace(
        world.behaviour, immutable_ids_survive_send=False, internet_message_id_survives_send=False
    )
    trip = await desk.ask()
    await desk.pass_time(MINUTE, steps=4)
    assert (await desk.see(trip)).state is State.PASSED
    assert await desk.read(placements.held, desk.site.account_id, limit=10) == []
    assert desk.of_test() == []


async def test_a_notification_that_never_comes_is_an_alarm_though_the_sweep_finds_the_mail(desk: Desk) -> None:
    world = desk.site.sandbox.world
    world.behaviour = replace(world.behaviour, notifications=False)
    trip = await desk.ask()
    await desk.pass_time(LATE_AFTER + 2 * MINUTE, steps=8)
    late = await desk.see(trip)
    assert (late.missed, late.threaded_at is not None) == ("notified", True)
    assert await desk.told() == ["mailbox.unhealthy"]
    await desk.pass_time(2 * timedelta(hours=1), steps=3)
    assert (await desk.see(trip)).state is State.FAILED
    assert await desk.told() == ["mailbox.unhealthy"]
    assert desk.of_test() == []
    world.behaviour = replace(world.behaviour, notifications=True)
    again = await desk.ask()
    await desk.pass_time(MINUTE, steps=4)
    assert (await desk.see(again)).state is State.PASSED
    assert await desk.told() == ["mailbox.unhealthy", "mailbox.healthy"]


async def test_a_letter_that_cannot_leave_is_late_given_up_and_taken_back(desk: Desk) -> None:
    desk.site.sandbox.faults.add(
        Fault(match="^POST /v1.0/users/[^/]+/messages$", times=None, status=503, code="ServiceUnavailable")
    )
    trip = await desk.ask()
    await desk.pass_time(LATE_AFTER + MINUTE, steps=3)
    assert ((await desk.see(trip)).missed, await desk.told()) == ("drafted", ["mailbox.unhealthy"])
    await desk.pass_time(2 * timedelta(hours=1), steps=3)
    assert (await desk.see(trip)).state is State.FAILED
    letter = await desk.read(outbox.get, desk.site.account_id, trip.message_id)
    assert letter.state == "cancelled"


async def test_to_another_address_its_own_part_is_enough_and_an_answer_is_noted(desk: Desk) -> None:
    person = desk.site.school.students[0]
    desk.site.sandbox.world.correspondents.change(person.address, is_silent=True)
    silent = await desk.ask(person.address)
    await desk.pass_time(LATE_AFTER + 3 * MINUTE, steps=4)
    assert ((await desk.see(silent)).missed, await desk.told()) == (None, [])
    await desk.pass_time(2 * timedelta(hours=1), steps=3)
    assert (await desk.see(silent)).state is State.PASSED
    desk.site.sandbox.world.correspondents.change(person.address, is_silent=False)
    answered = await desk.ask(person.address)
    await desk.pass_time(2 * MINUTE, steps=6)
    assert (await desk.see(answered)).threaded_at is not None
    assert len(desk.of_test()) >= 2  # letters to others stay where they were sent from


async def test_each_validated_mailbox_writes_to_itself_every_morning_and_never_at_a_start(desk: Desk) -> None:
    assert await desk.all_trips() == []
    await desk.pass_time(timedelta(hours=9), steps=12)  # past 6 o'clock in Auckland
    assert [(one.kind, one.state) for one in await desk.all_trips()] == [(Kind.DAILY, State.PASSED)] * 3
    await desk.pass_time(DAY, steps=24)
    assert len(await desk.all_trips()) == 6
    assert desk.of_test() == []


async def test_it_can_be_turned_off(desk: Desk) -> None:
    await desk.wish(self_test=False)
    await desk.pass_time(DAY, steps=24)
    assert await desk.all_trips() == []


async def test_a_morning_that_was_missed_is_not_made_up_for(desk: Desk) -> None:
    await desk.pass_time(9 * DAY)
    assert await desk.all_trips() == []
    due = await desk.read(chores.due_at, desk.site.account_id, "self-test")
    assert due > desk.site.clock.now()


async def test_what_is_no_address_is_refused(desk: Desk) -> None:
    with pytest.raises(BadConfiguration):
        await desk.ask("nobody")


@pytest.mark.parametrize(
    ("now", "zone", "morning"),
    [
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "Pacific/Auckland", datetime(2026, 3, 2, 17, tzinfo=UTC)),
        (datetime(2026, 3, 2, 17, tzinfo=UTC), "Pacific/Auckland", datetime(2026, 3, 3, 17, tzinfo=UTC)),
        (datetime(2026, 4, 4, 18, tzinfo=UTC), "Pacific/Auckland", datetime(2026, 4, 5, 18, tzinfo=UTC)),
        (datetime(2026, 3, 2, 5, 59, tzinfo=UTC), "UTC", datetime(2026, 3, 2, 6, tzinfo=UTC)),
    ],
)
def test_the_next_morning_is_by_the_schools_clock(now: datetime, zone: str, morning: datetime) -> None:
    assert next_morning(now, zone) == morning


def test_sweeping_alone_has_more_time_and_no_notification() -> None:
    sweeping = Noticing(is_live=False, sweeps=timedelta(minutes=10))
    assert sweeping.late_after == LATE_AFTER + timedelta(minutes=20)


def test_following_twice_changes_nothing() -> None:
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    trip = RoundTrip(
        id="rtp_1",
        account_id="acc_1",
        mailbox_id="mbx_1",
        message_id="msg_1",
        thread_id="thr_1",
        kind=Kind.ASKED,
        recipient=None,
        is_live=True,
        state=State.UNDER_WAY,
        late_at=now + LATE_AFTER,
        ends_at=now + 2 * LATE_AFTER,
        accepted_at=now,
    )
    letter = Letter(
        message_id="msg_1",
        account_id="acc_1",
        mailbox_id="mbx_1",
        send_uid="u",
        importance="normal",
        metadata={},
        state="submitted",
        state_since=now,
        attempts=1,
        submits=1,
        next_attempt_at=now,
        lease_owner=None,
        submitted_at=now,
        still_draft_at=None,
        sent_at=None,
        problem=None,
        created_at=now,
        graph_id="AAMk",
    )
    once = follow(trip, letter, notified_at=None, now=now + MINUTE)
    assert follow(once, letter, notified_at=None, now=now + 2 * MINUTE) == once
    assert follow(once, letter, notified_at=None, now=trip.late_at).missed == "sent"
