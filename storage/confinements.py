"""The proof that the app is kept out of other mailboxes: which one is tried, and what that showed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

from storage.transaction import Transaction, moment, moment_or_none


class ConfinementState(StrEnum):
    """What the last try that decided anything showed."""

    UNKNOWN = "unknown"
    REFUSED = "refused"
    READABLE = "readable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """`address` must be refused. `proved_at` is when it last was; `detail` is a sentence about the last try."""

    account_id: str
    address: str
    state: ConfinementState
    state_since: datetime
    proved_at: datetime | None
    checked_at: datetime | None
    detail: str

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `confinements`."""
        return cls(
            account_id=row["account_id"],
            address=row["address"],
            state=ConfinementState(row["state"]),
            state_since=moment(row["state_since"]),
            proved_at=moment_or_none(row["proved_at"]),
            checked_at=moment_or_none(row["checked_at"]),
            detail=row["detail"],
        )


GET = "SELECT * FROM confinements WHERE account_id = :account_id"
CHOOSE = """
INSERT INTO confinements (account_id, address, state, state_since, detail)
VALUES (:account_id, :address, 'unknown', :now, 'Not tried yet.')
    ON CONFLICT (account_id) DO UPDATE
   SET address = :address, state = 'unknown', state_since = :now, proved_at = NULL, checked_at = NULL,
       detail = 'Not tried yet.'
 WHERE address <> :address
"""
RECORD = """
UPDATE confinements
   SET state = :state, state_since = iif(state = :state, state_since, :now), checked_at = :now, detail = :detail,
       proved_at = iif(:state = 'refused', :now, proved_at)
 WHERE account_id = :account_id AND address = :address
"""
UNDECIDED = """
UPDATE confinements SET checked_at = :now, detail = :detail WHERE account_id = :account_id AND address = :address
"""


def get(tx: Transaction, account_id: str) -> Confinement | None:
    """None when no mailbox was chosen yet."""
    row = tx.execute(GET, {"account_id": account_id}).fetchone()
    return None if row is None else Confinement.from_row(row)


def choose(tx: Transaction, account_id: str, address: str, *, now: datetime) -> None:
    """Another mailbox is another question: what was proved of the one before no longer counts."""
    tx.execute(CHOOSE, {"account_id": account_id, "address": address, "now": now})


def record(
    tx: Transaction, account_id: str, address: str, state: ConfinementState, detail: str, *, now: datetime
) -> bool:
    """What trying it showed; true when that is news. UNKNOWN decides nothing and leaves the state as it was."""
    before = get(tx, account_id)
    if before is None or before.address != address:
        return False
    values = {"account_id": account_id, "address": address, "state": state, "detail": detail, "now": now}
    tx.execute(UNDECIDED if state is ConfinementState.UNKNOWN else RECORD, values)
    return state is not ConfinementState.UNKNOWN and before.state is not state
