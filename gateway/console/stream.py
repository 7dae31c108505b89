"""A stream: something that is to flow. Its figures, its verdict, why, and what a person can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """STUCK: it does not flow, and will not by itself. SLOW: it flows less than it should, or waits for its turn.

    OFF: it is not in use.
    """

    STUCK = "stuck"
    SLOW = "slow"
    FLOWING = "flowing"
    OFF = "off"


WORST_FIRST: Final = tuple(Verdict)


class Act(StrEnum):
    """What a button sets going; `acts` does it. The value is the end of its form's address."""

    CHECK_CONNECTION = "check"
    RESUME_OUTBOX = "outbox/resume"
    RESUME_MAILBOX = "mailboxes/resume"
    PULL = "mailboxes/pull"
    LOOK_AGAIN = "mailboxes/again"
    ROUND_TRIP = "mailboxes/round-trip"
    REPAIR = "subscriptions/repair"
    ENABLE_WEBHOOK = "webhooks/enable"
    REDELIVER = "webhooks/redeliver"
    CHECK_COMPLETENESS = "completeness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A way to help: an `act` to the thing with the id `target`, or the page at `href`. `about` names the thing."""

    label: str
    act: Act | None = None
    target: str | None = None
    about: str | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that keeps a stream from flowing. `until` is when the gateway tries again by itself."""

    verdict: Verdict
    sentence: str
    until: datetime | None = None
    actions: Sequence[Action] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What went through, and what waits, since when. None: not counted. `at_least`: there was more than is counted."""

    noun: str
    last_hour: int | None = None
    last_day: int | None = None
    at_least: bool = False
    waiting: int | None = None
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """`sentence` says how it stands; `troubles` the same of each thing that is amiss, the worst first.

    `taken_at`: as of when that is known. `actions` help in any case.
    """

    name: str
    title: str
    verdict: Verdict
    sentence: str
    flow: Flow | None
    troubles: Sequence[Trouble]
    actions: Sequence[Action]
    taken_at: datetime


def judged(
    name: str,
    title: str,
    *,
    well: str,
    troubles: Sequence[Trouble],
    taken_at: datetime,
    flow: Flow | None = None,
    actions: Sequence[Action] = (),
) -> Stream:
    """A stream that is in use: as bad as the worst of its troubles; `well` is said when it has none."""
    worst_first = sorted(troubles, key=lambda one: WORST_FIRST.index(one.verdict))
    return Stream(
        name=name,
        title=title,
        verdict=worst_first[0].verdict if worst_first else Verdict.FLOWING,
        sentence=worst_first[0].sentence if worst_first else well,
        flow=flow,
        troubles=worst_first,
        actions=actions,
        taken_at=taken_at,
    )


def off(name: str, title: str, *, why: str, taken_at: datetime, actions: Sequence[Action] = ()) -> Stream:
    """A stream that is not in use, and why."""
    return Stream(
        name=name,
        title=title,
        verdict=Verdict.OFF,
        sentence=why,
        flow=None,
        troubles=(),
        actions=actions,
        taken_at=taken_at,
    )


def stuck(sentence: str, *actions: Action, until: datetime | None = None) -> Trouble:
    """A trouble that does not end by itself."""
    return Trouble(verdict=Verdict.STUCK, sentence=sentence, until=until, actions=actions)


def slow(sentence: str, *actions: Action, until: datetime | None = None) -> Trouble:
    """A trouble that the gateway gets over by itself, or that can wait."""
    return Trouble(verdict=Verdict.SLOW, sentence=sentence, until=until, actions=actions)


def link(label: str, href: str) -> Action:
    """Another page, where there is more to see and to decide."""
    return Action(label=label, href=href)


def counted(number: int, noun: str, many: str | None = None) -> str:
    """A number and what it counts: `1 letter`, `1,200 letters`. `many` is the plural where an s is not enough."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def lasting(time: timedelta) -> str:
    """A length of time, as people say it."""
    seconds = max(0, int(time.total_seconds()))
    for length, noun in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * length or (seconds >= length and noun != "day"):
            return counted(seconds // length, noun)
    return counted(seconds, "second")
