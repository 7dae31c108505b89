"""What an Events page shows: the threads of one object, the newest of them opened."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from markupsafe import Markup

from gateway.http.pages.message_view import ShownFile, shown_files
from gateway.http.pages.progress import ON_THE_WAY, BatchLine, read_batch
from gateway.http.pages.replying import ReplyBox, read_box
from gateway.http.pages.statuses import STATUSES, Status
from gateway.http.paging import page_of
from gateway.sending.rules import Allowance
from gateway.threads.bodies import Bodies
from gateway.threads.kinds import What
from gateway.threads.reading import Correspondence, Reading, correspondence
from gateway.threads.reports.codes import DELAYED
from gateway.threads.views import MessageHead, ThreadView, threads_of
from storage import NotFound, Transaction, events, outbox, placements, read_marks
from storage.messages import Direction, Kind
from storage.threads import Cursor, Object

PER_PAGE: Final = 20
KEPT_OPEN: Final = 3  # the last messages of a thread; earlier ones are folded when there are more
FOLDED_FROM: Final = 6
MOST_NAMES: Final = 4
# "Re:", "Fwd:" and their like in other languages: "AW:", "WG:", "SV:", "TR:", "Antw:"
PREFIXES: Final = re.compile(r"^(?:\s*[^\W\d_]{2,4}(?:\[\d+\])?\s*[:：])+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a message is, at a glance: an icon and the words for those who do not see it."""

    icon: str
    words: str


