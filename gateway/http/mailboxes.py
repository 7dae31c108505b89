"""`/v1/mailboxes`: where letters may come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.letters import AcceptedView, accepted_view
from gateway.http.paging import Page
from gateway.http.problem_types import ALREADY_EXISTS, MAILBOX_NOT_VALIDATED, NOT_CONNECTED, NOT_FOUND
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.setup.report import Check
from storage import mailboxes
from storage.api_keys import Scope
from storage.mailboxes import Mailbox, MailboxState


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """A mailbox. `problem` says why it was refused, and the cure.

    No letter leaves before `paused_until`, nor before `next_letter_at`: it has sent as much as it may for now.
    """

    address: str
    display_name: str | None
    state: MailboxState
    problem: dict[str, Any] | None
    paused_until: datetime | None
    next_letter_at: datetime | None
    validated_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, mailbox: Mailbox) -> Self:
        """As the API shows it."""
        return cls(
            address=mailbox.address,
            display_name=mailbox.display_name,
            state=mailbox.state,
            problem=mailbox.problem,
            paused_until=mailbox.paused_until,
            next_letter_at=mailbox.next_letter_at,
            validated_at=mailbox.validated_at,
            created_at=mailbox.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxReportView:
    """What validating a mailbox tried, in order, and how the mailbox stands now."""

    ok: bool
    checks: Sequence[Check]
    mailbox: MailboxView


async def list_all(call: Call[schemas.Nothing]) -> Response:
    found = await call.services.store.read(mailboxes.list_mailboxes, call.account_id)
    return json_response(Page(items=[MailboxView.of(one) for one in found], next=None))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await _view(call))


async def add(call: Call[schemas.NewMailbox]) -> Response:
    mailbox = await call.services.setup.add_mailbox(call.account_id, call.given.address)
    call.deed.about(mailbox_id=mailbox.id)
    location = f"/v1/mailboxes/{quote(mailbox.address, safe='@')}"
    return json_response(MailboxView.of(mailbox), HTTPStatus.CREATED, {"location": location})


async def validate(call: Call[schemas.Nothing]) -> Response:
    report = await call.services.setup.validate_mailbox(call.account_id, call.path("address"))
    await _is_about_mailbox(call)
    return json_response(MailboxReportView(ok=report.ok, checks=report.checks, mailbox=await _view(call)))


async def send_test_message(call: Call[schemas.TestLetter]) -> Response:
    message_id = await call.services.setup.send_test_message(call.account_id, call.path("address"), call.given.to)
    await _is_about_mailbox(call)
    call.deed.about(message_id=message_id)
    view = await call.services.store.read(accepted_view, call.account_id, message_id, with_key=True)
    return json_response(view, HTTPStatus.ACCEPTED, {"location": f"/v1/messages/{message_id}"})


async def remove(call: Call[schemas.Nothing]) -> Response:
    await _is_about_mailbox(call)
    await call.services.setup.remove_mailbox(call.account_id, call.path("address"))
    return no_content()


async def _is_about_mailbox(call: Call[Any]) -> None:
    """For the audit log, which has the mailbox's id and not its address."""
    found = await call.services.store.read(mailboxes.find, call.account_id, call.path("address"))
    call.deed.about(mailbox_id=None if found is None else found.id)


async def _view(call: Call[Any]) -> MailboxView:
    found = await call.services.store.read(mailboxes.get_by_address, call.account_id, call.path("address"))
    return MailboxView.of(found)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/mailboxes",
        scope=Scope.SETTINGS,
        summary="All mailboxes, by address",
        takes=schemas.Nothing,
        does=list_all,
        audit=unaudited(NO_MAIL),
        gives=Page[MailboxView],
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes",
        scope=Scope.SETTINGS,
        summary="Add a mailbox",
        takes=schemas.NewMailbox,
        does=add,
        audit=does("mailbox.add"),
        gives=MailboxView,
        status=HTTPStatus.CREATED,
        problems=(ALREADY_EXISTS,),
    ),
    Operation(
        method="GET",
        path="/v1/mailboxes/{address}",
        scope=Scope.SETTINGS,
        summary="One mailbox",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=MailboxView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="DELETE",
        path="/v1/mailboxes/{address}",
        scope=Scope.SETTINGS,
        summary="Remove a mailbox; its threads stay",
        takes=schemas.Nothing,
        does=remove,
        audit=does("mailbox.remove"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes/{address}/validate",
        scope=Scope.SETTINGS,
        summary="Prove that a mailbox can be used",
        takes=schemas.Nothing,
        does=validate,
        audit=does("mailbox.validate"),
        gives=MailboxReportView,
        problems=(NOT_FOUND, NOT_CONNECTED),
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes/{address}/test-message",
        scope=Scope.SETTINGS,
        summary="Send a test letter from a mailbox",
        takes=schemas.TestLetter,
        does=send_test_message,
        audit=does("mailbox.test"),
        gives=AcceptedView,
        status=HTTPStatus.ACCEPTED,
        problems=(NOT_FOUND, MAILBOX_NOT_VALIDATED),
    ),
)
