"""Who asks, and whether they may: API keys as bearer tokens (RFC 6750).

The key is looked up in the database for each request, so a revocation counts from the commit that made it.
"""

from typing import Final

from starlette.requests import Request

from gateway.http.problem_types import MISSING_SCOPE, NOT_AUTHENTICATED
from gateway.http.problems import Problem
from storage import Store, api_keys
from storage.api_keys import ApiKey, Scope

CHALLENGE: Final = 'Bearer realm="selma-gateway"'
LONGEST_KEY: Final = 200


async def authenticate(store: Store, request: Request) -> ApiKey:
    """The live key that the request carries. Raises `Problem` (401)."""
    value = _bearer(request.headers.getlist("authorization"))
    key = await store.read(api_keys.find, value)
    if key is None:
        raise _not_authenticated("This API key is unknown, or was revoked.", ', error="invalid_token"')
    return key


def require(key: ApiKey, scope: Scope) -> None:
    """Raises `Problem` (403) when the key lacks the scope."""
    if scope not in key.scopes:
        raise Problem(
            MISSING_SCOPE,
            f"This needs an API key with the scope {scope.value}.",
            headers={"www-authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope.value}"'},
        )


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
