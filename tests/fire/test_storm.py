"""A storm is as large as it was asked for, and each kind of broken promise is found."""

import random
from collections import Counter
from pathlib import Path

import pytest

from storage import Store, open_store
from tests.bench.numbers import Latency
from tests.fire.gusts import LARGEST, Heard, Told, batches
from tests.fire.stalled_server import stall
from tests.fire.storm import ALLOWED, lost_of, unexpected, untimely

TOLD = [Told(subscription_id="s", client_state="c", tenant_id="t", message_id=str(number)) for number in range(9)]


@pytest.mark.parametrize("notifications", [1, 100, 12_345])
def test_the_batches_hold_as_many_notifications_as_asked_for_and_100_at_most(notifications: int) -> None:
    sizes = [len(batch) for batch in batches(TOLD, notifications, random.Random(1))]
    assert sum(sizes) == notifications
    assert 1 <= min(sizes) <= max(sizes) <= LARGEST


def timed(*, p99_ms: float, worst_ms: float) -> Latency:
    return Latency(count=100, p50_ms=1.0, p99_ms=p99_ms, worst_ms=worst_ms)


@pytest.mark.parametrize(
    ("latency", "is_stalled", "what"),
    [
        pytest.param(timed(p99_ms=250, worst_ms=2999), False, [], id="in time"),
        pytest.param(timed(p99_ms=251, worst_ms=2999), False, ["p99 is 251 ms"], id="slow"),
        pytest.param(timed(p99_ms=2600, worst_ms=2999), True, [], id="slow with a slow disk"),
        pytest.param(timed(p99_ms=2600, worst_ms=3000), True, ["an answer took 3000 ms"], id="too late for Graph"),
    ],
)
def test_late_answers_are_found(latency: Latency, is_stalled: bool, what: list[str]) -> None:
    assert untimely(latency, is_stalled=is_stalled) == what


def test_answers_that_graph_must_not_hear_are_found() -> None:
    assert unexpected({"202": 5, "500": 1}, ALLOWED) == ["1 requests were answered with 500"]


async def test_a_notification_that_was_acknowledged_and_is_not_kept_is_found(tmp_path: Path) -> None:
    async with open_store(tmp_path / "gateway.db"):
        pass
    [lost] = lost_of(Heard(acknowledged=Counter({"m": 2})), tmp_path / "gateway.db")
    assert lost == "m was acknowledged 2 times more than it is kept"


async def test_a_stalled_store_commits_late_and_reads_at_once(tmp_path: Path) -> None:
    async with open_store(tmp_path / "gateway.db") as store:
        waits: list[float] = []
        await store.write(stall, 2.0, sleep=waits.append)
        await number_of_tables(store)
        assert waits == [2.0]
        await store.write(lambda tx: None)
        assert waits == [2.0, 2.0]


async def number_of_tables(store: Store) -> int:
    return await store.read(lambda tx: int(tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]))
