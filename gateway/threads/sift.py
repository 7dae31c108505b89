"""Finding out what of a folder's mail is ours, with as little reading as can be.

Of mail that is not ours we see its ids, its sender and its times, and, in the Inbox, its headers, and of what looks
like a mail system's report what it reports; nothing of that is kept. What is ours is read whole. Headers that came with
a notification are not asked for again: see `opening`.
"""

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.graph import AttachmentInfo, GraphError, Message, MessageRequest, NotFound
from gateway.sending.draft import TAG
from gateway.threads.graph import HEADERS, METADATA, WHOLE, MailReader
from gateway.threads.kinds import MESSAGE_CLASS
from gateway.threads.matching import references, usable_message_id
from gateway.threads.reported import Reported, as_shown, read_reports
from gateway.threads.reports import Report
from gateway.threads.wording import Wording, wordings_of
from storage import Store, Transaction, hints, identities, messages, outbox, threads
from storage.folders import Folder, WellKnown
from storage.identities import Named
from storage.mailboxes import Mailbox

log = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]
SETTLED: Final = frozenset({None, "sent", "bounced"})  # a letter in another state wants to hear of its Sent copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A folder as it was claimed, and the mailbox it is in."""

    folder: Folder
    mailbox: Mailbox

    @property
    def is_inbox(self) -> bool:
        """The other one is Sent Items."""
        return self.folder.well_known is WellKnown.INBOX

    @property
    def selected(self) -> tuple[str, ...]:
        """What is asked of mail before it is known to be ours. Copies in Sent Items do not tell their headers."""
        return (*METADATA, HEADERS) if self.is_inbox else METADATA

    @property
    def expanded(self) -> tuple[str, ...]:
        """The same for extended properties: in Sent Items our tag is the witness."""
        return () if self.is_inbox else (TAG,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What became of some mail. `ours` was read whole, but for Sent copies of letters, which say nothing new; of the
    `unrelated` we have the metadata; the others are Graph ids.

    `missing`: Graph knows no such item now. `failed`: it could not be read. `history` has, for each conversation that
    headers alone tie to us, the mail that is in it already. `reports` has what those of `ours` report that are reports,
    `words` how they are kept.
    """

    ours: tuple[Message, ...] = ()
    known: frozenset[str] = frozenset()
    unrelated: tuple[Message, ...] = ()
    missing: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    history: Mapping[str, tuple[Message, ...]] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)
    words: Mapping[str, Wording] = field(default_factory=dict)


class Sieve:
    """Sifts the mail of one folder during one pull. Raises GraphError and TokenError when nothing can be read."""

    def __init__(self, store: Store, graph: MailReader, watched: Watched) -> None:
        self._store = store
        self._graph = graph
        self._watched = watched

    async def sift(self, seen: Sequence[Message]) -> Sifted:
        """What the delta showed: metadata, of one message perhaps twice, the last being right."""
        latest = {message.id: message for message in seen}
        drafts = tuple(message for message in latest.values() if message.is_draft)
        mail = [message for message in latest.values() if not message.is_draft]
        sifted = await self._sift(mail, asked={})
        return replace(sifted, unrelated=(*sifted.unrelated, *drafts))

    async def look_up(self, ids: Iterable[str], *, deleted: Container[str] = frozenset()) -> Sifted:
        """What was announced and has not shown up. A draft is not there yet: it may be on its way out.

        What is stored and needs nothing more is not asked for, as it was announced late, or once more; unless it is
        said to be `deleted`.
        """
        ids = frozenset(ids)
        settled = await self._store.read(_settled, self._watched, [id for id in ids if id not in deleted])
        outcomes = await self._get(dict.fromkeys(ids - settled, self._watched.selected))
        found, missing, failed = told_apart(outcomes)
        drafts = frozenset(message.id for message in found if message.is_draft)
        mail = {message.id: message for message in found if message.id not in drafts}
        sifted = await self._sift(list(mail.values()), asked=mail)
        missing |= sifted.missing | drafts
        return replace(sifted, known=sifted.known | settled, missing=missing, failed=sifted.failed | failed)

    async def _sift(self, mail: Sequence[Message], asked: Mapping[str, Message]) -> Sifted:
        known, letters, tied = await self._store.read(_what_we_know, self._watched, mail)
        recognised = [message for message in mail if message.id in letters]
        mail = [message for message in mail if message.id not in letters]
        strange = [message for message in mail if message.id not in known | tied]
        silent = [one.id for one in strange if one.id not in asked and one.internet_message_headers is None]
        opened = await self._store.read(hints.opened, self._watched.folder.id, silent) if silent else frozenset()
        more, missing, failed = told_apart(
            await self._get(dict.fromkeys((id for id in silent if id not in opened), ("id", *self._witness)))
        )
        witnesses = [*more, *(one for one in strange if one.id not in silent)]
        named = await self._store.read(_those_that_name_us, self._watched, witnesses)
        foreign = await self._read_reports([one for one in witnesses if one.id not in named])
        reported = await self._store.read(_those_that_report_ours, self._watched, foreign.reports)
        missing, failed, named = missing | foreign.missing, failed | foreign.failed, named | reported
        wanted = [message.id for message in mail if message.id in tied | named]
        seen = {one.id: one.internet_message_headers for one in (*mail, *more) if one.internet_message_headers}
        ours, missing_now, failed_now = await self._read_whole(wanted, seen)
        own = await self._read_reports([one for one in ours if one.id not in foreign.reports])
        return Sifted(
            ours=(*recognised, *ours),
            known=known,
            unrelated=tuple(one for one in mail if one.id not in known | tied | named | missing | failed),
            missing=missing | missing_now,
            failed=failed | failed_now,
            history=await self._history(message for message in ours if message.id in named - reported),
            reports={**foreign.reports, **as_shown(ours, own), **own.reports},
            words=await asyncio.to_thread(wordings_of, ours) if ours else {},
        )

    @property
    def _witness(self) -> tuple[str, ...]:
        """Asked of those who did not say it. In Sent Items it is our tag, which is no property to select."""
        return (HEADERS,) if self._watched.is_inbox else ()

    async def _read_whole(
        self, ids: Sequence[str], seen: Mapping[str, Headers]
    ) -> tuple[list[Message], frozenset[str], frozenset[str]]:
        """`seen` has the headers that were shown already: a mail keeps them as it came, so they are not asked again."""
        asked = {id: WHOLE if id in seen else (*WHOLE, HEADERS) for id in ids}
        found, missing, failed = told_apart(await self._get(asked))
        whole: list[Message] = []
        for message in found:
            headers = seen.get(message.id, message.internet_message_headers)
            try:
                attachments = await self._attachments(message)
            except NotFound:
                missing |= {message.id}
            except GraphError as error:
                log.warning("attachments not listed", extra={"graph_id": message.id, **error.log_fields()})
                if error.transient:
                    failed |= {message.id}
                else:  # the mail without their names is better than no mail
                    whole.append(replace(message, internet_message_headers=headers))
            else:
                whole.append(replace(message, internet_message_headers=headers, attachments=attachments))
        return whole, missing, failed

    async def _read_reports(self, some: Sequence[Message]) -> Reported:
        if not self._watched.is_inbox:
            return Reported()
        return await read_reports(self._graph, self._watched.mailbox.user, some)

    async def _attachments(self, message: Message) -> tuple[AttachmentInfo, ...]:
        """`hasAttachments` is false when all of them are inline: https://learn.microsoft.com/graph/api/resources/message"""
        inline = message.body is not None and "cid:" in message.body.content
        if not message.has_attachments and not inline:
            return ()
        return tuple(await self._graph.list_attachments(self._watched.mailbox.user, message.id))

    async def _get(self, selected: Mapping[str, tuple[str, ...]]) -> dict[str, Message | GraphError]:
        """Messages by id, of each what is selected."""
        expand = (MESSAGE_CLASS,) if self._watched.is_inbox else (TAG, MESSAGE_CLASS)
        requests = [MessageRequest(id=id, select=select, expand_properties=expand) for id, select in selected.items()]
        if not requests:
            return {}
        outcomes = await self._graph.get_messages(self._watched.mailbox.user, requests)
        for id, outcome in outcomes.items():
            if isinstance(outcome, GraphError) and not isinstance(outcome, NotFound):
                log.warning("message not read", extra={"graph_id": id, **outcome.log_fields()})
        return outcomes

    async def _history(self, named: Iterable[Message]) -> dict[str, tuple[Message, ...]]:
        history: dict[str, tuple[Message, ...]] = {}
        conversations = {message.conversation_id for message in named if message.conversation_id}
        for conversation_id in conversations if self._watched.is_inbox else ():
            try:
                found = await self._graph.find_by_conversation(self._watched.mailbox.user, conversation_id)
            except GraphError as error:
                if error.transient:
                    raise
                log.warning("conversation not searched", extra={"folder_id": self._watched.folder.id})
                continue
            history[conversation_id] = tuple(found)
        return history


def told_apart(
    outcomes: Mapping[str, Message | GraphError],
) -> tuple[list[Message], frozenset[str], frozenset[str]]:
    """The messages, the ids of those that are not there, and of those that could not be read.

    One that cannot be read never keeps the others: it is looked at again, alone, later.
    """
    found = [outcome for outcome in outcomes.values() if isinstance(outcome, Message)]
    errors = {id: outcome for id, outcome in outcomes.items() if isinstance(outcome, GraphError)}
    missing = frozenset(id for id, error in errors.items() if isinstance(error, NotFound))
    failed = frozenset(errors) - missing
    return found, missing, failed


def _what_we_know(
    tx: Transaction, watched: Watched, mail: Sequence[Message]
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The ids of mail that is stored and needs nothing more; of letters of ours whose Sent copy this is, of which we
    know all that it says; and of mail that is tied to us by its own ids."""
    known, letters, tied = set(), set(), set()
    for message in mail:
        stored = identities.by_graph_id(tx, watched.mailbox.id, message.id)
        if stored is not None and (watched.is_inbox or stored.status in SETTLED):
            known.add(message.id)
        elif not watched.is_inbox and _is_letter(tx, watched, message, stored):
            letters.add(message.id)
        elif stored is not None or is_tied(tx, watched, message):
            tied.add(message.id)
    return frozenset(known), frozenset(letters), frozenset(tied)


def _settled(tx: Transaction, watched: Watched, ids: Iterable[str]) -> frozenset[str]:
    """Those of these ids that are stored and need nothing more."""
    found = {id: identities.by_graph_id(tx, watched.mailbox.id, id) for id in ids}
    return frozenset(id for id, stored in found.items() if stored and (watched.is_inbox or stored.status in SETTLED))


def _is_letter(tx: Transaction, watched: Watched, message: Message, stored: messages.Message | None) -> bool:
    """By our tag, or by the id that its draft had."""
    tag = message.extended_property(TAG)
    letter = outbox.by_send_uid(tx, watched.mailbox.account_id, tag) if tag else None
    if letter is not None:
        return letter.mailbox_id == watched.mailbox.id
    return stored is not None and stored.status is not None


def is_tied(tx: Transaction, watched: Watched, message: Message) -> bool:
    """Whether a mail's own ids tie it to us: its conversation, or being a copy of what is stored."""
    if message.conversation_id and threads.by_conversation(tx, watched.mailbox.id, message.conversation_id):
        return True
    message_id = usable_message_id(message.internet_message_id)
    return message_id is not None and bool(
        identities.by_internet_message_id(tx, watched.mailbox.account_id, message_id)
    )


def _those_that_name_us(tx: Transaction, watched: Watched, witnesses: Sequence[Message]) -> frozenset[str]:
    """Of these, read with headers or tag: who names a letter of ours."""
    return frozenset(
        message.id
        for message in witnesses
        if message.extended_property(TAG) or letters_named(tx, watched.mailbox.account_id, message)
    )


def _those_that_report_ours(tx: Transaction, watched: Watched, reports: Mapping[str, Report]) -> frozenset[str]:
    """Of these, whose report is about a letter of ours."""
    account_id = watched.mailbox.account_id
    return frozenset(id for id, report in reports.items() if letters_reported(tx, account_id, report))


def letters_reported(tx: Transaction, account_id: str, report: Report) -> list[Named]:
    """What of ours a report is about: by our own header, else by the Message-ID in what it returns."""
    letter = outbox.by_send_uid(tx, account_id, report.send_uid) if report.send_uid else None
    if letter is not None:
        return [Named(id=letter.message_id, thread_id=letter.thread_id, internet_message_id="")]
    return identities.named_by(tx, account_id, report.message_ids)


def letters_named(tx: Transaction, account_id: str, message: Message) -> list[Named]:
    """The letters of ours that a mail says it answers, nearest first."""
    named = references(message.internet_message_headers or ())
    if not named:
        return []
    return sorted(
        identities.named_by(tx, account_id, named), key=lambda letter: named.index(letter.internet_message_id)
    )
