"""Search: an FTS5 index over the messages that stand in their threads, found newest first.

How it is asked; what can be asked is in `questions`. How it is kept right, and why the order of its numbers is that of
time, is in `search_index`; how the messages of an earlier release come in, in `search_backlogs`.

Account, thread, mailbox, direction and objects are tokens of the index. They make the search fast; who may see a
message is asked of the tables again for each that is found.

Words are found as `unicode61` splits them, without case and accents: "ngati" finds "Ngāti". Scripts that set no blanks
between words are found from the beginning of a run of characters only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import orjson

from storage.questions import COLUMNS, MARK, Field, Question, expression, quoted
from storage.search_index import LATEST, PER_SECOND, SLACK_S, seconds_of
from storage.threads import Address
from storage.transaction import Transaction, moment

HIT_BEGINS, HIT_ENDS = "\ue001", "\ue002"
SNIPPET_TOKENS: Final = 24
PER_THREAD: Final = 3
MANY_HITS: Final = 512


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
    of_these = " OR ".join(quoted(f"{MARK}t{thread_id[-10:]}") for thread_id in thread_ids)
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
