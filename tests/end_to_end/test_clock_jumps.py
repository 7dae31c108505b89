"""No reply is lost to a clock that jumps: a small run of `python -m tests.fire jumps`."""

from datetime import timedelta
from pathlib import Path

from tests.fire.jumps import Jump, Plan, jump_about


def test_replies_are_stored_after_the_clock_went_on_by_eight_days_and_back_by_two_hours(tmp_path: Path) -> None:
    course = (Jump(by=timedelta(days=8), is_told=False), Jump(by=timedelta(hours=-2), is_told=False))
    outcome = jump_about(Plan(jumps=len(course), seed=1, folder=tmp_path, given=course, at_rest=False))
    assert list(outcome.violations) == []
    assert outcome.stored == outcome.replies == 1 + len(course)
