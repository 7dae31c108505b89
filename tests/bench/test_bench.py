"""The benchmarks run and count right; what they measure is nobody's business here."""

import io
import re
from collections.abc import Set
from pathlib import Path
from typing import Any

from rich.console import Console

from gateway.clock import SystemClock
from tests.bench import (
    accepting,
    auditing,
    backfill,
    fanout,
    latency,
    notifications,
    opening,
    reading,
    registry,
    replies,
    sending,
    slow_disk,
    starting,
    steady,
)
from tests.bench.door_server import Door
from tests.bench.goals import GOALS
from tests.bench.machine import machine
from tests.bench.numbers import Latency, Spread, length_of_union, most_at_once, percentile, within
from tests.bench.queues import WARM_UP
from tests.bench.report import Measured, Report, as_json
from tests.bench.senders import OF_A_MAILBOX, Sender


def test_every_notification_that_was_answered_is_on_disk(tmp_path: Path) -> None:
    found = notifications.measure(seconds=0.5, rounds=1, connections=(4,))

    assert found.on_disk == found.answered > 0
    assert [row.door for row in found.rows] == list(Door)
    assert all(row.per_second.low > 0 for row in found.rows)
    assert "httptools" in found.engine.http
    assert found.engine.loop == "uvloop"
    assert can_be_read(tmp_path, "notifications", found)


def test_a_door_at_a_steady_pace_and_under_overload_answers_everything(tmp_path: Path) -> None:
    found = steady.measure(seconds=0.2, rounds=1, rates=(200,), overload=600, overload_connections=60)

    assert [(row.door, row.per_second) for row in found.paces] == [(Door.BARE, 200), (Door.GATEWAY, 200)]
    assert all(0 < row.p50_ms.low <= row.p99_ms.low <= row.p999_ms.low <= row.worst_ms.low for row in found.paces)
    assert found.overload.unanswered == 0 < found.overload.slowest_s.low
    assert found.on_disk >= found.overload.items * found.overload.answers.get("202", 0)
    assert can_be_read(tmp_path, "steady", found)


def test_a_slow_disk_is_slow_for_each_transaction(tmp_path: Path) -> None:
    found = slow_disk.measure(seconds=0.2, rounds=1, commit_s=0.01)

    assert [row.door for row in found.rows] == [Door.GATEWAY, Door.ONE_EACH]
    assert found.rows[1].per_second.high <= 1 / found.commit_s, "one commit after the other"
    assert found.on_disk > 0
    assert can_be_read(tmp_path, "slow-disk", found)


def test_every_content_is_opened(tmp_path: Path) -> None:
    found = opening.measure(seconds=0.3, rounds=1)

    assert [row.at_once for row in found.rows] == [1, 2]
    assert found.opened > 0
    assert all(row.longest_pause_ms.low >= 0 < row.of_openssl.low for row in found.rows)
    assert can_be_read(tmp_path, "opening", found)


def test_every_letter_is_answered(tmp_path: Path) -> None:
    found = latency.measure(letters=3, burst=6)

    assert found.answered == found.posted == 9
    assert found.calls_per_letter["POST users/{id}/messages/{id}/send"] == 1
    assert 0 <= found.shares.own.worst_ms <= found.singles.to_reply.worst_ms
    assert can_be_read(tmp_path, "latency", found)


def test_every_letter_that_was_accepted_is_on_disk(tmp_path: Path) -> None:
    found = accepting.measure(seconds=0.5, rounds=1, connections=(4,))

    assert found.on_disk == found.answered > 0
    assert [row.door for row in found.rows] == list(accepting.Door)
    assert all(row.per_second.low > 0 for row in found.rows)
    assert can_be_read(tmp_path, "accepting", found)


def test_every_record_of_the_audit_log_is_there(tmp_path: Path) -> None:
    found = auditing.measure(requests=4, rounds=1)

    assert found.recorded >= 12
    assert all(row.of_none.low > 0 for row in found.rows)
    assert can_be_read(tmp_path, "auditing", found)


def test_every_event_comes_to_every_webhook(tmp_path: Path) -> None:
    found = fanout.measure(count=20, rounds=1, receivers=(1, 2))

    assert found.received == 2 * 20 * (1 + 2)
    assert [(row.receivers, row.sender) for row in found.rows] == [(n, s) for n in (1, 2) for s in fanout.Sender]
    assert all(row.of_bare.low > 0 for row in found.rows)
    assert can_be_read(tmp_path, "fanout", found)


