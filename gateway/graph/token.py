"""App-only tokens: had when needed, renewed in time, asked for once."""

import asyncio
import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import httpx
import orjson

from .clock import Clock
from .credentials import Credential
from .endpoints import Endpoints
from .login import Grant, ask_for_token
from .token_errors import CredentialRefused, EntraUnavailable, TokenError

MARGIN: Final = timedelta(minutes=5)  # before expiry; at most half of a token's life
# The same wrong request in a loop is AADSTS50196; msal itself remembers a 400 for 60 s.
REFUSAL_KEPT: Final = timedelta(seconds=60)
OUTAGE_KEPT: Final = timedelta(seconds=5)  # msal's own pause after 429 and 5xx without Retry-After
LONGEST_OUTAGE_KEPT: Final = timedelta(minutes=5)
FORCED_APART: Final = timedelta(seconds=60)  # between refreshes that a 401 of Graph asked for


class TokenSource(Protocol):
    """What GraphClient needs of tokens."""

    async def token(self, *, refused: str | None = None) -> str:
        """A token that should be good. `refused` is one that Graph has just answered with 401: get another.

        May return the refused one again when another cannot be had so soon. Raises TokenError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A token in hand. From `refresh_at` on a new one is wanted, at `expires_at` it is worthless."""

    token: str = field(repr=False)
    refresh_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The last attempt's error, repeated to everyone until `until` without asking Entra."""

    error: TokenError
    since: datetime
    until: datetime

    @property
    def is_outage(self) -> bool:
        return isinstance(self.error, EntraUnavailable)


class MsalTokens:
    """Tokens for one app in one tenant through msal, off the event loop.

    One request is in flight at a time, and one alone when many want a token at once. A token is renewed 5 minutes
    before it ends; while that goes on, or fails because Entra is not to be reached, the old one serves to its end.
    A refusal (CredentialRefused) is raised at once, though the old token may still work: it should be seen.
    It is remembered for a minute. The cache is ours, not msal's, so that `clock` alone decides.

    The caller owns `http` (see `build_login_http`) and closes it.
    """

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        credential: Credential,
        endpoints: Endpoints,
        *,
        http: httpx.Client,
        clock: Clock,
    ) -> None:
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._credential = credential
        self._endpoints = endpoints
        self._http = http
        self._clock = clock
        self._one_request = asyncio.Lock()
        self._held: Held | None = None
        self._failure: Failure | None = None
        self._forced_at: datetime | None = None

    @property
    def failure(self) -> TokenError | None:
        """Why the last request failed; None once one has succeeded. Also known while an old token still serves."""
        return self._failure.error if self._failure else None

    async def token(self, *, refused: str | None = None) -> str:
        if refused is not None:
            self._drop(refused)
        held, now = self._held, self._clock.now()
        if held is not None and now < (held.expires_at if self._one_request.locked() else held.refresh_at):
            return held.token
        async with self._one_request:
            return await self._renewed()

    def _drop(self, refused: str) -> None:
        """Forget a token that Graph refused, unless that was done a moment ago and did not help."""
        now = self._clock.now()
        if self._held is None or self._held.token != refused:
            return
        if self._forced_at is None or not self._forced_at <= now < self._forced_at + FORCED_APART:
            self._held, self._forced_at = None, now

    async def _renewed(self) -> str:
        now = self._clock.now()
        if self._held is not None and now < self._held.refresh_at:
            return self._held.token  # somebody else has just fetched it
        if self._failure is None or not self._failure.since <= now < self._failure.until:
            await self._ask(now)
        if self._failure is None or (self._failure.is_outage and self._held_until_end(now)):
            assert self._held is not None  # noqa: S101 - for mypy: asking gives one of the two
            return self._held.token
        raise self._failure.error.again() from self._failure.error

    def _held_until_end(self, now: datetime) -> bool:
        return self._held is not None and now < self._held.expires_at

    async def _ask(self, now: datetime) -> None:
        """Ask Entra; leaves either a new token or a failure."""
        try:
            grant = await asyncio.to_thread(
                ask_for_token,
                self._http,
                self._endpoints.login_url,
                self._tenant_id,
                self._client_id,
                self._credential,
                self._endpoints.scope,
                self._clock,
            )
        except TokenError as error:
            self._failure = Failure(error=error, since=now, until=now + kept(error))
        else:
            self._failure, self._held = None, held_from(grant, now)


def held_from(grant: Grant, asked_at: datetime) -> Held:
    """`expires_in` counts from before the request, so that our clock is never too hopeful."""
    return Held(
        token=grant.access_token,
        refresh_at=asked_at + max(grant.expires_in - MARGIN, grant.expires_in / 2),
        expires_at=asked_at + grant.expires_in,
    )


def kept(error: TokenError) -> timedelta:
    """How long an error is repeated to those who ask, without asking Entra."""
    if isinstance(error, CredentialRefused):
        return REFUSAL_KEPT
    return min(max(error.retry_after or OUTAGE_KEPT, OUTAGE_KEPT), LONGEST_OUTAGE_KEPT)


def roles_of(token: str) -> frozenset[str]:
    """The application permissions a token says it has: for a diagnosis, never for a decision.

    A token is opaque to its client by Microsoft's rule, and may work without any role (RBAC for Applications):
    https://learn.microsoft.com/exchange/permissions-exo/application-rbac
    Empty for whatever cannot be read.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return frozenset()
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return frozenset()
    roles = claims.get("roles") if isinstance(claims, dict) else None
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()
