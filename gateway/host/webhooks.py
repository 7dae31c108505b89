"""What people do with webhooks: add, change, look, try, mend, remove."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.host.catalogue import TEST
from gateway.host.signing import new_secret
from storage import Conflict, Store, Transaction, deliveries, events, webhooks
from storage.deliveries import Waiting
from storage.vault import Key
from storage.webhooks import Webhook

MOST_WEBHOOKS: Final = 20  # of an account
OLD_SECRET_LIVES: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithSecret:
    """A webhook and the secret that its receiver needs; it is not shown again."""

    webhook: Webhook
    secret: str = field(repr=False)


class HostWebhooks:
    """The webhooks of all accounts. Unknown ids raise `storage.NotFound`."""

    def __init__(self, store: Store, key: Key, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._clock = clock

    async def add(self, account_id: str, *, url: str, description: str | None, types: Sequence[str]) -> WithSecret:
        """For what happens from now on. Raises `storage.Conflict` when there are too many."""
        secret = new_secret()
        webhook = await self._store.write(
            _add,
            account_id,
            url=url,
            description=description,
            types=types,
            secret=secret,
            key=self._key,
            now=self._clock.now(),
        )
        return WithSecret(webhook=webhook, secret=secret)

    async def rotate_secret(self, account_id: str, webhook_id: str) -> WithSecret:
        """A new secret; events are signed with the one before, too, for a day."""
        secret, until = new_secret(), self._clock.now() + OLD_SECRET_LIVES
        webhook = await self._store.write(
            _rotate, account_id, webhook_id, secret=secret, old_until=until, key=self._key
        )
        return WithSecret(webhook=webhook, secret=secret)


def _add(
    tx: Transaction,
    account_id: str,
    *,
    url: str,
    description: str | None,
    types: Sequence[str],
    secret: str,
    key: Key,
    now: datetime,
) -> Webhook:
    if len(webhooks.of_account(tx, account_id)) >= MOST_WEBHOOKS:
        raise Conflict(f"An account has at most {MOST_WEBHOOKS} webhooks. Remove one that is no longer needed.")
    return webhooks.add(
        tx,
        account_id,
        url=url,
        description=description,
        types=types,
        secret=secret,
        after=events.last_seq(tx, account_id),
        key=key,
        now=now,
    )


def _rotate(
    tx: Transaction, account_id: str, webhook_id: str, *, secret: str, old_until: datetime, key: Key
) -> Webhook:
    webhooks.rotate(tx, webhooks.get(tx, account_id, webhook_id), secret=secret, old_until=old_until, key=key)
    return webhooks.get(tx, account_id, webhook_id)


def test(tx: Transaction, account_id: str, webhook_id: str, *, now: datetime) -> int:
    """Record a test event for this webhook alone; its number."""
    webhook = webhooks.get(tx, account_id, webhook_id)
    events.record(tx, account_id, TEST, data={"webhook_id": webhook.id}, now=now)
    return events.last_seq(tx, account_id)


def enable(tx: Transaction, account_id: str, webhook_id: str, *, now: datetime) -> None:
    """Push there again, first of all what has waited."""
    found = webhooks.get(tx, account_id, webhook_id)
    webhooks.enable(tx, found.id)
    deliveries.hasten(tx, found.id, now=now)


def with_waiting(tx: Transaction, account_id: str, webhook_id: str) -> tuple[Webhook, Waiting]:
    """A webhook and how far it is behind."""
    return webhooks.get(tx, account_id, webhook_id), deliveries.waiting(tx, webhook_id)
