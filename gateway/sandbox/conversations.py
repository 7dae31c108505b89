"""How Exchange groups mail: Message-IDs, subjects without their prefixes, the conversation index."""

import base64
import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import Final

from gateway.sandbox.identity import CONVERSATION_PREFIX, Identities

_PREFIXES: Final = re.compile(r"^\s*((re|fw|fwd|aw|wg|sv|vs|automatic reply|undeliverable)\s*(\[\d+\])?\s*:\s*)+", re.I)
_FILETIME_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_HEADER_BYTES: Final = 22


def topic(subject: str) -> str:
    """The subject as Exchange compares it: without reply and forward prefixes, blanks and case folded."""
    return " ".join(_PREFIXES.sub("", subject).split()).casefold()


def reply_subject(subject: str) -> str:
    """`Re: ` before it, once."""
    return subject if subject[:3].lower() == "re:" else f"Re: {subject}"


def new_index(moment: datetime, identities: Identities) -> bytes:
    """The index of a conversation's first message: 1 reserved byte, 5 of FILETIME, a GUID (MS-OXOMSG 2.2.1.3)."""
    return b"\x01" + _filetime(moment) + identities.random_bytes(16)


def child_index(parent: bytes, moment: datetime) -> bytes:
    """The index of an answer: its parent's and 5 bytes for the time that has passed since."""
    passed = int.from_bytes(_filetime(moment), "big") - int.from_bytes(parent[1:6], "big")
    return parent + max(0, passed & 0x7FFFFFFFFF).to_bytes(5, "big")


def conversation_of(index: bytes) -> bytes:
    """The GUID that all messages of a conversation share (MS-OXOMSG 2.2.1.2)."""
    return index[6:_HEADER_BYTES]


def id_in(mailbox_guid: str, index: bytes) -> str:
    """The conversationId in one mailbox: as in Exchange it encodes the mailbox, so another mailbox has another."""
    mailbox = uuid.UUID(mailbox_guid).bytes
    conversation = bytes(a ^ b for a, b in zip(mailbox, conversation_of(index).ljust(16, b"\0"), strict=True))
    return CONVERSATION_PREFIX + base64.b64encode(mailbox[:11] + conversation).decode() + "AAA="


def untracked_index(subject: str, moment: datetime) -> bytes:
    """For mail that nothing ties to an earlier message: the conversation is then a hash of the topic alone,
    so strangers with the same plain subject fall together (MS-OXOMSG 2.2.1.2)."""
    return b"\x01" + _filetime(moment) + hashlib.md5(topic(subject).encode(), usedforsecurity=False).digest()


def _filetime(moment: datetime) -> bytes:
    """The five high bytes of FILETIME below its first: units of 6.5536 ms."""
    ticks = (moment - _FILETIME_EPOCH) // (_FILETIME_EPOCH.resolution) * 10
    return ticks.to_bytes(8, "big")[1:6]
