"""Where an address stands in what is kept, and how it is taken out of what stays because it is others' mail too."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from storage import search_index, threads
from storage.transaction import Transaction, moment

ERASED: Final = "[erased]"
# Where text of people stands, by table: what names a message in it, and its columns.
TEXTS: Final = {
    "messages": (
        "id",
        ("subject", "recipients", "body", "new_text", "preview", "attachments", "evidence", "created_by"),
    ),
    "outbox": ("message_id", ("headers", "metadata", "problem")),
    "searched": ("message_id", ("files", "text")),
}
THREADS_WITH: Final = """
SELECT thread_id,
       EXISTS (SELECT 1 FROM participants AS other
                WHERE other.thread_id = participants.thread_id AND other.address <> :address) AS has_others
  FROM participants WHERE account_id = :account_id AND address = :address
 ORDER BY thread_id
"""
WRITTEN_BY: Final = """
SELECT id FROM messages
 WHERE id > :after_id AND account_id = :account_id AND from_address = :address COLLATE NOCASE
"""
_NAMES: Final = " OR ".join(f"instr(lower({column}), :lowered)" for column in TEXTS["messages"][1])
NAMED_IN: Final = f"""
SELECT id FROM messages WHERE id > :after_id AND account_id = :account_id AND ({_NAMES})
UNION SELECT message_id FROM outbox
 WHERE message_id > :after_id AND account_id = :account_id
   AND (instr(lower(headers), :lowered) OR instr(lower(metadata), :lowered) OR instr(lower(problem), :lowered))
UNION SELECT messages.id FROM messages CROSS JOIN searched ON searched.id = messages.search_id
 WHERE messages.id > :after_id AND messages.account_id = :account_id
   AND (instr(lower(searched.files), :lowered) OR instr(lower(searched.text), :lowered))
"""
STILL_THERE: Final = "SELECT id FROM messages WHERE id IN (SELECT value FROM json_each(:ids))"
THREADS_NAMING: Final = """
SELECT id, subject FROM threads WHERE account_id = :account_id AND instr(lower(subject), :lowered)
"""
RENAME_THREAD: Final = "UPDATE threads SET subject = :subject WHERE id = :id"
# Whatever else may be called by it. A key that is gone recognises no letter that is posted again, a report that is gone
# turns no letter when it is accepted.
FORGET_NAMES: Final = (
    "UPDATE batches SET name = NULL WHERE account_id = :account_id AND instr(lower(name), :lowered)",
    "UPDATE letter_attachments SET name = :erased WHERE account_id = :account_id AND instr(lower(name), :lowered)",
    "UPDATE round_trips SET recipient = :erased WHERE account_id = :account_id AND instr(lower(recipient), :lowered)",
    "UPDATE files SET name = :erased WHERE account_id = :account_id AND instr(lower(name), :lowered)",
    "DELETE FROM held_reports WHERE account_id = :account_id AND (instr(lower(report), :lowered) "
    "OR instr(lower(before), :lowered) OR instr(lower(after), :lowered))",
    "DELETE FROM idempotency_keys WHERE account_id = :account_id AND instr(lower(key), :lowered)",
)
LIVES: Final = f"""
SELECT EXISTS (SELECT 1 FROM messages WHERE {_NAMES} OR instr(lower(from_address), :lowered)
                                            OR instr(lower(from_name), :lowered))
       OR EXISTS (SELECT 1 FROM participants WHERE instr(lower(address), :lowered) OR instr(lower(name), :lowered))
       OR EXISTS (SELECT 1 FROM threads WHERE instr(lower(subject), :lowered))
       OR EXISTS (SELECT 1 FROM outbox WHERE instr(lower(headers), :lowered) OR instr(lower(metadata), :lowered)
                                             OR instr(lower(problem), :lowered))
       OR EXISTS (SELECT 1 FROM searched WHERE instr(lower(text), :lowered) OR instr(lower(files), :lowered))
       OR EXISTS (SELECT 1 FROM mailboxes WHERE instr(lower(address), :lowered) OR instr(lower(display_name), :lowered))
       OR EXISTS (SELECT 1 FROM mailbox_aliases WHERE instr(lower(address), :lowered))
       OR EXISTS (SELECT 1 FROM validation_items WHERE instr(lower(address), :lowered))
       OR EXISTS (SELECT 1 FROM preferences WHERE instr(lower(alert_address), :lowered))
       OR EXISTS (SELECT 1 FROM round_trips WHERE instr(lower(recipient), :lowered))
       OR EXISTS (SELECT 1 FROM letter_attachments WHERE instr(lower(name), :lowered))
       OR EXISTS (SELECT 1 FROM held_reports WHERE instr(lower(report), :lowered) OR instr(lower(before), :lowered)
                                                   OR instr(lower(after), :lowered))
       OR EXISTS (SELECT 1 FROM files WHERE instr(lower(name), :lowered)) AS lives
"""
HAS_WORD: Final = "SELECT EXISTS (SELECT 1 FROM search WHERE search MATCH :match) AS found"
# Of all tables, and of the schema itself, whose text stands in the file too.
TEXT_COLUMNS: Final = """
SELECT tables.name AS table_name, columns.name AS column_name
  FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns
 WHERE tables.type = 'table' AND columns.type = 'TEXT'
   AND tables.name NOT IN (SELECT name FROM pragma_table_list WHERE type IN ('virtual', 'shadow'))
