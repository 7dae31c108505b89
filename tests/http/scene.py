"""A gateway's HTTP surface with one connected school in a real database, and fakes for the rooms behind it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
from starlette.types import ASGIApp

import storage
from gateway.graph import Credential, TokenError
from gateway.host.webhooks import HostWebhooks
from gateway.http.app import create_app
from gateway.http.auditing import Trail
from gateway.http.door import Door
from gateway.http.services import Services
from gateway.pace import Pace
from gateway.privacy.desk import PrivacyDesk
from gateway.readiness import Part, Readiness
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration, configure
from gateway.setup.confinement import ConfinementWatch
from gateway.setup.report import Check, Report, Verdict
from gateway.setup.rotation import Rotation
from gateway.setup.self_test import Noticing, begin
from gateway.setup.test_message import send_test_message
from gateway.setup.validating import ask
from gateway.threads.attachments import PLACED, Download
from gateway.threads.linking import Linking
from storage import Transaction, accounts, api_keys, mailboxes
from storage.api_keys import Scope
from storage.mailboxes import Mailbox
from storage.messages import Attachment, Placement
from storage.round_trips import Kind, RoundTrip
from storage.vault import MasterKey
from subscriptions.receiver import Receipt
from tests.fakes.clock import FakeClock
from tests.fakes.mail import FakeMail
from tests.setup.fakes import FakeConnections

MAILBOX = "admissions@school.example"
UNPROVED = "library@school.example"
TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
CLIENT = "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11"
ALL_SCOPES = frozenset(Scope)

WELL = Check(name="token", verdict=Verdict.OK, tried="We asked Entra for a token.", found="It gave one.")
UNWELL = Check(name="mail", verdict=Verdict.FAIL, tried="We read.", found="Refused.", cure="Grant Mail.ReadWrite.")


class FakeEntra:
    """Gives a token by every credential, or refuses each for the same reason."""

    def __init__(self) -> None:
        self.refuses: TokenError | None = None

    async def try_out(self, account_id: str, credential: Credential) -> str:
        if self.refuses is not None:
            raise self.refuses
        return "token"


class FakeSetup:
    """Stores what setting up stores, and asks Microsoft nothing."""

    def __init__(self, store: storage.Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.report = Report(checks=(WELL,))
        self.key = MasterKey.new()
        self.fails: Exception | None = None
        self.entra = FakeEntra()
        self.microsoft = FakeConnections()
        self.confinement = ConfinementWatch(store, self.microsoft, clock)
        self.rotation = Rotation(store, self.entra, clock, self.key)

    async def configure_account(self, account_id: str, configuration: AccountConfiguration) -> None:
        await self.store.write(configure, account_id, configuration, key=self.key, now=self.clock.now())

    async def check(self, account_id: str) -> Report:
        if self.fails is not None:
            raise self.fails
        return self.report

    async def add_mailbox(self, account_id: str, address: str) -> Mailbox:
        return await self.store.write(mailboxes.add, account_id, address, now=self.clock.now())

    async def validate_mailbox(self, account_id: str, address: str) -> Report:
        mailbox = await self.store.read(mailboxes.get_by_address, account_id, address)
        await self.store.write(
            mailboxes.mark_validated, mailbox.id, user_id="u-1", display_name="Library", now=self.clock.now()
        )
        return self.report

    async def validate_mailboxes(self, account_id: str, addresses: Sequence[str]) -> str:
        return await self.store.write(ask, account_id, addresses, now=self.clock.now())

    async def remove_mailbox(self, account_id: str, address: str) -> None:
        mailbox = await self.store.read(mailboxes.get_by_address, account_id, address)
        await self.store.write(mailboxes.mark_removed, mailbox.id)

    async def send_test_message(self, account_id: str, address: str, to: str | None) -> str:
        return await send_test_message(self.store, self.clock, account_id, address, to)

    async def start_round_trip(self, account_id: str, address: str, to: str | None) -> RoundTrip:
        noticing = Noticing(is_live=True, sweeps=timedelta(minutes=10))
        return await self.store.write(
            begin, account_id, address, to, kind=Kind.ASKED, noticing=noticing, now=self.clock.now()
        )


class FakeReceiver:
    """Remembers what came, and does whatever `then` does."""

    def __init__(self) -> None:
        self.came: list[bytes] = []
        self.then: Callable[[], Awaitable[None]] | None = None
        self.receipt = Receipt(kept=0, refused=0, ignored=0)

    async def receive(self, body: bytes) -> Receipt:
        if self.then is not None:
            await self.then()
        self.came.append(body)
        return self.receipt

    def take(self, body: bytes, *, traceparent: str) -> None:
        """It has time for tasks."""


class FakeAttachments:
    """Gives its account what `holds` has for (message id, attachment id), or fails as it is told."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.holds: dict[tuple[str, str], tuple[Attachment, list[bytes]]] = {}
        self.fails: Exception | None = None
        self.breaks: Exception | None = None
        self.closed = 0

    async def open(
        self, account_id: str, message_id: str, attachment_id: str, *, placements: Set[Placement] = PLACED
    ) -> Download:
        if self.fails is not None:
            raise self.fails
        found = self.holds.get((message_id, attachment_id))
        if found is None or account_id != self.account_id:
            raise storage.NotFound("There is no such attachment.")
        attachment, chunks = found
        rest = self._rest(chunks)
        return Download(attachment=attachment, first=await anext(rest, b""), rest=rest)

    async def _rest(self, chunks: list[bytes]) -> AsyncGenerator[bytes, None]:
        try:
            for chunk in chunks:
                yield chunk
            if self.breaks is not None:
                raise self.breaks
        finally:
            self.closed += 1


