"""Account-Level Configuration: which tenant, which app, which secret, and when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.setup import expiry
from gateway.setup.values import (
    client_id_problem,
    cloud_problem,
    expires_problem,
    secret_problem,
    tenant_problem,
    time_zone_problem,
)
from storage import Conflict, Transaction, accounts, chores, credentials, events
from storage.accounts import Account
from storage.credentials import CredentialKind
from storage.vault import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfiguration:
    """What the admin enters. Without a `client_secret` the stored one stays, and then without a date its date."""

    tenant_id: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    secret_expires_at: datetime | None = None
    cloud: str = "global"
    time_zone: str = "UTC"

    def tidied(self) -> "AccountConfiguration":
        """Without the blanks that come along when something is copied; an empty secret is none."""
        return replace(
            self,
            tenant_id=self.tenant_id.strip().lower(),
            client_id=self.client_id.strip().lower(),
            client_secret=(self.client_secret or "").strip() or None,
        )


class BadConfiguration(Exception):
    """Values that cannot be right. `problems` has a sentence with the cure for each, by the name of the field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(problems.values()))
        self.problems = dict(problems)


def configuration_problems(
    configuration: AccountConfiguration, stored: credentials.Credential | None, now: datetime
) -> dict[str, str]:
    """Every value that cannot be right, by the name of its field. `stored` is the credential in use or to come."""
    entered = configuration.tidied()
    found = {
        "tenant_id": tenant_problem(entered.tenant_id),
        "client_id": client_id_problem(entered.client_id),
        "client_secret": _secret_problem(entered, stored),
        "secret_expires_at": _expires_problem(entered, stored, now),
        "cloud": cloud_problem(entered.cloud),
        "time_zone": time_zone_problem(entered.time_zone),
    }
    if found["client_id"] is None and entered.client_id == entered.tenant_id:
        found["client_id"] = (
            "This is the tenant ID again. The Application (client) ID stands above it on the app's Overview page."
        )
    return {name: problem for name, problem in found.items() if problem is not None}


def _secret_problem(entered: AccountConfiguration, stored: credentials.Credential | None) -> str | None:
    if entered.client_secret is None and stored is not None:
        return None
    return secret_problem(entered.client_secret or "")


def _expires_problem(entered: AccountConfiguration, stored: credentials.Credential | None, now: datetime) -> str | None:
    """A stored date that comes back unchanged is no mistake, even when it has passed meanwhile."""
    expires_at = entered.secret_expires_at
    if expires_at is None or (entered.client_secret is None and stored is not None and stored.expires_at == expires_at):
        return None
    return expires_problem(expires_at, now, time_zone=_zone(entered.time_zone))


def _zone(entered: str) -> str:
    """What is no time zone has a problem of its own."""
    return "UTC" if time_zone_problem(entered) else entered


def configure(
    tx: Transaction, account_id: str, configuration: AccountConfiguration, *, key: Key, now: datetime
) -> None:
    """Store all of it, or nothing. Raises `BadConfiguration` with every problem at once, and `NotFound`."""
    stored = credentials.active(tx, account_id)
    problems = configuration_problems(configuration, credentials.newest(tx, account_id), now)
    if problems:
        raise BadConfiguration(problems)
    entered = configuration.tidied()
    if _is_another_app(accounts.get(tx, account_id), entered) and entered.client_secret is not None:
        credentials.retire_all(tx, account_id)
        stored = None
    accounts.configure(
        tx,
        account_id,
        tenant_id=entered.tenant_id,
        client_id=entered.client_id,
        cloud=entered.cloud,
        time_zone=entered.time_zone,
        now=now,
    )
    # The secret in use, sent again, is no new one: its countdown goes on.
    if entered.client_secret is not None and (stored is None or stored.open(key) != entered.client_secret):
        added = credentials.replace_client_secret(
            tx, account_id, entered.client_secret, expires_at=entered.secret_expires_at, key=key, now=now
        )
        data = {"credential_id": added.id, "kind": added.kind}
        events.record(tx, account_id, "credential.added", data=data, now=now)
        chores.done(tx, account_id, expiry.CHORE, next_at=now)
        chores.done(tx, account_id, expiry.READ_CHORE, next_at=now)
    elif entered.secret_expires_at is not None and stored is not None and stored.kind is CredentialKind.CLIENT_SECRET:
        correct_expiry(tx, account_id, entered.secret_expires_at, now=now)


def _is_another_app(stored: Account, entered: AccountConfiguration) -> bool:
    """What proves one app proves no other."""
    before = (stored.tenant_id, stored.client_id, stored.cloud)
    return stored.client_id is not None and before != (entered.tenant_id, entered.client_id, entered.cloud)


def correct_expiry(tx: Transaction, account_id: str, expires_at: datetime | None, *, now: datetime) -> None:
    """Another date for the stored secret, None when it is not known; the countdown is looked at anew.

    Raises `Conflict` when no secret is stored, `BadConfiguration` for a date that cannot be right.
    """
    stored = credentials.active(tx, account_id)
    if stored is None:
        raise Conflict("There is no client secret to give a date to. Enter the secret first.")
    if stored.expires_at == expires_at:
        return
    time_zone = accounts.get(tx, account_id).time_zone
    problem = None if expires_at is None else expires_problem(expires_at, now, time_zone=time_zone)
    if problem is not None:
        raise BadConfiguration({"secret_expires_at": problem})
    credentials.set_expiry(tx, account_id, expires_at)
    chores.done(tx, account_id, expiry.CHORE, next_at=now)
