"""Letters: how many stand where, what waits, and what keeps it waiting."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from prometheus_client.metrics_core import Metric

from gateway.http.metrics.families import Scrape, by, one
from gateway.sending.machine import LOOP, SHOWN, State, shown
from storage import Transaction, accounts, batches, mailboxes, outbox

# What only grows, and so is counted seldom; a person who settles a failed letter wants to see it at once.
ENDED: Final = frozenset({State.SENT, State.BOUNCED, State.CANCELLED})
MOVING: Final = frozenset(State) - ENDED


def letters(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How many letters have each status, and how late the latest of them is."""
    by_status = Counter(dict.fromkeys(SHOWN.values(), 0))
    moving = outbox.counts_in(tx, scrape.account_id, MOVING)
    ended = scrape.ended.counts(tx, scrape.account_id, ENDED, scrape.now)
    for state, count in (*moving.items(), *ended.items()):
        by_status[shown(state)] += count
    yield by(
        "status",
        "letters",
        "Letters in the outbox, by status; sent, bounced and cancelled as of the last 5 minutes. needs_review and "
        "failed want a person: see the page of letters.",
        by_status,
    )
    yield one(
        "letters_held",
        "Letters that wait because their recipient answers automatically and got as many as may be within an hour. A "
        "person may release them on the page of letters.",
        outbox.drafted_with_problem(tx, scrape.account_id, LOOP),
    )
    yield one(
        "oldest_due_letter_seconds",
        "How long ago the letter that waits longest was due; 0 when none is. A pause, or a batch longer than its "
        "mailbox's budget, makes it grow.",
        scrape.since(outbox.oldest_due(tx, scrape.account_id, scrape.now)),
    )


def queues(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What waits in each mailbox, and what keeps it waiting."""
    found = mailboxes.list_mailboxes(tx, scrape.account_id)
    waiting = {box.address: outbox.waiting(tx, box.id).letters for box in found}
    yield by("mailbox", "letters_waiting", "Letters that are still to leave a mailbox.", waiting)
    paused = {box.address: int(_lies_ahead(box.paused_until, scrape)) for box in found}
    yield by(
        "mailbox",
        "mailbox_paused",
        "1 while nothing is tried in a mailbox, because Microsoft 365 refused it or asked to wait. The page of letters "
        "says which.",
        paused,
    )
    account = accounts.get(tx, scrape.account_id)
    yield one(
        "outbox_paused",
        "1 while no letter of the account is tried: there is no token. Check the connection.",
        int(_lies_ahead(account.outbox_paused_until, scrape)),
    )


def batches_open(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How many batches are under way."""
    yield one("batches_open", "Batches that are not over.", len(batches.under_way(tx, scrape.account_id)))


def _lies_ahead(until: datetime | None, scrape: Scrape) -> bool:
    return until is not None and until > scrape.now
