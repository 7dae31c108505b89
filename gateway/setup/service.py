"""Setting up, as pages, API and command line ask for it: one object in front of the rooms beside it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from gateway.clock import Clock
from gateway.setup.account import AccountConfiguration, configure
from gateway.setup.check import ConnectionCheck
from gateway.setup.confinement import ConfinementWatch
from gateway.setup.connections import ConnectionSource
from gateway.setup.mailboxes import Mailboxes, Validation
from gateway.setup.outside import Outside
from gateway.setup.report import Report
from gateway.setup.rotation import Rotation
from gateway.setup.round_trip import RoundTrips
from gateway.setup.test_message import send_test_message
from gateway.setup.validating import Validating, ask
from storage import Store
from storage.mailboxes import Mailbox
from storage.round_trips import RoundTrip
from storage.vault import Key


class ProcessSettings(Protocol):
    """What setting up needs of the settings."""

    @property
    def public_url(self) -> str | None: ...

    @property
    def graph_url(self) -> str | None: ...

    @property
    def sweep_interval(self) -> timedelta: ...


class Setup:
    """Connecting an account and its mailboxes. `rotation` has the credentials, `confinement` the limits.

    `validating` and `round_trips` are to be run beside.
    """

    def __init__(
        self,
        store: Store,
        connections: ConnectionSource,
        clock: Clock,
        key: Key,
        settings: ProcessSettings,
        *,
        outside: Outside | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self.confinement = ConfinementWatch(store, connections, clock)
        self.rotation = Rotation(store, connections, clock, key)
        self._check = ConnectionCheck(
            store,
            connections,
            clock,
            public_url=settings.public_url,
            graph_url=settings.graph_url,
            outside=outside,
        )
        self._mailboxes = Mailboxes(store, connections, clock)
        self.validating = Validating(store, self._mailboxes, clock)
        self.round_trips = RoundTrips(
            store, connections, clock, public_url=settings.public_url, sweep_interval=settings.sweep_interval
        )

    async def configure_account(self, account_id: str, configuration: AccountConfiguration) -> None:
        """Store tenant, app and secret. Raises `BadConfiguration` with every problem at once."""
        await self._store.write(configure, account_id, configuration, key=self._key, now=self._clock.now())

    async def check(self, account_id: str) -> Report:
        """Try the whole connection, step by step."""
        return await self._check.check(account_id)

    async def add_mailbox(self, account_id: str, address: str) -> Mailbox:
        """Raises `AlreadyExists`, and `BadConfiguration` for what is no address."""
        return await self._mailboxes.add(account_id, address)

    async def validate_mailbox(self, account_id: str, address: str) -> Validation:
        """Prove that the mailbox exists and can be read. Raises `NotFound`, `NotConnected`."""
        return await self._mailboxes.validate(account_id, address)

    async def validate_mailboxes(self, account_id: str, addresses: Sequence[str]) -> str:
        """Ask for many at once, added where they are not there yet; by this id it can be followed.

        Raises `BadConfiguration` with a problem for each that is no address.
        """
        return await self._store.write(ask, account_id, addresses, now=self._clock.now())

    async def remove_mailbox(self, account_id: str, address: str) -> None:
        """No more letters and no more watching; its threads stay. Raises `NotFound`."""
        await self._mailboxes.remove(account_id, address)

    async def send_test_message(self, account_id: str, address: str, to: str | None = None) -> str:
        """Put a test email into the outbox, to the mailbox itself by default; its message id."""
        return await send_test_message(self._store, self._clock, account_id, address, to)

    async def start_round_trip(self, account_id: str, address: str, to: str | None = None) -> RoundTrip:
        """Send a letter to be followed, to the mailbox itself by default. Raises as `send_test_message`."""
        return await self.round_trips.ask(account_id, address, to)
