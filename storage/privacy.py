"""Everything that belongs to a thread, in whatever table it stands: to be given out whole, or to be erased whole.

`PARTS` names each table once, in the order in which rows can go. A test holds it against the schema, so that a new
table says whether it has something of people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from storage import answerers, tombstones
from storage.threads import Object, ObjectType
from storage.tombstones import Kind, Mark
from storage.transaction import Transaction, moment

PERSONS: Final = (ObjectType.STUDENT, ObjectType.CONTACT, ObjectType.ORGANISATION, ObjectType.USER)
_T: Final = "(SELECT value FROM json_each(:threads))"
_M: Final = "(SELECT value FROM json_each(:messages))"
_G: Final = "(SELECT value FROM json_each(:graph_ids))"
# Table → which rows, by threads and messages.
PARTS: Final = {
    "acts": f"message_id IN {_M} OR from_thread_id IN {_T} OR thread_id IN {_T}",
    "read_marks": f"thread_id IN {_T}",
    "deliveries": f"seq IN (SELECT seq FROM events WHERE account_id = :account_id AND (thread_id IN {_T} "
    f"OR message_id IN {_M}))",
    "events": f"account_id = :account_id AND (thread_id IN {_T} OR message_id IN {_M})",
    "departures": f"message_id IN {_M}",
    "held_reports": f"message_id IN {_M} OR letter_id IN {_M}",
    "idempotency_keys": f"account_id = :account_id AND (message_id IN {_M} OR batch_id IN "
    "(SELECT value FROM json_each(:batches)))",
    "letter_attachments": f"message_id IN {_M}",
    "file_pieces": "file_id IN (SELECT value FROM json_each(:files))",
    "files": "id IN (SELECT value FROM json_each(:files))",
    "round_trips": f"message_id IN {_M} OR thread_id IN {_T}",
    "outbox": f"message_id IN {_M}",
    "batches": "id IN (SELECT value FROM json_each(:batches))",
    "hints": f"account_id = :account_id AND message_id IN {_G}",
    "missing_mail": f"account_id = :account_id AND graph_id IN {_G}",
    "messages": f"id IN {_M}",
    "conversations": f"thread_id IN {_T}",
    "participants": f"thread_id IN {_T}",
    "thread_objects": f"thread_id IN {_T}",
    "threads": f"id IN {_T}",
}
# Tables that hold nothing of a thread or a person, or go another way; and why.
OTHER_TABLES: Final = {
    "answerers": "a hash of an address: goes with the last thread that its owner takes part in",
    "entering": "empty between two transactions",
    "searched": "goes with its message, by trigger",
    "search": "the index: see storage/search_index.py",
    "audit": "ids and names of staff: it says that something was erased, and stays",
    "audit_door": "empty between two transactions",
    "erasures": "the receipts",
    "tombstones": "keyed hashes",
    "tombstone_keys": "random",
    "retention_rules": "settings",
    "snoozes": "settings: why a warning was put off, and by whom of the staff",
    "preferences": "settings: where the school wants to be warned",
    "vault": "keys",
    "accounts": "settings",
    "credentials": "settings",
    "credential_warnings": "settings",
    "api_keys": "settings",
    "webhooks": "settings",
    "confinements": "settings: a mailbox of the school that the app must not open",
    "mailboxes": "settings: the school's own addresses",
    "mailbox_aliases": "settings: the school's own addresses",
    "validations": "settings: what was asked of the school's own addresses, for a week",
    "validation_items": "settings: what was asked of the school's own addresses, for a week",
    "folders": "where a delta stands",
    "subscriptions": "watching",
    "encryption_certificates": "watching",
    "rich_troubles": "watching",
    "gaps": "watching",
    "completeness": "numbers",
    "spending": "numbers",
    "chores": "due times",
    "log_levels": "settings: how much is logged, for a while",
    "ended_sessions": "hashes of random ids, for twelve hours",
    "search_backlogs": "numbers",
}
MESSAGES_OF: Final = f"SELECT id FROM messages WHERE account_id = :account_id AND thread_id IN {_T}"
GRAPH_IDS_OF: Final = f"SELECT graph_id FROM messages WHERE id IN {_M} AND graph_id IS NOT NULL"
FILES_OF: Final = f"""
SELECT DISTINCT file_id FROM letter_attachments AS mine
 WHERE message_id IN {_M} AND file_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM letter_attachments AS other
                    WHERE other.file_id = mine.file_id AND other.message_id NOT IN {_M})
