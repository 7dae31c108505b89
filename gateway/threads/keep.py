"""Writing down what was sifted: one transaction for messages, threads, hints and the delta link together."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from sqlite3 import OperationalError
from typing import Final

from gateway.graph import Message as Item
from gateway.threads import incoming, outgoing
from gateway.threads.before import Before
from gateway.threads.rounds import AGAIN, HISTORY, Page, count_unannounced, is_unannounced, turn
from gateway.threads.sift import Sifted, Watched, is_tied
from gateway.threads.storing import Outcome, Settled
from storage import Conflict, Transaction, folders, hints, identities, round_trips, threads
from storage.hints import HintOutcome, NewHint
from storage.origins import Origin

# Notifications overtake the mail they are about; what is not there after this long has been deleted or moved on.
VISIBLE_WITHIN: Final = timedelta(minutes=5)
FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(minutes=10)
DELETED: Final = "deleted"  # a change type of Graph's


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many mails came to which end. `unannounced`: of those stored, how many no notification had told of.

    `stumbled`: what a fault of ours kept from being stored, and which. `begins_again`: the folder does. `seen_sent`:
    the letters that turned out to be sent, and the request that each was posted by.
    """

    stored: int
    unrelated: int
    again: int
    gone: int
    unannounced: int = 0
    stumbled: tuple[tuple[str, str], ...] = ()
    begins_again: bool = False
    seen_sent: tuple[tuple[str, Origin], ...] = ()


