"""Linking: a conversation that exists in a mailbox, and that no letter of ours began, becomes a thread.

Staff ask for it, so what is in it is ours from now on, and whoever wrote or was written to in it takes part. Its mail
comes by the one way that all mail comes: each of them is a hint.
"""

import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.graph import BadRequest, GraphError, MailFolder, Message, MessageRequest, NotFound
from gateway.sending.posted import MailboxNotValidated, UnknownMailbox
from gateway.threads.elsewhere import DELETED_ITEMS
from gateway.threads.erased import conversation_is_erased
from gateway.threads.rounds import HISTORY
from gateway.threads.sift import told_apart
from gateway.threads.storing import people
from storage import Conflict, Store, Transaction, events, folders, hints, identities, mailboxes, threads
from storage import NotFound as NotStored
from storage.folders import WellKnown
from storage.hints import NewHint
from storage.mailboxes import Mailbox, MailboxState
from storage.threads import Address, Object

log = logging.getLogger(__name__)

ERASED: Final = "This conversation was erased here, or was older than the school keeps threads: it stays away."
PEOPLE: Final = ("id", "subject", "isDraft", "sentDateTime", "from", "toRecipients", "ccRecipients", "bccRecipients")


class Ambiguous(Exception):
    """More than one conversation answers to what was given; the text says what to do."""


class MailFinder(Protocol):
    """Finding mail in one tenant's mailboxes. Raises GraphError and TokenError."""

    async def get_folder(self, user: str, folder: str) -> MailFolder: ...

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]: ...

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Message]: ...

    async def get_messages(self, user: str, requests: Sequence[MessageRequest]) -> dict[str, Message | GraphError]: ...


class GraphSource(Protocol):
    """Where an account's client comes from. Raises NotConnected."""

    async def graph(self, account_id: str) -> MailFinder: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What Graph has of a conversation, and who takes part in it. Drafts are no mail, nor what was deleted."""

    id: str
    subject: str
    mail: tuple[Message, ...]
    participants: tuple[Address, ...]


class Linking:
    """Makes threads of conversations that are in validated mailboxes."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def link(
        self,
        account_id: str,
        address: str,
        objects: Sequence[Object],
        *,
        conversation_id: str | None = None,
        internet_message_id: str | None = None,
    ) -> str:
        """The thread of the conversation that one of the two names; the same one when it is asked for again.

        Raises `NotFound` when the mailbox has no such mail, `Ambiguous` when the Message-ID stands in several
        conversations, `Conflict` when the conversation is a thread about something else, `UnknownMailbox`,
        `MailboxNotValidated`, NotConnected, GraphError and TokenError.
        """
        mailbox = await self._store.read(_validated, account_id, address)
        graph = await self._graphs.graph(account_id)
        if conversation_id is None:
            conversation_id = await _named_by(graph, mailbox, internet_message_id or "")
        if (known := await self._store.read(_known, mailbox, conversation_id, objects)) is not None:
            return known
        found = await _read(graph, mailbox, conversation_id)
        thread_id = await self._store.write(_link, mailbox, found, objects, now=self._clock.now())
        log.info("conversation linked", extra={"thread_id": thread_id, "mails": len(found.mail)})
        return thread_id


def _validated(tx: Transaction, account_id: str, address: str) -> Mailbox:
    try:
        mailbox = mailboxes.get_by_address(tx, account_id, address)
    except NotStored:
        raise UnknownMailbox.named(address) from None
    if mailbox.state is not MailboxState.VALIDATED:
        raise MailboxNotValidated(f"{address} is not validated, so its mail is not watched.")
    return mailbox


async def _named_by(graph: MailFinder, mailbox: Mailbox, internet_message_id: str) -> str:
    """The conversation of the mail with this Message-ID."""
    found = await _sought(graph.find_by_internet_message_id(mailbox.user, internet_message_id))
    named = {one.conversation_id for one in found if one.conversation_id and not one.is_draft}
    if not named:
        raise NotStored(f"The mailbox {mailbox.address} has no mail with this Message-ID.")
    if len(named) > 1:
        raise Ambiguous("Mails of several conversations have this Message-ID. Name one by its conversation_id.")
    return named.pop()


