"""Connections: each account's client of Graph, made from what is stored and made anew when that changes.

Whatever Entra answers to a token request is kept on the account, so that an expired or wrong secret is named in
plain words on the settings page, in the log and at `/readyz` as soon as the first token fails.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

import storage
from gateway.budgets import BudgetBook
from gateway.clock import Clock
from gateway.graph import (
    ClientSecret,
    Cloud,
    CredentialRefused,
    GraphClient,
    MsalTokens,
    Observer,
    TokenError,
    TokenSource,
    endpoints_for,
)
from gateway.settings import Settings
from storage import accounts, chores, credentials, events
from storage.accounts import TokenState
from storage.vault import MasterKey

log = logging.getLogger(__name__)

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
    """What one account talks through, and the credential it was made from."""

    made_from: tuple[str | None, ...]
    tokens: TokenSource
    graph: GraphClient


class Connections:
    """All accounts' clients. `http` and `login_http` are the caller's to close."""

    def __init__(
        self,
        store: storage.Store,
        key: MasterKey,
        settings: Settings,
        clock: Clock,
        *,
        http: httpx.AsyncClient,
        login_http: httpx.Client,
        observer: Observer = lambda call: None,
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
        account, credential = await self._store.read(_account_and_credential, account_id)
        if account.tenant_id is None or account.client_id is None or credential is None:
            raise NotConnected(account_id)
        made_from = (account.tenant_id, account.client_id, account.cloud, credential.id)
        async with self._one_at_a_time:
            known = self._open.get(account_id)
            if known is None or known.made_from != made_from:
                known = self._connect(account, credential, made_from)
                self._open[account_id] = known
            return known

    def _connect(
        self, account: accounts.Account, credential: credentials.Credential, made_from: tuple[str | None, ...]
    ) -> Connection:
        endpoints = endpoints_for(
            Cloud(account.cloud), login_url=self._settings.login_url, graph_url=self._settings.graph_url
        )
        assert account.tenant_id is not None  # noqa: S101 - for mypy: the caller has looked
        assert account.client_id is not None  # noqa: S101
        tokens = RecordedTokens(
            account.id,
            MsalTokens(
                account.tenant_id,
                account.client_id,
                ClientSecret(credential.open(self._key)),
                endpoints,
                http=self._login_http,
                clock=self._clock,
            ),
            self._store,
            self._clock,
        )
        graph = GraphClient(
            self._http,
            tokens,
            endpoints.graph_url,
            clock=self._clock,
            observer=self._observer,
            budgets=self._budgets.of(account.id),
        )
        return Connection(made_from=made_from, tokens=tokens, graph=graph)


class RecordedTokens:
    """A token source that keeps on the account what its last attempt showed."""

    def __init__(self, account_id: str, tokens: TokenSource, store: storage.Store, clock: Clock) -> None:
        self._account_id = account_id
        self._tokens = tokens
        self._store = store
        self._clock = clock
        self._recorded: tuple[TokenState, int | None] | None = None

    async def token(self, *, refused: str | None = None) -> str:
        """As the source behind it."""
        try:
            token = await self._tokens.token(refused=refused)
        except TokenError as error:
            await self._record(_state_of(error), error)
            raise
        await self._record(TokenState.OK, None)
        return token

    async def _record(self, state: TokenState, error: TokenError | None) -> None:
        news = (state, None if error is None else error.aadsts)
        if news == self._recorded:
            return
        try:
            await self._store.write(_record_token, self._account_id, state, error, now=self._clock.now())
        except storage.StorageUnavailable:
            log.warning("token state not recorded", extra={"account_id": self._account_id})
            return
        self._recorded = news
        if error is not None:
            log.warning(
                "no token", extra={"account_id": self._account_id, "plainly": error.explanation, **error.log_fields()}
            )
        elif state is TokenState.OK:
            log.info("token obtained", extra={"account_id": self._account_id})


def _state_of(error: TokenError) -> TokenState:
    return TokenState.REFUSED if isinstance(error, CredentialRefused) else TokenState.UNREACHABLE


def _account_and_credential(
    tx: storage.Transaction, account_id: str
) -> tuple[accounts.Account, credentials.Credential | None]:
    return accounts.get(tx, account_id), credentials.active(tx, account_id)


def _record_token(
    tx: storage.Transaction, account_id: str, state: TokenState, error: TokenError | None, *, now: datetime
) -> None:
    problem = None
    if error is not None:
        problem = {
            "code": error.kind.value,
            "aadsts": error.aadsts,
            "explanation": error.explanation,
            "cure": error.cure,
            "correlation_id": error.correlation_id,
        }
    before = accounts.get(tx, account_id).token_state
    accounts.record_token(tx, account_id, state, problem=problem, now=now)
    if state is TokenState.OK:
        accounts.resume_outbox(tx, account_id)
    if state is TokenState.REFUSED and before is not TokenState.REFUSED and error is not None:
        data = {"code": error.kind.value, "aadsts": error.aadsts}
        events.record(tx, account_id, "credential.refused", data=data, now=now)
    elif state is TokenState.OK and before is TokenState.REFUSED:
        events.record(tx, account_id, "credential.recovered", now=now)
