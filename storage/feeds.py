"""Feeds: the messages of a thread, of an object, and the letters that left, as people read them.

Who may look into some mailboxes only is shown what stands in the threads of these.
"""

from collections.abc import Collection

from storage.messages import SELECT_MESSAGE, Message
from storage.sight import MESSAGE_IN_SIGHT, THREAD_IN_SIGHT, as_parameter
from storage.threads import Cursor
from storage.transaction import Transaction

OF_THREAD = (
    SELECT_MESSAGE
    + """
 WHERE messages.thread_id = :thread_id AND messages.placement = 'placed'
 ORDER BY messages.message_at, messages.id
"""
)
# Which they are is settled on what is short; only those of the page are read whole. Threads that are older than the
# page can reach are not looked into: each of the newer ones has one message at least.
OF_OBJECT = (
    SELECT_MESSAGE
    + """
 WHERE messages.id IN (
       SELECT messages.id
         FROM thread_objects JOIN messages ON messages.thread_id = thread_objects.thread_id
        WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
          AND thread_objects.object_id = :object_id AND messages.placement = 'placed'
          AND (messages.message_at, messages.id) < (:before_at, :before_id)
          AND thread_objects.last_message_at >= coalesce((
              SELECT newest.last_message_at
                FROM thread_objects AS newest JOIN threads ON threads.id = newest.thread_id
               WHERE newest.account_id = :account_id AND newest.type = :type AND newest.object_id = :object_id
                 AND newest.last_message_at < :before_at AND threads.message_count > 0
               ORDER BY newest.last_message_at DESC
               LIMIT 1 OFFSET :limit - 1), :no_time)
        ORDER BY messages.message_at DESC, messages.id DESC
        LIMIT :limit)
 ORDER BY messages.message_at DESC, messages.id DESC
"""
)
OF_OBJECT_IN_SIGHT = OF_OBJECT.replace(
    "messages.placement = 'placed'", f"messages.placement = 'placed' AND {MESSAGE_IN_SIGHT}"
)
OF_OBJECT_IN_SIGHT = OF_OBJECT_IN_SIGHT.replace(
    "threads.message_count > 0", f"threads.message_count > 0 AND {THREAD_IN_SIGHT}"
)
LETTERS = (
    SELECT_MESSAGE
    + """
 WHERE outbox.account_id = :account_id AND outbox.message_id < :before_id
 ORDER BY outbox.message_id DESC
 LIMIT :limit
"""
)
LETTERS_OF_BATCH = LETTERS.replace("WHERE", "WHERE outbox.batch_id = :batch_id AND")
LETTERS_IN_SIGHT = LETTERS.replace("WHERE", f"WHERE {MESSAGE_IN_SIGHT} AND")
LETTERS_OF_BATCH_IN_SIGHT = LETTERS_OF_BATCH.replace("WHERE", f"WHERE {MESSAGE_IN_SIGHT} AND")


def of_thread(tx: Transaction, thread_id: str) -> list[Message]:
    """What staff see of a thread, in order."""
    return [Message.from_row(row) for row in tx.execute(OF_THREAD, {"thread_id": thread_id})]


def of_object(
    tx: Transaction,
    account_id: str,
    *,
    object_type: str,
    object_id: str,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """One flat feed over all threads of an object, or those of them in some mailboxes, newest first."""
    question = {
        "account_id": account_id,
        "type": object_type,
        "object_id": object_id,
        "before_at": 2**63 - 1 if before is None else before.at,
        "before_id": "" if before is None else before.id,
        "limit": limit,
        "no_time": -(2**63),
    }
    if mailbox_ids is None:
        return [Message.from_row(row) for row in tx.execute(OF_OBJECT, question)]
    question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(OF_OBJECT_IN_SIGHT, question)]


def letters(
    tx: Transaction,
    account_id: str,
    *,
    before_id: str | None = None,
    limit: int,
    batch_id: str | None = None,
    mailbox_ids: Collection[str] | None = None,
) -> list[Message]:
    """Letters that went through our outbox, newest first: all, or those of a batch, or from some mailboxes."""
    question = {"account_id": account_id, "before_id": before_id or "~", "limit": limit, "batch_id": batch_id}
    if mailbox_ids is None:
        statement = LETTERS if batch_id is None else LETTERS_OF_BATCH
    else:
        statement = LETTERS_IN_SIGHT if batch_id is None else LETTERS_OF_BATCH_IN_SIGHT
        question |= {"mailbox_ids": as_parameter(mailbox_ids)}
    return [Message.from_row(row) for row in tx.execute(statement, question)]
