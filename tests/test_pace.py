"""The pace of the answers to Graph: the last ten minutes, and a warning before Graph takes offence."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.pace import MINUTES, Pace
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.space import Space
from storage import open_store
from tests.fakes.clock import A_MONDAY, FakeClock

MINUTE = timedelta(minutes=1)
QUICK = timedelta(milliseconds=4)
SLOW = timedelta(seconds=3.5)


def answer(pace: Pace, took: timedelta, times: int, clock: FakeClock) -> None:
    for _ in range(times):
        pace.answered(took.total_seconds(), clock.now())


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "gateway.pace"]


def test_an_answer_of_three_seconds_is_just_in_time_and_a_later_one_is_slow() -> None:
    pace = Pace()
    pace.answered(3.0, A_MONDAY)
    pace.answered(3.000001, A_MONDAY)
    figures = pace.figures(A_MONDAY)
    assert (figures.answers, figures.slow, figures.slow_share) == (2, 1, 0.5)


def test_what_is_older_than_ten_minutes_no_longer_counts() -> None:
    pace, clock = Pace(), FakeClock()
    answer(pace, SLOW, 3, clock)
    clock.advance(9 * MINUTE)
    answer(pace, QUICK, 1, clock)
    assert (pace.figures(clock.now()).answers, pace.figures(clock.now()).slow) == (4, 3)
    clock.advance(MINUTE)
    assert (pace.figures(clock.now()).answers, pace.figures(clock.now()).slow) == (1, 0)
    clock.advance(9 * MINUTE)
    assert pace.figures(clock.now()).answers == 0


def test_what_a_clock_that_ran_ahead_has_counted_does_not_linger() -> None:
    pace, clock = Pace(), FakeClock()
    answer(pace, SLOW, 3, clock)
    clock.advance(timedelta(days=-30))
    answer(pace, QUICK, 1, clock)
    assert (pace.figures(clock.now()).answers, pace.figures(clock.now()).slow) == (1, 0)


def test_memory_does_not_grow_with_time() -> None:
    pace, clock = Pace(), FakeClock()
    for _ in range(1000):
        answer(pace, QUICK, 1, clock)
        clock.advance(MINUTE)
    assert len(pace._minutes) == MINUTES


def test_latencies_are_told_by_the_bound_they_keep() -> None:
    pace, clock = Pace(), FakeClock()
    answer(pace, timedelta(milliseconds=5), 50, clock)
    answer(pace, timedelta(milliseconds=40), 49, clock)
    answer(pace, timedelta(seconds=11), 1, clock)
    figures = pace.figures(clock.now())
    assert [figures.within_s(share) for share in (0.5, 0.51, 0.99, 1)] == [0.005, 0.05, 0.05, None]
    assert figures.sentence == (
        "100 answers to Microsoft Graph in the last 10 minutes: half within 0.005 s, 99 % within 0.05 s, "
        "1.0 % slower than 3 s."
    )


def test_one_in_twenty_is_a_warning_and_fewer_are_none(caplog: pytest.LogCaptureFixture) -> None:
    pace, clock = Pace(), FakeClock()
    answer(pace, QUICK, 98, clock)
    answer(pace, SLOW, 5, clock)
    assert warnings(caplog) == []
    answer(pace, SLOW, 1, clock)
    [warning] = warnings(caplog)
    assert (warning.__dict__["answers"], warning.__dict__["slow"]) == (104, 6)
    assert "delays" in pace.figures(clock.now()).sentence


def test_it_warns_once_in_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    pace, clock = Pace(), FakeClock()
    for _ in range(21):
        answer(pace, SLOW, 10, clock)
        clock.advance(MINUTE)
    assert len(warnings(caplog)) == 3


async def test_answers_that_are_too_slow_are_told_at_readyz_and_keep_nobody_from_sending(tmp_path: Path) -> None:
    pace, clock = Pace(), FakeClock()
    async with open_store(tmp_path / "gateway.db") as store:
        health = Health(store, clock, pace, space=Space(), pulse=Pulse())
        [quiet] = [part for part in (await health.readiness()).parts if part.name == "notifications"]
        answer(pace, SLOW, 1, clock)
        [slow] = [part for part in (await health.readiness()).parts if part.name == "notifications"]
    assert (quiet.ok, quiet.detail) == (True, "No notification of Microsoft Graph came in the last 10 minutes.")
    assert slow.ok
    assert "100.0 % slower than 3 s" in slow.detail
