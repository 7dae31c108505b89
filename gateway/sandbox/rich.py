"""What rich notifications carry: the message, encrypted for the subscriber, and Entra's word on who sends it.

Source: https://learn.microsoft.com/graph/change-notifications-with-resource-data
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway.sandbox.changes import ChangeType
from gateway.sandbox.graph import entities
from gateway.sandbox.mailbox import Event
from gateway.sandbox.model import Message
from gateway.sandbox.subscriptions import Subscription
from gateway.sandbox.tokens import TokenMint, seconds
from gateway.sandbox.world import World

CHANGE_TRACKING: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"
VALIDATION_TOKEN_SECONDS: Final = 29_100  # as in Microsoft's sample


class BadCertificate(ValueError):
    """Not the base64 of an X.509 certificate with an RSA key of 2,048 to 4,096 bits."""


class ResourceData:
    """Encrypts messages for those who subscribed to them, and remembers for which app it did."""

    def __init__(self, *, world: World, mint: TokenMint) -> None:
        self._world = world
        self._mint = mint
        self._apps: dict[str, str] = {}

    def encrypted(self, subscription: Subscription, event: Event) -> dict[str, str] | None:
        """`encryptedContent` of a change, if the subscriber asked for it and there is a message to show."""
        message = event.mailbox.find(event.immutable_id)
        is_wanted = subscription.include_resource_data and event.change_type is not ChangeType.DELETED
        if not is_wanted or message is None or subscription.encryption_certificate is None:
            return None
        self._apps[subscription.id] = subscription.app_id
        content = encrypt(orjson.dumps(_selected(subscription, message)), subscription.encryption_certificate)
        return {**content, "encryptionCertificateId": subscription.encryption_certificate_id or ""}

    def validation_tokens(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """One for each app whose encrypted content is in the request."""
        apps = [self._apps[item["subscriptionId"]] for item in items if "encryptedContent" in item]
        return [self._mint.sign(self._claims(app_id)) for app_id in dict.fromkeys(apps)]

    def _claims(self, app_id: str) -> dict[str, Any]:
        now, tenant = seconds(self._world.clock.now()), self._world.tenant
        claims = {
            "aud": app_id,
            "iat": now,
            "nbf": now,
            "exp": now + VALIDATION_TOKEN_SECONDS,
            "tid": tenant,
            "uti": self._world.identities.token(16),
        }
        if self._world.behaviour.validation_tokens_of_version_2:
            issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
            return {**claims, "iss": issuer, "azp": CHANGE_TRACKING, "azpacr": "2", "ver": "2.0"}
        issuer = f"https://sts.windows.net/{tenant}/"
        return {**claims, "iss": issuer, "appid": CHANGE_TRACKING, "appidacr": "2", "ver": "1.0"}


def _selected(subscription: Subscription, message: Message) -> dict[str, Any]:
    """The properties in the `$select` of the subscription's resource."""
    options = dict(parse_qsl(subscription.resource.partition("?")[2]))
    wanted = {name.strip().lower() for name in options.get("$select", "").split(",")}
    select = frozenset(name for name in entities.SELECTABLE_OF_MESSAGE if name.lower() in wanted)
    return entities.message(message, entities.View(select=select, immutable_ids=subscription.immutable_ids))


def encrypt(plain: bytes, certificate: str) -> dict[str, str]:
    """Data, key and signature for the owner of a certificate. Raises BadCertificate."""
    loaded = read_certificate(certificate)
    key = secrets.token_bytes(32)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    sha1 = hashes.SHA1()  # noqa: S303 - Graph's choice
    data_key = _public_key(loaded).encrypt(key, rsa_padding.OAEP(rsa_padding.MGF1(sha1), sha1, None))
    return {
        "data": base64.b64encode(data).decode(),
        "dataKey": base64.b64encode(data_key).decode(),
        "dataSignature": base64.b64encode(hmac.digest(key, data, "sha256")).decode(),
        "encryptionCertificateThumbprint": loaded.fingerprint(sha1).hex().upper(),
    }


def read_certificate(text: object) -> x509.Certificate:
    """Raises BadCertificate."""
    try:
        loaded = x509.load_der_x509_certificate(base64.b64decode(str(text), validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadCertificate("not the base64 of a certificate") from error
    _public_key(loaded)
    return loaded


def _public_key(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or not 2048 <= key.key_size <= 4096:
        raise BadCertificate("the key is not RSA of 2,048 to 4,096 bits")
    return key
