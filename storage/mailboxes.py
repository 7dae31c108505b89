"""Mailboxes that letters may come from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import IntegrityError, Row
from typing import Any, Self

import orjson

from storage.errors import AlreadyExists, NotFound
from storage.ids import new_id
from storage.transaction import Transaction, moment, moment_or_none


class MailboxState(StrEnum):
    """Letters are taken for validated mailboxes only."""

    ADDED = "added"
    VALIDATED = "validated"
    REFUSED = "refused"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """`user_id` is the Graph object id, which outlives changes of the address. `problem` is for people.

    Until `paused_until` nothing is tried here, until `next_letter_at` no letter leaves: its budget is spent.
    """

    id: str
    account_id: str
    address: str
    user_id: str | None
    display_name: str | None
    state: MailboxState
    problem: dict[str, Any] | None
    paused_until: datetime | None
    next_letter_at: datetime | None
    validated_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `mailboxes`."""
        return cls(
            id=row["id"],
            account_id=row["account_id"],
            address=row["address"],
            user_id=row["user_id"],
            display_name=row["display_name"],
            state=MailboxState(row["state"]),
            problem=None if row["problem"] is None else orjson.loads(row["problem"]),
            paused_until=moment_or_none(row["paused_until"]),
            next_letter_at=moment_or_none(row["next_letter_at"]),
            validated_at=moment_or_none(row["validated_at"]),
            created_at=moment(row["created_at"]),
        )

    @property
    def user(self) -> str:
        """How Graph is told of it: by the id, which outlives a change of address, as soon as that is known."""
        return self.user_id or self.address


INSERT = """
INSERT INTO mailboxes (id, account_id, address, state, created_at) VALUES (:id, :account_id, :address, 'added', :now)
"""
GET = "SELECT * FROM mailboxes WHERE id = :id"
BY_ADDRESS = """
SELECT * FROM mailboxes WHERE account_id = :account_id AND address = :address AND state <> 'removed'
"""
EVER = """
SELECT * FROM mailboxes WHERE account_id = :account_id AND address = :address
 ORDER BY state = 'removed', created_at DESC, id DESC LIMIT 1
"""
LIST = "SELECT * FROM mailboxes WHERE account_id = :account_id AND state <> 'removed' ORDER BY address"
VALIDATED = """
UPDATE mailboxes
   SET state = 'validated', user_id = :user_id, display_name = :display_name, validated_at = :now, problem = NULL
 WHERE id = :id
"""
REFUSED = "UPDATE mailboxes SET state = 'refused', problem = :problem WHERE id = :id"
REVIVE = """
UPDATE mailboxes SET state = 'added'
 WHERE id = (SELECT id FROM mailboxes WHERE account_id = :account_id AND address = :address AND state = 'removed'
              ORDER BY created_at DESC, id DESC LIMIT 1)
   AND NOT EXISTS (SELECT 1 FROM mailboxes
                    WHERE account_id = :account_id AND address = :address AND state <> 'removed')
RETURNING *
"""
REMOVED = "UPDATE mailboxes SET state = 'removed', problem = NULL WHERE id = :id"
RENAME = "UPDATE mailboxes SET address = :address WHERE id = :id"
ADD_ALIAS = """
INSERT INTO mailbox_aliases (account_id, address, mailbox_id, created_at)
VALUES (:account_id, :address, :mailbox_id, :now)
    ON CONFLICT (account_id, address) DO UPDATE SET mailbox_id = excluded.mailbox_id
"""
FORGET_ALIAS = "DELETE FROM mailbox_aliases WHERE account_id = :account_id AND address = :address"
ALIASES = "SELECT address FROM mailbox_aliases WHERE mailbox_id = :mailbox_id ORDER BY address"
BY_ALIAS = """
SELECT mailboxes.* FROM mailbox_aliases JOIN mailboxes ON mailboxes.id = mailbox_aliases.mailbox_id
 WHERE mailbox_aliases.account_id = :account_id AND mailbox_aliases.address = :address AND mailboxes.state <> 'removed'
"""
PAUSE = "UPDATE mailboxes SET paused_until = max(coalesce(paused_until, 0), :until) WHERE id = :id"

FORGET_BUDGET_WAITS = "UPDATE mailboxes SET next_letter_at = NULL WHERE next_letter_at IS NOT NULL"
NEXT_LETTER_AT = "UPDATE mailboxes SET next_letter_at = :at WHERE id = :id"


def add(tx: Transaction, account_id: str, address: str, *, now: datetime) -> Mailbox:
    """Raises `AlreadyExists` when the address is there, in whatever case.

    One that was removed comes back as it was, to be validated anew: its threads go on.
    """
    revived = tx.execute(REVIVE, {"account_id": account_id, "address": address}).fetchone()
    if revived is not None:
        return Mailbox.from_row(revived)
    mailbox_id = new_id("mbx", now)
    try:
        tx.execute(INSERT, {"id": mailbox_id, "account_id": account_id, "address": address, "now": now})
    except IntegrityError as error:
        raise AlreadyExists(f"The mailbox {address} is already there.") from error
    return get(tx, mailbox_id)


