"""The line at Graph's door: who comes too late for it is told so at once."""

import pytest

from gateway.http.line import AT_ONCE, FEW, LONG_S, SIZE, Line


def line(waiting: int, *, coming: int = 0) -> Line:
    """So many who have waited since 0.0, and so many whose body is still to come."""
    made = Line()
    for number in range(waiting):
        made.joins(number, 0.0, 1)
    for _ in range(coming):
        made.comes()
    return made


@pytest.mark.parametrize(
    ("waiting", "coming", "now", "is_too_long"),
    [
        (AT_ONCE - 1, 0, 0.0, False),
        (AT_ONCE, 0, 0.0, True),
        (1, AT_ONCE - 1, 0.0, True),
        (FEW, 0, LONG_S - 0.001, False),
        (FEW, 0, LONG_S, True),
        (FEW - 1, 0, 60.0, False),  # the disk pauses, and few are waiting for it
        (FEW - 1, 500, 60.0, False),  # who is slow to send makes nobody late but themselves
    ],
)
def test_a_line_is_too_long_by_its_number_or_by_how_long_its_first_has_waited(
    waiting: int, coming: int, now: float, is_too_long: bool
) -> None:
    assert line(waiting, coming=coming).is_too_long(now) is is_too_long


def test_who_is_answered_makes_nobody_wait_and_the_next_is_the_first() -> None:
    made = line(FEW - 1)
    made.joins("later", LONG_S, 1)
    made.joins("last", LONG_S, 1)
    assert made.is_too_long(LONG_S)
    made.leaves(0)
    assert made.is_too_long(LONG_S)
    for number in range(1, FEW - 1):
        made.leaves(number)
        made.joins(-number, LONG_S, 1)
    assert not made.is_too_long(LONG_S * 2 - 0.001)
    assert made.is_too_long(LONG_S * 2)


def test_many_large_ones_that_came_at_the_same_moment_are_a_long_line_at_once() -> None:
    made = Line()
    made.joins("one", 0.0, SIZE - 1)
    assert not made.is_too_long(0.0)
    made.joins("another", 0.0, 1)
    assert made.is_too_long(0.0)
    made.leaves("one")
    assert not made.is_too_long(0.0)


def test_a_body_that_has_come_is_not_counted_twice() -> None:
    made = line(AT_ONCE - 1, coming=1)
    made.came()
    assert not made.is_too_long(0.0)
