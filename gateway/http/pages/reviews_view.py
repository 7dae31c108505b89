"""What the page of the review tray shows: what waits, where it may go, and what was decided lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from gateway.http.pages.events_view import KINDS, LETTER_OUT, REPLY, Look
from gateway.http.paging import page_of
from gateway.threads.html import text_as_html
from gateway.threads.reviews import ReviewView, reviews
from gateway.threads.views import ThreadView
from storage import NotFound, Transaction, acts, messages, threads
from storage.acts import Act, ActKind
from storage.messages import Direction, Placement
from storage.threads import Cursor, Object, Thread

PER_PAGE: Final = 20
LATELY: Final = 10
MOST_CHOICES: Final = 20
NEW_THREAD: Final = "new"
JUST_NOW: Final = timedelta(minutes=15)
WORDS: Final[Mapping[tuple[ActKind, Placement], str]] = {
    (ActKind.ACCEPT, Placement.PLACED): "accepted",
    (ActKind.DISMISS, Placement.DISMISSED): "dismissed",
    (ActKind.MOVE, Placement.PLACED): "moved",
    (ActKind.UNLINK, Placement.HELD): "sent back for review",
    (ActKind.UNLINK, Placement.DISMISSED): "taken out of its thread",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLine:
    """A message that waits. `others` are threads of the same records that it could belong to instead."""

    review: ReviewView
    look: Look
    author: str
    text: Markup
    tab: str
    others: Sequence[Thread]

    @property
    def about(self) -> str:
        """The records of the proposed thread, in a few words."""
        return ", ".join(f"{one.type} {one.id}" for one in self.review.thread.objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An act and what it was about. `undoable`: nothing was decided about that message since."""

    act: Act
    word: str
    subject: str
    thread: str
    tab: str | None
    undoable: bool

    @property
    def at(self) -> datetime:
        """When it was done, or undone."""
        return self.act.undone_at or self.act.done_at


@dataclass(frozen=True, slots=True, kw_only=True)
class TrayView:
    """One page of what waits. `done` is what the reader has just decided, and `staff` then who they are."""

    of: Object | None
    lines: Sequence[ReviewLine]
    is_first: bool
    older: str | None
    done: Decided | None
    lately: Sequence[Decided]
    staff: str | None


def read_tray(
    tx: Transaction,
    account_id: str,
    *,
    of: Object | None,
    before: Cursor | None,
    act_id: str | None,
    now: datetime,
) -> TrayView:
    """Newest first. An act that is not there is as none."""
    done = _done(tx, account_id, act_id)
    found = reviews(tx, account_id, of=of, before=before, limit=PER_PAGE + 1)
    shown, older = page_of(found, PER_PAGE, lambda one: Cursor(at=one.at, id=one.id))
    return TrayView(
        of=of,
        lines=[_line(tx, account_id, one) for one in shown],
        is_first=before is None,
        older=older,
        done=done,
        lately=[_decided(tx, one) for one in acts.newest(tx, account_id, limit=LATELY)],
        staff=None if done is None else _who(done, now),
    )


def _line(tx: Transaction, account_id: str, review: ReviewView) -> ReviewLine:
    sender = "Unknown sender" if review.from_ is None else review.from_.name or review.from_.address
    return ReviewLine(
        review=review,
        look=KINDS.get(review.kind, LETTER_OUT if review.direction is Direction.OUT else REPLY),
        author=sender,
        text=Markup(text_as_html(review.text)),  # noqa: S704 - escaped
        tab=tab_of(review.thread),
        others=_others(tx, account_id, review.thread),
    )


def _others(tx: Transaction, account_id: str, proposed: ThreadView) -> Sequence[Thread]:
    found = {
        one.id: one
        for what in proposed.objects
        for one in threads.of_object(tx, account_id, what, limit=MOST_CHOICES)
        if one.id != proposed.id
    }
    newest_first = sorted(found.values(), key=lambda one: (one.last_message_at, one.id), reverse=True)
    return newest_first[:MOST_CHOICES]


def _done(tx: Transaction, account_id: str, act_id: str | None) -> Decided | None:
    try:
        return None if act_id is None else _decided(tx, acts.get(tx, account_id, act_id))
    except NotFound:
        return None


def _who(done: Decided, now: datetime) -> str | None:
    """Who has just decided. The address of a page lives on, and others may open it: later they say who they are."""
    return (done.act.undone_by or done.act.done_by) if now - done.at < JUST_NOW else None


def _decided(tx: Transaction, act: Act) -> Decided:
    thread = threads.get(tx, act.account_id, act.after.thread_id)
    latest = acts.latest(tx, act.message_id)
    objects = threads.objects_of(tx, thread.id)
    return Decided(
        act=act,
        word=WORDS.get((act.kind, act.after.placement), act.kind.value),
        subject=messages.get(tx, act.account_id, act.message_id).subject,
        thread=thread.subject,
        tab=_tab(objects[0], thread.id) if objects and act.after.placement is Placement.PLACED else None,
        undoable=latest is not None and latest.id == act.id,
    )


def tab_of(thread: ThreadView) -> str:
    """Where staff read the thread: on the first of its records' tabs."""
    return _tab(thread.objects[0], thread.id) if thread.objects else "/objects"


def _tab(what: Object, thread_id: str) -> str:
    return f"/objects/{what.type}/{quote(what.id, safe='')}/events/threads/{thread_id}"
