"""The comparison finds each kind of broken promise, planted among replies that are as they should be."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.fire.mailbag import Stored, judge

EXPECTED = {f"<{number}@student.example>": f"thr_{number % 2}" for number in range(4)}
FOUND = [Stored(id, thread_id, "placed") for id, thread_id in EXPECTED.items()]
STRANGER = Stored("<9@elsewhere.example>", "thr_0", "placed")


def test_every_reply_once_in_its_thread_is_as_it_should_be() -> None:
    assert judge(EXPECTED, FOUND[::-1]) == []


@pytest.mark.parametrize(
    ("found", "what"),
    [
        pytest.param(FOUND[1:], "is lost", id="lost"),
        pytest.param([*FOUND, FOUND[0]], "is stored 2 times", id="doubled"),
        pytest.param([*FOUND, STRANGER], "is no reply and stored", id="not ours"),
        pytest.param([replace(FOUND[0], thread_id="thr_1"), *FOUND[1:]], "another thread", id="in another thread"),
        pytest.param([replace(FOUND[0], placement="held"), *FOUND[1:]], "or held", id="held"),
    ],
)
def test_a_broken_promise_is_found(found: Sequence[Stored], what: str) -> None:
    [violation] = judge(EXPECTED, found)
    assert what in violation
