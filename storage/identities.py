"""Which message is meant: by Graph's id in its mailbox, by its Message-ID, by the conversation that it is part of.

Graph's ids are a mailbox's own and compared with case. A Message-ID is its sender's claim, and may be another's too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from storage import search_index
from storage.messages import SELECT_MESSAGE, Attachment, Direction, Message
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A letter that a mail names: as much of it as tells where that mail belongs."""

    id: str
    thread_id: str
    internet_message_id: str


BY_GRAPH_ID = SELECT_MESSAGE + " WHERE messages.mailbox_id = :mailbox_id AND messages.graph_id = :graph_id"
BY_INTERNET_MESSAGE_ID = (
    SELECT_MESSAGE
    + """
 WHERE messages.account_id = :account_id AND messages.internet_message_id = :internet_message_id
 ORDER BY messages.created_at, messages.id
"""
)
GRAPH_IDS_AMONG = """
SELECT graph_id FROM messages WHERE mailbox_id = :mailbox_id AND graph_id IN (SELECT value FROM json_each(:graph_ids))
"""
INTERNET_MESSAGE_IDS_AMONG = """
SELECT DISTINCT internet_message_id FROM messages
 WHERE account_id = :account_id AND internet_message_id IN (SELECT value FROM json_each(:ids))
"""
NAMED_BY_REFERENCES = """
SELECT id, thread_id, internet_message_id FROM messages
 WHERE account_id = :account_id AND internet_message_id IN (SELECT value FROM json_each(:references))
   AND direction = 'out' AND placement = 'placed'
 ORDER BY created_at DESC, id DESC
"""
THREADS_WITH_LETTERS_IN = """
SELECT DISTINCT messages.thread_id FROM messages JOIN outbox ON outbox.message_id = messages.id
 WHERE messages.mailbox_id = :mailbox_id AND conversation_id = :conversation_id AND placement = 'placed'
 ORDER BY thread_id
"""
IDENTIFY = """
UPDATE messages
   SET graph_id = :graph_id, conversation_id = :conversation_id, internet_message_id = :internet_message_id,
       message_at = coalesce(:message_at, message_at), attachments = coalesce(:attachments, attachments)
 WHERE id = :id
"""
ADOPT = """
UPDATE messages
   SET mailbox_id = :mailbox_id, graph_id = :graph_id, conversation_id = :conversation_id, direction = :direction
 WHERE id = :id
"""
FORGET_ITEM = """
UPDATE messages SET graph_id = NULL, conversation_id = NULL, internet_message_id = NULL WHERE id = :id
"""


def by_graph_id(tx: Transaction, mailbox_id: str, graph_id: str) -> Message | None:
    """The message with this id in this mailbox. Ids are compared with case."""
    row = tx.execute(BY_GRAPH_ID, {"mailbox_id": mailbox_id, "graph_id": graph_id}).fetchone()
    return None if row is None else Message.from_row(row)


def by_internet_message_id(tx: Transaction, account_id: str, internet_message_id: str) -> list[Message]:
    """All with this Message-ID, oldest first: it is the sender's claim and need not be unique."""
    question = {"account_id": account_id, "internet_message_id": internet_message_id}
    return [Message.from_row(row) for row in tx.execute(BY_INTERNET_MESSAGE_ID, question)]


def graph_ids_among(tx: Transaction, mailbox_id: str, graph_ids: Iterable[str]) -> frozenset[str]:
    """Those of these ids that are stored in this mailbox."""
    question = {"mailbox_id": mailbox_id, "graph_ids": orjson.dumps(list(graph_ids)).decode()}
    return frozenset(row["graph_id"] for row in tx.execute(GRAPH_IDS_AMONG, question))


def internet_message_ids_among(tx: Transaction, account_id: str, ids: Iterable[str]) -> frozenset[str]:
    """Those of these Message-IDs of which there is a message."""
    question = {"account_id": account_id, "ids": orjson.dumps(list(ids)).decode()}
    return frozenset(row["internet_message_id"] for row in tx.execute(INTERNET_MESSAGE_IDS_AMONG, question))


def named_by(tx: Transaction, account_id: str, references: Sequence[str]) -> list[Named]:
    """Those that these Message-IDs name of what left our mailboxes and stands in its thread, newest first.

    Of what came in the ids were given by others.
    """
    question = {"account_id": account_id, "references": orjson.dumps(list(references)).decode()}
    return [Named(**row) for row in map(dict, tx.execute(NAMED_BY_REFERENCES, question))]


def threads_with_letters_in(tx: Transaction, mailbox_id: str, conversation_id: str) -> list[str]:
    """The threads that have letters of this Graph conversation: several, where Exchange threw them together."""
    question = {"mailbox_id": mailbox_id, "conversation_id": conversation_id}
    return [row["thread_id"] for row in tx.execute(THREADS_WITH_LETTERS_IN, question)]


def identify(
    tx: Transaction,
    message_id: str,
    *,
    graph_id: str | None,
    conversation_id: str | None,
    internet_message_id: str | None,
    message_at: datetime | None = None,
    attachments: Sequence[Attachment] | None = None,
) -> None:
    """Write down which item in the mailbox a letter of ours is."""
    tx.execute(
        IDENTIFY,
        {
            "id": message_id,
            "graph_id": graph_id,
            "conversation_id": conversation_id,
            "internet_message_id": internet_message_id,
            "message_at": message_at,
            "attachments": None if attachments is None else orjson.dumps(list(attachments)).decode(),
        },
    )
    if message_at is not None:
        search_index.renumber(tx, message_id)


def adopt(
    tx: Transaction,
    message_id: str,
    *,
    mailbox_id: str,
    graph_id: str,
    conversation_id: str | None,
    direction: Direction,
) -> None:
    """Let a stored mail stand for another of its copies, one that says more about it."""
    tx.execute(
        ADOPT,
        {
            "id": message_id,
            "mailbox_id": mailbox_id,
            "graph_id": graph_id,
            "conversation_id": conversation_id,
            "direction": direction,
        },
    )


def forget_item(tx: Transaction, message_id: str) -> None:
    """A letter of ours is to become another item in the mailbox; which one is not yet known."""
    tx.execute(FORGET_ITEM, {"id": message_id})
