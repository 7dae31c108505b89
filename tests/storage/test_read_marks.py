"""What each member of staff has not seen, by the order in which things were stored."""

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import storage
from storage import Transaction, events, messages, placements, read_marks, threads
from storage.messages import Direction, Placement
from storage.read_marks import ARRIVED, UNSEEN, mark_read, mark_unread, reader_of, unseen
from tests.fakes.clock import A_MONDAY
from tests.storage.scene import Scene, a_message

JANE, TOM = "Jane Doe", "Tom Ariki"


def arrive(tx: Transaction, scene: Scene, message_id: str, event: str = "reply.received", **changes: Any) -> int:
    """A message comes in and the log tells of it; how far the log is then."""
    messages.insert(tx, a_message(scene, message_id, direction=Direction.IN, **changes))
    return tell(tx, scene, message_id, event)


def tell(tx: Transaction, scene: Scene, message_id: str, event: str) -> int:
    events.record(tx, scene.account_id, event, thread_id=scene.thread_id, message_id=message_id, now=A_MONDAY)
    return events.last_seq(tx, scene.account_id)


def read(tx: Transaction, scene: Scene, reader: str, up_to: int | None = None) -> None:
    mark_read(tx, scene.account_id, scene.thread_id, reader, up_to=up_to, now=A_MONDAY)


def test_what_came_in_is_new_to_everybody_until_they_read_it(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    read(tx, scene, JANE)
    assert unseen(tx, scene.thread_id, JANE) == frozenset()
    assert unseen(tx, scene.thread_id, TOM) == {"msg_2"}


def test_a_reader_is_the_same_however_their_name_is_written(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    read(tx, scene, "Māia  Parata")
    assert unseen(tx, scene.thread_id, "ma\u0304ia parata") == frozenset()


def test_what_a_page_did_not_show_is_not_read_with_it(tx: Transaction, scene: Scene) -> None:
    shown = arrive(tx, scene, "msg_2")
    arrive(tx, scene, "msg_3")
    read(tx, scene, JANE, up_to=shown)
    assert unseen(tx, scene.thread_id, JANE) == {"msg_3"}


def test_an_older_page_takes_nothing_back(tx: Transaction, scene: Scene) -> None:
    shown = arrive(tx, scene, "msg_2")
    arrive(tx, scene, "msg_3")
    read(tx, scene, JANE)
    read(tx, scene, JANE, up_to=shown)
    assert unseen(tx, scene.thread_id, JANE) == frozenset()


def test_mail_that_is_stored_late_is_new_however_old_it_is(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    read(tx, scene, JANE)
    arrive(tx, scene, "msg_0", message_at=A_MONDAY - timedelta(days=30), created_at=A_MONDAY - timedelta(days=30))
    assert unseen(tx, scene.thread_id, JANE) == {"msg_0"}


def test_mail_that_waits_for_a_person_is_new_from_when_it_is_accepted(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2", "review.opened", placement=Placement.HELD)
    assert unseen(tx, scene.thread_id, JANE) == frozenset()
    read(tx, scene, JANE)
    placements.place(tx, "msg_2", Placement.PLACED)
    tell(tx, scene, "msg_2", "reply.received")
    assert unseen(tx, scene.thread_id, JANE) == {"msg_2"}


def test_what_was_sent_away_or_moved_is_not_new_here(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    arrive(tx, scene, "msg_3")
    placements.place(tx, "msg_2", Placement.DISMISSED)
    elsewhere = threads.create(tx, scene.account_id, scene.mailbox_id, subject="x", now=A_MONDAY)
    tx.execute("UPDATE messages SET thread_id = ? WHERE id = 'msg_3'", [elsewhere])
    assert unseen(tx, scene.thread_id, JANE) == frozenset()


def test_our_own_letters_and_what_happens_to_them_are_never_new(tx: Transaction, scene: Scene) -> None:
    messages.insert(tx, a_message(scene, "msg_2", direction=Direction.OUT))
    for event in ("message.sent", "message.bounced", "thread.updated"):
        tell(tx, scene, "msg_2", event)
    assert unseen(tx, scene.thread_id, JANE) == frozenset()


def test_a_thread_put_aside_has_its_last_arrival_new_again(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    arrive(tx, scene, "msg_3")
    read(tx, scene, JANE)
    mark_unread(tx, scene.account_id, scene.thread_id, JANE, now=A_MONDAY)
    assert unseen(tx, scene.thread_id, JANE) == {"msg_3"}
    assert read_marks.is_kept_unread(tx, scene.thread_id, JANE)
    read(tx, scene, JANE)
    assert not read_marks.is_kept_unread(tx, scene.thread_id, JANE)


def test_putting_aside_makes_nothing_seen(tx: Transaction, scene: Scene) -> None:
    arrive(tx, scene, "msg_2")
    arrive(tx, scene, "msg_3")
    mark_unread(tx, scene.account_id, scene.thread_id, JANE, now=A_MONDAY)
    assert unseen(tx, scene.thread_id, JANE) == {"msg_2", "msg_3"}


def test_a_thread_in_which_nothing_came_in_cannot_be_unread(tx: Transaction, scene: Scene) -> None:
    with pytest.raises(storage.Conflict):
        mark_unread(tx, scene.account_id, scene.thread_id, JANE, now=A_MONDAY)


def test_what_is_new_is_found_by_an_index_and_not_by_reading_the_log(tx: Transaction, scene: Scene) -> None:
    plan = tx.execute("EXPLAIN QUERY PLAN " + UNSEEN, {"thread_id": scene.thread_id, "seq": 0}).fetchall()
    assert "events_arrivals (thread_id=? AND seq>?)" in " ".join(row["detail"] for row in plan)
    [(sql,)] = tx.execute("SELECT sql FROM sqlite_master WHERE name = 'events_arrivals'").fetchall()
    assert ARRIVED.replace("events.", "") in " ".join(sql.split())


@given(name=st.text(max_size=30))
def test_a_name_stays_the_same_reader(name: str) -> None:
    assert reader_of(reader_of(name)) == reader_of(name)
