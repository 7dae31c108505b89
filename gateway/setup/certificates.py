"""Certificates that prove an app: made here, or brought along. Entra takes them self-signed.

Source: https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

KEY_BITS: Final = 2048
LIFE: Final = timedelta(days=365)
BACKDATED: Final = timedelta(hours=1)  # for clocks that are behind ours
LONGEST_PEM: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A private key and its certificate, both PEM."""

    private_key_pem: str = field(repr=False)
    certificate_pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What may be shown of a certificate. Entra's portal lists it by `sha1`; an assertion names it by `sha256`."""

    sha1: str
    sha256: str
    ends_at: datetime


class BadKeyPair(ValueError):
    """A private key or certificate that cannot be used. `problems` has a sentence by the name of the field."""

    def __init__(self, **problems: str) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


def make(name: str, now: datetime) -> KeyPair:
    """A fresh key pair. Takes tens of milliseconds: not for the event loop."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(private_key_pem=_private(key), certificate_pem=_public(certificate))


def read_pair(private_key_pem: str, certificate_pem: str, now: datetime) -> KeyPair:
    """The pair in its plain spelling. Raises `BadKeyPair` when the two do not belong together or have ended."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        raise BadKeyPair(certificate="This is not a certificate in PEM, which begins with BEGIN CERTIFICATE.") from None
    try:
        key = serialization.load_pem_private_key(private_key_pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKeyPair(private_key="This is not a private key in PEM without a password.") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
        raise BadKeyPair(private_key=f"Entra takes RSA keys of at least {KEY_BITS} bits here.")
    if key.public_key() != certificate.public_key():
        raise BadKeyPair(private_key="This key does not belong to the certificate.")
    if certificate.not_valid_after_utc <= now:
        raise BadKeyPair(certificate=f"This certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}.")
    return KeyPair(private_key_pem=_private(key), certificate_pem=_public(certificate))


def facts(certificate_pem: str) -> CertificateFacts:
    """Of a certificate that is one."""
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return CertificateFacts(
        sha1=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - Entra's portal shows this one
        sha256=certificate.fingerprint(hashes.SHA256()).hex().upper(),
        ends_at=certificate.not_valid_after_utc,
    )


def _private(key: rsa.RSAPrivateKey) -> str:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode()


def _public(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
