"""A soak finds what grows, and a short one runs to its end."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fire import soak_week
from tests.fire.soak_week import Day
from tests.fire.steady import MIB, Sample, Timed, breaches, slope_mib_an_hour, thirds

STILL = Sample(at_s=0, memory=100 * MIB, files=30, tasks=40, log=4 * MIB, database=MIB)
LENGTH_S = 300.0
AT = [float(second) for second in range(0, 300, 10)]


def run(**ends: float) -> list[Sample]:
    """Samples of which these go evenly to their ends after the first third."""
    moves = [(name, getattr(STILL, name), end) for name, end in ends.items()]
    share = [max(0.0, (at - LENGTH_S / 3) / (LENGTH_S * 2 / 3)) for at in AT]
    return [
        replace(STILL, at_s=at, **{name: int(still + how * (end - still)) for name, still, end in moves})
        for at, how in zip(AT, share, strict=True)
    ]


def answers(first_ms: float, last_ms: float) -> list[Timed]:
    return [Timed(at_s=at, took_s=(last_ms if at > 200 else first_ms) / 1000) for at in AT]


@pytest.mark.parametrize(
    ("samples", "timed", "says"),
    [
        pytest.param(run(), answers(20, 20), [], id="still"),
        pytest.param(run(memory=103 * MIB), answers(20, 60), [], id="within bounds"),
        pytest.param(run(memory=160 * MIB), [], ["memory grew from"], id="memory"),
        pytest.param(run(files=60), [], ["open files grew from"], id="files"),
        pytest.param(run(tasks=90), [], ["tasks grew from"], id="tasks"),
        pytest.param(run(log=90 * MIB), [], ["the database's log grew to"], id="log"),
        pytest.param(run(), answers(20, 200), ["p99 grew from 20 to 200 ms"], id="p99"),
    ],
)
def test_what_grows_is_found(samples: list[Sample], timed: list[Timed], says: list[str]) -> None:
    found = breaches(thirds(samples, timed, LENGTH_S))
    assert [one[: len(said)] for one, said in zip(found, says, strict=True)] == says


def test_the_slope_is_that_of_the_time_after_warming_up() -> None:
    warming = [replace(STILL, at_s=at, memory=int((50 + min(at, 100) / 2) * MIB)) for at in AT]
    assert slope_mib_an_hour(warming, LENGTH_S) == pytest.approx(0, abs=0.1)
    growing = run(memory=120 * MIB)
    assert slope_mib_an_hour(growing, LENGTH_S) == pytest.approx(360, rel=0.02)


def a_day(number: int, own_kib: float = 400.0, files: int = 17, tasks: int = 2, log_mib: float = 4.0) -> Day:
    return Day(at=timedelta(days=number), own_kib=own_kib, files=files, tasks=tasks, log_mib=log_mib, database_mib=1.0)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (a_day(7, own_kib=900), []),
        (a_day(7, own_kib=1000), ["what the gateway has allocated grew from 400 to 1,000 KiB"]),
        (a_day(7, files=22), ["open files grew from 17 to 22"]),
        (a_day(7, tasks=7), ["tasks grew from 2 to 7"]),
        (a_day(7, log_mib=65), ["the database's log grew to 65 MiB"]),
    ],
)
def test_what_grows_in_a_week_is_found(last: Day, says: list[str]) -> None:
    restless = a_day(1, own_kib=1)  # days with deaths say nothing
    assert soak_week.breaches([restless, a_day(3), a_day(5), last], restless=2) == says


def test_half_an_hour_of_a_week_runs_to_its_end(tmp_path: Path) -> None:
    plan = soak_week.Plan(days=1 / 48, seed=1, folder=tmp_path, step=timedelta(minutes=15))
    lived = soak_week.live(plan)
    assert lived.violations == []
    assert len(lived.days) == 2
    assert lived.befell["letters"] > 0
    assert lived.befell["webhook answered 500"] > 0
    assert lived.days[-1].own_kib > 0
