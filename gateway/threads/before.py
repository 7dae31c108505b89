"""What was here before a page of mail, asked for all of it at once: of most mail, that nothing was."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gateway.graph import Message as Item
from gateway.threads.matching import usable_message_id
from storage import Transaction, answerers, identities, tombstones
from storage.mailboxes import Mailbox


@dataclass(slots=True, kw_only=True)
class Before:
    """What need not be looked up for each mail, because it cannot be there. Says too much rather than too little.

    `graph_ids`: those of the page that are stored in its mailbox. `message_ids`: those of which something is stored in
    the account. `erasures`: whether anything was ever erased. `machines`: whether anybody is known to answer by
    machine.
    """

    graph_ids: frozenset[str]
    message_ids: set[str]
    erasures: bool
    machines: bool

    @classmethod
    def of(cls, tx: Transaction, mailbox: Mailbox, items: Iterable[Item]) -> Self:
        """Before any of these is stored."""
        page = list(items)
        named = {id for item in page if (id := usable_message_id(item.internet_message_id)) is not None}
        return cls(
            graph_ids=identities.graph_ids_among(tx, mailbox.id, [item.id for item in page]),
            message_ids=set(identities.internet_message_ids_among(tx, mailbox.account_id, named)),
            erasures=tombstones.are_there(tx, mailbox.account_id),
            machines=answerers.are_there(tx, mailbox.account_id),
        )

    def note(self, item: Item) -> None:
        """One of them is settled now: another may be a copy of it."""
        if (id := usable_message_id(item.internet_message_id)) is not None:
            self.message_ids.add(id)