"""
BATCHES_OF: Final = f"""
SELECT DISTINCT batch_id FROM outbox AS mine
 WHERE message_id IN {_M} AND batch_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM outbox AS other
                    WHERE other.batch_id = mine.batch_id AND other.message_id NOT IN {_M})
"""
MARKS_OF: Final = f"""
SELECT 'conversation' AS kind, mailbox_id, conversation_id AS value FROM conversations WHERE thread_id IN {_T}
UNION SELECT 'item', mailbox_id, graph_id FROM messages WHERE id IN {_M} AND graph_id IS NOT NULL
UNION SELECT 'message', '', internet_message_id FROM messages WHERE id IN {_M} AND internet_message_id IS NOT NULL
"""
UNDER_WAY: Final = f"""
SELECT message_id FROM outbox
 WHERE message_id IN {_M} AND (next_attempt_at IS NOT NULL OR state = 'needs_review' OR tidy_at IS NOT NULL
                               OR lease_owner IS NOT NULL)
 ORDER BY message_id
"""
FORGET_ORIGINAL: Final = f"UPDATE outbox SET in_reply_to = NULL WHERE in_reply_to IN {_M}"
PEOPLE_OF: Final = f"SELECT DISTINCT lower(address) AS address FROM participants WHERE thread_id IN {_T}"
GONE_FOR_GOOD: Final = """
SELECT value AS address FROM json_each(:addresses)
 WHERE NOT EXISTS (SELECT 1 FROM participants WHERE account_id = :account_id AND participants.address = value)
"""
FORGET_ANSWERER: Final = "DELETE FROM answerers WHERE account_id = :account_id AND recipient = :recipient"
FORGET_DEPARTURES: Final = "DELETE FROM departures WHERE account_id = :account_id AND recipient = :recipient"
ABOUT: Final = """
SELECT thread_objects.thread_id,
       EXISTS (SELECT 1 FROM thread_objects AS other
                WHERE other.thread_id = thread_objects.thread_id
                  AND other.type IN (SELECT value FROM json_each(:keepers))
                  AND json_object('type', other.type, 'id', other.object_id)
                      NOT IN (SELECT value FROM json_each(:objects))) AS is_shared
  FROM thread_objects
 WHERE account_id = :account_id
   AND json_object('type', type, 'id', object_id) IN (SELECT value FROM json_each(:objects))
 GROUP BY thread_objects.thread_id
 ORDER BY thread_objects.thread_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What an erasure takes: `threads` whole, `messages` (those of the threads among them), and what hangs on them."""

    threads: tuple[str, ...]
    messages: tuple[str, ...]
    graph_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    under_way: tuple[str, ...] = ()

    def as_parameters(self, account_id: str) -> dict[str, Any]:
        """For the statements of `PARTS`."""
        lists = {name: getattr(self, name) for name in ("threads", "messages", "graph_ids", "files", "batches")}
        return {"account_id": account_id} | {name: orjson.dumps(value).decode() for name, value in lists.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The threads of some objects: those of nobody else, and those that others have too."""

    alone: tuple[str, ...] = field(default=())
    shared: tuple[str, ...] = field(default=())


