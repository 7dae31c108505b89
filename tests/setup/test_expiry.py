import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import storage
from gateway.graph import PasswordCredential
from gateway.setup.account import BadConfiguration
from gateway.setup.check import secret_expiry
from gateway.setup.expiry import CHORE, READ_CHORE, STEPS, ExpiryWatch, Level, standing, warnings_due
from gateway.setup.expiry_reader import end_of
from gateway.setup.snooze import snooze, snoozed, wake
from gateway.setup.wishes import wish
from gateway.threads.search import ask, search
from storage import accounts, audit, chores, credentials, events, feeds, mailboxes
from storage.audit import SYSTEM
from storage.messages import Message
from storage.snoozes import Snooze
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.fire.one_clock import site

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
ENDS = datetime(2028, 3, 1, 0, 0, tzinfo=UTC)
KEY = MasterKey.new()
NO_EVENTS = "CREATE TRIGGER no_events BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'no'); END"


class TestStanding:
    @pytest.mark.parametrize(
        ("left", "days_left", "level"),
        [
            (91 * DAY, 91, Level.OK),
            (90 * DAY + MINUTE, 91, Level.OK),
            (90 * DAY, 90, Level.NOTICE),
            (31 * DAY, 31, Level.NOTICE),
            (30 * DAY, 30, Level.WARNING),
            (DAY + MINUTE, 2, Level.WARNING),
            (DAY, 1, Level.WARNING),
            (MINUTE, 1, Level.WARNING),
            (timedelta(0), 0, Level.EXPIRED),
            (-400 * DAY, 0, Level.EXPIRED),
        ],
    )
    def test_counts_begun_days_and_gets_louder(self, left: timedelta, days_left: int, level: Level) -> None:
        found = standing(ENDS, ENDS - left, time_zone="UTC")
        assert (found.days_left, found.level) == (days_left, level)

    def test_the_gateway_is_degraded_from_the_last_day_on(self) -> None:
        degraded = [standing(ENDS, ENDS - left, time_zone="UTC").degraded for left in (DAY + MINUTE, DAY, MINUTE, -DAY)]
        assert degraded == [False, True, True, True]

    def test_the_sentence_says_the_day_and_the_cure(self) -> None:
        sentence = standing(ENDS, ENDS - 7 * DAY, time_zone="UTC").sentence
        assert "in 7 days, on 1 March 2028" in sentence
        assert "new client secret" in sentence

    @pytest.mark.parametrize(
        ("time_zone", "day"),
        [("UTC", "1 March 2028"), ("America/New_York", "29 February 2028"), ("Pacific/Auckland", "1 March 2028")],
    )
    def test_every_sentence_names_the_day_that_the_account_lives_in(self, time_zone: str, day: str) -> None:
        for left in (200 * DAY, 7 * DAY, HOUR, -DAY):
            assert f"on {day}" in standing(ENDS, ENDS - left, time_zone=time_zone).sentence
        told = secret_expiry(ENDS, ENDS - 7 * DAY, token_given=True, time_zone=time_zone)
        assert f"on {day}" in told.found

    def test_a_date_that_is_not_known_is_asked_for(self) -> None:
        found = standing(None, ENDS, time_zone="UTC")
        assert (found.days_left, found.level, found.degraded) == (None, Level.NOTICE, False)
        assert "Enter the date" in found.sentence


