"""Why a mail is where it is, in plain words, from the evidence that is kept with it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.threads.matching import Reason

BECAUSE: Final[Mapping[str, str]] = {
    Reason.CONVERSATION_AND_REFERENCES: (
        "It came in the conversation of this thread, and names a letter of ours that it answers."
    ),
    Reason.CONVERSATION: "It came in the conversation of this thread, from somebody who takes part in it.",
    Reason.REFERENCES: "It names a letter of this thread that it answers, and its sender takes part in the thread.",
    Reason.COPY: "It is a copy of a message that was here already.",
    Reason.WRITTEN_IN_MAILBOX: "It was written in the mailbox itself, in the conversation of this thread.",
    Reason.STRANGER_IN_CONVERSATION: (
        "It came in the conversation of this thread, but names none of our letters, and its sender does not take part "
        "in the thread."
    ),
    Reason.STRANGER_WITH_REFERENCES: (
        "It names a letter of this thread, but came in another conversation, and its sender does not take part in the "
        "thread."
    ),
    Reason.WITNESSES_DISAGREE: "What ties it to our letters points to more than one thread.",
}
REPORT: Final = "It is a report of the mail system about the conversation of this thread."
NEW: Final = "Its sender had not taken part in the thread before."
DECIDED: Final[Mapping[str, str]] = {
    "accept": "{by} accepted it into this thread.",
    "dismiss": "{by} dismissed it.",
    "move": "{by} moved it into this thread.",
    "unlink": "{by} took it out of the thread.",
}


def explanation(evidence: Mapping[str, Any]) -> str:
    """Some sentences; empty where the evidence is of a kind that has none."""
    decision: Mapping[str, Any] = evidence.get("decision") or {}
    decided = DECIDED.get(decision.get("act", ""), "").format(by=decision.get("by", "Somebody"))
    return " ".join(filter(None, [_because(evidence), NEW if evidence.get("new_participant") else "", decided]))


def _because(evidence: Mapping[str, Any]) -> str:
    reason = evidence.get("reason", "")
    if reason == Reason.CONVERSATION and not evidence.get("sender_is_participant"):
        return REPORT
    return BECAUSE.get(reason, "")


def explained(evidence: dict[str, Any] | None) -> dict[str, Any] | None:
    """The evidence with its `explanation`, as the API shows it."""
    return None if evidence is None else evidence | {"explanation": explanation(evidence)}
