"""What an admin wants done by itself: daily self-tests, and letters of warning to an address."""

from gateway.setup.account import BadConfiguration
from gateway.setup.values import address_problem
from storage import Transaction, preferences
from storage.preferences import Preferences


def wish(
    tx: Transaction, account_id: str, *, self_test: bool | None = None, alert_address: str | None = None
) -> Preferences:
    """Keep what is given; None leaves it as it was, and an empty address is none.

    Raises `BadConfiguration` for what is no address.
    """
    before = preferences.get(tx, account_id)
    address = before.alert_address if alert_address is None else alert_address.strip() or None
    problem = None if address is None else address_problem(address)
    if problem is not None:
        raise BadConfiguration({"alert_address": problem})
    wished = Preferences(self_test=before.self_test if self_test is None else self_test, alert_address=address)
    preferences.save(tx, account_id, wished)
    return wished
