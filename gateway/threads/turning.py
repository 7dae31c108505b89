"""What a mail system's report makes of the letter that it is about: at once, or when a person lets it stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from gateway.sending.machine import State
from gateway.sending.recognise import mark_bounced, mark_delayed, take_back
from gateway.threads.bounced import letter_about, why_bounced, why_delayed
from gateway.threads.kinds import What
from gateway.threads.reports import Report
from storage import Transaction, feeds, held_reports, outbox
from storage.held_reports import Stood, Turned
from storage.messages import Kind, Message
from storage.outbox import Letter

REPORT: Final[TypeAdapter[Report | None]] = TypeAdapter(Report | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a mail tells of letters. `letters`: those of ours that it names, the surest first."""

    kind: Kind
    what: What | None
    report: Report | None
    letters: Sequence[Message]

    @property
    def turns_a_letter(self) -> bool:
        """Whether it is one of the two that do."""
        return self.kind is Kind.BOUNCE or self.what is What.DELAYED


def turn_letter(
    tx: Transaction, thread_id: str, about: About, now: datetime, *, vouched: bool = False
) -> Turned | None:
    """Let the letter that a report is about say so; one that is about no one letter for sure just stands there.

    `vouched`: see `letter_about`.
    """
    if not about.turns_a_letter:
        return None
    message = letter_about(tx, thread_id, about.letters, about.report, vouched=vouched)
    letter = None if message is None else outbox.find(tx, message.id)
    if message is None or letter is None:
        return None
    if about.kind is Kind.BOUNCE:
        mark_bounced(tx, letter, why_bounced(letter, message, about.report), now=now)
    else:
        mark_delayed(tx, letter, why_delayed(message, about.report), now=now)
    before, after = _stands(letter), _stands(outbox.get(tx, letter.account_id, letter.message_id))
    return None if before == after else Turned(letter_id=letter.message_id, before=before, after=after)


def keep_for_later(tx: Transaction, message: Message, about: About) -> None:
    """The mail is held: what it reports is nowhere but in its bytes, which may be gone when it is accepted."""
    if about.turns_a_letter:
        held_reports.insert(tx, message.account_id, message.id, REPORT.dump_json(about.report).decode())


def turn_after_all(tx: Transaction, message: Message, now: datetime) -> None:
    """The mail was held, and stands in a thread now. Of other mail nothing follows."""
    held = held_reports.find(tx, message.id)
    if held is None:
        return
    evidence = message.evidence or {}
    about = About(
        kind=message.kind,
        what=What(evidence["what"]) if "what" in evidence else None,
        report=REPORT.validate_json(held.report),
        letters=_named_here(tx, message, evidence.get("letters", ())),
    )
    held_reports.remember(tx, message.id, turn_letter(tx, message.thread_id, about, now, vouched=True))


def turn_back(tx: Transaction, message: Message, now: datetime) -> None:
    """The mail left its thread: what it made of a letter is taken back, unless another report bears it out."""
    held = held_reports.find(tx, message.id)
    if held is None or held.turned is None:
        return
    letter = outbox.find(tx, held.turned.letter_id)
    if letter is not None and _stands(letter) == held.turned.after and not _is_borne_out(tx, letter):
        take_back(tx, letter, State(held.turned.before.state), held.turned.before.problem, now=now)
    held_reports.remember(tx, message.id, None)


def _stands(letter: Letter) -> Stood:
    return Stood(state=letter.state, problem=letter.problem)


def _is_borne_out(tx: Transaction, letter: Letter) -> bool:
    """Whether a report that stands in the letter's thread names it."""
    return any(
        one.kind is Kind.BOUNCE and letter.message_id in (one.evidence or {}).get("letters", ())
        for one in feeds.of_thread(tx, letter.thread_id)
    )


def _named_here(tx: Transaction, message: Message, ids: Sequence[str]) -> list[Message]:
    """The letters that it named, of the thread that it stands in: of another, a person says that it named the wrong."""
    here = {one.id: one for one in feeds.of_thread(tx, message.thread_id)}
    return [here[one] for one in ids if one in here]
