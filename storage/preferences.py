"""What an account's admin wants done by itself."""

from dataclasses import dataclass
from typing import Final

from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """`self_test`: each validated mailbox writes to itself daily. `alert_address`: who gets letters of warning."""

    self_test: bool = True
    alert_address: str | None = None


USUAL: Final = Preferences()

GET = "SELECT * FROM preferences WHERE account_id = :account_id"
SAVE = """
INSERT INTO preferences (account_id, self_test, alert_address) VALUES (:account_id, :self_test, :alert_address)
    ON CONFLICT (account_id) DO UPDATE SET self_test = :self_test, alert_address = :alert_address
"""


def get(tx: Transaction, account_id: str) -> Preferences:
    """What was wished, or what is usual."""
    row = tx.execute(GET, {"account_id": account_id}).fetchone()
    if row is None:
        return USUAL
    return Preferences(self_test=bool(row["self_test"]), alert_address=row["alert_address"])


def save(tx: Transaction, account_id: str, wished: Preferences) -> None:
    """From now on."""
    values = {"self_test": wished.self_test, "alert_address": wished.alert_address}
    tx.execute(SAVE, {"account_id": account_id, **values})
