"""Why a letter was not delivered, in plain words: by its enhanced status code.

Sources: RFC 3463 section 3 (and RFC 7505, 7372, 8616 for what was added since) for what every mail system means;
https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/non-delivery-reports-in-exchange-online for what
Exchange Online means by the same or longer codes, which goes first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """In a sentence why, and what to do."""

    code: str
    explanation: str
    cure: str


def _reason(code: str, explanation: str, cure: str) -> Reason:
    return Reason(code=code, explanation=explanation, cure=cure)


ASK_FOR_ANOTHER: Final = "Ask the recipient in another way for the right address, and post a new letter."
ASK_THEM: Final = "Reach the recipient in another way; only the recipient’s side can change this."
ASK_ADMIN: Final = "Show the report in the thread to whoever looks after your Microsoft 365."
LATER: Final = "Post the letter again later, or reach the recipient in another way."

NO_SUCH_ADDRESS: Final = _reason("no_such_address", "There is no such address.", ASK_FOR_ANOTHER)
NO_SUCH_DOMAIN: Final = _reason(
    "no_such_domain", "The part of the address after the @ does not exist, or takes no mail.", ASK_FOR_ANOTHER
)
MALFORMED: Final = _reason("malformed_address", "The address is not written as an address can be.", ASK_FOR_ANOTHER)
MOVED: Final = _reason("moved", "The recipient has moved and left no new address.", ASK_FOR_ANOTHER)
SENDER: Final = _reason(
    "sender_refused", "The recipient’s mail system does not accept mail from this mailbox’s address.", ASK_ADMIN
)
DISABLED: Final = _reason(
    "mailbox_disabled", "The recipient’s mailbox is switched off, or no longer used.", ASK_FOR_ANOTHER
)
FULL: Final = _reason("mailbox_full", "The recipient’s mailbox is full.", LATER)
TOO_LARGE: Final = _reason(
    "too_large", "The letter is larger than the recipient’s mail system takes.", "Post it with smaller attachments."
)
LIST: Final = _reason("list_trouble", "The address is a mailing list that could not pass it on.", ASK_THEM)
BUSY: Final = _reason("busy", "The recipient’s mail system takes no mail at the moment.", LATER)
SYSTEM: Final = _reason("system_trouble", "The recipient’s mail system had trouble with the letter.", LATER)
NO_ANSWER: Final = _reason("no_answer", "The recipient’s mail system could not be reached.", LATER)
NO_WAY: Final = _reason(
    "no_way", "No way leads to the recipient’s mail system: its address may be wrong.", ASK_FOR_ANOTHER
)
LOOP: Final = _reason("mail_loop", "Mail to this address goes round in a circle.", ASK_THEM)
EXPIRED: Final = _reason(
    "expired", "The recipient’s mail system did not take the letter for so long that it was given up.", LATER
)
PROTOCOL: Final = _reason("protocol", "The two mail systems did not understand each other.", ASK_ADMIN)
TOO_MANY: Final = _reason("too_many_recipients", "It has more recipients than are taken at once.", "Post it in parts.")
CONTENT: Final = _reason(
    "content_refused",
    "The recipient’s mail system cannot take what is in the letter.",
    "Post it as plain as it can be.",
)
REFUSED: Final = _reason(
    "refused", "The recipient’s mail system refuses the letter: by its rules, or as unwanted mail.", ASK_THEM
)
CLOSED_GROUP: Final = _reason(
    "not_allowed", "The recipient takes no mail from outside, or only from certain people.", ASK_THEM
)
UNPROVED: Final = _reason(
    "unproved_sender",
    "The recipient’s mail system could not prove that the letter came from the school: SPF, DKIM or DMARC.",
    ASK_ADMIN,
)
BLOCKED_SENDER: Final = _reason(
    "sender_blocked", "Mail from this mailbox, or from your Microsoft 365, is blocked as suspected spam.", ASK_ADMIN
)
LIMIT: Final = _reason(
    "sending_limit", "The mailbox has sent as much as Microsoft 365 allows for now.", "Post the letter again tomorrow."
)
RECEIVING_LIMIT: Final = _reason("receiving_limit", "The recipient gets more mail than is taken in an hour.", LATER)
SECURITY: Final = _reason(
    "insecure", "The recipient’s mail system could not be spoken to securely, or is not what it claims to be.", ASK_THEM
)
UNKNOWN: Final = _reason(
    "not_delivered", "The recipient’s mail system reports that the letter was not delivered.", ASK_FOR_ANOTHER
)
DELAYED: Final = _reason(
    "delayed",
    "The letter has not been delivered yet; the mail systems go on trying.",
    "Nothing to do: if it cannot be delivered in the end, another report follows.",
)

EXCHANGE: Final[Mapping[str, Reason]] = {
    "5.1.0": NO_SUCH_ADDRESS,
    "5.1.8": BLOCKED_SENDER,
    "5.1.10": NO_SUCH_ADDRESS,
    "5.1.90": LIMIT,
    "5.2.121": RECEIVING_LIMIT,
    "5.2.122": RECEIVING_LIMIT,
    "5.4.1": NO_SUCH_ADDRESS,
    "5.4.14": LOOP,
    "5.4.300": EXPIRED,
    "4.4.316": NO_ANSWER,
    "5.4.310": NO_SUCH_DOMAIN,
    "5.4.312": NO_SUCH_DOMAIN,
    "5.4.316": NO_ANSWER,
    "5.5.0": NO_SUCH_ADDRESS,
    "5.6.11": CONTENT,
    "5.0.350": REFUSED,
    "5.7.12": CLOSED_GROUP,
    "5.7.13": CLOSED_GROUP,
    "5.7.23": UNPROVED,
    "5.7.25": UNPROVED,
    "5.7.26": UNPROVED,
    "4.7.26": UNPROVED,
    "5.7.64": CLOSED_GROUP,
    "5.7.124": CLOSED_GROUP,
    "5.7.133": CLOSED_GROUP,
    "5.7.134": CLOSED_GROUP,
    "5.7.135": CLOSED_GROUP,
    "5.7.136": CLOSED_GROUP,
    "5.7.501": BLOCKED_SENDER,
    "5.7.502": BLOCKED_SENDER,
    "5.7.503": BLOCKED_SENDER,
    "5.7.504": NO_SUCH_ADDRESS,
    "5.7.505": NO_SUCH_ADDRESS,
    "5.7.509": UNPROVED,
    "5.7.511": BLOCKED_SENDER,
    "5.7.703": _reason("blocked_by_us", "Your own Microsoft 365 has this recipient on its block list.", ASK_ADMIN),
    "5.7.705": BLOCKED_SENDER,
    "5.7.708": BLOCKED_SENDER,
    "5.7.750": BLOCKED_SENDER,
}
# Exchange's ranges of the same meaning: 4.7.500-699 and 850-899 "suspicious activity", 5.7.606-649 "banned sending IP",
# x.7.321-325 TLS and DANE.
RANGES: Final = (
    ("7", range(321, 326), SECURITY),
    ("7", range(500, 700), BLOCKED_SENDER),
    ("7", range(850, 900), BLOCKED_SENDER),
)
# By subject and detail: RFC 3463 sections 3.2 to 3.8.
RFC: Final[Mapping[str, Reason]] = {
    "1.0": NO_SUCH_ADDRESS,
    "1.1": NO_SUCH_ADDRESS,
    "1.2": NO_SUCH_DOMAIN,
    "1.3": MALFORMED,
    "1.4": _reason("ambiguous_address", "The address fits more than one recipient.", ASK_FOR_ANOTHER),
    "1.6": MOVED,
    "1.7": SENDER,
    "1.8": SENDER,
    "1.10": NO_SUCH_DOMAIN,  # RFC 7505 section 5: the domain says that it takes no mail
    "2.1": DISABLED,
    "2.2": FULL,
    "2.3": TOO_LARGE,
    "2.4": LIST,
    "3.1": BUSY,
    "3.2": BUSY,
    "3.4": TOO_LARGE,
    "4.1": NO_ANSWER,
    "4.2": NO_ANSWER,
    "4.3": NO_WAY,
    "4.4": NO_WAY,
    "4.5": BUSY,
    "4.6": LOOP,
    "4.7": EXPIRED,
    "5.3": TOO_MANY,
    "7.1": REFUSED,
    "7.2": LIST,
    "7.23": UNPROVED,  # RFC 7372 section 3
    "7.25": UNPROVED,
    "7.26": UNPROVED,
    "7.27": SENDER,  # RFC 7505 section 5
}
SUBJECTS: Final[Mapping[str, Reason]] = {
    "2": _reason("mailbox_trouble", "The recipient’s mailbox does not take the letter.", LATER),
    "3": SYSTEM,
    "4": NO_ANSWER,
    "5": PROTOCOL,
    "6": CONTENT,
    "7": REFUSED,
}


def reason_of(status: str | None) -> Reason:
    """What a code means: Exchange's own meaning, then the RFC's detail, then its subject."""
    if status is None:
        return UNKNOWN
    if status in EXCHANGE:
        return EXCHANGE[status]
    _, subject, detail = status.split(".")
    for wanted, details, reason in RANGES:
        if subject == wanted and int(detail) in details:
            return reason
    return RFC.get(f"{subject}.{detail}") or SUBJECTS.get(subject, UNKNOWN)
