"""What Microsoft 365 allows each mailbox, and how much of it is left."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from gateway.budgets import calls_left
from gateway.http.metrics.families import Scrape, by
from gateway.sending import budget
from storage import Transaction, mailboxes


def letters_left(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What each mailbox may still send."""
    left = {
        box.address: budget.left(tx, box.id, scrape.allowance, scrape.now)
        for box in mailboxes.list_validated(tx, scrape.account_id)
    }
    yield by(
        "mailbox",
        "letters_left_this_minute",
        "Letters that a validated mailbox may still send within a minute.",
        {address: found.letters for address, found in left.items()},
    )
    yield by(
        "mailbox",
        "recipients_left_today",
        "Recipients that a validated mailbox may still send to within 24 hours. At 0 its letters wait until tomorrow: "
        "spread what is urgent over another mailbox.",
        {address: found.recipients for address, found in left.items()},
    )


def requests_left(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What Graph may still be asked about each mailbox."""
    left = {
        box.address: calls_left(tx, box.id, scrape.limits, scrape.now)
        for box in mailboxes.list_mailboxes(tx, scrape.account_id)
    }
    yield by(
        "mailbox",
        "graph_requests_left",
        "Calls to Microsoft Graph that a mailbox may still be asked within 10 minutes.",
        {address: found.requests for address, found in left.items()},
    )
    yield by(
        "mailbox",
        "upload_bytes_left",
        "Bytes that may still be uploaded to a mailbox within 5 minutes.",
        {address: found.upload_bytes for address, found in left.items()},
    )
