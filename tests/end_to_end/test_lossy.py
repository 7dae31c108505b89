"""No reply is lost, whatever becomes of notifications: a small run of `python -m tests.fire lossy`."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fire.lossy import Braved, Plan, brave

TROUBLE = {"subscription vanished", "subscription revoked", "missed said", "delta tokens expired", "gateway died"}


def kept(outcome: Braved) -> bool:
    """Whether the promise was; what was broken is shown."""
    assert list(outcome.violations) == []
    assert outcome.caught_up_after is not None
    return outcome.stored == outcome.expected == outcome.plan.replies


def test_200_replies_are_stored_once_while_a_fifth_of_the_notifications_is_lost_and_much_else_goes_wrong(
    tmp_path: Path,
) -> None:
    outcome = brave(Plan(replies=200, seed=9, folder=tmp_path, most_at_once=4))
    assert kept(outcome)
    assert outcome.unrelated > 20
    assert outcome.lost_notifications > 20
    assert {trouble for trouble, times in outcome.befell.items() if times} == TROUBLE, (
        "this run proved less than it says"
    )


@pytest.mark.parametrize(
    "outage", [{"graph_down": timedelta(hours=6)}, {"gateway_down": timedelta(days=3)}], ids=["Graph", "the gateway"]
)
def test_replies_that_come_in_a_long_outage_are_stored_once_when_it_is_over(
    tmp_path: Path, outage: dict[str, timedelta]
) -> None:
    assert kept(brave(Plan(replies=100, seed=5, folder=tmp_path, **outage)))
