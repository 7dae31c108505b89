"""Connections: each account's client of Graph, made from what is stored and made anew when that changes.

Whatever Entra answers to a token request is kept on the account, so that an expired or wrong secret is named in
plain words on the settings page, in the log and at `/readyz` as soon as the first token fails.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

import storage
from gateway import tracing
from gateway.budgets import BudgetBook
from gateway.calls import followed_by
from gateway.clock import Clock
from gateway.graph import (
    Cloud,
    Credential,
    Endpoints,
    GraphClient,
    MsalTokens,
    Observer,
    OnWait,
    TokenError,
    TokenSource,
    endpoints_for,
)
from gateway.keyring import open_stored
from gateway.settings import Settings
from gateway.slots import Slot, SlottedTokens
from storage import accounts, chores, credentials
from storage.vault import Key

TOKEN_PROBE = "token"  # noqa: S105 - the name of a chore
TOKEN_PROBE_EVERY = timedelta(minutes=15)


class NotConnected(Exception):
    """The account has no tenant or no credential yet; the text says what to do."""

    def __init__(self, account_id: str) -> None:
        super().__init__(
            "This account is not connected to Microsoft 365 yet. Enter tenant ID, client ID and client secret "
            "under Account-Level Configuration."
        )
        self.account_id = account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What one account talks through, and what it was made from."""

    made_from: tuple[str | None, ...]
    tokens: TokenSource
    graph: GraphClient


class Connections:
    """All accounts' clients. `http` and `login_http` are the caller's to close."""

    def __init__(
        self,
        store: storage.Store,
        key: Key,
        settings: Settings,
        clock: Clock,
        *,
        http: httpx.AsyncClient,
        login_http: httpx.Client,
        observer: Observer = lambda call: None,
        on_wait: OnWait = lambda error: None,
        budgets: BudgetBook | None = None,
    ) -> None:
        self._budgets = budgets or BudgetBook(store, clock, settings.limits)
        self._store = store
        self._key = key
        self._settings = settings
        self._clock = clock
        self._http = http
        self._login_http = login_http
        self._observer = observer
        self._on_wait = on_wait
        self._open: dict[str, Connection] = {}
        self._one_at_a_time = asyncio.Lock()

    async def graph(self, account_id: str) -> GraphClient:
        """The account's client. Raises `NotConnected`; trouble with tokens surfaces from the client's calls."""
        return (await self._connection(account_id)).graph

    async def tokens(self, account_id: str) -> TokenSource:
        """The account's token source. Raises `NotConnected`."""
        return (await self._connection(account_id)).tokens

    async def forget(self, account_id: str) -> None:
        """Make the connection anew at its next use, with nothing remembered: a person asks to try again."""
        self._open.pop(account_id, None)

    async def try_out(self, account_id: str, credential: Credential) -> str:
        """A token by a credential that need not be stored. Raises `TokenError`, and `NotConnected` without an app."""
        account = await self._store.read(accounts.get, account_id)
        if account.tenant_id is None or account.client_id is None:
            raise NotConnected(account_id)
        return await self._tokens(account, credential, self._endpoints(account)).token()

    async def probe_due(self) -> None:
        """Try a token of every connected account now and then, so that a dead secret is known before a letter."""
        now = self._clock.now()
        # What lies further ahead was planned by a clock that ran ahead.
        latest = now + 2 * TOKEN_PROBE_EVERY
        for account_id in await self._store.read(chores.due, TOKEN_PROBE, now, latest=latest):
            next_at = now + TOKEN_PROBE_EVERY
            await self._store.write(chores.done, account_id, TOKEN_PROBE, next_at=next_at)
            try:
                await (await self.tokens(account_id)).token()
            except (NotConnected, TokenError):
                continue  # recorded on the account where that is due

    async def _connection(self, account_id: str) -> Connection:
        account, serving = await self._store.read(_account_and_credentials, account_id)
        if account.tenant_id is None or account.client_id is None or not serving:
            raise NotConnected(account_id)
        made_from = (account.tenant_id, account.client_id, account.cloud, *(one.id for one in serving))
        async with self._one_at_a_time:
            known = self._open.get(account_id)
            if known is None or known.made_from != made_from:
                known = self._connect(account, serving, made_from)
                self._open[account_id] = known
            return known

    def _connect(
        self, account: accounts.Account, serving: Sequence[credentials.Credential], made_from: tuple[str | None, ...]
    ) -> Connection:
        endpoints = self._endpoints(account)
        slots = [
            Slot(credential_id=one.id, tokens=self._tokens(account, open_stored(one, self._key), endpoints))
            for one in serving
        ]
        tokens = SlottedTokens(account.id, slots, self._store, self._clock)
        graph = GraphClient(
            self._http,
            tokens,
            endpoints.graph_url,
            clock=self._clock,
            observer=followed_by(self._observer),
            on_wait=self._on_wait,
            budgets=self._budgets.of(account.id),
            new_request_id=tracing.client_request_id,
        )
        return Connection(made_from=made_from, tokens=tokens, graph=graph)

    def _endpoints(self, account: accounts.Account) -> Endpoints:
        return endpoints_for(
            Cloud(account.cloud), login_url=self._settings.login_url, graph_url=self._settings.graph_url
        )

    def _tokens(self, account: accounts.Account, credential: Credential, endpoints: Endpoints) -> MsalTokens:
        assert account.tenant_id is not None  # noqa: S101 - for mypy: the caller has looked
        assert account.client_id is not None  # noqa: S101
        return MsalTokens(
            account.tenant_id,
            account.client_id,
            credential,
            endpoints,
            http=self._login_http,
            clock=self._clock,
        )


def _account_and_credentials(
    tx: storage.Transaction, account_id: str
) -> tuple[accounts.Account, list[credentials.Credential]]:
    return accounts.get(tx, account_id), credentials.serving(tx, account_id)
