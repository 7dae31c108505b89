"""Ids as Microsoft makes them: GUIDs for directory objects, long opaque strings for what is in a mailbox.

Everything comes from one seeded source, so the same steps in the same order give the same ids.

The id of a message ends with the number that its database gave to it, and the numbers go up. That is nothing to rely
on, but a store that keeps ids in order feels it: new mail stands beside new mail.
Source: [MS-OXCDATA] 2.2.1.3 and 2.2.4.2,
https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxcdata/eab975da-1ac2-4799-bf34-56030b3154b5
"""

import base64
import random
import re
import uuid
from datetime import timedelta
from typing import Final, TypeVar

T = TypeVar("T")

FOLDER_PREFIX: Final = "AQMkA"
CONVERSATION_PREFIX: Final = "AAQkA"

# As they begin in Microsoft's own samples. What the parts mean is said in [MS-OXCDATA] 2.2.4.2, for the first of them.
_MESSAGE: Final = b"\x00\x03\x24\x00%b\x00\x46\x00\x00\x00\x00\x00%b\x07\x00%b\x00\x00%b\x00\x00"
_IMMUTABLE: Final = bytes.fromhex("0009002e00000000001d840311aa6611cd9bc800aa002fc45a0d00") + b"%b\x00\x00"
_BYTES: Final = {FOLDER_PREFIX: 36, CONVERSATION_PREFIX: 27}
_LENGTHS: Final = {"AAMkA": 152, "AAkALgA": 68, FOLDER_PREFIX: 57}
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class Identities:
    """The source of every id and of everything else that is random in a sandbox."""

    def __init__(self, seed: int | str = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - nothing here guards anything
        self._mailbox_guid, self._provider = self.guid().encode(), self.random_bytes(16)
        self._database, self._folder = self.random_bytes(16), self._random.getrandbits(24)
        self._number = self._random.getrandbits(40)

    def guid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def token(self, size_bytes: int = 24) -> str:
        """Random bytes in the URL-safe alphabet, without padding."""
        return base64.urlsafe_b64encode(self._random.randbytes(size_bytes)).decode().rstrip("=")

    def random_bytes(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)

    def shuffled(self, items: list[T]) -> list[T]:
        return self._random.sample(items, len(items))

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        """Any time from the one to the other, all alike."""
        return least + (most - least) * self._random.random()

    def message_id(self) -> str:
        """The default id, which names the folder, too: ours is always the same one."""
        folder = global_identifier(self._database, self._folder)
        return base64.b64encode(_MESSAGE % (self._mailbox_guid, self._provider, folder, self._next())).decode()

    def immutable_id(self) -> str:
        return base64.b64encode(immutable_entry(self._next())).decode()

    def folder_id(self) -> str:
        return self._opaque(FOLDER_PREFIX)

    def attachment_id(self) -> str:
        return self.message_id()

    def change_key(self, version: int) -> str:
        """Twenty-four bytes whose last eight count the changes of a mailbox, as Exchange's do."""
        return base64.b64encode(b"\x09\x00\x00\x00\x16\x00\x00\x00" + version.to_bytes(16, "big")).decode()

    def _next(self) -> bytes:
        """All mailboxes of a sandbox stand in one database."""
        self._number += 1
        return global_identifier(self._database, self._number)

    def _opaque(self, prefix: str) -> str:
        return prefix + base64.b64encode(self._random.randbytes(_BYTES[prefix])).decode() + "AAA="


def global_identifier(database: bytes, number: int) -> bytes:
    """Of a folder or a message: the GUID of its database, and 48 bits that count what is in there."""
    return database + number.to_bytes(6, "big")


def immutable_entry(identifier: bytes) -> bytes:
    """What an immutable id is in Base64: with `-` and `_` at Microsoft, with `+` and `/` in the stricter sandbox."""
    return _IMMUTABLE % identifier


def looks_like_item_id(text: str) -> bool:
    """Whether this could be the id of a message, folder or attachment: not cut, not garbled, not a conversation's."""
    for prefix, length in _LENGTHS.items():
        if text.startswith(prefix):
            return len(text) == length and _OPAQUE.fullmatch(text) is not None
    return False
