"""How a letter stands, in words for people."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a letter stands, in a word and in a sentence."""

    name: str
    word: str
    tone: str
    meaning: str


STATUSES: Final = {
    one.name: one
    for one in (
        Status(name="queued", word="Queued", tone="busy", meaning="Waits to be sent."),
        Status(name="sending", word="Sending", tone="busy", meaning="Is being handed to Microsoft 365."),
        Status(name="submitted", word="Submitted", tone="busy", meaning="Microsoft 365 has taken it."),
        Status(name="sent", word="Sent", tone="good", meaning="Stands in the mailbox’s Sent Items."),
        Status(name="bounced", word="Bounced", tone="bad", meaning="Could not be delivered."),
        Status(name="failed", word="Not sent", tone="bad", meaning="Was not sent."),
        Status(name="needs_review", word="Needs review", tone="warn", meaning="A person has to look at it."),
        Status(name="cancelled", word="Cancelled", tone="quiet", meaning="Was cancelled before it left."),
    )
}
