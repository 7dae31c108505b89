"""Webhooks: where an account's events are pushed to. Their secrets are sealed; two may be good at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Self

import orjson

from storage.errors import NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none
from storage.vault import Key, MasterKey, check_current


class WebhookState(StrEnum):
    """`down`: it has not answered well for a while, and is asked now and then. `disabled`: not before a person says."""

    LIVE = "live"
    DOWN = "down"
    DISABLED = "disabled"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """`types` empty means all events. `taken_up` is the last event that has its delivery, or needs none."""

    id: str
    account_id: str
    url: str
    description: str | None
    types: tuple[str, ...]
    secret: bytes = field(repr=False)
    old_secret: bytes | None = field(repr=False)
    old_secret_until: datetime | None
    state: WebhookState
    problem: str | None
    taken_up: int
    failures: int
    next_probe_at: datetime | None
    last_success_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `webhooks`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            url=row["url"],
            description=row["description"],
            types=tuple(orjson.loads(row["types"])),
            secret=row["secret"],
            old_secret=row["old_secret"],
            old_secret_until=moment_or_none(row["old_secret_until"]),
            state=WebhookState(row["state"]),
            problem=row["problem"],
            taken_up=row["taken_up"],
            failures=row["failures"],
            next_probe_at=moment_or_none(row["next_probe_at"]),
            last_success_at=moment_or_none(row["last_success_at"]),
            created_at=moment(row["created_at"]),
        )

    def secrets(self, key: Key, now: datetime) -> list[str]:
        """Those to sign with now, the newest first. Raises `WrongMasterKey`."""
        context = _context(self.account_id, self.id)
        opened = [key.open(self.secret, context)]
        if self.old_secret is not None and self.old_secret_until is not None and now < self.old_secret_until:
            opened.append(key.open(self.old_secret, context))
        return opened


INSERT = """
INSERT INTO webhooks (id, account_id, url, description, types, secret, state, taken_up, created_at)
VALUES (:id, :account_id, :url, :description, :types, :secret, 'live', :taken_up, :now)
"""
GET = "SELECT * FROM webhooks WHERE account_id = :account_id AND id = :id AND state <> 'removed'"
BY_ID = "SELECT * FROM webhooks WHERE id = :id"
OF_ACCOUNT = "SELECT * FROM webhooks WHERE account_id = :account_id AND state <> 'removed' ORDER BY id"
AT_WORK = "SELECT * FROM webhooks WHERE state IN ('live', 'down') ORDER BY id"
CHANGE = "UPDATE webhooks SET url = :url, description = :description, types = :types WHERE id = :id"
ROTATE = """
UPDATE webhooks SET old_secret = secret, old_secret_until = :until, secret = :secret WHERE id = :id
"""
FORGET_OLD_SECRETS = """
UPDATE webhooks SET old_secret = NULL, old_secret_until = NULL
 WHERE account_id = :account_id AND old_secret_until <= :now
"""
TAKE_UP = "UPDATE webhooks SET taken_up = :seq WHERE id = :id"
SUCCEED = """
UPDATE webhooks SET state = 'live', problem = NULL, failures = 0, next_probe_at = NULL, last_success_at = :now
 WHERE id = :id AND state <> 'disabled'
"""
FAIL = "UPDATE webhooks SET failures = :failures WHERE id = :id"
GO_DOWN = """
UPDATE webhooks SET state = 'down', failures = :failures, problem = :problem, next_probe_at = :next_probe_at
 WHERE id = :id
"""
DISABLE = "UPDATE webhooks SET state = 'disabled', problem = :problem, next_probe_at = NULL WHERE id = :id"
ENABLE = "UPDATE webhooks SET state = 'live', problem = NULL, failures = 0, next_probe_at = NULL WHERE id = :id"
ALL_SEALED = "SELECT * FROM webhooks"
RESEAL = "UPDATE webhooks SET secret = :secret, old_secret = :old_secret WHERE id = :id"
REMOVE = "UPDATE webhooks SET state = 'removed', next_probe_at = NULL WHERE id = :id"


def _context(account_id: str, webhook_id: str) -> str:
    return f"webhooks/{account_id}/{webhook_id}"


def add(
    tx: Transaction,
    account_id: str,
    *,
    url: str,
    description: str | None,
    types: Sequence[str],
    secret: str,
    after: int,
    key: Key,
    now: datetime,
) -> Webhook:
    """A new one, for the events behind `after`. Announces `webhooks`."""
    webhook_id = new_id("whk", now)
    check_current(tx, key)
    tx.execute(
        INSERT,
        {
            "id": webhook_id,
            "account_id": account_id,
            "url": url,
            "description": description,
            "types": orjson.dumps(list(types)).decode(),
            "secret": key.seal(secret, _context(account_id, webhook_id)),
            "taken_up": after,
            "now": now,
        },
    )
    tx.announce("webhooks")
    return get(tx, account_id, webhook_id)


def get(tx: Transaction, account_id: str, webhook_id: str) -> Webhook:
    """Raises `NotFound`, also for another account's and for a removed one."""
    row = tx.execute(GET, {"account_id": account_id, "id": webhook_id}).fetchone()
    if row is None:
        raise NotFound("There is no such webhook.")
    return Webhook.from_row(row)


