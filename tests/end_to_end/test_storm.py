"""Notifications pour in: small runs of `python -m tests.fire storm`."""

from pathlib import Path

import pytest

from tests.fire.storm import Plan, Weathered, weather

# p99 belongs to a machine that does nothing else; here it is printed and not judged.
NOT_JUDGED = "p99 is"


def broken(weathered: Weathered) -> list[str]:
    return [one for one in weathered.violations if not one.startswith(NOT_JUDGED)]


@pytest.mark.timeout(240)  # 10 seconds where nothing is wrong
def test_3000_notifications_at_once_are_all_kept_answered_in_time_and_looked_into(tmp_path: Path) -> None:
    weathered = weather(Plan(notifications=3000, seed=5, folder=tmp_path))
    assert broken(weathered) == []
    assert weathered.acknowledged == 3000


@pytest.mark.timeout(240)  # 20 seconds where nothing is wrong
def test_with_a_disk_that_takes_2_seconds_for_a_commit_graph_hears_202_or_503_in_time_and_no_202_is_lost(
    tmp_path: Path,
) -> None:
    weathered = weather(Plan(notifications=500, seed=5, folder=tmp_path, commit_s=2.0))
    assert broken(weathered) == []
    assert weathered.acknowledged == 500
    assert weathered.answers["503"], "the disk was quick enough for everything: this run proved little"
