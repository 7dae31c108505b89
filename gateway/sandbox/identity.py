"""Ids as Microsoft makes them: GUIDs for directory objects, long opaque strings for what is in a mailbox.

Everything comes from one seeded source, so the same steps in the same order give the same ids.
"""

import base64
import random
import re
import uuid
from datetime import timedelta
from typing import Final, TypeVar

T = TypeVar("T")

MESSAGE_PREFIX: Final = "AAMkA"
IMMUTABLE_PREFIX: Final = "AAkALgA"
FOLDER_PREFIX: Final = "AQMkA"
CONVERSATION_PREFIX: Final = "AAQkA"

_BYTES: Final = {MESSAGE_PREFIX: 54, IMMUTABLE_PREFIX: 45, FOLDER_PREFIX: 36, CONVERSATION_PREFIX: 27}
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class Identities:
    """The source of every id and of everything else that is random in a sandbox."""

    def __init__(self, seed: int | str = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing here guards anything

    def guid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def token(self, size_bytes: int = 24) -> str:
        """Random bytes in the URL-safe alphabet, without padding."""
        return base64.urlsafe_b64encode(self._random.randbytes(size_bytes)).decode().rstrip("=")

    def bytes(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)

    def shuffled(self, items: list[T]) -> list[T]:
        return self._random.sample(items, len(items))

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        """Any time from the one to the other, all alike."""
        return least + (most - least) * self._random.random()

    def message_id(self) -> str:
        return self._opaque(MESSAGE_PREFIX)

    def immutable_id(self) -> str:
        return self._opaque(IMMUTABLE_PREFIX)

    def folder_id(self) -> str:
        return self._opaque(FOLDER_PREFIX)

    def attachment_id(self) -> str:
        return self._opaque(MESSAGE_PREFIX)

    def change_key(self, version: int) -> str:
        """Twenty-four bytes whose last eight count the changes of a mailbox, as Exchange's do."""
        return base64.b64encode(b"\x09\x00\x00\x00\x16\x00\x00\x00" + version.to_bytes(16, "big")).decode()

    def _opaque(self, prefix: str) -> str:
        return prefix + base64.b64encode(self._random.randbytes(_BYTES[prefix])).decode() + "AAA="


def looks_like_item_id(text: str) -> bool:
    """Whether this could be the id of a message, folder or attachment: not cut, not garbled, not a conversation's."""
    for prefix in (MESSAGE_PREFIX, IMMUTABLE_PREFIX, FOLDER_PREFIX):
        if text.startswith(prefix):
            whole = len(prefix) + _BYTES[prefix] * 4 // 3 + 4
            return len(text) == whole and _OPAQUE.fullmatch(text) is not None
    return False
