"""Sessions of people that were signed out of: kept as hashes until they would have ended by themselves."""

import hashlib
from datetime import datetime

from storage.transaction import Transaction

END = """
INSERT OR IGNORE INTO ended_sessions (account_id, session_hash, ends_at)
VALUES (:account_id, :session_hash, :ends_at)
"""
IS_ENDED = "SELECT 1 FROM ended_sessions WHERE session_hash = :session_hash"
PRUNE = "DELETE FROM ended_sessions WHERE account_id = :account_id AND ends_at <= :now"


def end(tx: Transaction, account_id: str, session_id: str, *, ends_at: datetime) -> None:
    """Good no longer; `ends_at` is when it would have ended anyway."""
    tx.execute(END, {"account_id": account_id, "session_hash": _hash(session_id), "ends_at": ends_at})


def is_ended(tx: Transaction, session_id: str) -> bool:
    """Whether somebody signed out of it."""
    return tx.execute(IS_ENDED, {"session_hash": _hash(session_id)}).fetchone() is not None


def prune(tx: Transaction, account_id: str, *, now: datetime) -> int:
    """Forget those that are over by themselves; how many went."""
    return tx.execute(PRUNE, {"account_id": account_id, "now": now}).rowcount


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