def get(tx: Transaction, mailbox_id: str) -> Mailbox:
    """By our own id, for work that already knows whose it is. Raises `NotFound`."""
    row = tx.execute(GET, {"id": mailbox_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no mailbox {mailbox_id}.")
    return Mailbox.from_row(row)


def find(tx: Transaction, account_id: str, address: str) -> Mailbox | None:
    """By address, in any case; removed ones are not found."""
    row = tx.execute(BY_ADDRESS, {"account_id": account_id, "address": address}).fetchone()
    return None if row is None else Mailbox.from_row(row)


def ever(tx: Transaction, account_id: str, address: str) -> Mailbox | None:
    """As `find`, but one that was removed is found too: its threads are still there to be read."""
    row = tx.execute(EVER, {"account_id": account_id, "address": address}).fetchone()
    return None if row is None else Mailbox.from_row(row)


def get_by_address(tx: Transaction, account_id: str, address: str) -> Mailbox:
    """As `find`, but raises `NotFound`; of an alias it says which mailbox it leads to."""
    mailbox = find(tx, account_id, address)
    if mailbox is not None:
        return mailbox
    owner = by_alias(tx, account_id, address)
    if owner is not None:
        raise NotFound(f"{address} is another address of the mailbox {owner.address}. Use that one.")
    raise NotFound(f"{address} is not one of this account's mailboxes. Add it under Mailbox Set-up.")


def by_alias(tx: Transaction, account_id: str, address: str) -> Mailbox | None:
    """The mailbox that this is another address of, as far as its validation has shown."""
    row = tx.execute(BY_ALIAS, {"account_id": account_id, "address": address}).fetchone()
    return None if row is None else Mailbox.from_row(row)


def aliases_of(tx: Transaction, mailbox_id: str) -> list[str]:
    """Its other addresses, as far as somebody entered them."""
    return [row["address"] for row in tx.execute(ALIASES, {"mailbox_id": mailbox_id})]


def add_alias(tx: Transaction, account_id: str, address: str, *, of: str, now: datetime) -> None:
    """This address leads to the mailbox `of`, from now on."""
    tx.execute(ADD_ALIAS, {"account_id": account_id, "address": address, "mailbox_id": of, "now": now})


def forget_alias(tx: Transaction, account_id: str, address: str) -> None:
    """The address is a mailbox of its own."""
    tx.execute(FORGET_ALIAS, {"account_id": account_id, "address": address})


def rename(tx: Transaction, mailbox_id: str, address: str) -> None:
    """It has another primary address. Raises `AlreadyExists` when that is there."""
    try:
        tx.execute(RENAME, {"id": mailbox_id, "address": address})
    except IntegrityError as error:
        raise AlreadyExists(f"The mailbox {address} is already there.") from error


def list_mailboxes(tx: Transaction, account_id: str) -> list[Mailbox]:
    """By address, without the removed ones."""
    return [Mailbox.from_row(row) for row in tx.execute(LIST, {"account_id": account_id})]


def list_validated(tx: Transaction, account_id: str) -> list[Mailbox]:
    """By address, those that letters leave from and whose folders are watched."""
    return [one for one in list_mailboxes(tx, account_id) if one.state is MailboxState.VALIDATED]


def mark_validated(tx: Transaction, mailbox_id: str, *, user_id: str, display_name: str | None, now: datetime) -> None:
    """The user exists, both folders were found, reading was proved."""
    tx.execute(VALIDATED, {"id": mailbox_id, "user_id": user_id, "display_name": display_name, "now": now})
    tx.announce("accounts")


def mark_refused(tx: Transaction, mailbox_id: str, problem: dict[str, Any]) -> None:
    """Validation failed; `problem` says why and what to do."""
    tx.execute(REFUSED, {"id": mailbox_id, "problem": orjson.dumps(problem).decode()})
    tx.announce("accounts")


def mark_removed(tx: Transaction, mailbox_id: str) -> None:
    """No new letters, no more watching. Its threads stay."""
    tx.execute(REMOVED, {"id": mailbox_id})
    tx.announce("accounts")


def pause(tx: Transaction, mailbox_id: str, until: datetime) -> None:
    """Graph asked for patience: no letter leaves this mailbox before `until`."""
    tx.execute(PAUSE, {"id": mailbox_id, "until": until})


def next_letter_at(tx: Transaction, mailbox_id: str, at: datetime | None) -> None:
    """When the budget lets the next letter leave; None: at once."""
    tx.execute(NEXT_LETTER_AT, {"id": mailbox_id, "at": at})


def forget_budget_waits(tx: Transaction) -> None:
    """Every mailbox may try its next letter."""
    tx.execute(FORGET_BUDGET_WAITS)
