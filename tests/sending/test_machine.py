import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import BadRequest, CredentialRefused, Unavailable, Unreachable
from gateway.sending import machine
from gateway.sending.errors import judge
from gateway.sending.machine import FINISHED, TRANSITIONS, ImpossibleTransition, State, shown
from storage import Conflict
from storage.outbox import Letter

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
TROUBLE = judge(Unavailable(status=503), 1)
REFUSAL = judge(BadRequest(status=400, code="ErrorInvalidRecipients"), 1)
QUESTION = judge(BadRequest(status=400, code="SomethingNew"), 1)
UNSENT = judge(Unreachable(sent=False), 1)
NO_TOKEN = judge(CredentialRefused("expired"), 1)


def letter(state: State, **changes: Any) -> Letter:
    values: dict[str, Any] = {
        "message_id": "msg_1",
        "account_id": "acc_1",
        "mailbox_id": "mbx_1",
        "send_uid": "6f1c",
        "importance": "normal",
        "metadata": {},
        "state": state.value,
        "state_since": NOW,
        "attempts": 1,
        "submits": 0 if state in machine.UNSENT else 1,
        "next_attempt_at": None if state in FINISHED else NOW,
        "lease_owner": None,
        "submitted_at": None,
        "still_draft_at": None,
        "sent_at": NOW if state in (State.SENT, State.BOUNCED) else None,
        "problem": {"code": "x"} if state in (State.FAILED, State.NEEDS_REVIEW) else None,
        "created_at": NOW,
        "graph_id": "item",
    }
    return Letter(**(values | changes))


Decision = Callable[[Letter, datetime], Letter]
DECISIONS: dict[str, Decision] = {
    "begin": machine.begin,
    "drafted": machine.drafted,
    "draft vanished": machine.draft_vanished,
    "draft: trouble": lambda one, now: machine.draft_failed(one, TROUBLE, now),
    "draft: refused": lambda one, now: machine.draft_failed(one, REFUSAL, now),
    "draft: asks": lambda one, now: machine.draft_failed(one, QUESTION, now),
    "mailbox removed": machine.mailbox_removed,
    "intend": lambda one, now: machine.intend(one, now, now + MINUTE),
    "submitted": machine.submitted,
    "not sent": lambda one, now: machine.not_sent(one, UNSENT, now),
    "ambiguous": lambda one, now: machine.ambiguous(one, TROUBLE, now),
    "sent": lambda one, now: machine.sent(one, now, now),
    "still a draft": machine.still_draft,
    "not found": machine.not_found,
    "look failed": lambda one, now: machine.look_failed(one, TROUBLE, now),
    "lease lost": machine.lease_lost,
    "bounced": lambda one, now: machine.bounced(one, {"code": "bounced"}, now),
    "bounced further": lambda one, now: machine.bounced_further(one, {"code": "bounced"}),
    "delayed": lambda one, now: machine.delayed(one, {"code": "delayed"}),
    "held": lambda one, now: machine.held_back(one, now + HOUR, machine.LOOP),
    "held, then let go": lambda one, now: machine.retry(machine.held_back(one, now + HOUR, machine.LOOP), now),
    "cancel": machine.cancel,
    "retry": machine.retry,
    "resend": lambda one, now: machine.resend(one, "another", now),
    "close": machine.close,
}


WAITS = (timedelta(0), 16 * MINUTE, 31 * MINUTE, 25 * HOUR, 8 * 24 * HOUR)
DRAFT_FOR = (None, timedelta(0), 2 * MINUTE, 25 * HOUR)


@pytest.mark.parametrize("decision", sorted(DECISIONS))
def test_every_decision_follows_the_table_and_leaves_a_row_that_the_schema_takes(decision: str) -> None:
    situations = itertools.product(State, WAITS, (0, 1, 3), (True, False), DRAFT_FOR, (True, False))
    for state, waited, submits, accepted, draft_for, final in situations:
        now = NOW + waited
        before = letter(
            state,
            submits=max(submits, 0 if state in machine.UNSENT or state in FINISHED else 1),
            submitted_at=NOW if accepted else None,
            still_draft_at=None if draft_for is None else now - draft_for,
            problem={"code": "x", "final": final},
        )
        try:
            after = DECISIONS[decision](before, now)
        except (ImpossibleTransition, Conflict):
            continue
        assert after.state == before.state or State(after.state) in TRANSITIONS[State(before.state)]
        assert (after.next_attempt_at is None) == (State(after.state) in FINISHED)
        assert (after.sent_at is not None) == (after.state in ("sent", "bounced"))
        assert after.problem is not None or after.state not in ("failed", "needs_review")
        assert after.submits > 0 or after.state not in ("submitting", "submitted", "unknown")
        assert after.submits >= 0


@given(state=st.sampled_from(State), target=st.sampled_from(State))
def test_a_transition_that_is_not_in_the_table_raises(state: State, target: State) -> None:
    if target in TRANSITIONS[state]:
        assert machine._to(letter(state), target, NOW).state == target
    else:
        with pytest.raises(ImpossibleTransition):
            machine._to(letter(state), target, NOW)


