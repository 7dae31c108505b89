"""`/v1/completeness`: whether all mail of our conversations is here, and since when."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from gateway.threads.completeness import check_soon
from gateway.threads.standing import MissingMail, OpenGap, read_completeness
from storage import Transaction, mailboxes
from storage.api_keys import Scope
from storage.mailboxes import Mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxCompletenessView:
    """0 were missing since `complete_since`; the check at `checked_at` compared so many mails and missed so many.

    `gaps` are the times of uncertain delivery that no pull has passed yet. `unannounced` counts mail that a pull found
    and no notification had told of. `problem` is why a later check broke off. `missing_mail` are those of the missing
    that have not come since, a hundred at most. While a check is `checking`, `conversations_done` of `conversations`
    have been asked for.
    """

    mailbox: str
    complete_since: datetime | None
    checked_at: datetime | None
    compared: int | None
    missing: int | None
    problem: str | None
    unannounced: int
    gaps: Sequence[OpenGap]
    missing_mail: Sequence[MissingMail]
    checking: bool
    conversations_done: int | None
    conversations: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletenessView:
    """The validated mailboxes of an account."""

    items: Sequence[MailboxCompletenessView]
    next: None


def completeness_view(
    tx: Transaction, account_id: str, now: datetime, *, mailbox_ids: Collection[str] | None = None
) -> CompletenessView:
    """How complete each validated mailbox is, or each of these."""
    found = mailboxes.list_validated(tx, account_id)
    if mailbox_ids is not None:
        found = [one for one in found if one.id in mailbox_ids]
    return CompletenessView(items=[_mailbox_view(tx, one, now) for one in found], next=None)


def _mailbox_view(tx: Transaction, mailbox: Mailbox, now: datetime) -> MailboxCompletenessView:
    known = read_completeness(tx, mailbox, now)
    return MailboxCompletenessView(
        mailbox=mailbox.address,
        complete_since=known.check.complete_since,
        checked_at=known.check.checked_at,
        compared=known.check.compared,
        missing=known.check.missing,
        problem=known.check.problem,
        unannounced=known.unannounced,
        gaps=known.gaps,
        missing_mail=known.missing_mail,
        checking=known.is_checking,
        conversations_done=known.check.conversations_done,
        conversations=known.check.conversations,
    )


def _ask(tx: Transaction, account_id: str, now: datetime) -> CompletenessView:
    check_soon(tx, account_id, now)
    return completeness_view(tx, account_id, now)


async def show(call: Call[schemas.Nothing]) -> Response:
    view = await call.services.store.read(
        completeness_view, call.account_id, call.now, mailbox_ids=call.key.mailbox_ids
    )
    return json_response(view)


async def check(call: Call[schemas.Nothing]) -> Response:
    """It may take minutes: the answer is how things stood before."""
    view = await call.deed.write(_ask, call.account_id, call.now)
    return json_response(view, HTTPStatus.ACCEPTED)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/completeness",
        scope=Scope.READ,
        summary="Whether all mail of our conversations is here",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=CompletenessView,
        sees=Sees.PART,
    ),
    Operation(
        method="POST",
        path="/v1/completeness/check",
        scope=Scope.SETTINGS,
        summary="Compare the mailboxes with what is here, now",
        takes=schemas.Nothing,
        does=check,
        audit=does("completeness.check"),
        gives=CompletenessView,
        status=HTTPStatus.ACCEPTED,
        locates=False,
    ),
)
