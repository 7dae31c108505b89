"""Work that comes round: a due time per account and name, so that a restart or a missed tick heals itself."""

from datetime import datetime

from storage.database import Transaction, moment

DUE = """
SELECT accounts.id FROM accounts LEFT JOIN chores ON chores.account_id = accounts.id AND chores.name = :name
 WHERE chores.due_at IS NULL OR chores.due_at <= :now
"""
NEXT = """
INSERT INTO chores (account_id, name, due_at) VALUES (:account_id, :name, :due_at)
    ON CONFLICT (account_id, name) DO UPDATE SET due_at = :due_at
"""
GET = "SELECT due_at FROM chores WHERE account_id = :account_id AND name = :name"


def due(tx: Transaction, name: str, now: datetime) -> list[str]:
    """The accounts for which this chore is due; one never done is due."""
    return [row["id"] for row in tx.execute(DUE, {"name": name, "now": now})]


def done(tx: Transaction, account_id: str, name: str, *, next_at: datetime) -> None:
    """Not again before `next_at`."""
    tx.execute(NEXT, {"account_id": account_id, "name": name, "due_at": next_at})


def due_at(tx: Transaction, account_id: str, name: str) -> datetime | None:
    """When it is due; None when it was never done."""
    row = tx.execute(GET, {"account_id": account_id, "name": name}).fetchone()
    return None if row is None else moment(row["due_at"])
