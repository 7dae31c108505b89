"""The command around the benchmarks: its goals, its options, what it says of the time left, and how it compares."""

import inspect
import io
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import registry
from tests.bench.__main__ import options, parser_for
from tests.bench.benchmark import TELL, each
from tests.bench.comparison import Change, Compared, compared, span, warnings
from tests.bench.figures import Better, Figure, Unit, calls, ms, times
from tests.bench.goals import GOALS, Goal, Verdict, missed
from tests.bench.machine import Machine, Places
from tests.bench.numbers import Latency, Spread
from tests.bench.progress import for_people, left_s, plain
from tests.bench.report import Measured, Report, Unreadable, as_json, together

KNOWN = registry.benchmarks()
MACHINE = Machine(
    system="Linux 6.1",
    cores=2,
    load=0.1,
    python="CPython 3.11.7",
    sqlite="3.40.1",
    places=Places(server=0, client=1),
    flush=Latency(count=1, p50_ms=1, p99_ms=1, worst_ms=1),
)
RUN = Report(made_at=datetime(2026, 3, 1, tzinfo=UTC), machine=MACHINE, quick=False)


def spread(low: float, median: float, high: float) -> Spread:
    return Spread(median=median, low=low, high=high)


def test_every_goal_is_there() -> None:
    said: dict[str, list[str]] = defaultdict(list)
    for goal in GOALS:
        said[goal.benchmark].append(goal.said)

    assert said == {
        "notifications": ["≥ 0.45 ×", "≥ 0.6 ×", "≥ 4 ×", "≤ 220 MB"],
        "slow-disk": ["≥ 25 ×"],
        "steady": ["≤ 3 ×", "≤ 10 ms", "≤ 15 ms", "≤ 2 s", "≤ 0"],
        "accepting": ["≥ 0.45 ×", "≥ 0.45 ×", "≤ 25 ms", "≤ 25 ms"],
        "sending": ["≥ 0.8 ×", "≥ 0.8 ×", "≤ 2.2 calls", "≤ 2.2 calls"],
        "replies": ["≤ 0.3 calls", "≤ 3 calls", "≤ 10 ms", "≤ 50 ms", "≥ 500 /s", "≤ 220 MB"],
        "backfill": ["≥ 0.35 ×", "≤ 200 MB", "≤ 200 MB", "≤ 10 MB", "≤ 10 MB", "≤ 220 MB", "≤ 220 MB"],
        "opening": ["≥ 0.75 ×", "≤ 5 ms"],
        "reading": [*[f"≤ {most} ms" for most in (10, 15, 25, 50)], *["≤ 3 ×"] * 4, "≤ 30 ms", "≤ 1.6 ×"],
        "latency": ["≤ 120 MB"],
        "starting": ["≤ 2 s", "≤ 2 s", "≤ 5 s"],
    }


@pytest.mark.parametrize(
    ("benchmark", "parameter", "sizes"),
    [
        ("notifications", "connections", {64}),
        ("accepting", "connections", {16, 64}),
        ("sending", "mailboxes", {1, 10}),
        ("steady", "rates", {1_000, 3_000}),
        ("reading", "sizes", {10_000, 1_000_000}),
        ("backfill", "messages", {100_000}),
        ("growth", "mailboxes", {1, 100}),
        ("growth", "items", {1, 100}),
    ],
)
def test_benchmarks_measure_at_the_sizes_that_the_goals_name(benchmark: str, parameter: str, sizes: set[int]) -> None:
    default = KNOWN[benchmark].defaults[parameter]
    assert sizes <= set(default if isinstance(default, tuple) else (default,))


def test_a_goal_is_judged_by_the_median() -> None:
    from_below = Goal(path="p", yardstick="y", benchmark="b", figure="f", at_least=0.5)
    from_above = Goal(path="p", yardstick="y", benchmark="b", figure="f", at_most=0.5)

    assert from_below.verdict(None) is Verdict.NOT_MEASURED
    assert from_below.verdict(times(spread(0.4, 0.5, 0.9))) is Verdict.MET
    assert from_below.verdict(times(spread(0.4, 0.49, 0.9))) is Verdict.NOT_MET
    assert from_above.verdict(times(spread(0.4, 0.49, 0.9))) is Verdict.MET
    assert from_above.verdict(times(spread(0.4, 0.51, 0.9))) is Verdict.NOT_MET


def test_a_stretch_may_be_missed() -> None:
    assert missed({"notifications": {"of bare, 64 connections": times(0.5)}}) == []
    [goal] = missed({"notifications": {"of bare, 64 connections": times(0.4)}})
    assert goal.at_least == 0.45


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_benchmark_can_be_asked_for_is_what_it_takes(name: str) -> None:
    benchmark = KNOWN[name]
    parameters = inspect.signature(benchmark.measure).parameters

    assert TELL in parameters
    assert {*benchmark.options, *benchmark.quick} <= benchmark.defaults.keys()
    assert benchmark.lasts(benchmark.defaults) > benchmark.lasts(benchmark.asked_for({}, quick=True)) > 0
    for parameter, option in benchmark.options.items():
        assert benchmark.asked_for({option.flag: 7}, quick=True)[parameter] == 7


def test_a_quick_run_is_quick() -> None:
    assert sum(one.lasts(one.asked_for({}, quick=True)) for one in KNOWN.values()) < 150


def test_help_has_every_benchmark_and_option() -> None:
    said = parser_for(KNOWN).format_help()
    assert all(f"{one.name:14} {one.about}" in said for one in KNOWN.values())
    assert all(f"--{flag}" in said for flag in options(KNOWN))


