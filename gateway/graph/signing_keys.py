"""The keys that a cloud's Entra signs tokens with: fetched when wanted, kept for a day.

Source: https://learn.microsoft.com/graph/change-notifications-with-resource-data#validation-tokens-in-the-change-notification
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK, PyJWTError

from . import links, parsing, wire
from .clock import Clock
from .endpoints import check_origin
from .errors import GraphError, UnexpectedAnswer
from .parsing import Json

CONFIGURATION: Final = "/common/.well-known/openid-configuration"
KEPT: Final = timedelta(days=1)  # about as long as Microsoft advises
FETCHED_APART: Final = timedelta(minutes=1)  # whoever invents key ids must not make us ask for each
FETCH_LIMIT: Final = timedelta(seconds=10)
MAX_KEYS: Final = 100

Keys = Mapping[str, rsa.RSAPublicKey]


class SigningKeysUnavailable(Exception):
    """The keys are not to be had now; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The keys as they were at `at`."""

    keys: Keys
    at: datetime

    def is_fresh(self, now: datetime) -> bool:
        return timedelta(0) <= now - self.at < KEPT


class SigningKeys:
    """The keys of one login server, by their `kid`. The caller owns `http` (see `build_http`) and closes it."""

    def __init__(self, http: httpx.AsyncClient, login_url: str, *, clock: Clock) -> None:
        self._http = http
        self._origin = check_origin(login_url)
        self._clock = clock
        self._one_fetch = asyncio.Lock()
        self._fetched: Fetched | None = None
        self._asked_at: datetime | None = None
        self._problem = "The signing keys were never fetched."

    async def keys(self, key_ids: Collection[str]) -> Keys:
        """The keys, fetched anew when they are a day old or one of `key_ids` is not among them; it may still not be.

        At most one fetch a minute. Raises SigningKeysUnavailable; keys older than a day are not handed out in their
        place, for what was withdrawn may be among them.
        """
        if self._wants_others(key_ids):
            async with self._one_fetch:
                if self._wants_others(key_ids):  # and nobody else has just fetched them
                    await self._fetch()
        if self._fetched is None or not self._fetched.is_fresh(self._clock.now()):
            raise SigningKeysUnavailable(self._problem)
        return self._fetched.keys

    def _wants_others(self, key_ids: Collection[str]) -> bool:
        now = self._clock.now()
        if self._asked_at is not None and timedelta(0) <= now - self._asked_at < FETCHED_APART:
            return False
        held = self._fetched
        return held is None or not held.is_fresh(now) or not set(key_ids) <= set(held.keys)

    async def _fetch(self) -> None:
        """What is held already stays when this fails."""
        now = self._clock.now()
        try:
            async with asyncio.timeout(FETCH_LIMIT.total_seconds()):
                self._fetched = Fetched(keys=await self._read(), at=now)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, GraphError) as error:
            self._problem = f"The signing keys cannot be fetched: {_plainly(error)}."
        self._asked_at = now

    async def _read(self) -> Keys:
        configuration = await self._get(self._origin + CONFIGURATION)
        address = links.own_url(parsing.required_text(configuration, "jwks_uri"), self._origin)
        return keys_of(await self._get(address))

    async def _get(self, url: str) -> Json:
        response = await self._http.get(url, follow_redirects=False)
        if response.status_code != httpx.codes.OK:
            raise UnexpectedAnswer(f"the login server answered {response.status_code}")
        return wire.json_object(response.content)


def _plainly(error: Exception) -> str:
    return str(error) if isinstance(error, GraphError) else type(error).__name__


def keys_of(payload: Json) -> Keys:
    """The RSA keys for signatures in a key set (RFC 7517); others are left out. Raises UnexpectedAnswer."""
    items = parsing.objects(payload, "keys")
    if items is None or len(items) > MAX_KEYS:
        raise UnexpectedAnswer(f"keys is missing, or more than {MAX_KEYS}")
    found = {}
    for item in items:
        key_id, key = item.get("kid"), _rsa_key(item)
        if isinstance(key_id, str) and key is not None:
            found[key_id] = key
    return MappingProxyType(found)


def _rsa_key(item: Json) -> rsa.RSAPublicKey | None:
    if item.get("kty") != "RSA" or item.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(dict(item), algorithm="RS256").key
    except (PyJWTError, ValueError, TypeError):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