def test_every_state_can_be_reached_and_every_unfinished_one_can_end() -> None:
    reached = {State.ACCEPTED}
    while (more := reached | {after for state in reached for after in TRANSITIONS[state]}) != reached:
        reached = more
    assert reached == set(State)
    ends = set(FINISHED)
    while (more := ends | {state for state in State if TRANSITIONS[state] & ends}) != ends:
        ends = more
    assert ends == set(State)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("accepted", "queued"),
        ("drafting", "queued"),
        ("drafted", "queued"),
        ("submitting", "sending"),
        ("unknown", "sending"),
        ("submitted", "submitted"),
        ("sent", "sent"),
        ("bounced", "bounced"),
        ("failed", "failed"),
        ("needs_review", "needs_review"),
        ("cancelled", "cancelled"),
    ],
)
def test_the_api_shows_a_status_for_every_state(state: str, status: str) -> None:
    assert shown(state) == status


def test_an_uncertain_letter_is_looked_for_at_growing_intervals() -> None:
    one, looks = machine.ambiguous(letter(State.SUBMITTING), None, NOW), []
    while one.state == "unknown" and one.next_attempt_at is not None:
        at = one.next_attempt_at
        looks.append((at - NOW).total_seconds())
        one = machine.not_found(one, at)
    assert looks == [5, 15, 30, 60, 120, 300, 600, 900, 1200, 1500, 1800]
    assert one.state == "needs_review"


def test_an_accepted_letter_is_looked_for_from_a_minute_on_and_uncertain_after_fifteen() -> None:
    one, looks = machine.submitted(letter(State.SUBMITTING), NOW), []
    while one.state == "submitted" and one.next_attempt_at is not None:
        at = one.next_attempt_at
        looks.append((at - NOW).total_seconds())
        one = machine.not_found(one, at)
    assert looks == [60, 120, 300, 600, 900]
    assert one.state == "unknown"


@pytest.mark.parametrize(
    ("waited", "first_seen", "state"),
    [
        (14 * MINUTE, 5 * SECOND, "unknown"),
        (15 * MINUTE, None, "unknown"),
        (15 * MINUTE, 14 * MINUTE + SECOND, "unknown"),
        (15 * MINUTE, 14 * MINUTE, "drafted"),
    ],
    ids=["too early", "only one read", "reads too close", "settled"],
)
def test_still_a_draft_is_believed_of_two_reads_a_minute_apart_after_fifteen(
    waited: timedelta, first_seen: timedelta | None, state: str
) -> None:
    one = letter(State.UNKNOWN, still_draft_at=None if first_seen is None else NOW + first_seen)
    assert machine.still_draft(one, NOW + waited).state == state


def test_a_read_that_finds_nothing_in_between_starts_the_settling_anew() -> None:
    one = letter(State.UNKNOWN, still_draft_at=NOW)
    assert machine.not_found(one, NOW + MINUTE).still_draft_at is None


def test_a_submission_of_which_nothing_left_does_not_count() -> None:
    one = machine.intend(letter(State.DRAFTED), NOW, NOW + MINUTE)
    assert (one.submits, machine.not_sent(one, UNSENT, NOW).submits) == (1, 0)


def test_a_draft_that_was_submitted_and_vanished_is_never_made_again() -> None:
    assert machine.draft_vanished(letter(State.DRAFTED), NOW).state == "drafting"
    assert machine.draft_vanished(letter(State.DRAFTED, submits=1), NOW).state == "needs_review"
    assert machine.draft_vanished(letter(State.DRAFTING, submits=1), NOW).state == "needs_review"


def test_passing_trouble_ends_a_letter_after_a_day_and_a_credential_after_a_week() -> None:
    one = letter(State.DRAFTING)
    assert machine.draft_failed(one, TROUBLE, NOW + 23 * HOUR).state == "drafting"
    assert machine.draft_failed(one, TROUBLE, NOW + 24 * HOUR).state == "failed"
    assert machine.draft_failed(one, NO_TOKEN, NOW + 6 * 24 * HOUR).state == "drafting"
    assert machine.draft_failed(one, NO_TOKEN, NOW + 7 * 24 * HOUR).state == "failed"


@pytest.mark.parametrize("state", [state for state in State if state not in machine.UNSENT])
def test_what_may_have_left_can_not_be_cancelled(state: State) -> None:
    with pytest.raises(Conflict, match=shown(state)):
        machine.cancel(letter(state), NOW)


def test_a_lost_lease_makes_only_a_submission_uncertain() -> None:
    for state in (State.DRAFTING, State.DRAFTED, State.SUBMITTED, State.UNKNOWN):
        assert machine.lease_lost(letter(state), NOW) == letter(state)
    assert machine.lease_lost(letter(State.SUBMITTING), NOW).state == "unknown"
