"""The secrets that everything stands on."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from gateway.http.metrics.families import Scrape, one
from gateway.setup.expiry import standing_of
from storage import Transaction, accounts, credentials


def credentials_ending(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How long the account's credential is good for."""
    serving, time_zone = credentials.serving(tx, scrape.account_id), accounts.get(tx, scrape.account_id).time_zone
    stands = standing_of(serving, scrape.now, time_zone=time_zone)
    if stands is not None and stands.days_left is not None:
        yield one(
            "credential_days_left",
            "Begun days until the credential of the account ends; 0 when it has, none when its end is not known. Enter "
            "a new one before: the old one goes on serving until then.",
            stands.days_left,
        )
