from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.subscriptions import Subscription, SubscriptionState
from subscriptions.plan import (
    LONGEST_BACKOFF,
    LONGEST_LIFE,
    LONGEST_WAIT,
    SHORTEST_LIFE,
    Create,
    Delete,
    Forget,
    Reauthorize,
    Recreate,
    Renew,
    Rest,
    Retire,
    after_failure,
    after_losses,
    backoff,
    half_of_life,
    life_to_ask_for,
    may_reauthorize,
    plan,
)
from tests.fakes.clock import A_MONDAY

URL = "https://mail.school.example/graph/notifications"
NOW = A_MONDAY
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

LIVE = Subscription(
    id="sub_1",
    account_id="acc_1",
    mailbox_id="mbx_1",
    folder_id="fld_1",
    state=SubscriptionState.LIVE,
    subscription_id="7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
    client_state_digest=bytes(32),
    notification_url=URL,
    expiration_date_time=NOW + LONGEST_LIFE,
    renewed_at=None,
    next_step_at=NOW + LONGEST_LIFE / 2,
    reauthorize=False,
    failures=0,
    problem=None,
    created_at=NOW,
)
CREATING = replace(
    LIVE, state=SubscriptionState.CREATING, subscription_id=None, expiration_date_time=None, next_step_at=NOW
)
SUPERSEDED = replace(LIVE, state=SubscriptionState.SUPERSEDED, next_step_at=NOW)
REMOVING = replace(LIVE, state=SubscriptionState.REMOVING, next_step_at=NOW)


def test_one_that_was_just_granted_rests_until_half_of_its_life() -> None:
    assert half_of_life(NOW + LONGEST_LIFE, NOW) == NOW + LONGEST_LIFE / 2
    assert plan(LIVE, NOW, notification_url=URL) == Rest(until=NOW + LONGEST_LIFE / 2)


def test_one_that_was_granted_less_than_asked_for_is_renewed_at_half_of_that() -> None:
    assert half_of_life(NOW + 60 * MINUTE, NOW) == NOW + 30 * MINUTE


def test_one_granted_no_life_at_all_is_not_renewed_in_a_hot_loop() -> None:
    assert half_of_life(NOW - DAY, NOW) > NOW


def test_at_half_of_its_life_it_is_renewed_for_as_long_as_is_safe_to_ask() -> None:
    later = NOW + LONGEST_LIFE / 2
    assert plan(LIVE, later, notification_url=URL) == Renew(until=later + timedelta(minutes=10_000))


def test_one_that_seems_to_have_ended_is_asked_for_first_since_the_clock_may_be_wrong() -> None:
    assert isinstance(plan(LIVE, NOW + 30 * DAY, notification_url=URL), Renew)


@pytest.mark.parametrize("back", [DAY, 3 * DAY, 400 * DAY])
def test_when_the_clock_was_set_back_it_is_renewed_now(back: timedelta) -> None:
    assert isinstance(plan(LIVE, NOW - back, notification_url=URL), Renew)


def test_when_the_clock_was_set_back_after_a_renewal_it_is_renewed_now() -> None:
    renewed = replace(LIVE, renewed_at=NOW, created_at=NOW - 100 * DAY, next_step_at=NOW + 30 * MINUTE)
    assert isinstance(plan(renewed, NOW - DAY, notification_url=URL), Renew)


def test_when_the_clock_was_set_back_after_a_creation_that_took_weeks_it_is_renewed_now() -> None:
    granted_late = replace(LIVE, created_at=NOW - 20 * DAY)
    assert isinstance(plan(granted_late, NOW - DAY, notification_url=URL), Renew)


def test_a_failing_renewal_is_not_tried_in_a_hot_loop_when_the_clock_was_set_back() -> None:
    failing = replace(LIVE, failures=1, problem="no", next_step_at=NOW - DAY + MINUTE)
    assert isinstance(plan(failing, NOW - DAY, notification_url=URL), Rest)


