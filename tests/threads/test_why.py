"""Why a mail is where it is, in words that anybody understands."""

from typing import Any

import pytest

from gateway.threads.matching import Reason
from gateway.threads.why import BECAUSE, explained, explanation


def evidence(reason: Reason, **facts: Any) -> dict[str, Any]:
    return {"reason": reason.value, "sender_is_participant": True, "new_participant": False} | facts


def test_every_reason_for_which_a_mail_is_kept_has_its_sentence() -> None:
    assert set(BECAUSE) == set(Reason) - {Reason.NOT_OURS}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            evidence(Reason.CONVERSATION),
            "It came in the conversation of this thread, from somebody who takes part in it.",
        ),
        (
            evidence(Reason.CONVERSATION, sender_is_participant=False),
            "It is a report of the mail system about the conversation of this thread.",
        ),
        (
            evidence(Reason.CONVERSATION_AND_REFERENCES, sender_is_participant=False, new_participant=True),
            "It came in the conversation of this thread, and names a letter of ours that it answers. "
            "Its sender had not taken part in the thread before.",
        ),
        (
            evidence(Reason.WITNESSES_DISAGREE, decision={"act": "accept", "by": "Jane Doe"}),
            "What ties it to our letters points to more than one thread. Jane Doe accepted it into this thread.",
        ),
        ({"reason": "of another release", "decision": {"act": "something else"}}, ""),
        ({}, ""),
    ],
)
def test_evidence_is_told_in_sentences(given: dict[str, Any], words: str) -> None:
    assert explanation(given) == words
    assert explained(given) == given | {"explanation": words}


def test_a_letter_of_ours_needs_no_explanation() -> None:
    assert explained(None) is None