async def _read(graph: MailFinder, mailbox: Mailbox, conversation_id: str) -> Conversation:
    """Ask for the conversation, then for who is in it: a search tells no names."""
    found = await _sought(graph.find_by_conversation(mailbox.user, conversation_id))
    mail = [one for one in found if not one.is_draft]
    if mail:
        deleted_items = await graph.get_folder(mailbox.user, DELETED_ITEMS)
        mail = [one for one in mail if one.parent_folder_id != deleted_items.id]
    if not mail:
        raise NotStored(f"The mailbox {mailbox.address} has no mail of this conversation.")
    outcomes = await graph.get_messages(mailbox.user, [MessageRequest(id=one.id, select=PEOPLE) for one in mail])
    read, _, _ = told_apart(outcomes)
    if trouble := next((one for one in outcomes.values() if isinstance(one, GraphError) and one.transient), None):
        raise trouble  # a thread that knows only some of its people would hold the others' mail for review
    read.sort(key=lambda one: (one.sent_at is None, one.sent_at, one.id))
    return Conversation(
        id=conversation_id,
        subject=next((one.subject for one in read if one.subject), ""),
        mail=tuple(mail),
        participants=_participants(read, mailbox),
    )


async def _sought(search: Awaitable[list[Message]]) -> list[Message]:
    """What was found. An id that is none of Graph's finds nothing."""
    try:
        return await search
    except (BadRequest, NotFound):
        return []


def _participants(read: Iterable[Message], mailbox: Mailbox) -> tuple[Address, ...]:
    """Everybody but the mailbox itself, each once, as the latest mail names them."""
    everybody = {
        person.address.casefold(): person
        for one in read
        for group in ((one.from_,) if one.from_ else (), one.to or (), one.cc or (), one.bcc or ())
        for person in people(tuple(group))
    }
    return tuple(person for address, person in everybody.items() if address != mailbox.address.casefold())


def _known(tx: Transaction, mailbox: Mailbox, conversation_id: str, objects: Sequence[Object]) -> str | None:
    """The thread that the conversation is already. Raises `Conflict` when that is about something else."""
    thread_id = threads.by_conversation(tx, mailbox.id, conversation_id)
    if thread_id is not None and not set(objects) <= set(threads.objects_of(tx, thread_id)):
        raise Conflict(
            f"This conversation is the thread {thread_id} already, which is not about all of these records. "
            "Link them to that thread."
        )
    return thread_id


def _link(tx: Transaction, mailbox: Mailbox, found: Conversation, objects: Sequence[Object], *, now: datetime) -> str:
    account_id = mailbox.account_id
    if (known := _known(tx, mailbox, found.id, objects)) is not None:  # somebody was faster
        return known
    if conversation_is_erased(tx, mailbox, found.id):
        raise Conflict(ERASED)
    thread_id = threads.create(tx, account_id, mailbox.id, subject=found.subject, now=now)
    threads.link(tx, account_id, thread_id, objects)
    threads.add_participants(tx, account_id, thread_id, found.participants)
    threads.add_conversation(tx, account_id, thread_id, mailbox_id=mailbox.id, conversation_id=found.id, now=now)
    hints.insert(tx, _history(tx, mailbox, found), now=now)
    events.record(tx, account_id, "thread.linked", thread_id=thread_id, data={"mails": len(found.mail)}, now=now)
    return thread_id


def _history(tx: Transaction, mailbox: Mailbox, found: Conversation) -> list[NewHint]:
    """A hint for each mail, of the folder it is in, and of the Inbox where that one is not watched.

    `elsewhere` would not find what lies in other folders: it asks for conversations that are alive.
    """
    watched = folders.of_mailbox(tx, mailbox.id)
    by_graph_folder = {folder.folder_id: folder.id for folder in watched}
    inboxes = [folder.id for folder in watched if folder.well_known is WellKnown.INBOX]
    return [
        NewHint(
            account_id=mailbox.account_id,
            folder_id=by_graph_folder.get(one.parent_folder_id or "", inbox),
            change_type=HISTORY,
            message_id=one.id,
        )
        for inbox in inboxes
        for one in found.mail
        if identities.by_graph_id(tx, mailbox.id, one.id) is None
    ]
