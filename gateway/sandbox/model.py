"""The nouns of a Microsoft 365 tenant, as far as mail needs them. Names are Graph's, in snake_case."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(slots=True, kw_only=True)
class Secret:
    """A client secret: one of `passwordCredentials`."""

    key_id: str
    value: str
    end_date_time: datetime


@dataclass(slots=True, kw_only=True)
class AppCertificate:
    """A certificate that was uploaded: one of `keyCredentials`. `thumbprint` is the SHA-256 of its DER form, in hex."""

    key_id: str
    thumbprint: str
    public_key: rsa.RSAPublicKey
    end_date_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedCredential:
    """Whose assertions stand for the app. The issuer's public key is given, for nothing is fetched here."""

    key_id: str
    issuer: str
    subject: str
    audience: str
    public_key: rsa.RSAPublicKey


@dataclass(slots=True, kw_only=True)
class App:
    """An app registration with its service principal. `roles` are the application permissions an admin granted."""

    app_id: str
    object_id: str
    display_name: str
    roles: frozenset[str]
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[AppCertificate] = field(default_factory=list)
    federated: list[FederatedCredential] = field(default_factory=list)
    is_enabled: bool = True
    allowed_mailboxes: frozenset[str] | None = None
    """Lower-case addresses that an application access policy leaves it; None: there is no such policy."""
    scoped_mailboxes: frozenset[str] | None = None
    """Lower-case addresses within the scope of RBAC for Applications, whose rights no token tells of; None: none are
    given so. Rights granted in Entra come on top, without any scope (exo/permissions-exo/application-rbac)."""


class MailboxKind(StrEnum):
    """What stands behind a user. Only the first two are served."""

    USER = "user"
    SHARED = "shared"
    UNLICENSED = "unlicensed"
    ON_PREMISES = "on_premises"
    INACTIVE = "inactive"
    """The user has a licence, its mailbox is soft-deleted or on hold."""
    GUEST = "guest"


@dataclass(slots=True, kw_only=True)
class User:
    """A directory user. A shared mailbox has one too, with sign-in disabled."""

    id: str
    display_name: str
    given_name: str | None
    surname: str | None
    mail: str
    user_principal_name: str
    account_enabled: bool = True
    kind: MailboxKind = MailboxKind.USER
    aliases: tuple[str, ...] = ()
    deleted_date_time: datetime | None = None

    @property
    def is_licensed(self) -> bool:
        """Whether its mailbox is served by Exchange Online."""
        return self.kind in (MailboxKind.USER, MailboxKind.SHARED) and self.deleted_date_time is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A Graph `emailAddress`."""

    name: str | None = None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A Graph `itemBody`; `content_type` is "html" or "text"."""

    content_type: str = "html"
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A Graph `fileAttachment`; or an `itemAttachment`, whose `content` is its MIME, or a `referenceAttachment`.

    A `kind` is what stands before "Attachment" in the type's name.
    """

    id: str
    name: str
    content_type: str
    content: bytes
    is_inline: bool = False
    content_id: str | None = None
    content_location: str | None = None
    kind: str = "file"
    last_modified_date_time: datetime

    @property
    def size(self) -> int:
        """In bytes. Exchange counts its own overhead too."""
        return len(self.content) + len(self.name) * 2 + 120


@dataclass(slots=True, kw_only=True)
class Message:
    """One item of one mailbox. `id` is the default id, which changes whenever the item moves."""

    id: str
    immutable_id: str
    change_key: str
    folder_id: str
    created_date_time: datetime
    last_modified_date_time: datetime
    received_date_time: datetime
    sent_date_time: datetime
    subject: str = ""
    body: Body = Body()
    unique_body: Body | None = None
    """What this message adds to its conversation; None: all of it."""
    sender: Address | None = None
    from_: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    importance: str = "normal"
    inference_classification: str = "focused"
    categories: tuple[str, ...] = ()
    flag_status: str = "notFlagged"
    added_date_time: datetime | None = None
    """When this item came into its mailbox; the copy in Sent Items is another item than its draft."""
    is_read: bool = True
    is_draft: bool = False
    is_delivery_receipt_requested: bool = False
    is_read_receipt_requested: bool = False
    internet_message_id: str = ""
    conversation_id: str = ""
    conversation_index: bytes = b""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Of mail that came: all of them as they came. Of our own: the x- headers that it was made with."""
    extended_properties: dict[str, str] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    mime: bytes | None = None
    """The message as it came over the wire, where that says more than the fields, as in reports."""

    @property
    def recipients(self) -> tuple[Address, ...]:
        return (*self.to, *self.cc, *self.bcc)

    @property
    def has_attachments(self) -> bool:
        """Inline attachments do not count, as in Graph."""
        return any(not attachment.is_inline for attachment in self.attachments.values())


@dataclass(slots=True, kw_only=True)
class Folder:
    """A mail folder. `well_known_name` is None for a folder a person made."""

    id: str
    display_name: str
    parent_folder_id: str
    well_known_name: str | None = None
    is_hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message on its way between mailboxes: what SMTP carries, and nothing that belongs to one mailbox."""

    sent_at: datetime
    internet_message_id: str
    from_: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    envelope: tuple[str, ...]
    """The addresses it goes to, blind copies included."""
    subject: str = ""
    body: Body = Body()
    unique_body: Body | None = None
    importance: str = "normal"
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    thread_index: bytes | None = None
    """The conversation index, where the sender's program has one."""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    message_class: str = "IPM.Note"
    mime: bytes | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether a machine wrote it, so that no machine should answer (RFC 3834)."""
        marks = {name.lower(): value.lower() for name, value in self.headers}
        return self.message_class != "IPM.Note" or marks.get("auto-submitted", "no") != "no"
