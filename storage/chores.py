"""Work that comes round: a due time per account and name, so that a restart or a missed tick heals itself."""

from datetime import datetime

from storage.transaction import Transaction, moment, moment_or_none

DUE = """
SELECT accounts.id FROM accounts LEFT JOIN chores ON chores.account_id = accounts.id AND chores.name = :name
 WHERE chores.due_at IS NULL OR chores.due_at <= :now OR chores.due_at > :latest
 ORDER BY accounts.id
"""
NEXT_DUE = """
SELECT min(coalesce(chores.due_at, :now)) AS due_at
  FROM accounts LEFT JOIN chores ON chores.account_id = accounts.id AND chores.name = :name
"""
NEXT = """
INSERT INTO chores (account_id, name, due_at) VALUES (:account_id, :name, :due_at)
    ON CONFLICT (account_id, name) DO UPDATE SET due_at = :due_at
"""
GET = "SELECT due_at FROM chores WHERE account_id = :account_id AND name = :name"


def due(tx: Transaction, name: str, now: datetime, *, latest: datetime | None = None) -> list[str]:
    """The accounts for which this chore is due; one never done is due.

    So is one that stands later than `latest`: a clock that ran ahead wrote that.
    """
    question = {"name": name, "now": now, "latest": 2**63 - 1 if latest is None else latest}
    return [row["id"] for row in tx.execute(DUE, question)]


def next_due(tx: Transaction, name: str, now: datetime) -> datetime | None:
    """When this chore is due next for any account; None when there is no account."""
    return moment_or_none(tx.execute(NEXT_DUE, {"name": name, "now": now}).fetchone()["due_at"])


def done(tx: Transaction, account_id: str, name: str, *, next_at: datetime) -> None:
    """Not again before `next_at`."""
    tx.execute(NEXT, {"account_id": account_id, "name": name, "due_at": next_at})


def due_at(tx: Transaction, account_id: str, name: str) -> datetime | None:
    """When it is due; None when it was never done."""
    row = tx.execute(GET, {"account_id": account_id, "name": name}).fetchone()
    return None if row is None else moment(row["due_at"])