@pytest.mark.parametrize(
    ("before", "now", "better", "change"),
    [
        (spread(0.4, 0.5, 0.6), spread(0.5, 0.7, 0.8), Better.HIGHER, Change.SAME),
        (spread(0.4, 0.5, 0.6), spread(0.61, 0.7, 0.8), Better.HIGHER, Change.BETTER),
        (spread(0.4, 0.5, 0.6), spread(0.61, 0.7, 0.8), Better.LOWER, Change.WORSE),
        (spread(0.4, 0.5, 0.6), spread(0.2, 0.3, 0.39), Better.HIGHER, Change.WORSE),
        (spread(0.4, 0.5, 0.6), spread(0.2, 0.3, 0.39), Better.LOWER, Change.BETTER),
        (spread(2, 2, 2), spread(2.5, 2.5, 2.5), Better.LOWER, Change.SAME),
        (spread(2, 2, 2), spread(3, 3, 3), Better.LOWER, Change.WORSE),
    ],
)
def test_a_change_is_one_when_the_spreads_do_not_touch(
    before: Spread, now: Spread, better: Better, change: Change
) -> None:
    figures = [Figure(value=value, unit=Unit.TIMES, better=better) for value in (before, now)]
    assert Compared(benchmark="b", name="f", before=figures[0], now=figures[1]).change is change


def test_what_was_measured_once_has_some_room() -> None:
    assert span(spread(1, 2, 3)) == (1, 3)
    assert span(spread(2, 2, 2)) == (pytest.approx(1.7), pytest.approx(2.3))


def test_only_what_can_be_carried_is_compared() -> None:
    before = {"b": {"ratio": times(0.5), "time": ms(3), "gone": times(1)}, "other": {"ratio": times(1)}}
    now = {"b": {"ratio": times(0.6), "time": ms(9), "calls": calls({"GET": 2})}, "new": {"ratio": times(1)}}
    assert [(one.benchmark, one.name) for one in compared(before, now)] == [("b", "ratio")]


def test_runs_that_are_hard_to_compare_are_told(tmp_path: Path) -> None:
    one = Measured(asked_for={"rounds": 5, "sizes": (1, 2), "school": None}, took_s=1, figures={}, found=None)
    before = replace(RUN, measured={"reading": one})
    (tmp_path / "last.json").write_bytes(as_json(before))
    read = Report.read(tmp_path / "last.json")
    busy = replace(MACHINE, load=9.0, flush=Latency(count=1, p50_ms=9, p99_ms=9, worst_ms=9))
    assert warnings(read, replace(before, machine=busy)) == []

    less = replace(one, asked_for={"rounds": 1, "sizes": (1, 2), "school": Path("here.db")})
    other = replace(RUN, machine=replace(MACHINE, cores=8), quick=True, measured={"reading": less})
    assert warnings(read, other) == [
        "The machines differ (cores: 2 → 8): only large changes mean something.",
        "The present run was a quick one.",
        "reading was asked for something else: rounds 5, sizes [1, 2] → rounds 1, sizes [1, 2].",
    ]


def test_runs_of_one_machine_can_be_put_together() -> None:
    one, other = (Measured(asked_for={}, took_s=took_s, figures={}, found=None) for took_s in (1.0, 2.0))
    early = replace(RUN, measured={"reading": one, "sending": one})
    late = replace(RUN, made_at=datetime(2026, 3, 2, tzinfo=UTC), measured={"sending": other})

    assert together([early]) == early
    assert together([early, late]) == replace(late, measured={"reading": one, "sending": other})
    assert together([replace(early, quick=True), late]).quick
    with pytest.raises(Unreadable, match=r"different machines \(cores: 2 → 8\)"):
        together([early, replace(late, machine=replace(MACHINE, cores=8))])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"made_at": 1}'])
def test_a_file_that_is_no_report_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "strange.json"
    path.write_text(content)
    with pytest.raises(Unreadable, match=r"strange\.json is no report of this command"):
        Report.read(path)


def test_the_time_left_follows_the_pace_of_the_machine() -> None:
    assert left_s([60, 30], 0, 0.0, 0.0) == 90
    assert left_s([60, 30], 0, 0.1, 40.0) == 84, "six seconds of work say too little"
    assert left_s([60, 30], 0, 0.5, 60.0) == 120, "a machine of half the pace"
    assert left_s([60, 30], 1, 0.5, 75.0) == 15
    assert [for_people(one) for one in (0, 12, 89, 90, 1000)] == [
        "about 5 s", "about 10 s", "about 90 s", "about 2 min", "about 17 min",
    ]  # fmt: skip


def test_steps_are_told_before_they_begin() -> None:
    told: list[tuple[int, int, str]] = []
    for step in each(lambda *what: told.append(what), ["a", "b"], str.upper, before=3, of=9):
        told.append((0, 0, step))
    assert told == [(3, 9, "A"), (0, 0, "a"), (4, 9, "B"), (0, 0, "b")]


def test_plain_lines_are_few() -> None:
    page, times_ = io.StringIO(), iter([0.0, 0.0, 2.0, 4.9, 5.0, 5.0])
    line = plain(Console(file=page), now=lambda: next(times_))
    for share in (0.0, 0.25, 0.5, 1.0):
        line(share, "[1/2] x")
    assert page.getvalue().splitlines() == ["  0% [1/2] x", "100% [1/2] x"]
