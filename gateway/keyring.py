"""Stored credentials, opened into what msal proves the app with."""

import re
from functools import partial
from pathlib import Path
from typing import Final

from gateway.graph import Certificate, ClientSecret, Credential, FederatedAssertion
from storage import credentials
from storage.credentials import CredentialKind, NewCredential
from storage.vault import Key

LONGEST_ASSERTION: Final = 64 * 1024  # bytes
# RFC 7519 section 3: three parts in base64url. Nothing else that a file may hold is ever sent to anybody.
JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class NoAssertion(ValueError):
    """The file holds no assertion. The text says why, without what is in it."""


def open_stored(stored: credentials.Credential, key: Key) -> Credential:
    """Raises `storage.WrongMasterKey`."""
    return as_proof(stored.kind, stored.open(key), stored.public_part)


def as_given(new: NewCredential) -> Credential:
    """One that is not stored yet."""
    return as_proof(new.kind, new.secret, new.public_part)


def as_proof(kind: CredentialKind, secret: str, public_part: str | None) -> Credential:
    """What msal takes."""
    match kind:
        case CredentialKind.CLIENT_SECRET:
            return ClientSecret(secret)
        case CredentialKind.CERTIFICATE:
            return Certificate(private_key_pem=secret, certificate_pem=public_part or "")
        case CredentialKind.FEDERATED:
            return FederatedAssertion(partial(read_assertion, Path(secret)))


def read_assertion(path: Path) -> str:
    """The assertion that stands in the file now: whoever makes it writes a new one before the last one ends.

    Raises `NoAssertion`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_ASSERTION + 1).decode("ascii").strip()
    except FileNotFoundError:
        raise NoAssertion(f"There is no file {path}.") from None
    except OSError as error:
        raise NoAssertion(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = ""
    if len(text) > LONGEST_ASSERTION or not JWT.fullmatch(text):
        raise NoAssertion(f"{path} holds no assertion (a JWT).")
    return text
