"""Ids that are sortable by birth."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from storage.ids import new_id, new_uuid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 2**43).map(lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))


@given(MOMENTS)
def test_a_uuid_is_of_version_7_and_says_when_it_was_made(at):
    made = uuid.UUID(new_uuid(at))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == (at - EPOCH) / timedelta(milliseconds=1)


@given(MOMENTS, st.integers(1, 10**9))
@example(EPOCH + timedelta(milliseconds=34_001_010_093), 1)  # the later one is not a float
def test_what_is_made_later_is_sorted_later(at, milliseconds):
    later = at + timedelta(milliseconds=milliseconds)
    assert new_uuid(at) < new_uuid(later)
    assert new_id("thr", at) < new_id("thr", later)


def test_no_two_are_alike_and_all_of_the_rest_is_chance():
    now = datetime(2026, 3, 2, tzinfo=UTC)
    made = [uuid.UUID(new_uuid(now)).int for _ in range(2_000)]
    assert len(set(made)) == len(made)
    seen = [sum(one >> bit & 1 for one in made) for bit in range(128)]
    assert [bit for bit in range(80) if not 800 < seen[bit] < 1_200] == [62, 63, 76, 77, 78, 79]
