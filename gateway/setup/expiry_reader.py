"""When the client secret ends, read from Entra, where the app happens to be allowed to: then nobody need enter it.

With the three permissions of the guide that is refused, so it is asked only when the token says Application.Read.All
or more. https://learn.microsoft.com/graph/api/application-get
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, PasswordCredential, TokenError, TokenSource, roles_of
from gateway.setup import expiry
from storage import Store, Transaction, accounts, chores, credentials, events
from storage.credentials import Credential, CredentialKind

log = logging.getLogger(__name__)

EVERY: Final = timedelta(days=1)
ROLES: Final = frozenset({"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"})
# What a person entered is a day; the hour that Entra knows makes no other date of it.
SAME_DATE: Final = timedelta(days=2)


class Secrets(Protocol):
    """The one question that is asked here."""

    async def get_secrets(self, client_id: str) -> Sequence[PasswordCredential]:
        """The client secrets of an app."""
        ...


class Connections(Protocol):
    """Hands out an account's client of Graph and its tokens."""

    async def graph(self, account_id: str) -> Secrets:
        """Raises `NotConnected`."""
        ...

    async def tokens(self, account_id: str) -> TokenSource:
        """Raises `NotConnected`."""
        ...


class ExpiryReader:
    """Looks daily, and whenever another secret was entered."""

    def __init__(self, store: Store, connections: Connections, clock: Clock) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock

    async def run_due(self) -> int:
        """Read where it is due; how many dates were news. Raises `StorageUnavailable`."""
        now, news = self._clock.now(), 0
        for account_id in await self._store.read(chores.due, expiry.READ_CHORE, now, latest=now + 2 * EVERY):
            await self._store.write(chores.done, account_id, expiry.READ_CHORE, next_at=now + EVERY)
            news += await self._read(account_id)
        return news

    async def _read(self, account_id: str) -> bool:
        account = await self._store.read(accounts.get, account_id)
        credential = await self._store.read(credentials.active, account_id)
        if account.client_id is None or credential is None or credential.kind is not CredentialKind.CLIENT_SECRET:
            return False
        try:
            roles = roles_of(await (await self._connections.tokens(account_id)).token())
            if not roles & ROLES:
                return False
            found = await (await self._connections.graph(account_id)).get_secrets(account.client_id)
        except (NotConnected, TokenError, GraphError) as error:
            log.info("expiry not read", extra={"account_id": account_id, "error": type(error).__name__})
            return False
        ends = end_of(credential, found)
        return ends is not None and await self._store.write(_keep, credential, ends, now=self._clock.now())


def end_of(credential: Credential, found: Sequence[PasswordCredential]) -> datetime | None:
    """When ours ends: by its hint, which several may share; then the earliest that was good when it was entered."""
    ends = [one.end_date_time for one in found if one.hint == credential.hint]
    return min((end for end in ends if end is not None and end > credential.created_at), default=None)


def _keep(tx: Transaction, read_for: Credential, ends: datetime, *, now: datetime) -> bool:
    credential = credentials.active(tx, read_for.account_id)
    if credential is None or credential.id != read_for.id or credential.expires_at == ends:
        return False
    before = credential.expires_at
    if before is not None and abs(before - ends) < SAME_DATE:
        credentials.refine_expiry(tx, credential.account_id, ends)
    else:
        credentials.set_expiry(tx, credential.account_id, ends)
    chores.done(tx, credential.account_id, expiry.CHORE, next_at=now)
    data = {"credential_id": credential.id, "expires_at": ends.isoformat()}
    events.record(tx, credential.account_id, "credential.expiry_read", data=data, now=now)
    return True
