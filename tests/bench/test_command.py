"""The command around the benchmarks: its goals, its options, and what it says of the time left."""

import inspect
import io
from collections import defaultdict
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import registry
from tests.bench.__main__ import options, parser_for
from tests.bench.benchmark import TELL, each
from tests.bench.figures import times
from tests.bench.goals import GOALS, Goal, Verdict, missed
from tests.bench.numbers import Spread
from tests.bench.progress import for_people, left_s, plain
from tests.bench.report import Report, Unreadable

KNOWN = registry.benchmarks()


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
