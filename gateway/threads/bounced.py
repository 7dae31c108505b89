"""Which letter a report is about, and what staff are told on that letter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gateway.sending.machine import State
from gateway.threads.matching import same_address
from gateway.threads.reports import Action, Delivery, Report
from gateway.threads.reports.codes import DELAYED, UNKNOWN, reason_of
from storage import Transaction, feeds
from storage.messages import Message
from storage.outbox import Letter
from storage.threads import Address

Problem = dict[str, Any]

MOST_NAMED: Final = 3


def letter_about(
    tx: Transaction, thread_id: str, named: Sequence[Message], report: Report | None, *, vouched: bool = False
) -> Message | None:
    """The letter of ours that a report is about. `named`: the messages it names, the surest first.

    Of several, those that went to a recipient whom it names; if that leaves more than one, none: the report stands in
    the thread, and people see themselves. `vouched`: a person said that it belongs to this thread, so it may name
    somebody whom nobody knows here, such as a recipient's forwarding address.
    """
    letters = [one for one in named if one.status is not None]
    if not named:
        letters = [one for one in feeds.of_thread(tx, thread_id) if one.status is not None]
    if len(letters) == 1 and named:
        return letters[0]
    if report is not None and any(one.addresses for one in report.deliveries):
        concerned = [one for one in letters if concerns(report, recipients_of(one))]
        letters = concerned if concerned or not vouched else letters
    return letters[0] if len(letters) == 1 else None


def recipients_of(message: Message) -> tuple[Address, ...]:
    """Everybody it went to."""
    return (*message.recipients.to, *message.recipients.cc, *message.recipients.bcc)


def concerns(report: Report, people: Iterable[Address]) -> bool:
    """Whether one of these people is among those whom it names."""
    everybody = list(people)
    return any(_recipient(one, everybody) is not None for one in report.deliveries)


def names_nobody(report: Report | None) -> bool:
    """Whether it leaves open whom it concerns."""
    return report is None or not any(one.addresses for one in report.deliveries)


def why_bounced(letter: Letter, message: Message, report: Report | None) -> Problem:
    """What is kept with a letter that was not delivered, to some or all. What was known before is kept, too."""
    before = (letter.problem or {}).get("recipients", []) if letter.state == State.BOUNCED else []
    told = _told(message, report, Action.FAILED)
    fresh = [one for one in told if not any(same_address(one["address"], other["address"]) for other in before)]
    return _problem([*before, *fresh], message)


def why_delayed(message: Message, report: Report | None) -> Problem:
    """What is kept with a letter that is late."""
    late = _told(message, report, Action.DELAYED)
    return {
        "code": DELAYED.code,
        "explanation": DELAYED.explanation,
        "cure": DELAYED.cure,
        "recipients": late,
        "of": len(recipients_of(message)),
    }


def _told(message: Message, report: Report | None, action: Action) -> list[Problem]:
    """Each recipient with what is said of it. Nobody, where several might be meant."""
    people = recipients_of(message)
    deliveries = () if report is None else report.of_action(action)
    found: dict[str, Problem] = {}
    for one in deliveries:
        recipient = _recipient(one, people)
        if recipient is not None:
            found.setdefault(recipient.address.casefold(), _detail(recipient, one))
        elif report is not None and report.is_formal and one.addresses and len(people) > 1:
            # A recipient's forwarding address, or a list's member: whose it is, people may know.
            found.setdefault(one.addresses[-1].casefold(), _detail(Address(name=None, address=one.addresses[-1]), one))
    if not found and len(people) == 1:
        told = next(iter(deliveries), Delivery(addresses=(), action=action))
        return [_detail(people[0], told)]
    return list(found.values())


def _recipient(delivery: Delivery, people: Iterable[Address]) -> Address | None:
    for person in people:
        if any(same_address(person.address, address) for address in delivery.addresses):
            return person
    return None


def _detail(person: Address, delivery: Delivery) -> Problem:
    reason = DELAYED if delivery.action is Action.DELAYED else reason_of(delivery.status)
    return {
        "address": person.address,
        "name": person.name,
        "code": reason.code,
        "explanation": reason.explanation,
        "cure": reason.cure,
        "status": delivery.status,
        "permanent": delivery.is_permanent,
        "diagnostic": delivery.diagnostic,
    }


def _problem(failed: Sequence[Problem], message: Message) -> Problem:
    people = recipients_of(message)
    reasons = {(one["code"], one["cure"]) for one in failed}
    code, cure = next(iter(reasons)) if len(reasons) == 1 else (UNKNOWN.code, "Each recipient’s reason is beside it.")
    if not failed:
        cure = "Read its report in the thread: it does not say clearly which recipients are meant."
    return {
        "code": code,
        "explanation": _sentence(failed, people),
        "cure": cure,
        "recipients": list(failed),
        "of": len(people),
    }


def _sentence(failed: Sequence[Mapping[str, Any]], people: Sequence[Address]) -> str:
    if len(people) <= 1 and failed:
        return str(failed[0]["explanation"])
    if not failed:
        return "A mail system reports that the letter did not reach one or more of its recipients."
    named = " ".join(f"{one['name'] or one['address']}: {one['explanation']}" for one in failed[:MOST_NAMED])
    more = f" And {len(failed) - MOST_NAMED} more." if len(failed) > MOST_NAMED else ""
    if len(failed) >= len(people):
        return f"Not delivered to any of its {len(people)} recipients. {named}{more}"
    return f"Not delivered to {len(failed)} of its {len(people)} recipients. {named}{more}"
