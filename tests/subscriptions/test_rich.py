import base64
import functools
import hmac
import secrets
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.rich import (
    OAEP,
    EncryptedContent,
    EncryptionCertificate,
    NotEncrypted,
    NotOpened,
    Tampered,
    UnknownCertificate,
    opened,
    private_key_of,
)
from tests.fakes.clock import A_MONDAY

SAMPLES = Path(__file__).parent / "samples" / "rich"
YEAR = timedelta(days=365)


@functools.cache
def vector() -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads((SAMPLES / "rich-notification-vector.json").read_bytes())
    return read


@functools.cache
def microsofts_keys() -> dict[str, rsa.RSAPrivateKey]:
    """Microsoft's published test key, under the id that its vector names."""
    stored = base64.b64decode(vector()["pkcs12"])
    key, _, _ = pkcs12.load_key_and_certificates(stored, vector()["pkcs12Password"].encode())
    assert isinstance(key, rsa.RSAPrivateKey)
    return {vector()["encryptedContent"]["encryptionCertificateId"]: key}


@functools.cache
def certificate() -> EncryptionCertificate:
    return EncryptionCertificate.new(A_MONDAY, YEAR)


@functools.cache
def our_keys() -> dict[str, rsa.RSAPrivateKey]:
    return {certificate().id: certificate().key()}


def encrypted(plain: bytes, *, key: bytes | None = None) -> dict[str, str]:
    """As Graph encrypts for our certificate."""
    key = key or secrets.token_bytes(32)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return content_of(key, data)


def content_of(key: bytes, data: bytes) -> dict[str, str]:
    loaded = x509.load_der_x509_certificate(base64.b64decode(certificate().certificate))
    public_key = loaded.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    return {
        "data": base64.b64encode(data).decode(),
        "dataKey": base64.b64encode(public_key.encrypt(key, OAEP)).decode(),
        "dataSignature": base64.b64encode(hmac.digest(key, data, "sha256")).decode(),
        "encryptionCertificateId": certificate().id,
    }


def open_ours(value: object) -> dict[str, object]:
    return opened(EncryptedContent.from_graph(value), our_keys())


def test_what_microsoft_encrypted_opens() -> None:
    content = EncryptedContent.from_graph(vector()["encryptedContent"])
    assert opened(content, microsofts_keys()) == orjson.loads(vector()["plaintext"])


@given(
    name=st.sampled_from(["data", "dataKey", "dataSignature", "encryptionCertificateId"]),
    data=st.data(),
)
def test_a_change_to_any_character_of_any_member_is_refused(name: str, data: st.DataObject) -> None:
    members = vector()["encryptedContent"]
    at = data.draw(st.integers(0, len(members[name]) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda character: character != members[name][at]))
    changed = {**members, name: members[name][:at] + other + members[name][at + 1 :]}
    with pytest.raises(NotOpened):
        opened(EncryptedContent.from_graph(changed), microsofts_keys())


@given(name=st.sampled_from(["data", "data_key", "data_signature"]), raw=st.binary(max_size=600))
def test_any_other_bytes_in_any_member_are_refused(name: str, raw: bytes) -> None:
    content = replace(EncryptedContent.from_graph(encrypted(b"{}")), **{name: raw})
    with pytest.raises(NotOpened):
        opened(content, our_keys())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "dataKey", "x"]), inner),
    )
)
def test_whatever_stands_there_is_read_or_refused(value: object) -> None:
    with pytest.raises(NotEncrypted):
        EncryptedContent.from_graph(value)


def test_what_is_encrypted_for_a_certificate_of_ours_opens() -> None:
    assert open_ours(encrypted('{"subject": "Tēnā koe"}'.encode())) == {"subject": "Tēnā koe"}


def test_each_item_opens_by_the_certificate_that_it_names() -> None:
    older = EncryptionCertificate.new(A_MONDAY, YEAR)
    content = EncryptedContent.from_graph(encrypted(b"{}"))
    assert opened(content, {older.id: older.key(), **our_keys()}) == {}
    with pytest.raises(UnknownCertificate):
        opened(content, {older.id: older.key()})
    with pytest.raises(Tampered, match="dataKey"):
        opened(content, {certificate().id: older.key()})


@pytest.mark.parametrize("plain", [b"", b"[]", b"null", b"{", b"\xff"])
def test_what_is_no_object_within_is_refused(plain: bytes) -> None:
    with pytest.raises(NotEncrypted):
        open_ours(encrypted(plain))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(Tampered, match="32 bytes"):
        open_ours(encrypted(b"{}", key=secrets.token_bytes(16)))


@pytest.mark.parametrize("data", [b"x", b"x" * 15, b"x" * 16])
def test_data_that_is_signed_and_yet_not_padded_blocks_is_refused(data: bytes) -> None:
    with pytest.raises(Tampered, match="padding"):
        open_ours(content_of(b"k" * 32, data))


def test_a_certificate_is_what_graph_wants() -> None:
    made = certificate()
    loaded = x509.load_der_x509_certificate(base64.b64decode(made.certificate, validate=True))
    public_key = loaded.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert (public_key.key_size, len(made.id) <= 128) == (2048, True)
    assert loaded.not_valid_before_utc < A_MONDAY < loaded.not_valid_after_utc == made.not_after == A_MONDAY + YEAR
    loaded.verify_directly_issued_by(loaded)


def test_no_two_certificates_share_an_id_and_none_shows_its_key() -> None:
    made = EncryptionCertificate.new(A_MONDAY, YEAR)
    assert made.id != certificate().id
    assert "PRIVATE" not in repr(made)


def test_only_an_rsa_key_is_read_from_the_store() -> None:
    assert private_key_of(certificate().private_key).key_size == 2048
    with pytest.raises(ValueError, match="PEM"):
        private_key_of("no key")