KINDS: Final = {
    Kind.BOUNCE: Look(icon="bounce", words="Delivery failure"),
    Kind.AUTOMATIC: Look(icon="automatic", words="Automatic reply"),
    Kind.CALENDAR: Look(icon="calendar", words="Calendar message"),
    Kind.RECEIPT: Look(icon="receipt", words="Receipt"),
}
SORTS: Final = {
    What.DELAYED: Look(icon="receipt", words="Delivery delayed"),
    What.DELIVERED: Look(icon="receipt", words="Delivery receipt"),
    What.READ: Look(icon="receipt", words="Read receipt"),
    What.NOT_READ: Look(icon="receipt", words="Deleted without being read"),
    What.COMPLAINT: Look(icon="automatic", words="Spam complaint"),
    What.INVITATION: Look(icon="calendar", words="Invitation"),
    What.CANCELLED: Look(icon="calendar", words="Invitation cancelled"),
    What.ACCEPTED: Look(icon="calendar", words="Invitation accepted"),
    What.TENTATIVE: Look(icon="calendar", words="Invitation accepted tentatively"),
    What.DECLINED: Look(icon="calendar", words="Invitation declined"),
}
LATE: Final = Status(name="sent", word="Sent, delayed", tone="warn", meaning="Is still on its way.")
LETTER_OUT: Final = Look(icon="out", words="Letter sent")
REPLY: Final = Look(icon="in", words="Reply received")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMessage:
    """A message as the template needs it.

    `body` is what it adds, None where only its frame can show that; `has_more` when its frame has more to show;
    `own_subject` unless it is the thread's, with or without a "Re:".
    """

    message: MessageHead
    look: Look
    author: str
    status: Status | None
    body: Markup | None
    has_more: bool
    files: Sequence[ShownFile]
    folded: bool
    own_subject: str | None

    @property
    def outgoing(self) -> bool:
        """Whether it came from us."""
        return self.message.direction is Direction.OUT

    @property
    def version(self) -> str:
        """Changes when what is shown of it does."""
        problem = (self.message.problem or {}).get("code", "")
        sent = "" if self.message.sent_at is None else self.message.sent_at.isoformat()
        concerned = len((self.message.problem or {}).get("recipients", ()))
        return f"{self.message.status}/{problem}/{concerned}/{sent}/{len(self.message.attachments)}/{self.message.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Who looks, for whom the page is made. Without a name, nothing is unread to them."""

    staff: str | None
    may_reply: bool
    allowance: Allowance
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownThread:
    """A thread; `messages` is None until it is opened.

    `unseen` are the messages that are new to who looks; `batch` is the one that a letter of the thread waits in;
    `seq` is where the event log stood in the same snapshot.
    """

    thread: ThreadView
    messages: Sequence[ShownMessage] | None
    seq: int = 0
    unseen: frozenset[str] = frozenset()
    reply: ReplyBox | None = None
    batch: BatchLine | None = None

    @property
    def rank(self) -> str:
        """What sorts threads as the store does. Fixed width, so that texts compare as times and ids do."""
        return f"{self.thread.last_message_at:%Y-%m-%dT%H:%M:%S.%f} {self.thread.id}"

    @property
    def names(self) -> str:
        """Who takes part, without the mailbox itself."""
        others = [
            one.name or one.address
            for one in self.thread.participants
            if one.address.casefold() != self.thread.mailbox.casefold()
        ]
        more = len(others) - MOST_NAMES
        return ", ".join(others[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

    @property
    def first_unseen(self) -> str | None:
        """The message before which the new ones begin."""
        return next((one.message.id for one in self.messages or () if one.message.id in self.unseen), None)

    @property
    def has_incoming(self) -> bool:
        """Whether there is anything that can be unread."""
        return any(not one.outgoing for one in self.messages or ())

    @property
    def queued(self) -> Sequence[ShownMessage]:
        """Letters that can still be held back."""
        return [one for one in self.messages or () if one.status is not None and one.status.name == "queued"]

    @property
    def is_moving(self) -> bool:
        """Whether a letter in it is on its way, so that how it stands changes soon."""
        return any(one.status is not None and one.status.name in ON_THE_WAY for one in self.messages or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsView:
    """One page of an object's threads. `seq` is where the event log stood in the same snapshot."""

    what: Object
    threads: Sequence[ShownThread]
    older: str | None
    held: int
    seq: int


def read_events(
    tx: Transaction,
    account_id: str,
    what: Object,
    before: Cursor | None,
    looking: Looking,
    bodies: Bodies,
    *,
    open_all: bool = False,
) -> EventsView:
    """Newest first; the first thread is opened, unless who looks has put it aside as unread."""
    found = threads_of(tx, account_id, what, before=before, limit=PER_PAGE + 1)
    page, older = page_of(found, PER_PAGE, lambda one: Cursor(at=one.last_message_at, id=one.id))
    shown = [_for_reader(tx, ShownThread(thread=one, messages=None), looking) for one in page]
    opened = [
        _opened(tx, account_id, one.thread.id, looking, bodies)
        if open_all or (position == 0 and before is None and not _put_aside(tx, one, looking))
        else one
        for position, one in enumerate(shown)
    ]
    return EventsView(
        what=what,
        threads=opened,
        older=older,
        held=placements.held_of_object(tx, account_id, object_type=what.type, object_id=what.id),
        seq=events.last_seq(tx, account_id),
    )


def read_thread(
    tx: Transaction, account_id: str, what: Object, thread_id: str, looking: Looking, bodies: Bodies
) -> EventsView:
    """One thread of an object, opened. Raises `storage.NotFound` when it is not one of this object's."""
    shown = _opened(tx, account_id, thread_id, looking, bodies)
    if what not in shown.thread.objects:
        raise NotFound("There is no such thread on this Events tab.")
    return EventsView(what=what, threads=[shown], older=None, held=0, seq=shown.seq)


def _opened(tx: Transaction, account_id: str, thread_id: str, looking: Looking, bodies: Bodies) -> ShownThread:
    shown = _for_reader(tx, show(correspondence(tx, account_id, thread_id, bodies)), looking)
    every = [replace(one, folded=one.folded and one.message.id not in shown.unseen) for one in shown.messages or ()]
    return replace(
        shown,
        messages=every,
        seq=events.last_seq(tx, account_id),
        reply=read_box(tx, account_id, thread_id) if looking.may_reply else None,
        batch=_batch_of(tx, account_id, every, looking),
    )


def _for_reader(tx: Transaction, shown: ShownThread, looking: Looking) -> ShownThread:
    if looking.staff is None:
        return shown
    return replace(shown, unseen=read_marks.unseen(tx, shown.thread.id, looking.staff))


def _put_aside(tx: Transaction, shown: ShownThread, looking: Looking) -> bool:
    return (
        looking.staff is not None
        and bool(shown.unseen)
        and read_marks.is_kept_unread(tx, shown.thread.id, looking.staff)
    )


def _batch_of(tx: Transaction, account_id: str, shown: Sequence[ShownMessage], looking: Looking) -> BatchLine | None:
    """The batch that a letter on its way belongs to: how far that is says when the letter leaves."""
    for one in shown:
        letter = outbox.find(tx, one.message.id) if one.status is not None and one.status.name in ON_THE_WAY else None
        if letter is not None and letter.batch_id is not None:
            return read_batch(tx, account_id, letter.batch_id, allowance=looking.allowance, now=looking.now)
    return None


def show(found: Correspondence) -> ShownThread:
    """A thread opened; of a long one the earlier messages are folded."""
    every = [_shown(one, found.thread.subject) for one in found.messages]
    if len(every) >= FOLDED_FROM:
        every = [replace(one, folded=True) for one in every[:-KEPT_OPEN]] + every[-KEPT_OPEN:]
    return ShownThread(thread=found.thread, messages=every)


def _shown(found: Reading, subject: str) -> ShownMessage:
    message = found.head
    outgoing = message.direction is Direction.OUT
    sender = message.from_.name or message.from_.address if message.from_ is not None else "Unknown sender"
    return ShownMessage(
        message=message,
        look=_look(message),
        author=(message.created_by or sender) if outgoing else sender,
        status=_status(message),
        body=None if found.text is None else Markup(found.text),  # noqa: S704 - escaped
        has_more=found.has_more,
        files=shown_files(found.files),
        folded=False,
        own_subject=None if _bare(message.subject) == _bare(subject) else message.subject or None,
    )


def _look(message: MessageHead) -> Look:
    what = (message.evidence or {}).get("what")
    if what in SORTS:
        return SORTS[What(what)]
    return KINDS.get(message.kind, LETTER_OUT if message.direction is Direction.OUT else REPLY)


def _status(message: MessageHead) -> Status | None:
    if message.status is None:
        return None
    is_late = message.status == LATE.name and (message.problem or {}).get("code") == DELAYED.code
    return LATE if is_late else STATUSES[message.status]


def _bare(subject: str) -> str:
    """Without what mail programs put before an answer's subject; longer prefixes are a person's words."""
    return PREFIXES.sub("", subject).strip().casefold()
