"""No letter fails and no reply is lost by rotation: a small run of `python -m tests.fire.rotating`."""

from pathlib import Path

from tests.fire.rotating import Plan, rotate_under_load


def test_letters_and_replies_flow_while_credentials_are_replaced_expire_and_are_deleted(tmp_path: Path) -> None:
    outcome = rotate_under_load(Plan(letters=40, rotations=3, seed=4, folder=tmp_path))
    assert list(outcome.violations) == []
    assert outcome.sent == 40
    assert outcome.replies > 10
    assert outcome.fallbacks > 0
    kinds = {"rotated to a client secret", "rotated to a certificate", "rotated to a federated"}
    assert kinds <= outcome.befell.keys(), "a kind was not rotated to: this run proved less than it says"
