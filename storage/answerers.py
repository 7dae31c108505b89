"""Answerers: who answers letters by machine, and the letters that went to whom of late.

Both know an address by its digest alone. How many letters are too many is the sender's to know.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from storage.transaction import Transaction, moment

ANSWERED_BY_MACHINE = """
INSERT INTO answerers (account_id, recipient, in_a_row, answered_at) VALUES (:account_id, :recipient, 1, :now)
    ON CONFLICT (account_id, recipient) DO UPDATE SET in_a_row = in_a_row + 1, answered_at = :now
"""
ANSWERED_IN_PERSON = "DELETE FROM answerers WHERE account_id = :account_id AND recipient = :recipient"
IN_A_ROW = "SELECT in_a_row FROM answerers WHERE account_id = :account_id AND recipient = :recipient"
ARE_THERE = "SELECT EXISTS (SELECT 1 FROM answerers WHERE account_id = :account_id) AS there"
LEAVES = """
INSERT INTO departures (account_id, recipient, message_id, left_at) VALUES (:account_id, :recipient, :message_id, :now)
    ON CONFLICT (account_id, recipient, message_id) DO UPDATE SET left_at = :now
"""
LEFT_SINCE = """
SELECT left_at FROM departures
 WHERE account_id = :account_id AND recipient = :recipient AND message_id <> :message_id AND left_at > :since
 ORDER BY left_at
"""
FORGET = "DELETE FROM departures WHERE account_id = :account_id AND left_at < :before"


def digest(address: str) -> bytes:
    """By which an address is known here: addresses are compared without case."""
    return hashlib.sha256(address.strip().casefold().encode("utf-8", "replace")).digest()


def answered_by_machine(tx: Transaction, account_id: str, address: str, *, now: datetime) -> None:
    """One more automatic answer."""
    tx.execute(ANSWERED_BY_MACHINE, {"account_id": account_id, "recipient": digest(address), "now": now})


def answered_in_person(tx: Transaction, account_id: str, address: str) -> None:
    """Somebody is there after all."""
    tx.execute(ANSWERED_IN_PERSON, {"account_id": account_id, "recipient": digest(address)})


def are_there(tx: Transaction, account_id: str) -> bool:
    """Whether anybody answers the account's letters by machine."""
    return bool(tx.execute(ARE_THERE, {"account_id": account_id}).fetchone()["there"])


def in_a_row(tx: Transaction, account_id: str, address: str) -> int:
    """How many of the last answers from there were automatic."""
    row = tx.execute(IN_A_ROW, {"account_id": account_id, "recipient": digest(address)}).fetchone()
    return 0 if row is None else int(row["in_a_row"])


def leaves(tx: Transaction, account_id: str, message_id: str, addresses: Iterable[str], *, now: datetime) -> None:
    """This letter is about to go to these; counted once, however often it is tried."""
    for address in addresses:
        what = {"account_id": account_id, "recipient": digest(address), "message_id": message_id, "now": now}
        tx.execute(LEAVES, what)


def left_since(tx: Transaction, account_id: str, address: str, since: datetime, *, but_for: str) -> Sequence[datetime]:
    """When letters went there, oldest first, without one that is about to."""
    question = {"account_id": account_id, "recipient": digest(address), "since": since, "message_id": but_for}
    return [moment(row["left_at"]) for row in tx.execute(LEFT_SINCE, question)]


def forget(tx: Transaction, account_id: str, *, before: datetime) -> int:
    """Departures older than this; how many those were."""
    return tx.execute(FORGET, {"account_id": account_id, "before": before}).rowcount
