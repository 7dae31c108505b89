"""`kill -9` at any time, while Microsoft 365 misbehaves: a small run of `python -m tests.fire kills`."""

from pathlib import Path

import pytest

from tests.fire.kills import Plan, burn


@pytest.mark.timeout(300)  # a minute where nothing is wrong
def test_25_kills_at_any_time_lose_no_letter_and_send_none_twice(tmp_path: Path) -> None:
    fire = burn(Plan(letters=100, kills=25, seed=7, folder=tmp_path))
    assert list(fire.violations) == []
    assert (fire.verdict.lost, fire.verdict.doubled) == (0, 0)
    assert fire.verdict.rows == 100
    assert fire.verdict.states.get("sent", 0) >= 95  # the rest says why not
    assert fire.diary.whole == fire.diary.kills == 25
    assert fire.struck
    assert fire.diary.caught, "no kill met a letter in hand: this run proved little"