@dataclass(slots=True)
class _Ends:
    """Which mail came to which end, so far. `expected`: the threads that a round trip is to come back to."""

    stored: set[str]
    unrelated: set[str]
    stumbled: dict[str, str] = field(default_factory=dict)
    unannounced: int = 0
    seen_sent: list[tuple[str, Origin]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    expected: frozenset[str] = frozenset()


class Stumbled(Exception):
    """A fault of ours with one of the mails: nothing of the others stands either. Keep them `each_by_itself`."""


def keep(
    tx: Transaction,
    watched: Watched,
    sifted: Sifted,
    *,
    owner: str,
    page: Page | None = None,
    now: datetime,
    each_by_itself: bool = False,
) -> Kept:
    """Store what is ours and settle the hints. With `page`, that page is done and the delta moves on.

    Mail is stored without a net between one and the next, for the net costs as much as storing it: SQLite then copies
    each page that it changes. `each_by_itself` is for when that went wrong, so that one mail does not keep its
    neighbours. Raises `Stumbled`, and `storage.Conflict` when the folder is no longer `owner`'s.
    """
    if folders.get(tx, watched.folder.id).lease_owner != owner:
        raise Conflict(f"The folder {watched.folder.id} was given to another puller.")
    if each_by_itself:
        return _conclude(tx, watched, sifted, _settle_each(tx, watched, sifted, now), page, now)
    try:
        return _conclude(tx, watched, sifted, _settle_all(tx, watched, sifted, now), page, now)
    except OperationalError:  # no mail's fault: full disk, I/O error
        raise
    except Exception as error:
        raise Stumbled("A mail could not be stored.") from error


def _conclude(tx: Transaction, watched: Watched, sifted: Sifted, ends: _Ends, page: Page | None, now: datetime) -> Kept:
    """Close the hints, or have them looked into again, and move the delta on."""
    folder = watched.folder
    stored, unrelated, stumbled = ends.stored, ends.unrelated, ends.stumbled
    late = {one.id for one in sifted.unrelated if not one.is_draft and is_tied(tx, watched, one)}
    unrelated -= late
    gone = {graph_id for graph_id in sifted.missing if _is_gone(tx, watched, graph_id, now)}
    ended = {HintOutcome.STORED: stored, HintOutcome.NOT_OURS: unrelated, HintOutcome.GONE: gone}
    for outcome, graph_ids in ended.items():
        if graph_ids:
            hints.close(tx, folder.id, graph_ids, outcome, now=now)
    again = (sifted.missing - gone) | sifted.failed | stumbled.keys()
    for graph_id in again:
        _look_again(tx, watched, graph_id, now)
    for graph_id in late:
        _look_at_once(tx, watched, graph_id, now)
    count_unannounced(tx, folder, ends.unannounced, now=now)
    goes_on = page is None or turn(tx, folder, page, unrelated=len(unrelated), now=now)
    return Kept(
        stored=len(stored),
        unrelated=len(unrelated),
        again=len(again | late),
        gone=len(gone),
        unannounced=ends.unannounced,
        stumbled=tuple(stumbled.items()),
        begins_again=not goes_on,
        seen_sent=tuple(ends.seen_sent),
    )


def _settle_all(tx: Transaction, watched: Watched, sifted: Sifted, now: datetime) -> _Ends:
    """Oldest first, so that a thread grows as it was written."""
    ends = _nothing_yet(tx, watched, sifted)
    before = Before.of(tx, watched.mailbox, sifted.ours)
    for item in _oldest_first(sifted, now):
        _take_note(tx, watched, item, _settle(tx, watched, item, sifted, before, now), sifted, ends, now)
    _summarise(tx, ends)
    return ends


def _settle_each(tx: Transaction, watched: Watched, sifted: Sifted, now: datetime) -> _Ends:
    """The same, each mail for itself: one that a fault of ours keeps from being stored is set aside."""
    ends = _nothing_yet(tx, watched, sifted)
    for item in _oldest_first(sifted, now):
        tx.execute("SAVEPOINT mail")
        try:
            settled = _settle(tx, watched, item, sifted, Before.of(tx, watched.mailbox, [item]), now)
        except OperationalError:  # not this mail's fault
            raise
        except Exception as error:
            tx.execute("ROLLBACK TO mail")
            ends.stumbled[item.id] = type(error).__name__
        else:
            _take_note(tx, watched, item, settled, sifted, ends, now)
        tx.execute("RELEASE mail")
    _summarise(tx, ends)
    return ends


def _nothing_yet(tx: Transaction, watched: Watched, sifted: Sifted) -> _Ends:
    return _Ends(
        stored=set(sifted.known),
        unrelated={one.id for one in sifted.unrelated},
        expected=round_trips.expected(tx) if watched.is_inbox else frozenset(),
    )


def _oldest_first(sifted: Sifted, now: datetime) -> list[Item]:
    return sorted(sifted.ours, key=lambda one: (one.received_at or one.sent_at or now, one.id))


def _settle(tx: Transaction, watched: Watched, item: Item, sifted: Sifted, before: Before, now: datetime) -> Settled:
    words = sifted.words.get(item.id)
    if watched.is_inbox:
        report = sifted.reports.get(item.id)
        settled = incoming.settle(tx, watched, item, now, before=before, report=report, words=words)
    else:
        settled = outgoing.settle(tx, watched, item, now, before=before, words=words)
    before.note(item)
    return settled


def _take_note(
    tx: Transaction, watched: Watched, item: Item, settled: Settled, sifted: Sifted, ends: _Ends, now: datetime
) -> None:
    """What follows from how a mail was settled."""
    (ends.stored if settled.outcome is Outcome.STORED else ends.unrelated).add(item.id)
    if settled.seen_sent is not None:
        ends.seen_sent.append(settled.seen_sent)
    if settled.thread_id:
        ends.touched.add(settled.thread_id)
        if settled.thread_id in ends.expected:
            round_trips.arrived(tx, settled.thread_id, graph_id=item.id, now=now)
        ends.unannounced += is_unannounced(tx, watched.folder, item, now)
    if settled.remembered:
        _take_in_history(tx, watched, item, sifted, now)


def _summarise(tx: Transaction, ends: _Ends) -> None:
    for thread_id in ends.touched:
        threads.summarise(tx, thread_id)


def _is_gone(tx: Transaction, watched: Watched, graph_id: str, now: datetime) -> bool:
    known = hints.open_about(tx, watched.folder.id, graph_id)
    if not known:
        return False
    said_to_be = all(hint.change_type == DELETED for hint in known)
    return said_to_be or now - known[0].received_at >= VISIBLE_WITHIN


def _look_again(tx: Transaction, watched: Watched, graph_id: str, now: datetime) -> None:
    """After waits that grow: 1 s, 2 s, 4 s, …, at most 10 minutes."""
    folder = watched.folder
    known = hints.open_about(tx, folder.id, graph_id)
    for hint in known:
        hints.postpone(tx, hint, now + min(FIRST_WAIT * 2.0 ** min(hint.attempts, 16), LONGEST_WAIT))
    if not known:
        hint_of_ours = NewHint(
            account_id=folder.account_id, folder_id=folder.id, change_type=AGAIN, message_id=graph_id
        )
        hints.insert_for_later(tx, hint_of_ours, retry_at=now + FIRST_WAIT, now=now)


def _look_at_once(tx: Transaction, watched: Watched, graph_id: str, now: datetime) -> None:
    """What was not ours when it was sifted, and is by now: its conversation was remembered meanwhile."""
    folder = watched.folder
    if not hints.open_about(tx, folder.id, graph_id):
        hint = NewHint(account_id=folder.account_id, folder_id=folder.id, change_type=HISTORY, message_id=graph_id)
        hints.insert_for_later(tx, hint, retry_at=now, now=now)


def _take_in_history(tx: Transaction, watched: Watched, item: Item, sifted: Sifted, now: datetime) -> None:
    """What was in the conversation before it was ours has been passed over: now it is looked at as ours."""
    found = sifted.history.get(item.conversation_id or "", ())
    by_graph_folder = {folder.folder_id: folder for folder in folders.of_mailbox(tx, watched.mailbox.id)}
    passed_over = [
        NewHint(
            account_id=watched.mailbox.account_id,
            folder_id=by_graph_folder[one.parent_folder_id].id,
            change_type=HISTORY,
            message_id=one.id,
        )
        for one in found
        if one.parent_folder_id in by_graph_folder
        and not one.is_draft
        and one.id != item.id
        and identities.by_graph_id(tx, watched.mailbox.id, one.id) is None
    ]
    if passed_over:
        hints.insert(tx, passed_over, now=now)