def by_id(tx: Transaction, webhook_id: str) -> Webhook:
    """One whose id we gave ourselves, in whatever state."""
    return Webhook.from_row(tx.execute(BY_ID, {"id": webhook_id}).fetchone())


def of_account(tx: Transaction, account_id: str) -> list[Webhook]:
    """All but the removed ones, oldest first."""
    return [Webhook.from_row(row) for row in tx.execute(OF_ACCOUNT, {"account_id": account_id})]


def at_work(tx: Transaction) -> list[Webhook]:
    """Those of all accounts that are to be delivered to."""
    return [Webhook.from_row(row) for row in tx.execute(AT_WORK)]


def change(tx: Transaction, webhook_id: str, *, url: str, description: str | None, types: Sequence[str]) -> None:
    """Where it is, and what it is told of from the next event on."""
    tx.execute(
        CHANGE,
        {"id": webhook_id, "url": url, "description": description, "types": orjson.dumps(list(types)).decode()},
    )
    tx.announce("webhooks")


def rotate(tx: Transaction, webhook: Webhook, *, secret: str, old_until: datetime, key: Key) -> None:
    """Sign with `secret`, and with the one before it until `old_until`. One older than that is gone."""
    check_current(tx, key)
    sealed = key.seal(secret, _context(webhook.account_id, webhook.id))
    tx.execute(ROTATE, {"id": webhook.id, "secret": sealed, "until": old_until})


def forget_old_secrets(tx: Transaction, account_id: str, *, now: datetime) -> int:
    """Those that are no longer signed with; how many."""
    return tx.execute(FORGET_OLD_SECRETS, {"account_id": account_id, "now": now}).rowcount


def take_up(tx: Transaction, webhook_id: str, seq: int) -> None:
    """The events up to this one have their delivery, or need none."""
    tx.execute(TAKE_UP, {"id": webhook_id, "seq": seq})


def succeeded(tx: Transaction, webhook_id: str, *, now: datetime) -> None:
    """It answered well. One that has said meanwhile that it is gone for good stays disabled: its owner enables it."""
    tx.execute(SUCCEED, {"id": webhook_id, "now": now})


def failed(tx: Transaction, webhook_id: str, *, failures: int) -> None:
    """It did not, so often in a row."""
    tx.execute(FAIL, {"id": webhook_id, "failures": failures})


def go_down(tx: Transaction, webhook_id: str, *, failures: int, problem: str, next_probe_at: datetime) -> None:
    """It is asked now and then, until it answers well."""
    tx.execute(GO_DOWN, {"id": webhook_id, "failures": failures, "problem": problem, "next_probe_at": next_probe_at})


def disable(tx: Transaction, webhook_id: str, problem: str) -> None:
    """Nothing more is sent until a person enables it; what waits goes on waiting."""
    tx.execute(DISABLE, {"id": webhook_id, "problem": problem})


def enable(tx: Transaction, webhook_id: str) -> None:
    """A person says that it is well. Announces `webhooks`."""
    tx.execute(ENABLE, {"id": webhook_id})
    tx.announce("webhooks")


def remove(tx: Transaction, webhook_id: str) -> None:
    """Nothing is sent there any more."""
    tx.execute(REMOVE, {"id": webhook_id})


def reseal(tx: Transaction, old: MasterKey, new: MasterKey) -> int:
    """Seal every secret with another key; how many. Raises `WrongMasterKey` when `old` does not open one."""
    count = 0
    for one in [Webhook.from_row(row) for row in tx.execute(ALL_SEALED)]:
        context = _context(one.account_id, one.id)
        secret, old_secret = (
            None if sealed is None else new.seal(old.open(sealed, context), context)
            for sealed in (one.secret, one.old_secret)
        )
        tx.execute(RESEAL, {"id": one.id, "secret": secret, "old_secret": old_secret})
        count += 1 if old_secret is None else 2
    return count
