"""Encrypted resource data: the certificate that Graph encrypts for, and the way back from what it encrypted.

Whoever has the certificate can encrypt for it, so what opens is whole, and not yet from Graph: that is what
`validation_tokens` proves.
Source: https://learn.microsoft.com/graph/change-notifications-with-resource-data#decrypting-resource-data-from-change-notifications

NotOpened              what was encrypted is not to be had; the notification is still a hint
├── NotEncrypted       the members are not what Microsoft documents
├── UnknownCertificate it was encrypted for a certificate that we do not have (any more)
└── Tampered           a key, a signature or a content that do not belong together
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

import orjson
import pybase64
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.x509.oid import NameOID

KEY_BITS: Final = 2048  # the least that Graph takes, and the quickest to decrypt with
DATA_KEY_BYTES: Final = 32
IV_BYTES: Final = 16
CLOCK_NOISE: Final = timedelta(hours=1)  # a certificate is not to begin in Graph's future
COMMON_NAME: Final = "selma-gateway notifications"
# SHA-1 is Graph's choice, and sound in OAEP, which needs no resistance to collisions.
OAEP: Final = padding.OAEP(
    mgf=padding.MGF1(hashes.SHA1()),  # noqa: S303
    algorithm=hashes.SHA1(),  # noqa: S303
    label=None,
)


class NotOpened(Exception):
    """Encrypted content that was not opened; the text says why and repeats nothing of it."""


class NotEncrypted(NotOpened):
    """The members are not what Microsoft documents."""


class UnknownCertificate(NotOpened):
    """It was encrypted for a certificate that we do not have (any more)."""


class Tampered(NotOpened):
    """A key, a signature or a content that do not belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionCertificate:
    """A self-signed certificate with its private key, as Graph and the store want them.

    `id` is its SHA-256 in hex, within the 128 characters of `encryptionCertificateId`. `certificate` is the
    base64 of the DER, without the lines of PEM; `private_key` is PKCS#8 in PEM, in plain: seal it.
    """

    id: str
    certificate: str
    private_key: str = field(repr=False)
    not_after: datetime

    @classmethod
    def new(cls, now: datetime, lifetime: timedelta) -> Self:
        """Make one. Takes a tenth of a second or several: not for the event loop."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_NOISE)
            .not_valid_after(now + lifetime)
            .sign(key, hashes.SHA256())
        )
        return cls(
            id=made.fingerprint(hashes.SHA256()).hex(),
            certificate=base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode(),
            private_key=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            not_after=made.not_valid_after_utc,
        )

    def key(self) -> rsa.RSAPrivateKey:
        """The private key, to open with."""
        return private_key_of(self.private_key)


def private_key_of(pem: str) -> rsa.RSAPrivateKey:
    """The key of a stored PEM. Raises `ValueError` when it is no RSA key."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedContent:
    """Graph's `encryptedContent`, out of base64. Its thumbprint says nothing that the certificate's id does not."""

    data: bytes = field(repr=False)
    data_key: bytes = field(repr=False)
    data_signature: bytes = field(repr=False)
    encryption_certificate_id: str

    @classmethod
    def from_graph(cls, value: object) -> Self:
        """Read the member of an item. Raises `NotEncrypted`."""
        if not isinstance(value, Mapping):
            raise NotEncrypted("encryptedContent is not an object")
        return cls(
            data=_bytes(value, "data"),
            data_key=_bytes(value, "dataKey"),
            data_signature=_bytes(value, "dataSignature"),
            encryption_certificate_id=_text(value, "encryptionCertificateId"),
        )


def opened(content: EncryptedContent, keys: Mapping[str, rsa.RSAPrivateKey]) -> dict[str, object]:
    """The properties that were encrypted, by the private key whose certificate's id the content names.

    A millisecond of arithmetic each: not for the event loop. Raises `NotOpened`.
    """
    private_key = keys.get(content.encryption_certificate_id)
    if private_key is None:
        raise UnknownCertificate("it was encrypted for a certificate that we do not have")
    key = _data_key(content, private_key)
    # Before anything is decrypted, or the padding would answer questions about the content.
    if not hmac.compare_digest(hmac.digest(key, content.data, "sha256"), content.data_signature):
        raise Tampered("dataSignature is not of this data")
    return _properties(_decrypted(content.data, key))


def _data_key(content: EncryptedContent, private_key: rsa.RSAPrivateKey) -> bytes:
    try:
        key = private_key.decrypt(content.data_key, OAEP)
    except ValueError as error:
        raise Tampered("dataKey was not encrypted for this certificate") from error
    if len(key) != DATA_KEY_BYTES:
        raise Tampered(f"dataKey does not hold {DATA_KEY_BYTES} bytes")
    return key


def _decrypted(data: bytes, key: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:IV_BYTES])).decryptor()
    unpadder = PKCS7(algorithms.AES256.block_size).unpadder()
    try:
        padded = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise Tampered("data is not whole blocks with their padding") from error


def _properties(plain: bytes) -> dict[str, object]:
    try:
        properties = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        raise NotEncrypted("what was encrypted is not JSON") from error
    if not isinstance(properties, dict):
        raise NotEncrypted("what was encrypted is not an object")
    return properties


def _text(value: Mapping[str, object], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise NotEncrypted(f"{name} is missing, or not a string")
    return text


def _bytes(value: Mapping[str, object], name: str) -> bytes:
    """Only in the one spelling that encodes them: base64 leaves bits over in which a change would go unseen."""
    text = _text(value, name)
    try:
        raw = pybase64.b64decode(text, validate=True)
    except ValueError as error:
        raise NotEncrypted(f"{name} is not base64") from error
    # Bits are left over in the last four characters alone.
    if base64.b64encode(raw[-(len(raw) % 3 or 3) :]).decode() != text[-4:]:
        raise NotEncrypted(f"{name} is not base64 as it is written")
    return raw
