"""What the letters page shows of an account: obstacles, budgets, batches, what needs a decision, what waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.graph import Limits
from gateway.http.batches import BatchView, batch_view
from gateway.http.pages.budget_view import BudgetView, read_budgets
from gateway.http.pages.events_view import STATUSES, Status
from gateway.http.pages.waiting_view import (
    LetterLine,
    WaitingView,
    Way,
    line,
    read_waiting,
    read_way,
    reason_of,
)
from gateway.sending.machine import State
from gateway.sending.rules import Allowance
from storage import Transaction, batches, mailboxes, outbox

PER_PAGE: Final = 20
LATEST: Final = 5
# Letters with one of these may still leave, or have left without having been seen in Sent Items.
ON_THE_WAY: Final = frozenset({"queued", "sending", "submitted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """A batch and how far it is."""

    batch: BatchView

    @property
    def over(self) -> int:
        """How many of its letters nothing more happens to by itself."""
        return self.batch.letters - sum(n for status, n in self.batch.counts.items() if status in ON_THE_WAY)

    @property
    def counts(self) -> Sequence[tuple[Status, int]]:
        """How many letters have each status that one of them has, in the order of a letter's life."""
        counted: dict[str, int] = dict(self.batch.counts.items())
        return [(status, counted[name]) for name, status in STATUSES.items() if name in counted]

    @property
    def under_way(self) -> bool:
        """Whether some of it are still to leave."""
        return self.batch.status == "sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPage:
    """Some of the letters in one state, newest first. `older` begins the next page."""

    letters: Sequence[LetterLine]
    is_first: bool
    older: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersView:
    """Everything the page shows, read in one snapshot."""

    way: Way
    budgets: Sequence[BudgetView]
    batches: Sequence[BatchLine]
    review: LetterPage
    failed: LetterPage
    waiting: WaitingView


def read_letters(
    tx: Transaction,
    account_id: str,
    *,
    allowance: Allowance,
    limits: Limits,
    review_before: str | None,
    failed_before: str | None,
    now: datetime,
) -> LettersView:
    """`review_before` and `failed_before` are the last letters of the pages before."""
    return LettersView(
        way=read_way(tx, account_id, now=now),
        budgets=read_budgets(tx, account_id, allowance=allowance, limits=limits, now=now),
        batches=read_batches(tx, account_id, allowance=allowance, now=now),
        review=_letters(tx, account_id, State.NEEDS_REVIEW, review_before),
        failed=_letters(tx, account_id, State.FAILED, failed_before),
        waiting=read_waiting(tx, account_id, now=now),
    )


def read_batches(tx: Transaction, account_id: str, *, allowance: Allowance, now: datetime) -> Sequence[BatchLine]:
    """All that are under way, and the latest that are not."""
    open_ones = batches.under_way(tx, account_id)
    ids = {one.id for one in open_ones}
    over = [one for one in batches.newest(tx, account_id, limit=LATEST + len(ids)) if one.id not in ids]
    shown = [*open_ones, *over[:LATEST]]
    return [BatchLine(batch=batch_view(tx, one, allowance=allowance, now=now)) for one in shown]


def read_batch(tx: Transaction, account_id: str, batch_id: str, *, allowance: Allowance, now: datetime) -> BatchLine:
    """Raises `storage.NotFound`, also for another account's."""
    return BatchLine(batch=batch_view(tx, batches.get(tx, account_id, batch_id), allowance=allowance, now=now))


def _letters(tx: Transaction, account_id: str, state: State, before: str | None) -> LetterPage:
    found = outbox.in_state(tx, account_id, state, before_id=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return LetterPage(
        letters=[line(tx, one, mailboxes.get(tx, one.mailbox_id), reason_of(one.problem or {})) for one in shown],
        is_first=before is None,
        older=shown[-1].message_id if len(found) > PER_PAGE else None,
    )