@pytest.mark.parametrize("row", [CREATING, REMOVING, replace(LIVE, failures=2, problem="no")])
def test_a_retry_that_a_clock_running_ahead_put_off_for_days_is_made_now(row: Subscription) -> None:
    assert not isinstance(plan(replace(row, next_step_at=NOW + 3 * DAY), NOW, notification_url=URL), Rest)


@pytest.mark.parametrize(
    ("row", "step"),
    [
        (CREATING, Create(until=NOW + LONGEST_LIFE)),
        (replace(LIVE, next_step_at=NOW), Renew(until=NOW + LONGEST_LIFE)),
        (replace(LIVE, notification_url="https://old.example/graph/notifications"), Recreate()),
        (SUPERSEDED, Delete()),
        (replace(SUPERSEDED, reauthorize=True), Reauthorize()),
        (replace(SUPERSEDED, next_step_at=NOW + DAY), Rest(until=NOW + DAY)),
        (replace(SUPERSEDED, expiration_date_time=NOW), Forget()),
        (REMOVING, Delete()),
        (replace(REMOVING, expiration_date_time=NOW - DAY), Forget()),
    ],
)
def test_what_each_state_needs_where_it_is_wanted(row: Subscription, step: object) -> None:
    assert plan(row, NOW, notification_url=URL) == step


@pytest.mark.parametrize(
    ("row", "step"), [(CREATING, Forget()), (LIVE, Retire()), (SUPERSEDED, Retire()), (REMOVING, Delete())]
)
def test_what_each_state_needs_where_nobody_wants_it(row: Subscription, step: object) -> None:
    assert plan(row, NOW, notification_url=None) == step


def test_deleting_that_failed_waits_its_time() -> None:
    failing = replace(REMOVING, failures=1, problem="no", next_step_at=NOW + MINUTE)
    assert plan(failing, NOW, notification_url=None) == Rest(until=NOW + MINUTE)


def test_less_life_is_asked_for_after_repeated_failures() -> None:
    assert [life_to_ask_for(failures) / LONGEST_LIFE for failures in (0, 1, 2, 3)] == [1, 1, 0.5, 0.25]


@pytest.mark.parametrize(
    ("renewed_at", "may"), [(None, True), (NOW - 9 * MINUTE, False), (NOW - 10 * MINUTE, True), (NOW + MINUTE, True)]
)
def test_reauthorization_is_not_repeated_within_ten_minutes(renewed_at: datetime | None, may: bool) -> None:
    assert may_reauthorize(replace(LIVE, renewed_at=renewed_at), NOW) is may


def test_failures_back_off_from_ten_seconds_doubling_to_ten_minutes() -> None:
    waits = [backoff(failures, 1.0).total_seconds() for failures in range(1, 9)]
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]


@given(st.integers(-5, 10**9), st.floats(0, 1))
def test_backoff_is_bounded_whatever_came_before(failures: int, roll: float) -> None:
    assert timedelta(seconds=5) <= backoff(failures, roll) <= LONGEST_BACKOFF
    assert SHORTEST_LIFE <= life_to_ask_for(failures) <= LONGEST_LIFE


def test_close_to_the_end_the_next_try_comes_before_it() -> None:
    ending = replace(LIVE, failures=7, problem="no", expiration_date_time=NOW + 4 * MINUTE)
    assert after_failure(ending, NOW, retry_after=None, roll=1.0) == NOW + 2 * MINUTE


def test_graph_is_not_asked_again_before_it_wants_to_be() -> None:
    ending = replace(LIVE, failures=1, problem="no", expiration_date_time=NOW + 4 * MINUTE)
    assert after_failure(ending, NOW, retry_after=5 * MINUTE, roll=0.0) == NOW + 5 * MINUTE


def test_a_retry_after_of_a_year_is_not_believed() -> None:
    failing = replace(LIVE, failures=1, problem="no")
    assert after_failure(failing, NOW, retry_after=365 * DAY, roll=0.0) == NOW + LONGEST_WAIT


def test_the_first_losses_are_made_good_at_once_and_then_ever_more_slowly() -> None:
    assert [after_losses(count).total_seconds() for count in (0, 1, 2, 3, 4)] == [0, 0, 0, 10, 20]