def test_every_letter_of_a_queue_is_sent_once(tmp_path: Path) -> None:
    found = sending.measure(letters=6, rounds=1, mailboxes=(1, 2))

    assert found.sent == found.posted == 2 * len(Sender) * (6 + WARM_UP)
    assert [row.sender for row in found.rows] == 2 * list(Sender)
    assert all(calls["POST users/{id}/messages/{id}/send"] == 1 for calls in found.calls_per_letter.values())
    assert 1 <= found.at_once[1] <= OF_A_MAILBOX
    assert can_be_read(tmp_path, "sending", found)


def test_every_reply_is_heard_of_alone_and_in_a_burst(tmp_path: Path) -> None:
    found = replies.measure(replies=2, burst=25, rounds=1)

    assert found.singles == found.visible.count == 2
    assert 0 <= found.own.worst_ms <= found.visible.worst_ms
    assert found.calls_in_bursts["POST $batch"] < 1
    assert can_be_read(tmp_path, "replies", found)


def test_a_mailbox_that_has_filled_is_read_to_the_last_reply(tmp_path: Path) -> None:
    found = backfill.measure(messages=120, rounds=1)

    assert [(row.kind, row.ours) for row in found.rows] == [(backfill.USUAL, 4), (backfill.ALL_OURS, 120)]
    assert all(row.per_second.low > 0 for row in found.rows)
    assert can_be_read(tmp_path, "backfill", found)


def test_every_question_is_answered(tmp_path: Path) -> None:
    found = reading.measure(sizes=(200, 400), times=4, commits=3)

    assert [(row.question, row.alone.count) for row in found.rows] == 2 * [(name, 4) for name in reading.QUESTIONS]
    assert [size.messages // 160 for size in found.sizes] == [1, 2]
    assert all(size.commit_beside.count > 0 and size.commit_alone.count == 3 for size in found.sizes)
    assert can_be_read(tmp_path, "reading", found)


def test_every_start_comes_to_its_end(tmp_path: Path) -> None:
    found = starting.measure(rounds=1, fresh=False)

    assert [row.kind for row in found.rows] == ["bare", "killed"]
    assert all(row.processor.low > 0 for row in found.rows)
    assert found.letters == starting.LETTERS
    assert can_be_read(tmp_path, "starting", found, but={"first: start to ready", "again: start to ready"})


def can_be_read(folder: Path, name: str, found: Any, *, but: Set[str] = frozenset()) -> bool:
    """By people; by machines, to the last digit; and by the goals that are read off this benchmark, `but` some."""
    benchmark, page = registry.benchmarks()[name], io.StringIO()
    benchmark.show(found, Console(file=page, width=140))
    short = benchmark.figures(found)
    wanted = {without_numbers(goal.figure) for goal in GOALS if goal.benchmark == name} - but
    report = Report(
        made_at=SystemClock().now(),
        machine=machine(folder),
        quick=True,
        measured={name: Measured(asked_for=benchmark.defaults, took_s=1.0, figures=short, found=found)},
    )
    (folder / "report.json").write_bytes(as_json(report))
    read = Report.read(folder / "report.json")
    return (
        len(page.getvalue()) > 300
        and wanted <= {without_numbers(one) for one in short}
        and all(
            short[goal.figure].unit is goal.unit for goal in GOALS if goal.benchmark == name and goal.figure in short
        )
        and (read.machine, read.made_at, read.figures) == (report.machine, report.made_at, report.figures)
    )


def without_numbers(name: str) -> str:
    """The sizes here are small ones."""
    return re.sub(r"\d[\d,]*", "#", name)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0.0, 0.25, 0.5, 0.99, 1.0)] == [1, 1, 2, 4, 4]
    assert Latency.of([0.003, 0.001, 0.002]) == Latency(count=3, p50_ms=2, p99_ms=3, worst_ms=3)
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(median=2, low=1, high=3)


def test_time_that_two_calls_share_is_counted_once() -> None:
    assert length_of_union([(4, 6), (0, 2), (1, 3), (5, 5.5), (9, 8)]) == 5
    assert within([(0, 2), (1, 5), (6, 7)], 1, 4) == [(1, 2), (1, 4)]


def test_calls_that_follow_each_other_are_not_under_way_at_once() -> None:
    assert most_at_once([(0, 2), (2, 4), (1, 3), (5, 6)]) == 2
    assert most_at_once([]) == 0
