"""Client assertions, checked as Entra checks them: whose key signed it, for whom, about whom, and when.

Sources: https://learn.microsoft.com/entra/identity-platform/certificate-credentials
and https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from gateway.sandbox.model import App, AppCertificate, FederatedCredential
from gateway.sandbox.tokens import seconds

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SKEW: Final = timedelta(minutes=5)
LONGEST_LIFE: Final = timedelta(hours=24)
ALGORITHMS: Final = ["PS256", "RS256"]
UNCHECKED: Final[Any] = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


class BadAssertion(Exception):
    """Why an assertion is not taken. `number` is the n of AADSTSn."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


def check(app: App, assertion: str, *, tenant_ids: frozenset[str], origin: str, now: datetime) -> None:
    """Raises BadAssertion."""
    header, claims = _read(assertion)
    if claims.get("iss") == app.app_id or "x5t#S256" in header or "x5t" in header:
        certificate = _certificate(app, header)
        claims = _verified(assertion, certificate.public_key)
        if certificate.end_date_time <= now:
            raise BadAssertion(700027, f"The key used by client '{app.app_id}' is expired.")
        _check_audience_of_certificate(claims, tenant_ids, origin)
        if claims.get("iss") != app.app_id or claims.get("sub") != app.app_id or not claims.get("jti"):
            raise BadAssertion(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    else:
        claims = _verified(assertion, _federated(app, claims).public_key)
    _check_times(claims, now)


def _read(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What it says of itself, unproved."""
    try:
        return jwt.get_unverified_header(assertion), jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise BadAssertion(50027, "JWT token is invalid or malformed.") from error


def _certificate(app: App, header: Mapping[str, Any]) -> AppCertificate:
    """The uploaded one that the header names by its SHA-256 thumbprint."""
    try:
        named = base64.urlsafe_b64decode(str(header.get("x5t#S256", "")) + "==").hex()
    except binascii.Error:
        named = ""
    for certificate in app.certificates:
        if named and certificate.thumbprint == named:
            return certificate
    raise BadAssertion(
        700027,
        f"The certificate with identifier used to sign the client assertion is not registered on application. "
        f"[Reason - The key was not found., Thumbprint of key used by client: '{named.upper()}']",
    )


def _verified(assertion: str, public_key: Any) -> Mapping[str, Any]:
    try:
        return jwt.decode(assertion, public_key, algorithms=ALGORITHMS, options=UNCHECKED)
    except jwt.PyJWTError as error:
        raise BadAssertion(50012, "Invalid client assertion: its signature is not valid.") from error


def _check_audience_of_certificate(claims: Mapping[str, Any], tenant_ids: frozenset[str], origin: str) -> None:
    """The tenant's token endpoint, at this login host; a client may call it https where the sandbox speaks http."""
    host = urlsplit(origin).netloc
    wanted = {f"https://{host}/{tenant}/oauth2/v2.0/token" for tenant in tenant_ids}
    if claims.get("aud") not in wanted | {f"https://{host}/{tenant}/v2.0" for tenant in tenant_ids}:
        raise BadAssertion(
            700023, f"Client assertion audience claim does not match Realm issuer: '{claims.get('aud')}'."
        )


def _federated(app: App, claims: Mapping[str, Any]) -> FederatedCredential:
    """The one that fits in issuer, subject and audience; each misfit has its own number."""
    audiences = claims.get("aud")
    given = {audiences} if isinstance(audiences, str) else set(audiences or ())
    known = [one for one in app.federated if one.issuer == claims.get("iss")]
    if not known:
        raise _no_match(700211, f"issuer '{claims.get('iss')}'")
    known = [one for one in known if one.subject == claims.get("sub")]
    if not known:
        raise _no_match(700213, f"subject '{claims.get('sub')}'")
    for one in known:
        if one.audience in given:
            return one
    raise _no_match(700212, f"audience '{audiences}'")


def _no_match(number: int, what: str) -> BadAssertion:
    return BadAssertion(number, f"No matching federated identity record found for presented assertion {what}.")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    begins, ends = claims.get("nbf", claims.get("iat")), claims.get("exp")
    if not _is_within(begins, ends, seconds(now)):
        raise BadAssertion(
            700024,
            f"Client assertion is not within its valid time range. Current time: {now:%Y-%m-%dT%H:%M:%S}Z, "
            f"assertion valid from {begins}, expiry time of assertion {ends}.",
        )


def _is_within(begins: object, ends: object, now: int) -> bool:
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        return False
    skew = SKEW.total_seconds()
    return begins - skew <= now < ends + skew and ends - begins <= LONGEST_LIFE.total_seconds()
