"""Public ids: sortable by birth, and not to be guessed."""

import secrets
import uuid
from datetime import datetime

from storage.transaction import microseconds


def before_ids(kind: str, at: datetime) -> str:
    """What all ids made after that time come after."""
    return f"{kind}_{milliseconds(at):012x}"


def new_id(kind: str, now: datetime) -> str:
    """`kind_` and 28 hex digits: 48 bits of milliseconds, then 64 random bits."""
    return f"{kind}_{milliseconds(now):012x}{secrets.token_hex(8)}"


def new_uuid(now: datetime) -> str:
    """A UUID of version 7: 48 bits of milliseconds, then 74 random bits. Source: RFC 9562, 5.7.

    An index of them grows at its end; one of random UUIDs changes all over, a page of the file for each.
    """
    chance = secrets.randbits(74)
    version = 7 << 76 | (chance >> 62) << 64
    variant = 2 << 62 | chance & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds(now) << 80 | version | variant))


def milliseconds(at: datetime) -> int:
    """Since 1970; exactly, which seconds as a float are not: some came out a millisecond too small."""
    return microseconds(at) // 1000
