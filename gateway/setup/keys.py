"""Making API keys, whoever asks: what a key can be held to, and what its maker can hand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.setup.account import BadConfiguration
from storage import Transaction, api_keys, mailboxes
from storage.api_keys import ApiKey, Network, Scope

OF_MAILBOXES: Final = frozenset({Scope.SEND, Scope.READ})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be made. `mailboxes` are addresses; None: not held to any."""

    name: str
    scopes: frozenset[Scope]
    mailboxes: tuple[str, ...] | None = None
    networks: tuple[Network, ...] | None = None
    expires_at: datetime | None = None


def more_than(maker: ApiKey, wanted: NewKey) -> Mapping[str, str]:
    """What the new key could do and its maker cannot: a sentence for each field that says so."""
    found = {}
    if beyond := sorted(wanted.scopes - maker.scopes):
        found["scopes"] = f"The key that makes it does not have {', '.join(beyond)}."
    if maker.networks is not None and not _are_within(wanted.networks, maker.networks):
        found["networks"] = f"The key that makes it is held to {', '.join(map(str, maker.networks))}."
    if maker.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > maker.expires_at):
        found["expires_at"] = f"The key that makes it is over at {maker.expires_at:%Y-%m-%dT%H:%M:%SZ}."
    return found


def create(tx: Transaction, account_id: str, wanted: NewKey, *, value: str, now: datetime) -> ApiKey:
    """Keep `value` as this key. Raises `BadConfiguration` with what cannot be, by field."""
    known = {address: mailboxes.find(tx, account_id, address) for address in wanted.mailboxes or ()}
    problems = {}
    if strangers := [address for address, mailbox in known.items() if mailbox is None]:
        problems["mailboxes"] = f"{strangers[0]} is not one of this account's mailboxes."
    elif wanted.mailboxes is not None and not wanted.scopes <= OF_MAILBOXES:
        problems["mailboxes"] = "A key that is held to mailboxes can have the scopes send and read: others tell of all."
    if wanted.expires_at is not None and wanted.expires_at <= now:
        problems["expires_at"] = "This is over already."
    if problems:
        raise BadConfiguration(problems)
    return api_keys.create(
        tx,
        account_id,
        name=wanted.name,
        scopes=wanted.scopes,
        value=value,
        mailbox_ids=None if wanted.mailboxes is None else [one.id for one in known.values() if one is not None],
        networks=wanted.networks,
        expires_at=wanted.expires_at,
        now=now,
    )


def addresses_of(tx: Transaction, key: ApiKey) -> list[str] | None:
    """The mailboxes that the key is held to, by address."""
    if key.mailbox_ids is None:
        return None
    return sorted(mailboxes.get(tx, one).address for one in key.mailbox_ids)


def _are_within(wanted: tuple[Network, ...] | None, allowed: tuple[Network, ...]) -> bool:
    return wanted is not None and all(any(_is_within(one, other) for other in allowed) for one in wanted)


def _is_within(one: Network, other: Network) -> bool:
    # Of two families neither is within the other; subnet_of would raise.
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]
