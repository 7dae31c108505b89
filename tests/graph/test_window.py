from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph.window import Window

LENGTH = timedelta(seconds=60)
BUCKET = timedelta(seconds=10)
NOW = 1_000_000_000


def window(limit: int = 10) -> Window:
    return Window(limit, LENGTH, BUCKET)


def test_what_was_spent_counts_until_its_bucket_has_wholly_left_the_window():
    spent = window()
    spent.spend(NOW + 3, 4)
    assert spent.left(NOW + 3) == 6
    assert spent.left(NOW + 69) == 6
    assert spent.left(NOW + 70) == 10


def test_more_fits_when_enough_of_the_oldest_has_left():
    spent = window()
    spent.spend(NOW, 4)
    spent.spend(NOW + 20, 6)
    assert spent.free_at(NOW + 20, 0) == NOW + 20
    assert spent.free_at(NOW + 20, 4) == NOW + 70
    assert spent.free_at(NOW + 20, 5) == NOW + 90
    assert spent.free_at(NOW + 70, 4) == NOW + 70


def test_what_never_fits_is_a_mistake():
    with pytest.raises(ValueError, match="11 at once is more than the limit of 10"):
        window().free_at(NOW, 11)


def test_what_was_spent_before_a_restart_counts_as_long_as_it_would_have():
    spent = window()
    spent.spend(NOW, 4)
    spent.spend(NOW + 20, 3)
    again = window()
    for begins, amount in spent.spent(NOW + 30):
        again.take_back(begins, amount)
    for later in (30, 69, 70, 89, 90):
        assert again.left(NOW + later) == spent.left(NOW + later)


def test_what_is_taken_back_too_late_counts_no_more():
    spent = window()
    spent.take_back(NOW - 3600, 10)
    assert spent.free_at(NOW, 10) == NOW


def test_after_the_clock_was_set_back_nobody_waits_longer_than_two_windows():
    spent = window()
    spent.spend(NOW + 50, 10)
    assert spent.free_at(NOW, 1) == NOW + 120
    spent.spend(NOW + 86_400, 10)
    assert spent.free_at(NOW, 1) == NOW


steps = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), max_size=60)


@given(steps)
def test_no_span_of_a_windows_length_ever_holds_more_than_the_limit(steps):
    spent, log, now = window(), [], NOW
    for later, amount in steps:
        now += later
        if spent.free_at(now, amount) == now:
            spent.spend(now, amount)
            log.append((now, amount))
    for end, _ in log:
        assert sum(amount for at, amount in log if end - 60 < at <= end) <= 10


@given(steps, st.integers(1, 10))
def test_what_is_told_to_wait_fits_then_and_not_a_second_earlier(steps, amount):
    spent, now = window(), NOW
    for later, more in steps:
        now += later
        if spent.free_at(now, more) == now:
            spent.spend(now, more)
    free_at = spent.free_at(now, amount)
    if free_at > now:
        assert spent.free_at(free_at - 1, amount) == free_at
    assert spent.free_at(free_at, amount) == free_at
    assert spent.left(free_at) >= amount


@given(st.lists(st.integers(0, 10_000_000), max_size=100))
def test_memory_is_bounded_whatever_the_clock_does(seconds):
    spent = window(10**9)
    for second in seconds:
        spent.spend(second, 1)
        assert len(list(spent.spent(second))) <= 2 * 7
