"""What the routes need of the rest of the house. `main` fills it in; tests fill in fakes."""

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.backups.keeper import Standing
from gateway.clock import Clock
from gateway.host.webhooks import WithSecret
from gateway.http.auditing import Trail
from gateway.http.callers import Callers
from gateway.http.crowd import Crowd
from gateway.http.door import Door
from gateway.http.line import Line
from gateway.meters import Meters
from gateway.privacy.desk import PrivacyDesk
from gateway.readiness import Readiness
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration
from gateway.setup.confinement import ConfinementWatch
from gateway.setup.report import Report
from gateway.setup.rotation import Rotation
from gateway.space import Space
from gateway.threads.attachments import PLACED, Download
from gateway.threads.bodies import Bodies
from storage import Store
from storage.mailboxes import Mailbox
from storage.messages import Placement
from storage.round_trips import RoundTrip
from storage.threads import Object
from subscriptions.receiver import Receipt, Taken

__all__ = [
    "AccountConfiguration",
    "Attachments",
    "Linking",
    "ReadinessProbe",
    "Receiver",
    "Report",
    "Services",
    "Setup",
    "Webhooks",
]


class Setup(Protocol):
    """Connecting an account and its mailboxes. Unknown addresses raise `storage.NotFound`."""

    @property
    def rotation(self) -> Rotation:
        """The credentials of accounts."""
        ...

    @property
    def confinement(self) -> ConfinementWatch:
        """That the app opens no mailbox but ours."""
        ...

    async def configure_account(self, account_id: str, configuration: AccountConfiguration) -> None:
        """Store tenant, app and secret. Raises `BadConfiguration`, then nothing is stored."""
        ...

    async def check(self, account_id: str) -> Report:
        """Try the whole connection, step by step."""
        ...

    async def add_mailbox(self, account_id: str, address: str) -> Mailbox:
        """Raises `storage.AlreadyExists`."""
        ...

    async def validate_mailbox(self, account_id: str, address: str) -> Report:
        """Prove that the mailbox exists and can be read; its state is stored."""
        ...

    async def validate_mailboxes(self, account_id: str, addresses: Sequence[str]) -> str:
        """Ask for many at once; the id of a `storage.validations.Validation`. Raises `BadConfiguration`."""
        ...

    async def remove_mailbox(self, account_id: str, address: str) -> None:
        """No more letters and no more watching; its threads stay."""
        ...

    async def send_test_message(self, account_id: str, address: str, to: str | None) -> str:
        """Put a test letter into the outbox, by default to the mailbox itself; its message id."""
        ...

    async def start_round_trip(self, account_id: str, address: str, to: str | None) -> RoundTrip:
        """Send a letter and follow it back. Raises `MailboxNotValidated`, `BadConfiguration`."""
        ...


class Webhooks(Protocol):
    """The acts on webhooks that make a secret. Unknown ids raise `storage.NotFound`."""

    async def add(self, account_id: str, *, url: str, description: str | None, types: Sequence[str]) -> WithSecret:
        """Raises `storage.Conflict` when there are too many."""
        ...

    async def rotate_secret(self, account_id: str, webhook_id: str) -> WithSecret:
        """A new secret; the one before is good for another day."""
        ...


class Receiver(Protocol):
    """Where Graph's notifications go."""

    async def receive(self, body: bytes) -> Receipt:
        """As `subscriptions.receiver.Receiver.receive`, for both doors: what an item is, it says itself."""
        ...

    def take(self, body: bytes, *, traceparent: str) -> Taken | None:
        """As `subscriptions.receiver.Receiver.take`."""
        ...


class Linking(Protocol):
    """Makes threads of conversations."""

    async def link(
        self,
        account_id: str,
        address: str,
        objects: Sequence[Object],
        *,
        conversation_id: str | None = None,
        internet_message_id: str | None = None,
    ) -> str:
        """The id of the thread; see `gateway.threads.linking`."""
        ...


class Attachments(Protocol):
    """Where the bytes of attachments come from."""

    async def open(
        self, account_id: str, message_id: str, attachment_id: str, *, placements: Set[Placement] = PLACED
    ) -> Download:
        """As `AttachmentReader.open`."""
        ...


class ReadinessProbe(Protocol):
    """Looks whether the gateway can do its work."""

    async def readiness(self) -> Readiness:
        """Look now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`session_key` signs the cookies of people.

    `stopping` is set as soon as the process is asked to end, so that open streams end before the server waits.
    """

    store: Store
    clock: Clock
    settings: Settings
    setup: Setup
    linking: Linking
    webhooks: Webhooks
    receiver: Receiver
    attachments: Attachments
    door: Door
    trail: Trail
    privacy: PrivacyDesk
    readiness: ReadinessProbe
    session_key: bytes = field(repr=False)
    stopping: asyncio.Event
    running_since: datetime | None = None
    callers: Callers = field(default_factory=Callers)
    meters: Meters = field(default_factory=Meters)
    space: Space = field(default_factory=Space)
    crowd: Crowd = field(default_factory=Crowd)
    line: Line = field(default_factory=Line)
    bodies: Bodies = field(default_factory=Bodies)
    backups: Callable[[], Standing] = Standing.of_none