class TestWarningsDue:
    def test_nothing_is_due_before_the_first_step(self) -> None:
        assert warnings_due(ENDS, [], ENDS - 90 * DAY - MINUTE) == []

    @pytest.mark.parametrize("step", STEPS)
    def test_each_step_is_due_from_its_moment_on(self, step: int) -> None:
        earlier = [other for other in STEPS if other > step]
        assert warnings_due(ENDS, earlier, ENDS - step * DAY - MINUTE) == []
        assert warnings_due(ENDS, earlier, ENDS - step * DAY) == [step]

    def test_after_an_absence_the_nearest_step_comes_first_and_the_passed_ones_with_it(self) -> None:
        assert warnings_due(ENDS, [90], ENDS - 5 * DAY) == [7, 14, 30, 60]

    def test_a_step_before_one_that_was_told_is_past(self) -> None:
        assert warnings_due(ENDS, [7], ENDS - 7 * DAY) == []

    @given(
        moments=st.lists(st.integers(min_value=-120 * 24, max_value=10 * 24), min_size=1, max_size=60).map(sorted),
    )
    def test_whatever_the_moments_of_looking_each_step_is_told_once_and_none_is_left(self, moments: list[int]) -> None:
        """Hours before (negative) and after the end."""
        marked: list[int] = []
        for hours in moments:
            due = warnings_due(ENDS, marked, ENDS + hours * HOUR)
            assert not set(due) & set(marked)
            marked += due
        left = max(0, -(moments[-1] // 24))
        assert set(marked) == {step for step in STEPS if step >= left}


class School:
    """A gateway that is looked at, restarted, and whose clock moves. Remembers what was told, and when."""

    def __init__(self, path: Path, clock: FakeClock, process: AsyncExitStack) -> None:
        self._path = path
        self._process = process
        self.clock = clock
        self.told: list[tuple[datetime, int]] = []

    async def restart(self) -> None:
        """A fresh process: nothing but the file is remembered."""
        await self._process.aclose()
        self.store = await self._process.enter_async_context(storage.open_store(self._path))
        self._watch = ExpiryWatch(self.store, self.clock)

    async def look(self) -> None:
        before = await self._steps()
        await self._watch.run_due()
        after = await self._steps()
        self.told += [(self.clock.now(), step) for step in after[len(before) :]]

    async def _steps(self) -> list[int]:
        (account,) = await self.store.read(accounts.all_of_them)
        found = await self.store.read(events.after, account.id, 0, limit=1000)
        return [event.data["step"] for event in found if event.type == "credential.expiring"]

    async def letters(self) -> list[Message]:
        """The oldest first."""
        (account,) = await self.store.read(accounts.all_of_them)
        return (await self.store.read(feeds.letters, account.id, limit=100))[::-1]

    async def snooze(self, reason: str, until: datetime | None = None) -> Snooze:
        (account,) = await self.store.read(accounts.all_of_them)
        return await self.store.write(snooze, account.id, reason, until=until, by=SYSTEM, now=self.clock.now())

    async def is_quiet(self) -> bool:
        (account,) = await self.store.read(accounts.all_of_them)
        credential = await self.store.read(credentials.active, account.id)
        return await self.store.read(snoozed, credential, self.clock.now()) is not None

    async def steps_marked(self) -> list[int]:
        (account,) = await self.store.read(accounts.all_of_them)
        credential = await self.store.read(credentials.active, account.id)
        assert credential is not None
        return sorted(await self.store.read(credentials.warnings_given, credential.id, latest=self.clock.now()))

    def nothing_happens_until(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())

    async def go_on(self, *, until: datetime, every: timedelta) -> None:
        looks = 0
        while self.clock.now() < until:
            self.clock.advance(every)
            looks += 1
            if looks % 5 == 0:
                await self.restart()
            await self.look()

    @property
    def steps_told(self) -> list[int]:
        return [step for _, step in self.told]


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    async with AsyncExitStack() as process:
        school = School(tmp_path / "gateway.db", FakeClock(ENDS - 730 * DAY), process)
        await school.restart()
        account = await school.store.write(accounts.add, "SELMA", now=school.clock.now())
        await school.store.write(store_secret, account.id, ENDS, school.clock.now())
        yield school


def store_secret(tx: storage.Transaction, account_id: str, expires_at: datetime | None, now: datetime) -> None:
    credentials.replace_client_secret(tx, account_id, "s3cret", expires_at=expires_at, key=KEY, now=now)


def on_the_right_days(told: Sequence[tuple[datetime, int]], within: timedelta) -> bool:
    return all(timedelta(0) <= at - (ENDS - step * DAY) <= within for at, step in told)


class TestCountdownOverTwoYears:
    async def test_each_warning_comes_once_and_on_its_day_though_the_gateway_restarts_all_the_time(
        self, school: School
    ) -> None:
        await school.go_on(until=ENDS + 10 * DAY, every=21 * HOUR)
        assert school.steps_told == list(STEPS)
        assert on_the_right_days(school.told, within=21 * HOUR)

    async def test_after_three_weeks_of_absence_only_the_nearest_step_is_told(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        await school.go_on(until=ENDS - 40 * DAY, every=DAY)
        school.clock.advance(30 * DAY)
        await school.look()
        assert school.steps_told == [90, 60, 14]
        assert await school.steps_marked() == [14, 30, 60, 90]
        await school.go_on(until=ENDS + DAY, every=DAY)
        assert school.steps_told == [90, 60, 14, 7, 3, 1, 0]

    async def test_a_clock_that_ran_ahead_for_a_while_silences_nothing(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        await school.go_on(until=ENDS - 80 * DAY, every=DAY)
        assert school.steps_told == [90]
        school.clock.advance(365 * DAY)
        await school.look()
        assert school.steps_told == [90, 0]
        school.clock.advance(-365 * DAY)
        await school.go_on(until=ENDS + DAY, every=DAY)
        assert school.steps_told == [90, 0, 60, 30, 14, 7, 3, 1, 0]
        assert on_the_right_days(school.told[2:], within=DAY)

    async def test_a_clock_that_is_set_back_by_some_hours_repeats_nothing(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        while school.clock.now() < ENDS:
            school.clock.advance(DAY)
            await school.look()
            school.clock.advance(-5 * HOUR)
            await school.look()
            school.clock.advance(5 * HOUR)
        assert school.steps_told == list(STEPS)

    async def test_a_clock_that_stands_in_the_past_for_a_moment_repeats_nothing(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        await school.go_on(until=ENDS - 29 * DAY, every=DAY)
        school.clock.advance(-9 * DAY)
        await school.look()
        school.clock.advance(9 * DAY)
        await school.go_on(until=ENDS - 20 * DAY, every=DAY)
        assert school.steps_told == [90, 60, 30]

    async def test_another_date_starts_the_countdown_anew(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        await school.go_on(until=ENDS - 20 * DAY, every=DAY)
        assert school.steps_told == [90, 60, 30]
        (account,) = await school.store.read(accounts.all_of_them)
        await school.store.write(credentials.set_expiry, account.id, ENDS + 100 * DAY)
        await school.go_on(until=ENDS + 100 * DAY, every=DAY)
        assert school.steps_told == [90, 60, 30, *STEPS]

    async def test_a_new_secret_starts_the_countdown_anew(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 100 * DAY)
        await school.go_on(until=ENDS - DAY, every=DAY)
        (account,) = await school.store.read(accounts.all_of_them)
        await school.store.write(store_secret, account.id, ENDS + 365 * DAY, school.clock.now())
        school.told.clear()
        await school.go_on(until=ENDS + 300 * DAY, every=DAY)
        assert school.steps_told == [90]


class TestLetters:
    """The same countdown, as letters to the address that an admin gave."""

    @pytest.fixture
    async def warned(self, school: School) -> School:
        await school.store.write(give_address, school.clock.now())
        return school

    async def test_each_step_but_the_last_is_one_letter_though_the_gateway_restarts_all_the_time(
        self, warned: School
    ) -> None:
        await warned.go_on(until=ENDS + 10 * DAY, every=21 * HOUR)
        letters = await warned.letters()
        assert [letter.subject for letter in letters] == [
            f"SELMA’s connection to Microsoft 365 ends {when} unless it is renewed"
            for when in [*(f"in {step} days" for step in STEPS if step > 1), "within a day"]
        ]
        assert {one.address for letter in letters for one in letter.recipients.to} == {"it@school.example"}

    async def test_a_clock_that_is_set_back_by_some_hours_writes_no_letter_twice(self, warned: School) -> None:
        warned.nothing_happens_until(ENDS - 100 * DAY)
        while warned.clock.now() < ENDS:
            warned.clock.advance(DAY)
            await warned.look()
            warned.clock.advance(-5 * HOUR)
            await warned.look()
            warned.clock.advance(5 * HOUR)
        assert len(await warned.letters()) == len(STEPS) - 1

    async def test_after_an_absence_there_is_one_letter_for_all_that_passed(self, warned: School) -> None:
        warned.nothing_happens_until(ENDS - 12 * DAY)
        await warned.look()
        assert len(await warned.letters()) == 1

    async def test_it_is_on_nobodys_tab_and_in_no_search(self, warned: School) -> None:
        warned.nothing_happens_until(ENDS - 12 * DAY)
        await warned.look()
        (account,) = await warned.store.read(accounts.all_of_them)
        assert not (await warned.store.read(search, account.id, ask("connection"), limit=9)).threads
        assert not (await warned.store.read(search, account.id, ask(), limit=9)).threads

    async def test_of_two_credentials_the_letters_and_a_snooze_are_about_the_one_that_serves_longest(
        self, warned: School
    ) -> None:
        warned.nothing_happens_until(ENDS - 100 * DAY)
        (account,) = await warned.store.read(accounts.all_of_them)
        await warned.store.write(store_secret, account.id, ENDS - 30 * DAY, warned.clock.now())
        await warned.go_on(until=ENDS - 32 * DAY, every=DAY)
        assert sorted(warned.steps_told, reverse=True) == [90, 90, 60, 60, 30, 14, 7, 3]
        subjects = [letter.subject for letter in await warned.letters()]
        assert ["in 90 days" in subjects[0], "in 60 days" in subjects[1], len(subjects)] == [True, True, 2]
        assert (await warned.snooze("The new one is ordered.")).expires_at == ENDS

    async def test_without_an_address_nobody_is_written_to(self, school: School) -> None:
        await school.go_on(until=ENDS, every=DAY)
        assert await school.letters() == []


class TestSnoozing:
    async def test_it_keeps_one_warning_quiet_until_the_next_and_silences_none_to_come(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 29 * DAY)
        await school.look()
        found = await school.snooze("The new one is ordered.")
        assert (found.until, found.reason) == (ENDS - 14 * DAY, "The new one is ordered.")
        school.nothing_happens_until(ENDS - 14 * DAY - MINUTE)
        await school.restart()
        assert await school.is_quiet()
        await school.go_on(until=ENDS + DAY, every=DAY)
        assert school.steps_told == [30, 14, 7, 3, 1, 0]
        assert not await school.is_quiet()

    async def test_never_beyond_the_next_step(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 29 * DAY)
        with pytest.raises(BadConfiguration) as refused:
            await school.snooze(" ", until=ENDS - 14 * DAY + MINUTE)
        assert set(refused.value.problems) == {"reason", "until"}
        assert not await school.is_quiet()

    @pytest.mark.parametrize("left", [DAY, HOUR, -DAY, 100 * DAY])
    async def test_not_in_the_last_day_nor_without_a_warning(self, school: School, left: timedelta) -> None:
        school.nothing_happens_until(ENDS - left)
        with pytest.raises(storage.Conflict):
            await school.snooze("Later.")

    async def test_it_ends_with_the_last_day_whatever_it_says(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 2 * DAY)
        await school.snooze("Tomorrow.")
        school.nothing_happens_until(ENDS - DAY)
        assert not await school.is_quiet()

    async def test_another_date_or_a_clock_set_back_ends_it(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 29 * DAY)
        await school.snooze("Later.")
        school.clock.advance(-DAY)
        assert not await school.is_quiet()
        school.clock.advance(DAY)
        assert await school.is_quiet()
        (account,) = await school.store.read(accounts.all_of_them)
        await school.store.write(credentials.set_expiry, account.id, ENDS - DAY)
        assert not await school.is_quiet()

    async def test_who_and_why_stands_in_the_audit_log_without_the_words(self, school: School) -> None:
        school.nothing_happens_until(ENDS - 29 * DAY)
        await school.snooze("Later.")
        (account,) = await school.store.read(accounts.all_of_them)
        await school.store.write(wake, account.id, by=SYSTEM, now=school.clock.now())
        assert not await school.is_quiet()
        acts = [record.act for record in await school.store.read(audit.newest, account.id, limit=9)]
        assert acts == ["expiry.wake", "expiry.snooze"]


class TestReading:
    """The date from Entra, where the app may read it."""

    def secret(self, hint: str, end: datetime) -> PasswordCredential:
        return PasswordCredential(key_id="k", hint=hint, end_date_time=end)

    async def stored(self, school: School) -> credentials.Credential:
        (account,) = await school.store.read(accounts.all_of_them)
        found = await school.store.read(credentials.active, account.id)
        assert found is not None
        return found

    async def test_ours_is_known_by_its_hint_and_by_having_been_good(self, school: School) -> None:
        ours = await self.stored(school)
        before, later = ours.created_at - DAY, ours.created_at + 300 * DAY
        others = [self.secret("xyz", later - DAY), self.secret(ours.hint, before)]
        assert end_of(ours, others) is None
        twins = [self.secret(ours.hint, later + DAY), self.secret(ours.hint, later)]
        assert end_of(ours, [*others, *twins]) == later

    async def test_it_is_read_once_the_permission_is_there_and_the_same_day_repeats_no_warning(
        self, tmp_path: Path
    ) -> None:
        async with site(tmp_path, seed=1) as built:
            app = built.sandbox.world.directory.apps[built.school.client_id]
            (account,) = await built.gateway.store.read(accounts.all_of_them)
            entered = built.school.secret_expires_at - timedelta(hours=30)
            await built.gateway.store.write(credentials.set_expiry, account.id, entered)
            await built.gateway.store.write(chores.done, account.id, READ_CHORE, next_at=built.clock.now())
            assert await built.gateway.expiry_reader.run_due() == 0
            built.clock.advance(built.school.secret_expires_at - built.clock.now() - 29 * DAY)
            app.roles |= {"Application.Read.All"}
            await built.gateway.connections.forget(account.id)
            assert await built.gateway.expiry.run_due() == 1
            assert await built.gateway.expiry_reader.run_due() == 1
            found = await built.gateway.store.read(credentials.active, account.id)
            assert found is not None
            assert found.expires_at == built.school.secret_expires_at
            assert await built.gateway.expiry.run_due() == 0
            built.clock.advance(2 * DAY)
            assert await built.gateway.expiry_reader.run_due() == 0


def give_address(tx: storage.Transaction, now: datetime) -> None:
    (account,) = accounts.all_of_them(tx)
    mailbox = mailboxes.add(tx, account.id, "office@school.example", now=now)
    mailboxes.mark_validated(tx, mailbox.id, user_id="u", display_name=None, now=now)
    wish(tx, account.id, alert_address="it@school.example")


class TestWatch:
    async def test_a_look_comes_daily_and_exactly_when_a_step_is_reached(
        self, store: storage.Store, clock: FakeClock, account_id: str
    ) -> None:
        watch, ends = ExpiryWatch(store, clock), clock.now() + 31 * DAY + 7 * HOUR
        await store.write(store_secret, account_id, ends, clock.now())
        assert await watch.next_due() == clock.now()
        assert await watch.run_due() == 1
        assert await watch.next_due() == clock.now() + DAY
        clock.advance(DAY)
        assert await watch.run_due() == 0
        assert await watch.next_due() == ends - 30 * DAY

    async def test_nothing_happens_before_the_look_is_due(
        self, store: storage.Store, clock: FakeClock, account_id: str
    ) -> None:
        watch = ExpiryWatch(store, clock)
        await watch.run_due()
        await store.write(store_secret, account_id, clock.now() + DAY, clock.now())
        assert await watch.run_due() == 0

    async def test_without_accounts_no_look_is_due(self, store: storage.Store, clock: FakeClock) -> None:
        watch = ExpiryWatch(store, clock)
        assert await watch.run_due() == 0
        assert await watch.next_due() is None

    @pytest.mark.parametrize("secret", ["none", "of unknown end"])
    async def test_without_a_date_there_is_nothing_to_count_down_to(
        self, store: storage.Store, clock: FakeClock, account_id: str, secret: str
    ) -> None:
        if secret != "none":
            await store.write(store_secret, account_id, None, clock.now())
        assert await ExpiryWatch(store, clock).run_due() == 0
        assert await store.read(chores.due_at, account_id, CHORE) == clock.now() + DAY

    async def test_the_warning_tells_host_and_log_the_same_and_nothing_of_the_secret(
        self, store: storage.Store, clock: FakeClock, account_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.write(store_secret, account_id, clock.now() + 5 * DAY, clock.now())
        with caplog.at_level(logging.WARNING):
            await ExpiryWatch(store, clock).run_due()
        (event,) = await store.read(events.after, account_id, 0, limit=10)
        (line,) = caplog.records
        credential = await store.read(credentials.active, account_id)
        assert credential is not None
        assert event.type == "credential.expiring"
        assert event.data == {
            "credential_id": credential.id,
            "kind": "client_secret",
            "state": "active",
            "days_left": 5,
            "step": 7,
            "expires_at": (clock.now() + 5 * DAY).isoformat(),
        }
        assert (line.account_id, line.credential_id, line.days_left) == (account_id, credential.id, 5)  # type: ignore[attr-defined]
        assert "s3c" not in str(event.data) + str(vars(line))

    async def test_every_account_is_told_of_its_own_secret(self, store: storage.Store, clock: FakeClock) -> None:
        ids = [(await store.write(accounts.add, name, now=clock.now())).id for name in ("North", "South", "West")]
        for days, one in zip((2, 20, 200), ids, strict=True):
            await store.write(store_secret, one, clock.now() + days * DAY, clock.now())
        assert await ExpiryWatch(store, clock).run_due() == 2
        found = [await store.read(events.after, one, 0, limit=10) for one in ids]
        assert [[event.data["step"] for event in of_one] for of_one in found] == [[3], [30], []]

    async def test_a_look_that_cannot_be_stored_tells_nobody_and_is_made_up_for(
        self, store: storage.Store, clock: FakeClock, account_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.write(store_secret, account_id, clock.now() + DAY, clock.now())
        await store.write(lambda tx: tx.execute(NO_EVENTS))
        with caplog.at_level(logging.WARNING), pytest.raises(sqlite3.IntegrityError):
            await ExpiryWatch(store, clock).run_due()
        assert caplog.records == []
        await store.write(lambda tx: tx.execute("DROP TRIGGER no_events"))
        assert await ExpiryWatch(store, clock).run_due() == 1
