"""The state of a Microsoft 365 tenant, and the hands with which a test or a person moves it."""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from gateway.sandbox.agenda import Agenda
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import Clock
from gateway.sandbox.correspondents import Correspondent, Correspondents
from gateway.sandbox.directory import Directory
from gateway.sandbox.identity import Identities
from gateway.sandbox.ledger import LedgerEntry
from gateway.sandbox.limits import Limits
from gateway.sandbox.mailbox import Event, Mailbox
from gateway.sandbox.model import Address, App, Attachment, Body, Letter, MailboxKind, Message, User
from gateway.sandbox.postoffice import PostOffice
from gateway.sandbox.subscriptions import Subscription, Subscriptions


class World:
    """One tenant: its directory, its mailboxes, its subscriptions, and the people outside it."""

    def __init__(self, *, clock: Clock, agenda: Agenda, behaviour: Behaviour, seed: int | str) -> None:
        self.clock = clock
        self.behaviour = behaviour
        self.identities = Identities(seed)
        self.lots = random.Random(f"{seed}/lots")  # noqa: S311 - nothing here guards anything
        """Decides what befalls a share of mail and notifications, so that runs repeat."""
        self.directory = Directory(clock=clock, identities=self.identities)
        self.correspondents = Correspondents()
        self.mailboxes: dict[str, Mailbox] = {}
        """By every address they have, in lower case, and by user id."""
        self.listeners: list[Callable[[Event], None]] = []
        self.subscriptions = Subscriptions(clock=clock)
        self.limits = Limits(clock=clock, behaviour=lambda: self.behaviour)
        """How busy the mailboxes were, and what was refused."""
        self.post = PostOffice(
            clock=clock,
            identities=self.identities,
            agenda=agenda,
            behaviour=lambda: self.behaviour,
            mailboxes=self.mailboxes,
            correspondents=self.correspondents,
            limits=self.limits,
            lots=self.lots,
        )

    # The tenant

    @property
    def tenant(self) -> str:
        """The tenant's id."""
        return self.directory.tenant_id

    @property
    def ledger(self) -> list[LedgerEntry]:
        """Every message really sent, in order."""
        return self.post.ledger

    def add_app(self, display_name: str = "SELMA", *, roles: Iterable[str] = ()) -> App:
        """Register an app and grant it these application permissions."""
        return self.directory.add_app(display_name, roles=roles)

    def add_secret(self, app: App, expires_at: datetime) -> str:
        """Give an app one more client secret and return its value."""
        return self.directory.add_secret(app, expires_at)

    def restrict(self, app: App, mailboxes: Iterable[str] | None) -> None:
        """Set an application access policy: only these mailboxes, or None for no policy."""
        app.allowed_mailboxes = None if mailboxes is None else frozenset(address.lower() for address in mailboxes)

    def scope(self, app: App, mailboxes: Iterable[str] | None) -> None:
        """Give it rights to these mailboxes by RBAC for Applications, or None: to none. Entra's grants stay."""
        app.scoped_mailboxes = None if mailboxes is None else frozenset(address.lower() for address in mailboxes)

    def add_user(
        self,
        address: str,
        display_name: str,
        *,
        licensed: bool = True,
        shared: bool = False,
        kind: MailboxKind | None = None,
        user_principal_name: str | None = None,
        aliases: Sequence[str] = (),
    ) -> User:
        """Add a user with a mailbox. Without a licence the mailbox is not served; a shared one cannot sign in.

        `kind` says it in one word, and says more.
        """
        user = self.directory.add_user(
            address,
            display_name,
            kind=kind or _kind(licensed=licensed, shared=shared),
            user_principal_name=user_principal_name,
            aliases=aliases,
        )
        mailbox = Mailbox(user, identities=self.identities, clock=self.clock, listener=self._tell)
        for key in (user.id, user.mail, user.user_principal_name, *user.aliases):
            self.mailboxes[key.lower()] = mailbox
        return user

    def mailbox(self, address: str) -> Mailbox:
        """By address or user id. Raises KeyError if there is none."""
        return self.mailboxes[address.lower()]

    def delete_user(self, address: str) -> User:
        """Soft-delete the user, and its mailbox with it. Raises KeyError."""
        user = self.mailbox(address).user
        self.directory.delete(user)
        return user

    def restore_user(self, address: str) -> User:
        """Take that back. Raises KeyError."""
        user = self.mailbox(address).user
        self.directory.restore(user)
        return user

    # Mail

    def deliver(
        self,
        mailbox_address: str,
        *,
        from_: str | Address,
        subject: str = "",
        html: str | None = None,
        text: str | None = None,
        to: Sequence[str] = (),
        in_reply_to: str | None = None,
        references: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        conversation_id: str | None = None,
        internet_message_id: str | None = None,
        attachments: Sequence[Attachment] = (),
        folder: str = "inbox",
        message_class: str = "IPM.Note",
        mime: bytes | None = None,
    ) -> Message:
        """Let mail from outside arrive. `conversation_id` puts it into that conversation whatever its headers say."""
        mailbox = self.mailbox(mailbox_address)
        sender = Address(address=from_) if isinstance(from_, str) else from_
        if not references and in_reply_to:
            references = (in_reply_to,)
        letter = Letter(
            sent_at=self.clock.now(),
            internet_message_id=internet_message_id or self._outside_message_id(sender),
            from_=sender,
            to=tuple(Address(address=address) for address in to)
            or (Address(name=mailbox.user.display_name, address=mailbox.user.mail),),
            envelope=(mailbox_address,),
            subject=subject,
            body=Body(content_type="text", content=text)
            if html is None and text is not None
            else Body(content=html or ""),
            in_reply_to=in_reply_to,
            references=tuple(references),
            headers=tuple(headers),
            attachments=tuple(attachments),
            message_class=message_class,
            mime=mime,
        )
        index = _index_of(mailbox, conversation_id)
        return self.post.receive(mailbox, letter, folder=folder, conversation_index=index)

    def reply_to(self, message: Message, text: str, *, from_: str | None = None) -> Letter:
        """Let a recipient answer a sent message at once: the first one, or the one at `from_`."""
        recipient = next(p for p in message.recipients if from_ is None or p.address.lower() == from_.lower())
        if message.from_ is None:
            raise ValueError("this message has no sender to answer to")
        known = {person.address.lower(): person for person in self.correspondents}
        person = known.get(recipient.address.lower()) or Correspondent(
            address=recipient.address, name=recipient.name or recipient.address
        )
        letter = Letter(
            sent_at=message.sent_date_time,
            internet_message_id=message.internet_message_id,
            from_=message.from_,
            to=message.to,
            cc=message.cc,
            reply_to=message.reply_to,
            envelope=(recipient.address,),
            subject=message.subject,
            body=message.body,
            references=message.references,
        )
        reply = Correspondent(address=person.address, name=person.name, says=(text,), style=person.style).answer(
            letter, turn=0, now=self.clock.now(), identities=self.identities
        )
        if reply is None:
            raise ValueError("nobody answers a machine")
        self.post.carry(reply)
        return reply

    # What Graph forgets

    def expire_delta_tokens(self, mailbox_address: str, folder: str = "inbox") -> None:
        """Make every delta and next link of this folder dead."""
        mailbox = self.mailbox(mailbox_address)
        found = mailbox.folder(folder)
        if found is None:
            raise KeyError(folder)
        mailbox.log(found.id).generation += 1

    def remove_subscription(self, subscription_id: str) -> Subscription:
        """Let a subscription vanish without a word. `Sandbox.tell_lifecycle` says it aloud."""
        return self.subscriptions.remove(subscription_id)

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _outside_message_id(self, sender: Address) -> str:
        return f"<{self.identities.token(18)}@mail.{sender.address.rpartition('@')[2]}>"


def _kind(*, licensed: bool, shared: bool) -> MailboxKind:
    if not licensed:
        return MailboxKind.UNLICENSED
    return MailboxKind.SHARED if shared else MailboxKind.USER


def _index_of(mailbox: Mailbox, conversation_id: str | None) -> bytes | None:
    if conversation_id is None:
        return None
    members = mailbox.in_conversation(conversation_id)
    if not members:
        raise KeyError(conversation_id)
    return members[0].conversation_index
