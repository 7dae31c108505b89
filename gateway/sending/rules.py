"""What the operator allows letters to be, and how many of them a mailbox may send."""

from dataclasses import dataclass

from gateway.graph import LARGEST_ATTACHMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What Exchange Online lets one mailbox send; and, our own, how many letters in an hour whoever answers by machine
    gets, from all mailboxes of an account together.

    Source: https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
    """

    letters_per_minute: int = 30
    recipients_per_day: int = 10_000
    letters_to_a_machine: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`largest_letter` is in bytes, of all attachments together."""

    largest_letter: int = LARGEST_ATTACHMENT
    allowance: Allowance = Allowance()
