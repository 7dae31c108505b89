"""Messages that an earlier release stored, which come into the search index little by little."""

from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Row

from storage import search_index
from storage.transaction import Transaction, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How far the messages of an earlier release have come. `total` is None until they were counted."""

    account_id: str
    after_id: str
    indexed: int
    total: int | None


BACKLOGS = "SELECT * FROM search_backlogs ORDER BY account_id"
COUNT = """
UPDATE search_backlogs SET total = (
       SELECT coalesce(sum(message_count), 0) FROM threads WHERE threads.account_id = search_backlogs.account_id)
 WHERE account_id = :account_id
"""
NOT_YET = """
SELECT id, body_type, CASE WHEN new_text IS NULL THEN body END AS body FROM messages
 WHERE id > :after_id AND account_id = :account_id AND search_id IS NULL
 ORDER BY id LIMIT :limit
"""
AT = """
SELECT message_at, (SELECT group_concat(json_extract(value, '$.name'), ', ') FROM json_each(attachments)) AS files
  FROM messages
 WHERE id = :id AND account_id = :account_id AND search_id IS NULL
"""
ADVANCE = """
UPDATE search_backlogs SET after_id = :after_id, indexed = indexed + :indexed WHERE account_id = :account_id
"""
FORGET_BACKLOG = "DELETE FROM search_backlogs WHERE account_id = :account_id"


def backlogs(tx: Transaction) -> list[Backlog]:
    """The accounts whose messages are not all in the index yet."""
    return [_backlog(row) for row in tx.execute(BACKLOGS)]


def _backlog(row: Row) -> Backlog:
    return Backlog(**{name: row[name] for name in Backlog.__slots__})


def count_backlog(tx: Transaction, account_id: str) -> None:
    """How many messages there are in all: once, for those who wait."""
    tx.execute(COUNT, {"account_id": account_id})


def not_yet(tx: Transaction, backlog: Backlog, *, limit: int) -> list[tuple[str, str, str | None]]:
    """The next messages that an earlier release stored: id, type of body, and body where there is no new text."""
    question = {"after_id": backlog.after_id, "account_id": backlog.account_id, "limit": limit}
    return [(row["id"], row["body_type"], row["body"]) for row in tx.execute(NOT_YET, question)]


def take_in(tx: Transaction, backlog: Backlog, texts: Sequence[tuple[str, str | None]]) -> None:
    """Index these messages, or say that there are no more."""
    if not texts:
        tx.execute(FORGET_BACKLOG, {"account_id": backlog.account_id})
        return
    for message_id, text in texts:
        row = tx.execute(AT, {"id": message_id, "account_id": backlog.account_id}).fetchone()
        if row is not None:
            number = search_index.free_number(tx, moment(row["message_at"]))
            search_index.add(
                tx, number, account_id=backlog.account_id, message_id=message_id, files=row["files"], text=text
            )
            tx.execute(search_index.NUMBER, {"id": message_id, "search_id": number})
    tx.execute(ADVANCE, {"account_id": backlog.account_id, "after_id": texts[-1][0], "indexed": len(texts)})
