"""The comparison finds what must not be: each kind of broken promise, planted in good books."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.sending.draft import TAG
from tests.fire.books import Row
from tests.fire.verdict import judge

PROMISED = {"letter-0": "msg_0", "letter-1": "msg_1", "letter-2": "msg_2"}
ROWS = [
    Row(message_id=f"msg_{number}", send_uid=f"uid-{number}", state="sent", submits=1, key=f"letter-{number}")
    for number in range(3)
]


def mail(send_uid: str | None) -> dict[str, Any]:
    return {"extended_properties": {} if send_uid is None else {TAG: send_uid}}


LEDGER = [mail(row.send_uid) for row in ROWS]


def but(number: int, **changes: Any) -> list[Row]:
    """The good rows, and one of them changed."""
    return [*ROWS[:number], replace(ROWS[number], **changes), *ROWS[number + 1 :]]


def test_good_books_are_good() -> None:
    found = judge(PROMISED, ROWS, LEDGER)
    assert (found.lost, found.doubled, list(found.violations)) == (0, 0, [])
    assert found.states == {"sent": 3}


@pytest.mark.parametrize(
    ("rows", "ledger", "what"),
    [
        pytest.param(ROWS[:2], LEDGER[:2], "has no row", id="promised and not in the file"),
        pytest.param(ROWS, LEDGER[:2], "never left", id="called sent and not in the ledger"),
    ],
)
def test_a_lost_letter_is_found(rows: Sequence[Row], ledger: Sequence[dict[str, Any]], what: str) -> None:
    found = judge(PROMISED, rows, ledger)
    assert found.lost == 1
    assert what in found.violations[0]


@pytest.mark.parametrize(
    ("rows", "ledger", "what"),
    [
        pytest.param(ROWS, [*LEDGER, LEDGER[0]], "left 2 times", id="one row left twice"),
        pytest.param(
            [*ROWS, replace(ROWS[0], message_id="msg_9", send_uid="uid-9")],
            [*LEDGER, mail("uid-9")],
            "rows have the key",
            id="one key made two rows",
        ),
    ],
)
def test_a_doubled_letter_is_found(rows: Sequence[Row], ledger: Sequence[dict[str, Any]], what: str) -> None:
    found = judge(PROMISED, rows, ledger)
    assert found.doubled == 1
    assert what in found.violations[0]


@pytest.mark.parametrize(
    ("rows", "ledger", "what"),
    [
        pytest.param(ROWS, [*LEDGER, mail(None)], "no row knows of", id="mail without a tag"),
        pytest.param(but(0, state="unknown"), LEDGER, "has not come to an end", id="a letter without an end"),
        pytest.param(but(0, state="failed"), LEDGER, "is called failed and left", id="a failed letter that left"),
        pytest.param(but(0, key=None), LEDGER, "promised otherwise", id="a row that nobody was promised"),
    ],
)
def test_an_untruth_is_found(rows: Sequence[Row], ledger: Sequence[dict[str, Any]], what: str) -> None:
    found = judge(PROMISED, rows, ledger)
    assert (found.lost, found.doubled) == (0, 0)
    [violation] = found.violations
    assert what in violation


@pytest.mark.parametrize("left", [True, False])
def test_a_letter_that_needs_review_may_have_left_or_not(left: bool) -> None:
    found = judge(PROMISED, but(0, state="needs_review"), LEDGER if left else LEDGER[1:])
    assert list(found.violations) == []
    assert found.states == {"sent": 2, "needs_review": 1}
