"""Search over one account's threads, newest first: see `query` for what people can ask."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import Final

from gateway.threads.query import is_blank, parse
from gateway.threads.views import ThreadView, thread_views
from storage import NotFound, Transaction, mailboxes, threads
from storage import search as index
from storage.messages import Direction
from storage.questions import Field, Question
from storage.search import HIT_BEGINS, HIT_ENDS, Found, Seen
from storage.threads import Address, Cursor, Object
from storage.transaction import EPOCH

__all__ = ["FoundThread", "Match", "Page", "Piece", "Place", "Question", "ask", "search"]

AT_ONCE: Final = 32  # entries of the index, at first; then more and more
MOST_AT_ONCE: Final = 1024
FEW: Final = 256  # entries that may well be gone through twice
# A page ends after so many, full or not: then a question that few threads answer is not one that takes seconds.
MOST_LOOKED_AT: Final = 4096
NUMBERS: Final = "n"  # begins the id in cursors of pages that the index gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Part of a text; `hit`: this is what was asked for. Plain text, to be escaped like any other."""

    text: str
    hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a message the words are, in its own spelling: of a long text, what stands around them."""

    field: Field
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A message that has what was asked. `places` is empty when no words were asked for."""

    message_id: str
    direction: Direction
    from_: Address | None
    at: datetime
    places: Sequence[Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundThread(ThreadView):
    """A thread, and its newest messages that have what was asked: three at most, or none where a list was asked."""

    matches: Sequence[Match] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what was found. `next` is where to go on: then there may be more, however short this page is."""

    threads: Sequence[FoundThread]
    next: Cursor | None


def ask(
    text: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    mailbox: str | None = None,
    direction: Direction | None = None,
    unanswered: bool | None = None,
    what: Object | None = None,
) -> Question:
    """The question that these words and filters are; all must hold. Blank words count as none."""
    terms = parse(text or "")
    return Question(
        terms=terms,
        since=since,
        until=until,
        mailbox=mailbox,
        direction=direction,
        unanswered=unanswered,
        what=what,
        nowhere=not terms and not is_blank(text or ""),
    )


def search(tx: Transaction, account_id: str, question: Question, before: Cursor | None = None, *, limit: int) -> Page:
    """One page, newest first: by the newest message that has what was asked.

    Raises `storage.NotFound` when `before` is not where a page of this kind of question ended.
    """
    mailbox_id = None
    if question.mailbox is not None:
        mailbox_id = _mailbox_id(tx, account_id, question.mailbox)
    if question.nowhere or (question.mailbox is not None and mailbox_id is None):
        return Page(threads=(), next=None)
    if question.is_about_messages:
        return _of_the_index(tx, account_id, question, mailbox_id, _number(before), limit=limit)
    if before is not None and before.id.startswith(NUMBERS):
        raise NotFound("There is no such page.")
    return _of_the_list(tx, account_id, question, mailbox_id, before, limit=limit)


def pieces(marked: str) -> list[Piece]:
    """A text with marked hits, in pieces. Any text can be taken apart, put together it is the same without marks."""
    found: list[Piece] = []
    for number, part in enumerate(marked.split(HIT_BEGINS)):
        hit, _, rest = part.partition(HIT_ENDS) if number else ("", "", part)
        found += [Piece(text=hit, hit=True), Piece(text=rest.replace(HIT_ENDS, ""), hit=False)]
    return [one for one in found if one.text]


def _mailbox_id(tx: Transaction, account_id: str, address: str) -> str | None:
    found = mailboxes.ever(tx, account_id, address)
    return None if found is None else found.id


def _of_the_list(
    tx: Transaction, account_id: str, question: Question, mailbox_id: str | None, before: Cursor | None, *, limit: int
) -> Page:
    only = threads.Only(mailbox_id=mailbox_id, unanswered=question.unanswered)
    if question.what is None:
        found = threads.newest(tx, account_id, before=before, limit=limit + 1, only=only)
    else:
        found = threads.of_object(tx, account_id, question.what, before=before, limit=limit + 1, only=only)
    shown = [_found(one, ()) for one in thread_views(tx, found[:limit])]
    more = len(found) > limit
    return Page(threads=shown, next=Cursor(at=shown[-1].last_message_at, id=shown[-1].id) if more else None)


def _of_the_index(
    tx: Transaction, account_id: str, question: Question, mailbox_id: str | None, before: int | None, *, limit: int
) -> Page:
    """Read the index downwards until the page is full, or enough has been looked at.

    A thread stands where its newest match is; one that has a match on an earlier page was there.
    """
    found: dict[str, list[Found]] = {}
    new: dict[str, Seen] = {}
    position, step, looked_at = before, AT_ONCE, 0
    ended = False
    while len(found) <= limit and looked_at < MOST_LOOKED_AT and not ended:
        seen = index.candidates(tx, account_id, question, mailbox_id, before=position, limit=step)
        for thread_id, one in seen.threads.items():
            if thread_id in new:
                new[thread_id].numbers.extend(one.numbers)
            elif thread_id not in found:
                new[thread_id] = one
        looked_at += step
        position, ended = seen.ended_at, seen.ended_at is None
        step = _next_step(step, looked_at, of=len(found) + len(new), limit=limit)
        if len(found) + len(new) <= limit and looked_at < MOST_LOOKED_AT and not ended:
            continue
        while new and len(found) <= limit:
            some = dict(islice(new.items(), limit + 1 - len(found)))
            new = {thread_id: one for thread_id, one in new.items() if thread_id not in some}
            theirs = index.matches(
                tx, account_id, question, mailbox_id, some, before=before, ended_at=position, few=looked_at <= FEW
            )
            for thread_id, matches in theirs.items():
                if matches and (before is None or matches[0].number < before):
                    found[thread_id] = matches
    shown = dict(list(found.items())[:limit])
    last = position
    if len(found) > limit:
        last, ended = min(one[0].number for one in shown.values()), False
    return Page(
        threads=_with_matches(tx, account_id, shown),
        next=None if ended or last is None else Cursor(at=EPOCH, id=f"{NUMBERS}{last}"),
    )


def _next_step(step: int, looked_at: int, *, of: int, limit: int) -> int:
    """How many entries to look at next, where those that were looked at are `of` so many threads: half as many again as
    it will take if that goes on so, and twice as many as before at most."""
    enough = looked_at * (limit + 1 - of) * 3 // (2 * max(of, 1))
    return max(AT_ONCE, min(enough, 2 * step, MOST_AT_ONCE))


def _with_matches(tx: Transaction, account_id: str, found: dict[str, list[Found]]) -> list[FoundThread]:
    known = threads.by_id(tx, account_id, list(found))
    views = thread_views(tx, [known[thread_id] for thread_id in found])
    return [_found(view, [_match(one) for one in found[view.id]]) for view in views]


def _found(view: ThreadView, matches: Sequence[Match]) -> FoundThread:
    return FoundThread(**{field.name: getattr(view, field.name) for field in fields(ThreadView)}, matches=matches)


def _match(found: Found) -> Match:
    return Match(
        message_id=found.message_id,
        direction=Direction(found.direction),
        from_=found.sender,
        at=found.message_at,
        places=[Place(field=field, pieces=pieces(text)) for field, text in found.marked.items()],
    )


def _number(before: Cursor | None) -> int | None:
    if before is None:
        return None
    number = before.id.removeprefix(NUMBERS)
    if number == before.id or not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise NotFound("There is no such page.")
    return int(number)
