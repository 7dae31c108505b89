"""People outside the tenant who read what they are sent and answer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from html import escape

from gateway.sandbox import reports
from gateway.sandbox.conversations import reply_subject
from gateway.sandbox.identity import Identities
from gateway.sandbox.model import Address, Body, Letter
from gateway.sandbox.text import as_text, inner_html

Style = Callable[[Letter, str], Body]
"""Makes the body of an answer from the letter and from what the person has to say."""


def plain_text(letter: Letter, said: str) -> Body:
    """Text with the letter quoted below, as from a terminal or an old phone."""
    quoted = "\r\n".join(f"> {line}" for line in as_text(letter.body).splitlines())
    written = f"On {letter.sent_at:%a, %d %b %Y at %H:%M}, {letter.from_.name or letter.from_.address} wrote:"
    return Body(content_type="text", content=f"{said}\r\n\r\n{written}\r\n{quoted}\r\n")


def gmail(letter: Letter, said: str) -> Body:
    """HTML with the letter in a `gmail_quote`."""
    quoted = inner_html(letter.body.content) if letter.body.content_type == "html" else escape(letter.body.content)
    writer = f"{escape(letter.from_.name or '')} &lt;{escape(letter.from_.address)}&gt;"
    return Body(
        content=f'<div dir="ltr">{_paragraphs(said)}</div><br><div class="gmail_quote"><div dir="ltr" '
        f'class="gmail_attr">On {letter.sent_at:%a, %d %b %Y at %H:%M} {writer} wrote:<br></div>'
        f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
        f"{quoted}</blockquote></div>"
    )


def outlook(letter: Letter, said: str) -> Body:
    """HTML with the letter under a rule and its From, Sent, To and Subject."""
    quoted = inner_html(letter.body.content) if letter.body.content_type == "html" else escape(letter.body.content)
    to = escape("; ".join(person.name or person.address for person in letter.to))
    return Body(
        content=f'<html><body><div class="elementToProof">{_paragraphs(said)}</div>'
        '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1">'
        f'<div id="divRplyFwdMsg" dir="ltr"><b>From:</b> {escape(letter.from_.name or letter.from_.address)}<br>'
        f"<b>Sent:</b> {letter.sent_at:%A, %d %B %Y %H:%M}<br><b>To:</b> {to}<br>"
        f"<b>Subject:</b> {escape(letter.subject)}</div><br>{quoted}</body></html>"
    )


def bare(letter: Letter, said: str) -> Body:
    """Text alone, nothing quoted."""
    return Body(content_type="text", content=said)


class Machine(StrEnum):
    """What somebody's programs do with a letter: report that the mailbox is full, or not to be reached yet; tell that
    it was read; answer as a calendar does.
    """

    IS_FULL = "is_full"
    IS_LATE = "is_late"
    READS = "reads"
    ACCEPTS = "accepts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondent:
    """Someone at an outside address. Answers each letter a person wrote, never what a machine sent."""

    address: str
    name: str
    says: tuple[str, ...] = ("Thank you, I have got it.",)
    """What the answers say, in turn."""
    style: Style = gmail
    is_silent: bool = False
    changes_subject_to: str | None = None
    """A new subject makes a new conversation, although the References are right."""
    keeps_references: bool = True
    out_of_office: bool = False
    machine: Machine | None = None
    """What answers instead."""

    def answer(self, letter: Letter, *, turn: int, now: datetime, identities: Identities) -> Letter | None:
        """The reply to a letter, or None. `turn` counts the letters this person has got before."""
        if self.is_silent or letter.is_automatic:
            return None
        if self.machine is not None:
            return self._by_machine(self.machine, letter, now, identities)
        said = self.says[turn % len(self.says)]
        back_to = letter.reply_to or (letter.from_,)
        reply = Letter(
            sent_at=now,
            internet_message_id=f"<{identities.token(18)}@mail.{self.address.rpartition('@')[2]}>",
            from_=Address(name=self.name, address=self.address),
            to=back_to,
            envelope=tuple(person.address for person in back_to),
            subject=self.changes_subject_to or reply_subject(letter.subject),
            body=self.style(letter, said),
            unique_body=self.style(letter, said) if self.style is bare else Body(content=_paragraphs(said)),
            in_reply_to=letter.internet_message_id if self.keeps_references else None,
            references=(*letter.references, letter.internet_message_id) if self.keeps_references else (),
        )
        return _out_of_office(reply, letter) if self.out_of_office else reply

    def _by_machine(self, machine: Machine, letter: Letter, now: datetime, identities: Identities) -> Letter:
        message_id = f"<{identities.token(18)}@mx.{self.address.rpartition('@')[2]}>"
        person = Address(name=self.name, address=self.address)
        match machine:
            case Machine.READS:
                return reports.read_receipt(letter, person, now=now, message_id=message_id)
            case Machine.ACCEPTS:
                return reports.acceptance(letter, person, now=now, message_id=message_id)
            case Machine.IS_FULL:
                failure = reports.MAILBOX_FULL
            case Machine.IS_LATE:
                failure = reports.NOT_YET
        return reports.by_their_system(letter, failure, recipient=self.address, now=now, message_id=message_id)


class Correspondents:
    """Everyone outside whom mail can reach, by address without case. Other addresses bounce."""

    def __init__(self) -> None:
        self._people: dict[str, Correspondent] = {}
        self._turns: dict[str, int] = {}

    def __iter__(self) -> Iterator[Correspondent]:
        return iter(self._people.values())

    def __contains__(self, address: str) -> bool:
        return address.lower() in self._people

    def add(self, correspondent: Correspondent) -> Correspondent:
        """Make someone known, or give someone known new habits."""
        self._people[correspondent.address.lower()] = correspondent
        return correspondent

    def change(self, address: str, /, **habits: object) -> Correspondent:
        """Give someone known other habits, named as the fields of `Correspondent`."""
        return self.add(replace(self._people[address.lower()], **habits))  # type: ignore[arg-type]

    def answer(self, address: str, letter: Letter, *, now: datetime, identities: Identities) -> Letter | None:
        """What the person at this address answers, if anything."""
        key = address.lower()
        turn = self._turns.get(key, 0)
        self._turns[key] = turn + 1
        return self._people[key].answer(letter, turn=turn, now=now, identities=identities)


def _out_of_office(reply: Letter, letter: Letter) -> Letter:
    """An automatic answer as Exchange makes it (RFC 3834)."""
    return replace(
        reply,
        subject=f"Automatic reply: {letter.subject}",
        headers=(("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All")),
        message_class="IPM.Note.Rules.OofTemplate.Microsoft",
    )


def _paragraphs(said: str) -> str:
    return "".join(f"<p>{escape(part, quote=False)}</p>" for part in said.split("\n\n")).replace("\n", "<br>")
