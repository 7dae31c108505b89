"""Lists in pages: complete, without repeats, newest first, whatever the times."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from storage import events, feeds, messages, threads
from storage.ids import new_id
from storage.threads import Cursor
from storage.transaction import Transaction
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import a_database
from tests.storage.scene import STUDENT, Scene, a_message, build, post

T = TypeVar("T")

# Minutes after a Monday; many at the same time, as when letters go out in bulk.
moments = st.lists(st.integers(0, 4), max_size=12)
page_sizes = st.integers(1, 5)


@contextmanager
def a_school() -> Iterator[tuple[Transaction, Scene]]:
    with a_database() as tx:
        yield tx, build(tx)


def in_pages(page: Callable[[T | None], Sequence[T]]) -> list[T]:
    """Everything, by asking for what follows the last one until nothing does."""
    found: list[T] = []
    last: T | None = None
    while more := page(last):
        assert last != more[-1], "a page that leads to itself"
        found += more
        last = more[-1]
    return found


@given(minutes=moments, limit=page_sizes)
def test_threads_of_an_object_and_of_the_account(minutes: list[int], limit: int) -> None:
    with a_school() as (tx, scene):
        made = [(0, scene.thread_id)]
        for minute in minutes:
            at = A_MONDAY + timedelta(minutes=minute)
            thread_id = threads.create(tx, scene.account_id, scene.mailbox_id, subject="", now=at)
            threads.link(tx, scene.account_id, thread_id, [STUDENT])
            made.append((minute, thread_id))

        def cursor(last: threads.Thread | None) -> Cursor | None:
            return None if last is None else Cursor(at=last.last_message_at, id=last.id)

        newest_first = [thread_id for _, thread_id in sorted(made, reverse=True)]
        of_object = in_pages(
            lambda last: threads.of_object(tx, scene.account_id, STUDENT, before=cursor(last), limit=limit)
        )
        newest = in_pages(lambda last: threads.newest(tx, scene.account_id, before=cursor(last), limit=limit))
        assert [thread.id for thread in of_object] == newest_first
        assert [thread.id for thread in newest] == newest_first


@given(minutes=moments, limit=page_sizes)
def test_the_flat_feed_of_an_object(minutes: list[int], limit: int) -> None:
    with a_school() as (tx, scene):
        made = []
        for number, minute in enumerate(minutes):
            message = a_message(scene, f"msg_{number:02}", message_at=A_MONDAY + timedelta(minutes=minute))
            messages.insert(tx, message)
            made.append((minute, message.id))

        def page(last: messages.Message | None) -> list[messages.Message]:
            before = None if last is None else Cursor(at=last.message_at, id=last.id)
            return feeds.of_object(
                tx,
                scene.account_id,
                object_type=STUDENT.type,
                object_id=STUDENT.id,
                before=before,
                limit=limit,
            )

        assert [message.id for message in in_pages(page)] == [one for _, one in sorted(made, reverse=True)]


@given(minutes=moments, limit=page_sizes)
def test_letters_of_the_outbox(minutes: list[int], limit: int) -> None:
    with a_school() as (tx, scene):
        ids = [new_id("msg", A_MONDAY + timedelta(minutes=minute)) for minute in minutes]
        for one in ids:
            post(tx, scene, one)

        def page(last: messages.Message | None) -> list[messages.Message]:
            before_id = None if last is None else last.id
            return feeds.letters(tx, scene.account_id, before_id=before_id, limit=limit)

        assert [message.id for message in in_pages(page)] == sorted(ids, reverse=True)


@given(whose=st.lists(st.booleans(), max_size=12), limit=page_sizes)
def test_events_are_read_in_order_and_only_ones_own(whose: list[bool], limit: int) -> None:
    with a_school() as (tx, scene):
        other = build(tx, "another school")
        for number, ours in enumerate(whose):
            account_id = scene.account_id if ours else other.account_id
            events.record(tx, account_id, "message.sent", data={"number": number}, now=A_MONDAY)

        def page(last: events.Event | None) -> list[events.Event]:
            return events.after(tx, scene.account_id, 0 if last is None else last.seq, limit=limit)

        found = in_pages(page)
        assert [event.data["number"] for event in found] == [n for n, ours in enumerate(whose) if ours]
        assert events.last_seq(tx, scene.account_id) == (found[-1].seq if found else 0)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True))
def test_ids_sort_by_birth(milliseconds: list[int]) -> None:
    born = sorted(milliseconds)
    ids = [new_id("msg", A_MONDAY + timedelta(milliseconds=one)) for one in born]
    assert ids == sorted(ids)


def test_ids_of_the_same_moment_differ() -> None:
    assert len({new_id("msg", A_MONDAY) for _ in range(10_000)}) == 10_000
