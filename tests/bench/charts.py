"""What is drawn: which figures, beside what, in which order. How it is drawn is the business of `plots`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import orjson

from tests.bench.goals import GOALS, Goal, figure_of
from tests.bench.numbers import Spread
from tests.bench.report import Report, as_json


class Kind(StrEnum):
    """Bars compare paths; lines show how something grows."""

    BARS = "bars"
    LINES = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """As many values as the chart has labels."""

    name: str
    values: Sequence[Spread]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`file` without its ending. `unit` stands below the title."""

    file: str
    title: str
    unit: str
    kind: Kind
    labels: Sequence[str]
    series: Sequence[Series]
    is_logarithmic: bool = False


RATIOS: Final[Mapping[tuple[str, str], str]] = {
    ("notifications", "of bare, 64 connections"): "notifications ÷ an app that only parses",
    ("accepting", "waiting: of no commit, 64 connections"): "letters accepted ÷ without the commit",
    ("sending", "of bare loop, mailboxes: 1"): "letters sent, one mailbox ÷ bare loop",
    ("sending", "of bare loop, mailboxes: 10"): "letters sent, ten mailboxes ÷ bare loop",
    ("backfill", "all ours: of bulk load"): "backfill ÷ bulk load of the same rows",
    ("opening", "of openssl"): "contents decrypted ÷ openssl speed",
}
GAINS: Final[Mapping[tuple[str, str], str]] = {
    ("notifications", "of one each, 64 connections"): "the disk as it is",
    ("slow-disk", "of one each, 64 connections"): "each commit 5 ms more",
}
LATENCIES: Final[Mapping[tuple[str, str], str]] = {
    ("steady", "p99, 1,000/s"): "notifications, 1,000/s",
    ("steady", "p99, 3,000/s"): "notifications, 3,000/s",
    ("accepting", "waiting: p99, 16 connections"): "letters accepted",
    ("replies", "the gateway's own share: p99"): "reply, own share",
    ("reading", "threads of a student: p99"): "threads of a student",
    ("reading", "thread of 30: p99"): "thread of 30",
    ("reading", "search of two words: p99"): "search",
    ("reading", "search within a student: p99"): "search in a student",
}


def charts(report: Report) -> Sequence[Chart]:
    """Those for which the run has figures."""
    measured: Mapping[str, Any] = orjson.loads(as_json(report))["measured"]
    drawn = [
        beside_goals(
            report, RATIOS, file="throughput", title="Throughput, and the goal it is to reach", unit="yardstick = 1"
        ),
        beside_goals(
            report, GAINS, file="group-commit", title="What the group commit gains, and is to gain", unit="one each = 1"
        ),
        beside_goals(
            report,
            LATENCIES,
            file="latency",
            title="p99, and the goal it is to stay below",
            unit="ms, logarithmic",
            is_logarithmic=True,
        ),
        _messages(measured["reading"]["found"]) if "reading" in measured else None,
        *(_growth(measured["growth"]["found"]) if "growth" in measured else ()),
    ]
    mark = "; a quick run, rough" if report.quick else ""
    return [replace(chart, unit=f"{chart.unit}{mark}") for chart in drawn if chart is not None and chart.labels]


def beside_goals(
    report: Report,
    chosen: Mapping[tuple[str, str], str],
    *,
    file: str,
    title: str,
    unit: str,
    is_logarithmic: bool = False,
) -> Chart:
    """A bar for each that was measured, and one for the first of its goals."""
    goals = {(goal.benchmark, goal.figure): goal for goal in reversed(GOALS)}
    rows = [
        (label, found.value, bound(goals[key]))
        for key, label in chosen.items()
        if (found := figure_of(goals[key], report.figures)) is not None
    ]
    return Chart(
        file=file,
        title=title,
        unit=unit,
        kind=Kind.BARS,
        labels=[label for label, _, _ in rows],
        series=[
            Series(name="measured", values=[value for _, value, _ in rows]),
            Series(name="goal", values=[Spread.of([goal]) for _, _, goal in rows]),
        ],
        is_logarithmic=is_logarithmic,
    )


def bound(goal: Goal) -> float:
    """Whichever it has."""
    found = goal.at_least if goal.at_least is not None else goal.at_most
    assert found is not None
    return found


def _messages(reading: Mapping[str, Any]) -> Chart:
    sizes = [size["messages"] for size in reading["sizes"]]
    questions = dict.fromkeys(row["question"] for row in reading["rows"])
    return Chart(
        file="growth-messages",
        title="Answers over HTTP, as the school grows",
        unit="p99 in ms, by messages",
        kind=Kind.LINES,
        labels=[f"{size:,}" for size in sizes],
        series=[
            Series(
                name=question,
                values=[Spread.of([row["alone"]["p99_ms"]]) for row in reading["rows"] if row["question"] == question],
            )
            for question in questions
        ],
    )


def _growth(growth: Mapping[str, Any]) -> Sequence[Chart]:
    bundles, schools = growth["bundles"], growth["schools"]
    return (
        Chart(
            file="growth-notifications",
            title="Notifications in one request",
            unit="notifications a second, by how many are in a request",
            kind=Kind.LINES,
            labels=[str(one["items"]) for one in bundles],
            series=[
                Series(name="kept", values=[Spread(**one["notifications_per_second"]) for one in bundles]),
            ],
        ),
        Chart(
            file="growth-mailboxes",
            title="Letters from many mailboxes",
            unit="letters a second, by mailboxes",
            kind=Kind.LINES,
            labels=[str(one["mailboxes"]) for one in schools],
            series=[
                Series(name="gateway", values=[Spread.of([one["letters_per_second"]]) for one in schools]),
                Series(
                    name="bare loop",
                    values=[Spread.of([one["letters_per_second"] / one["of_bare_loop"]]) for one in schools],
                ),
            ],
        ),
    )