@dataclass
class FakeReadiness:
    parts: tuple[Part, ...] = (Part(name="store", ok=True, detail="The database can be written."),)

    async def readiness(self) -> Readiness:
        return Readiness(parts=self.parts)


@dataclass
class Scene:
    """What a test of the HTTP surface looks at and pushes."""

    store: storage.Store
    clock: FakeClock
    services: Services
    setup: FakeSetup
    receiver: FakeReceiver
    attachments: FakeAttachments
    readiness: FakeReadiness
    mail: FakeMail
    account_id: str
    key: str
    app: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.services)

    def client(self, key: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client with this key, or with no key when it is empty; by default one that may do all."""
        value = self.key if key is None else key
        sent = ({"authorization": f"Bearer {value}"} if value else {}) | headers
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=sent)

    async def new_key(self, *scopes: Scope, account_id: str | None = None) -> str:
        value = api_keys.new_value()
        await self.store.write(
            api_keys.create,
            account_id or self.account_id,
            name="SELMA",
            scopes=frozenset(scopes),
            value=value,
            now=self.clock.now(),
        )
        return value

    async def new_account(self, name: str) -> str:
        """Another school on the same gateway, with the same mailbox addresses."""
        return await self.store.write(_a_school, name, now=self.clock.now())

    def with_settings(self, **changes: Any) -> "Scene":
        return replace(self, services=replace(self.services, settings=replace(self.services.settings, **changes)))

    async def rows(self) -> Mapping[str, int]:
        """How many rows each table has: what "nothing was stored" is measured by."""
        return await self.store.read(_count_rows)


def _count_rows(tx: Transaction) -> dict[str, int]:
    tables = [row["name"] for row in tx.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: tx.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def _a_school(tx: Transaction, name: str, *, now: Any) -> str:
    account = accounts.add(tx, name, now=now)
    proved = mailboxes.add(tx, account.id, MAILBOX, now=now)
    mailboxes.mark_validated(tx, proved.id, user_id="u-admissions", display_name="Admissions", now=now)
    mailboxes.add(tx, account.id, UNPROVED, now=now)
    return account.id


async def build(store: storage.Store, clock: FakeClock) -> Scene:
    """A school with one validated mailbox and one that is not, and a key that may do all."""
    account_id = await store.write(_a_school, "SELMA", now=clock.now())
    setup, receiver, readiness = FakeSetup(store, clock), FakeReceiver(), FakeReadiness()
    mail = FakeMail()
    given = FakeAttachments(account_id)
    services = Services(
        store=store,
        clock=clock,
        settings=Settings(),
        setup=setup,
        linking=Linking(store, mail, clock),
        webhooks=HostWebhooks(store, setup.key, clock),
        receiver=receiver,
        attachments=given,
        door=Door(Pace()),
        trail=Trail(store, clock),
        privacy=PrivacyDesk.on(store, mail, clock),
        readiness=readiness,
        session_key=b"k" * 32,
        stopping=asyncio.Event(),
    )
    scene = Scene(
        store=store,
        clock=clock,
        services=services,
        setup=setup,
        receiver=receiver,
        attachments=given,
        readiness=readiness,
        mail=mail,
        account_id=account_id,
        key="",
    )
    scene.key = await scene.new_key(*ALL_SCOPES)
    return scene


def a_letter(**changes: Any) -> dict[str, Any]:
    """The body of a good letter, with changes; a change to `...` leaves the field out."""
    letter = {
        "from": MAILBOX,
        "to": [{"name": "Aroha Ngata", "address": "aroha@student.example"}],
        "subject": "Your enrolment",
        "html": "<p>Kia ora</p>",
        "objects": [{"type": "enrolment", "id": "E77"}, {"type": "student", "id": "S1001"}],
        "created_by": "Jane Doe",
    } | changes
    return {name: value for name, value in letter.items() if value is not ...}
