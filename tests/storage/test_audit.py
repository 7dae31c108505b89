"""What people decided, and the log of who did what: kept in order, and the log for good."""

import sqlite3
from datetime import timedelta

import pytest

from storage import NotFound, acts, api_keys, audit, messages
from storage.audit import Actor, Filter, Via
from storage.messages import Direction
from storage.transaction import Transaction
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import Scene, a_message, an_act, build

ALL = Filter()


@pytest.fixture
def scene(tx: Transaction) -> Scene:
    return build(tx)


def a_key(tx: Transaction, scene: Scene, name: str) -> Actor:
    key = api_keys.create(tx, scene.account_id, name=name, scopes=frozenset(), value=api_keys.new_value(), now=A_MONDAY)
    return Actor(via=Via.API, key_id=key.id, key_name=name, staff="Jane Doe", address="192.0.2.7")


def told(tx: Transaction, scene: Scene, only: Filter = ALL, before: int | None = None) -> list[str]:
    return [one.act for one in audit.newest(tx, scene.account_id, only=only, before=before, limit=10)]


def test_a_record_comes_back_as_it_was_written(tx: Transaction, scene: Scene) -> None:
    actor = a_key(tx, scene, "SELMA")
    audit.record(tx, scene.account_id, actor, "review.accept", {"message_id": "msg_1", "thread_id": None}, now=A_MONDAY)
    (record,) = audit.newest(tx, scene.account_id, limit=10)
    assert (record.act, record.actor, record.created_at) == ("review.accept", actor, A_MONDAY)
    assert record.targets == {"message_id": "msg_1"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET staff = 'Somebody else'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (seq, account_id, act, via, targets, created_at) "
        "SELECT seq, account_id, 'nothing', via, targets, created_at FROM audit",
    ],
)
def test_what_was_written_stays_whoever_asks(tx: Transaction, scene: Scene, statement: str) -> None:
    audit.record(tx, scene.account_id, audit.SYSTEM, "review.accept", {}, now=A_MONDAY)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        tx.execute(statement)
    assert told(tx, scene) == ["review.accept"]


@pytest.mark.parametrize(
    "change",
    [
        {"act": ""},
        {"via": "letter"},
        {"via": "api"},
        {"key_id": "key_of_nobody", "key_name": "x"},
        {"key_name": "x"},
        {"targets": "no json"},
    ],
    ids=str,
)
def test_nonsense_is_refused(tx: Transaction, scene: Scene, change: dict[str, str]) -> None:
    row = {"account_id": scene.account_id, "act": "a.b", "via": "system", "targets": "{}", "created_at": 1} | change
    columns = ", ".join(row)
    with pytest.raises(sqlite3.IntegrityError):
        tx.execute(f"INSERT INTO audit ({columns}) VALUES ({', '.join(':' + name for name in row)})", row)


def test_records_are_found_by_whatever_is_known_of_them(tx: Transaction, scene: Scene) -> None:
    one, other = a_key(tx, scene, "SELMA"), a_key(tx, scene, "front desk")
    for actor, act, target in ((one, "review.accept", "msg_1"), (other, "thread.link", "thr_1"), (one, "x.y", "thr_1")):
        audit.record(tx, scene.account_id, actor, act, {"id": target}, now=A_MONDAY)
    elsewhere = build(tx, "Another school")
    audit.record(tx, elsewhere.account_id, audit.SYSTEM, "theirs", {"id": "thr_1"}, now=A_MONDAY)
    assert told(tx, scene) == ["x.y", "thread.link", "review.accept"]
    assert told(tx, scene, Filter(target="thr_1")) == ["x.y", "thread.link"]
    assert told(tx, scene, Filter(key_id=one.key_id)) == ["x.y", "review.accept"]
    assert told(tx, scene, Filter(act="thread.link", staff="Jane Doe")) == ["thread.link"]
    assert told(tx, scene, Filter(staff="Nobody")) == []
    newest = audit.newest(tx, scene.account_id, limit=1)
    assert told(tx, scene, before=newest[0].seq) == ["thread.link", "review.accept"]


def test_of_a_messages_acts_the_last_that_is_not_undone_counts(tx: Transaction, scene: Scene) -> None:
    messages.insert(tx, a_message(scene, direction=Direction.IN))
    first, second = an_act(scene, "msg_1", "act_b"), an_act(scene, "msg_1", "act_a")
    for act in (first, second):
        acts.insert(tx, act)
    assert acts.latest(tx, "msg_1") == second
    acts.mark_undone(tx, "act_a", by="Jane Doe", now=A_MONDAY + timedelta(hours=1))
    assert acts.latest(tx, "msg_1") == first
    undone = acts.get(tx, scene.account_id, "act_a")
    assert (undone.undone_by, undone.undone_at) == ("Jane Doe", A_MONDAY + timedelta(hours=1))
    assert acts.of_message(tx, "msg_1") == [first, undone]
    with pytest.raises(NotFound):
        acts.get(tx, build(tx, "Another school").account_id, "act_a")


def records(tx: Transaction, scene: Scene, *ages: int) -> None:
    for days in ages:
        audit.record(tx, scene.account_id, audit.SYSTEM, f"day.{days}", {}, now=A_MONDAY - timedelta(days=days))


def test_what_is_too_old_goes_through_the_door_and_the_log_says_so(tx: Transaction, scene: Scene) -> None:
    records(tx, scene, 40, 31, 29, 0)
    before = A_MONDAY - timedelta(days=30)
    assert audit.older(tx, scene.account_id, before) == 2
    assert audit.forget(tx, scene.account_id, before=before, limit=100, now=A_MONDAY) == 2
    assert told(tx, scene) == ["audit.forget", "day.0", "day.29"]
    assert audit.newest(tx, scene.account_id, limit=1)[0].targets == {"before": "2026-01-31T09:00:00Z"}
    assert audit.forget(tx, scene.account_id, before=before, limit=100, now=A_MONDAY) == 0


def test_the_door_is_shut_behind_them(tx: Transaction, scene: Scene) -> None:
    records(tx, scene, 40, 31, 0)
    audit.forget(tx, scene.account_id, before=A_MONDAY - timedelta(days=35), limit=1, now=A_MONDAY)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        tx.execute("DELETE FROM audit WHERE act = 'day.31'")


@pytest.mark.parametrize("age", [0, 31])
def test_the_door_leads_only_to_what_is_old_and_of_that_account(tx: Transaction, scene: Scene, age: int) -> None:
    elsewhere = build(tx, "Another school")
    records(tx, scene, 0)
    records(tx, elsewhere, 31)
    tx.execute(
        audit.OPEN_DOOR, {"account_id": scene.account_id, "before": A_MONDAY - timedelta(days=1), "now": A_MONDAY}
    )
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        tx.execute("DELETE FROM audit WHERE act = :act", {"act": f"day.{age}"})
    with pytest.raises(sqlite3.IntegrityError, match="never moved"):
        tx.execute("UPDATE audit_door SET before = :before", {"before": A_MONDAY})
