"""Events to the host: how far each webhook is behind. An account has at most 20 of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from prometheus_client.metrics_core import Metric

from gateway.host.deliver import is_told
from gateway.http.metrics.families import Scrape, by
from storage import Transaction, deliveries, events, webhooks
from storage.deliveries import Waiting
from storage.webhooks import Webhook, WebhookState

LOOKED_THROUGH: Final = 100  # of the events that a webhook has not taken up


def webhooks_behind(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How late its events are, how often it failed, and whether it is asked at all; by its id."""
    found = webhooks.of_account(tx, scrape.account_id)
    waiting = {hook.id: deliveries.waiting(tx, hook.id) for hook in found}
    yield by(
        "webhook",
        "webhook_lag_seconds",
        "How long ago the oldest event happened that a webhook has not got; 0 when it has all. GET "
        "/v1/webhooks/{id}/deliveries has each attempt and its answer.",
        {hook.id: scrape.since(_oldest_undelivered(tx, hook, waiting[hook.id])) for hook in found},
    )
    yield by(
        "webhook",
        "webhook_deliveries_waiting",
        "Events that wait for a webhook; of a receiver that is away for long, the first 10,000.",
        {id: one.count for id, one in waiting.items()},
    )
    yield by(
        "webhook",
        "webhook_failures",
        "Attempts at a webhook that have failed in a row.",
        {hook.id: hook.failures for hook in found},
    )
    yield by(
        "webhook",
        "webhook_disabled",
        "1 when a webhook answered 410 and gets nothing more before a person enables it.",
        {hook.id: int(hook.state is WebhookState.DISABLED) for hook in found},
    )


def _oldest_undelivered(tx: Transaction, hook: Webhook, waiting: Waiting) -> datetime | None:
    """Of those that wait, and of those that are not even taken up because it is disabled or far behind."""
    untaken = events.after(tx, hook.account_id, hook.taken_up, limit=LOOKED_THROUGH)
    first = next((one.created_at for one in untaken if is_told(hook, one)), None)
    known = [at for at in (waiting.oldest_at, first) if at is not None]
    return min(known) if known else None
