"""Public ids: sortable by birth, and not to be guessed."""

import secrets
from datetime import datetime


def before_ids(kind: str, at: datetime) -> str:
    """What all ids made after that time come after."""
    return f"{kind}_{int(at.timestamp() * 1000):012x}"


def new_id(kind: str, now: datetime) -> str:
    """`kind_` and 28 hex digits: 48 bits of milliseconds, then 64 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    return f"{kind}_{milliseconds:012x}{secrets.token_hex(8)}"
