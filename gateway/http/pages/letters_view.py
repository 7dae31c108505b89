"""What the letters page shows of an account: obstacles, budgets, batches, what needs a decision, what waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.graph import Limits
from gateway.http.batches import batch_view
from gateway.http.pages.budget_view import BudgetView, read_budgets
from gateway.http.pages.progress import BatchLine
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


def _letters(tx: Transaction, account_id: str, state: State, before: str | None) -> LetterPage:
    found = outbox.in_state(tx, account_id, state, before_id=before, limit=PER_PAGE + 1)
    shown = found[:PER_PAGE]
    return LetterPage(
        letters=[line(tx, one, mailboxes.get(tx, one.mailbox_id), reason_of(one.problem or {})) for one in shown],
        is_first=before is None,
        older=shown[-1].message_id if len(found) > PER_PAGE else None,
    )
