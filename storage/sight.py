"""What can be seen through some of an account's mailboxes. A message belongs to the mailbox of the thread it is in."""

from collections.abc import Collection
from typing import Final

import orjson

from storage.transaction import Transaction

IN_SIGHT: Final = "(SELECT value FROM json_each(:mailbox_ids))"
THREAD_IN_SIGHT: Final = f"threads.mailbox_id IN {IN_SIGHT}"
MESSAGE_IN_SIGHT: Final = f"messages.thread_id IN (SELECT id FROM threads WHERE {THREAD_IN_SIGHT})"

THREAD = f"""
SELECT 1 FROM threads WHERE id = :id AND account_id = :account_id AND mailbox_id IN {IN_SIGHT}
"""
MESSAGE = f"""
SELECT 1 FROM messages JOIN threads ON threads.id = messages.thread_id
 WHERE messages.id = :id AND messages.account_id = :account_id AND threads.mailbox_id IN {IN_SIGHT}
"""
BATCH = f"""
SELECT 1 FROM batches
 WHERE id = :id AND account_id = :account_id
   AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.batch_id = :id AND outbox.mailbox_id NOT IN {IN_SIGHT})
"""
ACT = f"""
SELECT 1 FROM acts
  JOIN threads AS before ON before.id = acts.from_thread_id
  JOIN threads AS after ON after.id = acts.thread_id
 WHERE acts.id = :id AND acts.account_id = :account_id
   AND before.mailbox_id IN {IN_SIGHT} AND after.mailbox_id IN {IN_SIGHT}
"""


def sees_thread(tx: Transaction, account_id: str, mailbox_ids: Collection[str], thread_id: str) -> bool:
    """Whether it is a thread of these mailboxes."""
    return _is_there(tx, THREAD, account_id, mailbox_ids, thread_id)


def sees_message(tx: Transaction, account_id: str, mailbox_ids: Collection[str], message_id: str) -> bool:
    """Whether it is in a thread of these mailboxes, or held for one."""
    return _is_there(tx, MESSAGE, account_id, mailbox_ids, message_id)


def sees_batch(tx: Transaction, account_id: str, mailbox_ids: Collection[str], batch_id: str) -> bool:
    """Whether all letters of the batch come from these mailboxes."""
    return _is_there(tx, BATCH, account_id, mailbox_ids, batch_id)


def sees_act(tx: Transaction, account_id: str, mailbox_ids: Collection[str], act_id: str) -> bool:
    """Whether the message was in a thread of these mailboxes before the act, and is after."""
    return _is_there(tx, ACT, account_id, mailbox_ids, act_id)


def as_parameter(mailbox_ids: Collection[str]) -> str:
    """The value of `:mailbox_ids` in `IN_SIGHT`."""
    return orjson.dumps(sorted(mailbox_ids)).decode()


def _is_there(tx: Transaction, statement: str, account_id: str, mailbox_ids: Collection[str], row_id: str) -> bool:
    question = {"id": row_id, "account_id": account_id, "mailbox_ids": as_parameter(mailbox_ids)}
    return tx.execute(statement, question).fetchone() is not None
