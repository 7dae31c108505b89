"""Access tokens: JWTs signed with a key of the sandbox, and their check."""

import base64
import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class BadToken(Exception):
    """Not a token of ours, or one whose signature does not fit."""


@functools.cache
def _process_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenMint:
    """Signs and reads tokens with one RSA key, made once per process."""

    def __init__(self) -> None:
        self._key = _process_key()
        self._read: dict[str, dict[str, Any]] = {}
        numbers = self._key.public_key().public_numbers()
        self._modulus = _encode(numbers.n.to_bytes(256, "big"))
        self._exponent = _encode(numbers.e.to_bytes(3, "big"))
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self._modulus.encode())
        self.key_id = _encode(digest.finalize()[:20])

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set for everyone."""
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id, "n": self._modulus, "e": self._exponent}
        return {"keys": [key]}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT, RS256."""
        header = {"typ": "JWT", "alg": "RS256", "kid": self.key_id}
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(claims))}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encode(signature)}"

    def read(self, token: str) -> dict[str, Any]:
        """The claims of a token with a good signature. Raises BadToken; its times are the caller's to judge."""
        known = self._read.get(token)
        if known is None:
            known = self._verified(token)
            if len(self._read) > 1000:
                self._read.clear()
            self._read[token] = known
        return known

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            header, claims, signature = token.split(".")
            if orjson.loads(_decode(header)).get("alg") != "RS256":
                raise BadToken("alg")
            self._key.public_key().verify(
                _decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            read: dict[str, Any] = orjson.loads(_decode(claims))
        except (ValueError, InvalidSignature, AttributeError) as error:
            raise BadToken(str(error)) from error
        return read


def seconds(moment: datetime) -> int:
    """A NumericDate of RFC 7519."""
    return int(moment.timestamp())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
