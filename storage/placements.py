"""Where mail is placed: what stands in its thread, what waits for a person to say so, and what was put elsewhere."""

from collections.abc import Collection
from typing import Any

import orjson

from storage.messages import SELECT_MESSAGE, Message, Placement
from storage.sight import MESSAGE_IN_SIGHT, as_parameter
from storage.threads import Cursor, Object
from storage.transaction import Transaction

HELD = (
    SELECT_MESSAGE
    + """
 WHERE messages.account_id = :account_id AND messages.placement = 'held'
   AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.id = messages.thread_id AND threads.self_test = 1)
   AND (messages.message_at, messages.id) < (:before_at, :before_id)
   AND (:type IS NULL OR EXISTS (SELECT 1 FROM thread_objects
                                  WHERE thread_objects.thread_id = messages.thread_id AND thread_objects.type = :type
                                    AND thread_objects.object_id = :object_id))
 ORDER BY messages.message_at DESC, messages.id DESC
 LIMIT :limit
"""
)
HELD_IN_SIGHT = HELD.replace("WHERE messages.account_id", f"WHERE {MESSAGE_IN_SIGHT} AND messages.account_id")
# The index is named because SQLite, which counts rows seldom, would rather look at all messages of each thread.
HELD_OF_OBJECT = """
SELECT count(*) AS held
  FROM thread_objects JOIN messages INDEXED BY messages_held_in_thread
    ON messages.thread_id = thread_objects.thread_id
 WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
   AND thread_objects.object_id = :object_id AND messages.placement = 'held'
"""
HELD_IN_THREAD = (
    SELECT_MESSAGE.replace("FROM messages", "FROM messages INDEXED BY messages_held_in_thread")
    + """
 WHERE messages.thread_id = :thread_id AND messages.placement = 'held'
 ORDER BY messages.message_at, messages.id
"""
)
PLACE = "UPDATE messages SET placement = :placement WHERE id = :id"
MOVE = "UPDATE messages SET thread_id = :thread_id, placement = :placement, evidence = :evidence WHERE id = :id"


def held(
    tx: Transaction,
    account_id: str,
    *,
    of: Object | None = None,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """What waits for a person, newest first: all, or what may belong to an object's or some mailboxes' threads."""
    question = {
        "account_id": account_id,
        "type": None if of is None else of.type,
        "object_id": None if of is None else of.id,
        "before_at": 2**63 - 1 if before is None else before.at,
        "before_id": "" if before is None else before.id,
        "limit": limit,
    }
    if mailbox_ids is None:
        return [Message.from_row(row) for row in tx.execute(HELD, question)]
    question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(HELD_IN_SIGHT, question)]


def held_in(tx: Transaction, thread_id: str) -> list[Message]:
    """What of a thread waits for a person, in order."""
    return [Message.from_row(row) for row in tx.execute(HELD_IN_THREAD, {"thread_id": thread_id})]


def held_of_object(tx: Transaction, account_id: str, *, object_type: str, object_id: str) -> int:
    """How many messages of an object's threads wait for a person before they are shown."""
    question = {"account_id": account_id, "type": object_type, "object_id": object_id}
    return int(tx.execute(HELD_OF_OBJECT, question).fetchone()["held"])


def place(tx: Transaction, message_id: str, placement: Placement) -> None:
    """Show a mail in its thread, or not."""
    tx.execute(PLACE, {"id": message_id, "placement": placement})


def move(
    tx: Transaction, message_id: str, *, thread_id: str, placement: Placement, evidence: dict[str, Any] | None
) -> None:
    """Let a mail stand in another thread, or stand differently in its own, and say why."""
    kept = None if evidence is None else orjson.dumps(evidence).decode()
    tx.execute(MOVE, {"id": message_id, "thread_id": thread_id, "placement": placement, "evidence": kept})
