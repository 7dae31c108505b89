"""`validationTokens`: the proof that encrypted content comes from Microsoft Graph, for an app and a tenant of ours.

Pure: the keys and the time are handed in. One bad token spoils the whole request, as Microsoft asks.
Source: https://learn.microsoft.com/graph/change-notifications-with-resource-data#validation-tokens-in-the-change-notification

TokensRefused   nothing in the request is to be believed for its tokens; the notification is still a hint
└── UnknownKey  signed with a key that we do not have: keys are changed, so it may be a new one
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

# "Microsoft Graph Change Tracking", the app that posts notifications: the page above
CHANGE_TRACKING: Final = UUID("0bf30f3b-4a52-48df-9a82-234910c4a086")
ALGORITHM: Final = "RS256"
SKEW: Final = timedelta(minutes=5)  # between our clock and Entra's
MAX_TOKENS: Final = 100  # there is one for each app and tenant in the request
MAX_TOKEN_CHARACTERS: Final = 8192


class TokensRefused(Exception):
    """The tokens prove nothing; the text says why and repeats nothing of them."""


class UnknownKey(TokensRefused):
    """Signed with a key that we do not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app registration in a tenant. A tenant known only by its domain proves nothing: tokens name its id."""

    client_id: UUID
    tenant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuers:
    """The origins of a cloud's issuers, for tokens of either version."""

    v1: str
    v2: str

    def of(self, version: str, tenant_id: str) -> str | None:
        """What `iss` must be; None for a version that nobody has documented."""
        return {"1.0": f"{self.v1}/{tenant_id}/", "2.0": f"{self.v2}/{tenant_id}/v2.0"}.get(version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One of `validationTokens`, not yet believed. `key_id` is the `kid` of its header."""

    text: str = field(repr=False)
    key_id: str

    @classmethod
    def from_graph(cls, text: object) -> Self:
        """Read the header alone. Raises `TokensRefused`."""
        if not isinstance(text, str) or len(text) > MAX_TOKEN_CHARACTERS:
            raise TokensRefused("a token is no string, or too long")
        try:
            header = jwt.get_unverified_header(text)
        except (jwt.PyJWTError, ValueError) as error:
            raise TokensRefused("a token is no JWT") from error
        key_id = header.get("kid")
        if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
            raise TokensRefused(f"a token is not signed by {ALGORITHM} with a key that has an id")
        return cls(text=text, key_id=key_id)


def tokens_from_graph(value: object) -> tuple[Token, ...]:
    """The member `validationTokens` of a request with encrypted content. Raises `TokensRefused`, also for none."""
    if not isinstance(value, list) or not value:
        raise TokensRefused("encrypted content came without validationTokens")
    if len(value) > MAX_TOKENS:
        raise TokensRefused(f"there are more than {MAX_TOKENS} tokens")
    return tuple(Token.from_graph(text) for text in value)


def proven(
    tokens: Collection[Token],
    keys: Mapping[str, rsa.RSAPublicKey],
    *,
    apps: Collection[App],
    issuers: Issuers,
    now: datetime,
) -> frozenset[App]:
    """For which of our `apps` the request speaks; believe an item only if its subscription's app is among them.

    Some arithmetic for each token: not for the event loop. Raises `TokensRefused`.
    """
    if not tokens:
        raise TokensRefused("there are no tokens")
    return frozenset(_app(_claims(token, keys), apps, issuers, now) for token in tokens)


def _claims(token: Token, keys: Mapping[str, rsa.RSAPublicKey]) -> Mapping[str, object]:
    """What a token says, its signature being good. The times are ours to judge, by our clock."""
    key = keys.get(token.key_id)
    if key is None:
        raise UnknownKey("a token is signed with a key that we do not have")
    try:
        payload: Any = jwt.PyJWS().decode(token.text, key, algorithms=[ALGORITHM])
        claims = orjson.loads(payload)
    except (jwt.PyJWTError, ValueError) as error:
        raise TokensRefused("a token's signature does not fit") from error
    if not isinstance(claims, dict):
        raise TokensRefused("a token's claims are not an object")
    return claims


def _app(claims: Mapping[str, object], apps: Collection[App], issuers: Issuers, now: datetime) -> App:
    _check_times(claims, now)
    version, tenant = _text(claims, "ver"), _text(claims, "tid")
    if _text(claims, "iss") != issuers.of(version, tenant):
        raise TokensRefused("iss is not the issuer of the token's tenant and version")
    if _guid(claims, "appid" if version == "1.0" else "azp") != CHANGE_TRACKING:
        raise TokensRefused("the caller is not Microsoft Graph Change Tracking")
    app = App(client_id=_guid(claims, "aud"), tenant_id=_guid(claims, "tid"))
    if app not in apps:
        raise TokensRefused("aud and tid are not an app and tenant of ours")
    return app


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    if now.timestamp() >= _seconds(claims, "exp") + SKEW.total_seconds():
        raise TokensRefused("a token has expired")
    if now.timestamp() < _seconds(claims, "nbf") - SKEW.total_seconds():
        raise TokensRefused("a token is not valid yet")


def _seconds(claims: Mapping[str, object], name: str) -> float:
    """A NumericDate of RFC 7519 section 2."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokensRefused(f"{name} is not a time")
    return value


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise TokensRefused(f"{name} is not a string")
    return value


def _guid(claims: Mapping[str, object], name: str) -> UUID:
    try:
        return UUID(_text(claims, name))
    except ValueError as error:
        raise TokensRefused(f"{name} is not a GUID") from error
