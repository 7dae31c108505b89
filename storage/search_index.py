"""The search index kept right: the number of each message in it, and its pieces put together.

Most of that is done by triggers (`migrations/…_search.sql`): a message that is placed, held, moved, changed or deleted,
a thread that is linked or unlinked, each in the transaction that does it: words leave at once, and come in when it is
committed (`storage/entering.py`). Here is what they cannot do.

- The number of an entry is its time in seconds by 64 and a little more, so that "newest first" is the order in which
  FTS5 reads and a page ends as soon as it is full, however many messages have the word. Two messages less than a few
  minutes apart may stand the other way round when very many share a second; a letter that leaves more than a minute
  after it was accepted is numbered anew.
- FTS5 writes a deletion down and takes the words out when it merges: `purge` makes it do so, for whoever has to prove
  that nothing is left. (The option `secure-delete` does it at once, from SQLite 3.42 on: this must run on older ones.)
- Each commit adds a piece to the index, and `merge` puts pieces together, a little at a time. FTS5 on its own may do
  all of that in one commit, with every letter and notification waiting behind it.
"""

from datetime import datetime
from typing import Final

from storage.transaction import EPOCH, Transaction, moment

PER_SECOND: Final = 64
LATEST: Final = 2**62
# How far a number may be from its message's time: a letter's that was renumbered late, a flood's within one second.
SLACK_S: Final = 86_400
RENUMBERED_AFTER_S: Final = 60
NEWEST_BETWEEN = "SELECT max(id) AS newest FROM searched WHERE id >= :first AND id < :end"
ADD = """
INSERT INTO searched (id, account_id, message_id, files, text) VALUES (:id, :account_id, :message_id, :files, :text)
"""
REMOVE = "DELETE FROM searched WHERE id = :id RETURNING account_id, message_id, files, text"
NUMBER = "UPDATE messages SET search_id = :search_id WHERE id = :id"
STANDING = "SELECT search_id, message_at FROM messages WHERE id = :id AND search_id IS NOT NULL"
# Of as many pages; of fewer than none, all pieces there are become one: https://sqlite.org/fts5.html#the_merge_command
MERGE = "INSERT INTO search (search, rank) VALUES ('merge', :pages)"
MERGED_PAGES: Final = 500


def free_number(tx: Transaction, at: datetime) -> int:
    """The number for a message of that time: in its second, or as soon after as there is room."""
    first = max(1, seconds_of(at) * PER_SECOND)
    room = PER_SECOND
    while True:
        newest = tx.execute(NEWEST_BETWEEN, {"first": first, "end": first + room}).fetchone()["newest"]
        if newest is None or newest < first + room - 1:
            return first if newest is None else int(newest) + 1
        room *= 4


def seconds_of(at: datetime) -> int:
    """Whole seconds since 1970."""
    return int((at - EPOCH).total_seconds() // 1)


def add(tx: Transaction, number: int, *, account_id: str, message_id: str, files: str | None, text: str | None) -> None:
    """Let a message be found, now or as soon as it stands in its thread. `files` and `text`: see table `searched`."""
    tx.execute(ADD, {"id": number, "account_id": account_id, "message_id": message_id, "files": files, "text": text})


def renumber(tx: Transaction, message_id: str) -> None:
    """The message's time has changed: let it be found where it belongs now."""
    row = tx.execute(STANDING, {"id": message_id}).fetchone()
    if row is None:
        return
    at = moment(row["message_at"])
    if abs(row["search_id"] // PER_SECOND - max(0, seconds_of(at))) <= RENUMBERED_AFTER_S:
        return
    entry = tx.execute(REMOVE, {"id": row["search_id"]}).fetchone()
    number = free_number(tx, at)
    add(
        tx,
        number,
        account_id=entry["account_id"],
        message_id=message_id,
        files=entry["files"],
        text=entry["text"],
    )
    tx.execute(NUMBER, {"id": message_id, "search_id": number})


def merge(tx: Transaction, *, pages: int) -> bool:
    """Merge pieces of the index until about so many pages are written; whether there was anything to merge."""
    before = tx.total_changes
    tx.execute(MERGE, {"pages": pages})
    return tx.total_changes - before > 1  # the command itself counts as one


def purge(tx: Transaction, *, pages: int) -> None:
    """Begin to take the words of all that was deleted out of the index; `merge` goes on with it, until it is done.

    Rewrites all of the index: ten seconds of processor for a million messages, in as many steps as one likes. SQLite's
    own pages are overwritten as they go: `PRAGMA secure_delete`.
    """
    tx.execute(MERGE, {"pages": -pages})


def purge_a_little(tx: Transaction, *, first: bool) -> bool:
    """`purge` in steps of some milliseconds, beside the work; whether there is more to do."""
    if first:
        purge(tx, pages=MERGED_PAGES)
        return True
    return merge(tx, pages=MERGED_PAGES)
