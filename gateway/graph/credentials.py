"""What an app proves itself with, in three kinds; msal does the proving.

Source: https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


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


def msal_credential(credential: Credential) -> str | dict[str, object]:
    """The credential as msal's ConfidentialClientApplication takes it."""
    match credential:
        case ClientSecret():
            return credential.value
        case Certificate():
            return {"private_key": credential.private_key_pem, "public_certificate": credential.certificate_pem}
        case FederatedAssertion():
            return {"client_assertion": credential.read}
