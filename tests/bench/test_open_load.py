"""In an open loop the time of an answer is counted from when its request was due, not from when it was sent."""

import itertools
import statistics
from typing import cast

import pytest

from tests.bench.open_load import Line, OpenLoad, OpenPlan, Tail, arrivals, since_due

PLAN = OpenPlan(
    port=1,
    path="/",
    headers={},
    body="{message id}",
    first=0,
    connections=1,
    per_second=1,
    warm_up_s=0,
    seconds=1,
    drops=False,
    seed=1,
    processor=None,
)


def test_a_server_that_stands_still_is_slow_for_all_that_were_due_meanwhile() -> None:
    """A hundred requests a second, 1 ms each; once it stands still for half a second, and then answers all at once."""
    due = {number: number / 100 for number in range(1000)}
    ended = {number: max(at + 0.001, 5.5) if at >= 5.0 and at < 5.5 else at + 0.001 for number, at in due.items()}
    tail = Tail.of(since_due(due, ended, begin=0.0, end=11.0))

    assert tail.p50_ms == pytest.approx(1)
    assert tail.p99_ms == pytest.approx(400), "a closed loop would have one slow answer in a thousand, and a p99 of 1"
    assert tail.worst_ms == pytest.approx(500)


def test_what_is_never_answered_counts_until_the_end_and_the_warm_up_does_not() -> None:
    assert since_due({0: 0.1, 1: 1.0, 2: 1.5}, {0: 0.2, 1: 1.25}, begin=1.0, end=4.0) == [0.25, 2.5]


def test_requests_become_due_at_random_at_the_rate_that_is_asked_for() -> None:
    due = list(arrivals(1_000, 10, seed=1))
    gaps = [after - before for before, after in itertools.pairwise(due)]

    assert due == sorted(due) == list(arrivals(1_000, 10, seed=1))
    assert len(due) == pytest.approx(10_000, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.1), "as of a Poisson process"


class Wire:
    """A connection on which nothing is sent."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.is_open = True

    def put(self, number: int, request: bytes) -> None:
        self.numbers.append(number)


async def test_who_finds_no_idle_connection_waits_or_is_left_out() -> None:
    for drops, expected in ((False, [0, 1, 2]), (True, [0])):
        wire = Wire()
        load = OpenLoad(PLAN.__class__(**{**_fields(), "drops": drops}), due=[-3.0, -2.0, -1.0])
        load.begin([cast("Line", wire)])
        while len(load.ended) < len(load.sent):
            load.note(cast("Line", wire), wire.numbers[-1], 202)
        assert wire.numbers == expected
        report = load.report(begin=-4.0)
        assert (report.sent, report.dropped, report.unanswered) == (len(expected), 3 - len(expected), 0)
        assert report.since_due.count == len(expected)
        assert report.since_due.worst_ms >= 3000 > report.slowest_s * 1000
        assert load.over.is_set()


async def test_who_is_hung_up_on_is_not_answered_and_not_waited_for() -> None:
    gone, left = Wire(), Wire()
    load = OpenLoad(PLAN, due=[-2.0, -1.0])
    gone.is_open = False
    load.begin([cast("Line", left), cast("Line", gone)])
    assert (left.numbers, gone.numbers) == ([0], []), "and the next waits"
    load.note(cast("Line", left), 0, 202)
    load.lost(1)

    assert load.over.is_set()
    report = load.report(begin=-3.0)
    assert (report.answered, report.unanswered) == ({"202": 1}, 1)


def _fields() -> dict[str, object]:
    return {name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__}