def about(tx: Transaction, account_id: str, objects: Sequence[Object]) -> About:
    """The threads of these objects.

    Somebody's own thread is also about their enrolment, intake or class, which are nobody: where a person is among the
    objects, only other persons keep a thread. Else all others do.
    """
    keepers = PERSONS if any(one.type in PERSONS for one in objects) else tuple(ObjectType)
    spelled = [orjson.dumps({"type": one.type.value, "id": one.id}).decode() for one in objects]
    rows = tx.execute(
        ABOUT,
        {
            "account_id": account_id,
            "objects": orjson.dumps(spelled).decode(),
            "keepers": orjson.dumps(keepers).decode(),
        },
    ).fetchall()
    return About(
        alone=tuple(row["thread_id"] for row in rows if not row["is_shared"]),
        shared=tuple(row["thread_id"] for row in rows if row["is_shared"]),
    )


def reach(tx: Transaction, account_id: str, threads: Sequence[str], messages: Sequence[str] = ()) -> Reach:
    """What hangs on these threads and messages."""
    asked = Reach(threads=tuple(threads), messages=()).as_parameters(account_id)
    of_threads = [row["id"] for row in tx.execute(MESSAGES_OF, asked)]
    all_messages = tuple(dict.fromkeys([*of_threads, *messages]))
    asked = Reach(threads=tuple(threads), messages=all_messages).as_parameters(account_id)
    return Reach(
        threads=tuple(threads),
        messages=all_messages,
        graph_ids=tuple(row["graph_id"] for row in tx.execute(GRAPH_IDS_OF, asked)),
        files=tuple(row["file_id"] for row in tx.execute(FILES_OF, asked)),
        batches=tuple(row["batch_id"] for row in tx.execute(BATCHES_OF, asked)),
        under_way=tuple(row["message_id"] for row in tx.execute(UNDER_WAY, asked)),
    )


def count(tx: Transaction, account_id: str, what: Reach) -> dict[str, int]:
    """How many rows of each table would go; tables without one are left out."""
    asked = what.as_parameters(account_id)
    found = {
        table: int(tx.execute(f"SELECT count(*) AS rows FROM {table} WHERE {where}", asked).fetchone()["rows"])
        for table, where in PARTS.items()
    }
    return {table: rows for table, rows in found.items() if rows}


def rows_of(tx: Transaction, account_id: str, what: Reach) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, with times in RFC 3339; bytes, which are no JSON, are left out."""
    asked = what.as_parameters(account_id)
    return {
        table: [_spelled(dict(row)) for row in tx.execute(f"SELECT * FROM {table} WHERE {where}", asked)]
        for table, where in PARTS.items()
        if table != "file_pieces"
    }


def erase(tx: Transaction, account_id: str, what: Reach, *, now: datetime) -> dict[str, int]:
    """Delete it all, leave tombstones; how many rows of each table went. What is in the index goes by `purge`."""
    asked = what.as_parameters(account_id)
    marks = [
        Mark(kind=Kind(row["kind"]), mailbox_id=row["mailbox_id"], value=row["value"])
        for row in tx.execute(MARKS_OF, asked)
    ]
    people = [row["address"] for row in tx.execute(PEOPLE_OF, asked)]
    removed = {}
    tx.execute(FORGET_ORIGINAL, asked)
    for table, where in PARTS.items():
        rows = tx.execute(f"DELETE FROM {table} WHERE {where}", asked).rowcount
        if rows:
            removed[table] = rows
    forget_habits(tx, account_id, people)
    tombstones.put(tx, account_id, marks, now=now)
    return removed


def forget_habits(tx: Transaction, account_id: str, addresses: Sequence[str]) -> None:
    """Of those of these people who take part in no thread any more: how they answer."""
    question = {"account_id": account_id, "addresses": orjson.dumps(list(addresses)).decode()}
    for address in [row["address"] for row in tx.execute(GONE_FOR_GOOD, question)]:
        recipient = answerers.digest(address)
        for statement in (FORGET_ANSWERER, FORGET_DEPARTURES):
            tx.execute(statement, {"account_id": account_id, "recipient": recipient})


def _spelled(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: moment(value).isoformat().replace("+00:00", "Z")
        if isinstance(value, int) and name.endswith("_at")
        else value
        for name, value in row.items()
        if not isinstance(value, bytes)
    }
