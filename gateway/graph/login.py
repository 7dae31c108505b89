"""msal, led over our own HTTP client and kept from going anywhere else.

msal speaks requests' dialect, wants https authorities and discovers a tenant before it asks for a token. The adapter
answers that discovery itself, since the token endpoint's address is documented and a second request could only add a
second way to fail; an unknown tenant is then told apart by the token endpoint, AADSTS90002.
Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import orjson
from jwt import PyJWTError
from msal.application import ConfidentialClientApplication

from . import wire
from .clock import Clock
from .credentials import Credential, msal_credential
from .token_errors import CredentialRefused, EntraUnavailable, TokenErrorKind, string, token_error_from

application: Any = ConfidentialClientApplication  # msal has no types

# Not tenants; app-only tokens are refused on them (AADSTS9001023), or they mean something else to msal.
NO_TENANT: Final = frozenset({"common", "consumers", "organizations", "adfs", "dstsv2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An access token and how long it is good for."""

    access_token: str
    expires_in: timedelta


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """An HTTP answer as msal wants to see it."""

    status_code: int
    text: str
    headers: Mapping[str, str]


def ask_for_token(
    http: httpx.Client, login_url: str, tenant_id: str, client_id: str, credential: Credential, scope: str, clock: Clock
) -> Grant:
    """One token request through msal, blocking. Raises CredentialRefused or EntraUnavailable.

    msal is built anew each time: its caches live by its own clock, and ours decides when a token is too old.
    """
    check_tenant(tenant_id)
    authority = f"https://{login_url.partition('://')[2]}"
    try:
        app = application(
            client_id,
            authority=f"{authority}/{tenant_id}",
            client_credential=msal_credential(
                credential, client_id, f"{authority}/{tenant_id}/oauth2/v2.0/token", clock
            ),
            http_client=LoginHttp(http, authority, login_url, clock),
            instance_discovery=False,
            azure_region=False,  # no regional endpoint, whatever MSAL_FORCE_REGION says
        )
        result = app.acquire_token_for_client([scope])
    except (PyJWTError, ValueError, TypeError, OSError) as error:  # no key, no certificate, no file
        raise CredentialRefused(
            f"The credential cannot be used: {type(error).__name__}.", kind=TokenErrorKind.ASSERTION_REFUSED
        ) from error
    if "access_token" not in result:
        raise token_error_from(result)
    return Grant(access_token=result["access_token"], expires_in=timedelta(seconds=int(result["expires_in"])))


def check_tenant(tenant_id: str) -> None:
    """Raises CredentialRefused for what cannot be a tenant: neither a GUID nor a domain."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", tenant_id) is None or tenant_id.lower() in NO_TENANT:
        raise CredentialRefused(
            f"“{tenant_id}” is neither a tenant's id nor its domain.", kind=TokenErrorKind.UNKNOWN_TENANT
        )


class LoginHttp:
    """msal's `http_client`: one origin, no redirects, and answers that are what a token endpoint may say.

    msal calls the origin `authority`, always https; `login_url` is where it really is.
    """

    def __init__(self, http: httpx.Client, authority: str, login_url: str, clock: Clock) -> None:
        self._http = http
        self._authority = authority
        self._login_url = login_url
        self._clock = clock

    def get(self, url: str, **_: object) -> LoginAnswer:
        """The tenant's discovery document, by what is documented of it. Nothing is contacted."""
        tenant = f"{self._authority}/{self._path(url).split('/')[1]}"
        document = {
            "issuer": f"{tenant}/v2.0",
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
        }
        return LoginAnswer(200, orjson.dumps(document).decode(), {})

    def post(
        self,
        url: str,
        *,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> LoginAnswer:
        try:
            response = self._http.post(
                self._login_url + self._path(url), data=form(data or {}), headers=headers, follow_redirects=False
            )
        except (httpx.RequestError, OSError) as error:
            raise EntraUnavailable(
                f"No answer from the login server: {type(error).__name__}.", kind=TokenErrorKind.TRANSIENT
            ) from error
        payload = self._payload(response)
        return LoginAnswer(response.status_code, orjson.dumps(payload).decode(), {})

    def close(self) -> None:
        """The client belongs to somebody else."""

    def _path(self, url: str) -> str:
        if not url.startswith(f"{self._authority}/"):
            raise EntraUnavailable("A login server that was not configured.", kind=TokenErrorKind.OURS)
        return url.removeprefix(self._authority)

    def _payload(self, response: httpx.Response) -> dict[str, object]:
        """The answer as msal and we can read it. Raises for what is no answer of a token endpoint."""
        wait = wire.retry_after(response.headers.get("retry-after"), self._clock.now())
        payload = json_or_empty(response.content)
        if response.status_code == 200:
            return granted(payload)
        if response.status_code in (400, 401, 403) and string(payload, "error"):
            raise token_error_from(payload, status=response.status_code, retry_after=wait)
        if response.status_code == 429 or response.status_code >= 500:
            raise token_error_from(payload, status=response.status_code, retry_after=wait)
        raise strange(f"The login server answered {response.status_code}.", response.status_code)


def form(data: Mapping[str, object]) -> dict[str, str]:
    """The fields as text: msal hands over a certificate's assertion in bytes."""
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in data.items()}


def granted(payload: dict[str, object]) -> dict[str, object]:
    """A success, checked. `expires_in` is a number by the docs and a numeral with some servers."""
    token, expires_in = payload.get("access_token"), payload.get("expires_in")
    if not isinstance(token, str) or not token or not re.fullmatch(r"[0-9]{1,9}", str(expires_in), re.ASCII):
        raise strange("The login server's answer is not a token.", 200)
    return {"token_type": "Bearer", "access_token": token, "expires_in": int(str(expires_in))}


def strange(description: str, status: int) -> EntraUnavailable:
    """Not Entra: a proxy's page, a portal, another server at this address."""
    return EntraUnavailable(description, kind=TokenErrorKind.TRANSIENT, status=status)


def json_or_empty(content: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
