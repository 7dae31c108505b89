"""Search: an FTS5 index over the messages that stand in their threads, found newest first.

What is in the index is kept right by triggers (`migrations/…_search.sql`): a message that is placed, held, moved,
changed or deleted, a thread that is linked or unlinked, each in the transaction that does it: words leave at once, and
come in when it is committed (`storage/entering.py`). Here is what the tables cannot know: which number a message gets,
and how a question is put.

- The number of an entry is its time in seconds by 64 and a little more, so that "newest first" is the order in which
  FTS5 reads and a page ends as soon as it is full, however many messages have the word. Two messages less than a few
  minutes apart may stand the other way round when very many share a second; a letter that leaves more than a minute
  after it was accepted is numbered anew.
- Account, thread, mailbox, direction and objects are tokens of the index. They make the search fast; who may see a
  message is asked of the tables again for each that is found.
- FTS5 writes a deletion down and takes the words out when it merges: `purge` makes it do so, for whoever has to prove
  that nothing is left. (The option `secure-delete` does it at once, from SQLite 3.42 on: this must run on older ones.)
- Each commit adds a piece to the index, and `merge` puts pieces together, a little at a time. FTS5 on its own may do
  all of that in one commit, with every letter and notification waiting behind it.

Words are found as `unicode61` splits them, without case and accents: "ngati" finds "Ngāti". Scripts that set no blanks
between words are found from the beginning of a run of characters only.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sqlite3 import Row
from typing import Final, Self

import orjson

from storage.threads import Address, Object
from storage.transaction import EPOCH, Transaction, moment

PER_SECOND: Final = 64
LATEST: Final = 2**62
# How far a number may be from its message's time: a letter's that was renumbered late, a flood's within one second.
SLACK_S: Final = 86_400
RENUMBERED_AFTER_S: Final = 60
MARK: Final = "\ue000"  # begins the tokens of `scope`; taken out of all that people ask
UNASKABLE: Final = re.compile(f"[\x00-\x1f{MARK}]")  # FTS5 takes a zero byte for the end of the question
HIT_BEGINS, HIT_ENDS = "\ue001", "\ue002"
SNIPPET_TOKENS: Final = 24
PER_THREAD: Final = 3
MANY_HITS: Final = 512


class Field(StrEnum):
    """Where a word can stand."""

    SUBJECT = "subject"
    FROM = "from"
    TO = "to"
    ATTACHMENTS = "attachments"
    TEXT = "text"


COLUMNS: Final = {
    Field.SUBJECT: "subject",
    Field.FROM: "sender",
    Field.TO: "recipients",
    Field.ATTACHMENTS: "files",
    Field.TEXT: "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word or a phrase. `beginning`: its last word may go on."""

    text: str
    field: Field | None = None
    beginning: bool = False
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that is given must be so. `since` is the first moment that counts, `until` the first that does not.

    `nowhere`: something was asked that no message can have, such as an emoji alone.
    """

    terms: tuple[Term, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    mailbox: str | None = None
    direction: str | None = None
    unanswered: bool | None = None
    what: Object | None = None
    nowhere: bool = False

    @property
    def is_about_messages(self) -> bool:
        """Whether it takes a look at messages; else the list of threads answers it."""
        return bool(self.terms or self.nowhere or self.since or self.until or self.direction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message that has what was asked. `marked` is where: text with HIT_BEGINS and HIT_ENDS around each hit."""

    number: int
    message_id: str
    direction: str
    sender: Address | None
    message_at: datetime
    marked: dict[Field, str]

    @classmethod
    def from_list(cls, values: Sequence[object]) -> Self:
        """Read an element of `MATCHES`."""
        number, message_id, direction, name, address, at, *marked = values
        return cls(
            number=int(str(number)),
            message_id=str(message_id),
            direction=str(direction),
            sender=None if address is None else Address(name=None if name is None else str(name), address=str(address)),
            message_at=moment(int(str(at))),
            marked={field: str(text) for field, text in zip(COLUMNS, marked, strict=True) if HIT_BEGINS in str(text)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A thread with hits: the numbers of those seen, newest first, and between which numbers all its messages are."""

    numbers: list[int]
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Threads with a hit, the newest first, and the number that the look ended at; None when it saw all."""

    threads: dict[str, Seen]
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How far the messages of an earlier release have come. `total` is None until they were counted."""

    account_id: str
    after_id: str
    indexed: int
    total: int | None


NEWEST_BETWEEN = "SELECT max(id) AS newest FROM searched WHERE id >= :first AND id < :end"
ADD = """
INSERT INTO searched (id, account_id, message_id, files, text) VALUES (:id, :account_id, :message_id, :files, :text)
"""
REMOVE = "DELETE FROM searched WHERE id = :id RETURNING account_id, message_id, files, text"
NUMBER = "UPDATE messages SET search_id = :search_id WHERE id = :id"
STANDING = "SELECT search_id, message_at FROM messages WHERE id = :id AND search_id IS NOT NULL"
# What FTS5 found is looked up once more: a token says "perhaps", the tables say whose it is.
_LOOKED_UP = """
  FROM search
       CROSS JOIN messages ON messages.search_id = search.rowid
       CROSS JOIN threads ON threads.id = messages.thread_id
"""
_FITS = """
messages.account_id = :account_id AND messages.placement = 'placed' AND threads.self_test = 0
   AND messages.message_at >= :since AND messages.message_at < :until
   AND (:direction IS NULL OR messages.direction = :direction)
   AND (:unanswered IS NULL OR (threads.last_direction IS 'in') = :unanswered)
   AND (:mailbox_id IS NULL OR threads.mailbox_id = :mailbox_id)
   AND (:type IS NULL OR EXISTS (
        SELECT 1 FROM thread_objects
         WHERE thread_objects.account_id = :account_id AND thread_objects.type = :type
           AND thread_objects.object_id = :object_id AND thread_objects.thread_id = messages.thread_id))
"""
OTHER_ACCOUNT = "SELECT 1 FROM accounts WHERE id <> :account_id LIMIT 1"
# One row, of one step: between two steps of a statement another thread may take the interpreter, for milliseconds.
CANDIDATES = f"""
SELECT json_group_array(json_array(
           number, thread_id, (SELECT min(message_at) FROM messages WHERE messages.thread_id = seen.thread_id),
           (SELECT max(message_at) FROM messages WHERE messages.thread_id = seen.thread_id))) AS found
  FROM (SELECT search.rowid AS number, CASE WHEN {_FITS} THEN messages.thread_id END AS thread_id
        {_LOOKED_UP}
         WHERE search MATCH :match AND search.rowid >= :first AND search.rowid < min(:end, :before)
         ORDER BY search.rowid DESC
         LIMIT :limit) AS seen
"""
# All threads of a page in one question: each word is looked up in each piece of the index once, not once for each
# thread. First what there is, of which the newest are chosen; then those with their words marked, which takes longest.
THEIRS = f"""
SELECT json_group_array(json_array(number, thread_id)) AS found
  FROM (SELECT search.rowid AS number, messages.thread_id
        {_LOOKED_UP}
         WHERE search MATCH :match AND search.rowid >= :first AND search.rowid < :end AND {_FITS}
         ORDER BY search.rowid DESC
         LIMIT :limit)
"""
MATCHES = f"""
SELECT json_group_array(json(found)) AS found
  FROM (SELECT json_array(search.rowid, messages.id, messages.direction, messages.from_name, messages.from_address,
                          messages.message_at,
                          highlight(search, 1, :begins, :ends), highlight(search, 2, :begins, :ends),
                          highlight(search, 3, :begins, :ends), highlight(search, 4, :begins, :ends),
                          snippet(search, 0, :begins, :ends, '…', {SNIPPET_TOKENS})) AS found
          FROM search
               CROSS JOIN messages ON messages.search_id = search.rowid
         WHERE search MATCH :match AND search.rowid >= :first AND search.rowid < :end
           AND +search.rowid IN (SELECT value FROM json_each(:numbers))
         ORDER BY search.rowid DESC)
"""
# Of as many pages; of fewer than none, all pieces there are become one: https://sqlite.org/fts5.html#the_merge_command
MERGE = "INSERT INTO search (search, rank) VALUES ('merge', :pages)"
MERGED_PAGES: Final = 500
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


def free_number(tx: Transaction, at: datetime) -> int:
    """The number for a message of that time: in its second, or as soon after as there is room."""
    first = max(1, seconds_of(at) * PER_SECOND)
    room = PER_SECOND
    while True:
        newest = tx.execute(NEWEST_BETWEEN, {"first": first, "end": first + room}).fetchone()["newest"]
        if newest is None or newest < first + room - 1:
            return first if newest is None else int(newest) + 1
        room *= 2


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


def candidates(
    tx: Transaction, account_id: str, question: Question, mailbox_id: str | None, *, before: int | None, limit: int
) -> Candidates:
    """The threads of the newest `limit` entries before that number that have all the words."""
    asked = _asked(tx, account_id, question, mailbox_id) | {
        "before": LATEST if before is None else before,
        "limit": limit,
    }
    found = orjson.loads(tx.execute(CANDIDATES, asked).fetchone()["found"])
    threads: dict[str, Seen] = {}
    for number, thread_id, first_at, last_at in found:
        if thread_id in threads:
            threads[thread_id].numbers.append(number)
        elif thread_id is not None:
            first, last = (
                (at // 1_000_000 + slack) * PER_SECOND for at, slack in ((first_at, -SLACK_S), (last_at, SLACK_S))
            )
            threads[thread_id] = Seen(numbers=[number], first=first, last=last)
    return Candidates(threads=threads, ended_at=found[-1][0] if len(found) == limit else None)


def matches(
    tx: Transaction,
    account_id: str,
    question: Question,
    mailbox_id: str | None,
    seen: Mapping[str, Seen],
    *,
    before: int | None,
    ended_at: int | None,
    few: bool,
) -> dict[str, list[Found]]:
    """The newest hits of each of these threads, at most PER_THREAD.

    All hits from number `before` down to `ended_at` were looked at, or all there are, and these threads have none but
    those `seen`. To look a thread up takes a while in each piece of the index: so only those are that may have others
    elsewhere, and where the hits that were looked at are `few`, they are gone through once more instead.
    """
    if not seen:
        return {}
    asked = _asked(tx, account_id, question, mailbox_id)
    known = {thread_id for thread_id, one in seen.items() if _are_all(one, before, ended_at)}
    chosen = {thread_id: one.numbers[:PER_THREAD] if thread_id in known else [] for thread_id, one in seen.items()}
    chosen |= _hits(tx, asked, [thread_id for thread_id in seen if thread_id not in known])
    near_from = (ended_at or 0) if few else LATEST
    near = {number for some in chosen.values() for number in some if near_from <= number < (before or LATEST)}
    far = {thread_id: far for thread_id, some in chosen.items() if (far := [one for one in some if one not in near])}
    marked = _marked(tx, asked, near)
    marked |= _marked(tx, _within(asked, far), [number for some in far.values() for number in some])
    return {thread_id: [marked[number] for number in some] for thread_id, some in chosen.items()}


def _are_all(one: Seen, before: int | None, ended_at: int | None) -> bool:
    """Whether the newest hits of a thread are those that were seen."""
    none_above = before is None or one.last < before
    none_below = ended_at is None or one.first >= ended_at
    return none_above and (none_below or len(one.numbers) >= PER_THREAD)


def _hits(tx: Transaction, asked: dict[str, object], thread_ids: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the newest hits of each of these threads."""
    if not thread_ids:
        return {}
    limit = PER_THREAD if len(thread_ids) == 1 else MANY_HITS
    found = orjson.loads(tx.execute(THEIRS, _within(asked, thread_ids) | {"limit": limit}).fetchone()["found"])
    if len(found) == MANY_HITS:  # those of one thread may have left no room for another's
        return {one: _hits(tx, asked, [one])[one] for one in thread_ids}
    hits: dict[str, list[int]] = {thread_id: [] for thread_id in thread_ids}
    for number, thread_id in found:
        if thread_id in hits and len(hits[thread_id]) < PER_THREAD:
            hits[thread_id].append(number)
    return hits


def _marked(tx: Transaction, asked: dict[str, object], numbers: Collection[int]) -> dict[int, Found]:
    """The hits with these numbers, their words marked."""
    if not numbers:
        return {}
    which = {"numbers": orjson.dumps(list(numbers)).decode(), "first": min(numbers), "end": max(numbers) + 1}
    marked = tx.execute(MATCHES, asked | which | {"begins": HIT_BEGINS, "ends": HIT_ENDS}).fetchone()["found"]
    return {found.number: found for found in map(Found.from_list, orjson.loads(marked))}


def _within(asked: dict[str, object], thread_ids: Iterable[str]) -> dict[str, object]:
    """The same question, of these threads."""
    of_these = " OR ".join(_quoted(f"{MARK}t{thread_id[-10:]}") for thread_id in thread_ids)
    return asked | {"match": f"{asked['match']} AND ({of_these})"}


def _asked(tx: Transaction, account_id: str, question: Question, mailbox_id: str | None) -> dict[str, object]:
    among_others = tx.execute(OTHER_ACCOUNT, {"account_id": account_id}).fetchone() is not None
    since = None if question.since is None else seconds_of(question.since)
    until = None if question.until is None else seconds_of(question.until)
    what = question.what
    return {
        "account_id": account_id,
        "match": expression(account_id, question, mailbox_id, among_others=among_others),
        "first": 0 if since is None else (since - SLACK_S) * PER_SECOND,
        "end": LATEST if until is None else (until + SLACK_S) * PER_SECOND,
        "since": -(2**63) if question.since is None else question.since,
        "until": 2**63 - 1 if question.until is None else question.until,
        "direction": question.direction,
        "unanswered": question.unanswered,
        "mailbox_id": mailbox_id,
        "type": None if what is None else what.type,
        "object_id": None if what is None else what.id,
    }


def expression(account_id: str, question: Question, mailbox_id: str | None, *, among_others: bool = True) -> str:
    """The question in FTS5's language. All that people wrote stands in quotes: none of it is an operator.

    What must be there is set side by side, not joined by AND: then FTS5 passes over a phrase without any word.
    The account is left out where it narrows nothing down: where a mailbox is named, or there are no others
    (`among_others`). FTS5 would go through everything that the account has, beside the few that are looked for.
    """
    scope = []
    if mailbox_id is not None:
        scope.append(f"m{mailbox_id[-10:]}")
    if question.direction is not None:
        scope.append(question.direction)
    if question.what is not None:
        scope.append("o" + f"{question.what.type}:{question.what.id}".encode().hex())
    words = [_phrase(one) for one in question.terms if not one.excluded]
    if (among_others and mailbox_id is None) or not (scope or words):
        scope.insert(0, f"a{account_id[-10:]}")
    whole = " ".join([*(_quoted(MARK + one) for one in scope), *words])
    for one in question.terms:
        if one.excluded:
            whole = f"({whole}) NOT {_phrase(one)}"
    return f"({whole})"


def _phrase(term: Term) -> str:
    column = f"{COLUMNS[term.field]} : " if term.field is not None else ""
    return f"{column}{_quoted(UNASKABLE.sub(' ', term.text))}{' *' if term.beginning else ''}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


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
            number = free_number(tx, moment(row["message_at"]))
            add(tx, number, account_id=backlog.account_id, message_id=message_id, files=row["files"], text=text)
            tx.execute(NUMBER, {"id": message_id, "search_id": number})
    tx.execute(ADVANCE, {"account_id": backlog.account_id, "after_id": texts[-1][0], "indexed": len(texts)})
