"""The handshake: Graph shows a token to each URL, and wants it back before it subscribes.

It may come at any time, also when a subscription is renewed.
Source: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

LONGEST_TOKEN_BYTES: Final = 2048
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-type": "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",  # anybody may send a token, and it may look like a page
        "cache-control": "no-store",
    }
)


class BadHandshake(ValueError):
    """Not a token that Graph would send; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeAnswer:
    """Status 200, with exactly this."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


def handshake_answer(validation_token: str) -> HandshakeAnswer:
    """The answer to the URL-decoded `validationToken`: the token, nothing escaped, nothing added.

    Raises `BadHandshake`.
    """
    try:
        body = validation_token.encode()
    except UnicodeEncodeError as error:
        raise BadHandshake("validationToken is not text.") from error
    if not body:
        raise BadHandshake("validationToken is empty.")
    if len(body) > LONGEST_TOKEN_BYTES:
        raise BadHandshake(f"validationToken is longer than {LONGEST_TOKEN_BYTES} bytes.")
    return HandshakeAnswer(body=body)
