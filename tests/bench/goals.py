"""The goals: what is to be reached, on which path, and which figure of which benchmark says whether it is.

They are for a machine like the one that the README tells of, and ratios where that is possible. A figure meets its goal
by its median; the spread is shown beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench import tables
from tests.bench.figures import Figure, Figures, Unit


class Verdict(StrEnum):
    """Of a goal."""

    MET = "met"
    NOT_MET = "not met"
    NOT_MEASURED = "not measured in this run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """`figure` is of `benchmark`, as its module's `in_short` names it, and in `unit`. One of the two bounds is given.

    A stretch is worth having and no fault to miss.
    """

    path: str
    yardstick: str
    benchmark: str
    figure: str
    unit: Unit = Unit.TIMES
    at_least: float | None = None
    at_most: float | None = None
    is_stretch: bool = False

    def verdict(self, figure: Figure | None) -> Verdict:
        """By the median."""
        if figure is None:
            return Verdict.NOT_MEASURED
        is_met = (self.at_least is None or figure.value.median >= self.at_least) and (
            self.at_most is None or figure.value.median <= self.at_most
        )
        return Verdict.MET if is_met else Verdict.NOT_MET

    @property
    def said(self) -> str:
        """The bound, for people."""
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {bound:g} {self.unit}".rstrip()


DOOR: Final = "notification: checked, on disk, answered"
STEADY: Final = "notifications at a steady pace"
OVERLOAD: Final = "overload is answered: 202 or 503"
ACCEPTED: Final = "letters accepted, on disk, worker running"
REPLY: Final = "reply at Graph → visible"
BACKFILL: Final = "backfill, search index included"
RICH: Final = "rich notifications decrypted"
READ: Final = "over HTTP at 1,000,000 messages, warm"

BARE: Final = "the same app, only parsing"
ONE_EACH: Final = "one transaction per request"
NO_COMMIT: Final = "the same route without the commit"
BARE_LOOP: Final = "a bare loop, same calls, as many at once"
OWN: Final = "without the calls to the sandbox"
NONE: Final = "–"
QUESTIONS: Final[Mapping[str, float]] = {  # p99 in ms
    "threads of a student": 10,
    "thread of 30": 15,
    "search of two words": 25,
    "search within a student": 50,
}
STARTS: Final[Mapping[str, float]] = {"first": 2, "again": 2, "killed": 5}  # s until ready


def at_least(bound: float, path: str, yardstick: str, benchmark: str, figure: str, unit: Unit = Unit.TIMES) -> Goal:
    """A goal from below."""
    return Goal(path=path, yardstick=yardstick, benchmark=benchmark, figure=figure, unit=unit, at_least=bound)


def at_most(bound: float, path: str, yardstick: str, benchmark: str, figure: str, unit: Unit = Unit.TIMES) -> Goal:
    """A goal from above."""
    return Goal(path=path, yardstick=yardstick, benchmark=benchmark, figure=figure, unit=unit, at_most=bound)


GOALS: Final[Sequence[Goal]] = (
    at_least(0.45, DOOR, BARE, "notifications", "of bare, 64 connections"),
    replace(at_least(0.6, f"{DOOR} (stretch)", BARE, "notifications", "of bare, 64 connections"), is_stretch=True),
    at_least(4, DOOR, ONE_EACH, "notifications", "of one each, 64 connections"),
    at_least(25, f"{DOOR}, each commit 5 ms more", ONE_EACH, "slow-disk", "of one each, 64 connections"),
    at_most(3, STEADY, "the bare app's p99", "steady", "p99 of bare's, 1,000/s"),
    at_most(10, STEADY, NONE, "steady", "p99, 1,000/s", Unit.MS),
    at_most(15, STEADY, NONE, "steady", "p99, 3,000/s", Unit.MS),
    at_most(2, OVERLOAD, NONE, "steady", "overload: slowest answer", Unit.SECONDS),
    at_most(0, OVERLOAD, NONE, "steady", "overload: without an answer", Unit.COUNT),
    at_least(0.45, ACCEPTED, NO_COMMIT, "accepting", "waiting: of no commit, 64 connections"),
    at_least(0.45, ACCEPTED, NO_COMMIT, "accepting", "sending: of no commit, 64 connections"),
    at_most(25, ACCEPTED, NONE, "accepting", "waiting: p99, 16 connections", Unit.MS),
    at_most(25, ACCEPTED, NONE, "accepting", "sending: p99, 16 connections", Unit.MS),
    at_least(0.8, "letters sent, one mailbox", BARE_LOOP, "sending", "of bare loop, mailboxes: 1"),
    at_least(0.8, "letters sent, ten mailboxes", BARE_LOOP, "sending", "of bare loop, mailboxes: 10"),
    at_most(2.2, "Graph calls per small letter", "2", "sending", "calls for a letter, mailboxes: 1", Unit.CALLS),
    at_most(2.2, "Graph calls per small letter", "2", "sending", "calls for a letter, mailboxes: 10", Unit.CALLS),
    at_most(0.3, "Graph calls per reply", "1/20 batch", "replies", "calls for a reply, in bursts", Unit.CALLS),
    at_most(3, "Graph calls per reply", NONE, "replies", "calls for a reply, alone", Unit.CALLS),
    at_most(10, REPLY, OWN, "replies", "the gateway's own share: p50", Unit.MS),
    at_most(50, REPLY, OWN, "replies", "the gateway's own share: p99", Unit.MS),
    at_least(500, f"{REPLY}, a burst", NONE, "replies", "bursts, per second", Unit.PER_SECOND),
    at_least(0.35, BACKFILL, "a bulk load of the same rows", "backfill", "all ours: of bulk load"),
    at_most(200, BACKFILL, NONE, "backfill", "usual: memory at most", Unit.MEGABYTES),
    at_most(200, BACKFILL, NONE, "backfill", "all ours: memory at most", Unit.MEGABYTES),
    at_most(10, f"{BACKFILL}: flat", "its first fifth", "backfill", "usual: memory, later growth", Unit.MEGABYTES),
    at_most(10, f"{BACKFILL}: flat", "its first fifth", "backfill", "all ours: memory, later growth", Unit.MEGABYTES),
    at_least(0.75, RICH, "openssl speed rsa2048", "opening", "of openssl"),
    at_most(5, f"{RICH}: the loop goes on", NONE, "opening", "longest pause of the loop", Unit.MS),
    *(at_most(most, READ, NONE, "reading", f"{one}: p99", Unit.MS) for one, most in QUESTIONS.items()),
    *(
        at_most(3, READ, "the same at 10,000", "reading", f"{one}: p99 of that at the smallest size")
        for one in QUESTIONS
    ),
    at_most(30, f"{READ}, with a writer and 4 readers", NONE, "reading", "worst p99 beside", Unit.MS),
    at_most(1.6, "database size per message", "the text itself", "reading", "size of the text"),
    at_most(120, "memory, idle", NONE, "latency", "memory, idle", Unit.MEGABYTES),
    at_most(220, "memory, in a storm", NONE, "notifications", "memory at most", Unit.MEGABYTES),
    at_most(220, "memory, in a burst of replies", NONE, "replies", "memory at most", Unit.MEGABYTES),
    at_most(220, "memory, in a backfill", NONE, "backfill", "usual: memory at most", Unit.MEGABYTES),
    at_most(220, "memory, in a backfill", NONE, "backfill", "all ours: memory at most", Unit.MEGABYTES),
    *(
        at_most(most, f"start to ready, {one}", NONE, "starting", f"{one}: start to ready", Unit.SECONDS)
        for one, most in STARTS.items()
    ),
)


def figure_of(goal: Goal, figures: Mapping[str, Figures]) -> Figure | None:
    """What a run has for it, if anything."""
    return figures.get(goal.benchmark, {}).get(goal.figure)


def show(figures: Mapping[str, Figures], console: Console, *, quick: bool) -> None:
    """Each goal with its figure, and how many are met. Of benchmarks that were not run none is listed."""
    title = "Goals (a quick run: these verdicts mean little)" if quick else "Goals"
    table = Table("path", "yardstick", "figure", "goal", "measured", "verdict", title=title)
    verdicts = []
    for goal in GOALS:
        found = figure_of(goal, figures)
        verdict = goal.verdict(found)
        verdicts.append(verdict)
        if goal.benchmark not in figures:
            continue
        measured = "" if found is None else tables.figure(found)
        read_off = f"{goal.benchmark}: {goal.figure}"
        table.add_row(goal.path, goal.yardstick, read_off, goal.said, measured, _coloured(verdict))
    console.print(table)
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in Verdict if one in verdicts)
    console.print(f"{len(GOALS)} goals: {counts}.", highlight=False)


def missed(figures: Mapping[str, Figures]) -> Sequence[Goal]:
    """Those that were measured and are not met, stretches aside."""
    verdicts = {goal: goal.verdict(figure_of(goal, figures)) for goal in GOALS if not goal.is_stretch}
    return [goal for goal, verdict in verdicts.items() if verdict is Verdict.NOT_MET]


def _coloured(verdict: Verdict) -> str:
    colour = {Verdict.MET: "green", Verdict.NOT_MET: "red", Verdict.NOT_MEASURED: "dim"}[verdict]
    return f"[{colour}]{verdict}[/{colour}]"
