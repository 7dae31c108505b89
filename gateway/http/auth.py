"""Who asks, and whether they may: API keys as bearer tokens (RFC 6750).

The key is looked up in the database for each request, so a revocation counts from the commit that made it, whichever
process made it.
"""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.requests import Request

from gateway.http.problem_types import ADDRESS_NOT_ALLOWED, MISSING_SCOPE, NOT_AUTHENTICATED, TOO_MANY_REQUESTS
from gateway.http.problems import Problem
from gateway.http.services import Services
from storage import Transaction, api_keys
from storage.api_keys import ApiKey, Scope

CHALLENGE: Final = 'Bearer realm="selma-gateway"'
LONGEST_KEY: Final = 200


async def authenticate(services: Services, request: Request) -> ApiKey:
    """The live key that the request carries. Raises `Problem`: 401, 403 from a wrong address, 429."""
    value = _bearer(request.headers.getlist("authorization"))
    now = services.clock.now()
    key = await services.store.glance(api_keys.find, value)
    if key is None or key.is_over(now):
        raise _not_authenticated("This API key is unknown, was revoked, or is over.", ', error="invalid_token"')
    check_address(key, request)
    quota = services.callers.came(key.id, limit=services.settings.requests_per_minute, now=now)
    request.scope.setdefault("state", {})["headers"] = quota.headers
    if quota.is_over:
        raise Problem(
            TOO_MANY_REQUESTS,
            f"This key has made its {quota.limit:,} requests of this minute.",
            headers={"retry-after": str(quota.resets_in)},
        )
    return key


def require(key: ApiKey, scope: Scope) -> None:
    """Raises `Problem` (403) when the key lacks the scope."""
    if scope not in key.scopes:
        raise Problem(
            MISSING_SCOPE,
            f"This needs an API key with the scope {scope.value}.",
            headers={"www-authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope.value}"'},
        )


def check_address(key: ApiKey, request: Request) -> None:
    """Raises `Problem` (403) when the key may not be used from where the request comes."""
    if key.networks is None:
        return
    address = _address_of(request)
    if address is None or not any(address in one for one in key.networks):
        raise Problem(
            ADDRESS_NOT_ALLOWED, f"This API key may not be used from {address or 'an address that is not known'}."
        )


def live(tx: Transaction, key_id: str, now: datetime) -> ApiKey | None:
    """The key with this id, while it is good: for sessions and streams that were opened with it."""
    key = api_keys.find_by_id(tx, key_id)
    return None if key is None or key.is_over(now) else key


def _address_of(request: Request) -> IPv4Address | IPv6Address | None:
    """The caller's, by its proxy if that is one of ours. A socket for both families shows IPv4 as ::ffff:192.0.2.1."""
    try:
        address = ip_address("" if request.client is None else request.client.host)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _bearer(headers: list[str]) -> str:
    if not headers:
        raise _not_authenticated("Send an API key: Authorization: Bearer <key>.")
    scheme, _, value = headers[0].partition(" ")
    value = value.strip()
    if len(headers) > 1 or scheme.lower() != "bearer" or not value or len(value) > LONGEST_KEY:
        raise _not_authenticated("The Authorization header must be: Bearer <key>.")
    return value


def _not_authenticated(detail: str, reason: str = "") -> Problem:
    return Problem(NOT_AUTHENTICATED, detail, headers={"www-authenticate": CHALLENGE + reason})
