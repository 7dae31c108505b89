"""The fields of a delivery report, wherever they stand: RFC 3464 section 2."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.threads.reports.model import GRAVITY, Action, Delivery, Nature

MOST_DELIVERIES: Final = 500  # as many recipients as Exchange takes: exchange-online-limits, "Recipient limit"
LONGEST_DIAGNOSTIC: Final = 500
LONGEST_VALUE: Final = 2000

Fields = Mapping[str, str]

# A class, a subject, a detail, and no address of the internet: RFC 3463 section 2.
ENHANCED: Final = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
ADDRESS: Final = re.compile(r"[^\s<>()\[\]:;,\"'“”]{1,64}@[^\s<>()\[\]:;,\"'“”/?]{1,255}")
FIELD: Final = re.compile(r"^(?:[>|\s]{0,8})([A-Za-z][A-Za-z-]{1,40})[ \t]{0,4}:[ \t]*(.*)$")
ACTIONS: Final = {
    "failed": Action.FAILED,
    "failure": Action.FAILED,
    "fail": Action.FAILED,
    "expired": Action.FAILED,
    "delayed": Action.DELAYED,
    "deferred": Action.DELAYED,
    "delivered": Action.DELIVERED,
    "deliverable": Action.DELIVERED,
    "relayed": Action.RELAYED,
    "expanded": Action.EXPANDED,
}
NATURES: Final = {Action.FAILED: Nature.FAILED, Action.DELAYED: Nature.DELAYED}


def blocks_of(text: str) -> list[dict[str, str]]:
    """Paragraphs of `Name: value` lines; a line that goes on is joined, others are left out. Names in lower case."""
    blocks: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if not line.strip():
            name = ""
            if blocks[-1]:
                blocks.append({})
        elif (found := FIELD.match(line)) is not None:
            name = found[1].lower()
            blocks[-1].setdefault(name, found[2].strip())
        elif name and line[:1] in " \t" and len(blocks[-1][name]) < LONGEST_VALUE:
            blocks[-1][name] = f"{blocks[-1][name]} {line.strip()}"
    return blocks


def deliveries_of(blocks: Iterable[Fields]) -> tuple[Delivery, ...]:
    """Each paragraph that names a recipient or an action. Fields that strayed into the next one are joined first."""
    found = (delivery_of(block) for block in _joined(blocks))
    return tuple(one for one in found if one is not None)[:MOST_DELIVERIES]


def _joined(blocks: Iterable[Fields]) -> list[Fields]:
    joined: list[Fields] = []
    for block in blocks:
        names = block.keys() & {"final-recipient", "original-recipient", "action", "status", "diagnostic-code"}
        if not names:
            continue
        last = joined[-1] if joined else {}
        both_name_one = "final-recipient" in names and "final-recipient" in last
        if joined and not both_name_one and not (names & last.keys()):
            joined[-1] = {**last, **block}
        else:
            joined.append(block)
    return joined


def delivery_of(fields: Fields) -> Delivery | None:
    """One recipient; None where neither an address nor an action is to be had."""
    named = (fields.get(name, "") for name in ("original-recipient", "final-recipient", "x-actual-recipient"))
    addresses = tuple(dict.fromkeys(one for value in named if (one := address_in(value)) is not None))
    diagnostic = " ".join(fields.get("diagnostic-code", "").split())[:LONGEST_DIAGNOSTIC] or None
    status = status_of(fields.get("status", ""), diagnostic or "")
    action = _action(fields.get("action", ""), status)
    if action is None or not (addresses or "action" in fields):
        return None
    return Delivery(addresses=addresses, action=action, status=status, diagnostic=diagnostic)


def _action(text: str, status: str | None) -> Action | None:
    """Some systems leave it out: then the status tells."""
    word = re.match(r"[a-z]+", text.strip().lower())
    if word is not None and word[0] in ACTIONS:
        return ACTIONS[word[0]]
    return {"5": Action.FAILED, "4": Action.DELAYED, "2": Action.DELIVERED}.get((status or " ")[0])


def address_in(value: str) -> str | None:
    """The address of `rfc822; someone@example`, whatever stands around it."""
    found = ADDRESS.search(value.split(";", 1)[-1])
    return found[0].strip(".") if found else None


def status_of(status: str, diagnostic: str) -> str | None:
    """The more exact of two: many systems write `5.0.0` and let the other system's answer say why."""
    codes = [found[1] for text in (status, diagnostic) if (found := ENHANCED.search(text)) is not None]
    exact = [code for code in codes if not code.endswith(".0.0")]
    return next(iter(exact or codes), None)


def nature_of(deliveries: Sequence[Delivery]) -> Nature | None:
    """By the gravest action."""
    if not deliveries:
        return None
    return NATURES.get(max((one.action for one in deliveries), key=GRAVITY.index), Nature.DELIVERED)
