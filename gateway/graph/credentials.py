"""What an app proves itself with, in three kinds; msal does the proving.

Source: https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from msal.oauth2cli.assertion import JwtAssertionCreator

from .clock import Clock

assertion_creator: Any = JwtAssertionCreator  # msal has no types

# "5-10 minutes after nbf at most": https://learn.microsoft.com/entra/identity-platform/certificate-credentials
ASSERTION_LIVES: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A client secret's value, not its id."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A private key and its certificate, both PEM. msal signs with PS256 and names the SHA-256 thumbprint.

    Source: https://learn.microsoft.com/entra/identity-platform/certificate-credentials
    """

    private_key_pem: str = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True)
class FederatedAssertion:
    """An assertion made by another identity provider. `read` is called, off the event loop, for each token."""

    read: Callable[[], str] = field(repr=False)


Credential: TypeAlias = ClientSecret | Certificate | FederatedAssertion


def msal_credential(credential: Credential, client_id: str, audience: str, clock: Clock) -> str | dict[str, object]:
    """The credential as msal's ConfidentialClientApplication takes it. `audience` is the token endpoint."""
    match credential:
        case ClientSecret():
            return credential.value
        case Certificate():
            return {"client_assertion": lambda: signed_assertion(credential, client_id, audience, clock)}
        case FederatedAssertion():
            return {"client_assertion": credential.read}


def signed_assertion(credential: Certificate, client_id: str, audience: str, clock: Clock) -> str:
    """An assertion signed with the certificate's key, by msal, but timed by our clock.

    Raises ValueError or PyJWTError for a key or certificate that is none.
    """
    certificate = x509.load_pem_x509_certificate(credential.certificate_pem.encode())
    now = int(clock.now().timestamp())
    creator = assertion_creator(
        credential.private_key_pem, "PS256", sha256_thumbprint=certificate.fingerprint(hashes.SHA256()).hex()
    )
    signed: bytes = creator.create_normal_assertion(
        audience=audience,
        issuer=client_id,
        subject=client_id,
        issued_at=now,
        not_before=now,
        expires_at=now + int(ASSERTION_LIVES.total_seconds()),
    )
    return signed.decode()
