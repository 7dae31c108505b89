"""What happens between `/send` and the Inboxes: the copy in Sent Items, delivery, answers, reports of non-delivery."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from gateway.sandbox import conversations, ledger, reports
from gateway.sandbox.agenda import Agenda
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import Clock
from gateway.sandbox.correspondents import Correspondents
from gateway.sandbox.identity import Identities
from gateway.sandbox.ledger import LedgerEntry
from gateway.sandbox.limits import Limits
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Address, Body, Letter, Message
from gateway.sandbox.reports import Failure
from gateway.sandbox.text import as_html

MESSAGE_CLASS = "String 0x001A"
IN_REPLY_TO = "String 0x1042"
REFERENCES = "String 0x1039"
EXTERNAL_HOST = "prod.outlook.com"


class PostOffice:
    """Carries mail. Nothing is lost here and nothing comes twice, unless a draft was sent twice."""

    def __init__(
        self,
        *,
        clock: Clock,
        identities: Identities,
        agenda: Agenda,
        behaviour: Callable[[], Behaviour],
        mailboxes: Mapping[str, Mailbox],
        correspondents: Correspondents,
        limits: Limits,
        lots: random.Random,
    ) -> None:
        self._behaviour = behaviour
        self.ledger: list[LedgerEntry] = []
        self._clock = clock
        self._identities = identities
        self._agenda = agenda
        self._mailboxes = mailboxes
        self._correspondents = correspondents
        self._limits = limits
        self._lots = lots
        self._submitted: set[str] = set()

    def new_message_id(self) -> str:
        """An `internetMessageId` as Exchange Online makes them."""
        host = f"{self._identities.token(6).upper()}.apcprd01.{EXTERNAL_HOST}"
        return f"<{self._identities.token(21)}@{host}>"

    def submit(self, mailbox: Mailbox, draft: Message, *, save_to_sent_items: bool = True) -> None:
        """Take a draft for sending: it is sent after `sent_copy_delay`, and its copy is then in Sent Items.

        What is more than `letters_per_minute` waits for a minute that has room (exo-limits).
        """
        if draft.immutable_id in self._submitted and not self._behaviour().repeated_send_sends_again:
            return
        self._submitted.add(draft.immutable_id)
        if not self._behaviour().draft_visible_while_sending and mailbox.find(draft.immutable_id) is draft:
            mailbox.remove(draft)
        snapshot = replace(
            draft, extended_properties=dict(draft.extended_properties), attachments={**draft.attachments}
        )

        async def send() -> None:
            self._send(mailbox, snapshot, save_to_sent_items=save_to_sent_items)

        waits = self._limits.departure(mailbox.user) - self._clock.now()
        self._agenda.after(max(waits, timedelta(0)) + self._copy_delay(), send)

    def _copy_delay(self) -> timedelta:
        least, most = self._behaviour().sent_copy_delay, self._behaviour().sent_copy_delay_most
        return least if most is None else self._identities.between(least, most)

    def carry(self, letter: Letter) -> None:
        """Bring a letter to everyone in its envelope: mailboxes here, people outside, or back as undeliverable."""
        for address in dict.fromkeys(address.lower() for address in letter.envelope):
            mailbox = self._mailboxes.get(address)
            if mailbox is not None and mailbox.user.is_licensed:
                self.receive(mailbox, letter)
            elif mailbox is None and address in self._correspondents:
                self._bring_outside(address, letter)
            else:
                self._report(letter, reports.not_found(address), (address,))

    def receive(
        self, mailbox: Mailbox, letter: Letter, *, folder: str = "inbox", conversation_index: bytes | None = None
    ) -> Message:
        """Put a letter into a mailbox, into the conversation where it belongs there (MS-OXOMSG 2.2.1.2)."""
        now = self._clock.now()
        index = conversation_index or self._index_in(mailbox, letter)
        marks = {MESSAGE_CLASS: letter.message_class}
        if letter.in_reply_to:
            marks[IN_REPLY_TO] = letter.in_reply_to
        if letter.references:
            marks[REFERENCES] = " ".join(letter.references)
        message = Message(
            id=self._identities.message_id(),
            immutable_id=self._identities.immutable_id(),
            change_key="",
            folder_id=mailbox.well_known(folder).id,
            created_date_time=now,
            last_modified_date_time=now,
            received_date_time=now,
            sent_date_time=letter.sent_at,
            subject=letter.subject,
            body=Body(content=as_html(letter.body)),
            unique_body=letter.unique_body,
            sender=letter.from_,
            from_=letter.from_,
            to=letter.to,
            cc=letter.cc,
            reply_to=letter.reply_to,
            importance=letter.importance,
            is_read=False,
            internet_message_id=letter.internet_message_id,
            conversation_id=conversations.id_in(mailbox.user.id, index),
            conversation_index=index,
            in_reply_to=letter.in_reply_to,
            references=letter.references,
            headers=_wire_headers(letter),
            extended_properties=marks,
            attachments={attachment.id: attachment for attachment in letter.attachments},
            mime=letter.mime,
        )
        return self._arrive(mailbox, message)

    def _arrive(self, mailbox: Mailbox, message: Message) -> Message:
        """Into its folder, now or, when it is told of too early, a little later."""
        behaviour = self._behaviour()
        if self._lots.random() >= behaviour.early_notifications:
            return mailbox.add(message)
        mailbox.announce(message)

        async def appear() -> None:
            mailbox.add(message, is_announced=True)

        self._agenda.after(behaviour.early_by, appear, is_retry=True)
        return message

    def _send(self, mailbox: Mailbox, draft: Message, *, save_to_sent_items: bool) -> None:
        now = self._clock.now()
        self._submitted.discard(draft.immutable_id)
        standing = mailbox.find(draft.immutable_id)
        if standing is not None and standing.is_draft:
            mailbox.remove(standing)
        keeps_id = self._behaviour().immutable_ids_survive_send and mailbox.find(draft.immutable_id) is None
        sender = Address(name=mailbox.user.display_name, address=mailbox.user.mail)
        sent = replace(
            draft,
            id=self._identities.message_id(),
            immutable_id=draft.immutable_id if keeps_id else self._identities.immutable_id(),
            folder_id=mailbox.well_known("sentitems").id,
            last_modified_date_time=now,
            received_date_time=now,
            sent_date_time=now,
            is_draft=False,
            is_read=True,
            sender=sender,
            from_=draft.from_ or sender,
            internet_message_id=draft.internet_message_id
            if self._behaviour().internet_message_id_survives_send
            else self.new_message_id(),
        )
        if save_to_sent_items:
            mailbox.add(sent)
        letter = _letter(sent)
        if not self._limits.may_reach(mailbox.user, len(sent.recipients)):
            self._report(letter, reports.RECIPIENT_LIMIT, letter.envelope)
            return
        self.ledger.append(ledger.entry(mailbox, sent))

        async def deliver() -> None:
            self.carry(letter)

        self._agenda.after(self._behaviour().delivery_delay, deliver)

    def _bring_outside(self, address: str, letter: Letter) -> None:
        """People outside answer the tenant, not each other or themselves: that would never end."""
        if letter.from_.address.lower() not in self._mailboxes:
            return

        async def answer() -> None:
            reply = self._correspondents.answer(address, letter, now=self._clock.now(), identities=self._identities)
            if reply is not None:
                self.carry(reply)

        self._agenda.after(self._behaviour().reply_delay, answer)

    def _report(self, letter: Letter, failure: Failure, recipients: Sequence[str]) -> None:
        """Tell the sender that it did not arrive, unless the sender is outside or a machine."""
        sender = self._mailboxes.get(letter.from_.address.lower())
        if sender is None or letter.is_automatic:
            return
        report = reports.non_delivery(
            letter,
            failure,
            recipients=recipients,
            postmaster=f"postmaster@{sender.user.mail.rpartition('@')[2]}",
            now=self._clock.now(),
            message_id=self.new_message_id(),
        )

        async def deliver() -> None:
            self.carry(report)

        self._agenda.after(self._behaviour().delivery_delay, deliver)

    def _index_in(self, mailbox: Mailbox, letter: Letter) -> bytes:
        """By what it answers if the topic is still the same, else by its own thread index, else by its topic."""
        named = (*letter.references, *((letter.in_reply_to,) if letter.in_reply_to else ()))
        for internet_message_id in reversed(named):
            for parent in mailbox.with_message_id(internet_message_id):
                if conversations.topic(parent.subject) == conversations.topic(letter.subject):
                    return conversations.child_index(parent.conversation_index, letter.sent_at)
        if letter.thread_index is not None:
            return letter.thread_index
        return conversations.untracked_index(letter.subject, letter.sent_at)


def _letter(sent: Message) -> Letter:
    """What leaves: neither extended properties nor the blind copies' addresses travel."""
    if sent.from_ is None:
        raise ValueError("a letter has a sender")
    return Letter(
        sent_at=sent.sent_date_time,
        internet_message_id=sent.internet_message_id,
        from_=sent.from_,
        to=sent.to,
        cc=sent.cc,
        reply_to=sent.reply_to,
        envelope=tuple(person.address for person in sent.recipients),
        subject=sent.subject,
        body=sent.body,
        unique_body=sent.unique_body,
        importance=sent.importance,
        in_reply_to=sent.in_reply_to,
        references=sent.references,
        thread_index=sent.conversation_index,
        headers=sent.headers,
        attachments=tuple(sent.attachments.values()),
    )


def _wire_headers(letter: Letter) -> tuple[tuple[str, str], ...]:
    """The headers that a reader of the received message sees."""
    kind = None
    if letter.message_class.startswith("REPORT."):
        is_read = letter.message_class.endswith((".IPNRN", ".IPNNRN"))
        kind = f"multipart/report; report-type={'disposition-notification' if is_read else 'delivery-status'}"
    headers = [
        ("Received", f"from mail.{letter.from_.address.rpartition('@')[2]} by apcprd01.{EXTERNAL_HOST}"),
        ("From", letter.from_.address),
        ("To", ", ".join(person.address for person in letter.to)),
        ("Subject", letter.subject),
        ("Date", f"{letter.sent_at:%a, %d %b %Y %H:%M:%S} +0000"),
        ("Message-ID", letter.internet_message_id),
        (
            "Content-Type",
            kind or f"{'text/html' if letter.body.content_type == 'html' else 'text/plain'}; charset=utf-8",
        ),
        ("MIME-Version", "1.0"),
    ]
    if letter.in_reply_to:
        headers.append(("In-Reply-To", letter.in_reply_to))
    if letter.references:
        headers.append(("References", " ".join(letter.references)))
    return (*headers, *letter.headers)