UNION ALL SELECT 'sqlite_schema', 'sql'
"""
ENTRY: Final = (
    "SELECT searched.* FROM searched JOIN messages ON messages.search_id = searched.id WHERE messages.id = :id"
)
LEAVE_SEARCH: Final = "DELETE FROM searched WHERE id = :id"
UNNUMBER: Final = "UPDATE messages SET search_id = NULL WHERE id = :id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an address stands: `alone` in threads with nobody else, in others as a `shared` participant; `written` are
    the messages from it, `named` all that have it anywhere."""

    alone: tuple[str, ...]
    shared: tuple[str, ...]
    written: tuple[str, ...]
    named: tuple[str, ...]


def look_for(tx: Transaction, account_id: str, address: str, *, before: Place | None = None, since: str = "") -> Place:
    """Walks through all text of the account: some seconds for a gigabyte.

    With what was found `before`, only through the messages whose ids come after `since`.
    """
    question = {"account_id": account_id, "address": address, "lowered": address.lower(), "after_id": since}
    found = tx.execute(THREADS_WITH, question).fetchall()
    written = [row["id"] for row in tx.execute(WRITTEN_BY, question)]
    named = [row["id"] for row in tx.execute(NAMED_IN, question)]
    if before is not None:
        written, named = _with(tx, before.written, written), _with(tx, before.named, named)
    return Place(
        alone=tuple(row["thread_id"] for row in found if not row["has_others"]),
        shared=tuple(row["thread_id"] for row in found if row["has_others"]),
        written=tuple(written),
        named=tuple(named),
    )


def _with(tx: Transaction, before: Sequence[str], new: Sequence[str]) -> list[str]:
    """Those that are there still, and the new ones."""
    still = {row["id"] for row in tx.execute(STILL_THERE, {"ids": orjson.dumps(list(before)).decode()})}
    return sorted(still | set(new))


def lives(tx: Transaction, text: str) -> bool:
    """Whether some text of people that is kept has these words, in any account: the same file holds them all."""
    return bool(tx.execute(LIVES, {"lowered": text.lower()}).fetchone()["lives"])


def is_an_ordinary_word(tx: Transaction, ending: str, word: str) -> bool:
    """Whether a message that is kept has the word, or any text at all its ending: then it says nothing of anybody."""
    if tx.execute(HAS_WORD, {"match": f'"{word}"'}).fetchone()["found"]:
        return True
    columns = [(row["table_name"], row["column_name"]) for row in tx.execute(TEXT_COLUMNS)]
    return any(
        tx.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table} WHERE instr(lower({column}), ?)) AS found", (ending,)
        ).fetchone()["found"]
        for table, column in columns
    )


def take_out(tx: Transaction, account_id: str, address: str, message_ids: Sequence[str]) -> int:
    """Put ERASED in place of the address wherever it stands, and take its name away; how many messages changed."""
    spelled, changed = re.compile(re.escape(address), re.IGNORECASE), 0
    for message_id in message_ids:
        entry = tx.execute(ENTRY, {"id": message_id}).fetchone()
        if entry is not None:  # the index forgets by the very words that it was given
            tx.execute(LEAVE_SEARCH, {"id": entry["id"]})
            tx.execute(UNNUMBER, {"id": message_id})
        changed += sum(_rewrite(tx, table, message_id, spelled) for table in ("messages", "outbox")) > 0
        if entry is not None:
            _find_again(tx, message_id, entry, spelled)
    question = {"account_id": account_id, "lowered": address.lower(), "erased": ERASED}
    for row in tx.execute(THREADS_NAMING, question).fetchall():
        tx.execute(RENAME_THREAD, {"id": row["id"], "subject": spelled.sub(ERASED, row["subject"])})
    for statement in FORGET_NAMES:
        tx.execute(statement, question)
    return changed


def leave_threads(tx: Transaction, address: str, thread_ids: Sequence[str]) -> None:
    """The address takes part no more."""
    for thread_id in thread_ids:
        threads.remove_participant(tx, thread_id, address)


def _rewrite(tx: Transaction, table: str, message_id: str, spelled: re.Pattern[str]) -> bool:
    key, columns = TEXTS[table]
    row = tx.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = :id", {"id": message_id}).fetchone()
    if row is None:
        return False
    new = dict(_replaced(row, columns, spelled))
    if new:
        sets = ", ".join(f"{column} = :{column}" for column in new)
        tx.execute(f"UPDATE {table} SET {sets} WHERE {key} = :id", new | {"id": message_id})
    return bool(new)


def _replaced(row: Any, columns: Sequence[str], spelled: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for column in columns:
        text = row[column]
        if text is not None and spelled.search(text):
            text = _without_name(text, spelled) if column == "recipients" else text
            yield column, spelled.sub(ERASED, text)


def _without_name(recipients: str, spelled: re.Pattern[str]) -> str:
    """The name beside the address goes with it."""
    lists = orjson.loads(recipients)
    for people in lists.values():
        for one in people:
            if spelled.search(one["address"]):
                one["name"] = None
    return orjson.dumps(lists).decode()


def _find_again(tx: Transaction, message_id: str, entry: Any, spelled: re.Pattern[str]) -> None:
    at = tx.execute("SELECT message_at FROM messages WHERE id = :id", {"id": message_id}).fetchone()["message_at"]
    number = search_index.free_number(tx, moment(at))
    files, text = (None if one is None else spelled.sub(ERASED, one) for one in (entry["files"], entry["text"]))
    search_index.add(tx, number, account_id=entry["account_id"], message_id=message_id, files=files, text=text)
    tx.execute(search_index.NUMBER, {"id": message_id, "search_id": number})
